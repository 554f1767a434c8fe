"""Links survive chat programs and forwarding, and name their sender before they are opened (R20, R23)."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from domain.identifiers import name_masked, plate_masked
from tests.api.conftest import mobile, real_name
from tests.web.conftest import Phones
from tests.web.rig import Api, Body, plate

pytestmark = pytest.mark.e2e

GLUED = [
    "。",
    "）",
    "，快看",
    "%20",
    "%E3%80%82",
    "%EF%BC%89你好",
    "%2",
    "#wechat_redirect",
    "%23wechat_redirect",
    "?from=singlemessage&isappinstalled=0",
    "&from=timeline",
    "/",
    "_",
    "【平安守望】",
    "%E2%80%8B",
]
"""Text that stands behind a link's token after a chat program."""


def around(share: Body, before: str, behind: str, path: str = "/s") -> str:
    """The link's address with something glued to its token."""
    return f"{path}#{before}{share['token']}{behind}"


def test_what_chat_programs_glue_to_a_link_is_cut_off(phone: Phones, api: Api) -> None:
    _, share = api.shared(1)
    page = phone()
    for behind in GLUED:
        page.goto("about:blank")
        page.goto(around(share, "", behind))
        expect(page.get_by_text(plate_masked(plate(1)))).to_be_visible()
        assert share["token"] not in page.url
    for before, path in (("%20", "/s"), ("token=", "/s"), ("", "/s?from=singlemessage&isappinstalled=0"), ("", "/s/")):
        page.goto("about:blank")
        page.goto(around(share, before, "。", path))
        expect(page.get_by_text(plate_masked(plate(1)))).to_be_visible()
    for sign in ("%23", "%EF%BC%83"):  # The fragment's own sign, encoded or in full width.
        page.goto("about:blank")
        page.goto(f"/s{sign}{share['token']}。")
        expect(page.get_by_text(plate_masked(plate(1)))).to_be_visible()
        assert page.url.endswith("/s")
    assert api.preview(share)["state"] == "unopened"


def test_a_link_with_something_glued_to_it_opens(phone: Phones, api: Api) -> None:
    _, share = api.shared(1)
    page = phone(api.family())
    page.goto(around(share, "", "%EF%BC%89#wechat_redirect"))
    page.get_by_role("button", name="查看车辆动态").click()
    page.wait_for_url("**/family/shares/*")


def test_a_message_with_a_link_is_pasted_where_a_link_was_cut_off(phone: Phones, api: Api) -> None:
    driver, share = api.shared(1)
    asked = api.delegates(driver, 2)
    page = phone()
    page.goto("/s")
    field = page.get_by_label("也可以把收到的链接粘贴到这里")
    field.fill("妈，点这个看我的车")
    expect(page.get_by_text("没有找到链接")).to_be_visible()
    field.fill(f"我把货车的实时动态分享给您（{share['link']}）。点开就能看")
    expect(page.get_by_text(plate_masked(plate(1)))).to_be_visible()
    page.goto("/s#nonsense")
    page.get_by_label("也可以把收到的链接粘贴到这里").fill(f"{asked['link']}，请帮我绑定")
    expect(page.get_by_text("司机请您代他绑定这辆车")).to_be_visible()
    expect(page.get_by_text(plate_masked(plate(2)))).to_be_visible()
    assert page.url.endswith("/d")


def test_the_preview_names_the_driver_by_a_masked_name(phone: Phones, api: Api) -> None:
    driver, share = api.shared(1)
    page = phone()
    for link, path in ((share, "/s"), (api.delegates(driver, 2), "/d")):
        page.goto(around(link, "", "", path))
        expect(page.get_by_text(f"司机：{name_masked(real_name(1))}")).to_be_visible()
        assert real_name(1) not in page.content()


def test_the_driver_is_told_that_the_link_is_the_own_one_and_who_opened_it(phone: Phones, api: Api) -> None:
    driver, share = api.shared(1)
    page = phone(driver)
    page.goto(around(share, "", ""))
    expect(page.get_by_text("这是您自己发出的链接")).to_be_visible()
    expect(page.get_by_text("还没有人打开")).to_be_visible()
    family = api.family()
    api.opens(family, share)
    page.goto("about:blank")
    page.goto(around(share, "", ""))
    expect(page.get_by_text("这是您自己发出的链接")).to_be_visible()
    expect(page.get_by_text(re.compile(f"{family['account']['display_name']} 在 .+:.. 打开了它"))).to_be_visible()


def test_a_driver_who_signs_in_on_the_own_link_is_told_who_opened_it(phone: Phones, api: Api) -> None:
    _, share = api.shared(1)
    page = phone()
    page.goto(around(share, "", ""))
    expect(page.get_by_role("button", name="一键登录查看")).to_be_visible()
    family = api.family()
    api.opens(family, share)
    page.locator("input[name=phone]").fill(f"+86 {mobile(1)[:3]}-{mobile(1)[3:7]}-{mobile(1)[7:]}\u202c")
    page.get_by_role("checkbox").click()
    page.get_by_role("button", name="一键登录查看").click()
    expect(page.get_by_text("这是您自己发出的链接")).to_be_visible()
    expect(page.get_by_text(re.compile(f"{family['account']['display_name']} 在 .+ 打开了它"))).to_be_visible()


def test_the_family_sees_who_drives_and_calls_with_one_tap_where_the_driver_allows_it(phone: Phones, api: Api) -> None:
    family = api.family()
    _, share = api.shared(1)
    other = api.driver(2)
    callable_ = api.shares(other, api.binds(other, 2), call_me=True)
    page = phone(family)
    for link in (share, callable_):
        api.opens(family, link)
    page.goto(f"/family/shares/{share['id']}")
    expect(page.get_by_text(f"司机 {real_name(1)}")).to_be_visible()
    expect(page.get_by_role("link", name="打电话")).to_be_hidden()
    page.goto(f"/family/shares/{callable_['id']}")
    call = page.get_by_role("link", name=f"给司机 {real_name(2)} 打电话")
    expect(call).to_have_attribute("href", f"tel:{mobile(2)}")
    expect(call).to_be_visible()
