"""Tests that every answer has every field that the contract names, in the form that it names."""

from __future__ import annotations

from dataclasses import dataclass

import pytest_asyncio

from tests.acceptance import forms
from tests.acceptance.deeds import (
    BINDINGS,
    DAY_S,
    DELEGATIONS,
    DRIVER,
    FAMILY,
    OWNER,
    SPEEDING,
    Watched,
    bind_form,
    binds,
    binds_through,
    cancels,
    delegates,
    had,
    opens,
    papers,
    previews,
    shares,
    watched,
)
from tests.acceptance.forms import Form, complaints
from tests.acceptance.world import OPS_KEY, Answer, Body, Caller, World
from tests.api.conftest import citizen_id, mobile, person_line, plate, real_name, row
from tests.api.exposition import faults

JSON = "application/json"


@dataclass
class Scene:
    """A bit of everything: bindings of all kinds, shares in all states, a truck on the road with alerts."""

    world: World
    seen: Watched
    owner: Caller
    unopened: Body
    delegation: Body
    """Opened by the viewer, and not bound."""

    async def vehicle_id(self) -> str:
        (bound,) = [
            each for each in (await self.owner.get(f"{OWNER}/vehicles?list=bound")).items if each["plate"] == plate(1)
        ]
        return str(bound["id"])


@pytest_asyncio.fixture
async def scene(world: World) -> Scene:
    await world.reports(1)
    await world.advance(10)
    seen, owner = await watched(world), await world.owner()
    await world.reports(1, speed=1100, alarms=SPEEDING)
    await world.advance(10)
    await world.reports(1, alarms=1)
    await had(seen.driver, 2)
    unopened, cancelled = await shares(seen.driver, seen.binding), await shares(seen.driver, seen.binding)
    await cancels(seen.driver, cancelled["id"])
    bound = await delegates(seen.driver, 3)
    (await opens(seen.viewer, bound["token"])).ok()
    (await binds_through(seen.viewer, bound["id"], 3)).ok(201)
    delegation = await delegates(seen.driver, 4)
    (await opens(seen.viewer, delegation["token"])).ok()
    return Scene(world, seen, owner, unopened, delegation)


def has_form(answer: Answer, form: Form, status: int = 200) -> Body:
    body = answer.ok(status)
    assert answer.headers["Content-Type"].partition(";")[0] == JSON
    assert complaints(body, form) == []
    return body


# -- everyone ----------------------------------------------------------------------------------------------------------


async def test_the_form_of_what_everyone_asks(scene: Scene) -> None:
    world, nobody = scene.world, scene.world.nobody()
    has_form(await nobody.get("/api/v1/terms"), forms.fields({"version": forms.TEXT, "text": forms.TEXT}))
    version = world.terms_version
    for proof in (
        {"kind": "natural", "wechat_code": f"sandbox:{mobile(1)}"},
        {"kind": "one_click", "phone_code": f"sandbox:{mobile(77)}"},
        {"kind": "legal", "username": "owner1", "password": "right-1"},
    ):
        has_form(await nobody.post("/api/v1/sessions", proof | {"terms_version": version}), forms.SESSION, 201)
    await world.imports(person_line(31))
    form = {"real_name": real_name(31), "citizen_id": citizen_id(31), "phone_code": f"sandbox:{mobile(31)}"}
    has_form(await (await world.natural(77)).post("/api/v1/registration", form), forms.fields(forms.ACCOUNT))


async def test_the_form_of_what_an_account_asks_of_itself(scene: Scene) -> None:
    me = forms.fields(forms.ACCOUNT, {"certificates": forms.many(forms.CERTIFICATE, at_least=1)})
    for who in (scene.seen.driver, scene.owner):
        body = has_form(await who.get("/api/v1/me"), me)
        assert any(isinstance(value, dict) for value in body.values()), "there are counts for a home page"
        listed = has_form(await who.get("/api/v1/me/certificates"), forms.page(forms.CERTIFICATE))
        assert listed["items"] == body["certificates"]
        has_form(await who.get("/api/v1/me/audit"), forms.page(forms.AUDIT))
        has_form(await who.get("/api/v1/sessions"), forms.page(forms.SIGNED_IN))
        has_form(await who.delete("/api/v1/sessions"), forms.fields({"ended": forms.COUNT}))
    (await scene.seen.driver.delete("/api/v1/sessions/current")).ok(204)


# -- driver ------------------------------------------------------------------------------------------------------------


async def test_the_form_of_a_drivers_vehicles(scene: Scene) -> None:
    driver = scene.seen.driver
    current = has_form(await driver.get(f"{DRIVER}/vehicles?list=current"), forms.page(forms.BINDING, at_least=2))
    assert {each["kind"] for each in current["items"]} == {"self", "delegated"}
    assert {each["delegate_name"] is None for each in current["items"] if each["kind"] == "delegated"} == {False}
    on_the_road = next(each for each in current["items"] if each["id"] == scene.seen.binding)
    assert complaints(on_the_road["last_fix"], forms.LAST_FIX) == []
    assert (on_the_road["online"], on_the_road["shares_live"]) == (True, 2)
    history = has_form(await driver.get(f"{DRIVER}/vehicles?list=history"), forms.page(forms.BINDING))
    assert complaints(history["items"][0]["unbound_at"], forms.TIME) == []
    other = await scene.world.natural(2)
    share = await shares(other, await binds(other, 1))
    (await opens(driver, share["token"])).ok()
    has_form(await driver.get(f"{DRIVER}/vehicles?list=shared"), forms.page(forms.FAMILY_SHARE))


async def test_the_form_of_a_binding(scene: Scene) -> None:
    driver = scene.seen.driver
    await scene.world.restart()
    page = forms.fields(
        forms.BINDING_FIELDS,
        {
            "shares": forms.many(forms.SHARE, at_least=2),
            "certificate_reminders": forms.many(forms.REMINDER, at_least=1),
        },
    )
    body = has_form(await driver.get(f"{BINDINGS}/{scene.seen.binding}"), page)
    assert {each["status"] for each in body["shares"]} == {"open", "unopened"}
    assert len([name for name in body if "alert" in name]) >= 1
    other = await scene.world.natural(2)
    made = has_form(await other.post(BINDINGS, bind_form(5)), forms.BINDING, 201)
    (await other.delete(f"{BINDINGS}/{made['id']}")).ok(204)
    again = has_form(await other.post(f"{BINDINGS}/{made['id']}/rebind"), forms.BINDING, 201)
    problem = (await driver.post(f"{BINDINGS}/{scene.seen.binding}/rebind")).refused(409, "already_bound")
    assert again["id"] != made["id"]
    assert "errors" not in problem


async def test_the_form_of_a_drivers_shares(scene: Scene) -> None:
    driver, binding = scene.seen.driver, scene.seen.binding
    made = await driver.post(f"{BINDINGS}/{binding}/shares", {"duration": "1y"})
    has_form(made, forms.fields(forms.SHARE_FIELDS, forms.LINK), 201)
    listed = has_form(await driver.get(f"{DRIVER}/shares"), forms.page(forms.SHARE, at_least=4))
    assert {each["status"] for each in listed["items"]} == {"open", "unopened", "cancelled"}
    (opened,) = [each for each in listed["items"] if each["status"] == "open"]
    assert opened["viewer"]["display_name"]
    has_form(await driver.delete(f"{BINDINGS}/{binding}/shares"), forms.fields({"cancelled": forms.COUNT}))
    (await driver.delete(f"{DRIVER}/shares/{made.json['id']}")).ok(204)


async def test_the_form_of_a_drivers_delegations(scene: Scene) -> None:
    driver = scene.seen.driver
    made = await driver.post(DELEGATIONS, {"plate": plate(5), "plate_color": "yellow"})
    has_form(made, forms.fields(forms.DELEGATION_FIELDS, forms.LINK), 201)
    listed = has_form(await driver.get(DELEGATIONS), forms.page(forms.DELEGATION, at_least=3))
    assert {each["status"] for each in listed["items"]} == {"bound", "open", "unopened"}
    (await driver.delete(f"{DELEGATIONS}/{made.json['id']}")).ok(204)


# -- family ------------------------------------------------------------------------------------------------------------


async def test_the_form_of_a_links_preview(scene: Scene) -> None:
    for token, kind, whose in (
        (scene.unopened["token"], "share", "unopened"),
        (scene.seen.share["token"], "share", "taken"),
        (scene.delegation["token"], "delegation", "taken"),
    ):
        form = forms.fields(
            {
                "kind": forms.one_of("share", "delegation"),
                "plate_masked": forms.MASKED,
                "state": forms.one_of("unopened", "taken", "ended", "yours"),
            }
        )
        body = has_form(await previews(scene.world.nobody(), token), form)
        assert (body["kind"], body["state"]) == (kind, whose)
        assert plate(1) not in str(body)


async def test_the_form_of_an_opened_link(scene: Scene) -> None:
    viewer = await scene.world.natural(12)
    has_form(await opens(viewer, scene.unopened["token"]), forms.SHARE_VIEW)
    opened = await opens(scene.seen.viewer, scene.delegation["token"])
    has_form(
        opened,
        forms.fields(
            {
                "id": forms.ID,
                "plate": forms.PLATE,
                "plate_color": forms.PLATE_COLOR,
                "driver_name_masked": forms.MASKED,
            }
        ),
    )
    bound = await scene.seen.viewer.post(f"{FAMILY}/delegations/{scene.delegation['id']}/bind", papers(4))
    assert has_form(bound, forms.BINDING, 201)["kind"] == "delegated"


async def test_the_form_of_a_share_view_and_its_alerts(scene: Scene) -> None:
    answer = await scene.seen.viewer.get(f"{FAMILY}/shares/{scene.seen.id}")
    view = has_form(answer, forms.SHARE_VIEW)
    assert answer.headers["ETag"]
    assert answer.headers["Cache-Control"] == "private, max-age=0"
    assert complaints(view["last_fix"], forms.LAST_FIX) == []
    assert view["certificate_reminders"]
    listed = has_form(
        await scene.seen.viewer.get(f"{FAMILY}/shares/{scene.seen.id}/alerts"), forms.page(forms.ALERT, at_least=2)
    )
    assert listed["items"] == view["alerts"]
    assert {each["kind"] for each in view["alerts"]} == {"speeding", "emergency"}


async def test_the_form_of_the_family_lists(scene: Scene) -> None:
    viewer = scene.seen.viewer
    has_form(await viewer.get(f"{FAMILY}/shares"), forms.page(forms.FAMILY_SHARE))
    listed = has_form(await viewer.get(f"{FAMILY}/delegations"), forms.page(forms.FAMILY_DELEGATION, at_least=2))
    assert {each["status"] for each in listed["items"]} == {"bound", "open"}
    await scene.world.advance(8 * DAY_S)
    again = has_form(await viewer.get(f"{FAMILY}/delegations"), forms.page(forms.FAMILY_DELEGATION, at_least=2))
    assert {each["status"] for each in again["items"]} == {"bound", "expired"}


async def test_the_form_of_live_events(scene: Scene) -> None:
    world, seen = scene.world, scene.seen
    async with seen.viewer.watches(seen.id) as stream:
        position, presence = await stream.take("position", "presence")
        assert complaints(position, forms.fields(forms.LAST_FIX_FIELDS, {"online": forms.BOOL})) == []
        assert complaints(presence, forms.fields({"online": forms.BOOL, "last_fix": forms.LAST_FIX})) == []
        await world.advance(1)
        await world.reports(1)
        _, alert = await stream.take("position", "alert")
        assert complaints(alert, forms.ALERT) == []
        await cancels(seen.driver, seen.id)
        (ended,) = await stream.take("ended")
        assert ended == {"id": seen.id, "reason": "cancelled"}
        assert await stream.next() is None
    for name in ("Cache-Control", "Content-Type"):
        assert stream.response.headers[name]


# -- owner, feed, operations -------------------------------------------------------------------------------------------


async def test_the_form_of_an_owners_vehicles(scene: Scene) -> None:
    for name, at_least in (("bound", 2), ("all", 12)):
        page = forms.page(forms.OWNER_VEHICLE, at_least=at_least)
        has_form(await scene.owner.get(f"{OWNER}/vehicles?list={name}"), page)
    bound = forms.fields(
        {
            "id": forms.ID,
            "driver_name_masked": forms.MASKED,
            "kind": forms.one_of("self", "delegated"),
            "bound_at": forms.TIME,
        }
    )
    page = forms.fields(
        {
            "id": forms.ID,
            "plate": forms.PLATE,
            "plate_color": forms.PLATE_COLOR,
            "bindings": forms.many(bound, at_least=1),
            "alerts": forms.many(forms.ALERT, at_least=2),
        }
    )
    has_form(await scene.owner.get(f"{OWNER}/vehicles/{await scene.vehicle_id()}"), page)
    (await scene.owner.delete(f"{OWNER}/bindings/{scene.seen.binding}")).ok(204)


async def test_the_form_of_the_feeds_answer(scene: Scene) -> None:
    told = await scene.world.feed(row(2, at=scene.world.now), row(2, at=scene.world.now), ["x"])
    assert complaints(told, forms.FEED) == []
    assert told == {"accepted": 1, "stale": 1, "rejected": [{"index": 2, "code": "malformed"}]}


async def test_the_form_of_what_operators_ask(scene: Scene) -> None:
    nobody = scene.world.nobody()
    (await nobody.get("/healthz")).ok()
    (await nobody.get("/readyz")).ok()
    for path in ("/health", "/metrics"):
        (await nobody.get(path)).refused(401, "ops_key_invalid")
    picture = (await nobody.get("/health", X_Ops_Key=OPS_KEY)).ok()
    clock = forms.fields({"now": forms.TIME, "speed": forms.NUMBER, "virtual": forms.BOOL})
    assert complaints(picture["clock"], clock) == []
    assert picture["clock"]["virtual"] is True
    assert all(complaints(each["status"], forms.TEXT) == [] for each in picture["components"].values())
    for name in ("version", "uptime_s", "actors", "restarts", "dead_letters", "ingest_lag_s", "offline", "timers"):
        assert name in picture
    assert "sandbox" in str(picture).lower()
    metrics = await nobody.get("/metrics", X_Ops_Key=OPS_KEY)
    assert faults(metrics.text) == []
    assert metrics.headers["Content-Type"].startswith("text/plain")
    for text in (metrics.text, str(picture)):
        for name in (plate(1), real_name(1), mobile(1), "武汉"):
            assert name not in text
    document = (await nobody.get("/api/v1/openapi.json")).ok()
    assert document["openapi"].startswith("3.1")
    page = await nobody.get("/docs")
    assert page.status == 200
    assert page.headers["Content-Type"].startswith("text/html")


async def test_the_clock_moves_by_what_is_asked_and_tells_where_it_stands(world: World) -> None:
    (await world.nobody().post("/dev/clock", {"advance_s": 90})).ok()
    picture = (await world.nobody().get("/health", X_Ops_Key=OPS_KEY)).ok()
    assert picture["clock"]["now"].startswith("2025-10-09T16:54:50")
    (await world.nobody().post("/dev/clock", {"advance_s": -1})).refused(422, "invalid_input")
