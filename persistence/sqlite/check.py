"""Searches for damage in a SQLite file, in the background after each start.

``PRAGMA quick_check`` reads the whole file and finds what breaks its structure: lost pages, rows out of order, pages of
another kind. A byte that flips within a record is found when that record is read.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from threading import Lock, Thread, get_native_id
from time import monotonic
from typing import Final

from persistence.sqlite.files import OpenFiles
from persistence.store import StoreUnavailable

log = logging.getLogger(__name__)

FINDINGS: Final = 3
QUESTION: Final = f"PRAGMA quick_check({FINDINGS})"
NICE: Final = 10
"""The step in the thread's priority: it has the processor only when the service leaves it idle (Linux)."""
PAUSE_S: Final = 0.02
CACHE_KIB: Final = 2_048


class DamageCheck:
    """A thread with a connection of its own, which ``stop`` interrupts."""

    def __init__(self, files: OpenFiles, *, question: str = QUESTION) -> None:
        self.state = "none"
        """See ``StoreStats.damage_check``."""
        self._files = files
        self._question = question
        self._thread: Thread | None = None
        self._connection: sqlite3.Connection | None = None
        self._is_stopped = False
        self._change = Lock()

    def start(self) -> None:
        """Start the thread and return at once."""
        self.state = "running"
        self._thread = Thread(target=self._run, name="store-check", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the search at its next page, and wait for that."""
        self._is_stopped = True
        while self._thread is not None and self._thread.is_alive():
            with self._change:  # an interrupt does nothing to a question that begins after it: so again and again
                if self._connection is not None:
                    self._connection.interrupt()
            self._thread.join(PAUSE_S)

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, get_native_id(), NICE)
        began_s = monotonic()
        try:
            findings = self._asked()
        except (sqlite3.Error, StoreUnavailable) as error:
            self._failed(error)
            return
        if findings == ["ok"]:
            self.state = "whole"
            log.info("store %s: no damage found, in %.1f s", self._files.path, monotonic() - began_s)
        else:
            self.state = "damaged"
            self._files.found_damaged("; ".join(findings))

    def _asked(self) -> list[str]:
        connection = self._files.connect_reader()
        try:
            connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
            self._connection = connection
            return [" ".join(str(finding).split()) for (finding,) in connection.execute(self._question)]
        finally:
            with self._change:
                self._connection = None
            connection.close()

    def _failed(self, error: sqlite3.Error | StoreUnavailable) -> None:
        if self._is_stopped:
            self.state = "stopped"
            return
        told = self._files.failed(error) if isinstance(error, sqlite3.Error) else error
        self.state = "damaged" if self._files.damage else "failed"
        log.error("the search for damage ended early: %s", told)
