"""Tests that a fail-over to a replica loses nothing, repeats nothing and reads nothing outdated."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from persistence.redis.address import RedisAddress
from persistence.redis.store import RedisStore
from persistence.store import Put, Store, StoreUnavailable
from tests.redis_house import RedisHouse

ANSWER_S = 0.8


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisHouse]:
    """Yield the smallest house, with one replica; a test that breaks it repairs it."""
    house = RedisHouse(tmp_path_factory.mktemp("house"), replicas=1)
    yield house
    house.end()


@pytest.fixture
def large_house(tmp_path: Path) -> Iterator[RedisHouse]:
    """Yield a house with two replicas: one is left when the other becomes the primary."""
    house = RedisHouse(tmp_path, replicas=2)
    yield house
    house.end()


async def opened(house: RedisHouse, parameters: str = "") -> RedisStore:
    return await RedisStore.open(RedisAddress.parse(house.url(parameters)), answer_s=ANSWER_S)


@pytest_asyncio.fixture
async def store(house: RedisHouse) -> AsyncIterator[RedisStore]:
    store = await opened(house)
    yield store
    await store.close()


async def log_of(store: Store) -> list[bytes]:
    return [entry for _, entry in await store.read_log(after=0, limit=1_000_000)]


class Writers:
    """Write all the time until they are told that it is enough; ``acknowledged`` is what they were told is safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.acknowledged: list[str] = []
        self.refused = 0
        self._enough = False
        self._more = asyncio.Event()
        self._tasks = [asyncio.create_task(self._write(worker)) for worker in range(8)]

    async def reach(self, more: int) -> None:
        """Wait until this many more are acknowledged."""
        goal = len(self.acknowledged) + more
        while len(self.acknowledged) < goal:
            self._more.clear()
            await self._more.wait()

    async def stop(self) -> None:
        self._enough = True
        await asyncio.gather(*self._tasks)

    async def _write(self, worker: int) -> None:
        turn = 0
        while not self._enough:
            text = f"{worker} {turn}"
            turn += 1
            try:
                await self._store.append(text.encode())
                await self._store.commit([Put("note", text, b"x", expected_version=0)])
            except StoreUnavailable:
                self.refused += 1
            else:
                self.acknowledged.append(text)
                self._more.set()


@pytest_asyncio.fixture
async def stores(large_house: RedisHouse) -> AsyncIterator[tuple[RedisStore, RedisStore]]:
    """Two of the same."""
    stores = await opened(large_house), await opened(large_house)
    yield stores
    await asyncio.gather(*(store.close() for store in stores))


async def takes_over(newcomer: RedisStore, house: RedisHouse) -> None:
    """The lease is taken from its holder, who renews it now and then."""
    while True:
        for replica in house.replicas:
            replica.says("DEL", "shouwang:lease")  # one of them is the primary now
        try:
            return await newcomer.serve_alone()
        except StoreUnavailable:
            continue


async def last_refusal(store: Store) -> str:
    """Beyond what a fail-over that still goes on says; the store never takes anything."""
    while True:
        with pytest.raises(StoreUnavailable) as refusal:
            await store.append(b"late")
        if "taken it over" in str(refusal.value):
            return str(refusal.value)


async def test_r51_a_fail_over_under_writes_loses_nothing_acknowledged_does_nothing_twice_and_keeps_the_fence(
    large_house: RedisHouse, stores: tuple[RedisStore, RedisStore]
) -> None:
    store, newcomer = stores
    await store.serve_alone()
    secret = await store.secret("s")
    writers = Writers(store)
    await writers.reach(200)
    large_house.primary.kill()
    await writers.reach(300)
    await writers.stop()
    assert writers.refused
    counts = Counter(await log_of(store))
    assert all(counts[text.encode()] == 1 for text in writers.acknowledged)
    assert (await store.get("note", writers.acknowledged)).keys() == set(writers.acknowledged)
    assert await store.secret("s") == secret

    await takes_over(newcomer, large_house)
    assert await last_refusal(store)
    assert b"late" not in await log_of(newcomer)


async def test_what_only_the_primary_has_is_neither_acknowledged_nor_shown(
    house: RedisHouse, store: RedisStore
) -> None:
    await store.commit([Put("note", "a", b"x")])
    house.replicas[0].pause()
    with pytest.raises(StoreUnavailable, match="replicas"):
        await store.commit([Put("note", "b", b"x")])
    with pytest.raises(StoreUnavailable, match="replicas"):
        await store.get("note", ["a", "b"])
    house.replicas[0].resume()
    assert (await store.get("note", ["a", "b"])).keys() == {"a", "b"}


async def test_a_primary_without_replicas_serves_whoever_says_that_it_may(house: RedisHouse) -> None:
    house.replicas[0].kill()
    try:
        with pytest.raises(StoreUnavailable, match="replicas"):
            await opened(house)
        store = await opened(house, "&replicas=0")
        await store.append(b"x")
        await store.close()
    finally:
        house.replicas[0].start()


async def test_sentinels_that_are_gone_or_know_no_such_master_are_named(house: RedisHouse) -> None:
    with pytest.raises(StoreUnavailable, match="No such master"):
        await RedisStore.open(RedisAddress.parse(house.url().replace("/fleet/", "/ships/")), answer_s=ANSWER_S)
    house.sentinels[0].kill()
    house.sentinels[1].pause()
    try:
        await (await opened(house, "&replicas=0")).close()
        house.sentinels[2].pause()
        with pytest.raises(StoreUnavailable, match="no Sentinel knows where fleet is"):
            await opened(house)
    finally:
        house.sentinels[0].start()
        house.sentinels[1].resume()
        house.sentinels[2].resume()
