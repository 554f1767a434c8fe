"""R17 to R21: a driver shares the truck's position."""

from __future__ import annotations

import asyncio

import pytest

from domain.identifiers import name_masked
from tests.acceptance.deeds import (
    BINDINGS,
    CURRENT,
    DAY_S,
    DRIVER,
    binds,
    cancels,
    delegates,
    had,
    looks,
    one,
    opens,
    previews,
    shares,
    state,
    tries_to_share,
    unbinds,
    watched,
)
from tests.acceptance.world import World
from tests.api.conftest import plate, real_name

ROUNDS = 12

# -- R17 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "duration,until",
    [
        ("3d", "2025-10-12T16:53:20+08:00"),
        ("7d", "2025-10-16T16:53:20+08:00"),
        ("1mo", "2025-11-09T16:53:20+08:00"),
        ("1y", "2026-10-09T16:53:20+08:00"),
    ],
)
async def test_r17_a_share_lasts_from_its_creation_until_the_second(world: World, duration: str, until: str) -> None:
    driver, viewer = await world.natural(1), await world.one_click(77)
    share = await shares(driver, await binds(driver, 1), duration)
    assert (share["duration"], share["status"], share["viewer"]) == (duration, "unopened", None)
    assert share["created_at"] == "2025-10-09T16:53:20+08:00"
    assert share["expires_at"] == until
    await world.advance(2 * DAY_S)  # Time runs from the creation, not from the opening.
    assert (await opens(viewer, share["token"])).ok()["expires_at"] == until
    await world.advance_to(until)
    (await looks(await world.one_click(77), share["id"])).refused(410, "share_ended")


@pytest.mark.parametrize("duration", ["3d", "1y"])
async def test_r17_the_last_second_still_shows_and_the_next_does_not(world: World, duration: str) -> None:
    seen = await watched(world, duration=duration)
    seconds = {"3d": 3 * DAY_S, "1y": 365 * DAY_S}[duration]
    await world.advance(seconds - 1)
    viewer = await world.natural(11)
    (await looks(viewer, seen.id)).ok()
    await world.restart()
    (await looks(viewer, seen.id)).ok()
    await world.advance(1)
    (await looks(viewer, seen.id)).refused(410, "share_ended")
    (await opens(viewer, seen.share["token"])).refused(410, "share_ended")
    driver = await world.natural(1)
    assert (await one(driver, f"{DRIVER}/shares", seen.id))["status"] == "expired"


@pytest.mark.parametrize(
    "created,duration,until",
    [
        ("2026-01-31T08:00:00+08:00", "1mo", "2026-02-28T08:00:00+08:00"),
        ("2028-01-30T23:59:59+08:00", "1mo", "2028-02-29T23:59:59+08:00"),
        ("2026-12-31T00:00:00+08:00", "1mo", "2027-01-31T00:00:00+08:00"),
        ("2028-02-29T12:00:00+08:00", "1y", "2029-02-28T12:00:00+08:00"),
        ("2027-03-01T00:30:00+08:00", "1mo", "2027-04-01T00:30:00+08:00"),
    ],
)
async def test_r17_months_and_years_are_calendar_ones_clamped_to_the_last_day(
    world: World, created: str, duration: str, until: str
) -> None:
    await world.advance_to(created)
    driver = await world.natural(1)
    share = await shares(driver, await binds(driver, 1), duration)
    assert (share["created_at"], share["expires_at"]) == (created, until)


@pytest.mark.parametrize("duration", ["1d", "3", "30d", "1m", "2y", "3D", "", None, 3, "forever"])
async def test_r17_there_is_no_other_duration(world: World, duration: object) -> None:
    driver = await world.natural(1)
    binding = await binds(driver, 1)
    problem = (await tries_to_share(driver, binding, duration)).refused(422, "invalid_input")
    assert problem["errors"][0]["field"] == "duration"
    assert (await driver.get(f"{DRIVER}/shares")).items == []


async def test_r17_only_a_vehicle_that_is_bound_now_is_shared(world: World) -> None:
    driver, other = await world.natural(1), await world.natural(2)
    (await tries_to_share(driver, await had(driver, 1))).refused(404, "not_found")
    (await tries_to_share(driver, await binds(other, 1))).refused(404, "not_found")


@pytest.mark.parametrize("call_me", [None, 1, "true", [], {}])
async def test_r17_call_me_is_said_or_not(world: World, call_me: object) -> None:
    driver = await world.natural(1)
    answer = await tries_to_share(driver, await binds(driver, 1), call_me=call_me)
    assert answer.refused(422, "invalid_input")["errors"][0]["field"] == "call_me"


# -- R18 ---------------------------------------------------------------------------------------------------------------


async def test_r18_three_shares_of_a_vehicle_live_at_a_time_over_all_its_drivers(world: World) -> None:
    one_driver, other = await world.natural(1), await world.natural(2)
    mine, theirs = await binds(one_driver, 1), await binds(other, 1)
    first = await shares(one_driver, mine)
    await shares(one_driver, mine)
    await shares(other, theirs)
    (await tries_to_share(one_driver, mine)).refused(409, "too_many_shares")
    (await tries_to_share(other, theirs)).refused(409, "too_many_shares")
    await world.restart()
    (await tries_to_share(other, theirs)).refused(409, "too_many_shares")
    await cancels(one_driver, first["id"])
    await shares(other, theirs)
    (await tries_to_share(one_driver, mine)).refused(409, "too_many_shares")


async def test_r18_a_binding_tells_how_many_of_its_own_shares_live_and_not_those_of_other_drivers(world: World) -> None:
    one_driver, other = await world.natural(1), await world.natural(2)
    mine, theirs = await binds(one_driver, 1), await binds(other, 1)
    await shares(one_driver, mine, "3d")
    await shares(one_driver, mine, "7d")
    await shares(other, theirs, "3d")
    assert (await one(one_driver, CURRENT, mine))["shares_live"] == 2
    assert (await one(other, CURRENT, theirs))["shares_live"] == 1
    await world.advance(3 * DAY_S)
    assert (await one(one_driver, CURRENT, mine))["shares_live"] == 1
    assert (await one(other, CURRENT, theirs))["shares_live"] == 0


async def test_r18_opened_or_not_a_share_counts_until_it_expires(world: World) -> None:
    driver, viewer = await world.natural(1), await world.natural(11)
    binding = await binds(driver, 1)
    opened = await shares(driver, binding, "7d")
    (await opens(viewer, opened["token"])).ok()
    for _ in range(2):
        await shares(driver, binding, "3d")
    await world.advance(3 * DAY_S - 1)
    (await tries_to_share(driver, binding)).refused(409, "too_many_shares")
    await world.advance(1)
    await shares(driver, binding)
    await shares(driver, binding)
    (await tries_to_share(driver, binding)).refused(409, "too_many_shares")


async def test_r18_unbinding_frees_the_places_of_the_shares_that_end(world: World) -> None:
    driver, other = await world.natural(1), await world.natural(2)
    mine, theirs = await binds(driver, 1), await binds(other, 1)
    for _ in range(3):
        await shares(driver, mine)
    (await tries_to_share(other, theirs)).refused(409, "too_many_shares")
    await unbinds(driver, mine)
    for _ in range(3):
        await shares(other, theirs)


async def test_r18_that_no_more_share_can_be_made_is_told_before_anybody_tries(world: World) -> None:
    driver, other = await world.natural(1), await world.natural(2)
    mine, theirs = await binds(driver, 1), await binds(other, 1)
    await shares(driver, mine)
    await shares(other, theirs)
    assert (await driver.get(f"{BINDINGS}/{mine}")).ok()["share_refusal"] is None
    third = await shares(other, theirs)
    told = (await driver.get(f"{BINDINGS}/{mine}")).ok()["share_refusal"]
    assert told == (await tries_to_share(driver, mine)).refused(409, "too_many_shares")
    await cancels(other, third["id"])
    assert (await driver.get(f"{BINDINGS}/{mine}")).ok()["share_refusal"] is None


async def test_r18_many_shares_made_in_the_same_moment_are_three(world: World) -> None:
    drivers = [await world.natural(number) for number in (1, 2, 3)]
    bindings = [await binds(driver, 1) for driver in drivers]
    answers = await asyncio.gather(
        *(tries_to_share(driver, binding) for driver, binding in zip(drivers, bindings, strict=True) for _ in range(4))
    )
    assert sorted(answer.status for answer in answers) == [201] * 3 + [409] * 9
    for answer in answers:
        if answer.status == 409:
            answer.refused(409, "too_many_shares")
    living = [share for driver in drivers for share in (await driver.get(f"{DRIVER}/shares")).items]
    assert [share["status"] for share in living] == ["unopened"] * 3


# -- R19 ---------------------------------------------------------------------------------------------------------------


async def test_r19_while_one_vehicle_is_shared_no_other_is(world: World) -> None:
    driver = await world.natural(1)
    one_binding, other = await binds(driver, 1), await binds(driver, 2)
    await shares(driver, one_binding)
    problem = (await tries_to_share(driver, other)).refused(409, "sharing_other_vehicle")
    assert problem["binding_id"] == one_binding
    await shares(driver, one_binding)
    assert (await driver.delete(f"{BINDINGS}/{one_binding}/shares")).ok() == {"cancelled": 2}
    await shares(driver, other)
    assert (await tries_to_share(driver, one_binding)).refused(409, "sharing_other_vehicle")["binding_id"] == other


async def test_r19_that_another_vehicle_is_shared_is_told_before_anybody_tries(world: World) -> None:
    driver = await world.natural(1)
    one_binding, other = await binds(driver, 1), await binds(driver, 2)
    await shares(driver, one_binding)
    told = (await driver.get(f"{BINDINGS}/{other}")).ok()["share_refusal"]
    assert told == (await tries_to_share(driver, other)).refused(409, "sharing_other_vehicle")
    assert (await driver.get(f"{BINDINGS}/{one_binding}")).ok()["share_refusal"] is None
    await world.advance(3 * DAY_S)
    assert (await driver.get(f"{BINDINGS}/{other}")).ok()["share_refusal"] is None


async def test_r19_until_the_shares_have_expired(world: World) -> None:
    driver = await world.natural(1)
    one_binding, other = await binds(driver, 1), await binds(driver, 2)
    await shares(driver, one_binding, "3d")
    await world.advance(3 * DAY_S - 1)
    (await tries_to_share(driver, other)).refused(409, "sharing_other_vehicle")
    await world.advance(1)
    await shares(driver, other)


async def test_r19_unbinding_the_shared_vehicle_frees_the_driver(world: World) -> None:
    driver = await world.natural(1)
    one_binding, other = await binds(driver, 1), await binds(driver, 2)
    await shares(driver, one_binding)
    await unbinds(driver, one_binding)
    await shares(driver, other)


async def test_r19_another_driver_shares_what_that_driver_likes(world: World) -> None:
    driver, other = await world.natural(1), await world.natural(2)
    await shares(driver, await binds(driver, 1))
    await shares(other, await binds(other, 2))


async def test_r19_two_vehicles_shared_in_the_same_moment_are_one(world: World) -> None:
    driver = await world.natural(1)
    bindings = [await binds(driver, number) for number in (1, 2)]
    for _ in range(ROUNDS):
        answers = await asyncio.gather(*(tries_to_share(driver, binding) for binding in bindings))
        assert sorted(answer.status for answer in answers) == [201, 409]
        for binding, answer in zip(bindings, answers, strict=True):
            if answer.status == 409:
                answer.refused(409, "sharing_other_vehicle")
            else:
                assert (await driver.delete(f"{BINDINGS}/{binding}/shares")).ok() == {"cancelled": 1}


# -- R20 ---------------------------------------------------------------------------------------------------------------


async def test_r20_the_first_to_open_a_link_owns_it_and_may_come_back(world: World) -> None:
    driver, first, second = await world.natural(1), await world.natural(11), await world.natural(12)
    share = await shares(driver, await binds(driver, 1))
    assert await state(world.nobody(), share["token"]) == "unopened"
    assert (await opens(first, share["token"])).ok()["id"] == share["id"]
    (await opens(second, share["token"])).refused(409, "link_taken")
    (await looks(second, share["id"])).refused(404, "not_found")
    await world.restart()
    (await opens(second, share["token"])).refused(409, "link_taken")
    (await opens(first, share["token"])).ok()
    again = await world.natural(11)  # the same person in another session
    (await opens(again, share["token"])).ok()
    assert [await state(who, share["token"]) for who in (world.nobody(), first, second)] == ["taken", "yours", "taken"]


async def test_r20_the_driver_opening_the_own_link_does_not_use_it_up(world: World) -> None:
    driver, viewer = await world.natural(1), await world.natural(11)
    share = await shares(driver, await binds(driver, 1))
    for _ in range(2):
        (await opens(driver, share["token"])).refused(409, "own_link")
    assert await state(driver, share["token"]) == "unopened"
    (await opens(viewer, share["token"])).ok()
    (await opens(driver, share["token"])).refused(409, "own_link")


async def test_r20_a_preview_names_the_driver_by_a_masked_name_and_claims_nothing(world: World) -> None:
    driver, viewer = await world.natural(1), await world.natural(11)
    share, asked = await shares(driver, await binds(driver, 1)), await delegates(driver, 2)
    for caller in (world.nobody(), viewer):
        for link in (share, asked):
            preview = (await previews(caller, link["token"])).ok()
            assert preview["driver_name_masked"] == name_masked(real_name(1))
            assert (preview["state"], preview["own"], preview["viewer"]) == ("unopened", False, None)
    (await opens(viewer, share["token"])).ok()


async def test_r20_the_driver_is_told_that_the_link_is_the_own_one_and_who_opened_it(world: World) -> None:
    driver, viewer, other = await world.natural(1), await world.natural(11), await world.natural(12)
    share, asked = await shares(driver, await binds(driver, 1)), await delegates(driver, 2)
    opened_at = share["created_at"]  # The clock stands still.
    for link in (share, asked):
        before = (await previews(driver, link["token"])).ok()
        assert (before["state"], before["own"], before["viewer"]) == ("unopened", True, None)
        (await opens(viewer, link["token"])).ok()
        await world.restart()
        after = (await previews(driver, link["token"])).ok()
        assert (after["state"], after["own"]) == ("taken", True)
        assert after["viewer"] == {"display_name": viewer.account["display_name"], "opened_at": opened_at}
        for caller in (world.nobody(), viewer, other):
            told = (await previews(caller, link["token"])).ok()
            assert (told["own"], told["viewer"]) == (False, None)


async def test_r20_two_people_opening_one_link_in_the_same_millisecond_are_one(world: World) -> None:
    driver = await world.natural(1)
    people = [await world.natural(number) for number in (11, 12, 13)]
    binding = await binds(driver, 1)
    for _ in range(ROUNDS):
        share = await shares(driver, binding)
        answers = await asyncio.gather(*(opens(person, share["token"]) for person in people for _ in range(2)))
        winners = {place // 2 for place, answer in enumerate(answers) if answer.status == 200}
        assert len(winners) == 1
        for place, answer in enumerate(answers):
            if place // 2 in winners:
                answer.ok()
            else:
                answer.refused(409, "link_taken")
        (winner,) = winners
        listed = await one(driver, f"{DRIVER}/shares?limit=100", share["id"])
        assert listed["viewer"]["display_name"] == people[winner].account["display_name"]
        await cancels(driver, share["id"])


# -- R21 ---------------------------------------------------------------------------------------------------------------


async def test_r21_cancelling_ends_all_shares_of_the_vehicle_by_that_driver_at_once(world: World) -> None:
    driver, other = await world.natural(1), await world.natural(2)
    viewer, second = await world.natural(11), await world.natural(12)
    mine, theirs = await binds(driver, 1), await binds(other, 1)
    opened, unopened, kept = await shares(driver, mine), await shares(driver, mine), await shares(other, theirs)
    (await opens(viewer, opened["token"])).ok()
    (await opens(second, kept["token"])).ok()
    assert (await one(driver, CURRENT, mine))["shares_live"] == 2
    assert (await driver.delete(f"{BINDINGS}/{mine}/shares")).ok() == {"cancelled": 2}
    (await looks(viewer, opened["id"])).refused(410, "share_ended")
    (await opens(viewer, unopened["token"])).refused(410, "share_ended")
    (await looks(second, kept["id"])).ok()
    assert (await one(driver, CURRENT, mine))["shares_live"] == 0
    assert {each["status"] for each in (await driver.get(f"{DRIVER}/shares")).items} == {"cancelled"}
    assert (await driver.delete(f"{BINDINGS}/{mine}/shares")).ok() == {"cancelled": 0}


async def test_r21_one_single_share_can_be_cancelled(world: World) -> None:
    seen = await watched(world)
    other = await shares(seen.driver, seen.binding)
    await cancels(seen.driver, seen.id)
    (await looks(seen.viewer, seen.id)).refused(410, "share_ended")
    assert await state(world.nobody(), seen.share["token"]) == "ended"
    assert await state(world.nobody(), other["token"]) == "unopened"
    await world.restart()
    (await looks(seen.viewer, seen.id)).refused(410, "share_ended")
    assert await state(world.nobody(), other["token"]) == "unopened"


async def test_r21_nobody_cancels_what_another_shared(world: World) -> None:
    seen, other = await watched(world), await world.natural(2)
    (await other.delete(f"{DRIVER}/shares/{seen.id}")).refused(404, "not_found")
    (await other.delete(f"{BINDINGS}/{seen.binding}/shares")).refused(404, "not_found")
    assert (await seen.view())["vehicle"]["plate"] == plate(1)


async def test_r21_cancel_and_open_in_the_same_moment_end_with_an_ended_share(world: World) -> None:
    driver, viewer = await world.natural(1), await world.natural(11)
    binding = await binds(driver, 1)
    for number in range(ROUNDS):
        share = await shares(driver, binding)
        path = f"{DRIVER}/shares/{share['id']}" if number % 2 else f"{BINDINGS}/{binding}/shares"
        opened, cancelled = await asyncio.gather(opens(viewer, share["token"]), driver.delete(path))
        assert cancelled.status == (204 if number % 2 else 200), cancelled.text
        if opened.status != 200:
            opened.refused(410, "share_ended")
        (await opens(viewer, share["token"])).refused(410, "share_ended")
        (await looks(viewer, share["id"])).refused(
            *((410, "share_ended") if opened.status == 200 else (404, "not_found"))
        )
        assert (await previews(viewer, share["token"])).ok()["state"] == "ended"
        assert (await one(driver, f"{DRIVER}/shares?limit=100", share["id"]))["status"] == "cancelled"
