"""How soon can somebody at home use a link that the driver sent, on a slow phone in a thin network?"""

from __future__ import annotations

import gzip
from typing import Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, Response, expect

from tests.web.conftest import Phones
from tests.web.rig import Api, Truck

pytestmark = pytest.mark.e2e

FIRST_LOAD_BYTES: Final = 200_000
"""Gzipped, at most."""
DOWN_BITS_A_SECOND: Final = 1_600_000
UP_BITS_A_SECOND: Final = 750_000
ROUND_TRIP_MS: Final = 150
CPU_SLOWDOWN: Final = 4


def looks_for(selector: str) -> str:
    """A script that keeps in ``usableAt`` when the first such element was to be seen: milliseconds since the link was tapped."""
    return """
        const look = () => {
            const found = document.querySelector("SELECTOR");
            if (found && found.getBoundingClientRect().height > 0) window.usableAt = performance.now();
            else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    """.replace("SELECTOR", selector)


def is_slow(page: Page) -> None:
    """A modest phone, moving through the country; nothing is cached."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    devtools.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": ROUND_TRIP_MS,
            "downloadThroughput": DOWN_BITS_A_SECOND / 8,
            "uploadThroughput": UP_BITS_A_SECOND / 8,
        },
    )
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": CPU_SLOWDOWN})


def first_load(page: Page, path: str, shown: Locator) -> tuple[float, float]:
    """Milliseconds until something was painted, and until the page could be used; fails beyond the bytes that are allowed."""
    is_slow(page)
    loaded: dict[str, Response] = {}
    page.on("response", lambda response: loaded.update({response.url: response}))
    page.goto(path)
    expect(shown).to_be_visible()
    page.wait_for_function("window.usableAt")
    page.wait_for_load_state("load")
    ours = [each for each in loaded.values() if not urlsplit(each.url).path.startswith("/api/")]
    gzipped = sum(len(gzip.compress(each.body())) for each in ours)
    painted: float = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    usable: float = page.evaluate("window.usableAt")
    print(
        f"{urlsplit(path).path}, slow phone: painted {painted:.0f} ms, usable {usable:.0f} ms, "
        f"{len(ours)} files, {gzipped / 1000:.0f} kB gzipped"
    )
    assert 0 < gzipped <= FIRST_LOAD_BYTES
    return painted, usable


def test_a_slow_phone_gets_little_and_can_use_the_link(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report()
    _, share = api.shared(1)
    page = phone()
    page.add_init_script(looks_for("main .van-button--primary:enabled"))
    painted, usable = first_load(page, share["link"], page.get_by_role("button", name="一键登录查看"))
    assert usable >= painted > 0


def test_a_slow_phone_gets_little_and_shows_the_truck(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report(speed_kmh=40)
    _, share = api.shared(1)
    family = api.family()
    api.opens(family, share)
    page = phone(family)
    page.add_init_script(looks_for(".here dd"))
    painted, usable = first_load(page, f"/family/shares/{share['id']}", page.locator(".here dd").first)
    assert usable >= painted > 0
