"""Tests that only operators see the service's health, live, and that the picture survives the service's end."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.conftest import Phones
from tests.web.rig import EMERGENCY, OPS_KEY, Server, Truck

PICTURE = "() => [...document.querySelectorAll('.uplot canvas')].map(canvas => canvas.toDataURL()).join()"


def enter(page: Page, key: str) -> None:
    page.get_by_label("运维密钥").fill(key)
    page.get_by_role("button", name="进入").click()


@pytest.fixture
def room(phone: Phones) -> Page:
    page = phone(width=1440, height=900)
    page.goto("/ops")
    enter(page, OPS_KEY)
    return page


def figure(page: Page, name: str) -> Locator:
    return page.locator(f"[data-figure={name}]")


def status(page: Page) -> Locator:
    return page.locator(".banner")


def test_a_wrong_key_is_refused_and_the_right_one_let_in_and_neither_stands_in_an_address(phone: Phones) -> None:
    page = phone(width=1440, height=900)
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto("/ops")
    enter(page, "not-the-key")
    expect(page.get_by_role("alert")).to_contain_text("密钥不对")
    enter(page, OPS_KEY)
    expect(status(page)).to_contain_text("正常")
    assert not [url for url in (*addresses, page.url) if OPS_KEY in url or "not-the-key" in url]
    page.reload()
    expect(status(page)).to_contain_text("正常")
    page.get_by_role("button", name="退出").click()
    expect(page.get_by_label("运维密钥")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_figures_charts_and_map_move_with_the_fleet(room: Page, trucks: Callable[[int], Truck]) -> None:
    expect(figure(room, "fixes_total")).to_have_text("0")
    trucks(1).report(alarms=EMERGENCY)
    trucks(2).report()
    expect(figure(room, "fixes_total")).to_have_text("2")
    expect(figure(room, "online")).to_have_text("2")
    expect(figure(room, "alerts_a_minute")).not_to_have_text("0")
    expect(room.get_by_role("application", name="车队地图：2 辆车")).to_be_visible()
    before = room.evaluate(PICTURE)
    room.wait_for_function(f"before => ({PICTURE})() !== before", arg=before)
    expect(room.get_by_role("region", name="数据质量")).to_contain_text("100%")
    expect(room.get_by_role("region", name="死信")).to_contain_text("没有死信")
    expect(room.get_by_role("region", name="对象")).to_contain_text("信箱")


def test_a_virtual_clock_is_moved_from_the_room(room: Page, truck: Truck) -> None:
    truck.report()
    expect(figure(room, "online")).to_have_text("1")
    clock = room.get_by_role("region", name="时钟")
    shown = clock.locator("time").inner_text()
    clock.get_by_role("button", name="10 分钟").click()
    expect(figure(room, "online")).to_have_text("0")
    expect(clock.locator("time")).not_to_have_text(shown)


def test_a_silent_service_is_told_and_its_return_needs_no_reload(room: Page, server: Server, truck: Truck) -> None:
    truck.report()
    expect(figure(room, "fixes_total")).to_have_text("1")
    room.evaluate("window.isTheSamePage = true")
    server.is_killed()
    expect(status(room)).to_contain_text(re.compile(r"画面已停 \d+ 秒"))
    expect(status(room)).to_contain_text("未知")
    server.starts()
    expect(status(room)).to_contain_text("正常")
    truck.report()
    expect(figure(room, "online")).to_have_text("1")
    assert room.evaluate("window.isTheSamePage") is True


def test_the_room_is_dark_until_somebody_wants_it_light_and_fits_a_phone(phone: Phones) -> None:
    page = phone()
    page.goto("/ops")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    enter(page, OPS_KEY)
    page.get_by_role("button", name="深色或浅色").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    expect(status(page)).to_contain_text("正常")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
