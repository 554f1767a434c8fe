"""Tests of a store whose Redis is emptied, exchanged, set back or made forgetful while in use, and of the next start."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from persistence.redis.address import RedisAddress
from persistence.redis.served import MOST_NOTED, Served
from persistence.redis.store import RedisStore
from persistence.store import Put, Store, StoreUnavailable
from tests.redis_house import RedisHouse
from tests.redis_server import RedisServer

ANSWER_S = 1.0
ACKNOWLEDGED = [b"1", b"2", b"3"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis")
    yield server
    server.kill()


async def opened(url: str, *, new: bool = False, notes: Path | None = None) -> RedisStore:
    return await RedisStore.open(
        RedisAddress.parse(url), answer_s=ANSWER_S, lease_s=0.5, check_s=0.1, new=new, notes=notes
    )


@pytest_asyncio.fixture
async def store(server: RedisServer, tmp_path: Path) -> AsyncIterator[RedisStore]:
    """Yield a store in use that has acknowledged something."""
    store = await opened(server.url(), notes=tmp_path / "notes")
    await store.serve_alone()
    await store.secret("s")
    for entry in ACKNOWLEDGED:
        await store.append(entry)
    yield store
    await store.close()


async def log_of(store: Store) -> list[bytes]:
    return [entry for _, entry in await store.read_log(after=0, limit=1_000)]


def troubles(store: RedisStore) -> list[str]:
    return [trouble.code for trouble in store.stats().troubles]


async def becomes(store: RedisStore, *codes: str) -> None:
    """Wait for these troubles, without a write."""
    while troubles(store) != [*codes]:
        with suppress(StoreUnavailable):
            await store.watermarks()


async def is_refused(store: RedisStore, said: str) -> None:
    """Writes and reads: what a reader does not find would be told as not there."""
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=said):
            await store.append(b"nowhere")
        with pytest.raises(StoreUnavailable, match=said):
            await store.commit([Put("note", "nowhere", b"")])
        with pytest.raises(StoreUnavailable, match=said):
            await store.get("note", ["a"])
        with pytest.raises(StoreUnavailable, match=said):
            await store.find("note", "all", "")
        with pytest.raises(StoreUnavailable, match=said):
            await store.secret("s")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A place for copies of what a Redis has on its disk."""
    return tmp_path / "copies"


def copies(server: RedisServer, to: Path) -> None:
    """Copy the files that it would come back with, were it killed now."""
    shutil.copytree(server.folder / "appendonlydir", to)


def comes_back_with(server: RedisServer, copy: Path | None) -> None:
    server.kill()
    shutil.rmtree(server.folder / "appendonlydir")
    if copy is not None:
        shutil.copytree(copy, server.folder / "appendonlydir")
    server.start()


# -- in use


async def test_an_emptied_redis_is_named_and_nothing_is_written_into_it(
    server: RedisServer, store: RedisStore, caplog: pytest.LogCaptureFixture
) -> None:
    server.says("FLUSHALL")
    await is_refused(store, "FLUSHALL")
    assert troubles(store) == ["store_emptied"]
    assert "writes are no longer acknowledged" in caplog.text
    assert "taken it over" not in caplog.text
    assert server.says("DBSIZE") == b":0\r\n"


async def test_a_redis_that_lost_its_files_is_missed_and_served_again_when_it_has_them(
    server: RedisServer, store: RedisStore, files: Path
) -> None:
    copies(server, files / "whole")
    comes_back_with(server, None)
    await is_refused(store, "started without its files")
    comes_back_with(server, files / "whole")
    await store.append(b"after")
    assert await log_of(store) == [*ACKNOWLEDGED, b"after"]
    assert troubles(store) == []


async def test_r51_a_redis_that_comes_back_with_an_older_copy_is_refused_until_it_has_the_newer(
    server: RedisServer, store: RedisStore, files: Path
) -> None:
    copies(server, files / "older")
    await store.append(b"acknowledged since")
    copies(server, files / "newer")
    comes_back_with(server, files / "older")
    await is_refused(store, "knows less than it acknowledged")
    assert troubles(store) == ["store_behind"]
    comes_back_with(server, files / "newer")
    await store.append(b"after")
    assert await log_of(store) == [*ACKNOWLEDGED, b"acknowledged since", b"after"]


async def test_a_service_on_a_copy_older_than_its_start_is_fenced_off_from_the_next_one(
    server: RedisServer, files: Path
) -> None:
    """Both find the same fence in it."""
    await (await opened(server.url())).close()
    copies(server, files / "older")
    store = await opened(server.url())
    await store.serve_alone()
    await store.append(b"acknowledged")
    comes_back_with(server, files / "older")
    newcomer = await opened(server.url(), new=True)
    await newcomer.serve_alone()
    for number in range(9):  # until it has written more than the first one
        await newcomer.append(b"%d" % number)
    with pytest.raises(StoreUnavailable, match="taken it over"):
        await store.append(b"lost")
    assert len(await log_of(newcomer)) == 9
    await newcomer.close()
    await store.close()


async def test_another_store_in_its_place_is_not_taken_for_it(server: RedisServer, store: RedisStore) -> None:
    server.says("FLUSHALL")
    other = await opened(server.url(), new=True)
    for number in range(9):
        await other.append(b"%d" % number)
    await is_refused(store, "another store lies where this one was")
    assert troubles(store) == ["store_exchanged"]
    assert len(await log_of(other)) == 9
    await other.close()


FORGETFUL = [
    ("appendonly", "no", "yes", "append-only file"),
    ("appendfsync", "no", "always", "appendfsync no"),
    ("maxmemory-policy", "allkeys-lru", "noeviction", "maxmemory-policy"),
]


@pytest.mark.parametrize("setting, wrong, right, said", FORGETFUL)
async def test_r51_a_redis_that_no_longer_keeps_what_it_is_given_is_asked_in_time(
    server: RedisServer,
    store: RedisStore,
    setting: str,
    wrong: str,
    right: str,
    said: str,
) -> None:
    server.says("CONFIG", "SET", setting, wrong)
    await becomes(store, "store_not_durable")
    with pytest.raises(StoreUnavailable, match=said):
        await store.append(b"refused")
    assert await log_of(store) == ACKNOWLEDGED, "what it knows may be read"
    server.says("CONFIG", "SET", setting, right)
    await becomes(store)
    await store.append(b"after")
    assert await log_of(store) == [*ACKNOWLEDGED, b"after"]


async def test_r51_a_redis_that_restarts_without_its_log_is_asked_when_it_is_connected_to(
    tmp_path: Path, server: RedisServer, store: RedisStore
) -> None:
    server.kill()
    server.options = ("--appendonly", "no", "--save", "")
    server.start()
    with pytest.raises(StoreUnavailable, match="append-only file"):
        await store.append(b"refused")
    assert "store_not_durable" in troubles(store)


async def test_r51_a_promoted_replica_without_a_log_is_not_written_to(tmp_path: Path) -> None:
    house = RedisHouse(tmp_path / "redis", replicas=1)
    try:
        store = await opened(house.url("&replicas=0"))
        await store.serve_alone()
        await store.append(b"acknowledged")
        while house.replicas[0].says("XLEN", "shouwang:log") != b":1\r\n":
            await store.watermarks()
        house.replicas[0].says("CONFIG", "SET", "appendonly", "no")
        house.primary.kill()
        await becomes(store, "store_not_durable")
        with pytest.raises(StoreUnavailable, match="append-only file"):
            await store.append(b"refused")
        house.replicas[0].says("CONFIG", "SET", "appendonly", "yes")
        await becomes(store)
        await store.append(b"after")
        assert await log_of(store) == [b"acknowledged", b"after"]
        await store.close()
    finally:
        house.end()


async def test_a_user_who_may_not_ask_for_the_settings_is_told_once(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    rights = "~shouwang ~shouwang:* +@read +@write +@scripting +@connection -@dangerous +wait +time +info +role"
    server.says("ACL", "SETUSER", "fleet", "on", ">sesame", *rights.split())
    store = await opened(f"redis://fleet:sesame@127.0.0.1:{server.port}/0")
    await store.serve_alone()
    await store._durability.ask_again(store._asking)
    assert caplog.text.count("+config|get") == 1
    assert server.says("FUNCTION", "LIST").startswith(b"*1"), "the rights of the documents do not suffice to mark it"
    await store.close()


# -- the next start


async def test_an_emptied_redis_begins_no_empty_store_unless_it_is_to_be_new(
    server: RedisServer, store: RedisStore
) -> None:
    """Its own evidence: the notes of this machine are another's."""
    await store.close()
    server.says("FLUSHALL")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"served here before.*FLUSHALL.*--new"):
            await opened(server.url())
    assert server.says("DBSIZE") == b":0\r\n"
    await (await opened(server.url("another"))).close()
    again = await opened(server.url(), new=True)
    assert await log_of(again) == []
    await again.close()
    await (await opened(server.url())).close()


async def test_a_redis_without_its_files_begins_no_empty_store_where_it_was_served_from(
    server: RedisServer, store: RedisStore, tmp_path: Path
) -> None:
    await store.close()
    comes_back_with(server, None)
    with pytest.raises(StoreUnavailable, match=r"served here before.*without its files.*--new"):
        await opened(server.url(), notes=tmp_path / "notes")
    await (await opened(server.url(), new=True, notes=tmp_path / "notes")).close()


async def test_a_redis_that_was_only_imported_into_needs_no_word(server: RedisServer, tmp_path: Path) -> None:
    for _ in range(2):
        await (await opened(server.url(), notes=tmp_path)).close()
        server.says("FLUSHALL")


async def test_notes_that_can_not_be_written_are_told_and_the_store_is_served(
    server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = tmp_path / "file"
    nowhere.touch()
    store = await opened(server.url(), notes=nowhere)
    await store.serve_alone()
    assert "can't be written" in caplog.text
    await store.close()


async def test_notes_are_bounded_and_the_newest_are_kept(server: RedisServer, tmp_path: Path) -> None:
    for number in range(MOST_NOTED + 2):
        store = await opened(server.url(f"store{number}"), notes=tmp_path)
        await store.serve_alone()
        await store.close()
    server.says("FUNCTION", "FLUSH")
    link = (store := await opened(server.url("asks")))._writing
    noted = [
        await Served(RedisAddress.parse(server.url(f"store{number}")), notes=tmp_path).is_noted(link)
        for number in range(MOST_NOTED + 2)
    ]
    assert noted == [False, False, *[True] * MOST_NOTED]
    await store.close()
