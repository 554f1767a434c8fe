"""R22 and R23: a family member binds for the driver."""

from __future__ import annotations

import asyncio

import pytest

from tests.acceptance.deeds import (
    BINDINGS,
    CURRENT,
    DAY_S,
    DELEGATIONS,
    FAMILY,
    OWNER,
    binds,
    binds_through,
    delegates,
    one,
    opens,
    shares,
    state,
    tries_to_bind,
    unbinds,
)
from tests.acceptance.world import Body, Caller, World
from tests.api.conftest import plate

ROUNDS = 8


async def opened(driver: Caller, holder: Caller, number: int = 1) -> Body:
    """A delegation that the holder has opened."""
    delegation = await delegates(driver, number)
    (await opens(holder, delegation["token"])).ok()
    return delegation


# -- R22 ---------------------------------------------------------------------------------------------------------------


async def test_r22_a_family_member_binds_for_the_driver_through_a_link(world: World) -> None:
    driver, holder = await world.natural(1), await world.natural(11)
    delegation = await delegates(driver, 1)
    assert (delegation["plate"], delegation["plate_color"], delegation["status"]) == (plate(1), "yellow", "unopened")
    told = (await opens(holder, delegation["token"])).ok()
    assert told == {"id": delegation["id"], "plate": plate(1), "plate_color": "yellow", "driver_name_masked": "张**"}
    assert (await one(driver, DELEGATIONS, delegation["id"]))["status"] == "open"
    binding = (await binds_through(holder, delegation["id"], 1)).ok(201)
    listed = await one(driver, CURRENT, binding["id"])
    assert (listed["kind"], listed["vehicle"]) == ("delegated", {"plate": plate(1), "plate_color": "yellow"})
    assert listed["delegate_name"]


async def test_r22_the_vehicle_stands_in_the_family_members_list_with_who_asked(world: World) -> None:
    driver, holder = await world.natural(1), await world.natural(11)
    delegation = await opened(driver, holder)
    before = await one(holder, f"{FAMILY}/delegations", delegation["id"])
    assert (before["status"], before["binding_id"]) == ("open", None)
    binding = (await binds_through(holder, delegation["id"], 1)).ok(201)
    after = await one(holder, f"{FAMILY}/delegations", delegation["id"])
    assert (after["plate"], after["plate_color"]) == (plate(1), "yellow")
    assert (after["status"], after["binding_id"]) == ("bound", binding["id"])
    assert after["driver_name_masked"].startswith("张")
    assert "*" in after["driver_name_masked"]
    assert (await one(driver, DELEGATIONS, delegation["id"]))["status"] == "bound"


async def test_r22_what_was_bound_by_another_is_the_drivers_to_share_and_to_unbind(world: World) -> None:
    driver, holder = await world.natural(1), await world.natural(11)
    delegation = await opened(driver, holder)
    binding = (await binds_through(holder, delegation["id"], 1)).ok(201)["id"]
    (await holder.delete(f"{BINDINGS}/{binding}")).refused(403, "driver_only")
    await shares(driver, binding)
    await unbinds(driver, binding)
    assert (await driver.get(CURRENT)).items == []


async def test_r22_the_family_members_data_must_match_and_the_link_stays_good_for_another_try(world: World) -> None:
    driver, holder = await world.natural(1), await world.natural(11)
    delegation = await opened(driver, holder)
    wrong: tuple[Body, ...] = ({"vin": "LZZ5ELND5HD000002"}, {"transport_cert_no": "420100000002"})
    told = [
        (await binds_through(holder, delegation["id"], 1, **each)).refused(422, "vehicle_mismatch") for each in wrong
    ]
    assert told[0] == told[1]
    (await binds_through(holder, delegation["id"], 1)).ok(201)


async def test_r22_a_colour_that_no_such_vehicle_has_is_a_mismatch(world: World) -> None:
    driver, holder = await world.natural(1), await world.natural(11)
    delegation = await delegates(driver, 1, plate_color="blue")
    (await opens(holder, delegation["token"])).ok()
    (await binds_through(holder, delegation["id"], 1)).refused(422, "vehicle_mismatch")


@pytest.mark.parametrize("missing", ["plate", "plate_color"])
async def test_r22_plate_and_colour_are_both_needed(world: World, missing: str) -> None:
    driver = await world.natural(1)
    form = {"plate": plate(1), "plate_color": "yellow"}
    del form[missing]
    problem = (await driver.post(DELEGATIONS, form)).refused(422, "invalid_input")
    assert problem["errors"][0]["field"] == missing


async def test_r22_the_drivers_limits_hold(world: World) -> None:
    driver, holder = await world.natural(1), await world.natural(11)
    for number in (1, 2, 3):
        await binds(driver, number)
    delegation = await opened(driver, holder, 4)
    (await binds_through(holder, delegation["id"], 4)).refused(409, "too_many_bindings")
    await unbinds(driver, (await driver.get(CURRENT)).items[0]["id"])
    (await binds_through(holder, delegation["id"], 4)).ok(201)


async def test_r22_a_vehicle_that_the_driver_has_bound_meanwhile_is_not_bound_twice(world: World) -> None:
    driver, holder = await world.natural(1), await world.natural(11)
    delegation = await opened(driver, holder)
    await binds(driver, 1)
    (await binds_through(holder, delegation["id"], 1)).refused(409, "already_bound")
    assert len((await driver.get(CURRENT)).items) == 1


async def test_r22_the_owner_sees_a_delegated_binding_as_one(world: World) -> None:
    driver, holder, owner = await world.natural(1), await world.natural(11), await world.owner()
    delegation = await opened(driver, holder)
    binding = (await binds_through(holder, delegation["id"], 1)).ok(201)["id"]
    (vehicle,) = (await owner.get(f"{OWNER}/vehicles?list=bound")).items
    (seen,) = (await owner.get(f"{OWNER}/vehicles/{vehicle['id']}")).ok()["bindings"]
    assert (seen["id"], seen["kind"]) == (binding, "delegated")


# -- R23 ---------------------------------------------------------------------------------------------------------------


async def test_r23_a_delegation_link_serves_one_person(world: World) -> None:
    driver, holder, second = await world.natural(1), await world.natural(11), await world.natural(12)
    delegation = await opened(driver, holder)
    (await opens(second, delegation["token"])).refused(409, "link_taken")
    (await binds_through(second, delegation["id"], 1)).refused(404, "not_found")
    assert [await state(who, delegation["token"]) for who in (world.nobody(), holder, second)] == [
        "taken",
        "yours",
        "taken",
    ]
    await world.restart()
    (await opens(holder, delegation["token"])).ok()
    (await opens(second, delegation["token"])).refused(409, "link_taken")


async def test_r23_a_delegation_link_serves_once(world: World) -> None:
    driver, holder = await world.natural(1), await world.natural(11)
    delegation = await opened(driver, holder)
    binding = (await binds_through(holder, delegation["id"], 1)).ok(201)["id"]
    await unbinds(driver, binding)
    (await binds_through(holder, delegation["id"], 1)).refused(410, "delegation_ended")
    (await opens(holder, delegation["token"])).refused(410, "delegation_ended")
    (await driver.delete(f"{DELEGATIONS}/{delegation['id']}")).refused(410, "delegation_ended")
    assert await state(holder, delegation["token"]) == "ended"


async def test_r23_the_link_must_be_opened_before_anybody_binds_through_it(world: World) -> None:
    driver, holder = await world.natural(1), await world.natural(11)
    delegation = await delegates(driver, 1)
    (await binds_through(holder, delegation["id"], 1)).refused(404, "not_found")


async def test_r23_the_driver_may_withdraw_a_delegation(world: World) -> None:
    driver, holder, other = await world.natural(1), await world.natural(11), await world.natural(2)
    delegation = await opened(driver, holder)
    (await other.delete(f"{DELEGATIONS}/{delegation['id']}")).refused(404, "not_found")
    (await driver.delete(f"{DELEGATIONS}/{delegation['id']}")).ok(204)
    for _ in range(2):
        (await opens(holder, delegation["token"])).refused(410, "delegation_ended")
        (await binds_through(holder, delegation["id"], 1)).refused(410, "delegation_ended")
        assert (await one(driver, DELEGATIONS, delegation["id"]))["status"] == "withdrawn"
        assert (await one(holder, f"{FAMILY}/delegations", delegation["id"]))["status"] == "withdrawn"
        await world.restart()
    (await tries_to_bind(driver, 1)).ok(201)


async def test_r23_a_delegation_expires_after_7_days(world: World) -> None:
    driver, holder = await world.natural(1), await world.natural(11)
    delegation = await opened(driver, holder)
    assert delegation["expires_at"] == "2025-10-16T16:53:20+08:00"
    await world.advance(7 * DAY_S - 1)
    (await opens(holder, delegation["token"])).ok()
    await world.restart()
    await world.advance(1)
    (await opens(holder, delegation["token"])).refused(410, "delegation_ended")
    (await binds_through(holder, delegation["id"], 1)).refused(410, "delegation_ended")
    assert (await one(driver, DELEGATIONS, delegation["id"]))["status"] == "expired"
    assert (await one(holder, f"{FAMILY}/delegations", delegation["id"]))["status"] == "expired"
    assert await state(world.nobody(), delegation["token"]) == "ended"


async def test_r23_the_driver_opening_the_own_delegation_does_not_use_it_up(world: World) -> None:
    driver, holder = await world.natural(1), await world.natural(11)
    delegation = await delegates(driver, 1)
    (await opens(driver, delegation["token"])).refused(409, "own_link")
    (await opens(holder, delegation["token"])).ok()


async def test_r23_two_people_opening_one_delegation_in_the_same_millisecond_are_one(world: World) -> None:
    driver = await world.natural(1)
    people = [await world.natural(number) for number in (11, 12, 13)]
    for _ in range(ROUNDS):
        delegation = await delegates(driver, 1)
        answers = await asyncio.gather(*(opens(person, delegation["token"]) for person in people))
        assert sorted(answer.status for answer in answers) == [200, 409, 409]
        for answer in answers:
            if answer.status == 409:
                answer.refused(409, "link_taken")
        (await driver.delete(f"{DELEGATIONS}/{delegation['id']}")).ok(204)


async def test_r23_withdrawing_and_binding_in_the_same_moment_is_one_of_the_two(world: World) -> None:
    driver, holder = await world.natural(1), await world.natural(11)
    for _ in range(ROUNDS):
        delegation = await opened(driver, holder)
        bound, withdrawn = await asyncio.gather(
            binds_through(holder, delegation["id"], 1), driver.delete(f"{DELEGATIONS}/{delegation['id']}")
        )
        told = (await one(driver, f"{DELEGATIONS}?limit=100", delegation["id"]))["status"]
        if bound.status == 201:
            withdrawn.refused(410, "delegation_ended")
            assert told == "bound"
            await unbinds(driver, bound.json["id"])
        else:
            bound.refused(410, "delegation_ended")
            withdrawn.ok(204)
            assert told == "withdrawn"
