"""Tests that a business unbinds drivers from its own vehicles, and from no others (R41)."""

from __future__ import annotations

import asyncio

import pytest

from actors.people.documents import PERSON
from domain.errors import Busy, NotFound, ShareEnded, TooManyBindings
from domain.people.driver import Binding
from tests.actors.facts import check
from tests.actors.people_house import Parking, PeopleHouse


async def test_r41_the_owner_unbinds_and_the_shares_end(people: PeopleHouse) -> None:
    await people.bind("dan", "v1", "b1")
    await people.share("dan", "b1", "s1")
    await people.open("s1", "anna")
    told = await people.watch("s1")
    ended = await people.unbind_as_owner("uscc-1", "b1")
    assert (ended.unbound_by, ended.unbound_at) == ("owner", people.clock.now())
    assert {each.reason for each in told} == {"unbound"}
    with pytest.raises(ShareEnded):
        await people.view("s1", "anna")
    facts = await check(people.store, people.clock.now())
    told_to = [record.account_ids for record in facts.audit.values() if record.action == "unbound"]
    assert told_to == [("uscc-1", "dan")]


async def test_r41_another_owners_vehicle_is_not_found(people: PeopleHouse) -> None:
    await people.bind("dan", "v1", "b1")
    await people.unbind("dan", "b1")
    await people.bind("dan", "v1", "b2")
    for uscc, binding_id in (("uscc-2", "b2"), ("uscc-1", "b1"), ("uscc-1", "never")):
        with pytest.raises(NotFound):
            await people.unbind_as_owner(uscc, binding_id)
    people.gone.add("v1")
    with pytest.raises(NotFound):
        await people.unbind_as_owner("uscc-1", "b2")
    assert [each.id for each in (await people.driver("dan")).bindings] == ["b2"]


async def test_r12_what_the_owner_unbound_leaves_room_for_another(people: PeopleHouse) -> None:
    for number in (1, 2, 3):
        await people.bind("dan", f"v{number}", f"b{number}")
    with pytest.raises(TooManyBindings):
        await people.bind("dan", "v4", "b4")
    await people.unbind_as_owner("uscc-1", "b2")
    await people.bind("dan", "v4", "b4")
    await check(people.store, people.clock.now())


async def test_driver_and_owner_who_unbind_at_once_end_it_once(people: PeopleHouse) -> None:
    await people.bind("dan", "v1", "b1")
    await people.share("dan", "b1", "s1")
    answers = await asyncio.gather(
        people.unbind_as_owner("uscc-1", "b1"), people.unbind("dan", "b1"), return_exceptions=True
    )
    assert sorted(type(answer).__name__ for answer in answers) == [Binding.__name__, NotFound.__name__]
    await check(people.store, people.clock.now())


async def test_a_driver_who_fell_is_not_taken_for_one_who_is_not_there(
    people: PeopleHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await people.bind("dan", "v1", "b1")
    persons = Parking(people, PERSON, monkeypatch)
    await persons.park("dan")
    with pytest.raises(Busy):
        await people.unbind_as_owner("uscc-1", "b1")
    await persons.release()
    assert (await people.unbind_as_owner("uscc-1", "b1")).unbound_by == "owner"
