"""A store that an older program left with commands half done is put right at a start, wherever that start is interrupted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.people.documents import PERSON, SHARE, share_document
from actors.people.interrupted import PENDING, NotedPerson, Pending
from actors.people.vehicle_shares import granted
from domain.errors import ShareEnded
from domain.people.share import Duration
from domain.people.shares_of_vehicle import LiveShare
from persistence.records import encode
from persistence.store import Document, IndexEntry, Put, StoreError
from tests.actors.facts import check, facts_of
from tests.actors.people_house import T0, Killed, PeopleHouse, doer
from tests.faulty_store import Fault


async def left_half_done(house: PeopleHouse) -> None:
    """The driver's command to end ``s1`` was decided, the one to make ``s3`` begun: vehicle and link know of it."""
    await house.bind("dan", "v1", "b1")
    await house.share("dan", "b1", "s1")
    await house.open("s1", "anna")
    begun = replace(await house.share("dan", "b1", "s2", Duration.SEVEN_DAYS), id="s3")
    driver = await house.driver("dan")
    notes = (Pending("end", "s1", "v1", doer("dan")), Pending("grant", "s3", "v1", doer("dan")))
    noted = NotedPerson(replace(driver, shares=driver.shares[1:]), notes)
    person = Put(PERSON, "dan", encode(noted), (IndexEntry(PENDING, ""),))
    counted = await granted(house.store, "v1", LiveShare("s3", begun.expires_at), now=T0)
    await house.store.commit([person, counted, share_document(begun, version=0)])


async def check_settled(house: PeopleHouse) -> None:
    facts = await check(house.store, house.clock.now())
    assert facts.shares.keys() == {"s1", "s2"}
    ended = facts.shares["s1"].ended
    assert ended is not None
    assert ended.reason == "cancelled"
    assert await house.store.count(PERSON, PENDING, "") == 0
    with pytest.raises(ShareEnded):
        await house.view("s1", "anna")
    await house.share("dan", "b1", "s4")
    await house.share("dan", "b1", "s5")  # R18: neither the ended nor the undone one counts.
    await check(house.store, house.clock.now())


@pytest.mark.parametrize("fault", [None, Fault.KILL_BEFORE, Fault.KILL_AFTER, Fault.FAIL_BEFORE, Fault.FAIL_AFTER])
async def test_an_end_that_was_decided_is_finished_and_a_share_that_was_begun_undone(
    fault: Fault | None, people: PeopleHouse
) -> None:
    await left_half_done(people)
    try:
        house = await people.successor(after_s=60, fault=fault)
    except (Killed, StoreError):
        house = await people.successor(after_s=120)
    await check_settled(house)
    await house.die()


async def test_a_share_that_can_not_be_read_keeps_no_start_from_serving(people: PeopleHouse) -> None:
    await left_half_done(people)
    document: Document = (await people.store.store.get(SHARE, ["s1"]))["s1"]
    await people.store.store.commit([Put(SHARE, "s1", b"\x00")])
    house = await people.successor()
    await house.bind("eve", "v2", "b2")
    assert await house.store.count(PERSON, PENDING, "") == 1
    await house.store.store.commit([Put(SHARE, "s1", document.record)])
    house = await house.successor()
    await check_settled(house)
    await house.die()


async def test_what_is_settled_is_settled_once(people: PeopleHouse) -> None:
    await left_half_done(people)
    house = await people.successor()
    facts, commits = await facts_of(house.store), house.store.commits
    await house.household.recover()
    assert (await facts_of(house.store), house.store.commits) == (facts, commits)
    await house.die()
