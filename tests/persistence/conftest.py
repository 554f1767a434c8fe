"""The stores under test. A new store joins the contract by one more place here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio

from persistence.redis.address import RedisAddress
from persistence.redis.store import RedisStore
from persistence.sqlite.store import SqliteStore
from persistence.store import Store
from tests.redis_server import RedisServer
from torture.memory_store import Disk, MemoryStore


class Place(Protocol):
    """Every ``open`` opens the same store anew, as after a restart or from a second process."""

    async def open(self) -> Store: ...
    async def close_all(self) -> None: ...


class SqlitePlace:
    """A file."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "stores" / "contract.db"
        self._opened: list[Store] = []

    async def open(self) -> Store:
        store = await SqliteStore.open(self._path)
        self._opened.append(store)
        return store

    async def close_all(self) -> None:
        for store in self._opened:
            await store.close()


class RedisPlace:
    """A prefix of a Redis that all tests share."""

    def __init__(self, server: RedisServer, prefix: str) -> None:
        self._address = RedisAddress.parse(server.url(prefix))
        self._opened: list[Store] = []

    async def open(self) -> Store:
        store = await RedisStore.open(self._address)
        self._opened.append(store)
        return store

    async def close_all(self) -> None:
        for store in self._opened:
            await store.close()


class MemoryPlace:
    """A disk in memory: the simulated disasters happen to it."""

    def __init__(self) -> None:
        self._disk = Disk()
        self._opened: list[Store] = []

    async def open(self) -> Store:
        store = MemoryStore(self._disk)
        self._opened.append(store)
        return store

    async def close_all(self) -> None:
        for store in self._opened:
            await store.close()


def memory_place(request: pytest.FixtureRequest, folder: Path) -> Place:
    return MemoryPlace()


def sqlite_place(request: pytest.FixtureRequest, folder: Path) -> Place:
    return SqlitePlace(folder)


def redis_place(request: pytest.FixtureRequest, folder: Path) -> Place:
    return RedisPlace(request.getfixturevalue("shared_redis"), folder.name)


PLACES: dict[str, Callable[[pytest.FixtureRequest, Path], Place]] = {
    "memory": memory_place,
    "redis": redis_place,
    "sqlite": sqlite_place,
}


@pytest_asyncio.fixture(params=sorted(PLACES))
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Yield a place where a store can be opened again and again."""
    place = PLACES[request.param](request, tmp_path)
    yield place
    await place.close_all()


@pytest_asyncio.fixture
async def store(place: Place) -> Store:
    """An open, empty store."""
    return await place.open()
