"""A fix is acknowledged when it is durable and shown, and never lost between the sockets and the vehicles."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from domain.vehicle.fix import Batch, Fix
from domain.vehicle.quality import Outcome
from gateway.ingest import PIPELINE, Ingest, IngestLimits, NotDurable
from persistence.store import StoreUnavailable
from tests.patience import PATIENCE_S

FIX = Fix("1", 1_780_000_000, 1, 1, 0, 0, 0, 0, 3, 0)


class Rest:
    """A store and vehicles that do as they are told."""

    def __init__(self) -> None:
        self.log: list[Sequence[Fix]] = []
        self.routed: list[int] = []
        self.store_works = True
        self.route_error: Exception | None = None
        self.may_append = asyncio.Event()
        self.may_append.set()
        self.may_route = asyncio.Event()
        self.may_route.set()
        self.is_asked_to_route = False

    async def append(self, received_at: float, fixes: Sequence[Fix]) -> int:
        await self.may_append.wait()
        if not self.store_works:
            raise StoreUnavailable("disk full")
        self.log.append(list(fixes))
        return len(self.log)

    async def route(self, batch: Batch) -> list[Outcome]:
        error, self.route_error = self.route_error, None
        if error is not None:
            raise error
        self.is_asked_to_route = True
        await self.may_route.wait()
        self.routed.append(batch.number)
        return [Outcome.NEWEST] * len(batch.fixes)


def ingest_of(rest: Rest, **limits: float) -> Ingest:
    ingest = Ingest(
        append=rest.append,
        route=rest.route,
        now=lambda: 0.0,
        limits=IngestLimits(**({"linger_ms": 0.0} | limits)),  # type: ignore[arg-type]
    )
    ingest.start()
    return ingest


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0)


async def test_it_is_acknowledged_once_durable_and_not_before() -> None:
    rest = Rest()
    ingest = ingest_of(rest)
    rest.may_append.clear()
    told: list[bool] = []
    ingest.submit([FIX], told.append)
    await asyncio.sleep(0.01)
    assert told == []
    rest.may_append.set()
    await ingest.rest()
    assert (told, len(rest.log)) == ([True], 1)
    await ingest.stop()


async def test_what_is_acknowledged_is_with_its_vehicle() -> None:
    rest = Rest()
    ingest = ingest_of(rest)
    routed_when_told: list[list[int]] = []
    rest.may_route.clear()
    ingest.submit([FIX], lambda durable: routed_when_told.append(list(rest.routed)))
    await until(lambda: rest.is_asked_to_route)
    assert routed_when_told == []
    rest.may_route.set()
    await ingest.rest()
    assert routed_when_told == [[1]]
    await ingest.stop()


async def test_vehicles_that_cannot_be_loaded_keep_no_acknowledgement_back() -> None:
    rest = Rest()
    rest.route_error = StoreUnavailable("away")
    ingest = ingest_of(rest)
    told: list[tuple[bool, list[int]]] = []
    ingest.submit([FIX], lambda durable: told.append((durable, list(rest.routed))))
    await until(lambda: bool(told))
    assert told == [(True, [])]
    await ingest.rest()
    assert (told, rest.routed) == ([(True, [])], [1])
    await ingest.stop()


async def test_vehicles_that_take_long_keep_no_acknowledgement_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ingest.SHOWN_WITHIN_S", 0.01)
    rest = Rest()
    ingest = ingest_of(rest)
    told: list[bool] = []
    rest.may_route.clear()
    for number in range(PIPELINE + 1):  # Those that wait behind it are acknowledged, too.
        ingest.submit([FIX], told.append)
        while len(rest.log) == number:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
    await until(lambda: len(told) == PIPELINE + 1)
    assert (set(told), rest.routed) == ({True}, [])
    rest.may_route.set()
    await ingest.rest()
    assert len(told) == len(rest.routed) == PIPELINE + 1
    await ingest.stop()


async def test_what_the_store_does_not_take_is_refused_and_not_routed() -> None:
    rest = Rest()
    rest.store_works = False
    ingest = ingest_of(rest)
    told: list[bool] = []
    ingest.submit([FIX], told.append)
    with pytest.raises(NotDurable):
        await ingest.report([FIX])
    assert (told, rest.routed, ingest.stats.waiting) == ([False], [], 0)
    await ingest.stop()


async def test_what_queues_while_the_store_is_busy_becomes_one_entry() -> None:
    rest = Rest()
    ingest = ingest_of(rest)
    rest.may_append.clear()
    first = asyncio.create_task(ingest.report([FIX]))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(ingest.report([FIX, FIX])) for _ in range(5)]
    await asyncio.sleep(0.01)
    rest.may_append.set()
    assert await first == [Outcome.NEWEST]
    assert [len(await other) for other in others] == [2] * 5
    assert [len(entry) for entry in rest.log] == [1, 10]
    await ingest.stop()


async def test_a_group_is_no_larger_than_its_limit_and_no_submission_is_cut() -> None:
    rest = Rest()
    ingest = ingest_of(rest, group_fixes=4, linger_ms=10.0)
    await asyncio.gather(*(ingest.report([FIX] * 3) for _ in range(3)), ingest.report([FIX] * 9))
    assert [len(entry) for entry in rest.log] == [3, 3, 3, 9]
    await ingest.stop()


async def test_room_ends_and_comes_back() -> None:
    rest = Rest()
    ingest = ingest_of(rest, waiting_fixes=2)
    rest.may_append.clear()
    room_again = asyncio.Event()
    ingest.submit([FIX, FIX], lambda durable: None)
    assert not ingest.room()
    ingest.on_room(room_again.set)
    rest.may_append.set()
    async with asyncio.timeout(PATIENCE_S):
        await room_again.wait()
    assert ingest.room()
    await ingest.stop()


async def test_a_durable_batch_waits_for_vehicles_that_cannot_be_loaded_just_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.ingest.ROUTE_RETRY_S", 0.001)
    rest = Rest()
    rest.route_error = StoreUnavailable("away")
    ingest = ingest_of(rest)
    assert await ingest.report([FIX]) == [Outcome.NEWEST]
    assert (rest.routed, ingest.folded) == ([1], 1)
    await ingest.stop()


async def test_a_batch_that_a_bug_keeps_from_the_vehicles_stays_for_the_next_start_to_read() -> None:
    rest = Rest()
    rest.route_error = ValueError("a bug")
    ingest = ingest_of(rest)
    assert await ingest.report([FIX]) == [Outcome.QUEUED]
    assert await ingest.report([FIX]) == [Outcome.NEWEST]
    assert (rest.routed, ingest.folded, ingest.stats.unrouted_batches) == ([2], 0, 1)
    await ingest.stop()


async def test_one_sender_s_broken_callback_is_no_matter_of_the_others() -> None:
    rest = Rest()
    ingest = ingest_of(rest)

    def broken(durable: bool) -> None:
        raise ValueError("a bug")

    ingest.submit([FIX], broken)
    assert await ingest.report([FIX]) == [Outcome.NEWEST]
    await ingest.stop()


async def test_it_stops_although_something_never_ends() -> None:
    rest = Rest()
    ingest = ingest_of(rest)
    rest.may_append.clear()
    ingest.submit([FIX], lambda durable: None)
    async with asyncio.timeout(PATIENCE_S):
        await ingest.stop(patience_s=0.05)
