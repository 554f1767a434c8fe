"""Pages on phones whose clock is wrong, whose line is gone, or whose network answers in the service's place (R31-R33)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import pytest
from playwright.sync_api import Page, Route, expect

from tests.web.conftest import Phones
from tests.web.hands import looks_again
from tests.web.rig import OPS_KEY, Api, Body, Server, Session, Truck
from tests.web.test_family_pages import ENDED, has_not_been_reloaded, marks, shows_speed

pytestmark = pytest.mark.e2e

NOT_US: Final = re.compile("不是平安守望")
SIGN_IN: Final = re.compile(r"/sign-in\?back=")
NO_NETWORK: Final = re.compile("手机没有网络")
PORTAL: Final = "<!doctype html><title>Wi-Fi</title><h1>请先登录 Wi-Fi</h1>"
OTHER_HOST: Final = "http://portal.invalid/login"
TWENTY_ONE_MINUTES_MS: Final = 21 * 60_000


def is_watched(api: Api) -> tuple[Session, Body]:
    """Vehicle 1, by the family that opened its share."""
    _, share = api.shared(1)
    family = api.family()
    api.opens(family, share)
    return family, share


def watch_path(share: Body) -> str:
    return f"/family/shares/{share['id']}"


# -- clocks --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phone_says", ["2019-01-01T00:00:00Z", "2044-01-01T00:00:00Z"])
def test_a_phone_whose_clock_is_years_off_shows_right_spans_and_stays_signed_in(
    phone: Phones, api: Api, truck: Truck, phone_says: str
) -> None:
    truck.report()
    family, share = is_watched(api)
    page = phone(family)
    page.clock.set_system_time(phone_says)
    page.goto(watch_path(share))
    expect(page.get_by_text(re.compile("分享还剩 [23] 天"))).to_be_visible()
    expect(page.locator(".here time.age")).to_have_text(re.compile("^(刚刚|[1-9]\\d? 秒前)$"))
    expect(page.locator(".here").get_by_text("在线", exact=True)).to_be_visible()
    page.goto("/family")
    expect(page.get_by_text(re.compile("还剩 [23] 天"))).to_be_visible()
    assert page.url.endswith("/family")


def test_an_alert_that_goes_on_has_lasted_as_long_as_the_service_says(
    phone: Phones, api: Api, truck: Truck, server: Server
) -> None:
    _, share = api.shared(1)
    family = api.family()
    api.opens(family, share)
    truck.report(alarms=4)
    for _ in range(12):
        truck.report(after_s=60, alarms=4)
    page = phone(family)
    page.clock.set_system_time("2019-01-01T00:00:00Z")
    page.goto(f"{watch_path(share)}/alerts")
    page.get_by_role("button", name="疲劳驾驶").first.click()
    expect(page.get_by_role("dialog", name="提醒详情").get_by_text(re.compile("^1[2-4] 分钟$"))).to_be_visible()


def test_a_clock_that_is_set_right_while_the_page_is_open_is_no_trouble_for_long(
    phone: Phones, api: Api, truck: Truck
) -> None:
    truck.report()
    family, share = is_watched(api)
    page = phone(family)
    page.clock.set_system_time("2019-01-01T00:00:00Z")
    page.goto(watch_path(share))
    expect(page.get_by_text(re.compile("分享还剩 [23] 天"))).to_be_visible()
    page.clock.set_system_time("2044-01-01T00:00:00Z")
    looks_again(page)
    expect(page.get_by_text(re.compile("分享还剩 [23] 天"))).to_be_visible()
    expect(page.locator(".here").get_by_text("在线", exact=True)).to_be_visible()


# -- answers that are not ours -------------------------------------------------------------------------------------------


def says(status: int, body: str = PORTAL, content_type: str = "text/html", **headers: str) -> Callable[[Route], None]:
    """A portal's answer to whatever is asked."""
    return lambda route: route.fulfill(status=status, body=body, headers={"Content-Type": content_type, **headers})


ANSWERS: Final = {
    "200": says(200),
    "401": says(401),
    "403": says(403),
    "404": says(404),
    "410": says(410),
    "511": says(511),
    "429 for a year": says(429, **{"Retry-After": "31536000"}),
    "302": says(302, Location=OTHER_HOST),
    "somebody's JSON": says(410, '{"code":"share_ended","status":410}', "application/json"),
    "somebody's problem": says(404, '{"type":"about:blank","code":"not_found"}', "application/problem+json"),
    "no content": says(204, "", "application/json"),
}


def is_shown_without_last_words(page: Page) -> None:
    for word in (ENDED, "没有这个分享", "没有这个链接", "没有这辆车", "没有找到", "委托已经结束"):
        expect(page.get_by_text(word)).to_be_hidden()


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_r33_only_the_services_own_code_ends_a_share(
    phone: Phones, api: Api, truck: Truck, answer: Callable[[Route], None]
) -> None:
    truck.report(speed_kmh=40)
    family, share = is_watched(api)
    page = phone(family)
    page.goto(watch_path(share))
    shows_speed(page, 40)
    marks(page)
    page.route("**/api/**", answer)
    looks_again(page)
    expect(page.locator(".over").get_by_text(NOT_US)).to_be_visible()
    expect(page.get_by_text("没连到平安守望")).to_be_visible()
    is_shown_without_last_words(page)
    shows_speed(page, 40)
    page.unroute("**/api/**")
    truck.report(speed_kmh=52)
    looks_again(page)
    shows_speed(page, 52)
    expect(page.get_by_text("实时")).to_be_visible()
    assert has_not_been_reloaded(page)


def test_r33_an_answer_that_was_cut_off_is_tried_again(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report(speed_kmh=40)
    family, share = is_watched(api)
    page = phone(family)
    page.route(
        "**/api/v1/family/shares/**", says(410, '{"type":"urn:shouwang:problem:share_en', "application/problem+json")
    )
    page.goto(watch_path(share))
    expect(page.get_by_role("alert")).to_be_visible()
    is_shown_without_last_words(page)
    page.route("**/api/v1/family/shares/**", says(200, '{"id":"x","vehicle":{"pla', "application/json"))
    looks_again(page)
    expect(page.get_by_role("alert")).to_be_visible()
    page.unroute("**/api/v1/family/shares/**")
    looks_again(page)
    shows_speed(page, 40)


Place = Callable[[Api], tuple[Session | None, str, str]]
"""The signed-in account, the path, and the page's final text."""


def _of_the_family(path: str, sign: str) -> Place:
    def place(api: Api) -> tuple[Session, str, str]:
        family, share = is_watched(api)
        return family, path.format(watch=watch_path(share)), sign

    return place


def _of_the_driver(path: str, sign: str) -> Place:
    def place(api: Api) -> tuple[Session, str, str]:
        driver = api.driver(1)
        return driver, path.format(binding=api.binds(driver, 1)), sign

    return place


def _of_the_owner(path: str, sign: str) -> Place:
    return lambda api: (api.owner(), path.format(vehicle=Truck.id_of(1)), sign)


def _of_a_link(api: Api) -> tuple[None, str, str]:
    link = str(api.shared(1)[1]["link"])
    return None, link[link.index("/s#") :], "main button"


def _of_a_driver_who_watches(api: Api) -> tuple[Session, str, str]:
    _, share = api.shared(1)
    driver = api.driver(2)
    api.opens(driver, share)
    return driver, "/driver?list=shared", ".where"


PLACES: Final[dict[str, Place]] = {
    "link": _of_a_link,
    "watch": _of_the_family("{watch}", ".here"),
    "alerts": _of_the_family("{watch}/alerts", ".state--empty"),
    "family": _of_the_family("/family", ".share"),
    "delegated": _of_the_family("/family?list=delegated", ".state--empty"),
    "driver": _of_the_driver("/driver", "article"),
    "shared": _of_a_driver_who_watches,
    "history": _of_the_driver("/driver?list=history", ".state--empty"),
    "vehicle": _of_the_driver("/driver/bindings/{binding}", ".where"),
    "shares": _of_the_driver("/driver/shares", ".state--empty"),
    "owner": _of_the_owner("/owner", ".tile .sw-figure"),
    "owned": _of_the_owner("/owner/vehicles?list=all", ".rows li"),
    "owned vehicle": _of_the_owner("/owner/vehicles/{vehicle}", ".now"),
    "account": _of_the_driver("/account", ".sw-chip"),
    "audit": _of_the_driver("/account/audit", "main li"),
    "terms": lambda api: (None, "/terms", "main article"),
}


@pytest.mark.parametrize("status", [401, 404])
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_r33_every_page_says_that_another_answered_and_comes_back_by_itself(
    phone: Phones, api: Api, truck: Truck, place: Place, status: int
) -> None:
    truck.report()
    session, path, sign = place(api)
    page = phone(session)
    page.route("**/api/v1/**", says(status))
    page.goto(path)
    expect(page.get_by_text(NOT_US).first).to_be_visible()
    is_shown_without_last_words(page)
    page.unroute("**/api/v1/**")
    looks_again(page)
    expect(page.locator(sign).first).to_be_visible()
    expect(page.get_by_text(NOT_US)).to_have_count(0)
    assert page.url.endswith(path) or "#" in path


def test_r33_a_portal_does_not_put_an_operator_out(phone: Phones, truck: Truck) -> None:
    truck.report()
    page = phone(width=1440, height=900)
    page.goto("/ops")
    page.locator("input[name=ops-key]").fill(OPS_KEY)
    page.route("**/api/v1/ops/live**", says(401))
    page.route("**/health", says(401))
    page.locator("form button").click()
    expect(page.get_by_text(NOT_US).first).to_be_visible()
    page.unroute("**/api/v1/ops/live**")
    page.unroute("**/health")
    looks_again(page)
    expect(page.locator(".figures")).to_be_visible()


def test_what_is_sent_into_a_portal_is_told_kindly_and_sent_once(phone: Phones, api: Api) -> None:
    driver = api.driver(1)
    page = phone(driver)
    page.goto(f"/driver/bindings/{api.binds(driver, 1)}")
    page.route("**/shares", says(200))
    page.get_by_role("button", name="分享动态").tap()
    expect(page.get_by_text(NOT_US).first).to_be_visible()
    page.unroute("**/shares")
    page.get_by_role("button", name="分享动态").tap()
    expect(page.get_by_role("img", name="二维码")).to_be_visible()
    assert len(api.items("/api/v1/driver/shares", driver)) == 1


# -- no line -------------------------------------------------------------------------------------------------------------


def test_r32_a_phone_without_network_applies_the_ten_minutes_itself(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report(speed_kmh=40)
    family, share = is_watched(api)
    page = phone(family)
    page.clock.install()
    page.goto(watch_path(share))
    expect(page.get_by_text("实时")).to_be_visible()
    here = page.locator(".here")
    expect(here.get_by_text("在线", exact=True)).to_be_visible()
    marks(page)
    page.context.set_offline(True)
    expect(page.get_by_text(NO_NETWORK).first).to_be_visible()
    page.clock.fast_forward(TWENTY_ONE_MINUTES_MS)
    expect(here.get_by_text("21 分钟前", exact=True)).to_be_visible()
    expect(here.get_by_text("离线", exact=True)).to_be_visible()
    expect(here.get_by_text("在线", exact=True)).to_be_hidden()
    expect(here.get_by_text("手机没有连上平安守望")).to_be_visible()
    expect(page.locator(".sw-truck--offline")).to_have_count(1)
    page.context.set_offline(False)
    truck.report(speed_kmh=52)
    shows_speed(page, 52)
    expect(here.get_by_text("在线", exact=True)).to_be_visible()
    expect(page.get_by_text("实时")).to_be_visible()
    assert has_not_been_reloaded(page)


@pytest.mark.parametrize("name", ["family", "driver", "shared", "vehicle", "owned", "owned vehicle"])
def test_r32_no_page_shows_an_old_fix_as_online(phone: Phones, api: Api, truck: Truck, name: str) -> None:
    truck.report()
    session, path, sign = PLACES[name](api)
    page = phone(session)
    page.clock.install()
    page.goto(path)
    expect(page.locator(sign).first).to_be_visible()
    expect(page.get_by_text("在线", exact=True).first).to_be_visible()
    page.context.set_offline(True)
    page.clock.fast_forward(TWENTY_ONE_MINUTES_MS)
    expect(page.get_by_text("离线", exact=True).first).to_be_visible()
    expect(page.get_by_text("在线", exact=True)).to_have_count(0)
    expect(page.get_by_text(NO_NETWORK).first).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_text("在线", exact=True).first).to_be_visible()


def test_a_page_that_is_not_loaded_yet_waits_for_the_line(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report()
    family, _ = is_watched(api)
    page = phone(family)
    page.goto("/family")
    card = page.get_by_role("link", name=truck.plate)
    expect(card).to_be_visible()
    page.context.set_offline(True)
    card.click()
    expect(page.get_by_text("网络不通")).to_be_visible()
    expect(card).to_be_visible()
    page.context.set_offline(False)
    card.click()
    page.wait_for_url("**/family/shares/*")
    expect(page.locator(".here")).to_be_visible()


# -- proxies that keep streams back --------------------------------------------------------------------------------------

BUFFERS: Final = """
    const ask = window.fetch;
    window.fetch = (path, options) => {
        if (!String(path).endsWith("/live")) return ask(path, options);
        const told = WHAT;
        const body = new ReadableStream({ start(to) { if (told) to.enqueue(new TextEncoder().encode(told)); window.keptBack = true; } });
        return HEAD ? Promise.resolve(new Response(body, { headers: { "Content-Type": "text/event-stream" } })) : new Promise(() => {});
    };
"""


def behind_a_proxy(page: Page, *, head: bool, told: str = "") -> None:
    """Block a live stream except for ``told``, and its head if that is kept back, too."""
    page.add_init_script(BUFFERS.replace("WHAT", repr(told)).replace("HEAD", str(head).lower()))


@pytest.mark.parametrize("head", [True, False], ids=["head", "nothing"])
def test_r31_behind_a_proxy_that_keeps_streams_back_the_page_asks_every_30_seconds_and_is_not_live(
    phone: Phones, api: Api, truck: Truck, head: bool
) -> None:
    truck.report(speed_kmh=40)
    family, share = is_watched(api)
    page = phone(family)
    page.clock.install()
    behind_a_proxy(page, head=head)
    page.goto(watch_path(share))
    shows_speed(page, 40)
    expect(page.get_by_text("正在连接")).to_be_visible()
    for speed in (52, 61, 70):
        truck.report(speed_kmh=speed)
        page.clock.fast_forward(31_000)
        shows_speed(page, speed)
        expect(page.get_by_text("每 30 秒刷新")).to_be_visible()
        expect(page.get_by_text("实时", exact=True)).to_be_hidden()


def test_r31_a_stream_without_a_heartbeat_is_no_longer_live(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report(speed_kmh=40)
    family, share = is_watched(api)
    page = phone(family)
    page.clock.install()
    behind_a_proxy(page, head=True, told="retry: 3000\\n\\n")
    page.goto(watch_path(share))
    expect(page.get_by_text("实时", exact=True)).to_be_visible()
    truck.report(speed_kmh=52)
    page.clock.fast_forward(21_000)
    expect(page.get_by_text("实时", exact=True)).to_be_hidden()
    shows_speed(page, 52)
    truck.report(speed_kmh=61)
    page.clock.fast_forward(31_000)
    shows_speed(page, 61)


# -- other tabs, unknown addresses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["family", "watch", "driver", "owner", "account"])
def test_signed_out_in_another_tab_leads_to_sign_in(phone: Phones, api: Api, truck: Truck, name: str) -> None:
    truck.report()
    session, path, sign = PLACES[name](api)
    page = phone(session)
    page.goto(path)
    expect(page.locator(sign).first).to_be_visible()
    other = page.context.new_page()
    other.goto("/account")
    other.get_by_role("button", name="退出登录").tap()
    other.locator(".van-dialog").get_by_role("button", name="退出登录", exact=True).tap()
    page.wait_for_url(SIGN_IN)
    expect(page.locator("form")).to_be_visible()
    expect(page.get_by_text(truck.plate)).to_have_count(0)


def test_signed_in_in_another_tab_goes_on_where_the_person_wanted_to(phone: Phones, api: Api) -> None:
    family = api.family()
    page = phone()
    page.goto("/family")
    page.wait_for_url(SIGN_IN)
    other = page.context.new_page()
    other.goto("/")
    other.evaluate("session => localStorage.setItem('shouwang.session', JSON.stringify(session))", family)
    page.wait_for_url("**/family")


def test_another_account_in_another_tab_leaves_nothing_of_the_first(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report()
    family, share = is_watched(api)
    page = phone(family)
    page.goto(watch_path(share))
    expect(page.locator(".here")).to_be_visible()
    other = page.context.new_page()
    other.goto("/")
    other.evaluate("session => localStorage.setItem('shouwang.session', JSON.stringify(session))", api.family(12))
    expect(page.get_by_text("没有这个分享")).to_be_visible()
    assert truck.plate not in page.content()


@pytest.mark.parametrize("path", ["/no/such/page", "/s/abc", "/index.html", "/driver/nothing/here"])
def test_an_unknown_address_shows_a_page_with_a_way_home(phone: Phones, path: str) -> None:
    page = phone()
    response = page.goto(path)
    assert response is not None
    assert "text/html" in response.headers["content-type"]
    expect(page.get_by_role("main").get_by_text("没有这个页面")).to_be_visible()
    page.get_by_role("link", name="回到首页").click()
    expect(page.get_by_role("heading", name="平安守望")).to_be_visible()
