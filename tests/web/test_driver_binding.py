"""A driver binds a vehicle on a phone, alone (R11-R14) or by a relative (R22, R23), in a real browser."""

from __future__ import annotations

import json
import re
from typing import Final

import pytest
from playwright.sync_api import Request, expect

from domain.identifiers import vin_check_digit_holds
from tests.web.conftest import Phones
from tests.web.hands import card, closes, confirms, delegates, fills_in, requested, submits, types_plate
from tests.web.rig import Api, Body, Server, Truck, papers, plate

pytestmark = pytest.mark.e2e

CHECKED_VIN: Final = "LSGUA83B3HA123456"
"""Its ninth place is the check digit."""


def test_r11_a_driver_binds_a_vehicle_and_the_form_helps(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report()
    page = phone(api.driver())
    page.goto("/driver")
    page.get_by_role("button", name="自行绑定").tap()
    vin = papers(1)["vin"]
    fills_in(page, 1, vin=vin.replace("0", "o").lower())
    expect(page.locator("input[name=vin]")).to_have_value(vin.replace("0", "O"))
    expect(page.get_by_text("VIN 里没有字母 I、O、Q")).to_be_visible()
    page.get_by_role("button", name=f"改成 {vin}").tap()
    expect(page.get_by_text("17/17")).to_be_visible()
    page.locator("summary").tap()
    expect(page.get_by_text("车辆识别代号")).to_be_visible()
    submits(page)
    expect(page.get_by_text("绑定成功")).to_be_visible()
    expect(card(page, 1).get_by_text("在线")).to_be_visible()


def test_the_vin_is_checked_while_it_is_typed_and_its_check_digit_is_a_hint_only(phone: Phones, api: Api) -> None:
    assert vin_check_digit_holds(CHECKED_VIN)
    page = phone(api.driver())
    page.goto("/driver/bind")
    field = page.locator("input[name=vin]")
    field.fill(CHECKED_VIN[:12])
    expect(page.get_by_text("还差 5 位")).to_be_visible()
    field.fill(CHECKED_VIN)
    expect(page.get_by_text("校验位正确")).to_be_visible()
    field.fill(CHECKED_VIN[:-1] + "7")
    expect(page.get_by_text("校验位对不上")).to_be_visible()
    expect(page.get_by_text("请填写 17 位")).to_be_hidden()


@pytest.mark.parametrize("text, hint", [("粤BD12345", "8 位新能源号牌"), ("鲁H123A挂", "挂车号牌是黄牌")])
def test_the_plate_keyboard_knows_new_energy_and_trailers(phone: Phones, api: Api, text: str, hint: str) -> None:
    page = phone(api.driver())
    page.goto("/driver/bind")
    types_plate(page, text)
    expect(page.locator("button.strip")).to_have_accessible_name(re.compile(text))
    expect(page.get_by_text(hint)).to_be_visible()
    submits(page)
    expect(page.get_by_text("请选车牌颜色")).to_be_visible()
    expect(page.get_by_text("号牌还不完整")).to_be_hidden()


def test_a_plate_may_be_typed_on_real_keys_and_pasted(phone: Phones, api: Api) -> None:
    page = phone(api.driver())
    page.goto("/driver/bind")
    strip = page.locator("button.strip")
    strip.tap()
    page.get_by_role("button", name="鄂", exact=True).tap()
    strip.press("a")
    strip.press("i")
    strip.press("7")
    expect(strip).to_have_accessible_name(re.compile("鄂A7。"))
    page.evaluate("navigator.clipboard.writeText(' 沪b·9k2l1 ')")
    strip.press("ControlOrMeta+v")
    expect(strip).to_have_accessible_name(re.compile("沪B9K2L1。"))


def test_r11_a_mismatch_never_says_which_and_can_be_put_right(phone: Phones, api: Api) -> None:
    page = phone(api.driver())
    page.goto("/driver/bind")
    fills_in(page, 1, vin=papers(2)["vin"])
    submits(page)
    refusal = page.get_by_role("alert").filter(has_text="四项里有对不上登记的")
    for each in ("号牌", "颜色", "运输证号", "VIN"):
        expect(refusal.get_by_text(re.compile(f"^{each}："))).to_be_visible()
    page.locator("input[name=vin]").fill(papers(1)["vin"])
    expect(refusal).to_be_hidden()
    submits(page)
    expect(card(page, 1)).to_be_visible()


def test_r12_who_has_three_is_told_before_the_form_and_unbinds_in_place(phone: Phones, api: Api) -> None:
    driver = api.driver()
    for number in (1, 2, 3):
        api.binds(driver, number)
    page = phone(driver)
    page.goto("/driver/bind")
    refusal = page.get_by_role("alert").filter(has_text="已经绑满 3 辆")
    expect(refusal).to_be_visible()
    expect(page.locator("form")).to_be_hidden()
    refusal.get_by_role("listitem").filter(has=page.get_by_role("img", name=plate(2))).get_by_role("button").tap()
    confirms(page, "解绑车辆")
    fills_in(page, 4)
    submits(page)
    expect(card(page, 4)).to_be_visible()
    expect(card(page, 2)).to_be_hidden()


def test_r22_who_has_three_is_told_before_a_relative_is_asked(phone: Phones, api: Api) -> None:
    driver = api.driver()
    for number in (1, 2, 3):
        api.binds(driver, number)
    page = phone(driver)
    page.goto("/driver/delegate")
    expect(page.get_by_role("alert").filter(has_text="家人替您绑定之前，先解绑一辆")).to_be_visible()
    assert delegates(page, 4)


def test_r13_the_day_is_told_before_the_form(phone: Phones, api: Api) -> None:
    driver = api.driver()
    for number in range(1, 11):
        api.delete(f"/api/v1/driver/bindings/{api.binds(driver, number)}", driver)
    page = phone(driver)
    page.goto("/driver/bind")
    expect(page.get_by_role("alert").filter(has_text="12 个月内绑定的车已满 10 辆")).to_be_visible()
    expect(page.get_by_text("起可以再绑定新的车")).to_be_visible()
    fills_in(page, 3)
    submits(page)
    expect(card(page, 3)).to_be_visible()


@pytest.mark.parametrize("text, hint", [("黑0112345", "拖拉机、联合收割机"), ("苏17A234挂", "拖拉机、联合收割机")])
def test_the_plate_keyboard_knows_farm_machines(phone: Phones, api: Api, text: str, hint: str) -> None:
    page = phone(api.driver())
    page.goto("/driver/bind")
    types_plate(page, text)
    expect(page.locator("button.strip")).to_have_accessible_name(re.compile(text))
    expect(page.get_by_text(hint)).to_be_visible()
    submits(page)
    expect(page.get_by_text("请选车牌颜色")).to_be_visible()
    expect(page.get_by_text("号牌不是常见的样子")).to_be_hidden()


@pytest.mark.parametrize(
    "pasted, plate_read",
    [
        ("黑01·12345", "黑0112345"),
        ("\u200b鄂Ａ・００００１\ufeff", "鄂A00001"),
        ("粤b1o34I", "粤B10341"),
        ("京A·D12345", "京AD12345"),
    ],
)
def test_a_pasted_plate_is_read_however_it_was_typed(phone: Phones, api: Api, pasted: str, plate_read: str) -> None:
    page = phone(api.driver())
    page.goto("/driver/bind")
    page.evaluate("text => navigator.clipboard.writeText(text)", pasted)
    strip = page.locator("button.strip")
    strip.tap()
    strip.press("Control+V")
    expect(strip).to_have_accessible_name(re.compile(f"{plate_read}。"))


def test_r12_who_is_refused_a_fourth_unbinds_in_place_and_submits_again(phone: Phones, api: Api) -> None:
    driver = api.driver()
    page = phone(driver)
    page.goto("/driver/bind")
    fills_in(page, 4)
    for number in (1, 2, 3):
        api.binds(driver, number)
    submits(page)
    refusal = page.get_by_role("alert").filter(has_text="已经绑满 3 辆")
    refusal.get_by_role("listitem").filter(has=page.get_by_role("img", name=plate(2))).get_by_role("button").tap()
    confirms(page, "解绑车辆")
    expect(page.get_by_text("已有空位")).to_be_visible()
    submits(page)
    expect(card(page, 4)).to_be_visible()
    expect(card(page, 2)).to_be_hidden()


def test_r13_the_eleventh_vehicle_is_refused_with_the_day(phone: Phones, api: Api, server: Server) -> None:
    driver = api.driver()
    for number in range(1, 11):
        api.delete(f"/api/v1/driver/bindings/{api.binds(driver, number)}", driver)
    refused = api.ask("POST", "/api/v1/driver/bindings", driver, _form(11))
    frees_on = json.loads(refused.body)["frees_on"]
    page = phone(driver)
    page.goto("/driver/bind")
    fills_in(page, 11)
    submits(page)
    year, month, day = map(int, frees_on.split("-"))
    expect(page.get_by_text(f"{year}年{month}月{day}日 起可以再绑定新的车")).to_be_visible()
    page.get_by_role("link", name="去历史绑定").tap()
    expect(card(page, 10)).to_be_visible()


def _form(number: int) -> Body:
    return {"plate": plate(number), "plate_color": "yellow"} | papers(number)


def test_r14_a_vehicle_that_is_bound_already_is_opened_instead(phone: Phones, api: Api) -> None:
    driver = api.driver()
    binding = api.binds(driver, 1)
    page = phone(driver)
    page.goto("/driver/bind")
    fills_in(page, 1)
    submits(page)
    page.get_by_role("link", name="打开这辆车").tap()
    page.wait_for_url(f"**/driver/bindings/{binding}")


def test_r61_too_many_wrong_attempts_say_in_how_many_minutes(phone: Phones, api: Api) -> None:
    driver = api.driver()
    for _ in range(10):
        assert api.ask("POST", "/api/v1/driver/bindings", driver, _form(1) | {"vin": papers(2)["vin"]}).status == 422
    page = phone(driver)
    page.goto("/driver/bind")
    fills_in(page, 1)
    submits(page)
    expect(page.get_by_text("约 60 分钟后可以再试")).to_be_visible()


def test_a_form_that_is_not_complete_is_not_sent(phone: Phones, api: Api) -> None:
    page = phone(api.driver())
    page.goto("/driver/bind")
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if request.method == "POST" else None)
    submits(page)
    for words in ("号牌还不完整", "请选车牌颜色", "请填写道路运输证号", "请填写 17 位 VIN 码"):
        expect(page.get_by_text(words)).to_be_visible()
    assert sent == []


def test_r22_a_relative_binds_through_the_link_and_the_vehicle_stands_as_delegated(phone: Phones, api: Api) -> None:
    driver, family = api.driver(), api.family()
    name = family["account"]["display_name"]
    page = phone(driver)
    link = delegates(page, 1)
    closes(page)
    expect(requested(page, 1).get_by_text("未打开")).to_be_visible()

    second = phone(family)
    second.goto(link)
    second.get_by_role("button", name="开始绑定").tap()
    second.wait_for_url("**/family/delegations/*")
    page.reload()
    expect(requested(page, 1).get_by_text(f"{name} 已打开")).to_be_visible()
    second.locator("input[name=transport_cert_no]").fill(papers(1)["transport_cert_no"])
    second.locator("input[name=vin]").fill(papers(1)["vin"])
    second.get_by_role("button", name="绑定车辆").tap()
    expect(second.get_by_text("绑定成功")).to_be_visible()

    page.reload()
    expect(requested(page, 1).get_by_text("已绑定")).to_be_visible()
    page.goto("/driver")
    expect(card(page, 1).get_by_text(f"{name} 代绑")).to_be_visible()


def test_r23_a_delegation_that_was_withdrawn_opens_for_nobody(phone: Phones, api: Api) -> None:
    page = phone(api.driver())
    link = delegates(page, 1)
    closes(page)
    requested(page, 1).get_by_role("button", name="撤回").tap()
    confirms(page, "撤回")
    expect(requested(page, 1).get_by_text("已撤回")).to_be_visible()
    expect(requested(page, 1).get_by_role("button")).to_be_hidden()
    second = phone(api.family())
    second.goto(link)
    expect(second.get_by_text("这个委托已经结束")).to_be_visible()


def test_r23_a_delegation_that_nobody_used_expires(phone: Phones, api: Api, server: Server) -> None:
    driver = api.driver()
    api.delegates(driver, 1)
    server.advances(7 * 86_400)
    page = phone(driver)
    page.goto("/driver/delegate")
    expect(requested(page, 1).get_by_text("已过期")).to_be_visible()


def test_r22_what_is_bound_already_needs_no_delegation(phone: Phones, api: Api) -> None:
    driver = api.driver()
    api.binds(driver, 1)
    page = phone(driver)
    page.goto("/driver/delegate")
    types_plate(page, plate(1))
    page.get_by_role("radio", name="黄牌", exact=True).tap()
    page.locator("form").get_by_role("button", name="委托绑定").tap()
    expect(page.get_by_text("这辆车已经绑定了")).to_be_visible()
