"""What time is it, and whom does it wake? One clock, real or virtual, drives every timer of the system.

A timer here carries no truth: ``wake(target, at)`` only promises to call ``target.on_wake`` at ``at`` or soon after, and
the target looks at its own state to see whether anything is due. So there is nothing to cancel, a late timer is never a
wrong answer, and a million vehicles cost eight bytes each.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

log = logging.getLogger(__name__)

SLICE: Final = 500
"""How many targets are woken before the event loop gets its turn."""
RECHECK_S: Final = 30.0
"""The longest sleep: bounds how late we notice that somebody moved the machine's clock."""


class Wakeable(Protocol):
    """What a clock can wake."""

    def on_wake(self, now: float) -> None:
        """A time asked for has come. Must not raise and must not block."""
        ...


class Clock(Protocol):
    """Seconds since 1970 on the system's one clock, and the timers on it."""

    speed: float
    virtual: bool
    agenda: Agenda

    def now(self) -> float:
        """Unix seconds."""
        ...

    def wake(self, target: Wakeable, at: float) -> None:
        """Calls ``target.on_wake`` once, at ``at`` (Unix seconds) or soon after; at once when that is past."""
        ...


class Agenda:
    """Who is to be woken when: a heap of the distinct times, and a list of targets for each."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._targets: dict[float, list[Wakeable]] = {}
        self._due: list[Wakeable] = []
        """Of the time that has come, those not woken yet, the next one last: a million may be due in one second."""
        self._due_at = 0.0
        self.pending = 0
        self.fired = 0
        self.lateness_s = 0.0
        """By how much the last timer was late, on the system's clock."""
        self.worst_lateness_s = 0.0

    def add(self, target: Wakeable, at: float) -> None:
        targets = self._targets.get(at)
        if targets is None:
            self._targets[at] = [target]
            heapq.heappush(self._times, at)
        else:
            targets.append(target)
        self.pending += 1

    def next_at(self) -> float | None:
        if self._due:
            return self._due_at
        return self._times[0] if self._times else None

    def fire(self, now: float) -> int:
        """Wakes up to ``SLICE`` targets of the earliest time, if that has come; returns how many."""
        if not self._due:
            if not self._times or self._times[0] > now:
                return 0
            self._due_at = heapq.heappop(self._times)
            self._due = self._targets.pop(self._due_at)
            self._due.reverse()
        due = self._due[: -SLICE - 1 : -1]
        del self._due[-SLICE:]
        self.pending -= len(due)
        self.fired += len(due)
        self.lateness_s = now - self._due_at
        self.worst_lateness_s = max(self.worst_lateness_s, self.lateness_s)
        for target in due:
            try:
                target.on_wake(now)
            except Exception:
                log.exception("a timer's target failed")
        return len(due)


class RealClock:
    """The machine's clock, or one that runs ``speed`` times as fast from the moment it was made."""

    virtual = False

    def __init__(self, read: Callable[[], float], *, speed: float = 1.0) -> None:
        """``read`` tells the machine's Unix seconds (``time.time``)."""
        self.speed = speed
        self.agenda = Agenda()
        self._read = read
        self._origin = self._began = read()
        self._armed_for: float | None = None
        self._handle: asyncio.TimerHandle | None = None

    def now(self) -> float:
        return self._origin + (self._read() - self._began) * self.speed

    def start_from(self, at: float) -> None:
        """Goes on from ``at``: where a fast clock stood when its process ended is ahead of the machine's."""
        self._origin, self._began = at, self._read()

    def wake(self, target: Wakeable, at: float) -> None:
        self.agenda.add(target, at)
        if self._armed_for is None or at < self._armed_for:
            self._arm()

    def close(self) -> None:
        """Lets go of the event loop; what was still to be woken is forgotten."""
        if self._handle is not None:
            self._handle.cancel()

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._armed_for = self.agenda.next_at()
        if self._armed_for is None:
            self._handle = None
            return
        delay_s = (self._armed_for - self.now()) / self.speed
        self._handle = asyncio.get_running_loop().call_later(min(max(delay_s, 0.0), RECHECK_S), self._tick)

    def _tick(self) -> None:
        self._handle = None
        # Wakes that arrive while we fire must not arm anew: we arm once, below.
        self._armed_for = float("-inf")
        now, fired = self.now(), 0
        while fired < SLICE and (more := self.agenda.fire(now)):
            fired += more
        self._arm()


class VirtualClock:
    """A clock that stands still until somebody moves it; whole scenarios of days run in moments, repeatably."""

    virtual = True
    speed = 1.0

    def __init__(self, start: float, *, settle: Callable[[], Awaitable[None]] | None = None) -> None:
        """``settle`` waits until all that a wake set in motion has come to rest; without it wakes are only called."""
        self.agenda = Agenda()
        self.settle = settle
        self._now = start
        self._moving = asyncio.Lock()

    def now(self) -> float:
        return self._now

    def wake(self, target: Wakeable, at: float) -> None:
        if at <= self._now:
            asyncio.get_running_loop().call_soon(target.on_wake, self._now)
        else:
            self.agenda.add(target, at)

    async def advance(self, seconds: float) -> None:
        """Moves on by ``seconds`` >= 0; every timer due on the way fires in order, and comes to rest, before the next."""
        if seconds < 0:
            raise ValueError("a clock does not run backwards")
        async with self._moving:
            until = self._now + seconds
            await self._rest()
            while (at := self.agenda.next_at()) is not None and at <= until:
                self._now = max(self._now, at)
                while self.agenda.fire(at):
                    pass
                await self._rest()
            self._now = until

    async def _rest(self) -> None:
        if self.settle is not None:
            await self.settle()
