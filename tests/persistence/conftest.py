"""Where do the stores under test live? A new store joins the contract by one more place here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from persistence.sqlite import SqliteStore
from persistence.store import Store


class SqlitePlace:
    """One file; every ``open`` opens it anew, as after a restart or from a second process."""

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


PLACES: dict[str, Callable[[Path], SqlitePlace]] = {"sqlite": SqlitePlace}


@pytest_asyncio.fixture(params=sorted(PLACES))
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlitePlace]:
    """Where a store can be opened again and again."""
    place = PLACES[request.param](tmp_path)
    yield place
    await place.close_all()


@pytest_asyncio.fixture
async def store(place: SqlitePlace) -> Store:
    """An open, empty store."""
    return await place.open()
