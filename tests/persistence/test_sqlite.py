"""Tests that the file survives a file's troubles: kills, full disks, other programs, newer versions."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from domain.registry import pack_of, partition_of
from persistence.sqlite.file import FORMAT
from persistence.sqlite.store import MAX_READS_WAITING, SqliteStore
from persistence.sqlite.writer import MAX_JOBS_QUEUED
from persistence.store import Checkpoint, Put, StoreFormatError, StoreUnavailable

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest_asyncio.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(path)
    yield store
    await store.close()


@contextmanager
def full_disk(bytes_left: int) -> Iterator[None]:
    """No file of this process can grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_damaged_pack_of_states_is_told_of_and_holds_up_no_other_write(path: Path, store: SqliteStore) -> None:
    key = "0123456789abcdef"
    here, elsewhere = partition_of(key), partition_of(key) + 1
    await store.checkpoint(Checkpoint(here, 1, [(key, b"state", True)]))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE packs SET states = x'81a1'")
    written = (
        store.checkpoint(Checkpoint(here, 2, [(key, b"newer", True)])),
        store.append(b"entry"),
        store.checkpoint(Checkpoint(elsewhere, 2, [])),
    )
    refused, number, _ = await asyncio.gather(*written, return_exceptions=True)
    assert isinstance(refused, StoreFormatError)
    assert number == 1
    assert await store.watermarks() == {here: 1, elsewhere: 2}
    for reading in (store.states([key]), store.hot_states(here)):
        with pytest.raises(StoreFormatError, match=f"pack {pack_of(key)} .* is damaged"):
            await reading


WRITES_UNTIL_KILLED = """
import asyncio, os, sys
from persistence.sqlite.store import SqliteStore
from persistence.store import Put

async def write(store, worker):
    for turn in range(1_000_000):
        text = f"{worker} {turn}"
        number = await store.append(text.encode() * 500)
        os.write(1, f"entry {number} {text}\\n".encode())
        await store.commit([Put("note", text, b"x")])
        os.write(1, f"note 0 {text}\\n".encode())

async def main():
    store = await SqliteStore.open(sys.argv[1])
    await asyncio.gather(*(write(store, worker) for worker in range(8)))

asyncio.run(main())
"""


async def test_a_killed_process_loses_nothing_that_was_acknowledged(path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITES_UNTIL_KILLED, str(path), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    told = [await child.stdout.readline() for _ in range(400)]
    child.send_signal(signal.SIGKILL)
    told += (await child.stdout.read()).splitlines()
    await child.wait()
    acknowledged = [line.decode().split(maxsplit=2) for line in told]
    assert len(acknowledged) >= 400

    store = await SqliteStore.open(path)
    entries = {number: entry.decode() for number, entry in await store.read_log(after=0, limit=1_000_000)}
    notes = await store.get("note", [text.strip() for what, _, text in acknowledged if what == "note"])
    for what, number, text in acknowledged:
        if what == "entry":
            assert entries[int(number)] == text.strip() * 500
        else:
            assert text.strip() in notes
    assert await store.append(b"next") > max(entries)
    await store.close()


async def test_a_full_disk_is_told_and_forgotten_when_there_is_room(store: SqliteStore) -> None:
    before = await store.append(b"before")
    with full_disk(400_000):
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="disk"):
                await store.append(bytes(1_000_000))
        assert [number for number, _ in await store.read_log(after=0, limit=9)] == [before]
    after = await store.append(b"after")
    assert [entry for _, entry in await store.read_log(after=0, limit=9)] == [b"before", b"after"]
    assert after > before
    assert store.stats().failures == 2


async def test_one_group_that_fails_fails_for_all_who_wait(store: SqliteStore) -> None:
    with full_disk(400_000):
        jobs = [store.commit([Put("note", str(number), bytes(300_000))]) for number in range(8)]
        outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    kept = [str(number) for number, outcome in enumerate(outcomes) if outcome is None]
    assert any(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    assert sorted(await store.get("note", [str(number) for number in range(8)])) == kept
    await asyncio.gather(*(store.commit([Put("note", f"later {number}", b"x")]) for number in range(8)))


async def test_the_folder_is_made_and_the_file_is_for_its_user_only(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "store.db"
    await (await SqliteStore.open(path)).close()
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_folder_in_its_place_is_told_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=str(tmp_path)):
        await SqliteStore.open(tmp_path)


async def test_a_file_where_a_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreUnavailable, match="choose another"):
        await SqliteStore.open(tmp_path / "file" / "store.db")


async def test_a_newer_format_is_refused_and_left_alone(path: Path) -> None:
    await (await SqliteStore.open(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version={FORMAT + 1}")
    with pytest.raises(StoreFormatError, match="newer program"):
        await SqliteStore.open(path)


@contextmanager
def left_alone(path: Path) -> Iterator[None]:
    """Not one byte of the file changes."""
    content = path.read_bytes()
    yield
    assert path.read_bytes() == content


@pytest.fixture(params=[b"not a database at all" * 100, b"SQLite format 3\x00" + bytes(5_000)], ids=["text", "torn"])
def no_database(request: pytest.FixtureRequest, path: Path) -> Path:
    path.write_bytes(request.param)
    return path


async def test_what_is_no_database_is_refused_and_left_alone(no_database: Path) -> None:
    with left_alone(no_database), pytest.raises(StoreFormatError):
        await SqliteStore.open(no_database)


async def test_another_programs_database_is_refused_and_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with left_alone(path), pytest.raises(StoreFormatError, match="another program"):
        await SqliteStore.open(path)


async def test_many_open_a_new_file_at_once(path: Path) -> None:
    stores = await asyncio.gather(*(SqliteStore.open(path) for _ in range(8)))
    assert len({await store.secret("a") for store in stores}) == 1
    for store in stores:
        await store.close()


async def test_a_second_process_writes_while_this_one_does(path: Path, store: SqliteStore) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITES_UNTIL_KILLED, str(path), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    await child.stdout.readline()
    ours = [await store.append(b"ours") for _ in range(50)]
    assert len(await child.stdout.readline()) > 0
    child.kill()
    await child.stdout.read()
    await child.wait()
    stored = dict(await store.read_log(after=0, limit=1_000_000))
    assert [number for number, entry in stored.items() if entry == b"ours"] == ours
    assert store.stats().failures == 0


async def test_a_queue_that_is_full_refuses_and_the_queued_are_written(path: Path, store: SqliteStore) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # the writer waits for this
        waiting = [asyncio.ensure_future(store.append(b"x")) for _ in range(MAX_JOBS_QUEUED * 2)]
        await asyncio.sleep(0)
        other.execute("COMMIT")
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    refused = sum(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    assert 0 < refused <= MAX_JOBS_QUEUED
    assert await store.trim_log(through=1_000_000) == len(outcomes) - refused


async def test_too_many_reads_are_refused(store: SqliteStore) -> None:
    reads = [store.get("note", ["a"]) for _ in range(MAX_READS_WAITING + 1)]
    outcomes = await asyncio.gather(*reads, return_exceptions=True)
    assert sum(isinstance(outcome, StoreUnavailable) for outcome in outcomes) == 1


async def test_waiters_that_gave_up_do_not_disturb_the_others(store: SqliteStore) -> None:
    jobs = [asyncio.ensure_future(store.append(str(number).encode())) for number in range(10)]
    await asyncio.sleep(0)
    jobs[3].cancel()
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert isinstance(outcomes[3], asyncio.CancelledError)
    assert sum(isinstance(outcome, int) for outcome in outcomes) == 9


async def test_what_queues_during_a_commit_shares_the_next(store: SqliteStore) -> None:
    await asyncio.gather(*(store.append(b"x") for _ in range(500)))
    stats = store.stats()
    assert stats.jobs == 500
    assert stats.commits < 100
    assert 0 < stats.mean_commit_s <= stats.p99_commit_s
    assert stats.queue_depth == 0
