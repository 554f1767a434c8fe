"""Is guessing expensive, for who guesses and for nobody else, and also after a restart (R61)?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from api.attempts import AttemptLimits, Attempts, Gates, attempt, network_of
from api.keyed import Keyed
from domain.errors import CodeRefused, NotFound, RealNameMismatch, TooManyAttempts, VehicleMismatch, WrongCredentials
from persistence.sqlite import SqliteStore


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


def counting(store: SqliteStore, clock: Clock, *, limit: int = 2, name: str = "a", max_keys: int = 100) -> Attempts:
    keyed = Keyed(store, "attempts")
    return Attempts(store, clock.now, keyed, name=name, limit=limit, window_s=10.0, max_keys=max_keys)


async def guess(attempts: Attempts, who: str = "x") -> None:
    """A wrong one. Raises ``TooManyAttempts``."""
    with pytest.raises(NotFound):
        async with attempt([(attempts, (who,))], wrong=(NotFound,)):
            raise NotFound


async def is_free(attempts: Attempts, who: str = "x") -> bool:
    try:
        async with attempt([(attempts, (who,))], wrong=(NotFound,)):
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


async def test_r61_what_was_right_or_failed_otherwise_does_not_count(store: SqliteStore, clock: Clock) -> None:
    attempts = counting(store, clock, limit=1)
    for _ in range(5):
        assert await is_free(attempts)
        with pytest.raises(WrongCredentials):
            async with attempt([(attempts, ("x",))], wrong=(NotFound,)):
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
        async with attempt([(attempts, ("x",))], wrong=(NotFound,)):
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
        async with attempt([(attempts, ("x",))], wrong=(NotFound,)):
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
    both = [(wide, ("x",)), (narrow, ("x",))]
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


def stored_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_r62_the_store_holds_neither_name_nor_address(store: SqliteStore, clock: Clock, tmp_path: Path) -> None:
    gates = Gates(store, clock.now, AttemptLimits())
    with pytest.raises(WrongCredentials):
        async with gates.password("owner1", "203.0.113.7"):
            raise WrongCredentials
    await store.close()
    stored = stored_in(tmp_path)
    assert b"attempts" in stored
    assert b"owner1" not in stored
    assert b"203.0.113" not in stored


async def test_r61_a_stranger_elsewhere_does_not_lock_a_business_out(store: SqliteStore, clock: Clock) -> None:
    gates = Gates(store, clock.now, AttemptLimits(passwords=3))
    for _ in range(3):
        with pytest.raises(WrongCredentials):
            async with gates.password("owner1", "203.0.113.7"):
                raise WrongCredentials
    with pytest.raises(TooManyAttempts):
        async with gates.password("owner1", "203.0.113.7"):
            pass
    async with gates.password("owner1", "198.51.100.1"):
        pass
    async with gates.password("owner2", "203.0.113.7"):
        pass


async def test_r61_passwords_codes_links_and_names_share_an_addresss_count(store: SqliteStore, clock: Clock) -> None:
    gates = Gates(store, clock.now, AttemptLimits(by_address=4))
    here = "203.0.113.7"
    ways = [
        (gates.password("a", here), WrongCredentials),
        (gates.code(here), CodeRefused),
        (gates.link_token(here), NotFound),
        (gates.real_name("account", here), RealNameMismatch),
    ]
    for gate, wrong in ways:
        with pytest.raises(wrong):
            async with gate:
                raise wrong
    for gate in (gates.password("b", here), gates.code(here), gates.link_token(here), gates.real_name("b", here)):
        with pytest.raises(TooManyAttempts):
            async with gate:
                pass
    async with gates.code("203.0.113.8"):
        pass


async def test_r61_wrong_bind_data_count_by_account_for_an_hour(store: SqliteStore, clock: Clock) -> None:
    gates = Gates(store, clock.now, AttemptLimits())
    for _ in range(10):
        with pytest.raises(VehicleMismatch):
            async with gates.bind_data("driver-1"):
                raise VehicleMismatch
    with pytest.raises(TooManyAttempts) as refused:
        async with gates.bind_data("driver-1"):
            pass
    assert refused.value.retry_after_s == 3600.0
    async with gates.bind_data("driver-2"):
        pass
    async with gates.real_name("driver-1", "203.0.113.7"):
        pass
    clock.at += 3600.0
    async with gates.bind_data("driver-1"):
        pass


@pytest.mark.parametrize(
    "address,network",
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:aaaa::1", "2001:0db8:0001:0002"),
        ("2001:db8:1:2::ffff%eth0", "2001:0db8:0001:0002"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("", ""),
    ],
)
def test_r61_an_ipv6_customer_has_one_count_for_the_whole_network(address: str, network: str) -> None:
    assert network_of(address) == network
