"""Tests that distant deadlines fire once and in time, across restarts, sleep and failures."""

from __future__ import annotations

import pytest

from actors.people.audit import KIND as AUDIT
from actors.people.deadlines import PAGE
from actors.people.document_actor import passivate_idle
from actors.people.documents import DEADLINE, PERSON, SHARE, share_entries, sort_key
from domain.people.share import Duration, Share
from persistence.records import decode
from persistence.store import Delete, IndexEntry, Put, StoreFormatError, StoreUnavailable
from tests.actors.facts import check
from tests.actors.people_house import DAY, T0, Parking, PeopleHouse
from tests.faulty_store import Fault


def sleep(house: PeopleHouse) -> None:
    for _ in range(2):
        passivate_idle(house.supervisor, (PERSON, SHARE))
    assert house.supervisor.actors(SHARE) == {}


async def shared(house: PeopleHouse, *share_ids: str, duration: Duration = Duration.THREE_DAYS) -> None:
    await house.bind("dan", "v1", "b1")
    for share_id in share_ids:
        await house.share("dan", "b1", share_id, duration)


async def test_r17_a_year_is_a_year_across_restarts(people: PeopleHouse) -> None:
    await shared(people, "s1", duration=Duration.ONE_YEAR)
    await people.open("s1", "anna")
    house = people
    for _ in range(5):
        house = await house.successor(after_s=70 * DAY)
        await house.clock.advance(2 * DAY)
        assert (await house.view("s1", "anna")).id == "s1"
    told = await house.watch("s1")
    await house.clock.advance(T0 + 365 * DAY - 1 - house.clock.now())
    assert told == []
    await house.clock.advance(1)
    assert {each.reason for each in told} == {"expired"}
    await check(house.store, house.clock.now())
    await house.die()


async def test_r17_what_ended_while_the_service_was_down_is_noted_at_its_own_time(people: PeopleHouse) -> None:
    await shared(people, "s1")
    await people.delegate("dan", "v2", "d1")
    house = await people.successor(after_s=100 * DAY)
    facts = await check(house.store, house.clock.now())
    ended = facts.shares["s1"].ended
    assert ended is not None
    assert ended.at == T0 + 3 * DAY
    told = {record.action: record.at for record in facts.audit.values()}
    assert (told["share_expired"], told["delegation_expired"]) == (T0 + 3 * DAY, T0 + 7 * DAY)
    await house.die()


async def test_sleepers_are_woken_each_in_its_time(people: PeopleHouse) -> None:
    await shared(people, "s1")
    await people.share("dan", "b1", "s2", Duration.SEVEN_DAYS)
    await people.delegate("dan", "v2", "d1")
    await people.share("dan", "b1", "s3", Duration.ONE_MONTH)
    sleep(people)
    for days in (3, 4, 24, 10):
        await people.clock.advance(days * DAY)
        await check(people.store, people.clock.now())
        sleep(people)


async def test_r50_nobody_is_woken_while_the_clock_is_not_settled_and_everybody_afterwards(people: PeopleHouse) -> None:
    await shared(people, "s1")
    delegation = await people.delegate("dan", "v2", "d1")
    sleep(people)
    people.clock.is_settled = False
    await people.clock.advance(8 * DAY)
    await people.delegate("dan", "v3", "d2")  # A driver who is awake notices what has lapsed, and leaves it.
    facts = await check(people.store, 0.0)
    assert facts.shares["s1"].ended is None
    assert "delegation_expired" not in {record.action for record in facts.audit.values()}
    people.clock.is_settled = True
    await people.clock.advance(5)
    facts = await check(people.store, people.clock.now())
    ended = facts.shares["s1"].ended
    assert ended is not None
    told = {record.action: record.at for record in facts.audit.values()}
    assert (told["share_expired"], told["delegation_expired"]) == (T0 + 3 * DAY, delegation.expires_at)


async def test_a_share_whose_last_answer_was_lost_ends_in_time_all_the_same(people: PeopleHouse) -> None:
    await people.bind("dan", "v1", "b1")
    people.store.plan(Fault.FAIL_AFTER, 1)
    with pytest.raises(StoreUnavailable):
        await people.share("dan", "b1", "s1")
    await people.clock.advance(5)
    sleep(people)
    await people.clock.advance(3 * DAY)
    assert (await check(people.store, people.clock.now())).shares["s1"].ended is not None


async def test_many_ends_at_once_are_all_noted(people: PeopleHouse) -> None:
    count = PAGE + 10
    for number in range(count):
        await people.bind(f"dan-{number}", f"v{number}", f"b{number}")
        await people.share(f"dan-{number}", f"b{number}", f"s{number}")
    house = await people.successor(after_s=4 * DAY)
    facts = await check(house.store, house.clock.now())
    assert sum(share.ended is not None for share in facts.shares.values()) == count
    await house.die()


@pytest.mark.parametrize("kind", ["share", "delegation"])
async def test_one_that_can_not_be_read_keeps_no_other_waiting(kind: str, people: PeopleHouse) -> None:
    await shared(people, "s1", "s2")
    await people.delegate("dan", "v2", "d1")
    broken = Put(kind, "broken", b"\x00", (IndexEntry(DEADLINE, "", sort_key(T0)),))
    await people.store.store.commit([broken])
    house = await people.successor()
    for _ in range(2):
        await house.clock.advance(4 * DAY)
    await house.store.store.commit([Delete(kind, "broken")])
    await check(house.store, house.clock.now())
    await house.die()


async def test_a_link_that_can_not_be_read_keeps_its_driver_from_nothing_else(people: PeopleHouse) -> None:
    await shared(people, "s1", "s2")
    document = (await people.store.store.get(SHARE, ["s1"]))["s1"]
    await people.store.store.commit([Put(SHARE, "s1", b"\x00")])
    house = await people.successor()
    for refused in (
        house.cancel("dan", binding_id="b1"),
        house.unbind("dan", "b1"),
        house.cancel("dan", share_id="s1"),
    ):
        with pytest.raises(StoreFormatError):
            await refused
    await house.bind("dan", "v2", "b2")
    await house.share("dan", "b1", "s3")
    assert await house.cancel("dan", share_id="s2") == 1
    await house.store.store.commit([Put(SHARE, "s1", document.record, share_entries(decode(document.record, Share)))])
    await house.unbind("dan", "b1")
    await check(house.store, house.clock.now())
    await house.die()


async def test_a_store_that_is_down_when_a_time_comes_is_waited_for(people: PeopleHouse) -> None:
    await shared(people, "s1")
    await people.delegate("dan", "v2", "d1")
    sleep(people)
    for end in (T0 + 3 * DAY, T0 + 7 * DAY):
        await people.clock.advance(end - 1 - people.clock.now())
        people.store.down = True
        await people.clock.advance(600)
        people.store.repair()
        await people.clock.advance(5)
    facts = await check(people.store, people.clock.now())
    assert {each.at for each in facts.audit.values() if "expired" in each.action} == {T0 + 3 * DAY, T0 + 7 * DAY}


async def test_one_that_fell_is_ended_when_it_is_back(people: PeopleHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    await shared(people, "s1", "s2")
    await people.delegate("dan", "v2", "d1")
    links, persons = Parking(people, SHARE, monkeypatch), Parking(people, PERSON, monkeypatch)
    await links.park("s1")
    await persons.park("dan")
    await people.clock.advance(8 * DAY)
    keys = [key for kind, key in people.store.written if kind == AUDIT]
    assert len(await people.store.store.get(AUDIT, keys)) == len(keys)
    await links.release()
    await persons.release()
    await people.rest()
    await check(people.store, people.clock.now())


async def test_a_look_that_throws_is_taken_again(people: PeopleHouse) -> None:
    await shared(people, "s1")
    sleep(people)
    await people.clock.advance(3 * DAY - 1)
    people.store.store, store = None, people.store.store  # type: ignore[assignment]
    await people.clock.advance(1)
    people.store.store = store
    await people.rest()
    assert people.supervisor.restarts == 1
    await people.clock.advance(5)
    assert (await check(people.store, people.clock.now())).shares["s1"].ended is not None
