"""An emergency stays in sight on every page of the truck until it has ended and a viewer has seen that (R34)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.web.conftest import Phones
from tests.web.rig import EMERGENCY, FATIGUE, Api, Body, Server, Session, Truck
from tests.web.test_accessibility import AXE, violations
from tests.web.test_family_pages import shows_speed
from tests.web.test_large_text import TWICE

pytestmark = pytest.mark.e2e

COLLISION: Final = 1 << 29
DRIVERS_PHONE: Final = "13800000001"


def banner_of(page: Page) -> Locator:
    return page.get_by_role("alert", name="紧急情况")


def is_watched(phone: Phones, api: Api, truck: Truck) -> tuple[Page, Body]:
    """Open the truck's page for the family, calm."""
    truck.report(speed_kmh=40)
    _, share = api.shared(1)
    family = api.family()
    api.opens(family, share)
    page = phone(family)
    page.goto(f"/family/shares/{share['id']}")
    shows_speed(page, 40)
    expect(page.get_by_text("实时")).to_be_visible()
    return page, share


def calls_of(banner: Locator) -> list[str]:
    return [str(each.get_attribute("href")) for each in banner.locator("a").all()]


def is_in_sight(page: Page, banner: Locator) -> bool:
    box, height = banner.bounding_box(), page.viewport_size
    assert height is not None
    return box is not None and box["y"] >= 0 and box["y"] + box["height"] <= height["height"]


def test_an_emergency_tells_what_when_where_how_fast_and_whom_to_call(phone: Phones, api: Api, truck: Truck) -> None:
    page, _ = is_watched(phone, api, truck)
    expect(banner_of(page)).to_have_count(0)
    truck.report(speed_kmh=65, alarms=EMERGENCY)
    banner = banner_of(page)
    expect(banner).to_be_visible()
    expect(banner).to_contain_text("紧急报警")
    expect(banner).to_contain_text(re.compile(r"\d\d:\d\d 开始，还没有结束"))
    expect(banner).to_contain_text("武汉市附近")
    expect(banner).to_contain_text("当时车速 65 公里/小时")
    assert calls_of(banner) == ["tel:110", "tel:122", "tel:120"]
    expect(banner).to_be_focused()


def test_an_emergency_cannot_be_scrolled_out_of_sight(phone: Phones, api: Api, truck: Truck) -> None:
    page, _ = is_watched(phone, api, truck)
    truck.report(alarms=EMERGENCY)
    banner = banner_of(page)
    expect(banner).to_be_visible()
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_function("window.scrollY > 300")
    assert is_in_sight(page, banner)
    for call in banner.locator("a").all():
        call.click(trial=True)


def test_an_emergency_goes_when_it_has_ended_and_that_was_seen(phone: Phones, api: Api, truck: Truck) -> None:
    page, _ = is_watched(phone, api, truck)
    truck.report(alarms=EMERGENCY)
    banner, seen = banner_of(page), page.get_by_role("button", name="知道了")
    expect(banner).to_be_visible()
    expect(seen).to_be_hidden()
    truck.report(speed_kmh=50)
    expect(banner).to_contain_text("已结束")
    expect(seen).to_be_visible()
    page.reload()
    expect(banner).to_contain_text("已结束")
    seen.tap()
    expect(banner).to_have_count(0)
    page.reload()
    shows_speed(page, 50)
    expect(banner).to_have_count(0)
    truck.report(alarms=EMERGENCY)
    expect(banner).to_contain_text("还没有结束")


def test_the_card_is_not_calm_in_an_emergency(phone: Phones, api: Api, truck: Truck, server: Server) -> None:
    page, _ = is_watched(phone, api, truck)
    here = page.locator(".here")
    expect(here.locator(".sw-chip--good")).to_have_count(1)
    truck.report(speed_kmh=0, alarms=EMERGENCY)
    expect(here.get_by_text("紧急报警，还没有结束")).to_be_visible()
    expect(here.locator(".sw-chip--good")).to_have_count(0)
    expect(page.locator(".sw-truck--alert")).to_have_count(1)
    server.advances(601)
    expect(here.get_by_text("离线", exact=True)).to_be_visible()
    expect(here.get_by_text("紧急报警，还没有结束")).to_be_visible()
    expect(page.locator(".sw-truck--alert:not(.sw-truck--offline)")).to_have_count(1)


def test_several_emergencies_stand_together_the_ongoing_ones_first(phone: Phones, api: Api, truck: Truck) -> None:
    page, _ = is_watched(phone, api, truck)
    truck.report(alarms=EMERGENCY | COLLISION)
    lines = banner_of(page).locator("li")
    expect(lines).to_have_count(2)
    truck.report(alarms=EMERGENCY)
    expect(lines.nth(0)).to_contain_text("还没有结束")
    expect(lines.nth(0)).to_contain_text("紧急报警")
    expect(lines.nth(1)).to_contain_text("碰撞")
    expect(lines.nth(1)).to_contain_text("已结束")
    page.get_by_role("button", name="知道了").tap()
    expect(lines).to_have_count(1)


def test_fatigue_alone_is_no_emergency(phone: Phones, api: Api, truck: Truck) -> None:
    page, _ = is_watched(phone, api, truck)
    truck.report(alarms=FATIGUE)
    expect(page.get_by_role("region", name="动态提醒")).to_contain_text("疲劳驾驶")
    expect(banner_of(page)).to_have_count(0)


def with_phone(route: Route) -> None:
    """Answer as where the driver has said ``call_me``."""
    answer = route.fetch()
    view = answer.json() | {"driver": {"display_name": "张三", "phone": DRIVERS_PHONE}}
    route.fulfill(response=answer, body=json.dumps(view))


def test_the_driver_can_be_called_where_the_driver_allows_it(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report(alarms=EMERGENCY)
    _, share = api.shared(1)
    family = api.family()
    api.opens(family, share)
    page = phone(family)
    page.route(re.compile(f"/api/v1/family/shares/{share['id']}$"), with_phone)
    for path in ("", "/alerts"):
        page.goto(f"/family/shares/{share['id']}{path}")
        expect(banner_of(page).locator(f"a[href='tel:{DRIVERS_PHONE}']")).to_have_text("打给司机")


def test_a_sheet_makes_way_for_a_new_emergency(phone: Phones, api: Api, truck: Truck) -> None:
    page, _ = is_watched(phone, api, truck)
    truck.report(alarms=FATIGUE)
    page.locator(".ticker .alert").first.focus()
    page.keyboard.press("Enter")
    sheet = page.get_by_role("dialog", name="提醒详情")
    expect(sheet).to_be_visible()
    truck.report(alarms=EMERGENCY)
    expect(banner_of(page)).to_be_visible()
    expect(sheet).to_be_hidden()


Place = Callable[[Api], tuple[Session, str]]


def _the_drivers(api: Api) -> tuple[Session, str]:
    driver = api.driver(1)
    return driver, f"/driver/bindings/{api.binds(driver, 1)}"


def _the_familys_alerts(api: Api) -> tuple[Session, str]:
    _, share = api.shared(1)
    family = api.family()
    api.opens(family, share)
    return family, f"/family/shares/{share['id']}/alerts"


PLACES: Final[dict[str, Place]] = {
    "driver": _the_drivers,
    "alerts": _the_familys_alerts,
    "owner": lambda api: (api.owner(), f"/owner/vehicles/{Truck.id_of(1)}"),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_every_page_of_the_truck_keeps_an_emergency_in_sight(
    phone: Phones, api: Api, truck: Truck, place: Place
) -> None:
    session, path = place(api)
    truck.report(alarms=EMERGENCY)
    page = phone(session)
    page.goto(path)
    banner = banner_of(page)
    expect(banner).to_contain_text("武汉市附近")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    assert is_in_sight(page, banner)
    assert calls_of(banner) == ["tel:110", "tel:122", "tel:120"]
    banner.get_by_role("button", name="紧急报警").tap()
    expect(page.get_by_role("dialog", name="提醒详情")).to_be_visible()


def test_an_emergency_leaves_room_for_its_calls_on_a_small_phone_with_large_text(
    phone: Phones, api: Api, truck: Truck
) -> None:
    truck.report(alarms=EMERGENCY | COLLISION)
    _, share = api.shared(1)
    family = api.family()
    api.opens(family, share)
    page = phone(family, width=320, height=568, reduced_motion=True)
    page.add_init_script(TWICE)
    page.route(re.compile(f"/api/v1/family/shares/{share['id']}$"), with_phone)
    page.goto(f"/family/shares/{share['id']}")
    banner = banner_of(page)
    expect(banner.locator("li")).to_have_count(2)
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    assert is_in_sight(page, banner)
    for each in banner.locator("a, button").all():
        each.click(trial=True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_an_emergency_can_be_read_and_touched_by_everybody(phone: Phones, api: Api, truck: Truck, dark: bool) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make web")
    truck.report(alarms=EMERGENCY | COLLISION)
    truck.report(alarms=EMERGENCY)
    _, share = api.shared(1)
    family = api.family()
    api.opens(family, share)
    page = phone(family, dark=dark, width=360, reduced_motion=True)
    page.goto(f"/family/shares/{share['id']}")
    expect(banner_of(page)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for each in banner_of(page).locator("a, button").all():
        box = each.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44
    assert violations(page) == []
