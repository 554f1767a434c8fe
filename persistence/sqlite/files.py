"""Watches the files of an open SQLite store: one that was moved, replaced or deleted must not acknowledge anything.

SQLite goes on writing to a file that has no name any longer. So each acknowledgement compares the device and inode of
the store, its write-ahead log and its index with the files at their names.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Final

from persistence.moving.whole_file import appearing
from persistence.sqlite.claim import ServiceLock
from persistence.sqlite.file import beside, connect_reader, connect_writer, is_damage, unavailable
from persistence.store import StoreUnavailable
from persistence.troubles import Trouble, TroubleState

log = logging.getLogger(__name__)

MOVED: Final = Trouble(
    "store_moved",
    "the store's file is not in its place: it was moved, or its disk was taken away. Put the same file back, and "
    "the service goes on by itself; or end the service, put the store back and start again",
)
DELETED: Final = Trouble(
    "store_deleted",
    "the store's file was deleted. This process still holds all of it: end the service with SIGTERM, and it leaves a copy "
    "whose name ends in .rescued, for `run.py restore`; after a kill -9 it is lost",
)
REPLACED: Final = Trouble(
    "store_replaced",
    "another file took the place of the store's. Put the former file back, and the service goes on by itself; or end the "
    "service and start it on the one that is there",
)
OVERWRITTEN: Final = Trouble(
    "store_replaced",
    "another file took the place of the store's, which was deleted by that. This process still holds all of it: end the "
    "service with SIGTERM, and it leaves a copy whose name ends in .rescued; after a kill -9 it is lost",
)
LOG_TAKEN: Final = Trouble(
    "store_log_taken",
    "the -wal or -shm file beside the store was deleted or replaced. What was acknowledged is being put into the store's "
    "own file: end the service with SIGTERM and start it again",
)
CUT_SHORT: Final = Trouble(
    "store_cut_short",
    "the store's file was cut short by another program: end the service, and restore a backup",
)

Identity = tuple[int, int]
"""A file's device and inode."""


class OpenFiles:
    """A connection that stays open, so that SQLite itself never replaces any file, and the identities of the files
    then.

    ``look`` may be called from any thread.
    """

    def __init__(self, path: Path) -> None:
        """Open the files. Raises ``StoreUnavailable`` for a file that can't be opened, or changes at this moment."""
        self.path = path
        self.damage = ""
        """SQLite's words when it found the file damaged."""
        self.lock: ServiceLock | None = None
        self._names = (str(path.absolute()), str(beside(path, "-wal")), str(beside(path, "-shm")))
        self._is_closed = False
        self._state = TroubleState(str(path))
        self._saving: Thread | None = None
        try:
            before = _identity(os.stat(path))
            self._anchor = connect_writer(path)
            self._anchor.execute("SELECT count(*) FROM meta").fetchone()  # which opens the other two
            self._known, self._size = self._found()
        except sqlite3.Error as error:
            raise unavailable(path, error) from error
        except OSError as error:
            raise StoreUnavailable(f"store {path}: {error.strerror}: did another program move it?") from error
        if self._known[0] != before:
            self._anchor.close()
            raise StoreUnavailable(f"store {path}: another program is replacing it at this moment: start again")

    @property
    def trouble(self) -> Trouble | None:
        """Return the trouble as of the last look."""
        return self._state.now

    def look(self) -> Trouble | None:
        """Return what is wrong with the files at this moment: three calls of the system, some microseconds."""
        if self._is_closed:  # SQLite removes the log itself
            return None
        try:
            found, size = self._found()
        except OSError:
            return self._changed_to(self._missing())
        if found == self._known and size >= self._size:
            self._size = size
            return None if self.trouble is None else self._changed_to(None)
        return self._changed_to(self._different(found))

    def require(self) -> None:
        """Raise ``StoreUnavailable`` when anything is wrong with them."""
        if self.look() is not None:
            raise self.refusal()

    def refusal(self) -> StoreUnavailable:
        """Return the refusal of a write that is not acknowledged."""
        sentence = self.trouble.sentence if self.trouble is not None else "its files were moved for a moment"
        return StoreUnavailable(f"store {self.path}: {sentence}")

    def connect_writer(self) -> sqlite3.Connection:
        """Connect to these files and no others, as in ``sqlite.file``.

        Raises ``StoreUnavailable`` when they are gone.
        """
        self.require()
        return self._proven(connect_writer(self.path))

    def connect_reader(self) -> sqlite3.Connection:
        """Connect to them to read."""
        self.require()
        return self._proven(connect_reader(self.path))

    def failed(self, error: sqlite3.Error) -> StoreUnavailable:
        """Return the error to raise after one of SQLite; damage is remembered."""
        if is_damage(error) and not self.damage:
            self.found_damaged(str(error))
        return unavailable(self.path, error)

    def found_damaged(self, finding: str) -> None:
        """Remember and log the damage."""
        self.damage = finding
        log.critical("store %s is damaged: %s", self.path, finding)

    def close(self) -> None:
        """Let go of the files, and leave a copy of a store that was deleted."""
        self._is_closed = True
        if self._saving is not None:
            self._saving.join()
        is_rescued = self._is_deleted() and self._rescue()
        self._anchor.close()
        if is_rescued and self.lock is not None:
            self._remove_log()
            self.lock.note_again()
        if self.lock is not None:
            self.lock.close()

    def _found(self) -> tuple[tuple[Identity, ...], int]:
        store, *others = map(os.stat, self._names)
        return (_identity(store), *map(_identity, others)), store.st_size

    def _missing(self) -> Trouble:
        try:
            return self._different((_identity(os.stat(self._names[0])),))
        except OSError:
            return DELETED if self._is_deleted() else MOVED

    def _different(self, found: tuple[Identity, ...]) -> Trouble:
        if found[0] != self._known[0]:
            return OVERWRITTEN if self._is_deleted() else REPLACED
        return LOG_TAKEN if found != self._known else CUT_SHORT

    def _is_deleted(self) -> bool:
        return self.lock is not None and self.lock.is_deleted()

    def _changed_to(self, trouble: Trouble | None) -> Trouble | None:
        if self._state.becomes(trouble) and trouble != CUT_SHORT:
            self._save()
        return trouble

    def _save(self) -> None:
        if self._saving is None or not self._saving.is_alive():
            self._saving = Thread(target=self._secure, name="store-saver", daemon=True)
            self._saving.start()

    def _secure(self) -> None:
        """Put the log into the store's own file, wherever that is by now: an operator who puts it back may not find the
        log.

        The next start must also know that a store was served here, though the process be killed.
        """
        if self.lock is not None:
            self.lock.note_again()
        try:
            self._anchor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            log.error("store %s: what is in its log could not be put into it: %s", self.path, error)

    def _rescue(self) -> bool:
        names = (Path(f"{self._names[0]}.rescued{number or ''}") for number in count())
        copy = next(name for name in names if not name.exists())
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
            with appearing(copy) as part, closing(sqlite3.connect(part)) as connection:
                self._anchor.backup(connection)
        except (sqlite3.Error, StoreUnavailable, OSError) as error:
            log.critical("store %s was deleted, and could not be rescued: %s", self.path, error)
            return False
        command = f"run.py restore {copy} --store sqlite:{self.path}"
        log.critical("store %s was deleted: all that it held is in %s now: `%s`", self.path, copy, command)
        return True

    def _remove_log(self) -> None:
        """Remove the log of a deleted file, which SQLite leaves where it is, in the way of the next one."""
        for name, known in zip(self._names[1:], self._known[1:], strict=True):
            with suppress(OSError):
                if _identity(os.stat(name)) == known:
                    os.unlink(name)

    def _proven(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """Check the connection: another file may have come between the look and the opening."""
        try:
            connection.execute("SELECT count(*) FROM meta").fetchone()
            self.require()
        except BaseException:
            connection.close()
            raise
        return connection


def _identity(file: os.stat_result) -> Identity:
    return file.st_dev, file.st_ino
