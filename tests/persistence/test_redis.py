"""Tests that the store survives a Redis's troubles: kills, stalls, lost answers, full memory, wrong settings."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from domain.registry import partition_of
from persistence.redis.address import RedisAddress
from persistence.redis.layout import FORMAT
from persistence.redis.store import MAX_READS_WAITING, MEMBERS_A_READ, RedisStore
from persistence.redis.writer import MAX_JOBS_QUEUED
from persistence.store import Checkpoint, IndexEntry, Put, Store, StoreConflict, StoreFormatError, StoreUnavailable
from tests.persistence.cut_wire import CutWire
from tests.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
ANSWER_S = 1.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """Yield a server that a test may kill, stop and configure."""
    server = RedisServer(tmp_path / "redis")
    yield server
    server.kill()


@pytest_asyncio.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    store = await opened(server.url())
    yield store
    await store.close()


@pytest_asyncio.fixture
async def shared_store(shared_redis: RedisServer, tmp_path: Path) -> AsyncIterator[RedisStore]:
    store = await RedisStore.open(RedisAddress.parse(shared_redis.url(tmp_path.name)))
    yield store
    await store.close()


async def opened(url: str) -> RedisStore:
    return await RedisStore.open(RedisAddress.parse(url), answer_s=ANSWER_S)


async def opens(url: str) -> None:
    """And nothing more."""
    await (await opened(url)).close()


def note(key: str, *, expected: int | None = None) -> Put:
    return Put("note", key, b"x", (IndexEntry("all", ""),), expected)


async def log_of(store: Store) -> list[bytes]:
    return [entry for _, entry in await store.read_log(after=0, limit=1_000_000)]


# -- killed


async def test_r51_a_killed_redis_keeps_what_it_acknowledged_and_the_store_goes_on(
    server: RedisServer, store: RedisStore
) -> None:
    key = "vehicle"
    await store.commit([note("a")])
    await store.checkpoint(Checkpoint(partition_of(key), 1, [(key, b"state", True)]))
    numbers = await asyncio.gather(*(store.append(str(index).encode()) for index in range(300)))
    secret = await store.secret("s")
    server.kill()
    outcomes = await asyncio.gather(store.append(b"lost"), store.get("note", ["a"]), return_exceptions=True)
    assert all(isinstance(outcome, StoreUnavailable) and "running" in str(outcome) for outcome in outcomes)
    server.start()
    assert (await store.get("note", ["a"]))["a"].version == 1
    assert await store.count("note", "all", "") == 1
    assert await log_of(store) == [str(index).encode() for index in range(300)]
    assert await store.states([key]) == {key: b"state"}
    assert await store.secret("s") == secret
    assert await store.append(b"next") > numbers[-1]


async def test_a_trimmed_log_keeps_its_numbers_through_a_restart_of_redis(
    server: RedisServer, store: RedisStore
) -> None:
    last = await store.append(b"x")
    assert await store.trim_log(through=last) == 1
    server.says("BGREWRITEAOF")
    server.kill()
    server.start()
    assert await store.append(b"y") > last


WRITES_UNTIL_KILLED = """
import asyncio, os, sys
from persistence.redis.store import RedisStore
from persistence.redis.address import RedisAddress
from persistence.store import Put

async def write(store, worker):
    for turn in range(1_000_000):
        text = f"{worker} {turn}"
        number = await store.append(text.encode() * 500)
        os.write(1, f"entry {number} {text}\\n".encode())
        await store.commit([Put("note", text, b"x")])
        os.write(1, f"note 0 {text}\\n".encode())

async def main():
    store = await RedisStore.open(RedisAddress.parse(sys.argv[1]))
    await asyncio.gather(*(write(store, worker) for worker in range(8)))

asyncio.run(main())
"""


async def test_r51_a_killed_process_loses_nothing_that_was_acknowledged(server: RedisServer) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITES_UNTIL_KILLED, server.url(), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    told = [await child.stdout.readline() for _ in range(400)]
    child.send_signal(signal.SIGKILL)
    told += (await child.stdout.read()).splitlines()
    await child.wait()
    server.kill()
    server.start()
    acknowledged = [line.decode().split(maxsplit=2) for line in told]
    store = await opened(server.url())
    entries = {number: entry.decode() for number, entry in await store.read_log(after=0, limit=1_000_000)}
    notes = await store.get("note", [text.strip() for what, _, text in acknowledged if what == "note"])
    for what, number, text in acknowledged:
        if what == "entry":
            assert entries[int(number)] == text.strip() * 500
        else:
            assert text.strip() in notes
    await store.close()


# -- stalled


async def test_a_redis_that_stops_answering_is_told_in_time_and_does_nothing_later(
    server: RedisServer, store: RedisStore
) -> None:
    await store.append(b"before")
    server.pause()
    began = asyncio.get_running_loop().time()
    outcomes = await asyncio.gather(
        store.append(b"stalled"),
        store.commit([note("stalled")]),
        store.checkpoint(Checkpoint(partition_of("v"), 9, [("v", b"", True)], [note("stalled, too")])),
        store.get("note", ["a"]),
        return_exceptions=True,
    )
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    assert asyncio.get_running_loop().time() - began < 4 * ANSWER_S
    server.resume()
    await store.append(b"after")
    await store.commit([note("after", expected=0)])
    assert await log_of(store) == [b"before", b"after"]
    assert (await store.get("note", ["stalled", "stalled, too", "after"])).keys() == {"after"}
    assert await store.watermarks() == {}


async def test_a_short_stall_is_waited_for_and_nothing_is_done_twice(server: RedisServer, store: RedisStore) -> None:
    await store.append(b"before")
    server.pause()
    writes = [asyncio.ensure_future(store.append(b"during")), asyncio.ensure_future(store.commit([note("a")]))]
    asyncio.get_running_loop().call_later(ANSWER_S / 4, server.resume)
    await asyncio.gather(*writes)
    assert await log_of(store) == [b"before", b"during"]
    assert (await store.get("note", ["a"]))["a"].version == 1


async def test_a_restart_within_the_bound_is_not_noticed(server: RedisServer) -> None:
    store = await RedisStore.open(RedisAddress.parse(server.url()), answer_s=10)
    await store.append(b"before")
    server.kill()
    writing = asyncio.gather(store.append(b"during"), store.commit([note("a", expected=0)]), store.get("note", ["b"]))
    await asyncio.to_thread(server.start)
    await writing
    assert await log_of(store) == [b"before", b"during"]
    assert (await store.get("note", ["a"]))["a"].version == 1
    assert store.stats().failures == 0
    await store.close()


# -- lost answers


async def test_a_write_whose_answer_is_lost_is_not_done_twice(shared_redis: RedisServer, tmp_path: Path) -> None:
    async with CutWire(shared_redis.port) as wire:
        store = await opened(f"redis://127.0.0.1:{wire.port}/0?prefix={tmp_path.name}")
        first = await store.append(b"first")
        wire.swallow_next_answer()
        assert await store.append(b"second") == first + 1
        wire.swallow_next_answer()
        await store.commit([note("a", expected=0)])
        wire.swallow_next_answer()
        with pytest.raises(StoreConflict):
            await store.commit([note("a", expected=0)])
        wire.swallow_next_answer()
        assert await store.trim_log(through=first) == 1
        assert wire.swallowed == 4
        assert await log_of(store) == [b"second"]
        assert (await store.get("note", ["a"]))["a"].version == 1
        assert store.stats().failures == 0
        await store.close()


async def test_a_redis_that_forgot_the_scripts_is_taught_them_again(server: RedisServer, store: RedisStore) -> None:
    await store.commit([note("a")])
    server.says("SCRIPT", "FLUSH")
    await store.commit([note("b")])
    server.says("SCRIPT", "FLUSH")
    assert len((await store.find("note", "all", "")).documents) == 2


# -- full, read-only


async def test_a_full_memory_is_told_and_trimming_still_works(server: RedisServer, store: RedisStore) -> None:
    number = await store.append(b"x" * 1_000)
    server.says("CONFIG", "SET", "maxmemory", "1")
    for write in (store.append(b"y"), store.commit([note("a")])):
        with pytest.raises(StoreUnavailable, match="maxmemory"):
            await write
    assert await store.trim_log(through=number) == 1
    server.says("CONFIG", "SET", "maxmemory", "0")
    await store.append(b"z")
    assert await log_of(store) == [b"z"]
    assert (await store.get("note", ["a"])) == {}


async def test_a_replica_is_refused_and_a_primary_again_is_written_to(server: RedisServer, store: RedisStore) -> None:
    await store.append(b"x")
    server.says("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StoreUnavailable, match="replica"):
        await store.append(b"y")
    with pytest.raises(StoreUnavailable, match="replica"):
        await opens(server.url())
    server.says("REPLICAOF", "NO", "ONE")
    await store.append(b"z")
    assert await log_of(store) == [b"x", b"z"]


# -- what is refused at the start


@pytest.mark.parametrize(
    "setting, said",
    [
        (("appendonly", "no"), "appendonly yes"),
        (("appendfsync", "no"), "appendfsync always"),
        (("maxmemory-policy", "allkeys-lru"), "noeviction"),
    ],
)
async def test_a_redis_that_may_forget_is_refused_with_what_to_set(
    server: RedisServer, setting: tuple[str, str], said: str
) -> None:
    server.says("CONFIG", "SET", *setting)
    with pytest.raises(StoreUnavailable, match=said):
        await opens(server.url())


async def test_without_aof_only_who_says_so_gets_in(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    server.says("CONFIG", "SET", "appendonly", "no")
    await opens(server.url() + "&allow=no-aof")
    assert "may be lost" in caplog.text


async def test_everysec_is_taken_with_a_warning(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    await opens(server.url())
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    server.says("CONFIG", "SET", "appendfsync", "everysec")
    await opens(server.url())
    assert "power cut" in caplog.text


async def test_a_newer_format_is_refused_and_left_alone(server: RedisServer) -> None:
    await opens(server.url())
    server.says("HSET", "shouwang:meta", "format", str(FORMAT + 1))
    with pytest.raises(StoreFormatError, match="newer program"):
        await opens(server.url())
    server.says("HSET", "shouwang:meta", "format", "0")
    with pytest.raises(StoreFormatError, match="older"):
        await opens(server.url())
    assert server.says("DBSIZE") == b":1\r\n"


@pytest.mark.parametrize(
    "theirs",
    [
        ("SET", "shouwang:meta", "x"),
        ("HSET", "shouwang:meta", "application", "theirs", "format", "1"),
        ("HSET", "shouwang:meta", "application", "shouwang"),
        ("SET", "shouwang:log", "x"),
    ],
)
async def test_another_programs_keys_are_refused_and_left_alone(server: RedisServer, theirs: tuple[str, ...]) -> None:
    server.says(*theirs)
    with pytest.raises(StoreFormatError, match="prefix"):
        await opens(server.url())
    assert server.says("DBSIZE") == b":1\r\n"


async def answer_as_redis_6(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    text = b"redis_version:6.2.14\r\nrole:master\r\naof_enabled:1\r\n"
    while command := await reader.readline():
        if command.strip() == b"INFO":
            writer.write(b"$%d\r\n%b\r\n" % (len(text), text))
        elif command.startswith(b"*") and command != b"*1\r\n":
            writer.write(b"+OK\r\n")
    writer.close()


async def test_a_redis_that_is_too_old_is_refused() -> None:
    old = await asyncio.start_server(answer_as_redis_6, "127.0.0.1", 0)
    async with old:
        port = old.sockets[0].getsockname()[1]
        with pytest.raises(StoreUnavailable, match=r"6\.2\.14.*7\.0 or newer"):
            await opens(f"redis://127.0.0.1:{port}")


async def test_nobody_there_is_told_at_once() -> None:
    with pytest.raises(StoreUnavailable, match="is it running"):
        await opens("redis://127.0.0.1:1")


# -- living together


async def test_prefixes_do_not_see_each_other(shared_redis: RedisServer, tmp_path: Path) -> None:
    one, other = (
        await opened(shared_redis.url(f"{tmp_path.name}.1")),
        await opened(shared_redis.url(f"{tmp_path.name}.2")),
    )
    await one.serve_alone()
    await other.serve_alone()
    await one.commit([note("a")])
    await one.append(b"x")
    assert await other.get("note", ["a"]) == {}
    assert await other.count("note", "all", "") == 0
    assert await log_of(other) == []
    assert await one.secret("s") != await other.secret("s")
    await one.close()
    await other.close()


async def test_texts_with_nul_are_listed_in_their_order(shared_store: RedisStore) -> None:
    sorts = ("", "\0", "\0\1", "\1", "a", "a\0", "a\0b", "ab")
    pairs = [(sort, f"{key} {sort!r}") for sort in sorts for key in ("k", "k\0", "\0\1k")]
    await shared_store.commit(
        [Put("note", key, b"", (IndexEntry("i", "v\0", sort), IndexEntry("i", "v"))) for sort, key in pairs]
    )
    listed = (await shared_store.find("note", "i", "v\0")).documents
    assert [document.key for document in listed] == [key for _, key in sorted(pairs)]
    assert await shared_store.count("note", "i", "v") == len(pairs)
    assert {value for value, _ in await shared_store.index_values("note", "i")} == {"v", "v\0"}


async def test_a_large_index_is_told_whole(shared_store: RedisStore) -> None:
    keys = [f"{number:05}" for number in range(2 * MEMBERS_A_READ + 1)]
    for start in range(0, len(keys), 500):
        await shared_store.commit([note(key) for key in keys[start : start + 500]])
    assert [key for _, key in await shared_store.index_values("note", "all")] == keys


async def test_what_queues_during_a_commit_shares_the_next(shared_store: RedisStore) -> None:
    await asyncio.gather(*(shared_store.append(b"x") for _ in range(500)))
    stats = shared_store.stats()
    assert (stats.jobs, stats.failures, stats.queue_depth) == (500, 0, 0)
    assert stats.commits < 10
    assert 0 < stats.mean_commit_s <= stats.p99_commit_s


async def test_what_is_too_large_for_one_group_goes_in_several(shared_store: RedisStore) -> None:
    entries = [bytes([index]) * 1_500_000 for index in range(6)]
    await asyncio.gather(*(shared_store.append(entry) for entry in entries))
    assert await log_of(shared_store) == entries
    assert shared_store.stats().commits == 3


async def test_waiters_that_gave_up_do_not_disturb_the_others(shared_store: RedisStore) -> None:
    jobs = [asyncio.ensure_future(shared_store.append(str(number).encode())) for number in range(10)]
    await asyncio.sleep(0)
    jobs[3].cancel()
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert isinstance(outcomes[3], asyncio.CancelledError)
    assert sum(isinstance(outcome, int) for outcome in outcomes) == 9


async def test_reads_that_gave_up_do_not_get_each_others_answers(shared_store: RedisStore) -> None:
    await shared_store.commit([note(str(number)) for number in range(40)])
    reads = [asyncio.ensure_future(shared_store.get("note", [str(number)])) for number in range(40)]
    await asyncio.sleep(0)
    for read in reads[:4]:
        read.cancel()
    await asyncio.gather(*reads[:4], return_exceptions=True)
    assert [list(await read) for read in reads[4:]] == [[str(number)] for number in range(4, 40)]


async def test_closing_waits_for_reads_under_way(shared_redis: RedisServer, tmp_path: Path) -> None:
    store = await opened(shared_redis.url(tmp_path.name))
    reads = [asyncio.ensure_future(store.get("note", ["a"])) for _ in range(10)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*reads) == [{}] * 10


async def test_queues_that_are_full_refuse(shared_store: RedisStore) -> None:
    writes = [shared_store.append(b"x") for _ in range(MAX_JOBS_QUEUED + 10)]
    reads = [shared_store.get("note", ["a"]) for _ in range(MAX_READS_WAITING + 1)]
    outcomes = await asyncio.gather(*writes, *reads, return_exceptions=True)
    refused = [isinstance(outcome, StoreUnavailable) for outcome in outcomes]
    assert 0 < sum(refused[: len(writes)]) <= 10
    assert sum(refused[len(writes) :]) >= 1
    assert await shared_store.trim_log(through=1_000_000) == len(writes) - sum(refused[: len(writes)])
