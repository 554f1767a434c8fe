"""Each kind of guess has counts of its own, and no stranger can be locked out (R61)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import fields
from pathlib import Path

import pytest
import pytest_asyncio

from api.http.gates import AttemptLimits, Gate, Gates
from domain.errors import (
    CodeRefused,
    DomainError,
    FeedKeyInvalid,
    NotFound,
    OpsKeyInvalid,
    RealNameMismatch,
    TooManyAttempts,
    VehicleMismatch,
    WrongCredentials,
)
from persistence.sqlite.store import SqliteStore
from tests.api.test_attempts import Clock

HERE = "203.0.113.7"
ELSEWHERE = "198.51.100.1"
DAY_S = 86_400.0

Guess = tuple[Callable[[Gates, int], Gate], DomainError]
"""The gate for the guess of this number, and the error of a wrong one."""

GUESSES: dict[str, Guess] = {
    "password": (lambda gates, number: gates.password(f"name-{number}", HERE), WrongCredentials()),
    "code": (lambda gates, number: gates.code(HERE), CodeRefused()),
    "real name": (lambda gates, number: gates.real_name(f"account-{number}", HERE), RealNameMismatch()),
    "bind data": (lambda gates, number: gates.bind_data(f"account-{number}", HERE), VehicleMismatch()),
    "link": (lambda gates, number: gates.link_token(HERE), NotFound()),
    "feed key": (lambda gates, number: gates.feed_key(HERE), FeedKeyInvalid(configured=True)),
    "ops key": (lambda gates, number: gates.ops_key(HERE), OpsKeyInvalid()),
}


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path / "gates.db")
    yield store
    await store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def wrong(gate: Gate, error: DomainError) -> None:
    """A wrong attempt that was counted."""
    with pytest.raises(type(error)):
        async with gate:
            raise error


async def is_refused(gate: Gate, error: DomainError | None = None) -> bool:
    """Tell whether a right attempt, or with ``error`` a wrong one, is refused."""
    try:
        async with gate:
            if error is not None:
                raise error
    except TooManyAttempts:
        return True
    except DomainError:
        return False
    return False


@pytest.mark.parametrize("name", GUESSES)
async def test_r61_what_is_used_up_of_one_kind_refuses_that_kind_only(
    store: SqliteStore, clock: Clock, name: str
) -> None:
    gates = Gates(store, clock.now, AttemptLimits(**{knob.name: 3 for knob in fields(AttemptLimits)}))
    gate_of, error = GUESSES[name]
    for number in range(3):
        await wrong(gate_of(gates, number), error)
    refused = [each for each, (other, wrong) in GUESSES.items() if await is_refused(other(gates, 3), wrong)]
    assert refused == [name]
    assert await is_refused(gate_of(gates, 4)) == (name != "link"), "only a right link is never refused"
    after = Gates(store, clock.now, AttemptLimits(**{knob.name: 3 for knob in fields(AttemptLimits)}))
    assert await is_refused(gate_of(after, 5), error), "a restart forgives nobody"


@pytest.mark.parametrize(
    "name,limit,window_s",
    [
        ("password", 60, 900.0),
        ("code", 60, 900.0),
        ("real name", 60, 3600.0),
        ("bind data", 120, 3600.0),
        ("link", 60, 900.0),
        ("feed key", 60, 900.0),
        ("ops key", 60, 900.0),
    ],
)
async def test_r61_what_an_address_may_guess(
    store: SqliteStore, clock: Clock, name: str, limit: int, window_s: float
) -> None:
    gates, (gate_of, error) = Gates(store, clock.now, AttemptLimits()), GUESSES[name]
    for number in range(limit):
        await wrong(gate_of(gates, number), error)
    assert await is_refused(gate_of(gates, limit), error)
    clock.at += window_s - 1.0
    assert await is_refused(gate_of(gates, limit), error)
    clock.at += 1.0
    assert not await is_refused(gate_of(gates, limit), error)


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


async def test_r61_wrong_bind_data_count_by_account_for_an_hour(store: SqliteStore, clock: Clock) -> None:
    gates = Gates(store, clock.now, AttemptLimits())
    for _ in range(10):
        with pytest.raises(VehicleMismatch):
            async with gates.bind_data("driver-1", HERE):
                raise VehicleMismatch
    with pytest.raises(TooManyAttempts) as refused:
        async with gates.bind_data("driver-1", HERE):
            pass
    assert refused.value.retry_after_s == 3600.0
    async with gates.bind_data("driver-2", HERE):
        pass
    async with gates.real_name("driver-1", HERE):
        pass
    clock.at += 3600.0
    async with gates.bind_data("driver-1", HERE):
        pass


async def guesses_from_everywhere(gates: Gates, username: str, count: int) -> int:
    """Count the wrong passwords, each from an address of its own, that were tried and not refused."""
    tried = 0
    for number in range(count):
        gate = gates.password(username, f"192.0.{number // 250}.{number % 250}")
        tried += not await is_refused(gate, WrongCredentials())
    return tried


async def test_r61_a_name_has_two_hundred_guesses_an_hour_over_all_addresses(store: SqliteStore, clock: Clock) -> None:
    gates = Gates(store, clock.now, AttemptLimits())
    assert await guesses_from_everywhere(gates, "owner1", 203) == 200
    assert await is_refused(gates.password("owner1", ELSEWHERE))
    assert not await is_refused(gates.password("owner2", ELSEWHERE))
    assert await is_refused(Gates(store, clock.now, AttemptLimits()).password("owner1", ELSEWHERE))
    clock.at += 3600.0
    assert not await is_refused(gates.password("owner1", ELSEWHERE))


async def test_r61_where_a_name_signed_in_lately_strangers_do_not_lock_it_out(store: SqliteStore, clock: Clock) -> None:
    limits = AttemptLimits(passwords_per_name=3)
    gates = Gates(store, clock.now, limits)
    assert not await is_refused(gates.password("owner1", HERE))
    clock.at += 30 * DAY_S - 1.0
    assert await guesses_from_everywhere(gates, "owner1", 4) == 3
    assert not await is_refused(Gates(store, clock.now, limits).password("owner1", HERE)), "after a restart, too"
    assert await is_refused(gates.password("owner1", ELSEWHERE))


async def test_r61_a_place_is_familiar_for_thirty_days(store: SqliteStore, clock: Clock) -> None:
    gates = Gates(store, clock.now, AttemptLimits(passwords_per_name=3))
    assert not await is_refused(gates.password("owner1", HERE))
    clock.at += 30 * DAY_S
    assert await guesses_from_everywhere(gates, "owner1", 3) == 3
    assert await is_refused(gates.password("owner1", HERE))


async def test_r61_a_wrong_password_makes_no_place_familiar(store: SqliteStore, clock: Clock) -> None:
    gates = Gates(store, clock.now, AttemptLimits(passwords_per_name=3))
    await wrong(gates.password("owner1", HERE), WrongCredentials())
    assert await guesses_from_everywhere(gates, "owner1", 2) == 2
    assert await is_refused(gates.password("owner1", HERE))


async def test_places_that_are_familiar_no_longer_leave_the_store(store: SqliteStore, clock: Clock) -> None:
    gates = Gates(store, clock.now, AttemptLimits())
    for number in range(3):
        assert not await is_refused(gates.password(f"owner{number}", HERE))
    clock.at += 30 * DAY_S
    assert not await is_refused(gates.password("owner9", HERE))
    assert await store.count("attempts.familiar", "expiry", "") == 1
