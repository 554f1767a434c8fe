"""The thread that writes to SQLite: many small writes share one fsync, and the failure of one undoes no other.

Jobs queued while the thread waits for the disk become the next group: one transaction, one commit, one hop back to the
event loop. A busy loop makes each statement dear (the thread must get the interpreter lock back after it). So appends
of a group are a single statement, and savepoints appear only where there is a job to protect.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from time import perf_counter
from typing import Final

from persistence.sqlite.files import OpenFiles
from persistence.stats import CommitTimes
from persistence.store import StoreConflict, StoreFormatError, StoreUnavailable

MAX_JOBS_QUEUED: Final = 4_096
MAX_JOBS_A_GROUP: Final = 512
ROWS_A_STATEMENT: Final = 250

Work = Callable[[sqlite3.Connection], object]
_REFUSALS: Final = (
    StoreConflict,
    StoreFormatError,  # a pack of states that is damaged
    ValueError,  # a string that is no Unicode
    TypeError,
    OverflowError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
"""Errors that are wrong with one job and not with the store."""


class Job:
    """A write and its waiting caller; ``entry`` for an append to the log, else ``work``."""

    __slots__ = ("entry", "error", "future", "result", "work")

    def __init__(self, future: asyncio.Future[object], *, entry: bytes | None = None, work: Work | None = None) -> None:
        self.future = future
        self.entry = entry
        self.work = work
        self.result: object = None
        self.error: Exception | None = None


class GroupWriter:
    """Owns the writing connection and its thread; used from one event loop."""

    def __init__(self, files: OpenFiles, loop: asyncio.AbstractEventLoop) -> None:
        self._files = files
        self._path = files.path
        self._loop = loop
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        self.times = CommitTimes()
        self._thread = Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def append(self, entry: bytes) -> int:
        """Return the number of the log entry, once it is on the disk."""
        future = self._loop.create_future()
        self._put(Job(future, entry=entry))
        number: int = await future
        return number

    async def do(self, work: Work) -> object:
        """Return the result of ``work``, once its writes are on the disk."""
        future = self._loop.create_future()
        self._put(Job(future, work=work))
        return await future

    @property
    def queue_depth(self) -> int:
        return self._queue.qsize()

    def stop(self) -> None:
        """Take no further jobs; queued ones are still written. Then ``join``."""
        self._closed = True
        self._queue.put(None)

    def join(self) -> None:
        """Wait for the last group."""
        self._thread.join()

    def _put(self, job: Job) -> None:
        if self._closed:
            raise StoreUnavailable(f"store {self._path}: it is closed")
        if self._queue.qsize() >= MAX_JOBS_QUEUED:
            self.times.failed()
            raise StoreUnavailable(f"store {self._path}: {MAX_JOBS_QUEUED} writes are waiting already")
        if self._files.trouble is not None and self._files.look() is not None:
            self.times.failed()
            raise self._files.refusal()
        self._queue.put(job)

    # -- the thread

    def _run(self) -> None:
        last = False
        while not last:
            group, last = self._next_group()
            if group:
                self._write(group)
        self._disconnect()

    def _next_group(self) -> tuple[list[Job], bool]:
        group: list[Job] = []
        job = self._queue.get()
        while job is not None:
            group.append(job)
            if len(group) == MAX_JOBS_A_GROUP:
                return group, False
            try:
                job = self._queue.get_nowait()
            except Empty:
                return group, False
        return group, True

    def _write(self, group: list[Job]) -> None:
        started_s = perf_counter()
        failure = ""
        try:
            if self._connection is None:
                self._connection = self._files.connect_writer()
            _commit(self._connection, group)
        except StoreUnavailable as error:
            failure = str(error)
        except sqlite3.Error as error:
            failure = str(self._files.failed(error))
        except Exception as error:  # this thread's loop boundary: every waiting caller must hear of it
            failure = f"store {self._path}: {type(error).__name__}: {error}"
        if failure:
            self._disconnect()
            for job in group:
                job.error = StoreUnavailable(failure)
        self._hand_back(group, failed=bool(failure), took_s=perf_counter() - started_s)

    def _disconnect(self) -> None:
        """Roll back; the next group connects afresh, which is how the store recovers by itself."""
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                connection.close()
        except sqlite3.Error:
            pass

    def _hand_back(self, group: list[Job], *, failed: bool, took_s: float) -> None:
        try:
            self._loop.call_soon_threadsafe(self._resolve, group, failed, took_s)
        except RuntimeError:  # the loop is closed: no caller waits any longer
            pass

    def _resolve(self, group: list[Job], failed: bool, took_s: float) -> None:
        """Look at the files before any acknowledgement, here: the loop has the interpreter lock already."""
        if not failed and self._files.look() is not None:
            failed = True
            for job in group:
                job.error = job.error or self._files.refusal()
        if failed:
            self.times.failed()
        else:
            self.times.committed(jobs=len(group), took_s=took_s)
        for job in group:
            if job.future.done():  # its waiter was cancelled
                continue
            if job.error is None:
                job.future.set_result(job.result)
            else:
                job.future.set_exception(job.error)


def _commit(connection: sqlite3.Connection, group: Sequence[Job]) -> None:
    appends = [job for job in group if job.entry is not None]
    if len(appends) == len(group) <= ROWS_A_STATEMENT:
        _append(connection, appends)  # a statement alone is its own transaction
        return
    connection.execute("BEGIN IMMEDIATE")
    for start in range(0, len(appends), ROWS_A_STATEMENT):
        _append(connection, appends[start : start + ROWS_A_STATEMENT])
    for job in group:
        if job.work is not None:
            _do(connection, job, job.work, alone=len(group) == 1)
    if len(group) == 1 and group[0].error is not None:
        connection.execute("ROLLBACK")
    else:
        connection.execute("COMMIT")


def _append(connection: sqlite3.Connection, appends: Sequence[Job]) -> None:
    rows = ",".join(["(?)"] * len(appends))
    cursor = connection.execute(f"INSERT INTO log (entry) VALUES {rows}", [job.entry for job in appends])
    first = (cursor.lastrowid or 0) - len(appends) + 1  # no other process writes: the numbers follow each other
    for number, job in enumerate(appends, first):
        job.result = number


def _do(connection: sqlite3.Connection, job: Job, work: Work, *, alone: bool) -> None:
    if not alone:
        connection.execute("SAVEPOINT job")
    try:
        job.result = work(connection)
    except _REFUSALS as error:
        job.error = error
        if not alone:
            connection.execute("ROLLBACK TO job")
    if not alone:
        connection.execute("RELEASE job")
