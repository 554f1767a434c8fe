"""The one way in for telemetry: fixes are collected for a moment, appended in one commit, and handed to their vehicles.

Only then are they acknowledged: a sender that has seen an acknowledgement is shown what it acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from domain.vehicle.fix import Batch, Fix
from domain.vehicle.quality import Outcome
from persistence.store import StoreError, StoreUnavailable

log = logging.getLogger(__name__)

PIPELINE: Final = 4
"""Durable batches that may wait for the router while the next one is being written."""
ROUTE_RETRY_S: Final = 0.5
SHOWN_WITHIN_S: Final = 1.0
"""The longest that an acknowledgement waits for the vehicles after the fixes have become durable."""


class NotDurable(Exception):
    """The store did not take the fixes: none was acknowledged, and the sender must send them again later."""


@dataclass(frozen=True, slots=True)
class IngestLimits:
    """Bounds of what waits between the sockets and the vehicles."""

    linger_ms: float = 5.0
    """Milliseconds that the first fix of a group waits for company."""
    group_fixes: int = 20_000
    """Fixes in one log entry, unless one submission alone has more."""
    waiting_fixes: int = 100_000
    """Waiting fixes above which ``room`` is False: sockets stop reading, the feed refuses."""


@dataclass(slots=True)
class IngestStats:
    """Counters since start; seconds are real ones."""

    fixes: int = 0
    batches: int = 0
    failed_batches: int = 0
    unrouted_batches: int = 0
    """Durable batches that did not reach the vehicles, by a bug of ours."""
    waiting: int = 0
    append_s: float = 0.0
    """Seconds that the last group took to become durable."""
    lag_s: float = 0.0
    """Seconds from the last group's first fix coming in to the group being with the vehicles."""


class _Submission:
    __slots__ = ("at", "fixes", "on_durable", "on_folded")

    def __init__(
        self,
        fixes: Sequence[Fix],
        on_durable: Callable[[bool], None] | None,
        on_folded: Callable[[Sequence[Outcome] | None], None] | None,
    ) -> None:
        self.at = perf_counter()
        self.fixes = fixes
        self.on_durable = on_durable
        self.on_folded = on_folded


class Ingest:
    """The one way in for telemetry; batches reach the vehicles one after the other, in the log's order."""

    def __init__(
        self,
        *,
        append: Callable[[float, Sequence[Fix]], Awaitable[int]],
        route: Callable[[Batch], Awaitable[list[Outcome]]],
        now: Callable[[], float],
        mark: Callable[[float, Sequence[Fix]], Sequence[Fix]] = lambda received_at, fixes: fixes,
        folded: int = 0,
        limits: IngestLimits | None = None,
    ) -> None:
        """Connect the ingest with the store and the vehicles.

        ``append`` makes fixes durable and returns their log number; ``StoreError`` refuses them. ``route`` hands a durable
        batch to the vehicles; on ``StoreUnavailable`` it is called again. ``mark`` takes received fixes and their time, and
        marks those that came while our clock was in doubt (``FLAG_DOUBTED``).
        """
        self.stats = IngestStats()
        self.between_batches = asyncio.Lock()
        """While it is held, each batch is either not at all or wholly with the vehicles."""
        self.folded = folded
        """Number of the newest batch that is wholly with the vehicles."""
        self._append = append
        self._route = route
        self._now = now
        self._mark = mark
        self._limits = limits or IngestLimits()
        self._linger_s = self._limits.linger_ms / 1000
        self._waiting: list[_Submission] = []
        self._arrived = asyncio.Event()
        self._durable: asyncio.Queue[tuple[Batch, list[_Submission], asyncio.TimerHandle]] = asyncio.Queue(PIPELINE)
        self._on_room: list[Callable[[], None]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._fold())]

    async def stop(self, *, patience_s: float = 10.0) -> None:
        """Stop taking fixes.

        Returns when all submitted ones are with the vehicles or refused, or patience has ended.
        """
        try:
            async with asyncio.timeout(patience_s):
                await self.rest()
        except TimeoutError:
            log.error(
                "%d fixes are still on their way; those in the log are read at the next start", self.stats.waiting
            )
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def rest(self) -> None:
        """Return when nothing is on its way."""
        while self.stats.waiting:  # noqa: ASYNC110 - for drains and tests; an event would tax each fix
            await asyncio.sleep(self._linger_s)

    # -- in ----------------------------------------------------------------------------------------------------------

    def submit(self, fixes: Sequence[Fix], done: Callable[[bool], None]) -> None:
        """Submit fixes; ``done(True)`` is called once they are durable and with their vehicles.

        ``done(False)`` means that the store failed and the sender must send again. Vehicles that can't be loaded just now, or
        take long, keep no acknowledgement back.
        """
        self._enter(_Submission(fixes, done, None))

    async def report(self, fixes: Sequence[Fix]) -> Sequence[Outcome]:
        """Return the fixes' outcomes, once durable and folded. Raises ``NotDurable``."""
        folded: asyncio.Future[Sequence[Outcome] | None] = asyncio.get_running_loop().create_future()
        self._enter(_Submission(fixes, None, lambda outcomes: None if folded.done() else folded.set_result(outcomes)))
        outcomes = await folded
        if outcomes is None:
            raise NotDurable
        return outcomes

    def room(self) -> bool:
        """Tell whether more may come in now."""
        return self.stats.waiting < self._limits.waiting_fixes

    def on_room(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once, when there is room again."""
        self._on_room.append(callback)

    def _enter(self, submission: _Submission) -> None:
        self._waiting.append(submission)
        self.stats.waiting += len(submission.fixes)
        self._arrived.set()

    def _leave(self, submissions: Sequence[_Submission]) -> None:
        self.stats.waiting -= sum(len(submission.fixes) for submission in submissions)
        if self._on_room and self.room():
            callbacks, self._on_room = self._on_room, []
            for callback in callbacks:
                _call(callback)

    # -- through -----------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        while True:
            await self._arrived.wait()
            if self._linger_s:
                await asyncio.sleep(self._linger_s)
            group = self._take_group()
            fixes = [fix for submission in group for fix in submission.fixes] if len(group) > 1 else group[0].fixes
            received_at, began = self._now(), perf_counter()
            fixes = self._mark(received_at, fixes)
            try:
                number = await self._append(received_at, fixes)
            except StoreError as error:
                log.error("telemetry is not acknowledged: %s", error)
                self.stats.failed_batches += 1
                self._refuse(group)
                continue
            finally:
                self.stats.append_s = perf_counter() - began
            late = asyncio.get_running_loop().call_later(SHOWN_WITHIN_S, _acknowledge, group)
            await self._durable.put((Batch(number, received_at, fixes), group, late))

    def _take_group(self) -> list[_Submission]:
        """Take the oldest submissions, as many as fit one log entry, at least one."""
        size = taken = 0
        for submission in self._waiting:
            if taken and size + len(submission.fixes) > self._limits.group_fixes:
                break
            size += len(submission.fixes)
            taken += 1
        group, self._waiting = self._waiting[:taken], self._waiting[taken:]
        if not self._waiting:
            self._arrived.clear()
        return group

    def _refuse(self, group: Sequence[_Submission]) -> None:
        _acknowledge(group, durable=False)
        for submission in group:
            if submission.on_folded is not None:
                _call(submission.on_folded, None)
        self._leave(group)

    async def _fold(self) -> None:
        while True:
            batch, group, late = await self._durable.get()
            async with self.between_batches:
                outcomes = await self._route_surely(batch, group)
                if not self.stats.unrouted_batches:
                    self.folded = batch.number
            self.stats.batches += 1
            self.stats.fixes += len(batch.fixes)
            self.stats.lag_s = perf_counter() - group[0].at
            late.cancel()
            _acknowledge(group)
            at = 0
            for submission in group:
                if submission.on_folded is not None:
                    _call(submission.on_folded, outcomes[at : at + len(submission.fixes)])
                at += len(submission.fixes)
            self._leave(group)

    async def _route_surely(self, batch: Batch, group: Sequence[_Submission]) -> Sequence[Outcome]:
        """Route a durable batch, which must reach the vehicles: where they can't be loaded, acknowledge it and wait.

        A batch that a bug keeps from them stays in the log: ``folded`` stands still from then on, and the next start
        reads it.
        """
        while True:
            try:
                return await self._route(batch)
            except StoreUnavailable as error:
                log.warning("a durable batch waits for its vehicles: %s", error)
                _acknowledge(group)
                await asyncio.sleep(ROUTE_RETRY_S)
            except Exception:
                self.stats.unrouted_batches += 1
                log.exception("log entry %d can't be handed to its vehicles; the next start reads it", batch.number)
                return [Outcome.QUEUED] * len(batch.fixes)


def _acknowledge(group: Sequence[_Submission], *, durable: bool = True) -> None:
    """Tell each sender once."""
    for submission in group:
        on_durable, submission.on_durable = submission.on_durable, None
        if on_durable is not None:
            _call(on_durable, durable)


def _call(callback: Callable[..., None], *answer: object) -> None:
    """Call a sender's callback; one that throws does not disturb the others."""
    try:
        callback(*answer)
    except Exception:
        log.exception("a sender's callback failed")
