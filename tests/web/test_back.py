"""Back closes what lies over the page instead of leaving it, and asks before a link that is shown once is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.conftest import Phones
from tests.web.hands import card, confirms, shares_for, the_link
from tests.web.rig import SPEEDING, Api, Truck

pytestmark = pytest.mark.e2e


def presses_back(page: Page) -> None:
    """Go back as the key, the gesture or a chat program's arrow does; it needs no new page to load."""
    page.evaluate("setTimeout(() => history.back())")


def comes_from(page: Page, path: str, to: str) -> None:
    """Visit another page first, so that Back would lead somewhere."""
    page.goto(path)
    page.goto(to)


def test_back_closes_an_alert_and_the_next_one_leaves(phone: Phones, api: Api, truck: Truck) -> None:
    _, share = api.shared(1)
    family = api.family()
    api.opens(family, share)
    truck.report()
    truck.report(alarms=SPEEDING)
    page = phone(family)
    page.goto("/family")
    page.locator(f"a[href='/family/shares/{share['id']}']").click()
    page.get_by_role("link", name="全部动态提醒").click()
    page.locator(".alert").first.tap()
    sheet = page.get_by_role("dialog", name="提醒详情")
    expect(sheet).to_be_visible()
    presses_back(page)
    expect(sheet).to_be_hidden()
    assert page.url.endswith("/alerts")
    page.locator(".alert").first.tap()
    sheet.get_by_role("button", name="关闭").tap()
    expect(sheet).to_be_hidden()
    presses_back(page)
    page.wait_for_url(f"**/family/shares/{share['id']}")
    presses_back(page)
    page.wait_for_url("**/family")


def test_back_asks_before_a_link_that_is_shown_once_is_lost(phone: Phones, api: Api) -> None:
    driver = api.driver()
    page = phone(driver)
    binding = api.binds(driver, 1)
    comes_from(page, "/driver", f"/driver/bindings/{binding}")
    link = shares_for(page)
    for is_back_again in (True, False):
        presses_back(page)
        expect(page.get_by_text("链接还没有复制")).to_be_visible()
        if is_back_again:
            presses_back(page)
        else:
            confirms(page, "先不")
        expect(page.get_by_text("链接还没有复制")).to_be_hidden()
        assert the_link(page) == link
    presses_back(page)
    confirms(page, "关上")
    expect(page.get_by_label("链接", exact=True)).to_be_hidden()
    assert page.url.endswith(binding)
    presses_back(page)
    page.wait_for_url("**/driver")


def test_back_closes_the_sheet_of_a_link_that_was_copied_without_asking(phone: Phones, api: Api) -> None:
    driver = api.driver()
    page = phone(driver)
    page.goto(f"/driver/bindings/{api.binds(driver, 1)}")
    shares_for(page)
    page.get_by_role("button", name="复制链接").tap()
    expect(page.get_by_text("已复制")).to_be_visible()
    presses_back(page)
    expect(page.get_by_label("链接", exact=True)).to_be_hidden()
    expect(page.get_by_role("button", name="分享动态")).to_be_visible()


def test_leaving_the_page_would_lose_the_link_too(phone: Phones, api: Api) -> None:
    driver = api.driver()
    page = phone(driver)
    page.goto(f"/driver/bindings/{api.binds(driver, 1)}")
    link = shares_for(page)
    with page.expect_event("dialog") as asked:
        page.evaluate("setTimeout(() => location.reload())")
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    assert the_link(page) == link


def test_back_means_no_where_something_is_asked(phone: Phones, api: Api) -> None:
    driver, _ = api.shared(1)
    page = phone(driver)
    comes_from(page, "/account", "/driver")
    card(page, 1).get_by_role("button", name="解绑车辆").tap()
    dialog = page.locator(".van-dialog")
    expect(dialog).to_be_visible()
    presses_back(page)
    expect(dialog).to_be_hidden()
    assert api.items("/api/v1/driver/vehicles", driver) != []
    card(page, 1).get_by_role("button", name="解绑车辆").tap()
    confirms(page, "解绑车辆")
    expect(page.get_by_text("还没有绑定货车")).to_be_visible()
    presses_back(page)
    page.wait_for_url("**/account")


def _keyboard(page: Page) -> Locator:
    page.locator("button.strip").tap()
    return page.get_by_role("group", name="号牌键盘")


def _terms(page: Page) -> Locator:
    page.get_by_role("button", name="《服务使用声明》").tap()
    return page.get_by_role("dialog", name="服务使用声明")


def _sign_out(page: Page) -> Locator:
    page.get_by_role("button", name="退出登录").tap()
    return page.locator(".van-dialog")


@pytest.mark.parametrize(
    "path, opens, signed_in",
    [("/driver/bind", _keyboard, True), ("/sign-in", _terms, False), ("/account", _sign_out, True)],
)
def test_back_closes_whatever_is_open(
    phone: Phones, api: Api, path: str, opens: Callable[[Page], Locator], signed_in: bool
) -> None:
    page = phone(api.driver() if signed_in else None)
    comes_from(page, "/terms", path)
    for _ in range(2):
        sheet = opens(page)
        expect(sheet).to_be_visible()
        presses_back(page)
        expect(sheet).to_be_hidden()
        assert page.url.endswith(path)
    presses_back(page)
    page.wait_for_url("**/terms")


def test_back_closes_what_a_business_is_asked_before_it_unbinds(phone: Phones, api: Api) -> None:
    driver = api.driver()
    api.binds(driver, 1)
    page = phone(api.owner())
    page.goto("/owner/vehicles")
    page.get_by_role("link", name="查看").first.click()
    page.get_by_role("button", name="解绑").first.tap()
    sheet = page.get_by_role("alertdialog")
    expect(sheet).to_be_visible()
    presses_back(page)
    expect(sheet).to_be_hidden()
    assert "/owner/vehicles/" in page.url
    assert len(api.items("/api/v1/driver/vehicles", driver)) == 1


def test_a_page_that_is_loaded_again_under_a_sheet_leaves_with_one_step(phone: Phones, api: Api) -> None:
    page = phone(api.driver())
    comes_from(page, "/terms", "/driver/bind")
    expect(_keyboard(page)).to_be_visible()
    page.reload()
    expect(page.locator("button.strip")).to_be_visible()
    presses_back(page)
    page.wait_for_url("**/terms")
