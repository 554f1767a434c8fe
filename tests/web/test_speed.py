"""How soon can somebody at home use a link that the driver sent, on a slow phone in a thin network?"""

from __future__ import annotations

import gzip
from typing import Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Response, expect

from tests.web.conftest import Phones
from tests.web.rig import Api, Truck

pytestmark = pytest.mark.e2e

FIRST_LOAD_BYTES: Final = 200_000
"""Gzipped, at most."""
DOWN_BITS_A_SECOND: Final = 1_600_000
UP_BITS_A_SECOND: Final = 750_000
ROUND_TRIP_MS: Final = 150
CPU_SLOWDOWN: Final = 4
LOOKS_FOR_THE_BUTTON: Final = """
    const look = () => {
        const button = document.querySelector("main .van-button--primary");
        if (button && !button.disabled && button.getBoundingClientRect().height > 0) window.usableAt = performance.now();
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
"""
"""Milliseconds since the tap on the link."""


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


def test_a_slow_phone_gets_little_and_can_use_the_link(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report()
    _, share = api.shared(1)
    page = phone()
    is_slow(page)
    page.add_init_script(LOOKS_FOR_THE_BUTTON)
    loaded: dict[str, Response] = {}
    page.on("response", lambda response: loaded.update({response.url: response}))
    page.goto(share["link"])
    expect(page.get_by_role("button", name="一键登录查看")).to_be_enabled()
    page.wait_for_load_state("networkidle")
    ours = [each for each in loaded.values() if not urlsplit(each.url).path.startswith("/api/")]
    gzipped = sum(len(gzip.compress(each.body())) for each in ours)
    sent: int = page.evaluate(
        "performance.getEntries().reduce((sum, each) => sum + (each.encodedBodySize ?? 0), 0)",
    )
    painted: float = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    usable: float = page.evaluate("window.usableAt")
    print(
        f"share preview, slow phone: painted {painted:.0f} ms, usable {usable:.0f} ms, "
        f"{len(ours)} files, {gzipped / 1000:.0f} kB gzipped, {sent / 1000:.0f} kB sent"
    )
    assert 0 < gzipped <= FIRST_LOAD_BYTES
    assert usable >= painted > 0
