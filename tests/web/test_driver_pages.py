"""What does a driver see and do on a phone? Every flow of the guide's first part, by touch, in a real browser."""

from __future__ import annotations

import re
from typing import Final

import pytest
from playwright.sync_api import Locator, Page, Request, Route, expect

from domain.identifiers import vin_check_digit_holds
from tests.web.conftest import Phones
from tests.web.rig import SPEEDING, Api, Body, Server, Session, Truck, papers, plate

pytestmark = pytest.mark.e2e

TOUCHABLE_PX: Final = 44
SHARES: Final = "/api/v1/driver/shares"
CURRENT: Final = "/api/v1/driver/vehicles?list=current"
CHECKED_VIN: Final = "LSGUA83B5HA123456"
"""Its ninth place is the check digit."""


def card(page: Page, number: int) -> Locator:
    """Of a vehicle, in one of the lists."""
    return page.get_by_role("article", name=plate(number))


def types_plate(page: Page, text: str) -> None:
    """Key by key, on the plate keyboard."""
    page.locator("button.strip").tap()
    keyboard = page.get_by_role("group", name="号牌键盘")
    for char in text:
        keyboard.get_by_role("button", name=char, exact=True).tap()
    keyboard.get_by_role("button", name="完成").tap()
    expect(keyboard).to_be_hidden()


def fills_in(page: Page, number: int, **changes: str) -> None:
    """The whole form of 自行绑定, as on this vehicle's papers unless said otherwise."""
    told = {"plate": plate(number), "color": "黄牌"} | papers(number) | changes
    types_plate(page, told["plate"])
    page.get_by_role("radio", name=told["color"], exact=True).tap()
    page.locator("input[name=transport_cert_no]").fill(told["transport_cert_no"])
    page.locator("input[name=vin]").fill(told["vin"])


def submits(page: Page) -> None:
    page.locator("form").get_by_role("button", name="自行绑定").tap()


def confirms(page: Page, button: str) -> None:
    """In the dialog that asks first."""
    page.locator(".van-dialog").get_by_role("button", name=button, exact=True).tap()


def looks_again(page: Page) -> None:
    """As when the phone finds its network again; the page would do so by itself, some seconds later."""
    page.evaluate("dispatchEvent(new Event('online'))")


def shares_for(page: Page, duration: str = "3 天") -> str:
    """Taps 分享动态; the link that is shown."""
    page.get_by_role("radio", name=duration, exact=True).tap()
    page.get_by_role("button", name="分享动态").tap()
    return the_link(page)


def the_link(page: Page) -> str:
    shown = page.get_by_label("链接", exact=True)
    expect(shown).to_be_visible()
    return shown.inner_text()


def closes(page: Page) -> None:
    """The sheet with the link, which was not copied."""
    page.get_by_role("button", name="发好了").tap()
    confirms(page, "关上")
    expect(page.get_by_label("链接", exact=True)).to_be_hidden()


def live(api: Api, session: Session) -> list[Body]:
    return [share for share in api.items(SHARES, session) if share["status"] in ("unopened", "open")]


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
    page.get_by_role("link", name="从业资格证 还有 20 天到期").tap()
    expect(page.get_by_role("heading", name="我的证照")).to_be_visible()
    expect(page.get_by_text("还有 20 天到期")).to_be_visible()
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


# -- binding -----------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(("text", "hint"), [("粤BD12345", "8 位新能源号牌"), ("鲁H123A挂", "挂车号牌是黄牌")])
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


def test_r12_who_is_refused_a_fourth_unbinds_in_place_and_submits_again(phone: Phones, api: Api) -> None:
    driver = api.driver()
    for number in (1, 2, 3):
        api.binds(driver, number)
    page = phone(driver)
    page.goto("/driver")
    expect(page.get_by_text("已绑满 3 辆")).to_be_visible()
    page.get_by_role("button", name="自行绑定").tap()
    fills_in(page, 4)
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
    frees_on = api.ask("POST", "/api/v1/driver/bindings", driver, _form(11)).holds(dict)["frees_on"]
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
    expect(page.get_by_role("region", name="证照提醒").get_by_text("还有 10 天到期")).to_be_visible()
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


# -- sharing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("duration", "until"),
    [("3 天", "2月3日 10:00"), ("7 天", "2月7日 10:00"), ("1 个月", "2月28日 10:00"), ("1 年", "2027年1月31日 10:00")],
)
def test_r17_the_sheet_tells_until_when_a_share_would_live(phone: Phones, api: Api, duration: str, until: str) -> None:
    driver = api.driver()
    page = phone(driver)
    page.clock.set_fixed_time("2026-01-31T02:00:00Z")
    page.goto(f"/driver/bindings/{api.binds(driver, 1)}")
    page.get_by_role("radio", name=duration, exact=True).tap()
    expect(page.get_by_text(f"到 {until} 自动结束")).to_be_visible()


def test_r17_r63_a_share_is_copied_opened_and_the_driver_sees_by_whom(phone: Phones, api: Api) -> None:
    driver, family = api.driver(), api.family()
    page = phone(driver)
    page.goto(f"/driver/bindings/{api.binds(driver, 1)}")
    link = shares_for(page, "7 天")
    expect(page.get_by_role("dialog").get_by_text("只有第一个打开的人能看")).to_be_visible()
    expect(page.get_by_role("dialog").get_by_text("链接只显示这一次")).to_be_visible()
    expect(page.get_by_role("img", name="二维码")).to_be_visible()
    page.get_by_role("button", name="复制链接").tap()
    expect(page.get_by_text("已复制")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == link
    page.get_by_role("button", name="发好了").tap()
    expect(page.get_by_label("链接", exact=True)).to_be_hidden()
    shares = page.get_by_role("region", name="正在分享")
    expect(shares.get_by_text("等家人打开")).to_be_visible()

    second = phone(family)
    second.goto(link)
    second.get_by_role("button", name="查看车辆动态").tap()
    second.wait_for_url("**/family/shares/*")
    expect(second.get_by_role("img", name=plate(1))).to_be_visible()

    looks_again(page)
    expect(shares.get_by_text(family["account"]["display_name"])).to_be_visible()
    expect(shares.get_by_text(re.compile("最近查看 .+:"))).to_be_visible()
    assert link.partition("#")[2] not in page.content()
    assert live(api, driver)[0]["duration"] == "7d"


def test_the_link_goes_to_the_phones_own_share_sheet_where_it_has_one(phone: Phones, api: Api) -> None:
    driver = api.driver()
    page = phone(driver)
    page.add_init_script("window.sent = []; navigator.share = async (message) => { window.sent.push(message); };")
    page.goto(f"/driver/bindings/{api.binds(driver, 1)}")
    link = shares_for(page)
    page.get_by_role("button", name="发送给…").tap()
    assert [message["url"] for message in page.evaluate("window.sent")] == [link]
    page.get_by_role("button", name="发好了").tap()
    expect(page.get_by_label("链接", exact=True)).to_be_hidden()


def test_a_link_that_was_not_copied_is_not_lost_by_a_slip(phone: Phones, api: Api) -> None:
    driver = api.driver()
    page = phone(driver)
    page.goto(f"/driver/bindings/{api.binds(driver, 1)}")
    link = shares_for(page)
    page.get_by_role("button", name="关闭").tap()
    expect(page.get_by_text("链接还没有复制")).to_be_visible()
    confirms(page, "先不")
    assert the_link(page) == link
    closes(page)


def test_a_double_tap_makes_one_share(phone: Phones, api: Api) -> None:
    driver = api.driver()
    page = phone(driver)
    page.goto(f"/driver/bindings/{api.binds(driver, 1)}")
    page.get_by_role("button", name="分享动态").evaluate("button => { button.click(); button.click(); }")
    the_link(page)
    assert len(live(api, driver)) == 1


def test_a_share_whose_answer_was_lost_is_the_same_share_when_tapped_again(phone: Phones, api: Api) -> None:
    driver = api.driver()
    page = phone(driver)
    page.goto(f"/driver/bindings/{api.binds(driver, 1)}")
    page.route("**/bindings/*/shares", _loses_the_answer, times=1)
    page.get_by_role("button", name="分享动态").tap()
    expect(page.get_by_text("网络不通")).to_be_visible()
    made = live(api, driver)
    page.get_by_role("button", name="分享动态").tap()
    the_link(page)
    assert live(api, driver) == made
    assert len(made) == 1


def _loses_the_answer(route: Route) -> None:
    route.fetch()
    route.abort()


def test_r18_a_vehicle_with_three_shares_says_that_it_is_full(phone: Phones, api: Api) -> None:
    driver = api.driver()
    binding = api.binds(driver, 1)
    for _ in range(2):
        api.shares(driver, binding)
    page = phone(driver)
    page.goto(f"/driver/bindings/{binding}")
    shares_for(page)
    closes(page)
    expect(page.get_by_text("这辆车已有 3 个分享")).to_be_visible()
    expect(page.get_by_role("button", name="分享动态")).to_be_hidden()
    page.get_by_role("button", name="取消", exact=True).first.tap()
    confirms(page, "取消分享")
    expect(page.get_by_role("button", name="分享动态")).to_be_visible()


def test_r18_shares_of_other_drivers_count_too(phone: Phones, api: Api) -> None:
    other, driver = api.driver(2), api.driver(1)
    theirs = api.binds(other, 1)
    for _ in range(3):
        api.shares(other, theirs)
    page = phone(driver)
    page.goto(f"/driver/bindings/{api.binds(driver, 1)}")
    page.get_by_role("button", name="分享动态").tap()
    expect(page.get_by_text("与其他司机合计")).to_be_visible()


def test_r19_sharing_another_vehicle_leads_to_cancelling_the_first(phone: Phones, api: Api) -> None:
    driver = api.driver()
    first, second = api.binds(driver, 1), api.binds(driver, 2)
    api.shares(driver, first)
    page = phone(driver)
    page.goto(f"/driver/bindings/{second}")
    page.get_by_role("button", name="分享动态").tap()
    refusal = page.get_by_role("alert").filter(has_text="您正在分享另一辆车")
    expect(refusal.get_by_role("img", name=plate(1))).to_be_visible()
    refusal.get_by_role("link", name="去看那辆车").tap()
    page.wait_for_url(f"**/driver/bindings/{first}")
    page.go_back()
    page.get_by_role("button", name="分享动态").tap()
    refusal.get_by_role("button", name="取消那辆车的分享").tap()
    confirms(page, "取消分享")
    expect(page.get_by_text("可以分享这一辆了")).to_be_visible()
    shares_for(page)
    assert [share["binding_id"] for share in live(api, driver)] == [second]


def test_r21_cancelling_ends_it_on_the_family_phone_at_once(phone: Phones, api: Api) -> None:
    driver, share = api.shared(1)
    family = api.family()
    api.opens(family, share)
    watching = phone(family)
    watching.goto(f"/family/shares/{share['id']}")
    expect(watching.get_by_role("img", name=plate(1))).to_be_visible()
    page = phone(driver)
    page.goto("/driver")
    expect(card(page, 1).get_by_text("1 个正在分享")).to_be_visible()
    card(page, 1).get_by_role("button", name="取消分享").tap()
    confirms(page, "先不")
    assert len(live(api, driver)) == 1
    card(page, 1).get_by_role("button", name="取消分享").tap()
    confirms(page, "取消分享")
    expect(watching.get_by_text("车辆动态已结束")).to_be_visible()
    expect(card(page, 1).get_by_role("button", name="取消分享")).to_be_hidden()
    assert live(api, driver) == []


def test_r21_one_share_alone_or_all_of_a_vehicle_are_cancelled(phone: Phones, api: Api) -> None:
    driver = api.driver()
    binding = api.binds(driver, 1)
    shares = [api.shares(driver, binding, duration) for duration in ("3d", "7d", "1y")]
    api.opens(api.family(), shares[0])
    page = phone(driver)
    page.goto(f"/driver/bindings/{binding}")
    opened = page.get_by_role("listitem").filter(has_text="已打开")
    opened.get_by_role("button", name="取消").tap()
    confirms(page, "取消分享")
    expect(opened).to_be_hidden()
    assert {share["duration"] for share in live(api, driver)} == {"7d", "1y"}
    page.get_by_role("button", name="取消分享（全部 2 个）").tap()
    confirms(page, "取消分享")
    expect(page.get_by_text("还没有分享这辆车")).to_be_visible()
    assert live(api, driver) == []


def test_r63_all_shares_of_all_vehicles_are_one_list(phone: Phones, api: Api) -> None:
    driver, share = api.shared(1)
    api.cancels(driver, share)
    second = api.shares(driver, api.binds(driver, 2))
    api.opens(api.family(), second)
    page = phone(driver)
    page.goto("/driver")
    page.get_by_role("link", name="我的分享").tap()
    ended = page.get_by_role("listitem").filter(has=page.get_by_role("img", name=plate(1)))
    lives = page.get_by_role("listitem").filter(has=page.get_by_role("img", name=plate(2)))
    expect(ended.get_by_text("已取消")).to_be_visible()
    expect(ended.get_by_role("button")).to_be_hidden()
    lives.get_by_role("button", name="取消").tap()
    confirms(page, "取消分享")
    expect(lives.get_by_text("已取消")).to_be_visible()


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


# -- delegation --------------------------------------------------------------------------------------------------------


def delegates(page: Page, number: int) -> str:
    """The link."""
    page.goto("/driver/delegate")
    types_plate(page, plate(number))
    page.get_by_role("radio", name="黄牌", exact=True).tap()
    page.locator("form").get_by_role("button", name="委托绑定").tap()
    return the_link(page)


def requested(page: Page, number: int) -> Locator:
    """Its line in 委托记录."""
    return page.get_by_role("listitem").filter(has=page.get_by_role("img", name=plate(number)))


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
    expect(second.get_by_text("委托已结束")).to_be_visible()


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
    """What a thumb would miss. Inputs stand in a box of their own that is larger; the map's licence line is no target."""
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
