"""Tests how soon a family member can use a driver's link, on a slow phone in a thin network."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import pytest
from playwright.sync_api import Locator, Page, Response, expect

from domain.vehicle.fix import FLAG_BACKFILLED
from tests.api.conftest import row, vehicle_line
from tests.e2e.callers import call
from tests.e2e.processes import until
from tests.web.conftest import Phones
from tests.web.rig import FEED_KEY, Api, Server, Truck

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


FLEET: Final = 5_000
LOOK_MS: Final = 6_000
"""More than the time between two pictures of the map."""
COUNTS_FRAMES: Final = """
    look => new Promise(done => {
        const gaps = [], began = performance.now();
        let last = began;
        const tick = () => {
            const now = performance.now();
            gaps.push(now - last);
            last = now;
            if (now - began < look) requestAnimationFrame(tick);
            else done(gaps.slice(1).sort((a, b) => a - b));
        };
        requestAnimationFrame(tick);
    })
"""


@pytest.fixture
def on_the_road(server: Server) -> Callable[[int], None]:
    """5,000 trucks of the first business, around Wuhan; tells where all are after so many seconds of driving."""
    numbers = range(1_000, 1_000 + FLEET)
    file = server.yard.folder / "fleet.jsonl"
    lines = (json.dumps(vehicle_line(number), ensure_ascii=False) for number in numbers)
    file.write_text("\n".join(lines) + "\n", "utf-8")
    assert server.yard.imports(file).status == 0
    headers = {"Content-Type": "application/msgpack", "X-Feed-Key": FEED_KEY}

    def sent(rows: list[list[Any]]) -> bool:
        body = msgspec.msgpack.encode(rows)
        answer = call(server.http, "POST", "/api/v1/telemetry", body=body, headers=headers)
        return msgspec.json.decode(answer.body).get("accepted") == len(rows)  # type: ignore[no-any-return]

    assert until(lambda: sent([row(numbers[-1], at=server.now - 60, flags=FLAG_BACKFILLED)])), "the import was not seen"

    def drive(driven_s: int) -> None:
        server.advances(10)
        rows = [
            row(
                number,
                at=server.now,
                lon=113_400_000 + number * 7_919 % 2_000_000 + 250 * driven_s,
                lat=29_700_000 + number * 6_271 % 2_000_000,
            )
            for number in numbers
        ]
        for at in range(0, FLEET, 1_000):
            assert sent(rows[at : at + 1_000])

    return drive


@pytest.mark.parametrize("deeper", [0, 4], ids=("all-in-view", "hundreds-in-view"))
def test_a_map_of_5000_moving_trucks_leaves_the_page_free(
    phone: Phones, api: Api, on_the_road: Callable[[int], None], deeper: int
) -> None:
    on_the_road(0)
    page = phone(api.owner(), width=390, height=844)
    page.goto("/owner/map")
    expect(page.get_by_text(f"视野内 {FLEET:,} 辆")).to_be_visible()
    for _ in range(deeper):
        page.get_by_role("button", name="放大").click()
        page.wait_for_timeout(400)
    on_the_road(10)
    gaps: list[float] = page.evaluate(COUNTS_FRAMES, LOOK_MS)
    middle, worst = gaps[len(gaps) // 2], gaps[-1]
    print(
        f"{FLEET} trucks move, {deeper} times closer: {len(gaps) / LOOK_MS * 1000:.0f} frames/s, "
        f"middle {middle:.0f} ms, p99 {gaps[len(gaps) * 99 // 100]:.0f} ms, worst {worst:.0f} ms"
    )
    assert len(gaps) > 1
