"""The writer to Redis: many small writes share one step, none is done twice and none half.

One group is under way at a time: one script, atomic, one fsync of Redis for all of it. A group whose answer is lost is
sent again under its number, and Redis, remembering the writer's last one, answers without doing it again. A group also
says until when (on Redis' clock) it may be done. So a group in the buffers of a Redis that does not answer is not done
long after its jobs were told that it failed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from secrets import token_hex
from time import perf_counter
from typing import Any, Final

from persistence.redis.link import Link, Refused, Word
from persistence.redis.memory import Memory
from persistence.redis.scripts import WRITE
from persistence.stats import CommitTimes
from persistence.store import StoreConflict, StoreUnavailable

MAX_JOBS_QUEUED: Final = 4_096
MAX_JOBS_A_GROUP: Final = 256
MAX_BYTES_A_GROUP: Final = 4 * 1024 * 1024
"""The most bytes of a group; a larger job goes alone. Redis serves no other client meanwhile."""


class Job:
    """A write in the words of the script, and its waiting caller."""

    __slots__ = ("future", "queued_at", "size", "words")

    def __init__(self, words: Sequence[Word], future: asyncio.Future[int], queued_at: float) -> None:
        self.words = words
        self.future = future
        self.queued_at = queued_at
        self.size = sum(len(word) for word in words if not isinstance(word, int))


class GroupWriter:
    """Owns the connection that writes; used from one event loop."""

    def __init__(
        self, link: Link, prefix: str, name: str, *, memory: Memory, refusal: Callable[[], StoreUnavailable | None]
    ) -> None:
        """Prepare the writer; ``refusal`` tells why it may not write now, None if it may."""
        self.fence = ""
        """The fence of a service that serves alone: Redis refuses its writes once another serves."""
        self.is_in_doubt = False
        """True while a group was sent without an answer and no later one is known to be done."""
        self.times = CommitTimes()
        self._link = link
        self._memory = memory
        self._refusal = refusal
        self._prefix = prefix
        self._name = name
        self._id = token_hex(8)
        self._group = 0
        self._ahead_s = 0.0
        """Redis' clock minus the loop's; a little less, by the time that the answer took."""
        self._queue: deque[Job] = deque()
        self._more = asyncio.Event()
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run())

    async def do(self, *words: Word) -> int:
        """Return the job's result, once it is durable. Raises ``StoreConflict`` or ``StoreUnavailable``."""
        if self._closed:
            raise StoreUnavailable(f"store {self._name}: it is closed")
        if len(self._queue) >= MAX_JOBS_QUEUED:
            self.times.failed()
            raise StoreUnavailable(f"store {self._name}: {MAX_JOBS_QUEUED} writes are waiting already")
        job = Job(words, self._loop.create_future(), self._loop.time())
        self._queue.append(job)
        self._more.set()
        return await job.future

    @property
    def queue_depth(self) -> int:
        return len(self._queue)

    async def stop(self) -> None:
        """Take no further jobs; return when the queued ones are written."""
        self._closed = True
        self._more.set()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while self._queue or not self._closed:
            if not self._queue:
                self._more.clear()
                await self._more.wait()
            elif group := self._next_group():
                await self._write(group)

    def _next_group(self) -> list[Job]:
        group: list[Job] = []
        size = 0
        too_old = self._loop.time() - self._link.answer_s
        while self._queue and len(group) < MAX_JOBS_A_GROUP:
            if group and size + self._queue[0].size > MAX_BYTES_A_GROUP:
                break
            job = self._queue.popleft()
            if job.queued_at < too_old:
                self._fail([job], StoreUnavailable(f"store {self._name}: it is slow, and the queue before it too long"))
            else:
                group.append(job)
                size += job.size
        return group

    async def _write(self, group: list[Job]) -> None:
        started_s = perf_counter()
        try:
            results = await self._send(group)
        except StoreUnavailable as error:
            self.is_in_doubt = self.is_in_doubt or not isinstance(error, Refused)
            # Jobs queued meanwhile have waited as long, and for the same.
            self._fail([*group, *self._queue], error)
            self._queue.clear()
        except Exception as error:  # the writer's loop boundary: every waiting caller must hear of it
            self._fail(group, StoreUnavailable(f"store {self._name}: {type(error).__name__}: {error}"))
        else:
            self.is_in_doubt = False
            self.times.committed(jobs=len(group), took_s=perf_counter() - started_s)
            for job, result in zip(group, results, strict=True):
                _settle(job, result)

    async def _send(self, group: Sequence[Job]) -> list[Any]:
        if refusal := self._refusal():
            raise refusal
        known = self._memory.number
        self._group += 1
        words = [word for job in group for word in job.words]
        deadline = self._loop.time() + self._link.answer_s
        while True:
            not_after_ms = int((deadline + self._ahead_s) * 1_000)
            about = (self._id, self._group, not_after_ms, self.fence, self._memory.identity, known)
            now_ms, outcome, results, number = await self._link.run(
                WRITE, [self._prefix], *about, *words, deadline=deadline
            )
            self._ahead_s = now_ms / 1_000 - self._loop.time()
            if outcome == b"forgotten":
                self._memory.compare(results, known)
            if outcome == b"done":
                self._memory.acknowledged(number)
                answers: list[Any] = results
                return answers
            if outcome == b"fenced":
                raise StoreUnavailable(f"store {self._name}: another service has taken it over; stop this one")
            if self._loop.time() >= deadline:
                raise StoreUnavailable(f"store {self._name}: it was too late when the write arrived: nothing was done")
            # Otherwise one of the clocks has moved, and we know by how much now.

    def _fail(self, jobs: Sequence[Job], error: StoreUnavailable) -> None:
        self.times.failed()
        for job in jobs:
            if not job.future.done():
                job.future.set_exception(error)


def _settle(job: Job, result: int | bytes) -> None:
    if job.future.done():  # its waiter was cancelled
        return
    if isinstance(result, int):
        job.future.set_result(result)
    else:
        job.future.set_exception(StoreConflict(result.decode()))
