"""R63 and R64: the records of watching and of changes."""

from __future__ import annotations

import asyncio

import pytest

from tests.acceptance.deeds import (
    BINDINGS,
    DAY_S,
    DELEGATIONS,
    DRIVER,
    OWNER,
    Watched,
    actions,
    alerts,
    binds,
    binds_through,
    cancels,
    delegates,
    looks,
    one,
    opens,
    previews,
    rebinds,
    shares,
    unbinds,
    watched,
)
from tests.acceptance.heartbeats import beats_often, hears_a_heartbeat
from tests.acceptance.world import Body, Caller, World
from tests.api.conftest import citizen_id, mobile, person_line, plate, real_name
from tests.patience import PATIENCE_S

AUDIT = "/api/v1/me/audit"


async def records(caller: Caller, action: str) -> list[Body]:
    listed = (await caller.get(f"{AUDIT}?limit=200")).items
    return [each for each in listed if each["action"] == action]


async def record(caller: Caller, action: str) -> Body:
    (found,) = await records(caller, action)
    return found


async def last_watched(seen: Watched) -> str | None:
    """Return the time that the driver's list shows."""
    told: str | None = (await one(seen.driver, f"{DRIVER}/shares", seen.id))["viewer"]["last_watched_at"]
    return told


async def test_r64_the_record_of_a_share_tells_that_the_phone_goes_with_it(world: World) -> None:
    driver = await world.natural(1)
    binding = await binds(driver, 1)
    await shares(driver, binding, call_me=True)
    await shares(driver, binding)
    assert {each["detail"] for each in await records(driver, "shared")} == {plate(1), f"{plate(1)}，家人可以看到手机号"}


# -- R63 ---------------------------------------------------------------------------------------------------------------


async def test_r63_a_driver_sees_who_holds_each_share_and_since_when(world: World) -> None:
    driver, viewer = await world.natural(1), await world.natural(11)
    binding = await binds(driver, 1)
    share, unopened = await shares(driver, binding), await shares(driver, binding)
    await world.advance(3600)
    (await opens(viewer, share["token"])).ok()
    listed = await one(driver, f"{DRIVER}/shares", share["id"])
    assert listed["status"] == "open"
    assert listed["viewer"]["display_name"] == real_name(11)
    assert listed["viewer"]["opened_at"] == "2025-10-09T17:53:20+08:00"
    assert (await one(driver, f"{DRIVER}/shares", unopened["id"]))["viewer"] is None
    page = (await driver.get(f"{BINDINGS}/{binding}")).ok()
    assert {each["id"]: each["status"] for each in page["shares"]} == {share["id"]: "open", unopened["id"]: "unopened"}


async def test_r63_and_when_it_was_last_watched(world: World) -> None:
    seen = await watched(world)
    await world.advance(60)
    (await looks(seen.viewer, seen.id)).ok()
    assert await last_watched(seen) == "2025-10-09T16:54:20+08:00"
    etag = (await looks(seen.viewer, seen.id)).headers["ETag"]
    await world.advance(60)
    assert (await looks(seen.viewer, seen.id, If_None_Match=etag)).status == 304  # That, too, is watching.
    assert await last_watched(seen) == "2025-10-09T16:55:20+08:00"
    await world.restart()
    assert await last_watched(seen) == "2025-10-09T16:55:20+08:00"
    await world.advance(60)
    async with seen.viewer.watches(seen.id) as stream:
        await stream.take("presence")
        assert await last_watched(seen) == "2025-10-09T16:56:20+08:00"


async def test_r63_an_open_stream_is_watched_as_long_as_its_heart_beats(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats_often(monkeypatch)
    await world.restart()
    seen = await watched(world)
    async with seen.viewer.watches(seen.id) as stream:
        await stream.take("presence")
        await world.advance(60)
        async with asyncio.timeout(PATIENCE_S):
            while await last_watched(seen) != "2025-10-09T16:54:20+08:00":
                await hears_a_heartbeat(stream)


async def test_r63_a_preview_and_somebody_elses_try_are_no_watching(world: World) -> None:
    seen, other = await watched(world), await world.natural(12)
    before = (await one(seen.driver, f"{DRIVER}/shares", seen.id))["viewer"]
    await world.advance(60)
    (await previews(seen.viewer, seen.share["token"])).ok()
    (await opens(other, seen.share["token"])).refused(409, "link_taken")
    (await looks(other, seen.id)).refused(404, "not_found")
    assert (await one(seen.driver, f"{DRIVER}/shares", seen.id))["viewer"] == before


async def test_r63_of_an_unregistered_viewer_the_driver_sees_a_masked_phone(world: World) -> None:
    driver, stranger = await world.natural(1), await world.one_click(77)
    share = await shares(driver, await binds(driver, 1))
    (await opens(stranger, share["token"])).ok()
    name = (await one(driver, f"{DRIVER}/shares", share["id"]))["viewer"]["display_name"]
    assert name.endswith(mobile(77)[-4:])
    assert mobile(77) not in name


# -- R64 ---------------------------------------------------------------------------------------------------------------


async def test_r64_a_record_tells_who_what_when_and_from_where(world: World) -> None:
    driver = (await world.natural(1)).at("127.0.0.7")
    await world.advance(5)
    binding = await binds(driver, 1)
    told = await record(driver, "bound")
    assert told["at"] == "2025-10-09T16:53:25+08:00"
    assert told["actor"] == {"kind": "natural", "display_name": real_name(1)}
    assert told["subject"] == {"kind": "binding", "id": binding}
    assert told["address_masked"] == "127.0.0.*"
    assert plate(1) in told["detail"]
    assert told["id"]


async def test_r64_every_change_leaves_a_record_newest_first(world: World) -> None:
    driver, viewer = await world.natural(1), await world.natural(11)

    async def then(action: str, *whose: Caller) -> None:
        """The newest record of each of these is this."""
        for who in whose:
            assert (await actions(who))[0] == action, action
        await world.advance(1)

    await then("signed_in", driver, viewer)
    binding = await binds(driver, 1)
    await then("bound", driver)
    share = await shares(driver, binding)
    await then("shared", driver)
    (await opens(viewer, share["token"])).ok()
    await then("share_opened", driver, viewer)
    await cancels(driver, share["id"])
    await then("share_cancelled", driver)
    ending = await shares(driver, binding)
    await then("shared", driver)
    await unbinds(driver, binding)
    assert set((await actions(driver))[:2]) == {"unbound", "share_ended"}
    assert (await record(driver, "share_ended"))["subject"] == {"kind": "share", "id": ending["id"]}
    await world.advance(1)
    (await rebinds(driver, binding)).ok(201)
    await then("rebound", driver)
    delegation = await delegates(driver, 2)
    await then("delegated", driver)
    (await opens(viewer, delegation["token"])).ok()
    await then("delegation_opened", driver, viewer)
    (await opens(viewer, delegation["token"])).ok()  # Coming back is no second opening.
    await then("delegation_opened", driver, viewer)
    assert len(await records(driver, "delegation_opened")) == 1
    (await binds_through(viewer, delegation["id"], 2)).ok(201)
    await then("delegation_bound", driver, viewer)
    withdrawn = await delegates(driver, 3)
    await world.advance(1)
    (await driver.delete(f"{DELEGATIONS}/{withdrawn['id']}")).ok(204)
    await then("delegation_withdrawn", driver)
    (await driver.delete("/api/v1/sessions/current")).ok(204)
    again = await world.natural(1)
    assert {"signed_out", "signed_in"} == set((await actions(again))[:2])


async def test_r64_what_expires_leaves_a_record_of_the_moment_in_which_it_did(world: World) -> None:
    driver = await world.natural(1)
    share, delegation = await shares(driver, await binds(driver, 1)), await delegates(driver, 2)
    await world.advance(8 * DAY_S)
    for _ in range(2):
        ended, lapsed = await record(driver, "share_expired"), await record(driver, "delegation_expired")
        assert (ended["at"], ended["subject"]) == (share["expires_at"], {"kind": "share", "id": share["id"]})
        assert (lapsed["at"], lapsed["subject"]["id"]) == (delegation["expires_at"], delegation["id"])
        assert ended["actor"]["kind"] == lapsed["actor"]["kind"] == "system"
        await world.restart()


async def test_r64_what_expired_while_the_service_was_down_is_recorded_when_it_comes_back(world: World) -> None:
    driver = await world.natural(1)
    share = await shares(driver, await binds(driver, 1))
    await world.stop()
    world.now += 5 * DAY_S
    await world.start()
    assert (await record(driver, "share_expired"))["at"] == share["expires_at"]


async def test_r64_registration_leaves_a_record(world: World) -> None:
    newcomer = await world.natural(77)
    await world.imports(person_line(31))
    form = {"real_name": real_name(31), "citizen_id": citizen_id(31), "phone_code": f"sandbox:{mobile(31)}"}
    (await newcomer.post("/api/v1/registration", form)).ok()
    assert (await record(newcomer, "registered"))["actor"]["kind"] == "natural"


async def test_r64_what_the_owner_does_stands_in_the_drivers_list_too(world: World) -> None:
    driver, owner = await world.natural(1), await world.owner()
    binding = await binds(driver, 1)
    (await owner.delete(f"{OWNER}/bindings/{binding}")).ok(204)
    for who in (driver, owner):
        told = await record(who, "unbound")
        assert told["actor"] == {"kind": "legal", "display_name": owner.account["display_name"]}
        assert told["subject"] == {"kind": "binding", "id": binding}


async def test_r64_nobody_reads_anothers_records_and_refusals_leave_none(world: World) -> None:
    seen, other = await watched(world), await world.natural(2)
    (await opens(other, seen.share["token"])).refused(409, "link_taken")
    (await other.delete(f"{BINDINGS}/{seen.binding}")).refused(404, "not_found")
    (await alerts(seen.viewer, seen.id))
    assert await actions(other) == ["signed_in"]
    assert len(await records(seen.driver, "share_opened")) == 1
    (await opens(seen.viewer, seen.share["token"])).ok()  # Coming back is no second opening.
    assert len(await records(seen.driver, "share_opened")) == 1


async def test_r64_records_come_in_pages_and_stay(world: World) -> None:
    driver = await world.natural(1)
    for number in (1, 2, 3):
        await world.advance(1)
        await binds(driver, number)
    wanted = (await driver.get(f"{AUDIT}?limit=200")).items
    await world.restart()
    found: list[Body] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await driver.get(f"{AUDIT}?limit=1" + (f"&cursor={cursor}" if cursor else ""))).ok()
        found, cursor = found + page["items"], page["next"]
    assert found == wanted
    assert [each["action"] for each in found] == ["bound", "bound", "bound", "signed_in"]
