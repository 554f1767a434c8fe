"""Wrong attempts are counted exactly, also when many come at once, and outlast a restart (R61)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from api.http.attempts import Attempts, attempt, wrong_attempt
from api.http.keyed import Keyed
from domain.errors import NotFound, TooManyAttempts, WrongCredentials
from persistence.sqlite.store import SqliteStore
from persistence.store import StoreUnavailable


class Clock:
    def __init__(self) -> None:
        self.at = 1_000_000.0

    def now(self) -> float:
        return self.at


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path / "attempts.db")
    yield store
    await store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def counting(
    store: SqliteStore,
    clock: Clock,
    *,
    limit: int = 2,
    name: str = "a",
    max_keys: int = 100,
    outlives_store: bool = False,
) -> Attempts:
    keyed = Keyed(store, "attempts")
    return Attempts(
        store,
        clock.now,
        keyed,
        name=name,
        limit=limit,
        window_s=10.0,
        outlives_store=outlives_store,
        max_keys=max_keys,
    )


async def guess(attempts: Attempts, who: str = "x") -> None:
    """A wrong one. Raises ``TooManyAttempts``."""
    with pytest.raises(NotFound):
        async with attempt([attempts.of(who)], wrong=(NotFound,)):
            raise NotFound


async def is_free(attempts: Attempts, who: str = "x") -> bool:
    try:
        async with attempt([attempts.of(who)], wrong=(NotFound,)):
            return True
    except TooManyAttempts:
        return False


async def test_r61_wrong_attempts_slide_out_of_their_window(store: SqliteStore, clock: Clock) -> None:
    attempts = counting(store, clock)
    await guess(attempts)
    clock.at += 6.0
    await guess(attempts)
    with pytest.raises(TooManyAttempts) as refused:
        await guess(attempts)
    assert refused.value.retry_after_s == 4.0
    clock.at += 4.0
    await guess(attempts)
    assert not await is_free(attempts)


async def test_r61_attempts_that_a_wrong_clock_of_ours_dated_ahead_lock_nobody_out_once_it_is_right(
    store: SqliteStore, clock: Clock
) -> None:
    attempts = counting(store, clock)
    clock.at += 8 * 3600
    await guess(attempts)
    await guess(attempts)
    assert not await is_free(attempts)
    clock.at -= 8 * 3600
    assert await is_free(attempts)


async def test_r61_what_was_right_or_failed_otherwise_does_not_count(store: SqliteStore, clock: Clock) -> None:
    attempts = counting(store, clock, limit=1)
    for _ in range(5):
        assert await is_free(attempts)
        with pytest.raises(WrongCredentials):
            async with attempt([attempts.of("x")], wrong=(NotFound,)):
                raise WrongCredentials
    await guess(attempts)
    assert not await is_free(attempts)


async def test_r61_a_restart_forgives_nobody(store: SqliteStore, clock: Clock) -> None:
    for _ in range(2):
        await guess(counting(store, clock))
        clock.at += 1.0
    after = counting(store, clock)
    with pytest.raises(TooManyAttempts) as refused:
        await guess(after)
    assert refused.value.retry_after_s == 8.0
    assert await is_free(after, "somebody else")


async def test_r61_many_at_once_gain_nothing_after_a_restart_too(store: SqliteStore, clock: Clock) -> None:
    await guess(counting(store, clock, limit=5))
    attempts = counting(store, clock, limit=5)
    gate, inside = asyncio.Event(), 0

    async def one() -> None:
        nonlocal inside
        async with attempt([attempts.of("x")], wrong=(NotFound,)):
            inside += 1
            await gate.wait()
            raise NotFound

    guesses = [asyncio.create_task(one()) for _ in range(20)]
    pending = set(guesses)
    while len(pending) > 4:
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    assert inside == 4
    gate.set()
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(isinstance(outcome, NotFound) for outcome in outcomes) == 4
    assert sum(isinstance(outcome, TooManyAttempts) for outcome in outcomes) == 16
    assert not await is_free(counting(store, clock, limit=5))


async def test_r61_one_that_is_cancelled_gives_up_its_place(store: SqliteStore, clock: Clock) -> None:
    attempts = counting(store, clock, limit=1)
    entered = asyncio.Event()

    async def waits() -> None:
        async with attempt([attempts.of("x")], wrong=(NotFound,)):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(waits())
    await entered.wait()
    assert not await is_free(attempts)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await is_free(attempts)


async def test_r61_one_count_that_is_used_up_takes_no_place_in_the_other(store: SqliteStore, clock: Clock) -> None:
    wide, narrow = counting(store, clock, limit=3, name="wide"), counting(store, clock, limit=1, name="narrow")
    both = [wide.of("x"), narrow.of("x")]
    await guess(narrow)
    for _ in range(5):
        with pytest.raises(TooManyAttempts):
            async with attempt(both, wrong=(NotFound,)):
                raise AssertionError
    for _ in range(3):
        await guess(wide)
    assert not await is_free(wide)


async def test_memory_and_store_have_limits(store: SqliteStore, clock: Clock) -> None:
    attempts = counting(store, clock, limit=1, max_keys=3)
    for who in range(10):
        await guess(attempts, str(who))
    assert len(attempts._counters) == 3
    assert not await is_free(attempts, "0"), "what memory forgot, the store knows"
    clock.at += 11.0
    await guess(attempts, "another")
    assert await store.count("attempts", "expiry", "") == 1


async def test_a_store_that_does_not_write_leaves_a_guess_counted_in_memory(store: SqliteStore, clock: Clock) -> None:
    attempts = counting(store, clock, limit=1)
    assert await is_free(attempts)
    await store.close()
    await guess(attempts)
    assert not await is_free(attempts)


async def test_without_its_store_a_count_refuses_or_goes_on_in_memory(store: SqliteStore, clock: Clock) -> None:
    await store.close()
    with pytest.raises(StoreUnavailable):
        await is_free(counting(store, clock))
    attempts = counting(store, clock, limit=1, outlives_store=True)
    await guess(attempts)
    assert not await is_free(attempts)


async def test_r61_a_count_that_only_counts_refuses_nobody(store: SqliteStore, clock: Clock) -> None:
    attempts = counting(store, clock, limit=1)
    for _ in range(3):
        with pytest.raises(NotFound):
            async with attempt([attempts.of("x", refuses=False)], wrong=(NotFound,)):
                raise NotFound
    assert not await is_free(attempts)


async def test_r61_of_what_is_counted_afterwards_only_wrong_ones_are_refused(store: SqliteStore, clock: Clock) -> None:
    attempts = counting(store, clock, limit=2)

    async def one(*, is_right: bool) -> bool:
        async with wrong_attempt([attempts.of("x")], wrong=(NotFound,)):
            if not is_right:
                raise NotFound
        return True

    outcomes = await asyncio.gather(*(one(is_right=False) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(outcome, NotFound) for outcome in outcomes) == 2
    assert sum(isinstance(outcome, TooManyAttempts) for outcome in outcomes) == 8
    assert await one(is_right=True)
    clock.at += 10.0
    with pytest.raises(NotFound):
        await one(is_right=False)
