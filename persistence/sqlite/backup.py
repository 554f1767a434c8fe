"""Backs up a SQLite store while its service runs, and restores it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from persistence.moving.facts import Tally, in_chunks
from persistence.moving.whole_file import appearing
from persistence.sqlite.claim import PlaceLock
from persistence.sqlite.file import beside, opening_failed, require_ours
from persistence.sqlite.moving import SqliteSource, facts_of
from persistence.store import StoreFormatError, StoreUnavailable


async def backup(path: Path, file: Path) -> Tally:
    """Copy the store as it is at this instant into a new file, look the copy through, and return its counts.

    Other processes may write to the store meanwhile: their writes wait in its write-ahead log. Raises ``StoreError``.
    """
    source = SqliteSource.open(path)
    try:
        with appearing(file) as part:
            source.copy_to(part)
            return _looked_through(part, called=file)
    finally:
        await source.close()


def restore(file: Path, path: Path) -> Tally:
    """Make a store of a backup, at a place where there is none. Raises ``StoreError``, and then there still is none."""
    if not file.exists():
        raise StoreUnavailable(f"there is no backup {file}")
    if beside(file, "-wal").exists():
        raise StoreUnavailable(f"{file} is a store that a service uses, or used last: `run.py backup` copies it")
    _make_folder(path)
    with PlaceLock(path), appearing(path) as part:
        _remove_empty_log(path)
        shutil.copyfile(file, part)
        return _looked_through(part, called=file)


def _remove_empty_log(path: Path) -> None:
    """Remove the log that a store left behind when it was moved away.

    Raises ``StoreUnavailable`` for a log that holds something.
    """
    rest = beside(path, "-wal")
    if rest.exists() and rest.stat().st_size:
        raise StoreUnavailable(f"{rest} is left of another store: move it away, or choose another --store")
    for empty in (rest, beside(path, "-shm")):
        empty.unlink(missing_ok=True)


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"can't make the folder of {path}: {error.strerror}") from error


def _looked_through(copy: Path, *, called: Path) -> Tally:
    """Look the copy through. No other process has it, so it is not locked and no file appears beside it."""
    tally = Tally()
    try:
        with closing(sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            require_ours(connection, called)
            if (found := connection.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
                raise StoreFormatError(f"{called} is damaged: {found}")
            for chunk in in_chunks(facts_of(connection)):
                tally.add(chunk)
    except sqlite3.Error as error:
        raise opening_failed(called, error) from error
    return tally
