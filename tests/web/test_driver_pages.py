"""A driver's pages on a phone: home, lists, a vehicle's page, history; by touch, in a real browser."""

from __future__ import annotations

import re
from typing import Final

import pytest
from playwright.sync_api import Locator, expect

from tests.web.conftest import Phones
from tests.web.hands import card, confirms, live
from tests.web.rig import IN_10_DAYS, IN_20_DAYS, SPEEDING, Api, Session, Truck, plate

pytestmark = pytest.mark.e2e

TOUCHABLE_PX: Final = 44


# -- home --------------------------------------------------------------------------------------------------------------


def test_r10_home_shows_the_current_list_and_the_certificate(phone: Phones, api: Api, truck: Truck) -> None:
    driver = api.driver()
    api.binds(driver, 1)
    truck.report()
    page = phone(driver)
    page.goto("/driver")
    expect(page.get_by_role("tab", name="当前绑定")).to_have_attribute("aria-selected", "true")
    expect(card(page, 1).get_by_text("在线")).to_be_visible()
    expect(card(page, 1).get_by_text("武汉市")).to_be_visible()
    expect(page.get_by_text("已绑 1/3 辆")).to_be_visible()
    page.get_by_role("link", name=re.compile(f"从业资格证 {IN_20_DAYS.pattern}")).tap()
    expect(page.get_by_role("heading", name="我的证照")).to_be_visible()
    expect(page.get_by_text(IN_20_DAYS)).to_be_visible()
    expect(page.get_by_text("请尽早办理换证")).to_be_visible()


def test_lists_without_anything_tell_what_to_do(phone: Phones, api: Api) -> None:
    page = phone(api.driver(2))
    page.goto("/driver")
    expect(page.get_by_text("还没有绑定货车")).to_be_visible()
    page.get_by_role("tab", name="历史绑定").tap()
    expect(page.get_by_text("没有历史绑定")).to_be_visible()
    page.get_by_role("tab", name="他人分享").tap()
    expect(page.get_by_text("没有人与您分享车辆")).to_be_visible()
    page.get_by_role("link", name="我的分享").tap()
    expect(page.get_by_text("还没有分享过")).to_be_visible()
    page.get_by_role("button", name="我的车辆").tap()
    page.get_by_role("link", name="委托绑定").tap()
    expect(page.get_by_text("还没有委托过")).to_be_visible()


def test_r10_what_others_share_with_the_driver_is_a_list_of_its_own(phone: Phones, api: Api) -> None:
    _, share = api.shared(2)
    driver = api.driver(1)
    api.opens(driver, share)
    page = phone(driver)
    page.goto("/driver")
    page.get_by_role("tab", name="他人分享").tap()
    page.get_by_role("link").filter(has=page.get_by_role("img", name=plate(2))).tap()
    page.wait_for_url(f"**/family/shares/{share['id']}")


def test_a_dead_zone_is_no_empty_list_and_passes(phone: Phones, api: Api) -> None:
    driver = api.driver()
    api.binds(driver, 1)
    page = phone(driver)
    page.route("**/api/v1/driver/**", lambda route: route.abort())
    page.goto("/driver")
    expect(page.get_by_text("网络不通")).to_be_visible()
    expect(page.get_by_text("还没有绑定货车")).to_be_hidden()
    page.unroute("**/api/v1/driver/**")
    page.get_by_role("button", name="重试").tap()
    expect(card(page, 1)).to_be_visible()


# -- the vehicle's page ------------------------------------------------------------------------------------------------


def test_the_vehicles_page_shows_place_alerts_and_papers(phone: Phones, api: Api, truck: Truck) -> None:
    driver = api.driver()
    binding = api.binds(driver, 1)
    truck.report(speed_kmh=112, alarms=SPEEDING)
    page = phone(driver)
    page.goto("/driver")
    card(page, 1).get_by_role("link", name="车辆信息").tap()
    page.wait_for_url(f"**/driver/bindings/{binding}")
    expect(page.get_by_role("application", name=re.compile("货车位置地图.*在线"))).to_be_visible()
    expect(page.get_by_role("definition").filter(has_text="112")).to_be_visible()
    expect(page.get_by_role("region", name="证照提醒").get_by_text(IN_10_DAYS)).to_be_visible()
    alerts = page.get_by_role("region", name="动态提醒").last
    alerts.get_by_role("button", name=re.compile("超速行驶")).tap()
    expect(page.get_by_role("dialog").get_by_text("进行中").first).to_be_visible()


def test_a_vehicle_that_never_reported_says_so(phone: Phones, api: Api) -> None:
    driver = api.driver()
    page = phone(driver)
    page.goto(f"/driver/bindings/{api.binds(driver, 3)}")
    expect(page.get_by_text("还没有定位")).to_be_visible()
    expect(page.get_by_text("离线")).to_be_visible()


def test_somebody_elses_binding_is_not_there(phone: Phones, api: Api) -> None:
    binding = api.binds(api.driver(2), 2)
    page = phone(api.driver(1))
    page.goto(f"/driver/bindings/{binding}")
    expect(page.get_by_text("没有找到")).to_be_visible()
    expect(page.get_by_role("img", name=plate(2))).to_be_hidden()


# -- unbinding, and again ----------------------------------------------------------------------------------------------


def test_r15_r16_unbinding_tells_what_follows_and_one_tap_binds_again(phone: Phones, api: Api) -> None:
    driver, _ = api.shared(1)
    page = phone(driver)
    page.goto("/driver")
    card(page, 1).get_by_role("button", name="解绑车辆").tap()
    expect(page.get_by_role("dialog").get_by_text("它的 1 个分享会立刻结束")).to_be_visible()
    confirms(page, "解绑车辆")
    expect(page.get_by_text("还没有绑定货车")).to_be_visible()
    assert live(api, driver) == []
    page.get_by_role("tab", name="历史绑定").tap()
    expect(card(page, 1).get_by_text("自己解绑")).to_be_visible()
    card(page, 1).get_by_role("button", name="再次绑定").tap()
    expect(page.get_by_text("已重新绑定")).to_be_visible()
    expect(card(page, 1).get_by_role("link", name="车辆信息")).to_be_visible()
    page.get_by_role("tab", name="历史绑定").tap()
    expect(card(page, 1).get_by_text("已在当前绑定中")).to_be_visible()


def test_r15_unbinding_from_the_vehicles_page_leads_to_history(phone: Phones, api: Api) -> None:
    driver = api.driver()
    page = phone(driver)
    page.goto(f"/driver/bindings/{api.binds(driver, 1)}")
    page.get_by_role("button", name="解绑车辆").tap()
    confirms(page, "解绑车辆")
    expect(card(page, 1).get_by_role("button", name="再次绑定")).to_be_visible()


def test_r16_binding_again_is_refused_with_the_same_help(phone: Phones, api: Api) -> None:
    driver = api.driver()
    api.delete(f"/api/v1/driver/bindings/{api.binds(driver, 4)}", driver)
    for number in (1, 2, 3):
        api.binds(driver, number)
    page = phone(driver)
    page.goto("/driver?list=history")
    card(page, 4).get_by_role("button", name="再次绑定").tap()
    sheet = page.get_by_role("dialog", name="再次绑定")
    sheet.get_by_role("button", name="解绑这辆").first.tap()
    confirms(page, "解绑车辆")
    sheet.get_by_role("button", name="再次绑定").tap()
    expect(card(page, 4).get_by_role("link", name="车辆信息")).to_be_visible()


def test_r41_what_the_owner_unbound_is_marked_so(phone: Phones, api: Api) -> None:
    driver = api.driver()
    binding = api.binds(driver, 1)
    api.delete(f"/api/v1/owner/bindings/{binding}", api.owner())
    page = phone(driver)
    page.goto("/driver?list=history")
    expect(card(page, 1).get_by_text("业户解绑")).to_be_visible()
    page.goto(f"/driver/bindings/{binding}")
    expect(page.get_by_text("由业户解绑")).to_be_visible()


# -- every page --------------------------------------------------------------------------------------------------------


@pytest.fixture
def tour(api: Api, truck: Truck) -> tuple[Session, list[str]]:
    """A driver with something on every page, and the pages."""
    driver, share = api.shared(1)
    binding = share["binding_id"]
    truck.report(alarms=SPEEDING)
    api.opens(api.family(), share)
    api.delegates(driver, 2)
    api.delete(f"/api/v1/driver/bindings/{api.binds(driver, 3)}", driver)
    paths = ["/driver", "/driver?list=history", f"/driver/bindings/{binding}", "/driver/bind", "/driver/delegate"]
    return driver, [*paths, "/driver/shares", "/driver/certificates"]


@pytest.mark.parametrize("dark", [False, True])
def test_every_page_fits_the_smallest_phone_and_every_thumb(
    phone: Phones, tour: tuple[Session, list[str]], dark: bool
) -> None:
    driver, paths = tour
    page = phone(driver, width=360, height=740, dark=dark)
    for path in paths:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") == 360, path
        assert _too_small(page.locator("main button:visible, main a:visible, main input:visible")) == [], path
    page.goto("/driver/bind")
    page.locator("button.strip").tap()
    expect(page.get_by_role("button", name="鄂", exact=True)).to_be_visible()
    assert _too_small(page.locator(".keyboard button:visible")) == []


def _too_small(targets: Locator) -> list[str]:
    """List targets that a thumb would miss. Inputs stand in larger boxes; the map's licence line is no target."""
    return [
        target.evaluate("element => element.outerHTML.slice(0, 120)")
        for target in targets.all()
        if (box := target.bounding_box()) is not None and min(box["width"], box["height"]) < TOUCHABLE_PX - 0.5
    ]


def test_every_page_speaks_english_too(phone: Phones, tour: tuple[Session, list[str]]) -> None:
    driver, paths = tour
    page = phone(driver, english=True, width=360)
    for path in paths:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        names = page.locator("h1, h2, main button, main label, main [role=tab]").all_inner_texts()
        assert names, path
        assert [name for name in names if re.search("[\u4e00-\u9fff]", name.replace("挂", ""))] == [], path
