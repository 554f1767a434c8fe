"""A driver shares a vehicle on a phone and sees who watches (R17-R21, R63): by touch, in a real browser."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime

import pytest
from playwright.sync_api import Route, expect

from domain.civil_time import CHINA_TIME
from domain.identifiers import phone_masked
from tests.web.conftest import Phones
from tests.web.hands import card, closes, confirms, live, looks_again, shares_for, the_link
from tests.web.rig import Api, Server, mobile, plate

pytestmark = pytest.mark.e2e


def test_r17_the_sheet_tells_by_the_services_clock_until_when_a_share_would_live(
    phone: Phones, api: Api, server: Server
) -> None:
    end = next_end_of_january(server.now)
    server.advances(int(end.timestamp()) - server.now)
    driver = api.driver(2)
    page = phone(driver)
    page.clock.set_fixed_time("2019-06-01T00:00:00Z")
    page.goto(f"/driver/bindings/{api.binds(driver, 2)}")
    last_of_february = monthrange(end.year, 2)[1]
    for duration, until in (
        ("3 天", "2月3日 10:00"),
        ("7 天", "2月7日 10:00"),
        ("1 个月", f"2月{last_of_february}日 10:00"),
        ("1 年", f"{end.year + 1}年1月31日 10:00"),
    ):
        page.get_by_role("radio", name=duration, exact=True).tap()
        expect(page.get_by_text(f"到 {until} 自动结束")).to_be_visible()


def next_end_of_january(now: int) -> datetime:
    """Ten o'clock of its last day."""
    year = datetime.fromtimestamp(now, CHINA_TIME).year
    ends = (datetime(each, 1, 31, 10, tzinfo=CHINA_TIME) for each in (year, year + 1))
    return next(end for end in ends if end.timestamp() > now)


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
    expect(page.get_by_text("与其他司机合计")).to_be_visible()
    expect(page.get_by_role("button", name="分享动态")).to_be_hidden()


def test_r18_shares_made_elsewhere_while_the_form_is_open_refuse_with_the_same_words(phone: Phones, api: Api) -> None:
    other, driver = api.driver(2), api.driver(1)
    theirs = api.binds(other, 1)
    page = phone(driver)
    page.goto(f"/driver/bindings/{api.binds(driver, 1)}")
    expect(page.get_by_role("button", name="分享动态")).to_be_visible()
    made = [api.shares(other, theirs) for _ in range(3)]
    page.get_by_role("button", name="分享动态").tap()
    expect(page.get_by_text("与其他司机合计")).to_be_visible()
    api.cancels(other, made[0])
    looks_again(page)
    shares_for(page)


def test_the_driver_says_that_the_family_may_call(phone: Phones, api: Api) -> None:
    driver = api.driver()
    page = phone(driver)
    page.goto(f"/driver/bindings/{api.binds(driver, 1)}")
    switch = page.get_by_role("switch", name="家人可以给我打电话")
    expect(switch).not_to_be_checked()
    expect(page.get_by_text(f"您登记的手机号 {phone_masked(mobile(1))}")).to_be_visible()
    shares_for(page)
    closes(page)
    switch.tap()
    expect(switch).to_be_checked()
    shares_for(page)
    closes(page)
    page.get_by_text("您登记的手机号").tap()
    expect(switch).not_to_be_checked()
    assert sorted(share["call_me"] for share in live(api, driver)) == [False, True]
    expect(page.get_by_role("listitem").filter(has_text="可拨打您的电话")).to_have_count(1)
    assert mobile(1) not in page.content()


def test_how_long_a_share_still_lives_is_not_rounded_down(phone: Phones, api: Api, server: Server) -> None:
    driver, _ = api.shared(1)
    page = phone(driver)
    page.goto("/driver/shares")
    for advance_s, left in ((0, "3 天"), (3599, "3 天"), (2, "2 天 23 小时"), (2 * 86_400 - 2, "23 小时 0 分")):
        server.advances(advance_s)
        page.reload()
        expect(page.get_by_text(f"还剩 {left}", exact=False)).to_be_visible()


def test_r19_sharing_another_vehicle_leads_to_cancelling_the_first(phone: Phones, api: Api) -> None:
    driver = api.driver()
    first, second = api.binds(driver, 1), api.binds(driver, 2)
    api.shares(driver, first)
    page = phone(driver)
    page.goto(f"/driver/bindings/{second}")
    refusal = page.get_by_role("alert").filter(has_text="您正在分享另一辆车")
    expect(refusal.get_by_role("img", name=plate(1))).to_be_visible()
    refusal.get_by_role("link", name="去看那辆车").tap()
    page.wait_for_url(f"**/driver/bindings/{first}")
    expect(page.get_by_role("img", name=plate(2))).to_be_hidden()
    page.go_back()
    page.wait_for_url(f"**/driver/bindings/{second}")
    expect(page.get_by_role("region", name="分享给家人").get_by_role("img", name=plate(1))).to_be_visible()
    expect(page.get_by_role("button", name="分享动态")).to_be_hidden()
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
