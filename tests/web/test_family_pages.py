"""A family member's pages on a phone: every flow of the guide's second part, in a real browser."""

from __future__ import annotations

import gzip
import re
import time
from typing import Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Response, expect

from tests.web.conftest import Phones
from tests.web.rig import EMERGENCY, IN_10_DAYS, STRANGER, Api, Body, Server, Session, Truck, mobile, papers

pytestmark = pytest.mark.e2e

FIRST_LOAD_BYTES: Final = 200_000
"""The most bytes of the family page, gzipped."""
TOUCHABLE_PX: Final = 44
BEFORE_IT_ASKS_S: Final = 15.0
"""The page would learn of it in 30 s without the stream (R31); the second itself is for the service's tests."""
ENDED: Final = "车辆动态已结束"

Watching = tuple[Page, Session, Body]
"""The page, the driver, the share."""


def watches(phone: Phones, api: Api, *, dark: bool = False, width: int = 390) -> Watching:
    """A registered family member looks at vehicle 1, live."""
    driver, share = api.shared(1)
    family = api.family()
    api.opens(family, share)
    page = phone(family, dark=dark, width=width)
    page.goto(f"/family/shares/{share['id']}")
    expect(page.get_by_text("实时")).to_be_visible()
    return page, driver, share


def signs_in_with_one_click(page: Page, number: int, *, button: str) -> None:
    """Sign in on the page: phone number, the statement, on."""
    page.get_by_label("手机号").fill(mobile(number))
    page.get_by_role("button", name=button).click()
    page.get_by_role("button", name="同意", exact=True).click()


def shows_speed(page: Page, kmh: int) -> None:
    expect(page.locator(".here dd").first).to_have_text(f"{kmh}公里/小时")


def has_not_been_reloaded(page: Page) -> bool:
    return bool(page.evaluate("window.sameAsBefore === true"))


def marks(page: Page) -> None:
    """Mark the page, so that a reload would be noticed."""
    page.evaluate("window.sameAsBefore = true")


# -- links -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_signed_in", [False, True])
def test_a_preview_claims_nothing_and_tells_only_a_masked_plate(
    phone: Phones, api: Api, truck: Truck, is_signed_in: bool
) -> None:
    truck.report()
    _, share = api.shared(1)
    page = phone(api.family() if is_signed_in else None)
    page.goto(share["link"])
    expect(page.get_by_text("鄂A***01")).to_be_visible()
    expect(page.get_by_role("button", name="查看车辆动态" if is_signed_in else "一键登录查看")).to_be_enabled()
    assert truck.plate not in page.content()
    assert share["token"] not in page.url
    assert api.preview(share)["state"] == "unopened"


def test_one_click_opens_the_link_in_place_and_shows_the_truck(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report(speed_kmh=63)
    driver, share = api.shared(1)
    page = phone()
    page.goto(share["link"])
    signs_in_with_one_click(page, STRANGER, button="一键登录查看")
    page.wait_for_url(f"**/family/shares/{share['id']}")
    expect(page.get_by_role("img", name=truck.plate)).to_be_visible()
    shows_speed(page, 63)
    expect(page.get_by_text("武汉市附近")).to_be_visible()
    expect(page.get_by_text(IN_10_DAYS)).to_be_visible()
    expect(page.get_by_text("分享还剩 3 天")).to_be_visible()
    assert api.items("/api/v1/driver/shares", driver)[0]["status"] == "open"
    assert share["token"] not in page.evaluate("JSON.stringify([localStorage, sessionStorage])")


def test_r20_of_two_phones_with_one_link_the_second_is_told_kindly(phone: Phones, api: Api) -> None:
    _, share = api.shared(1)
    first, second = phone(), phone()
    for page in (first, second):
        page.goto(share["link"])
        expect(page.get_by_text("鄂A***01")).to_be_visible()
    signs_in_with_one_click(first, STRANGER, button="一键登录查看")
    first.wait_for_url("**/family/shares/*")
    signs_in_with_one_click(second, STRANGER - 1, button="一键登录查看")
    expect(second.get_by_text("链接已被别人打开")).to_be_visible()
    third = phone()
    third.goto(share["link"])
    expect(third.get_by_text("链接已被别人打开")).to_be_visible()


def test_r20_who_opened_a_link_comes_back_by_it(phone: Phones, api: Api) -> None:
    _, share = api.shared(1)
    family = api.one_click()
    api.opens(family, share)
    page = phone(family)
    page.goto(share["link"])
    page.wait_for_url("**/family/shares/*")
    on_another_phone = phone()
    on_another_phone.goto(share["link"])
    on_another_phone.get_by_role("button", name="是我打开的，登录").click()
    signs_in_with_one_click(on_another_phone, STRANGER, button="一键登录")
    on_another_phone.wait_for_url("**/family/shares/*")


def test_r20_the_driver_does_not_use_up_the_own_link(phone: Phones, api: Api) -> None:
    driver, share = api.shared(1)
    page = phone(driver)
    page.goto(share["link"])
    expect(page.get_by_text("这是您自己发出的链接")).to_be_visible()
    assert api.preview(share)["state"] == "unopened"


def test_links_that_are_cut_off_unknown_or_ended_say_so(phone: Phones, api: Api) -> None:
    driver, share = api.shared(1)
    page = phone()
    page.goto("/s")
    expect(page.get_by_text("链接不完整")).to_be_visible()
    page.goto(f"/s#{share['token'][:-4]}AAAA")
    expect(page.get_by_text("没有这个链接")).to_be_visible()
    api.cancels(driver, share)
    page.goto("about:blank")
    page.goto(share["link"])
    expect(page.get_by_text(ENDED)).to_be_visible()


# -- watching ----------------------------------------------------------------------------------------------------------


def test_r31_the_truck_moves_without_a_reload(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report(speed_kmh=40, course_deg=0)
    page, _, _ = watches(phone, api)
    shows_speed(page, 40)
    expect(page.get_by_text("向北", exact=True)).to_be_visible()
    marks(page)
    truck.report(speed_kmh=72, course_deg=90, after_s=60)
    expect(page.locator(".here dd").first).to_have_text("72公里/小时", timeout=5_000)
    expect(page.get_by_text("向东", exact=True)).to_be_visible()
    expect(page.get_by_role("application", name="货车位置地图")).to_have_attribute(
        "aria-label", re.compile(f"{truck.plate}.*72 公里/小时 向东.*在线")
    )
    expect(page.locator(".sw-truck__turn")).to_have_attribute("style", re.compile(r"rotate\(90deg\)"))
    assert has_not_been_reloaded(page)


def test_r34_an_alert_runs_past_and_its_detail_follows_it_to_its_end(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report()
    page, _, _ = watches(phone, api)
    expect(page.get_by_text("暂无动态提醒")).to_be_visible()
    truck.report(speed_kmh=65, alarms=EMERGENCY)
    ticker = page.get_by_role("region", name="动态提醒")
    expect(ticker).to_contain_text("紧急报警")
    expect(ticker).to_contain_text("进行中")
    ticker.get_by_role("button", name="紧急报警").focus()
    page.keyboard.press("Enter")
    sheet = page.get_by_role("dialog", name="提醒详情")
    expect(sheet).to_contain_text("车速65 公里/小时")
    expect(sheet).to_contain_text("结束进行中")
    expect(
        sheet.get_by_role("application", name="提醒发生的地点").locator("path.leaflet-interactive, path")
    ).to_have_count(1)
    truck.report(speed_kmh=50)
    expect(sheet.get_by_text("已结束")).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()


def test_r34_what_the_platform_inferred_is_suspected_and_all_alerts_are_listed(
    phone: Phones, api: Api, truck: Truck
) -> None:
    truck.report()
    page, _, _ = watches(phone, api)
    for _ in range(2):
        truck.report(speed_kmh=118)
    ticker = page.get_by_role("region", name="动态提醒")
    expect(ticker).to_contain_text("疑似超速行驶，最高 118 公里/小时，限速 100 公里/小时")
    ticker.get_by_role("button", name="详情").click()
    page.wait_for_url("**/alerts")
    page.get_by_role("button", name="疑似超速行驶").click()
    sheet = page.get_by_role("dialog", name="提醒详情")
    expect(sheet).to_contain_text("平台推断")
    expect(sheet).to_contain_text("最高车速118 公里/小时")
    expect(sheet).to_contain_text("限速100 公里/小时")


def test_r32_an_offline_truck_still_shows_where_it_was_and_how_long_ago(
    phone: Phones, api: Api, truck: Truck, server: Server
) -> None:
    truck.report()
    page, _, _ = watches(phone, api)
    expect(page.get_by_text("在线", exact=True)).to_be_visible()
    marks(page)
    server.advances(600)
    expect(page.get_by_text("离线", exact=True)).to_be_visible()
    expect(page.get_by_text("武汉市附近")).to_be_visible()
    expect(page.get_by_text("图上是 10 分钟前的位置")).to_be_visible()
    truck.report(speed_kmh=55)
    expect(page.get_by_text("在线", exact=True)).to_be_visible()
    assert has_not_been_reloaded(page)


def test_r33_a_cancelled_share_ends_in_that_second_and_leaves_nothing(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report()
    page, driver, share = watches(phone, api)
    expect(page.get_by_text("武汉市附近")).to_be_visible()
    alerts = phone(api.family())
    alerts.goto(f"/family/shares/{share['id']}/alerts")
    expect(alerts.get_by_text("实时")).to_be_visible()
    api.cancels(driver, share)
    cancelled = time.monotonic()
    expect(page.get_by_text(ENDED)).to_be_visible()
    assert time.monotonic() - cancelled < BEFORE_IT_ASKS_S
    expect(alerts.get_by_text(ENDED)).to_be_visible()
    for secret in (truck.plate, "武汉市", "公里/小时"):
        assert secret not in page.content()
    assert page.locator(".leaflet-container").count() == 0
    assert "wgs84" not in page.evaluate("JSON.stringify([localStorage, sessionStorage, history.state])")
    page.reload()
    expect(page.get_by_text(ENDED)).to_be_visible()


def test_r33_an_expired_share_ends_by_itself(phone: Phones, api: Api, truck: Truck, server: Server) -> None:
    truck.report()
    page, _, _ = watches(phone, api)
    server.advances(3 * 86_400)
    expect(page.get_by_text(ENDED)).to_be_visible()


# -- bad lines ---------------------------------------------------------------------------------------------------------


def test_r33_a_restarted_server_is_never_an_ended_share_and_needs_no_reload(
    phone: Phones, api: Api, truck: Truck, server: Server
) -> None:
    truck.report(speed_kmh=40)
    page, _, _ = watches(phone, api)
    shows_speed(page, 40)
    marks(page)
    server.is_killed()
    expect(page.get_by_text("正在重连", exact=True)).to_be_visible()
    expect(page.get_by_text("武汉市附近")).to_be_visible()
    expect(page.get_by_text(ENDED)).to_be_hidden()
    server.starts()
    truck.report(speed_kmh=58)
    expect(page.get_by_text("实时")).to_be_visible()
    shows_speed(page, 58)
    assert has_not_been_reloaded(page)


def test_r31_where_streams_do_not_get_through_it_asks_every_30_seconds(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report(speed_kmh=40)
    _, share = api.shared(1)
    family = api.family()
    api.opens(family, share)
    page = phone(family)
    page.clock.install()
    page.route("**/live", lambda route: route.fulfill(status=502, body="no streams here"))
    page.goto(f"/family/shares/{share['id']}")
    shows_speed(page, 40)
    expect(page.get_by_text("正在重连", exact=True).or_(page.get_by_text("每 30 秒刷新"))).to_be_visible()
    page.clock.fast_forward(5_000)
    expect(page.get_by_text("每 30 秒刷新")).to_be_visible()
    truck.report(speed_kmh=52)
    page.clock.fast_forward(31_000)
    shows_speed(page, 52)


def test_a_dead_zone_and_a_sleeping_phone_cost_no_reload(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report(speed_kmh=40)
    page, _, _ = watches(phone, api)
    shows_speed(page, 40)
    marks(page)
    page.context.set_offline(True)
    expect(page.get_by_text("没有网络", exact=True)).to_be_visible()
    truck.report(speed_kmh=47)
    page.context.set_offline(False)
    shows_speed(page, 47)
    expect(page.get_by_text("实时")).to_be_visible()
    sleeps(page, True)
    expect(page.get_by_text("已暂停")).to_be_visible()
    truck.report(speed_kmh=49)
    sleeps(page, False)
    shows_speed(page, 49)
    assert has_not_been_reloaded(page)


def sleeps(page: Page, hidden: bool) -> None:
    """Act as when the screen goes off."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


# -- lists -------------------------------------------------------------------------------------------------------------


def test_the_lists_show_what_is_shared_and_what_was_bound_for_others(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report()
    driver, share = api.shared(1)
    asked = api.delegates(driver, 4)
    family = api.family()
    api.opens(family, share)
    api.opens(family, asked)
    page = phone(family)
    page.goto("/family")
    card = page.get_by_role("link", name=truck.plate)
    expect(card).to_contain_text("张** 分享")
    expect(card).to_contain_text("在线")
    page.get_by_role("tab", name="代绑车辆").click()
    expect(page.get_by_role("img", name="鄂A00004，黄牌")).to_be_visible()
    expect(page.get_by_text("委托绑定人：张**")).to_be_visible()
    page.get_by_role("tab", name="分享车辆").click()
    card.click()
    page.wait_for_url(f"**/family/shares/{share['id']}")


def test_r5_who_is_not_registered_is_led_to_registration_kindly(phone: Phones, api: Api) -> None:
    page = phone(api.one_click())
    page.goto("/family")
    expect(page.get_by_text("注册认证后，车辆都会列在这里")).to_be_visible()
    page.get_by_role("button", name="去注册认证").click()
    page.wait_for_url("**/register?back=/family")


# -- binding for a driver ----------------------------------------------------------------------------------------------


def test_r22_a_family_member_binds_for_the_driver(phone: Phones, api: Api) -> None:
    driver = api.driver(1)
    asked = api.delegates(driver, 4)
    page = phone()
    page.goto(asked["link"])
    expect(page.get_by_text("鄂A***04")).to_be_visible()
    assert api.preview(asked)["state"] == "unopened"
    signs_in_with_one_click(page, STRANGER, button="一键登录，代为绑定")
    page.wait_for_url(f"**/family/delegations/{asked['id']}")
    expect(page.get_by_role("img", name="鄂A00004，黄牌")).to_be_visible()
    proof = papers(4)
    number, vin = page.get_by_label("道路运输证号", exact=True), page.get_by_label("VIN 码")
    number.fill(proof["transport_cert_no"])
    vin.fill("LZO")
    expect(page.get_by_text("VIN 里没有字母 I、O、Q")).to_be_visible()
    vin.fill("lzz5elnd5h")
    expect(vin).to_have_value("LZZ5ELND5H")
    expect(page.get_by_text("还差 7 位")).to_be_visible()
    vin.fill(papers(5)["vin"])
    page.get_by_role("button", name="绑定车辆").click()
    expect(page.get_by_role("alert").filter(has_text="与这辆车的登记不一致")).to_be_visible()
    page.reload()
    expect(page.get_by_role("img", name="鄂A00004，黄牌")).to_be_visible()
    number.fill(proof["transport_cert_no"])
    vin.fill(proof["vin"])
    page.get_by_role("button", name="绑定车辆").click()
    expect(page.get_by_text("绑定成功")).to_be_visible()
    binding = api.items("/api/v1/driver/vehicles?list=current", driver)[0]
    assert (binding["vehicle"]["plate"], binding["kind"]) == ("鄂A00004", "delegated")


def test_r12_a_full_driver_is_a_refusal_in_words_for_the_family(phone: Phones, api: Api) -> None:
    driver = api.driver(1)
    for number in (1, 2, 3):
        api.binds(driver, number)
    asked = api.delegates(driver, 4)
    family = api.one_click()
    page = phone(family)
    page.goto(asked["link"])
    page.get_by_role("button", name="开始绑定").click()
    proof = papers(4)
    page.get_by_label("道路运输证号", exact=True).fill(proof["transport_cert_no"])
    page.get_by_label("VIN 码").fill(proof["vin"])
    page.get_by_role("button", name="绑定车辆").click()
    expect(page.get_by_text("请他先解绑一辆，您再来绑定")).to_be_visible()


def test_r23_a_withdrawn_delegation_says_that_it_is_over(phone: Phones, api: Api) -> None:
    driver = api.driver(1)
    asked = api.delegates(driver, 4)
    api.delete(f"/api/v1/driver/delegations/{asked['id']}", driver)
    page = phone()
    page.goto(asked["link"])
    expect(page.get_by_text("这个委托已经结束")).to_be_visible()


# -- how it looks and loads --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True])
def test_every_family_page_fits_a_small_phone_and_a_thumb(phone: Phones, api: Api, truck: Truck, dark: bool) -> None:
    truck.report(alarms=EMERGENCY)
    page, driver, share = watches(phone, api, dark=dark, width=360)
    asked = api.delegates(driver, 4)
    api.opens(api.family(), asked)
    watch = f"/family/shares/{share['id']}"
    for path, sign in (
        (watch, ".here"),
        (f"{watch}/alerts", ".alert"),
        ("/family", ".share"),
        ("/family?list=delegated", ".asked"),
        (f"/family/delegations/{asked['id']}", "form"),
        ("/s", ".state"),
    ):
        page.goto(path)
        page.locator(sign).first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert too_small(page) == [], path
    shade = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (sum(shade) < 300) is dark


def too_small(page: Page) -> list[str]:
    """List targets that a thumb would miss."""
    found: list[str] = page.evaluate(
        """least => [...document.querySelectorAll("button, a[href], summary, [role=checkbox], .van-field")]
            .filter(each => each.offsetParent !== null && !each.classList.contains("skip"))
            .map(each => [each, each.getBoundingClientRect()])
            .filter(([, box]) => box.width > 0 && (box.height < least - 0.5 || box.width < least - 0.5))
            .map(([each, box]) => `${each.textContent || each.ariaLabel} ${box.width}x${box.height}`)""",
        TOUCHABLE_PX,
    )
    return found


def test_the_first_load_of_the_family_page_is_small(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report()
    _, share = api.shared(1)
    family = api.family()
    api.opens(family, share)
    page = phone(family)
    loaded: dict[str, Response] = {}
    page.on("response", lambda response: loaded.update({response.url: response}))
    page.goto(share["link"])
    page.wait_for_url("**/family/shares/*")
    expect(page.get_by_text("实时")).to_be_visible()
    pages = {url: each for url, each in loaded.items() if not urlsplit(url).path.startswith("/api/")}
    total = sum(len(gzip.compress(each.body())) for each in pages.values())
    print(f"first load of the family page: {total / 1000:.0f} kB gzipped in {len(pages)} files")
    assert 0 < total <= FIRST_LOAD_BYTES


def test_it_speaks_english_on_request(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report(speed_kmh=61)
    _, share = api.shared(1)
    family = api.family()
    api.opens(family, share)
    page = phone(family, english=True)
    page.goto(f"/family/shares/{share['id']}")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(page.locator(".here")).to_contain_text("61km/h")
    expect(page.get_by_text("Shared for another 3 days")).to_be_visible()
