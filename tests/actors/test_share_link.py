"""Tests that a share link belongs to one person, ends on time, and never shows more than it may."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.people.document_actor import passivate_idle
from actors.people.documents import PERSON, SHARE
from actors.people.share_link import OpenLink, PreviewLink, ViewShare
from actors.system.asks import Ask
from domain.errors import LinkTaken, NotFound, OwnLink, ShareEnded
from domain.people.share import Duration, Share
from persistence.store import StoreError, StoreUnavailable
from tests.actors.facts import check
from tests.actors.people_house import DAY, T0, Parking, PeopleHouse, doer
from tests.faulty_store import Fault


async def shared(house: PeopleHouse, *share_ids: str, duration: Duration = Duration.THREE_DAYS) -> None:
    await house.bind("dan", "v1", "b1")
    for share_id in share_ids:
        await house.share("dan", "b1", share_id, duration)


async def test_r20_of_two_who_open_at_once_one_owns_it(people: PeopleHouse) -> None:
    await shared(people, "s1")
    answers = await asyncio.gather(*(people.open("s1", who) for who in ("anna", "ben")), return_exceptions=True)
    won = [answer for answer in answers if isinstance(answer, Share)]
    assert len(won) == 1
    assert [type(answer) for answer in answers if answer not in won] == [LinkTaken]
    assert won[0].viewer is not None
    owner = won[0].viewer.account_id
    assert (await people.open("s1", owner)) == won[0]
    facts = await check(people.store, people.clock.now())
    assert facts.shares["s1"].viewer == won[0].viewer


async def test_r20_a_preview_claims_nothing_and_the_driver_uses_nothing_up(people: PeopleHouse) -> None:
    await shared(people, "s1")
    commits = people.store.commits
    with pytest.raises(OwnLink):
        await people.open("s1", "dan")
    assert (await people.preview("s1", "anna")).state == "unopened"
    assert (await people.preview("s1")).state == "unopened"
    assert people.store.commits == commits
    await people.open("s1", "anna")
    states = [(await people.preview("s1", who)).state for who in ("anna", "ben")]
    assert states == ["yours", "taken"]


async def test_who_has_not_the_token_finds_nothing(people: PeopleHouse) -> None:
    await shared(people, "s1")
    with pytest.raises(NotFound):
        await people.open("s1", "anna", token_hash="guessed")
    with pytest.raises(NotFound):
        await people.link("s1", PreviewLink("guessed", ("anna",)))
    with pytest.raises(NotFound):
        await people.view("s1", "anna")
    assert (await people.preview("s1")).state == "unopened"


async def test_who_guesses_at_ids_leaves_nothing_in_memory(people: PeopleHouse) -> None:
    guesses: tuple[Ask[Any], ...] = (
        ViewShare(("eve",)),
        PreviewLink("guessed", ()),
        OpenLink("guessed", ("eve",), doer("eve")),
    )
    for number, guess in enumerate(guesses * 10):
        with pytest.raises(NotFound):
            await people.link(f"guess-{number}", guess)
        await asyncio.sleep(0)
    assert people.supervisor.actors(SHARE) == {}


async def test_r63_who_watched_last_is_noted_and_survives(people: PeopleHouse) -> None:
    await shared(people, "s1", "s2")
    await people.open("s1", "anna")
    await people.clock.advance(100)
    await people.view("s1", "anna")
    for stranger in ("ben", "dan"):
        with pytest.raises(NotFound):
            await people.view("s1", stranger)
    log = people.household.watch_log
    assert await log.last(["s1", "s2"]) == {"s1": T0 + 100}
    await log.flush()
    house = await people.successor()
    assert await house.household.watch_log.last(["s1", "s2"]) == {"s1": T0 + 100}
    await house.die()


async def test_what_is_watched_while_it_is_written_is_not_forgotten(people: PeopleHouse) -> None:
    log = people.household.watch_log
    log.note("s1", T0)
    people.store.plan(Fault.FAIL_BEFORE, 1)
    with pytest.raises(StoreUnavailable):
        await log.flush()
    flushing = asyncio.ensure_future(log.flush())
    await asyncio.sleep(0)
    log.note("s1", T0 + 1)
    log.note("s2", T0 + 2)
    await flushing
    assert await log.last(["s1", "s2"]) == {"s1": T0 + 1, "s2": T0 + 2}
    await log.flush()
    assert log._unwritten == {}


# -- its end ---------------------------------------------------------------------------------------------------------


async def test_r17_r33_it_ends_at_its_very_second_and_the_stream_with_it(people: PeopleHouse) -> None:
    await shared(people, "s1")
    await people.open("s1", "anna")
    told = await people.watch("s1")
    await people.clock.advance(3 * DAY - 0.001)
    assert (await people.view("s1", "anna")).id == "s1"
    assert told == []
    await people.clock.advance(0.001)
    assert {(each.share_id, each.reason) for each in told} == {("s1", "expired")}
    for who in ("anna", "ben", "dan"):
        with pytest.raises(ShareEnded):
            await people.open("s1", who)
    with pytest.raises(ShareEnded):
        await people.view("s1", "anna")
    assert (await people.preview("s1", "anna")).state == "ended"
    await check(people.store, people.clock.now())


async def test_r33_whoever_asks_before_the_timer_is_answered_by_the_clock(people: PeopleHouse) -> None:
    await shared(people, "s1")
    await people.open("s1", "anna")
    people.clock._now += 3 * DAY
    with pytest.raises(ShareEnded):
        await people.view("s1", "anna")
    with pytest.raises(ShareEnded):
        await people.open("s1", "anna")


async def test_r33_streams_are_cut_in_time_while_the_store_is_down(people: PeopleHouse) -> None:
    await shared(people, "s1")
    await people.open("s1", "anna")
    told = await people.watch("s1")
    await people.clock.advance(3 * DAY - 2)
    people.store.down = True
    await people.clock.advance(1)
    assert told == []
    await people.clock.advance(1)
    assert {each.reason for each in told} == {"expired"}
    await people.clock.advance(3600)
    people.store.repair()
    await people.clock.advance(5)
    ended = (await check(people.store, people.clock.now())).shares["s1"].ended
    assert ended is not None
    assert ended.at == T0 + 3 * DAY


async def test_r50_no_end_is_committed_while_the_clock_is_not_settled(people: PeopleHouse) -> None:
    await shared(people, "s1")
    await people.open("s1", "anna")
    told = await people.watch("s1")
    people.clock.is_settled = False
    await people.clock.advance(3 * DAY + 60)
    assert {each.reason for each in told} == {"expired"}
    assert (await check(people.store, 0.0)).shares["s1"].ended is None
    with pytest.raises(ShareEnded):
        await people.view("s1", "anna")
    people.clock.is_settled = True
    await people.clock.advance(5)
    ended = (await check(people.store, people.clock.now())).shares["s1"].ended
    assert ended is not None
    assert ended.at == T0 + 3 * DAY


async def test_r33_streams_are_cut_in_time_though_the_link_is_in_doubt_or_has_fallen(
    people: PeopleHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shared(people, "s1", "s2")
    doubtful, fallen = await people.watch("s1"), await people.watch("s2")
    await people.clock.advance(3 * DAY - 1)
    people.store.plan(Fault.GO_DOWN, 1)
    with pytest.raises(StoreUnavailable):
        await people.open("s1", "anna")
    people.store.repair()
    links = Parking(people, SHARE, monkeypatch)
    await links.park("s2")
    people.store.down = True
    await people.clock.advance(1)
    assert ({each.reason for each in doubtful}, {each.reason for each in fallen}) == ({"expired"}, {"expired"})
    people.store.repair()
    await links.release()
    await people.clock.advance(5)
    await check(people.store, people.clock.now())


async def test_a_lost_answer_to_the_opening_is_made_good_by_opening_again(people: PeopleHouse) -> None:
    await shared(people, "s1")
    people.store.plan(Fault.FAIL_AFTER, 1)
    with pytest.raises(StoreUnavailable):
        await people.open("s1", "anna")
    with pytest.raises(LinkTaken):
        await people.open("s1", "ben")
    assert (await people.open("s1", "anna")).viewer is not None
    await check(people.store, people.clock.now())


async def test_a_cancel_that_races_an_opening_leaves_an_ended_share(people: PeopleHouse) -> None:
    await shared(people, "s1", "s2", "s3")
    answers = await asyncio.gather(
        people.open("s1", "anna"),
        people.cancel("dan", binding_id="b1"),
        people.open("s2", "anna"),
        people.unbind("dan", "b1"),
        people.open("s3", "anna"),
        return_exceptions=True,
    )
    assert answers[1] == 3
    for share_id, answer in zip(("s1", "s2", "s3"), (answers[0], answers[2], answers[4]), strict=True):
        assert isinstance(answer, Share | ShareEnded)
        with pytest.raises((ShareEnded, NotFound)):
            await people.view(share_id, "anna")
    await check(people.store, people.clock.now())


async def test_a_year_of_sleeping_and_waking_leaves_few_timers_behind(people: PeopleHouse) -> None:
    await shared(people, "s1", duration=Duration.ONE_YEAR)
    await people.open("s1", "anna")
    for _ in range(100):
        await people.view("s1", "anna")
        await people.clock.advance(DAY)
        for _ in range(2):
            passivate_idle(people.supervisor, (PERSON, SHARE))
        assert people.supervisor.actors(SHARE) == {}
        assert people.clock.agenda.pending < 10
    assert people.household.deadlines._armed_for == T0 + 365 * DAY
    await people.clock.advance(265 * DAY)
    assert (await check(people.store, people.clock.now())).shares["s1"].ended is not None


async def test_a_store_that_fails_leaves_a_stranger_in_the_dark(people: PeopleHouse) -> None:
    await shared(people, "s1")
    people.store.down = True
    with pytest.raises(StoreError):
        await people.open("s1", "anna")
    with pytest.raises(StoreError):
        await people.view("s1", "anna")
    people.store.repair()
    await people.open("s1", "anna")
    await check(people.store, people.clock.now())
