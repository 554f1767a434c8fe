"""Which pages are there to look at, who looks at them, and what must have happened before? For pictures and for axe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final
from urllib.parse import urlsplit

import msgspec
from playwright.sync_api import Page, expect

from domain.fix import STATUS_ACC_ON, STATUS_POSITIONED
from sim.world import Route, World, load
from tests.api.conftest import row
from tests.e2e.callers import call
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
        """So many minutes; ``alarms`` are the first truck's."""
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
    """A driver with two vehicles shares the first; somebody at home has opened that link, and one for binding."""

    server: Server
    vehicles: int
    api: Api = field(init=False)
    convoy: Convoy = field(init=False)
    driver: Session = field(init=False)
    family: Session = field(init=False)
    owner: Session = field(init=False)
    binding_id: str = field(init=False)
    opened: Body = field(init=False)
    unopened: Body = field(init=False)
    asked: Body = field(init=False)
    """A delegation that the family has opened."""
    unasked: Body = field(init=False)

    def __post_init__(self) -> None:
        self.api, self.convoy = Api(self.server), Convoy(self.server, self.vehicles)
        self.driver, self.family, self.owner = self.api.driver(1), self.api.family(), self.api.owner()
        self.binding_id = self.api.binds(self.driver, 1)
        self.api.binds(self.driver, 2)
        self.convoy.drives(12)
        self.opened = self.api.shares(self.driver, self.binding_id, "7d")
        self.unopened = self.api.shares(self.driver, self.binding_id)
        self.api.opens(self.family, self.opened)
        self.asked, self.unasked = self.api.delegates(self.driver, 3), self.api.delegates(self.driver, 4)
        self.api.opens(self.family, self.asked)
        self.convoy.drives(2, alarms=SPEEDING)
        self.convoy.drives(STEPS - 16)
        self.convoy.drives(2, alarms=FATIGUE)


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
    """One page to look at: it is there when ``sign`` is, and ready after ``acts``."""

    name: str
    path: Callable[[Story], str]
    sign: str
    who: Callable[[Story], Session | None] = lambda _: None
    acts: Callable[[Page], None] = _stays
    is_wall: bool = False
    """For a big screen, not for a phone."""


def _at(path: str) -> Callable[[Story], str]:
    return lambda _: path


def _within(link: Body) -> str:
    """Of this very server, whatever its public address."""
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


def all_scenes() -> list[Scene]:
    return [*family_scenes(), *driver_scenes(), *owner_scenes(), *other_scenes()]
