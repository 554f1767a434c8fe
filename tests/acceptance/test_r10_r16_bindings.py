"""R10 to R16: a driver binds vehicles and releases them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.acceptance.deeds import (
    BINDINGS,
    CURRENT,
    DRIVER,
    HISTORY,
    OWNER,
    SHARED_WITH_ME,
    binds,
    binds_through,
    delegates,
    had,
    looks,
    one,
    opens,
    rebinds,
    shares,
    tries_to_bind,
    tries_to_share,
    unbinds,
)
from tests.acceptance.world import World
from tests.api.conftest import plate, vehicle_line

ROUNDS = 8

# -- R10 ---------------------------------------------------------------------------------------------------------------


async def test_r10_my_vehicles_are_three_lists_and_current_is_the_default(world: World) -> None:
    driver, other = await world.natural(1), await world.natural(2)
    history = await had(driver, 1)
    current = await binds(driver, 2)
    share = await shares(other, await binds(other, 3))
    (await opens(driver, share["token"])).ok()
    assert [each["id"] for each in (await driver.get(CURRENT)).items] == [current]
    assert [each["id"] for each in (await driver.get(f"{CURRENT}?list=current")).items] == [current]
    assert [each["id"] for each in (await driver.get(HISTORY)).items] == [history]
    (shared,) = (await driver.get(SHARED_WITH_ME)).items
    assert (shared["id"], shared["vehicle"]["plate"]) == (share["id"], plate(3))


async def test_r10_there_is_no_fourth_list(world: World) -> None:
    driver = await world.natural(1)
    for name in ("all", "", "CURRENT"):
        problem = (await driver.get(f"{CURRENT}?list={name}")).refused(422, "invalid_input")
        assert problem["errors"][0]["field"] == "list"


async def test_r10_lists_come_in_pages_that_hold_each_item_once(world: World) -> None:
    driver = await world.natural(1)
    wanted: list[str] = []
    for number in (1, 2, 3, 4, 5):
        wanted.insert(0, await had(driver, number))
        await world.advance(1)
    found: list[str] = []
    path = f"{HISTORY}&limit=2"
    while path:
        page = (await driver.get(path)).ok()
        assert 0 < len(page["items"]) <= 2
        found += [each["id"] for each in page["items"]]
        path = f"{HISTORY}&limit=2&cursor={page['next']}" if page["next"] else ""
    assert found == wanted


# -- R11 ---------------------------------------------------------------------------------------------------------------


async def test_r11_a_vehicle_is_bound_by_what_stands_on_its_papers(world: World) -> None:
    driver = await world.natural(1)
    await world.reports(1)
    binding = (await tries_to_bind(driver, 1)).ok(201)
    assert binding["vehicle"] == {"plate": plate(1), "plate_color": "yellow"}
    assert (binding["kind"], binding["unbound_at"], binding["unbound_by"]) == ("self", None, None)
    assert binding["online"] is True
    assert binding["last_fix"]["wgs84"] == [114.4, 30.7]
    assert (await one(driver, CURRENT, binding["id"]))["last_fix"]["wgs84"] == [114.4, 30.7]


async def test_r11_a_mismatch_never_says_what_does_not_match(world: World) -> None:
    driver = await world.natural(1)
    wrong = [
        {"plate": plate(2)},
        {"plate": "粤B00000"},
        {"plate_color": "blue"},
        {"transport_cert_no": "420100000002"},
        {"vin": "LZZ5ELND5HD000002"},
    ]
    told = [(await tries_to_bind(driver, 1, **each)).refused(422, "vehicle_mismatch") for each in wrong]
    assert all(problem == told[0] for problem in told)
    assert "errors" not in told[0]
    assert (await driver.get(CURRENT)).items == []


async def test_r11_the_colour_is_part_of_which_vehicle_it_is(world: World) -> None:
    driver = await world.natural(1)
    blue = vehicle_line(51, plate=plate(1), plate_color="blue")
    await world.imports(blue)
    (await tries_to_bind(driver, 51, plate=plate(1))).refused(422, "vehicle_mismatch")
    binding = (await tries_to_bind(driver, 51, plate=plate(1), plate_color="blue")).ok(201)
    assert binding["vehicle"] == {"plate": plate(1), "plate_color": "blue"}
    (await tries_to_bind(driver, 1)).ok(201)


@pytest.mark.parametrize("typed", ["黑01·12345", "黑01-12345", "黑０１ 12345", "黑0112345\u200b"])
async def test_r11_a_farm_machines_plate_is_bound_however_it_is_typed(world: World, typed: str) -> None:
    driver = await world.natural(1)
    await world.imports(vehicle_line(52, plate="黑01•12345", plate_color="farm_green"))
    binding = (await tries_to_bind(driver, 52, plate=typed, plate_color="farm_green")).ok(201)
    assert binding["vehicle"] == {"plate": "黑0112345", "plate_color": "farm_green"}


# -- R12 ---------------------------------------------------------------------------------------------------------------


async def test_r12_a_fourth_vehicle_is_refused_until_one_is_unbound(world: World) -> None:
    driver = await world.natural(1)
    first, *_ = [await binds(driver, number) for number in (1, 2, 3)]
    (await tries_to_bind(driver, 4)).refused(409, "too_many_bindings")
    await world.restart()
    (await tries_to_bind(driver, 4)).refused(409, "too_many_bindings")
    await unbinds(driver, first)
    await binds(driver, 4)
    (await rebinds(driver, first)).refused(409, "too_many_bindings")


async def test_r12_delegated_vehicles_count(world: World) -> None:
    driver, holder = await world.natural(1), await world.natural(11)
    delegation = await delegates(driver, 3)
    (await opens(holder, delegation["token"])).ok()
    (await binds_through(holder, delegation["id"], 3)).ok(201)
    await binds(driver, 1)
    await binds(driver, 2)
    (await tries_to_bind(driver, 4)).refused(409, "too_many_bindings")


async def test_r12_that_no_more_can_be_bound_is_told_before_anybody_tries(world: World) -> None:
    driver = await world.natural(1)
    for number in (1, 2, 3):
        assert (await driver.get("/api/v1/me")).ok()["bind_refusal"] is None
        await binds(driver, number)
    told = (await driver.get("/api/v1/me")).ok()["bind_refusal"]
    assert told == (await tries_to_bind(driver, 4)).refused(409, "too_many_bindings")
    await unbinds(driver, (await driver.get(CURRENT)).items[0]["id"])
    assert (await driver.get("/api/v1/me")).ok()["bind_refusal"] is None
    for other in (await world.natural(11), await world.owner()):
        assert (await other.get("/api/v1/me")).ok()["bind_refusal"] is None


async def test_r12_four_bound_in_the_same_moment_are_three(world: World) -> None:
    driver = await world.natural(1)
    answers = await asyncio.gather(*(tries_to_bind(driver, number) for number in (1, 2, 3, 4, 5, 6)))
    assert sorted(answer.status for answer in answers) == [201, 201, 201, 409, 409, 409]
    assert len((await driver.get(CURRENT)).items) == 3


# -- R13 ---------------------------------------------------------------------------------------------------------------


async def test_r13_an_eleventh_vehicle_within_12_months_is_refused(world: World) -> None:
    driver = await world.natural(1)
    for number in range(1, 11):
        await had(driver, number)
    (await tries_to_bind(driver, 11)).refused(409, "too_many_in_12_months")
    await world.restart()
    (await tries_to_bind(driver, 11)).refused(409, "too_many_in_12_months")


async def test_r13_that_no_other_can_be_bound_is_told_before_anybody_tries(world: World) -> None:
    driver = await world.natural(1)
    for number in range(1, 11):
        await had(driver, number)
    told = (await driver.get("/api/v1/me")).ok()["bind_refusal"]
    assert told == (await tries_to_bind(driver, 11)).refused(409, "too_many_in_12_months")
    assert told["frees_on"] == "2026-10-09"


async def test_r13_binding_again_what_counts_already_costs_nothing(world: World) -> None:
    driver = await world.natural(1)
    first, *_ = [await had(driver, number) for number in range(1, 11)]
    (await rebinds(driver, first)).ok(201)
    await binds(driver, 2)
    (await tries_to_bind(driver, 11)).refused(409, "too_many_in_12_months")


async def test_r13_a_vehicle_counts_until_12_months_after_its_binding_ended(world: World) -> None:
    driver = await world.natural(1)
    for number in range(1, 10):
        await had(driver, number)
    last = await binds(driver, 10)
    await world.advance_to("2025-11-30T12:00:00+08:00")
    driver = await world.natural(1)
    await unbinds(driver, last)
    await world.advance_to("2026-10-09T16:53:19+08:00")
    driver = await world.natural(1)
    (await tries_to_bind(driver, 11)).refused(409, "too_many_in_12_months")
    await world.advance(1)
    await binds(driver, 11)
    for number in (12, 1):
        await had(driver, number)
    assert len((await driver.get(f"{HISTORY}&limit=100")).items) == 12


async def test_r13_a_binding_that_stands_for_longer_than_12_months_still_counts(world: World) -> None:
    driver = await world.natural(1)
    old = await binds(driver, 1)
    await world.advance_to("2027-01-01T00:00:00+08:00")
    driver = await world.natural(1)
    for number in range(2, 11):
        await had(driver, number)
    (await tries_to_bind(driver, 11)).refused(409, "too_many_in_12_months")
    await unbinds(driver, old)
    (await tries_to_bind(driver, 11)).refused(409, "too_many_in_12_months")
    await world.advance_to("2027-12-31T23:59:58+08:00")
    driver = await world.natural(1)
    (await tries_to_bind(driver, 11)).refused(409, "too_many_in_12_months")
    await world.advance(3)
    await binds(driver, 11)


async def test_r13_delegated_vehicles_count(world: World) -> None:
    driver, holder = await world.natural(1), await world.natural(11)
    for number in range(1, 11):
        await had(driver, number)
    delegation = await delegates(driver, 11)
    (await opens(holder, delegation["token"])).ok()
    (await binds_through(holder, delegation["id"], 11)).refused(409, "too_many_in_12_months")


# -- R14 ---------------------------------------------------------------------------------------------------------------


async def test_r14_several_drivers_bind_one_vehicle_each_once_at_a_time(world: World) -> None:
    drivers = [await world.natural(number) for number in (1, 2, 3)]
    bindings = [await binds(driver, 1) for driver in drivers]
    for driver in drivers:
        (await tries_to_bind(driver, 1)).refused(409, "already_bound")
    owner = await world.owner()
    (vehicle,) = [each for each in (await owner.get(f"{OWNER}/vehicles")).items if each["plate"] == plate(1)]
    page = (await owner.get(f"{OWNER}/vehicles/{vehicle['id']}")).ok()
    assert {each["id"] for each in page["bindings"]} == set(bindings)
    await unbinds(drivers[0], bindings[0])
    assert [each["id"] for each in (await drivers[1].get(CURRENT)).items] == [bindings[1]]
    await binds(drivers[0], 1)


async def test_r14_one_vehicle_bound_twice_in_the_same_moment_is_bound_once(world: World) -> None:
    driver = await world.natural(1)
    answers = await asyncio.gather(*(tries_to_bind(driver, 1) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7
    for answer in answers:
        if answer.status == 409:
            answer.refused(409, "already_bound")


# -- R15 ---------------------------------------------------------------------------------------------------------------


async def test_r15_unbinding_moves_the_binding_to_history(world: World) -> None:
    driver = await world.natural(1)
    binding = await binds(driver, 1)
    await world.advance(60)
    await unbinds(driver, binding)
    assert (await driver.get(CURRENT)).items == []
    (past,) = (await driver.get(HISTORY)).items
    assert (past["id"], past["unbound_by"]) == (binding, "driver")
    assert past["bound_at"] == "2025-10-09T16:53:20+08:00"
    assert past["unbound_at"] == "2025-10-09T16:54:20+08:00"
    (await driver.delete(f"{BINDINGS}/{binding}")).refused(404, "not_found")


async def test_r15_unbinding_ends_the_own_shares_of_that_vehicle_and_nobody_elses(world: World) -> None:
    driver, other = await world.natural(1), await world.natural(2)
    viewer, second = await world.natural(11), await world.natural(12)
    mine, theirs = await binds(driver, 1), await binds(other, 1)
    opened, unopened = await shares(driver, mine), await shares(driver, mine)
    kept = await shares(other, theirs)
    (await opens(viewer, opened["token"])).ok()
    (await opens(second, kept["token"])).ok()
    await unbinds(driver, mine)
    (await looks(viewer, opened["id"])).refused(410, "share_ended")
    (await opens(second, unopened["token"])).refused(410, "share_ended")
    (await looks(second, kept["id"])).ok()
    listed = (await driver.get(f"{DRIVER}/shares")).items
    assert {each["id"]: each["status"] for each in listed} == {opened["id"]: "ended", unopened["id"]: "ended"}
    await world.restart()
    (await looks(viewer, opened["id"])).refused(410, "share_ended")
    (await looks(second, kept["id"])).ok()


async def test_r15_a_binding_in_history_can_neither_be_shared_nor_shows_where_the_truck_is(world: World) -> None:
    driver = await world.natural(1)
    binding = await had(driver, 1)
    await world.reports(1)
    (await driver.post(f"{BINDINGS}/{binding}/shares", {"duration": "3d"})).refused(404, "not_found")
    (past,) = (await driver.get(HISTORY)).items
    assert past["last_fix"] is None


async def test_r15_unbinding_and_sharing_in_the_same_moment_leave_no_share_that_lives(world: World) -> None:
    driver = await world.natural(1)
    for _ in range(ROUNDS):
        binding = await binds(driver, 1)
        answers = await asyncio.gather(
            *(tries_to_share(driver, binding) for _ in range(2)),
            driver.delete(f"{BINDINGS}/{binding}"),
            *(tries_to_share(driver, binding) for _ in range(2)),
        )
        for answer in answers:
            if answer.status >= 400:
                answer.refused(*((404, "not_found") if answer.status == 404 else (409, "too_many_shares")))
            elif answer.status == 201:
                (await opens(driver, answer.json["token"])).refused(410, "share_ended")
    assert {each["status"] for each in (await driver.get(f"{DRIVER}/shares?limit=200")).items} <= {"ended"}


# -- R16 ---------------------------------------------------------------------------------------------------------------


async def test_r16_bind_again_needs_nothing_typed_and_makes_a_new_binding(world: World) -> None:
    driver = await world.natural(1)
    old = await had(driver, 1)
    again = (await rebinds(driver, old)).ok(201)
    assert again["id"] != old
    assert again["vehicle"] == {"plate": plate(1), "plate_color": "yellow"}
    assert again["kind"] == "self"
    assert [each["id"] for each in (await driver.get(CURRENT)).items] == [again["id"]]
    assert [each["id"] for each in (await driver.get(HISTORY)).items] == [old]
    (await rebinds(driver, old)).refused(409, "already_bound")


async def test_r16_the_limits_hold_for_binding_again(world: World) -> None:
    driver = await world.natural(1)
    old = await had(driver, 1)
    await world.advance_to("2026-11-01T00:00:00+08:00")
    driver = await world.natural(1)
    for number in range(2, 12):
        await had(driver, number)
    (await rebinds(driver, old)).refused(409, "too_many_in_12_months")


@pytest.mark.parametrize("changes", [{"vin": "LZZ5ELND5HD999999"}, {"transport_cert_no": "420100999999"}])
async def test_r16_the_registry_must_still_say_the_same(world: World, changes: dict[str, Any]) -> None:
    driver = await world.natural(1)
    old = await had(driver, 1)
    await world.imports(vehicle_line(1, **changes))
    (await rebinds(driver, old)).refused(422, "vehicle_mismatch")
    await world.imports(vehicle_line(1))
    (await rebinds(driver, old)).ok(201)


async def test_r16_nobody_binds_again_from_somebody_elses_history(world: World) -> None:
    driver, other = await world.natural(1), await world.natural(2)
    old = await had(driver, 1)
    (await rebinds(other, old)).refused(404, "not_found")
    assert (await driver.get(HISTORY)).items[0]["kind"] == "self"


async def test_r16_what_was_unbound_by_the_owner_is_bound_again_alike(world: World) -> None:
    driver, owner = await world.natural(1), await world.owner()
    binding = await binds(driver, 1)
    (await owner.delete(f"{OWNER}/bindings/{binding}")).ok(204)
    (await rebinds(driver, binding)).ok(201)
    assert (await driver.get(HISTORY)).items[0]["unbound_by"] == "owner"
