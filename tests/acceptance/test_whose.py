"""Tests each call of the contract with every wrong caller and with other callers' ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import pytest
import pytest_asyncio

from tests.acceptance.deeds import (
    DAY_S,
    LINKS,
    OWNER,
    Watched,
    bind_form,
    delegates,
    had,
    opens,
    papers,
    previews,
    shares,
    state,
    watched,
)
from tests.acceptance.world import Answer, Body, Caller, World
from tests.api.conftest import citizen_id, mobile, plate, real_name

V1: Final = "/api/v1"


class CallOf(NamedTuple):
    """A call of the contract that needs a session; ``{name}`` in its path is an id of a ``Scene``."""

    role: str
    """``any``, ``natural``, ``registered``, ``driver`` or ``owner``."""
    method: str
    path: str
    body: Body | None = None

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


CALLS: Final = (
    CallOf("any", "GET", "/me"),
    CallOf("any", "GET", "/me/certificates"),
    CallOf("any", "GET", "/me/audit"),
    CallOf(
        "natural",
        "POST",
        "/registration",
        {"real_name": real_name(1), "citizen_id": citizen_id(1), "phone_code": f"sandbox:{mobile(1)}"},
    ),
    CallOf("driver", "GET", "/driver/vehicles?list=current"),
    CallOf("driver", "GET", "/driver/vehicles?list=history"),
    CallOf("driver", "GET", "/driver/vehicles?list=shared"),
    CallOf("driver", "POST", "/driver/bindings", bind_form(6)),
    CallOf("driver", "GET", "/driver/bindings/{binding}"),
    CallOf("driver", "POST", "/driver/bindings/{past}/rebind"),
    CallOf("driver", "POST", "/driver/bindings/{binding}/shares", {"duration": "3d"}),
    CallOf("driver", "DELETE", "/driver/bindings/{binding}/shares"),
    CallOf("driver", "GET", "/driver/shares"),
    CallOf("driver", "DELETE", "/driver/shares/{share}"),
    CallOf("driver", "POST", "/driver/delegations", {"plate": plate(6), "plate_color": "yellow"}),
    CallOf("driver", "GET", "/driver/delegations"),
    CallOf("driver", "DELETE", "/driver/delegations/{delegation}"),
    CallOf("driver", "DELETE", "/driver/bindings/{binding}"),
    CallOf("natural", "POST", "/links/open", {"token": "x" * 43}),
    CallOf("registered", "GET", "/family/shares"),
    CallOf("registered", "GET", "/family/delegations"),
    CallOf("natural", "GET", "/family/shares/{share}"),
    CallOf("natural", "GET", "/family/shares/{share}/alerts"),
    CallOf("natural", "GET", "/family/shares/{share}/live"),
    CallOf("natural", "POST", "/family/delegations/{delegation}/bind", papers(6)),
    CallOf("owner", "GET", "/owner/vehicles?list=bound"),
    CallOf("owner", "GET", "/owner/vehicles?list=all"),
    CallOf("owner", "GET", "/owner/vehicles/{vehicle}"),
    CallOf("owner", "DELETE", "/owner/bindings/{binding}"),
    CallOf("any", "GET", "/sessions"),
    CallOf("any", "DELETE", "/sessions/{session}"),
    CallOf("any", "DELETE", "/sessions"),
    CallOf("any", "DELETE", "/sessions/current"),
)
WITH_ID: Final = tuple(call for call in CALLS if "{" in call.path)


@dataclass
class Scene:
    """The objects that can be asked for, by the names in the paths of ``CALLS``."""

    world: World
    seen: Watched
    owner: Caller
    ids: Mapping[str, str]

    def path(self, call: CallOf, **ids: str) -> str:
        return V1 + call.path.format(**{**self.ids, **ids})

    async def make(self, caller: Caller, call: CallOf, **ids: str) -> Answer:
        return await caller.call(call.method, self.path(call, **ids), call.body)


@pytest_asyncio.fixture
async def scene(world: World) -> Scene:
    seen, owner = await watched(world), await world.owner()
    await world.reports(1)
    past = await had(seen.driver, 2)
    delegation = await delegates(seen.driver, 6)
    (await opens(seen.viewer, delegation["token"])).ok()
    (vehicle,) = (await owner.get(f"{OWNER}/vehicles?list=bound")).items
    ids = {
        "binding": seen.binding,
        "past": past,
        "share": seen.id,
        "delegation": delegation["id"],
        "vehicle": vehicle["id"],
        "session": (await seen.driver.get(f"{V1}/sessions")).items[0]["id"],
    }
    return Scene(world, seen, owner, ids)


async def is_untouched(scene: Scene) -> None:
    """Check that no refused call has changed anything."""
    driver = scene.seen.driver
    (binding,) = (await driver.get(f"{V1}/driver/vehicles")).items
    assert (binding["id"], binding["shares_live"]) == (scene.seen.binding, 1)
    assert [each["status"] for each in (await driver.get(f"{V1}/driver/delegations")).items] == ["open"]
    assert [each["id"] for each in (await driver.get(f"{V1}/driver/vehicles?list=history")).items] == [
        scene.ids["past"]
    ]
    await scene.seen.view()


async def test_without_a_session_every_call_is_a_401(scene: Scene) -> None:
    world = scene.world
    nobody = world.nobody()
    strangers = [replace(nobody, token=token) for token in ("", "x", "A" * 43, "null", "é", "x" * 4_000)]
    for call in CALLS:
        for stranger in strangers:
            answer = await scene.make(stranger, call)
            answer.refused(401, "unauthenticated")
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    token = scene.seen.driver.token
    for header in (token, f"Basic {token}", f"Bearer{token}", f"Bearer {token} x", "Bearer", ""):
        (await nobody.get(f"{V1}/me", Authorization=header)).refused(401, "unauthenticated")
    (await nobody.get(f"{V1}/me", Authorization=f"bearer {token}")).ok()  # RFC 9110: the scheme has no case.
    await is_untouched(scene)


@pytest.mark.parametrize("how", ["expired", "revoked"])
async def test_a_session_that_is_over_opens_nothing(scene: Scene, how: str) -> None:
    world, seen = scene.world, scene.seen
    callers = {"driver": seen.driver, "owner": scene.owner}
    if how == "expired":
        await world.advance(30 * DAY_S)
    else:
        for caller in (*callers.values(), seen.viewer):
            (await caller.delete(f"{V1}/sessions/current")).ok(204)
    for call in CALLS:
        caller = callers.get(call.role, seen.viewer)
        (await scene.make(caller, call)).refused(401, "unauthenticated")
    (await previews(seen.driver, "x" * 43)).refused(401, "unauthenticated")  # Who shows a session must have one.


REFUSED: Final = {
    ("driver", "family"): "driver_only",
    ("driver", "stranger"): "driver_only",
    ("driver", "owner"): "driver_only",
    ("owner", "family"): "owner_only",
    ("owner", "stranger"): "owner_only",
    ("owner", "driver"): "owner_only",
    ("natural", "owner"): "natural_person_only",
    ("registered", "owner"): "natural_person_only",
    ("registered", "stranger"): "real_name_required",
}
"""The expected status, by the call's requirement and the caller."""


async def test_the_wrong_role_is_a_403_for_every_call(scene: Scene) -> None:
    callers = {
        "driver": scene.seen.driver,
        "family": await scene.world.natural(12),
        "stranger": await scene.world.one_click(77),
        "owner": scene.owner,
    }
    made = 0
    for call in CALLS:
        for who, caller in callers.items():
            code = REFUSED.get((call.role, who))
            if code is not None:
                (await scene.make(caller, call)).refused(403, code)
                made += 1
    assert made > 60
    await is_untouched(scene)


async def test_the_role_is_asked_before_anything_is_told_of_the_id(scene: Scene) -> None:
    family = await scene.world.natural(12)
    for call in WITH_ID:
        if call.role in ("driver", "owner"):
            nobodys = dict.fromkeys(scene.ids, "f" * 16)
            assert (await scene.make(family, call)).json == (await scene.make(family, call, **nobodys)).json


async def test_other_peoples_ids_are_not_found_and_told_apart_from_nobodys_by_nothing(scene: Scene) -> None:
    world = scene.world
    strangers = {
        "driver": await world.natural(2),
        "natural": await world.natural(12),
        "registered": await world.natural(12),
        "owner": await world.owner(2),
        "any": await world.natural(12),
    }
    for call in WITH_ID:
        caller = strangers[call.role]
        theirs = await scene.make(caller, call)
        theirs.refused(404, "not_found")
        for nobodys in ("0" * len(scene.ids["binding"]), "x", "f" * 32):
            answer = await scene.make(caller, call, **dict.fromkeys(scene.ids, nobodys))
            assert answer.refused(404, "not_found") == theirs.json
    await is_untouched(scene)


async def test_ids_of_another_kind_are_not_found(scene: Scene) -> None:
    own = {"driver": scene.seen.driver, "natural": scene.seen.viewer, "owner": scene.owner, "any": scene.seen.driver}
    for call in WITH_ID:
        for wrong in set(scene.ids.values()):
            name = call.path.partition("{")[2].partition("}")[0]
            if wrong not in (scene.ids[name], scene.ids["past"], scene.ids["binding"]):
                (await scene.make(own[call.role], call, **{name: wrong})).refused(404, "not_found")
    await is_untouched(scene)


# -- links -------------------------------------------------------------------------------------------------------------


async def test_a_business_opens_no_link(scene: Scene) -> None:
    share = await shares(scene.seen.driver, scene.seen.binding)
    (await scene.owner.post(f"{LINKS}/open", {"token": share["token"]})).refused(403, "natural_person_only")
    assert await state(scene.owner, share["token"]) == "unopened"


async def test_a_preview_claims_nothing_however_often_and_by_whomever(scene: Scene) -> None:
    share = await shares(scene.seen.driver, scene.seen.binding)
    delegation = await delegates(scene.seen.driver, 7)
    people = (scene.world.nobody(), scene.seen.viewer, scene.seen.driver, await scene.world.natural(12))
    for token in (share["token"], delegation["token"]):
        for who in people * 3:
            assert await state(who, token) == "unopened"
        (await opens(people[3], token)).ok()


async def test_a_get_claims_ends_and_creates_nothing(scene: Scene) -> None:
    driver, world = scene.seen.driver, scene.world
    share = await shares(driver, scene.seen.binding)
    for path in (f"{LINKS}/open", f"{LINKS}/preview", f"{V1}/driver/bindings", f"{V1}/driver/delegations/x"):
        assert (await driver.get(path)).status in (404, 405)
    for who in (await world.natural(12), world.nobody()):
        for call in (
            CallOf("natural", "GET", "/family/shares/{share}"),
            CallOf("any", "GET", "/driver/bindings/{binding}"),
        ):
            assert (await scene.make(who, call, share=share["id"])).status in (401, 403, 404)
    link = share["link"].replace("https://shouwang.example", "")
    assert (await world.nobody().get(link.partition("#")[0])).status in (200, 404, 503)  # A chat program looks, too.
    assert await state(world.nobody(), share["token"]) == "unopened"


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "A" * 200, "é", "../..", "🚚" * 20, "\x00"])
async def test_a_token_that_is_nobodys_is_not_found(scene: Scene, token: str) -> None:
    (await previews(scene.world.nobody(), token)).refused(404, "not_found")
    (await opens(scene.seen.viewer, token)).refused(404, "not_found")


async def test_a_token_that_is_almost_right_is_not_found(scene: Scene) -> None:
    token = scene.seen.share["token"]
    other = {"A": "B"}.get(token[-6], "A")
    for wrong in (token[:-1], token + "A", token[:-6] + other + token[-5:], token.swapcase(), f" {token}"):
        (await previews(scene.world.nobody(), wrong)).refused(404, "not_found")


@pytest.mark.parametrize("token", [None, 1, True, [], {}, "x" * 201])
async def test_a_token_that_is_none_is_bad_input(scene: Scene, token: object) -> None:
    for answer in (await previews(scene.world.nobody(), token), await opens(scene.seen.viewer, token)):
        problem = answer.refused(422, "invalid_input")
        assert problem["errors"][0]["field"] == "token"
