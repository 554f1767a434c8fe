"""The repeated steps of a driver's thumb in tests of the pages: type a plate, share, confirm."""

from __future__ import annotations

from typing import Final

from playwright.sync_api import Locator, Page, expect

from tests.web.rig import Api, Body, Session, papers, plate

SHARES: Final = "/api/v1/driver/shares"


def card(page: Page, number: int) -> Locator:
    """Return a vehicle's card in one of the lists."""
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
    """Press the button in the dialog that asks first."""
    page.locator(".van-dialog").get_by_role("button", name=button, exact=True).tap()


def looks_again(page: Page) -> None:
    """Act as when the phone finds its network again; the page would do so itself some seconds later."""
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
