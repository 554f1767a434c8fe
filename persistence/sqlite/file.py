"""Opens the file of a SQLite store: makes it where it is missing, and refuses one that it can't read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from persistence.records import require_format
from persistence.sqlite import packs as sqlite_packs
from persistence.sqlite.claim import is_place_held, was_served
from persistence.store import StoreFormatError, StoreUnavailable

APPLICATION_ID: Final = 0x50414E53
"""The mark in the header of every file of ours ("PANS")."""
FORMAT: Final = 3
"""The format of the tables; a change of them raises it."""
BUSY_TIMEOUT_MS: Final = 10_000
"""The longest wait of one process for another's write (``run.py import`` beside a running service)."""
_BUSY_PAUSE_S: Final = 0.01

_TABLES: Final = (
    """CREATE TABLE documents (
        kind TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, record BLOB NOT NULL, entries BLOB,
        PRIMARY KEY (kind, key)) WITHOUT ROWID""",
    """CREATE TABLE entries (
        kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, sort TEXT NOT NULL, key TEXT NOT NULL,
        PRIMARY KEY (kind, name, value, sort, key)) WITHOUT ROWID""",
    # AUTOINCREMENT: a number must not come back after trimming, since a watermark may stand above it.
    "CREATE TABLE log (seq INTEGER PRIMARY KEY AUTOINCREMENT, entry BLOB NOT NULL)",
    sqlite_packs.TABLE,
    "CREATE TABLE watermarks (partition INTEGER PRIMARY KEY, watermark INTEGER NOT NULL)",
    "CREATE TABLE secrets (name TEXT PRIMARY KEY, secret BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)


def prepare(path: Path, *, to_move_in: bool = False, new: bool = False) -> None:
    """Make the file and its folder if they are missing, and make sure that it is ours and of our format.

    A file that is half moved in is refused, unless it is opened ``to_move_in``. Where a
    service served a store before, a missing one is made only if it is ``new`` or ``to_move_in``.
    """
    deadline_s = monotonic() + BUSY_TIMEOUT_MS / 1_000
    while True:
        try:
            _prepare(path, to_move_in=to_move_in, new=new)
            return
        except OSError as error:
            raise StoreUnavailable(f"can't open the store {path}: {error.strerror}: choose another --store") from error
        except sqlite3.Error as error:
            # Switching a new file to write-ahead logging does not wait for other processes that do the same.
            if _code(error) != sqlite3.SQLITE_BUSY or monotonic() > deadline_s:
                raise opening_failed(path, error) from error
            sleep(_BUSY_PAUSE_S)


def connect_writer(path: Path) -> sqlite3.Connection:
    """Return a connection whose commits are on the disk before they return."""
    connection = _connect(path)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA wal_autocheckpoint=2000")
    connection.execute("PRAGMA journal_size_limit=67108864")
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Return a connection that sees everything committed before its question, and can't write."""
    connection = _connect(path)
    connection.execute("PRAGMA query_only=1")
    return connection


def opening_failed(path: Path, error: sqlite3.Error) -> StoreFormatError | StoreUnavailable:
    """Return what to tell the operator who starts the program."""
    if is_damage(error):
        return StoreFormatError(
            f"{path} is no SQLite database, or a damaged one: choose another --store or restore a backup"
        )
    return unavailable(path, error)


def unavailable(path: Path, error: sqlite3.Error) -> StoreUnavailable:
    """Return what went wrong with an open store, in words that say what to do."""
    causes = {
        sqlite3.SQLITE_FULL: "its disk is full: free some space",
        sqlite3.SQLITE_READONLY: "it is read-only: give this user the right to write the file and its folder",
        sqlite3.SQLITE_CANTOPEN: "it can't be opened: is the folder there, and may this user write to it?",
        sqlite3.SQLITE_BUSY: "another process has been writing to it for too long",
        sqlite3.SQLITE_IOERR: "its disk gives errors or is full",
        sqlite3.SQLITE_CORRUPT: "it is damaged: restore a backup",
        sqlite3.SQLITE_NOTADB: "it is damaged: restore a backup",
    }
    return StoreUnavailable(f"store {path}: {causes.get(_code(error), 'it does not answer')} ({error})")


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether the file differs from what SQLite left."""
    return _code(error) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def _code(error: sqlite3.Error) -> int:
    # The extended code's low byte is the primary one; errors of the Python module itself carry none.
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _prepare(path: Path, *, to_move_in: bool, new: bool) -> None:
    is_new = not path.exists()
    if is_new or not path.stat().st_size:
        _refuse_to_make(path, may_follow=new or to_move_in)
        path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1_000)) as connection:
        if is_new:
            # Persons' data: for this user only, and so are the -wal and -shm files, which take over the mode. We do not
            # open the file for that: closing it again would release the locks of other connections to it in this
            # process.
            path.chmod(0o600)
        connection.execute("BEGIN")  # one look, not three, at what another process may just be making
        version = _format_of(connection, path)
        connection.execute("COMMIT")
        if version == 0:
            _make_tables(connection, path)
        if not to_move_in and is_half_moved_in(connection):
            raise StoreFormatError(
                f"{path}: moving into it was not finished: run `run.py import --facts FILE --store sqlite:{path}` again, "
                "which starts over, or choose another --store"
            )


def _refuse_to_make(path: Path, *, may_follow: bool) -> None:
    """Raise ``StoreUnavailable`` when an empty store would take the place of one that is lost or moved."""
    if is_place_held(path):  # its log still lies here, and would be taken for this store's
        raise StoreUnavailable(
            f"store {path}: another service is using it; its file was moved or deleted: stop that service first"
        )
    if not may_follow and was_served(path):
        raise StoreUnavailable(
            f"store {path}: a store was served here before, and its file is gone or empty: put it back (is its disk "
            f"mounted?), or a backup with `run.py restore BACKUP --store sqlite:{path}`; --new begins with an empty one"
        )
    rest = beside(path, "-wal")
    if rest.exists() and rest.stat().st_size and not (path.exists() and path.stat().st_size):
        raise StoreUnavailable(
            f"store {path}: {rest} is left of a store that is not here, and may hold its newest commits: put both files "
            "together, or move it away to begin with an empty store"
        )


def beside(path: Path, ending: str) -> Path:
    """Return the file that SQLite keeps beside it, also when ``path`` is a symbolic link."""
    real = path.resolve()
    return real.with_name(real.name + ending)


def _connect(path: Path) -> sqlite3.Connection:
    # A missing file is not made again: that would be an empty store under a running service.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_TIMEOUT_MS / 1_000,
    )
    connection.execute("PRAGMA cache_size=-32768")
    return connection


def _format_of(connection: sqlite3.Connection, path: Path) -> int:
    """Return the file's format, 0 for an empty file.

    Raises ``StoreFormatError`` for a file that is not ours to open.
    """
    application_id = _number(connection, "PRAGMA application_id")
    version = _number(connection, "PRAGMA user_version")
    if application_id != APPLICATION_ID and (application_id or version or _number(connection, _COUNT_TABLES)):
        raise StoreFormatError(f"{path} is another program's database: choose another --store")
    if version:
        require_format(str(path), version, FORMAT, otherwise="choose another --store")
    return version


def require_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Raise ``StoreFormatError`` for a file that this program can't read."""
    if _format_of(connection, path) == 0:
        raise StoreFormatError(f"{path} is no store of ours: it is empty")


_COUNT_TABLES: Final = "SELECT count(*) FROM sqlite_master"


def _make_tables(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
        raise StoreUnavailable(f"store {path}: its file system can't keep a write-ahead log: choose a local disk")
    connection.execute("BEGIN IMMEDIATE")
    if _format_of(connection, path) == 0:  # else another process was faster
        for table in _TABLES:
            connection.execute(table)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={FORMAT}")
    connection.execute("COMMIT")


def is_half_moved_in(connection: sqlite3.Connection) -> bool:
    """Tell whether a move into it has begun and not ended."""
    return _number(connection, "SELECT count(*) FROM meta WHERE name = 'moving_in'") > 0


def _number(connection: sqlite3.Connection, question: str) -> int:
    return int(connection.execute(question).fetchone()[0])
