"""People bind, share and delegate by the rules, whatever other actors fail beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from actors.people.document_actor import passivate_idle
from actors.people.documents import PERSON, SHARE
from actors.people.share_link import ViewShare
from actors.system.runtime import Actor, ActorFailed
from actors.system.supervisor import Unanswered
from actors.vehicles.vehicle import KIND as VEHICLE
from actors.vehicles.vehicle import Look
from domain.errors import (
    AlreadyBound,
    DelegationEnded,
    DomainError,
    LinkTaken,
    NotFound,
    OwnLink,
    ShareEnded,
    SharingOtherVehicle,
    TooManyBindings,
    TooManyDelegations,
    TooManyIn12Months,
    TooManyShares,
)
from domain.people.driver import live_shares
from domain.people.share import Duration
from persistence.store import Document, Store, StoreUnavailable
from tests.actors.facts import Facts, check
from tests.actors.people_house import DAY, T0, Parking, PeopleHouse
from tests.faulty_store import Fault


async def facts(house: PeopleHouse) -> Facts:
    return await check(house.store, house.clock.now())


async def shared(house: PeopleHouse, *share_ids: str, duration: Duration = Duration.THREE_DAYS) -> None:
    await house.bind("dan", "v1", "b1")
    for share_id in share_ids:
        await house.share("dan", "b1", share_id, duration)


# -- bindings --------------------------------------------------------------------------------------------------------


async def test_r64_the_same_command_again_is_answered_the_same_and_recorded_once(people: PeopleHouse) -> None:
    bound = await people.bind("dan", "v1", "b1")
    share = await people.share("dan", "b1", "s1")
    delegation = await people.delegate("dan", "v2", "d1")
    await people.clock.advance(60)
    assert await people.bind("dan", "v1", "b1") == bound
    assert await people.share("dan", "b1", "s1") == share
    assert await people.delegate("dan", "v2", "d1") == delegation
    await facts(people)


async def test_another_drivers_id_is_no_key_to_what_is_behind_it(people: PeopleHouse) -> None:
    await shared(people, "s1")
    await people.delegate("dan", "v2", "d1")
    await people.bind("eve", "v1", "b-eve")
    with pytest.raises(NotFound):
        await people.bind("eve", "v2", "b1")
    with pytest.raises(NotFound):
        await people.share("eve", "b-eve", "s1")
    with pytest.raises(NotFound):
        await people.share("eve", "b1", "s2")
    with pytest.raises(NotFound):
        await people.unbind("eve", "b1")
    with pytest.raises(NotFound):
        await people.cancel("eve", binding_id="b1")
    with pytest.raises(NotFound):
        await people.withdraw("eve", "d1")
    with pytest.raises(NotFound):
        await people.open_delegation("eve", "d1", "anna")
    assert await people.cancel("eve", share_id="s1") == 0
    assert (await facts(people)).shares["s1"].ended is None


async def test_r12_delegated_bindings_count_too(people: PeopleHouse) -> None:
    await people.delegate("dan", "v1", "d1")
    await people.open_delegation("dan", "d1", "anna")
    for number in (2, 3, 4):
        await people.bind("dan", f"v{number}", f"b{number}")
    with pytest.raises(TooManyBindings):
        await people.bind_delegated("dan", "d1", "anna", "v1", "b1")
    await people.unbind("dan", "b2")
    assert (await people.bind_delegated("dan", "d1", "anna", "v1", "b1")).kind == "delegated"
    with pytest.raises(TooManyBindings):
        await people.bind("dan", "v2", "b5", again=True)
    await facts(people)


async def test_r13_is_counted_across_restarts_until_twelve_months_after_the_end(people: PeopleHouse) -> None:
    for number in range(10):
        await people.bind("dan", f"v{number}", f"b{number}")
        await people.unbind("dan", f"b{number}")
    house = await people.successor(after_s=364 * DAY)
    with pytest.raises(TooManyIn12Months) as refused:
        await house.bind("dan", "v10", "b10")
    assert refused.value.frees_at == T0 + 365 * DAY
    await house.bind("dan", "v3", "b-again", again=True)
    await house.clock.advance(DAY)
    await house.bind("dan", "v10", "b10")
    await facts(house)
    await house.die()


async def test_r14_several_drivers_bind_one_vehicle_each_of_them_once(people: PeopleHouse) -> None:
    await people.bind("dan", "v1", "b1")
    await people.bind("eve", "v1", "b2")
    with pytest.raises(AlreadyBound):
        await people.bind("dan", "v1", "b3")
    await facts(people)


# -- shares ----------------------------------------------------------------------------------------------------------


async def test_r15_unbinding_ends_that_drivers_shares_of_that_vehicle_and_cuts_the_streams(people: PeopleHouse) -> None:
    await shared(people, "s1", "s2")
    await people.bind("eve", "v1", "b-eve")
    await people.share("eve", "b-eve", "s-eve")
    for share_id in ("s1", "s-eve"):
        await people.open(share_id, "anna")
    mine, others = await people.watch("s1"), await people.watch("s-eve")
    await people.unbind("dan", "b1")
    assert ({each.reason for each in mine}, others) == ({"unbound"}, [])
    with pytest.raises(ShareEnded):
        await people.view("s1", "anna")
    assert (await people.view("s-eve", "anna")).id == "s-eve"
    await facts(people)


async def test_r18_counts_the_shares_of_all_drivers_and_frees_a_place_at_the_very_second(people: PeopleHouse) -> None:
    for driver in ("dan", "eve", "fay", "gus"):
        await people.bind(driver, "v1", f"b-{driver}")
    await people.share("dan", "b-dan", "s1")
    await people.share("eve", "b-eve", "s2")
    await people.share("fay", "b-fay", "s3", Duration.SEVEN_DAYS)
    with pytest.raises(TooManyShares):
        await people.share("gus", "b-gus", "s4")
    await people.clock.advance(3 * DAY - 1)
    with pytest.raises(TooManyShares):
        await people.share("gus", "b-gus", "s4")
    await people.clock.advance(1)
    for number in (4, 5):
        await people.share("gus", "b-gus", f"s{number}")
    with pytest.raises(TooManyShares):
        await people.share("gus", "b-gus", "s6")
    assert await people.cancel("gus", share_id="s4") == 1
    await people.share("dan", "b-dan", "s6")
    await facts(people)


async def test_r19_another_vehicle_is_shared_only_when_the_first_is_shared_no_more(people: PeopleHouse) -> None:
    await shared(people, "s1")
    await people.bind("dan", "v2", "b2")
    with pytest.raises(SharingOtherVehicle) as refused:
        await people.share("dan", "b2", "s2")
    assert refused.value.binding_id == "b1"
    await people.clock.advance(3 * DAY)
    await people.share("dan", "b2", "s2")
    with pytest.raises(SharingOtherVehicle):
        await people.share("dan", "b1", "s3")
    assert await people.cancel("dan", binding_id="b2") == 1
    await people.share("dan", "b1", "s3")
    await facts(people)


async def test_r21_cancelling_ends_what_lives_and_nothing_twice(people: PeopleHouse) -> None:
    await shared(people, "s1", "s2", "s3")
    assert await people.cancel("dan", share_id="s2") == 1
    assert await people.cancel("dan", share_id="s2") == 0
    assert await people.cancel("dan", binding_id="b1") == 2
    assert await people.cancel("dan", binding_id="b1") == 0
    with pytest.raises(NotFound):
        await people.cancel("dan", binding_id="b2")
    assert {each.ended and each.ended.reason for each in (await facts(people)).shares.values()} == {"cancelled"}


async def test_a_cancel_at_the_very_second_of_the_end_finds_it_expired(people: PeopleHouse) -> None:
    await shared(people, "s1")
    people.clock._now += 3 * DAY  # No timer has come yet.
    assert await people.cancel("dan", binding_id="b1") == 0
    await people.unbind("dan", "b1")
    await people.clock.advance(0)
    ended = (await facts(people)).shares["s1"].ended
    assert ended is not None
    assert (ended.at, ended.reason) == (T0 + 3 * DAY, "expired")


async def test_a_vehicle_that_left_the_registry_can_be_let_go_and_not_shared(people: PeopleHouse) -> None:
    await shared(people, "s1")
    people.gone.add("v1")
    with pytest.raises(NotFound):
        await people.share("dan", "b1", "s2")
    assert await people.cancel("dan", binding_id="b1") == 1
    await people.unbind("dan", "b1")
    await facts(people)


# -- an end that a link hears of -------------------------------------------------------------------------------------


async def test_r33_a_link_that_fell_shows_nothing_of_what_ended_meanwhile_however_much_waits(
    people: PeopleHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shared(people, "s1", "s2")
    await people.open("s1", "anna")
    told = await people.watch("s1")
    links = Parking(people, SHARE, monkeypatch)
    await links.park("s1")
    link = people.link_actor("s1")
    for _ in range(link.mailbox_limit):
        link.tell(ViewShare(("anna",)))
    assert await people.cancel("dan", binding_id="b1") == 2
    assert [each.reason for each in told] == ["cancelled"]
    await links.release()
    with pytest.raises(ShareEnded):
        await people.view("s1", "anna")
    assert people.supervisor.dead_letters_total == 1 + link.mailbox_limit  # What felled it, and each view.
    await facts(people)


@pytest.mark.parametrize("way", ["restart", "load"])
async def test_r33_a_link_that_was_read_before_its_share_ended_is_read_again(
    way: str, people: PeopleHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shared(people, "s1")
    await people.open("s1", "anna")
    links = ReadEarly(people, SHARE, monkeypatch)
    if way == "restart":
        await links.park("s1")
    else:
        passivate_idle(people.supervisor, (SHARE,))
        passivate_idle(people.supervisor, (SHARE,))
        assert people.supervisor.actors(SHARE) == {}
    view = asyncio.ensure_future(people.view("s1", "anna"))
    await links.has_read.wait()
    await people.unbind("dan", "b1")
    links.go_on()
    assert isinstance((await asyncio.gather(view, return_exceptions=True))[0], ShareEnded | Unanswered)
    await people.rest()
    with pytest.raises(ShareEnded):
        await people.view("s1", "anna")
    await facts(people)


class ReadEarly(Parking):
    """Reads an actor's document, and brings the actor to life only when it is told to ``go_on``."""

    def __init__(self, house: PeopleHouse, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(house, kind, monkeypatch)
        self.has_read = asyncio.Event()

    def go_on(self) -> None:
        self._free.set()

    async def load(self, keys: Sequence[str]) -> Mapping[str, Actor]:
        actors = await super().load(keys)
        self.has_read.set()
        await self._free.wait()
        return actors

    async def reload(self, key: str) -> Actor:
        return (await self.load((key,)))[key]


async def test_r33_a_link_that_is_read_when_its_share_ends_is_read_once_more(people: PeopleHouse) -> None:
    await shared(people, "s1")
    await people.open("s1", "anna")
    link, reads = people.link_actor("s1"), StopsReads(people.store.store)
    people.store.store = reads
    link.outdate()
    view = asyncio.ensure_future(people.view("s1", "anna"))
    await reads.has_read.wait()
    reads.stops = False
    assert await people.cancel("dan", share_id="s1") == 1
    reads.go_on.set()
    with pytest.raises(ShareEnded):
        await view


class StopsReads:
    """A store whose reads are done at once, and answered when it is told to ``go_on``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.stops = True
        self.has_read, self.go_on = asyncio.Event(), asyncio.Event()

    async def get(self, kind: str, keys: Sequence[str]) -> Mapping[str, Document]:
        stops, documents = self.stops, await self._store.get(kind, keys)
        self.has_read.set()
        if stops:
            await self.go_on.wait()
        return documents

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.mark.parametrize("fault", [Fault.FAIL_AFTER, Fault.BREAK_AFTER])
async def test_r33_streams_hear_of_an_end_that_its_command_was_never_told_of(people: PeopleHouse, fault: Fault) -> None:
    await shared(people, "s1")
    await people.open("s1", "anna")
    told = await people.watch("s1")
    people.store.plan(fault, 1)
    with pytest.raises((StoreUnavailable, ActorFailed)):
        await people.cancel("dan", binding_id="b1")
    people.store.down = True
    with pytest.raises(StoreUnavailable):
        await people.view("s1", "anna")
    people.store.repair()
    await people.clock.advance(5)
    assert {each.reason for each in told} == {"cancelled"}
    with pytest.raises(ShareEnded):
        await people.view("s1", "anna")
    await people.clock.advance(60)
    await facts(people)


async def test_r33_an_end_that_did_not_happen_cuts_no_stream(people: PeopleHouse) -> None:
    await shared(people, "s1")
    await people.open("s1", "anna")
    told = await people.watch("s1")
    people.store.plan(Fault.FAIL_BEFORE, 1)
    with pytest.raises(StoreUnavailable):
        await people.unbind("dan", "b1")
    await people.clock.advance(5)
    assert told == []
    assert (await people.view("s1", "anna")).id == "s1"
    await facts(people)


# -- others fail -----------------------------------------------------------------------------------------------------


async def test_a_vehicle_or_a_link_that_fell_holds_up_nobody(
    people: PeopleHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shared(people, "s1")
    await people.open("s1", "anna")
    await people.supervisor.ask("v1", Look())
    vehicles, links = Parking(people, VEHICLE, monkeypatch), Parking(people, SHARE, monkeypatch)
    await vehicles.park("v1")
    await links.park("s1")
    await people.share("dan", "b1", "s2")
    assert await people.cancel("dan", share_id="s1") == 1
    await people.unbind("dan", "b1")
    await facts(people)
    await vehicles.release()
    await links.release()


async def test_a_share_whose_answer_was_lost_is_answered_when_it_is_asked_again(people: PeopleHouse) -> None:
    await people.bind("dan", "v1", "b1")
    people.store.plan(Fault.FAIL_AFTER, 1)
    with pytest.raises(StoreUnavailable):
        await people.share("dan", "b1", "s1")
    made, commits = await people.share("dan", "b1", "s1"), people.store.commits
    assert (await facts(people)).shares["s1"] == made
    assert await people.share("dan", "b1", "s1") == made
    assert people.store.commits == commits


async def test_what_failed_is_tried_again_by_one_timer_however_often_it_failed(people: PeopleHouse) -> None:
    await shared(people, "s1")
    before = people.clock.agenda.pending
    for number in range(50):
        people.store.plan(Fault.FAIL_BEFORE if number < 49 else Fault.GO_DOWN, 1)
        with pytest.raises(StoreUnavailable):
            await people.bind("dan", "v2", f"b-{number}")
    assert people.clock.agenda.pending <= before + 2
    letters = people.supervisor.dead_letters_total
    await people.clock.advance(600)
    assert people.clock.agenda.pending <= before + 2
    assert people.supervisor.dead_letters_total == letters
    people.store.repair()
    await people.clock.advance(5)
    await people.bind("dan", "v2", "b2")
    await facts(people)


async def test_commits_that_fail_while_reads_succeed_are_not_tried_in_a_circle(people: PeopleHouse) -> None:
    await people.delegate("dan", "v2", "d1")
    people.clock._now += 7 * DAY
    commits = people.store.commits
    for _ in range(10):
        people.store.plan(Fault.FAIL_BEFORE, 1)
        await people.clock.advance(5)
    assert people.store.commits - commits <= 11
    people.store.repair()
    await people.clock.advance(5)
    await facts(people)


# -- sleeping and waking ---------------------------------------------------------------------------------------------


async def test_who_is_idle_sleeps_and_wakes_as_it_was(people: PeopleHouse) -> None:
    await shared(people, "s1")
    await people.delegate("dan", "v2", "d1")
    driver = await people.driver("dan")
    await people.preview("s1")
    passivate_idle(people.supervisor, (PERSON, SHARE))
    assert passivate_idle(people.supervisor, (PERSON, SHARE)) == 2
    assert people.supervisor.actors(SHARE) == people.supervisor.actors(PERSON) == {}
    assert await people.driver("dan") == driver
    with pytest.raises(NotFound):
        await people.view("s1", "stranger")
    assert await people.cancel("dan", binding_id="b1") == 1
    await facts(people)


# -- delegations -----------------------------------------------------------------------------------------------------


async def test_r22_a_family_member_binds_for_the_driver(people: PeopleHouse) -> None:
    delegation = await people.delegate("dan", "v1", "d1")
    assert (await people.preview_delegation("dan", "d1", "anna")).state == "unopened"
    with pytest.raises(OwnLink):
        await people.open_delegation("dan", "d1", "dan")
    await people.open_delegation("dan", "d1", "anna")
    await people.open_delegation("dan", "d1", "anna")
    with pytest.raises(LinkTaken):
        await people.open_delegation("dan", "d1", "ben")
    with pytest.raises(NotFound):
        await people.bind_delegated("dan", "d1", "ben", "v1", "b1")
    with pytest.raises(NotFound):
        await people.bind_delegated("dan", "d1", "anna", "v2", "b1")
    bound = await people.bind_delegated("dan", "d1", "anna", "v1", "b1")
    assert (bound.kind, bound.delegate_id, bound.driver_name) == ("delegated", "anna", delegation.driver_name)
    assert await people.bind_delegated("dan", "d1", "anna", "v1", "b1") == bound
    with pytest.raises(NotFound):
        await people.bind_delegated("dan", "d1", "ben", "v1", "b1")
    with pytest.raises(DelegationEnded):
        await people.bind_delegated("dan", "d1", "anna", "v1", "b2")
    assert (await people.preview_delegation("dan", "d1", "anna")).state == "ended"
    await facts(people)


async def test_r23_it_expires_after_seven_days_whoever_sleeps_and_is_recorded_once(people: PeopleHouse) -> None:
    await people.delegate("dan", "v1", "d1")
    await people.delegate("dan", "v2", "d2")
    await people.open_delegation("dan", "d1", "anna")
    await people.withdraw("dan", "d2")
    with pytest.raises(DelegationEnded):
        await people.withdraw("dan", "d2")
    for _ in range(2):
        passivate_idle(people.supervisor, (PERSON, SHARE))
    await people.clock.advance(7 * DAY - 1)
    assert [each.id for each in (await people.driver("dan")).delegations] == ["d1"]
    await people.clock.advance(1)
    assert (await facts(people)).persons == {}
    with pytest.raises(DelegationEnded):
        await people.bind_delegated("dan", "d1", "anna", "v1", "b1")
    house = await people.successor(after_s=DAY)
    await facts(house)
    await house.die()


async def test_too_many_links_to_bind_through_are_refused_until_one_is_over(people: PeopleHouse) -> None:
    for number in range(10):
        await people.delegate("dan", "v1", f"d{number}")
    with pytest.raises(TooManyDelegations):
        await people.delegate("dan", "v2", "d10")
    await people.withdraw("dan", "d0")
    await people.delegate("dan", "v2", "d10")
    people.clock._now += 7 * DAY  # No timer has come yet.
    await people.delegate("dan", "v2", "d11")
    await people.clock.advance(0)
    await facts(people)


async def test_a_refusal_leaves_everything_as_it_was(people: PeopleHouse) -> None:
    await shared(people, "s1")
    before, commits = await facts(people), people.store.commits
    for refused in (
        people.bind("dan", "v1", "b2"),
        people.unbind("dan", "b2"),
        people.share("dan", "b2", "s2"),
        people.delegate("dan", "v1", "d1"),
        people.withdraw("dan", "d1"),
        people.open_delegation("dan", "d1", "anna"),
    ):
        with pytest.raises(DomainError):
            await refused
    assert (await facts(people), people.store.commits) == (before, commits)
    assert len(live_shares(await people.driver("dan"), people.clock.now())) == 1
