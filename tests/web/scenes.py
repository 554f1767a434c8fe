"""The pages to look at, with their viewers and their preparations, for pictures and for axe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final
from urllib.parse import urlsplit

import msgspec
from playwright.sync_api import Page, expect

from domain.vehicle.fix import STATUS_ACC_ON, STATUS_POSITIONED
from sim.world import Route, World, load
from tests.api.conftest import row
from tests.e2e.callers import call
from tests.web.hands import delegates
from tests.web.rig import FATIGUE, FEED_KEY, OPS_KEY, SPEEDING, Api, Body, Server, Session, Truck

STEP_S: Final = 60
STEPS: Final = 26
"""Minutes that a story lasts."""
SEED: Final = 7
REST: Final = 6
"""Each so many-th truck of a convoy stands."""


@dataclass
class Journey:
    route: Route
    along_m: float
    speed_kmh: float


class Convoy:
    """Vehicles 1, 2, 3 and so on, driving the corridors of ``geography/``; the first is south of Wuhan."""

    def __init__(self, server: Server, vehicles: int) -> None:
        self._server = server
        self._random = Random(SEED)
        world = load(seed=SEED)
        self._journeys = [self._sets_out(world, number) for number in range(1, vehicles + 1)]

    def _sets_out(self, world: World, number: int) -> Journey:
        names = [city.name for city in world.cities]
        if number == 1:
            found = world.route(names.index("武汉"), names.index("长沙"))
            assert found is not None
            return Journey(found, 30_000, 82)
        while True:
            found = world.route(self._random.randrange(len(names)), self._random.randrange(len(names)))
            if found is not None and found.length_m > 200_000:
                speed_kmh = 0.0 if number % REST == 0 else self._random.uniform(55, 89)
                return Journey(found, self._random.uniform(0, found.length_m * 0.8), speed_kmh)

    def drives(self, steps: int, *, alarms: int = 0) -> None:
        """Drive for this many minutes; ``alarms`` are the first truck's."""
        for _ in range(steps):
            self._server.advances(STEP_S)
            for journey in self._journeys:
                journey.along_m += journey.speed_kmh / 3.6 * STEP_S
            self._tells(alarms)

    def _tells(self, alarms: int) -> None:
        rows = [
            self._row(number, journey, alarms if number == 1 else 0)
            for number, journey in enumerate(self._journeys, start=1)
        ]
        headers = {"Content-Type": "application/msgpack", "X-Feed-Key": FEED_KEY}
        body = msgspec.msgpack.encode(rows)
        answer = call(self._server.http, "POST", "/api/v1/telemetry", body=body, headers=headers)
        assert msgspec.json.decode(answer.body).get("accepted") == len(rows), answer

    def _row(self, number: int, journey: Journey, alarms: int) -> Sequence[object]:
        place = journey.route.at(journey.along_m)
        return row(
            number,
            at=self._server.now,
            lon=round(place.lon * 1e6),
            lat=round(place.lat * 1e6),
            speed=round((journey.speed_kmh + 20 * (alarms == SPEEDING)) * 10),
            course=round(place.course_deg) % 360,
            alarms=alarms,
            status=STATUS_ACC_ON | STATUS_POSITIONED,
        )


@dataclass
class Story:
    """A driver with two vehicles shares the first. A family member has opened that link, and one for binding."""

    server: Server
    vehicles: int
    api: Api = field(init=False)
    convoy: Convoy = field(init=False)
    driver: Session = field(init=False)
    family: Session = field(init=False)
    owner: Session = field(init=False)
    binding_id: str = field(init=False)
    other_id: str = field(init=False)
    opened: Body = field(init=False)
    unopened: Body = field(init=False)
    asked: Body = field(init=False)
    """A delegation that the family has opened."""
    unasked: Body = field(init=False)

    def __post_init__(self) -> None:
        self.api, self.convoy = Api(self.server), Convoy(self.server, self.vehicles)
        self.driver, self.family, self.owner = self.api.driver(1), self.api.family(), self.api.owner()
        self.binding_id = self.api.binds(self.driver, 1)
        self.other_id = self.api.binds(self.driver, 2)
        let_go = self.api.binds(self.driver, 6)
        self.api.delete(f"/api/v1/driver/bindings/{let_go}", self.driver)
        self.convoy.drives(12)
        self.opened = self.api.shares(self.driver, self.binding_id, "7d")
        self.unopened = self.api.shares(self.driver, self.binding_id)
        self.api.opens(self.family, self.opened)
        self.asked, self.unasked = self.api.delegates(self.driver, 3), self.api.delegates(self.driver, 4)
        self.api.opens(self.family, self.asked)
        self.convoy.drives(2, alarms=SPEEDING)
        self.convoy.drives(STEPS - 16)
        self.convoy.drives(2, alarms=FATIGUE)


PROBLEM: Final = "application/problem+json"
TOO_MANY: Final = msgspec.json.encode(
    {
        "type": "urn:shouwang:problem:too_many_bindings",
        "title": "绑定的车辆已满",
        "status": 409,
        "detail": "同时最多绑定 3 辆车，请先解绑一辆，再绑定新的车辆。",
        "code": "too_many_bindings",
    }
).decode()
Who = Callable[[Story], Session | None]


def _stays(_: Page) -> None:
    """The page shows all by itself."""


def _picks_an_alert(page: Page) -> None:
    page.locator(".alert").first.tap()
    expect(page.get_by_role("dialog", name="提醒详情")).to_be_visible()


def _shares(page: Page) -> None:
    page.get_by_role("button", name="分享动态").tap()
    expect(page.get_by_role("img", name="二维码")).to_be_visible()


def _comes_nearer(page: Page) -> None:
    page.get_by_role("button", name="放大").tap()


def _enters(page: Page) -> None:
    page.locator("input[name=ops-key]").fill(OPS_KEY)
    page.locator("form button").click()
    expect(page.locator(".head")).to_be_visible()


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A page to look at: it is there when ``sign`` is, and ready after ``acts``."""

    name: str
    path: Callable[[Story], str]
    sign: str
    who: Callable[[Story], Session | None] = lambda _: None
    acts: Callable[[Page], None] = _stays
    is_wall: bool = False
    """True for a big screen, not a phone."""


def _at(path: str) -> Callable[[Story], str]:
    return lambda _: path


def _within(link: Body) -> str:
    """Return the link on this very server, whatever its public address."""
    parts = urlsplit(str(link["link"]))
    return f"{parts.path}#{parts.fragment}"


def _watch(story: Story) -> str:
    return f"/family/shares/{story.opened['id']}"


def family_scenes() -> list[Scene]:
    def scene(name: str, path: Callable[[Story], str], sign: str, acts: Callable[[Page], None] = _stays) -> Scene:
        return Scene(name=f"family-{name}", path=path, sign=sign, who=lambda story: story.family, acts=acts)

    return [
        Scene(name="family-preview", path=lambda story: _within(story.unopened), sign="main button"),
        Scene(name="family-delegation", path=lambda story: _within(story.unasked), sign=".needs"),
        scene("watch", _watch, ".here"),
        scene("alerts", lambda story: f"{_watch(story)}/alerts", ".alert"),
        scene("alert", lambda story: f"{_watch(story)}/alerts", ".alert", _picks_an_alert),
        scene("home", _at("/family"), ".share"),
        scene("delegated", _at("/family?list=delegated"), ".asked"),
        scene("bind", lambda story: f"/family/delegations/{story.asked['id']}", "form"),
    ]


def driver_scenes() -> list[Scene]:
    def scene(name: str, path: Callable[[Story], str], sign: str, acts: Callable[[Page], None] = _stays) -> Scene:
        return Scene(name=f"driver-{name}", path=path, sign=sign, who=lambda story: story.driver, acts=acts)

    def vehicle(story: Story) -> str:
        return f"/driver/bindings/{story.binding_id}"

    return [
        scene("home", _at("/driver"), "article"),
        scene("bind", _at("/driver/bind"), "form"),
        scene("vehicle", vehicle, "[role=application]"),
        scene("share", vehicle, "[role=application]", _shares),
        scene("shares", _at("/driver/shares"), "main .sw-card"),
        scene("delegate", _at("/driver/delegate"), "main .sw-card"),
        scene("certificates", _at("/driver/certificates"), "main .sw-card"),
    ]


def owner_scenes() -> list[Scene]:
    def scene(name: str, path: Callable[[Story], str], sign: str, acts: Callable[[Page], None] = _stays) -> Scene:
        return Scene(name=f"owner-{name}", path=path, sign=sign, who=lambda story: story.owner, acts=acts)

    return [
        scene("home", _at("/owner"), "main .sw-card"),
        scene("list", _at("/owner/vehicles"), "main a[href*='/owner/vehicles/']"),
        scene("vehicle", lambda story: f"/owner/vehicles/{Truck(story.server, 1).id}", "main .sw-card"),
        scene("map", _at("/owner/map"), ".leaflet-container", _comes_nearer),
    ]


def other_scenes() -> list[Scene]:
    return [
        Scene(name="start", path=_at("/"), sign="main button, main a"),
        Scene(name="sign-in", path=_at("/sign-in"), sign="form"),
        Scene(name="terms", path=_at("/terms"), sign="main article"),
        Scene(name="account", path=_at("/account"), sign="main .sw-card", who=lambda story: story.family),
        Scene(name="audit", path=_at("/account/audit"), sign="main li", who=lambda story: story.driver),
        Scene(name="docs", path=_at("/docs"), sign="h1"),
        Scene(name="control-room", path=_at("/ops"), sign="form", acts=_enters, is_wall=True),
    ]


def _opens_the_terms(page: Page) -> None:
    page.get_by_role("button", name="《服务使用声明》").tap()
    expect(page.get_by_role("dialog", name="服务使用声明")).to_be_visible()


def _opens_the_keyboard(page: Page) -> None:
    page.locator("button.strip").tap()
    expect(page.get_by_role("group", name="号牌键盘")).to_be_visible()


def _asks(button: str) -> Callable[[Page], None]:
    def asks(page: Page) -> None:
        page.get_by_role("button", name=button).first.tap()
        expect(page.locator(".van-dialog")).to_be_visible()

    return asks


def _delegates_and_leaves(page: Page) -> None:
    delegates(page, 5)
    page.get_by_role("button", name="发好了").tap()
    expect(page.locator(".van-dialog")).to_be_visible()


def _turns_to(tab: str) -> Callable[[Page], None]:
    def turns(page: Page) -> None:
        page.get_by_role("tab", name=tab).tap()
        expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")

    return turns


def _unbinds(page: Page) -> None:
    page.get_by_role("button", name="解绑").first.tap()
    expect(page.get_by_role("alertdialog")).to_be_visible()


def _is_refused_again(page: Page) -> None:
    page.route("**/rebind", lambda route: route.fulfill(status=409, content_type=PROBLEM, body=TOO_MANY))
    page.get_by_role("button", name="再次绑定").first.tap()
    expect(page.get_by_role("dialog", name="再次绑定")).to_be_visible()


def _opens_the_papers(page: Page) -> None:
    page.locator("summary").first.tap()
    expect(page.locator("figure").first).to_be_visible()


def open_scenes() -> list[Scene]:
    """Sheets and dialogs while they are open, and every tab."""

    def scene(name: str, who: Who, path: Callable[[Story], str], sign: str, acts: Callable[[Page], None]) -> Scene:
        return Scene(name=name, path=path, sign=sign, who=who, acts=acts)

    def nobody(_: Story) -> None: ...

    def driver(story: Story) -> Session:
        return story.driver

    def owner(story: Story) -> Session:
        return story.owner

    def vehicle(story: Story) -> str:
        return f"/driver/bindings/{story.binding_id}"

    def owned(story: Story) -> str:
        return f"/owner/vehicles/{Truck(story.server, 1).id}"

    rows = "main a[href*='/owner/vehicles/']"
    return [
        scene("sheet-terms", nobody, _at("/sign-in"), "form", _opens_the_terms),
        scene("sheet-keyboard", driver, _at("/driver/bind"), "form", _opens_the_keyboard),
        scene("sheet-papers", driver, _at("/driver/bind"), "form", _opens_the_papers),
        scene("ask-unbind", driver, _at("/driver"), "article", _asks("解绑车辆")),
        scene("ask-cancel", driver, vehicle, "[role=application]", _asks("取消分享")),
        scene("ask-link", driver, _at("/driver/delegate"), "form", _delegates_and_leaves),
        scene("ask-sign-out", driver, _at("/account"), "main .sw-card", _asks("退出登录")),
        scene("sheet-again", driver, _at("/driver?list=history"), "article", _is_refused_again),
        scene("ask-owner", owner, owned, "main .sw-card", _unbinds),
        scene("tab-one-click", nobody, _at("/sign-in"), "form", _turns_to("一键登录")),
        scene("tab-legal", nobody, _at("/sign-in"), "form", _turns_to("法人登录")),
        scene("tab-history", driver, _at("/driver"), "article", _turns_to("历史绑定")),
        scene("tab-shared", driver, _at("/driver"), "article", _turns_to("他人分享")),
        scene("tab-bound", owner, _at("/owner/vehicles"), rows, _turns_to("已绑定车辆")),
        scene("tab-expiring", owner, _at("/owner/vehicles"), rows, _turns_to("证照临期")),
        scene("link-own", driver, lambda story: _within(story.opened), "main button", _stays),
        scene("link-missing", nobody, _at("/s"), "main textarea", _stays),
        scene("share-elsewhere", driver, lambda story: f"/driver/bindings/{story.other_id}", ".other", _stays),
    ]


def all_scenes() -> list[Scene]:
    return [*family_scenes(), *driver_scenes(), *owner_scenes(), *other_scenes()]
