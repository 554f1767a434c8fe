"""Tests that people, links and vehicles agree with a naive model of the rules, in any order of events.

Commands of several drivers, family members and owners, time that passes, restarts, sleep, crashes and failing commits, in
sequences that Hypothesis chooses and makes shorter when one fails. For a long search:
``pytest tests/actors/test_people_machine.py --hypothesis-profile search --hypothesis-seed 7``.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from actors.people.document_actor import passivate_idle
from actors.people.documents import PERSON, SHARE
from actors.system.runtime import ActorFailed
from actors.system.supervisor import Unanswered
from domain.errors import Busy, DomainError
from domain.people.share import Duration, end_reason
from persistence.sqlite.store import SqliteStore
from persistence.store import StoreError
from tests.actors.facts import Facts, check
from tests.actors.naive import Naive
from tests.actors.people_house import DAY, T0, Killed, PeopleHouse, dont_wait_for_the_disk
from tests.faulty_store import Fault, FaultyStore

T = TypeVar("T")
Answer = str | int | None
Command = Callable[[PeopleHouse], Awaitable[Any]]

STEPS = 50
INDEXES_EVERY = 10
EXAMPLES_PER_CENT = 30
"""The percentage of the profile's examples: each of these is worth about 40 plain ones."""

SPANS = (0, 1, 3600, 3 * DAY, 7 * DAY, 31 * DAY, 200 * DAY, 366 * DAY)
WEIGHTS = {
    "bind": 8,
    "rebind": 3,
    "bind_and_let_go_many": 1,
    "unbind": 3,
    "unbind_as_owner": 2,
    "share": 10,
    "cancel_all": 3,
    "cancel_one": 3,
    "open": 8,
    "view": 4,
    "delegate": 5,
    "withdraw": 2,
    "open_delegation": 5,
    "bind_delegated": 5,
    "let_pass": 4,
    "let_pass_until_an_end": 5,
    "restart": 2,
    "sleep": 2,
    "plan_a_fault": 14,
}
"""Weights of the actions. They share one rule: Hypothesis would leave out most rules of most examples."""


@dataclass(frozen=True)
class Choice:
    """The parameters that an action may need; small numbers are the usual ones."""

    driver: str
    who: str
    vehicle: str
    uscc: str
    duration: Duration
    which: int
    """The index of an object: 0 is the newest, and the greatest finds nothing."""
    seconds: float
    fault: Fault
    at: int


choices = st.builds(
    Choice,
    driver=st.sampled_from(["dan", "eve", "fay"]),
    who=st.sampled_from(["anna", "ben", "dan", "eve"]),
    vehicle=st.sampled_from([*("v1", "v2") * 2, *(f"v{number}" for number in range(3, 13))]),
    uscc=st.sampled_from(["uscc-1", "uscc-2", "uscc-3"]),
    duration=st.sampled_from(list(Duration)),
    which=st.integers(0, 20),
    seconds=st.sampled_from(SPANS),
    fault=st.sampled_from(list(Fault)),
    at=st.sampled_from([1, 1, 2, 2, 3, 4, 5, 6, 7, 8]),
)
actions = st.sampled_from([name for name, weight in WEIGHTS.items() for _ in range(weight)])
NOTHING = 20
interruptions = (Killed, StoreError, Busy, ActorFailed, Unanswered)


class Machine(RuleBasedStateMachine):
    """``folder`` has an empty store to copy; each example is a house of its own beside a naive model."""

    folder: ClassVar[Path]
    made: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.ids = self.steps = 0
        self.faults_struck = 0
        self.naive = Naive(T0)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize()
    def begin(self) -> None:
        self.run(self._begin())

    async def _begin(self) -> None:
        Machine.made += 1
        path = self.folder / f"{self.made}.db"
        shutil.copyfile(self.folder / "empty.db", path)
        self.house = PeopleHouse(FaultyStore(await SqliteStore.open(path)))
        await self.house.household.recover()
        for driver in ("dan", "eve"):
            self.naive.bind(driver, "v1", f"b0-{driver}")
            await self.house.bind(driver, "v1", f"b0-{driver}")

    def teardown(self) -> None:
        self.run(self._end())
        self.runner.close()

    async def _end(self) -> None:
        await self.house.die()
        await self.house.store.close()

    @rule(action=actions, choice=choices)
    def act(self, action: str, choice: Choice) -> None:
        getattr(self, f"_{action}")(choice)
        self.steps += 1
        self.run(self._compare(indexes=self.steps % INDEXES_EVERY == 0))

    # -- commands, each given to both --------------------------------------------------------------------------------

    def _bind(self, choice: Choice) -> None:
        self._bind_new(choice.driver, choice.vehicle, self._new_id("b"))

    def _bind_new(self, driver: str, vehicle: str, new: str, *, again: bool = False) -> None:
        expected = self.naive.bind(driver, vehicle, new)
        self._give(lambda house: house.bind(driver, vehicle, new, again=again), expected)

    def _bind_and_let_go_many(self, choice: Choice) -> None:
        """Bind and release many vehicles, so that R13 has something to count."""
        for number in range(5):
            new = self._new_id("b")
            self._bind_new(choice.driver, f"v{1 + choice.which % 8 + number}", new)
            self._unbind_one(choice.driver, new)

    def _rebind(self, choice: Choice) -> None:
        before = self._pick(self.naive.bindings, choice)
        vehicle = next((each.vehicle for each in self.naive.bindings if each.id == before), "v1")
        self._bind_new(choice.driver, vehicle, self._new_id("b"), again=True)

    def _unbind(self, choice: Choice) -> None:
        self._unbind_one(choice.driver, self._mine(choice))

    def _unbind_one(self, driver: str, binding_id: str) -> None:
        expected = self.naive.unbind(driver, binding_id)
        self._give(lambda house: house.unbind(driver, binding_id), expected, again="NotFound")

    def _unbind_as_owner(self, choice: Choice) -> None:
        binding_id = self._pick([each for each in self.naive.bindings if each.until is None], choice)
        expected = self.naive.unbind_as_owner(choice.uscc, binding_id)
        self._give(lambda house: house.unbind_as_owner(choice.uscc, binding_id), expected, again="NotFound")

    def _share(self, choice: Choice) -> None:
        mine = [each for each in self.naive.live() if each.driver == choice.driver]
        binding_id = mine[0].binding if mine and choice.which % 3 else self._mine(choice)
        new = self._new_id("s")
        expected = self.naive.share(choice.driver, binding_id, new, choice.duration)
        self._give(lambda house: house.share(choice.driver, binding_id, new, choice.duration), expected)

    def _cancel_all(self, choice: Choice) -> None:
        binding_id = self._mine(choice)
        expected = self.naive.cancel_all(choice.driver, binding_id)
        self._give(lambda house: house.cancel(choice.driver, binding_id=binding_id), expected, again=0)

    def _cancel_one(self, choice: Choice) -> None:
        share_id = self._pick(self.naive.shares, choice)
        expected = self.naive.cancel_one(choice.driver, share_id)
        self._give(lambda house: house.cancel(choice.driver, share_id=share_id), expected, again=0)

    def _open(self, choice: Choice) -> None:
        share_id = self._pick(self.naive.shares, choice)
        self._give(lambda house: house.open(share_id, choice.who), self.naive.open(share_id, choice.who))

    def _view(self, choice: Choice) -> None:
        share_id = self._pick(self.naive.shares, choice)
        self._give(lambda house: house.view(share_id, choice.who), self.naive.view(share_id, choice.who))

    def _delegate(self, choice: Choice) -> None:
        driver, vehicle, new = choice.driver, choice.vehicle, self._new_id("d")
        self._give(lambda house: house.delegate(driver, vehicle, new), self.naive.delegate(driver, vehicle, new))

    def _withdraw(self, choice: Choice) -> None:
        driver = choice.driver
        link = self._pick([each for each in self.naive.delegations if each.driver == driver], choice)
        expected = self.naive.withdraw(driver, link)
        self._give(lambda house: house.withdraw(driver, link), expected, again="DelegationEnded")

    def _open_delegation(self, choice: Choice) -> None:
        link = self._pick(self.naive.delegations, choice)
        driver = next((each.driver for each in self.naive.delegations if each.id == link), "dan")
        expected = self.naive.open_delegation(driver, link, choice.who)
        self._give(lambda house: house.open_delegation(driver, link, choice.who), expected)

    def _bind_delegated(self, choice: Choice) -> None:
        opened = [each for each in self.naive.delegations if each.holder is not None]
        link, new = self._pick(opened, choice), self._new_id("b")
        found = next((each for each in opened if each.id == link), None)
        driver, vehicle = (found.driver, found.vehicle) if found is not None else ("dan", "v1")
        holder = found.holder if found is not None else None
        who = choice.who if holder is None or choice.which % 4 == 3 else holder
        expected = self.naive.bind_delegated(driver, link, who, vehicle, new)
        self._give(lambda house: house.bind_delegated(driver, link, who, vehicle, new), expected)

    # -- what happens to them ----------------------------------------------------------------------------------------

    def _let_pass(self, choice: Choice) -> None:
        self._advance(choice.seconds)

    def _let_pass_until_an_end(self, choice: Choice) -> None:
        """Its very second, or just before."""
        ends = [each.until for each in self.naive.live()]
        ends += [each.since + 7 * DAY for each in self.naive.delegations if self.naive.usable(each)]
        if ends:
            just_before = 0.125 if choice.at == 1 else 0.0
            self._advance(max(0.0, sorted(ends)[choice.which % len(ends)] - just_before - self.naive.now))

    def _restart(self, choice: Choice) -> None:
        self.naive.now += choice.seconds
        self.run(self._restarted(choice))

    async def _restarted(self, choice: Choice) -> None:
        """The first start may be interrupted, too."""
        try:
            self.house = await self.house.successor(after_s=choice.seconds, fault=choice.fault, at=choice.at)
        except interruptions:
            self.house = await self.house.successor(after_s=choice.seconds)
        await self._repaired()

    def _sleep(self, choice: Choice) -> None:
        for _ in "look", "go":
            passivate_idle(self.house.supervisor, (PERSON, SHARE))

    def _plan_a_fault(self, choice: Choice) -> None:
        """Plan a fault for one of the commits that follow, whichever action makes it."""
        self.house.store.plan(choice.fault, choice.at)

    # -- giving and comparing ----------------------------------------------------------------------------------------

    def _new_id(self, letter: str) -> str:
        self.ids += 1
        return f"{letter}{self.ids}"

    def _pick(self, those: Any, choice: Choice) -> str:
        return those[-1 - choice.which % len(those)].id if those and choice.which != NOTHING else "none"

    def _mine(self, choice: Choice) -> str:
        return self._pick(self.naive.bound(choice.driver), choice)

    def _give(self, command: Command, expected: Answer, *, again: Answer = None) -> None:
        self.run(self._given(command, expected, again))

    async def _given(self, command: Command, expected: Answer, again: Answer) -> None:
        answer, interrupted = await self._attempt(command), False
        while isinstance(answer, interruptions):
            interrupted = True
            await self._recovered(answer)
            answer = await self._attempt(command)
        told = _told(answer)
        assert told == expected or (interrupted and told == again)
        await self._repaired()

    def _advance(self, seconds: float) -> None:
        self.naive.now += seconds
        self.run(self._advanced(self.naive.now))

    async def _advanced(self, until: float) -> None:
        answer = await self._attempt(lambda house: house.clock.advance(until - house.clock.now()))
        if isinstance(answer, Killed):
            await self._recovered(answer)
            await self.house.clock.advance(until - self.house.clock.now())
        await self._repaired()

    async def _recovered(self, answer: Exception) -> None:
        if isinstance(answer, Killed):
            self.house = await self.house.successor()
            self.faults_struck += 1
        self.house.store.down = False
        await self.house.rest()

    async def _repaired(self) -> None:
        """Let the next timer complete the work that a fault left undone."""
        if self.house.store.struck:
            self.faults_struck += 1
            self.house.store.repair()
            self.house.store.struck = False
            self.naive.now += 5
            await self.house.clock.advance(5)

    async def _attempt(self, command: Command) -> Any:
        try:
            return await self.house.survive(command(self.house))
        except (DomainError, *interruptions) as refusal:
            return refusal

    async def _compare(self, *, indexes: bool) -> None:
        assert self.house.clock.now() == self.naive.now
        facts = await check(self.house.store, self.naive.now, indexes=indexes)
        _compare(facts, self.naive)


def _told(answer: Any) -> Answer:
    if isinstance(answer, DomainError):
        return type(answer).__name__
    return answer if isinstance(answer, int) else None


def _compare(facts: Facts, naive: Naive) -> None:
    bindings = {
        (
            *(each.id, each.driver_id, each.vehicle.vehicle_id),
            *(each.bound_at, each.delegate_id, each.unbound_at, each.unbound_by),
        )
        for each in facts.bindings.values()
    }
    shares = {
        (
            *(each.id, each.driver_id, each.binding_id, each.expires_at),
            *(each.viewer and each.viewer.account_id, end_reason(each, naive.now)),
        )
        for each in facts.shares.values()
    }
    delegations = {
        (
            *(each.id, each.driver_id, each.vehicle_id),
            *(each.holder and each.holder.account_id, each.binding_id, each.withdrawn_at is not None),
        )
        for each in facts.delegations.values()
    }
    assert bindings == {
        (each.id, each.driver, each.vehicle, each.since, each.delegate, each.until, each.by) for each in naive.bindings
    }
    assert shares == {
        (each.id, each.driver, each.binding, each.until, each.viewer, naive.why_over(each)) for each in naive.shares
    }
    assert delegations == {
        (each.id, each.driver, each.vehicle, each.holder, each.binding, each.withdrawn) for each in naive.delegations
    }


def test_people_and_links_agree_with_a_naive_telling_of_the_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dont_wait_for_the_disk(monkeypatch)
    asyncio.run(_make_empty(tmp_path / "empty.db"))
    monkeypatch.setattr(Machine, "folder", tmp_path, raising=False)
    assert settings.default is not None
    examples = max(1, settings.default.max_examples * EXAMPLES_PER_CENT // 100)
    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=examples, stateful_step_count=STEPS, suppress_health_check=list(HealthCheck)),
    )


async def _make_empty(path: Path) -> None:
    await (await SqliteStore.open(path)).close()
