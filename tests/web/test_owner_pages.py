"""Tests that a business can see its fleet, find a vehicle, and unbind a driver, on a phone."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.api.conftest import vehicle_line
from tests.patience import PATIENCE_S
from tests.web.conftest import Phones
from tests.web.rig import EMERGENCY, IN_10_DAYS, VEHICLES, Api, Server, Truck, plate

OWN = VEHICLES - 1
"""Vehicles of the first business; the last one is another's."""
MANY = 230
"""More than a page of the list holds, and more than a screen."""


def test_a_business_signs_in_and_sees_its_licence_and_how_its_fleet_stands(phone: Phones, truck: Truck) -> None:
    truck.report(alarms=EMERGENCY)
    page = phone()
    page.goto("/sign-in?as=legal")
    page.get_by_label("用户名").fill("owner1")
    page.get_by_label("密码").fill("right-1")
    page.get_by_role("checkbox").click()
    page.get_by_role("button", name="登录", exact=True).click()
    expect(page).to_have_url(re.compile("/owner$"))
    expect(page.get_by_text("道路运输经营许可证")).to_be_visible()
    for tile, figure in (("vehicles", OWN), ("bound", 0), ("online", 1), ("alerting", 1), ("expiring", 1)):
        expect(page.locator(f".tile--{tile} .sw-figure")).to_have_text(str(figure))


def test_r40_bound_and_all_own_vehicles_are_two_lists_and_nobody_else_s_are_in_either(phone: Phones, api: Api) -> None:
    page = phone(api.owner())
    page.goto("/owner/vehicles?list=bound")
    expect(page.get_by_text("还没有司机绑定您的车辆")).to_be_visible()
    api.binds(api.driver(2), 2)
    page.reload()
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_role("img", name=plate(2))).to_be_visible()
    expect(page.get_by_text("1 位司机绑定")).to_be_visible()
    page.get_by_role("tab", name="所有自有车辆").click()
    expect(page.get_by_text(f"共 {OWN} 辆")).to_be_attached()
    expect(page.get_by_role("img", name=plate(VEHICLES))).to_have_count(0)
    page.get_by_role("tab", name="证照临期").click()
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_role("img", name=plate(1))).to_be_visible()


def test_a_vehicle_is_found_by_a_part_of_its_plate(phone: Phones, api: Api) -> None:
    page = phone(api.owner(), width=360, height=740)
    page.goto("/owner/vehicles?list=all")
    page.get_by_role("searchbox").fill(plate(7)[-4:].lower())
    expect(rows(page)).to_have_count(1)
    rows(page).click()
    expect(page).to_have_url(re.compile("/owner/vehicles/[0-9a-f]{16}$"))
    page.get_by_role("button", name="返回").click()
    expect(page.get_by_role("searchbox")).to_have_value(plate(7)[-4:].lower())
    expect(rows(page)).to_have_count(1)
    page.get_by_role("searchbox").fill("没有这个")
    expect(page.get_by_text("没有车牌含“没有这个”的车辆")).to_be_visible()


@pytest.fixture
def large_fleet(server: Server) -> int:
    """Return the number of vehicles that the first business has now."""
    lines = (json.dumps(vehicle_line(number), ensure_ascii=False) for number in range(100, 100 + MANY))
    file = server.yard.folder / "more.jsonl"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    assert server.yard.imports(file).status == 0
    return OWN + MANY


def test_a_long_list_comes_page_by_page_and_keeps_only_what_is_in_sight(
    phone: Phones, api: Api, large_fleet: int
) -> None:
    page = phone(api.owner())
    page.goto("/owner/vehicles?list=all")
    expect(rows(page).first).to_be_visible()
    patient_until = time.monotonic() + PATIENCE_S
    while not page.get_by_text(f"共 {large_fleet} 辆").count() and time.monotonic() < patient_until:
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.wait_for_timeout(100)
    expect(page.get_by_text(f"共 {large_fleet} 辆")).to_be_visible()
    assert rows(page).count() < 40
    where = page.evaluate("scrollY")
    rows(page).nth(8).click()
    expect(page.get_by_role("heading", name="人车绑定情况")).to_be_visible()
    page.get_by_role("button", name="返回").click()
    expect(page.get_by_text(f"共 {large_fleet} 辆")).to_be_attached()
    page.wait_for_function("where => Math.abs(scrollY - where) < 5", arg=where)


def test_r41_a_vehicle_s_page_shows_its_data_where_it_is_and_who_has_bound_it(
    phone: Phones, api: Api, truck: Truck
) -> None:
    api.binds(api.driver(1), 1)
    truck.report(speed_kmh=80)
    page = phone(api.owner(), dark=True)
    page.goto(f"/owner/vehicles/{truck.id}")
    expect(page.get_by_text("80 公里/小时 向东")).to_be_visible()
    expect(page.get_by_text(IN_10_DAYS)).to_be_visible()
    expect(page.get_by_text("自行绑定")).to_be_visible()
    assert "*" in page.locator(".binding strong").inner_text()
    truck.report(speed_kmh=60, alarms=EMERGENCY)
    expect(page.get_by_text("60 公里/小时 向东")).to_be_visible()
    expect(page.get_by_role("region", name="动态提醒").get_by_text("紧急报警").first).to_be_visible()


def test_another_business_s_vehicle_is_not_found(phone: Phones, api: Api, trucks: Callable[[int], Truck]) -> None:
    page = phone(api.owner())
    page.goto(f"/owner/vehicles/{trucks(VEHICLES).id}")
    expect(page.get_by_text("没有这辆车")).to_be_visible()


def test_r41_unbinding_is_told_and_done_and_the_family_s_page_ends(phone: Phones, api: Api, truck: Truck) -> None:
    driver, share = api.shared(1)
    family = api.family()
    api.opens(family, share)
    truck.report()
    watching, page = phone(family), phone(api.owner())
    watching.goto(f"/family/shares/{share['id']}")
    expect(watching.get_by_role("application", name="80 公里/小时")).to_be_visible()
    page.goto(f"/owner/vehicles/{truck.id}")
    page.get_by_role("button", name="解绑").click()
    told = page.get_by_role("alertdialog")
    expect(told.get_by_text("分享给家人的车辆动态全部结束")).to_be_visible()
    told.get_by_role("button", name="取消").click()
    assert len(api.items("/api/v1/driver/vehicles?list=current", driver)) == 1
    page.get_by_role("button", name="解绑").click()
    told.get_by_role("button", name="确认解绑").click()
    expect(page.get_by_text("目前没有司机绑定这辆车")).to_be_visible()
    expect(watching.get_by_text("车辆动态已结束")).to_be_visible()
    (past,) = api.items("/api/v1/driver/vehicles?list=history", driver)
    assert past["unbound_by"] == "owner"
    assert api.preview(share)["state"] == "ended"


def test_the_map_shows_the_fleet_and_moves_and_leads_to_a_vehicle(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report()
    page = phone(api.owner())
    page.goto("/owner/map")
    expect(page.get_by_role("application", name="车队地图：1 辆车")).to_be_visible()
    page.wait_for_function("document.querySelector('canvas.leaflet-zoom-animated')")
    rests(page)
    before = picture(page)
    truck.report(after_s=60)
    page.wait_for_function(f"before => ({PICTURE})() !== before", arg=before)
    page.get_by_role("button", name="显示全部车辆").click()
    page.get_by_role("button", name="在线 1").click()
    rests(page)
    for spot in spots(page):
        page.mouse.click(*spot)
        if page.get_by_role("region", name="选中的车辆").count():
            break
    card = page.get_by_role("region", name="选中的车辆")
    expect(card.get_by_role("img", name=truck.plate)).to_be_visible()
    card.get_by_role("button", name="查看车辆").click()
    expect(page).to_have_url(re.compile(truck.id))


def test_the_map_can_be_narrowed_to_those_with_an_alert(
    phone: Phones, api: Api, trucks: Callable[[int], Truck]
) -> None:
    trucks(1).report(alarms=EMERGENCY)
    trucks(2).report()
    page = phone(api.owner())
    page.goto("/owner/map")
    expect(page.get_by_text("视野内 2 辆")).to_be_visible()
    page.get_by_role("button", name="有提醒 1").click()
    expect(page.get_by_text("视野内 1 辆")).to_be_visible()


PICTURE = "() => document.querySelector('canvas.leaflet-zoom-animated').toDataURL()"


def picture(page: Page) -> str:
    return str(page.evaluate(PICTURE))


def rests(page: Page) -> None:
    """The map has flown to its place: half a second later it looks the same."""
    page.wait_for_function(
        f"() => {{ const before = window.seen; window.seen = ({PICTURE})(); return window.seen === before }}",
        polling=500,
    )


def spots(page: Page) -> list[tuple[float, float]]:
    """Places of the map to tap, from its middle outwards."""
    box = page.get_by_role("application").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    return [(x + dx, y + dy) for reach in range(0, 160, 32) for dx in (-reach, 0, reach) for dy in (-reach, 0, reach)]


def rows(page: Page) -> Locator:
    return page.locator(".rows li")
