"""Tests of a store whose files are moved, replaced, deleted, cut short or damaged, and of the next start."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from persistence.opening import back_up, open_store
from persistence.sqlite.backup import backup, restore
from persistence.sqlite.check import DamageCheck
from persistence.sqlite.claim import ServiceLock, lock_file
from persistence.sqlite.files import OpenFiles
from persistence.sqlite.store import SqliteStore
from persistence.store import Put, Store, StoreUnavailable
from tests.persistence.houses import is_there

ACKNOWLEDGED = [b"1", b"2", b"3"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "store.db"


@pytest_asyncio.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """Yield a store in use that has acknowledged something."""
    store = await SqliteStore.open(path)
    await store.serve_alone()
    for entry in ACKNOWLEDGED:
        await store.append(entry)
    yield store
    await store.close()


async def log_of(store: Store) -> list[bytes]:
    return [entry for _, entry in await store.read_log(after=0, limit=1_000)]


def size(path: Path) -> int:
    return path.stat().st_size


def of(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


async def is_refused(store: SqliteStore, said: str) -> None:
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=said):
            await store.append(b"nowhere")
        with pytest.raises(StoreUnavailable, match=said):
            await store.commit([Put("note", "nowhere", b"")])


def troubles(store: SqliteStore) -> list[str]:
    return [trouble.code for trouble in store.stats().troubles]


# -- under a running service


def moves_the_file(path: Path) -> None:
    path.rename(of(path, ".away"))


def deletes_the_file(path: Path) -> None:
    path.unlink()


def moves_the_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("away"))


def deletes_the_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def makes_the_folder(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)


def empties_the_folder(path: Path) -> None:
    deletes_the_folder(path)
    makes_the_folder(path)


def moves_it_and_begins_another(path: Path) -> None:
    path.rename(of(path, ".away"))
    path.touch()


def moves_the_log(path: Path) -> None:
    of(path, "-wal").rename(of(path, "-wal.away"))


def moves_the_file_back(path: Path) -> None:
    of(path, ".away").rename(path)


def moves_the_folder_back(path: Path) -> None:
    path.parent.with_name("away").rename(path.parent)


def moves_the_log_back(path: Path) -> None:
    of(path, "-wal.away").rename(of(path, "-wal"))


@pytest.mark.parametrize(
    "away, back, code, said",
    [
        (moves_the_file, moves_the_file_back, "store_moved", "not in its place"),
        (moves_the_folder, moves_the_folder_back, "store_moved", "not in its place"),
        (moves_it_and_begins_another, moves_the_file_back, "store_replaced", "another file took the place"),
        (moves_the_log, moves_the_log_back, "store_log_taken", "-wal or -shm"),
    ],
)
async def test_r51_a_store_that_is_not_in_its_place_acknowledges_nothing_and_goes_on_when_it_is_back(
    store: SqliteStore,
    path: Path,
    caplog: pytest.LogCaptureFixture,
    away: Callable[[Path], None],
    back: Callable[[Path], None],
    code: str,
    said: str,
) -> None:
    away(path)
    assert troubles(store) == [code], "seen without a write"
    await is_refused(store, said)
    assert f"{path}: writes are no longer acknowledged" in caplog.text
    assert await log_of(store) == ACKNOWLEDGED
    back(path)
    await store.append(b"after")
    assert troubles(store) == []
    assert "it goes on" in caplog.text
    assert await log_of(store) == [*ACKNOWLEDGED, b"after"]


async def test_a_write_that_is_under_way_when_the_file_goes_is_not_acknowledged(store: SqliteStore, path: Path) -> None:
    """The look comes after the commit: before it, the file may still be there."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # the writer waits for this
        writing = asyncio.ensure_future(store.append(b"under way"))
        await store.watermarks()
        while store.stats().queue_depth:
            await store.watermarks()
        moves_the_file(path)
        other.execute("COMMIT")
    with pytest.raises(StoreUnavailable, match="not in its place"):
        await writing


async def test_a_moved_store_is_whole_without_what_stayed_behind(store: SqliteStore, path: Path) -> None:
    """The .db alone holds everything acknowledged, even if the process is killed."""
    moves_the_file(path)
    assert troubles(store) == ["store_moved"]
    while logged(of(path, ".away")) != ACKNOWLEDGED:
        await store.watermarks()


def logged(path: Path) -> list[bytes]:
    """Read the log from the file alone."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        return [entry for (entry,) in connection.execute("SELECT entry FROM log ORDER BY seq")]


@pytest.mark.parametrize("ending", ["-wal", "-shm"])
async def test_r51_a_deleted_log_loses_nothing_that_was_acknowledged(
    store: SqliteStore, path: Path, ending: str
) -> None:
    of(path, ending).unlink()
    await is_refused(store, "-wal or -shm")
    while logged(path)[: len(ACKNOWLEDGED)] != ACKNOWLEDGED:  # already before the end: a kill may come first
        await store.watermarks()
    await store.close()
    again = await SqliteStore.open(path)
    assert (await log_of(again))[: len(ACKNOWLEDGED)] == ACKNOWLEDGED
    await again.append(b"after")
    await again.close()


async def test_a_deleted_store_leaves_a_copy_of_all_that_it_held_to_be_restored(store: SqliteStore, path: Path) -> None:
    shutil.rmtree(path.parent)
    await is_refused(store, "deleted.*SIGTERM")
    assert troubles(store) == ["store_deleted"]
    await store.close()
    restore(of(path, ".rescued"), path)
    again = await SqliteStore.open(path)
    assert (await log_of(again))[: len(ACKNOWLEDGED)] == ACKNOWLEDGED
    await again.close()


async def test_a_store_that_another_file_was_put_over_is_rescued_beside_it(
    store: SqliteStore, path: Path, tmp_path: Path
) -> None:
    await backup(path, tmp_path / "copy")
    of(path, ".rescued").write_text("an earlier one")
    puts_the_copy_there(tmp_path / "copy", path)
    await is_refused(store, "rescued")
    await store.close()
    assert of(path, ".rescued").read_text() == "an earlier one"
    assert logged(of(path, ".rescued1"))[: len(ACKNOWLEDGED)] == ACKNOWLEDGED
    assert logged(path) == ACKNOWLEDGED


async def test_a_store_that_is_cut_short_acknowledges_nothing(store: SqliteStore, path: Path) -> None:
    await store.append(bytes(100_000))
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint")
    assert troubles(store) == []
    os.truncate(path, 8_192)
    await is_refused(store, "cut short")
    assert troubles(store) == ["store_cut_short"]


async def test_a_symbolic_link_that_leads_elsewhere_is_seen(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        await (await SqliteStore.open(tmp_path / name / "store.db")).close()
    link = tmp_path / "current"
    link.symlink_to("one")
    store = await SqliteStore.open(link / "store.db")
    await store.append(b"one's")
    link.unlink()
    link.symlink_to("two")
    await is_refused(store, "another file took the place")
    await store.close()
    assert logged(tmp_path / "two" / "store.db") == []


# -- one service a store, by whatever name


async def test_a_second_service_is_refused_at_the_place_of_a_moved_store_and_at_its_new_name(
    store: SqliteStore, path: Path
) -> None:
    moves_the_file(path)
    for new in (False, True):
        with pytest.raises(StoreUnavailable, match="another service is using it"):
            await open_store(f"sqlite:{path}", new=new)
    assert not is_there(path)
    with pytest.raises(StoreUnavailable, match="under another name"):
        await open_store(f"sqlite:{of(path, '.away')}")


@pytest.mark.parametrize("goes", [moves_the_folder, deletes_the_folder, empties_the_folder])
async def test_no_second_service_starts_where_the_folder_of_a_running_one_is_gone(
    store: SqliteStore, path: Path, goes: Callable[[Path], None]
) -> None:
    goes(path)
    for new in (False, True):
        with pytest.raises(StoreUnavailable, match="another service is using it"):
            await open_store(f"sqlite:{path}", new=new)
    assert not is_there(path)
    makes_the_folder(path)
    with pytest.raises(StoreUnavailable, match="another service is using it"):
        ServiceLock(path)


@pytest.mark.parametrize("goes", [empties_the_folder, deletes_the_folder])
async def test_a_place_that_was_emptied_under_a_service_is_no_fresh_one_after_it(
    store: SqliteStore, path: Path, goes: Callable[[Path], None]
) -> None:
    """A disk that is taken away leaves its empty mount point."""
    goes(path)
    assert troubles(store) == ["store_deleted"]
    await store.close()
    with pytest.raises(StoreUnavailable, match="served here before"):
        await SqliteStore.open(path)


async def test_nobody_opens_another_file_beside_the_log_of_a_running_service(
    store: SqliteStore, path: Path, tmp_path: Path
) -> None:
    await backup(path, tmp_path / "copy")
    moves_the_file(path)
    puts_the_copy_there(tmp_path / "copy", path)
    for opening in (open_store(f"sqlite:{path}"), back_up(f"sqlite:{path}", tmp_path / "second copy")):
        with pytest.raises(StoreUnavailable, match="has another file open"):
            await opening


def puts_the_copy_there(copy: Path, path: Path) -> None:
    copy.rename(path)


def hard_link(path: Path) -> Path:
    os.link(path, of(path, ".link"))
    return of(path, ".link")


def symbolic_link(path: Path) -> Path:
    of(path, ".link").symlink_to(path)
    return of(path, ".link")


def relative_path(path: Path) -> Path:
    return Path(os.path.relpath(path))


@pytest.mark.parametrize(
    "named, said",
    [(hard_link, "under another name"), (symbolic_link, "another service"), (relative_path, "another service")],
)
async def test_a_service_that_knows_the_file_by_another_name_is_refused(
    store: SqliteStore, path: Path, named: Callable[[Path], Path], said: str
) -> None:
    async def serves() -> None:
        other = await open_store(f"sqlite:{named(path)}")
        try:
            await other.serve_alone()
        finally:
            await other.close()

    with pytest.raises(StoreUnavailable, match=said):
        await serves()
    await store.append(b"undisturbed")


async def test_a_backup_by_another_name_would_miss_the_newest_and_is_refused(
    store: SqliteStore, path: Path, tmp_path: Path
) -> None:
    with pytest.raises(StoreUnavailable, match="under another name"):
        await back_up(f"sqlite:{hard_link(path)}", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


# -- the next start


async def test_an_empty_store_takes_no_served_ones_place_unless_it_is_to_be_new(store: SqliteStore, path: Path) -> None:
    await store.close()
    deletes_the_file(path)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"served here before.*--new"):
            await SqliteStore.open(path)
        assert not is_there(path)
    again = await SqliteStore.open(path, new=True)
    await again.serve_alone()
    assert await log_of(again) == []
    await again.close()
    await (await SqliteStore.open(path)).close()


async def test_a_file_that_was_emptied_is_no_new_store(store: SqliteStore, path: Path) -> None:
    await store.close()
    os.truncate(path, 0)
    with pytest.raises(StoreUnavailable, match="gone or empty"):
        await SqliteStore.open(path)
    assert size(path) == 0


async def test_a_place_that_was_only_imported_into_needs_no_word(path: Path) -> None:
    await (await SqliteStore.open(path)).close()
    deletes_the_file(path)
    await (await SqliteStore.open(path)).close()


async def test_a_backup_that_is_restored_in_a_served_place_is_served(
    store: SqliteStore, path: Path, tmp_path: Path
) -> None:
    await backup(path, tmp_path / "copy")
    await store.close()
    moves_the_file(path)
    restore(tmp_path / "copy", path)
    again = await SqliteStore.open(path)
    await again.serve_alone()
    assert await log_of(again) == ACKNOWLEDGED
    await again.close()


async def test_another_store_in_the_place_of_the_served_one_is_served_and_said(
    store: SqliteStore, path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await store.close()
    other = await SqliteStore.open(tmp_path / "other.db")
    await other.serve_alone()
    await other.close()
    (tmp_path / "other.db").rename(path)
    again = await SqliteStore.open(path)
    await again.serve_alone()
    await again.close()
    assert "another one than was served here before" in caplog.text


@pytest.mark.parametrize("new", [False, True])
async def test_a_log_without_its_store_is_not_thrown_away(path: Path, new: bool) -> None:
    """SQLite deletes it when it makes a file of that name."""
    path.parent.mkdir()
    of(path, "-wal").write_bytes(b"the newest commits")
    with pytest.raises(StoreUnavailable, match=r"store\.db-wal is left"):
        await SqliteStore.open(path, new=new)
    assert of(path, "-wal").read_bytes() == b"the newest commits"
    assert not is_there(path)


def test_the_lock_of_a_linked_store_stands_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.db").symlink_to(tmp_path / "real" / "store.db")
    assert lock_file(tmp_path / "link.db") == tmp_path / "real" / "store.db.service-lock"


# -- damage


async def filled(path: Path) -> None:
    store = await SqliteStore.open(path)
    await store.commit([Put("note", f"{number:04}", bytes(1_000)) for number in range(400)])
    await store.close()


def damage(path: Path) -> None:
    """Zeros over every page of the file's second half."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2 // 4_096 * 4_096)
        file.write(bytes(size - file.tell()))


async def checked(store: SqliteStore) -> str:
    while store.stats().damage_check == "running":
        await store.watermarks()
    return store.stats().damage_check


async def test_a_damaged_store_is_found_in_the_background_told_and_still_served(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await filled(path)
    damage(path)
    store = await SqliteStore.open(path)
    await store.serve_alone()
    assert await checked(store) == "damaged"
    (trouble,) = store.stats().troubles
    assert (trouble.code, trouble.refuses) == ("store_damaged", False)
    assert "restore" in trouble.sentence
    assert str(path) not in trouble.sentence
    assert f"{path} is damaged" in caplog.text
    await store.append(b"still")
    await store.close()


async def test_damage_that_a_read_meets_is_told_too(path: Path) -> None:
    await filled(path)
    damage(path)
    store = await SqliteStore.open(path)
    with pytest.raises(StoreUnavailable, match="damaged"):
        await store.get("note", [f"{number:04}" for number in range(400)])
    assert troubles(store) == ["store_damaged"]
    await store.close()


async def test_a_whole_store_is_found_whole(store: SqliteStore) -> None:
    assert await checked(store) == "whole"
    assert troubles(store) == []


async def test_the_search_for_damage_ends_with_the_service(path: Path) -> None:
    """However long it would take: this one has no end."""
    await filled(path)
    files = OpenFiles(path)
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    check = DamageCheck(files, question=endless)
    check.start()
    check.stop()
    assert check.state == "stopped"
    files.close()
