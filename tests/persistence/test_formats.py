"""A store of another format than this program's is refused with a sentence, and left as it was."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from persistence import records
from persistence.sqlite import file as sqlite_file
from persistence.sqlite.store import SqliteStore
from persistence.store import StoreFormatError
from tests.persistence.houses import RedisHouse, SqliteHouse, fill, holds
from tests.redis_server import RedisServer

OTHERS = [(-1, "older than .* start the program that wrote it"), (1, "start the newer program")]
BESIDE = pytest.mark.parametrize("step, said", OTHERS, ids=["older", "newer"])


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [*connection.iterdump(), str(connection.execute("PRAGMA user_version").fetchone())]


@BESIDE
async def test_a_file_of_another_format_is_refused_and_left_as_it_was(tmp_path: Path, step: int, said: str) -> None:
    house = SqliteHouse(tmp_path / "other.db")
    await fill(house)
    with closing(sqlite3.connect(house.path)) as connection:
        connection.execute(f"PRAGMA user_version={sqlite_file.FORMAT + step}")
    before = dump(house.path)
    with pytest.raises(StoreFormatError, match=said):
        await SqliteStore.open(house.path)
    with pytest.raises(StoreFormatError, match=said):
        await holds(house)
    assert dump(house.path) == before


@BESIDE
async def test_a_redis_of_another_format_is_refused_and_left_as_it_was(
    shared_redis: RedisServer, tmp_path: Path, step: int, said: str
) -> None:
    house = RedisHouse(shared_redis.url(tmp_path.name))
    await fill(house)
    before = await holds(house)
    meta, ours, others = f"{tmp_path.name}:meta", str(records.FORMAT), str(records.FORMAT + step)
    shared_redis.says("HSET", meta, "format", others)
    with pytest.raises(StoreFormatError, match=said):
        await house.store()
    assert shared_redis.says("HGET", meta, "format") == b"$1\r\n%s\r\n" % others.encode()
    shared_redis.says("HSET", meta, "format", ours)
    assert await holds(house) == before


async def test_a_redis_store_without_an_identity_is_refused(shared_redis: RedisServer, tmp_path: Path) -> None:
    house = RedisHouse(shared_redis.url(tmp_path.name))
    await fill(house)
    shared_redis.says("HDEL", f"{tmp_path.name}:meta", "identity")
    with pytest.raises(StoreFormatError, match="another program's, or damaged"):
        await house.store()
