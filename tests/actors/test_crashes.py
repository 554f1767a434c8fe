"""Every command is done wholly or not at all, wherever the process dies or the store fails in the middle of it.

Each command runs with a fault at its one commit; ends that lie ahead, with one at each of theirs. The process that
comes after a crash, or the retry after a failure, must find or reach one of two states: as if the command had never been
given, or as if nothing had gone wrong; and giving it again, with the same id, must come to the second.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from actors.system.runtime import ActorFailed
from domain.errors import Busy, DelegationEnded, DomainError, NotFound, SharingOtherVehicle, TooManyShares
from domain.people.audit import AuditRecord
from domain.people.share import Duration
from persistence.sqlite.store import SqliteStore
from persistence.store import StoreError
from tests.actors.facts import Facts, check, facts_of
from tests.actors.people_house import DAY, Killed, PeopleHouse, dont_wait_for_the_disk
from tests.faulty_store import KILLS, Fault, FaultyStore

Step = Callable[[PeopleHouse], Awaitable[Any]]


@dataclass(frozen=True)
class Scenario:
    """A command, with the commands that must come before it."""

    name: str
    prepare: Step
    command: Step
    again: tuple[type[Exception], ...] = ()
    """The refusal when it is given again after it was done."""
    refused: tuple[type[Exception], ...] = ()
    commits: int = 1

    def __str__(self) -> str:
        return self.name


async def nothing(house: PeopleHouse) -> None:
    """An empty store."""


async def bound(house: PeopleHouse) -> None:
    await house.bind("dan", "v1", "b1")


async def unbound(house: PeopleHouse) -> None:
    await bound(house)
    await house.clock.advance(60)
    await house.unbind("dan", "b1")
    await house.clock.advance(60)


def shared(count: int) -> Step:
    async def prepare(house: PeopleHouse) -> None:
        await bound(house)
        for number in range(count):
            await house.share("dan", "b1", f"s{number}")
        if count:
            await house.open("s0", "anna")

    return prepare


async def shared_by_others(house: PeopleHouse) -> None:
    """R18: three other drivers share the vehicle."""
    await bound(house)
    for number in range(3):
        await house.bind(f"other-{number}", "v1", f"other-b{number}")
        await house.share(f"other-{number}", f"other-b{number}", f"other-s{number}")


async def sharing_another(house: PeopleHouse) -> None:
    """R19: the driver shares another vehicle."""
    await shared(1)(house)
    await house.bind("dan", "v2", "b2")


async def delegated(house: PeopleHouse) -> None:
    await house.delegate("dan", "v1", "d1")


async def delegation_opened(house: PeopleHouse) -> None:
    await delegated(house)
    await house.open_delegation("dan", "d1", "anna")


async def delegation_lapsed(house: PeopleHouse) -> None:
    """Let the delegation end while the service is down."""
    await delegation_opened(house)
    house.clock._now += 8 * DAY


def at_expiry(count: int) -> Step:
    async def prepare(house: PeopleHouse) -> None:
        await shared(count)(house)
        await house.clock.advance(3 * DAY - 1)

    return prepare


async def a_second_passes(house: PeopleHouse) -> None:
    await house.clock.advance(1)


COMMANDS = [
    Scenario("bind", nothing, lambda house: house.bind("dan", "v1", "b1")),
    Scenario("rebind", unbound, lambda house: house.bind("dan", "v1", "b2", again=True)),
    *(
        Scenario(
            f"unbind with {count} live shares", shared(count), lambda house: house.unbind("dan", "b1"), (NotFound,)
        )
        for count in range(4)
    ),
    Scenario("unbind as owner", shared(2), lambda house: house.unbind_as_owner("uscc-1", "b1"), (NotFound,)),
    Scenario("share", bound, lambda house: house.share("dan", "b1", "new", Duration.ONE_YEAR)),
    Scenario("share the third time", shared(2), lambda house: house.share("dan", "b1", "new")),
    Scenario("cancel one of three", shared(3), lambda house: house.cancel("dan", share_id="s1")),
    Scenario("cancel all of three", shared(3), lambda house: house.cancel("dan", binding_id="b1")),
    Scenario("open", shared(2), lambda house: house.open("s1", "ben")),
    Scenario("delegate", nothing, lambda house: house.delegate("dan", "v1", "d1")),
    Scenario("delegate after one lapsed", delegation_lapsed, lambda house: house.delegate("dan", "v1", "d2")),
    Scenario("open a delegation", delegated, lambda house: house.open_delegation("dan", "d1", "anna")),
    Scenario(
        "bind by delegation", delegation_opened, lambda house: house.bind_delegated("dan", "d1", "anna", "v1", "b1")
    ),
    Scenario("withdraw", delegation_opened, lambda house: house.withdraw("dan", "d1"), (DelegationEnded,)),
]
REFUSED = [
    Scenario(
        "share refused by R18",
        shared_by_others,
        lambda house: house.share("dan", "b1", "new"),
        refused=(TooManyShares,),
        commits=0,
    ),
    Scenario(
        "share refused by R19",
        sharing_another,
        lambda house: house.share("dan", "b2", "new"),
        refused=(SharingOtherVehicle,),
        commits=0,
    ),
]
EXPIRIES = [
    Scenario("expiry of a share", at_expiry(1), a_second_passes),
    Scenario("expiry of three shares", at_expiry(3), a_second_passes, commits=3),
]

every_command = pytest.mark.parametrize("scenario", COMMANDS, ids=str)


class Places:
    """Makes as many empty stores as a test wants, each with what a scenario begins with."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._houses: list[PeopleHouse] = []

    async def house(self, scenario: Scenario) -> PeopleHouse:
        house = PeopleHouse(FaultyStore(await self._store()))
        self._houses.append(house)
        await house.household.recover()
        await scenario.prepare(house)
        return house

    async def _store(self) -> SqliteStore:
        """A copy of an empty one: to make a new one takes many times as long as most commands."""
        empty, path = self._folder / "empty.db", self._folder / f"{len(self._houses)}.db"
        if not empty.exists():
            await (await SqliteStore.open(empty)).close()
        shutil.copyfile(empty, path)
        return await SqliteStore.open(path)

    async def close(self) -> None:
        for house in self._houses:
            await house.die()
            await house.store.close()


@pytest.fixture
async def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Places]:
    dont_wait_for_the_disk(monkeypatch)
    places = Places(tmp_path)
    yield places
    await places.close()


async def undone_and_done(places: Places, scenario: Scenario) -> tuple[Facts, Facts]:
    """The two states between which there is none; one and the same where the command is refused."""
    house = await places.house(scenario)
    undone, before = await facts_of(house.store), house.store.commits
    if scenario.refused:
        with pytest.raises(scenario.refused):
            await scenario.command(house)
    else:
        await scenario.command(house)
        await house.rest()
    assert house.store.commits - before == scenario.commits
    return undone, await check(house.store, house.clock.now())


async def refusal_of(house: PeopleHouse, scenario: Scenario) -> Exception | None:
    """Return the command's refusal or failure; None when it is done."""
    try:
        await scenario.command(house)
    except (DomainError, StoreError, ActorFailed) as refusal:
        return refusal
    return None


async def command_again(house: PeopleHouse, scenario: Scenario, *, was_done: bool) -> None:
    """The same command with the same id; a refusal is right only where the scenario says so."""
    refusal = await refusal_of(house, scenario)
    due = scenario.refused or (scenario.again if was_done else ())
    assert isinstance(refusal, due) if due else refusal is None


def same_but_for_time(one: Facts, other: Facts) -> bool:
    """Tell whether two states differ only in the time of notes."""
    return bool(_timeless(one) == _timeless(other))


def _timeless(facts: Facts) -> Any:
    def record(each: AuditRecord) -> tuple[object, ...]:
        return each.action, each.subject_id, each.account_ids, each.actor_kind, each.actor_name, each.detail

    return (
        sorted(record(each) for each in facts.audit.values()),
        {key: (each.viewer, each.ended and each.ended.reason) for key, each in facts.shares.items()},
        {key: (each.unbound_by, each.kind) for key, each in facts.bindings.items()},
        {key: (each.holder, each.binding_id) for key, each in facts.delegations.items()},
    )


def is_as(facts: Facts, expected: Facts, scenario: Scenario) -> bool:
    """Compare with the expected facts. Earlier lapses are announced by the next start or timer, command or not."""
    return same_but_for_time(facts, expected) or scenario.prepare is delegation_lapsed


@pytest.mark.parametrize("scenario", REFUSED, ids=str)
async def test_a_command_that_is_refused_commits_nothing(scenario: Scenario, places: Places) -> None:
    undone, facts = await undone_and_done(places, scenario)
    assert facts == undone


@every_command
@pytest.mark.parametrize("fault", KILLS)
async def test_a_crash_before_or_after_the_commit_leaves_a_command_wholly_done_or_wholly_undone(
    scenario: Scenario, fault: Fault, places: Places
) -> None:
    undone, done = await undone_and_done(places, scenario)
    house, was_done = await places.house(scenario), fault is Fault.KILL_AFTER
    house.store.plan(fault, 1)
    with pytest.raises(Killed):
        await house.survive(scenario.command(house))
    after = await house.successor()
    facts = await check(after.store, after.clock.now())
    assert facts == done if was_done else is_as(facts, undone, scenario)
    await command_again(after, scenario, was_done=was_done)
    assert await check(after.store, after.clock.now()) == done
    await command_again(after, scenario, was_done=True)
    assert await check(after.store, after.clock.now()) == done


@every_command
@pytest.mark.parametrize("fault", [Fault.FAIL_BEFORE, Fault.FAIL_AFTER, Fault.BREAK_BEFORE, Fault.BREAK_AFTER])
async def test_a_commit_that_fails_or_whose_answer_is_lost_is_made_good_by_a_retry(
    scenario: Scenario, fault: Fault, places: Places
) -> None:
    undone, done = await undone_and_done(places, scenario)
    house, was_done = await places.house(scenario), fault in (Fault.FAIL_AFTER, Fault.BREAK_AFTER)
    house.store.plan(fault, 1)
    assert isinstance(await refusal_of(house, scenario), StoreError | ActorFailed | Busy)
    await house.rest()
    assert is_as(await facts_of(house.store), done if was_done else undone, scenario)
    await command_again(house, scenario, was_done=was_done)
    assert same_but_for_time(await check(house.store, house.clock.now()), done)


@every_command
async def test_a_command_that_another_overtakes_is_decided_anew(scenario: Scenario, places: Places) -> None:
    _, done = await undone_and_done(places, scenario)
    house = await places.house(scenario)
    house.store.plan(Fault.CONFLICT, 1)
    await scenario.command(house)
    assert house.store.struck
    assert await check(house.store, house.clock.now()) == done


@every_command
async def test_a_store_that_goes_down_in_the_middle_is_waited_for(scenario: Scenario, places: Places) -> None:
    undone, _ = await undone_and_done(places, scenario)
    house = await places.house(scenario)
    house.store.plan(Fault.GO_DOWN, 1)
    assert isinstance(await refusal_of(house, scenario), StoreError)
    await house.clock.advance(60)
    house.store.repair()
    await house.clock.advance(5)
    assert is_as(await check(house.store, house.clock.now()), undone, scenario)
    await command_again(house, scenario, was_done=False)
    await check(house.store, house.clock.now())


@pytest.mark.parametrize("scenario", EXPIRIES, ids=str)
@pytest.mark.parametrize("fault", list(Fault))
async def test_an_expiry_that_is_interrupted_is_finished_once(scenario: Scenario, fault: Fault, places: Places) -> None:
    _, done = await undone_and_done(places, scenario)
    for commit in range(1, scenario.commits + 1):
        house = await places.house(scenario)
        house.store.plan(fault, commit)
        if fault in KILLS:
            with pytest.raises(Killed):
                await house.survive(scenario.command(house))
            house = await house.successor()
        else:
            await scenario.command(house)
            await house.clock.advance(30)
            house.store.repair()
            await house.clock.advance(5)
        assert house.store.struck or fault in KILLS
        assert await check(house.store, house.clock.now()) == done
