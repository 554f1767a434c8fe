"""A service whose store can't be written, is moved, deleted or damaged under it, or is gone at the next start."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.e2e.callers import call
from tests.e2e.processes import ANY_PORT, Serving, Yard, until
from tests.faults.witness import KEY, Witness
from tests.programs import needs

pytestmark = pytest.mark.e2e

PAGE = 4_096
MARK = b"a flipped page"

AS_OTHERS = ("--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")
"""Drops the rights by which root writes everywhere."""


@contextmanager
def full_disk(pid: int) -> Iterator[None]:
    """No file of this process can grow any more."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def test_r51_on_a_full_disk_nothing_is_acknowledged_and_with_room_again_nothing_is_missing(yard: Yard) -> None:
    serving = yard.serves(FEED_KEY=KEY)
    with Witness(serving) as witness:
        for _ in range(2):
            with full_disk(serving.process.pid):
                witness.is_refused()
            witness.is_served()
        assert witness.is_ready()
    assert serving.process.stops().status == 0
    again = yard.serves(FEED_KEY=KEY)
    assert witness.driver.finds(again.http) == witness.driver.facts


@pytest.fixture
def as_others() -> tuple[str, ...]:
    """A command that takes from root what others don't have."""
    if os.geteuid() != 0:
        return ()
    needs("setpriv", package="util-linux")
    return ("setpriv", *AS_OTHERS)


def folder_of_others(store: Path) -> None:
    store.parent.chmod(0o500)


def file_of_others(store: Path) -> None:
    store.chmod(0o400)


def lock_of_others(store: Path) -> None:
    lock = store.with_name(f"{store.name}.service-lock")
    lock.touch()
    lock.chmod(0o400)


@pytest.mark.parametrize("taken_away", [folder_of_others, file_of_others, lock_of_others])
def test_a_store_that_may_not_be_written_is_refused_at_the_start_in_a_sentence(
    yard: Yard, as_others: tuple[str, ...], taken_away: Callable[[Path], None]
) -> None:
    store = yard.folder / "store" / "shouwang.db"
    store.parent.mkdir()
    yard.store.rename(store)
    taken_away(store)
    where = ("--http", ANY_PORT, "--jt808", ANY_PORT, "--store", f"sqlite:{store}")
    ended = yard.runs("serve", *where, below=as_others)
    store.parent.chmod(0o700)
    assert ended.status == 2, ended.said
    assert "Traceback" not in ended.said
    said = ended.err.splitlines()[-1]
    assert said.startswith(f"run.py: store {store}: ")
    assert "user" in said


def test_a_folder_that_may_not_be_written_gets_no_store(
    empty_yard: Yard, as_others: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    folder.mkdir(0o500)
    ended = empty_yard.runs("import", "-", "--store", f"sqlite:{folder / 'new.db'}", below=as_others)
    assert ended.status == 2, ended.said
    assert "may this user write to it?" in ended.err
    assert "Traceback" not in ended.said


# -- moved, deleted, damaged


def store_of(serving: Serving) -> dict[str, object]:
    """Return the store's part of `/health`."""
    health = json.loads(call(serving.http, "GET", "/health").body)
    return {**health["store"], **health["components"]["store"]}


def reasons(serving: Serving) -> list[str]:
    found: list[str] = json.loads(call(serving.http, "GET", "/readyz").body)["reasons"]
    return found


def away(store: Path) -> Path:
    return store.with_name("away.db")


def begins(yard: Yard, *options: str) -> tuple[int, str]:
    """A start that is refused; its last words."""
    ended = yard.runs("serve", "--http", ANY_PORT, "--jt808", ANY_PORT, "--store", yard.store_name, *options)
    assert "Traceback" not in ended.said
    return ended.status, ended.err.splitlines()[-1]


def test_r51_a_store_that_is_moved_away_is_missed_at_once_and_served_again_when_it_is_back(yard: Yard) -> None:
    serving = yard.serves(FEED_KEY=KEY)
    with Witness(serving) as witness:
        yard.store.rename(away(yard.store))
        assert reasons(serving) == ["store_moved"]
        witness.is_refused()
        assert "Put the same file back" in str(store_of(serving)["troubles"])
        assert str(yard.store) not in str(store_of(serving))
        status, said = begins(yard, "--new")
        assert (status, "another service is using it" in said) == (2, True), said
        away(yard.store).rename(yard.store)
        witness.is_served()
        assert witness.is_ready()
    ended = serving.process.stops()
    assert ended.status == 0
    assert f"store {yard.store}: writes are no longer acknowledged" in ended.err
    again = yard.serves(FEED_KEY=KEY)
    assert witness.driver.finds(again.http) == witness.driver.facts


def test_r51_a_store_that_is_deleted_is_rescued_by_the_end_of_its_service(yard: Yard) -> None:
    serving = yard.serves(FEED_KEY=KEY)
    with Witness(serving) as witness:
        yard.store.unlink()
        witness.is_refused()
        assert reasons(serving) == ["store_deleted"]
    assert serving.process.stops().status == 0
    assert begins(yard)[0] == 2
    rescued = yard.store.with_name(f"{yard.store.name}.rescued")
    restored = yard.runs("restore", str(rescued), "--store", yard.store_name)
    assert restored.status == 0, restored.said
    again = yard.serves(FEED_KEY=KEY)
    witness.driver.is_known(again.http)


def test_no_start_and_no_import_makes_an_empty_store_where_one_was_served(yard: Yard) -> None:
    serving = yard.serves()
    serving.process.is_killed()
    for file in yard.folder.glob(f"{yard.store.name}*"):
        if not file.name.endswith("service-lock"):
            file.unlink()
    status, said = begins(yard)
    assert status == 2
    assert "served here before" in said
    assert "--new" in said
    lines = yard.folder / "registry.jsonl"
    lines.write_text("")
    imported = yard.imports(lines)
    assert (imported.status, "--new" in imported.err) == (2, True)
    assert not yard.store.exists()
    assert yard.serves("--new").process.stops().status == 0
    assert yard.serves().process.stops().status == 0


def damages_what_nobody_reads(store: Path) -> None:
    with closing(sqlite3.connect(store)) as connection, connection:
        rows = [("unread", f"{number:03}", 1, MARK * 50) for number in range(200)]
        connection.executemany("INSERT INTO documents (kind, key, version, record) VALUES (?, ?, ?, ?)", rows)
    content = bytearray(store.read_bytes())
    page = content.index(MARK, len(content) // 2) // PAGE * PAGE
    content[page : page + PAGE] = bytes(PAGE)
    store.write_bytes(content)


def test_a_damaged_store_is_found_after_the_start_and_told_while_it_is_served(yard: Yard) -> None:
    damages_what_nobody_reads(yard.store)
    serving = yard.serves(FEED_KEY=KEY)
    assert until(lambda: store_of(serving)["damage_check"] == "damaged")
    assert store_of(serving)["status"] == "failing"
    assert "store_damaged" in str(store_of(serving)["reasons"])
    assert call(serving.http, "GET", "/readyz").status == 200
    ended = serving.process.stops()
    assert ended.status == 0
    assert f"store {yard.store} is damaged" in ended.err
