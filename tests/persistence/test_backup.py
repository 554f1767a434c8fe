"""Tests that a copy taken during writes is a whole store, and is restored only where it harms nothing."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from persistence.sqlite.backup import backup, restore
from persistence.sqlite.moving import SqliteSource
from persistence.sqlite.store import SqliteStore
from persistence.store import StoreFormatError, StoreUnavailable
from tests.persistence.houses import SqliteHouse, fill, holds, is_there, note, read, write


@pytest.fixture
async def house(tmp_path: Path) -> SqliteHouse:
    house = SqliteHouse(tmp_path / "store.db")
    await fill(house)
    return house


@pytest.fixture
async def store(house: SqliteHouse) -> AsyncIterator[SqliteStore]:
    """Yield the store in use by a service."""
    store = await SqliteStore.open(house.path)
    await store.serve_alone()
    yield store
    await store.close()


async def test_a_backup_restored_is_the_store_it_was(house: SqliteHouse, tmp_path: Path) -> None:
    before = await holds(house)
    backed_up = await backup(house.path, tmp_path / "copy")
    restored = SqliteHouse(tmp_path / "elsewhere" / "new.db")
    assert restore(tmp_path / "copy", restored.path) == backed_up
    assert backed_up.checksum == before.checksum
    assert await holds(restored) == before
    assert [name for name in os.listdir(tmp_path) if name.startswith("copy")] == ["copy"]
    store = await restored.store()
    assert await store.append(b"next") == 8
    await store.close()


async def test_what_was_committed_before_a_backup_is_in_it_whatever_is_written_meanwhile(
    house: SqliteHouse, store: SqliteStore, tmp_path: Path
) -> None:
    commits: asyncio.Queue[int] = asyncio.Queue()

    async def writes() -> None:
        for number in count(100):
            await store.commit([note(number, bytes(2_000))])
            await store.append(bytes(2_000))
            commits.put_nowait(number)

    writing = asyncio.create_task(writes())
    for copy in range(4):
        before = [await commits.get() for _ in range(20)][-1]
        await asyncio.to_thread(asyncio.run, backup(house.path, tmp_path / f"copy {copy}"))
        restored = SqliteHouse(tmp_path / f"restored {copy}.db")
        restore(tmp_path / f"copy {copy}", restored.path)
        again = await restored.store()
        assert len(await again.get("note", [f"键{number}" for number in range(100, before + 1)])) == before - 99
        documents = await again.count("note", "all", "")
        entries = len(await again.read_log(after=7, limit=10_000))
        assert documents - 20 - entries in (0, 1), "a later commit without an earlier one"
        await again.close()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


async def test_a_backup_is_the_store_as_it_was_when_it_began(
    house: SqliteHouse, store: SqliteStore, tmp_path: Path
) -> None:
    source = SqliteSource.open(house.path)
    await asyncio.gather(*(store.commit([note(number, bytes(10_000))]) for number in range(200)))
    source.copy_to(tmp_path / "copy.db")
    await source.close()
    copy = SqliteHouse(tmp_path / "copy.db")
    assert (await holds(copy)).counts["note"] == 20
    assert (await holds(house)).counts["note"] == 200


async def test_a_restore_takes_nobodys_place(house: SqliteHouse, store: SqliteStore, tmp_path: Path) -> None:
    await backup(house.path, tmp_path / "copy")
    with pytest.raises(StoreUnavailable, match="another service"):
        restore(tmp_path / "copy", house.path)
    await store.close()
    before = await holds(house)
    with pytest.raises(StoreUnavailable, match="there already"):
        restore(tmp_path / "copy", house.path)
    assert await holds(house) == before


def test_what_is_left_of_another_store_is_in_the_way(tmp_path: Path) -> None:
    write(tmp_path / "new.db-wal", b"of another store")
    write(tmp_path / "copy", b"")
    with pytest.raises(StoreUnavailable, match=r"new\.db-wal is left"):
        restore(tmp_path / "copy", tmp_path / "new.db")


async def test_a_store_in_use_is_no_backup(house: SqliteHouse, store: SqliteStore, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"run\.py backup"):
        restore(house.path, tmp_path / "new.db")


async def test_a_backup_over_a_file_is_refused(house: SqliteHouse, tmp_path: Path) -> None:
    write(tmp_path / "copy", b"a letter")
    with pytest.raises(StoreUnavailable, match="there already"):
        await backup(house.path, tmp_path / "copy")
    assert read(tmp_path / "copy") == b"a letter"


async def test_a_backup_of_nothing_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no store"):
        await backup(tmp_path / "store.db", tmp_path / "copy")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("where", [0.3, 0.6, 0.95])
async def test_a_damaged_backup_is_not_restored(house: SqliteHouse, tmp_path: Path, where: float) -> None:
    await backup(house.path, tmp_path / "copy")
    content = bytearray(read(tmp_path / "copy"))
    at = int(len(content) * where) // 4096 * 4096
    content[at : at + 200] = bytes(200)
    write(tmp_path / "copy", bytes(content))
    with pytest.raises(StoreFormatError, match="damaged"):
        restore(tmp_path / "copy", tmp_path / "new.db")
    assert not is_there(tmp_path / "new.db")


@pytest.mark.parametrize("length", [0, 100, 8_192, 50_000])
async def test_a_torn_backup_is_not_restored(house: SqliteHouse, tmp_path: Path, length: int) -> None:
    await backup(house.path, tmp_path / "copy")
    write(tmp_path / "copy", read(tmp_path / "copy")[:length])
    with pytest.raises(StoreFormatError):
        restore(tmp_path / "copy", tmp_path / "new.db")
    assert not is_there(tmp_path / "new.db")


async def test_a_backup_of_a_newer_program_is_not_restored(house: SqliteHouse, tmp_path: Path) -> None:
    await backup(house.path, tmp_path / "copy")
    with closing(sqlite3.connect(tmp_path / "copy")) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(StoreFormatError, match="newer program"):
        restore(tmp_path / "copy", tmp_path / "new.db")
