"""The system's one clock, real or virtual; it drives every timer.

A timer here carries no truth: ``wake(target, at)`` only promises to call ``target.on_wake`` at ``at`` or soon after, and
the target looks at its own state to see whether anything is due. So no timer is ever cancelled, a late one is never a
wrong answer, and a million vehicles cost eight bytes each.

The machine's clock may be moved, and moved back (R50). So the real clock compares it, each time it is asked, with one that
is never set. After a step of more than a minute it goes on as if the machine's clock had not been moved, and says that it
is not settled, until the machine's clock is back or ``believe_machine`` is called.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

log = logging.getLogger(__name__)

SLICE: Final = 500
"""Targets woken before the event loop gets its turn."""
RECHECK_S: Final = 30.0
"""The longest sleep: bounds how late timers are after the machine's clock was corrected by less than ``STEP_S``."""
STEP_S: Final = 60.0
"""The smallest step (R50): a smaller difference is a correction, and followed at once."""


class Wakeable(Protocol):
    """A target that a clock can wake."""

    def on_wake(self, now: float) -> None:
        """Take a wake: a time asked for has come. Must not raise and must not block."""
        ...

    def on_set_back(self, now: float) -> None:
        """Ask anew: the clock was set back, and all that was asked for is forgotten.

        Must not raise and must not block.
        """
        ...


class Clock(Protocol):
    """Seconds since 1970 on the system's one clock, and the timers on it."""

    speed: float
    virtual: bool
    agenda: Agenda

    @property
    def is_settled(self) -> bool:
        """Tell whether the time may be relied on (R50).

        While it may not, nothing is learned, and no end is committed.
        """
        ...

    @property
    def machine_ahead_s(self) -> float:
        """Return how far the machine's clock is ahead of this one, while it is not settled; otherwise 0."""
        ...

    def now(self) -> float:
        """Return Unix seconds."""
        ...

    def wake(self, target: Wakeable, at: float) -> None:
        """Call ``target.on_wake`` once, at ``at`` (Unix seconds) or soon after; at once when that is past."""
        ...


class Agenda:
    """The wakes to come: a heap of the distinct times, and a list of targets for each."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._targets: dict[float, list[Wakeable]] = {}
        self._due: list[Wakeable] = []
        """The unwoken targets of the time that has come, the next one last: a million may be due in one second."""
        self._due_at = 0.0
        self.pending = 0
        self.fired = 0
        self.lateness_s = 0.0
        """The lateness of the last timer, on the system's clock."""
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
        """Wake up to ``SLICE`` targets of the earliest time, if that has come; return how many."""
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
        _call([target.on_wake for target in due], now)
        return len(due)

    def forget(self) -> Sequence[Wakeable]:
        """Forget all wakes; return their targets, each once."""
        targets = [*self._due, *(target for targets in self._targets.values() for target in targets)]
        self._times, self._targets, self._due, self.pending = [], {}, [], 0
        return list({id(target): target for target in targets}.values())


def _call(wakes: Sequence[Callable[[float], None]], now: float) -> None:
    for wake in wakes:
        try:
            wake(now)
        except Exception:
            log.exception("a timer's target failed")


@dataclass(frozen=True, slots=True)
class Step:
    """A move of the machine's clock."""

    offset_s: float
    """The machine's clock minus the steady one, since then."""
    at_s: float
    """The time of the step, by the steady clock."""


class RealClock:
    """The machine's clock without its steps, or one that runs ``speed`` times as fast from the moment it was made."""

    virtual = False

    def __init__(
        self, read: Callable[[], float], *, steady: Callable[[], float] | None = None, speed: float = 1.0
    ) -> None:
        """Prepare the clock; ``read`` tells the machine's Unix seconds (``time.time``), ``steady`` those of a clock
        that is never set.

        Without ``steady`` no step can be seen.
        """
        self.speed = speed
        self.agenda = Agenda()
        self.step: Step | None = None
        """The last step, while the clock is not settled."""
        self._read = read
        self._steady = steady or read
        self._began = self._steady()
        self._origin = read()
        self.offset_s = self._origin - self._began
        """This clock minus the steady one; of no use at another speed than 1."""
        self._armed_for: float | None = None
        self._handle: asyncio.TimerHandle | None = None

    def now(self) -> float:
        steady = self._steady()
        if self.speed != 1:
            return self._origin + (steady - self._began) * self.speed
        machine, ours = self._read(), steady + self.offset_s
        if not -STEP_S <= machine - ours <= STEP_S:
            self._note_step(Step(machine - steady, steady))
            return ours
        if self.step is not None:
            self.step = None
            log.warning("the machine's clock is back: settled")
        self.offset_s = machine - steady
        return machine

    @property
    def is_settled(self) -> bool:
        self.now()
        return self.step is None

    @property
    def machine_ahead_s(self) -> float:
        self.now()
        return 0.0 if self.step is None else self.step.offset_s - self.offset_s

    @property
    def even_s(self) -> float:
        """Return for how many seconds the machine's clock has run evenly since its last step."""
        self.now()
        return float("inf") if self.step is None else self._steady() - self.step.at_s

    def _note_step(self, step: Step) -> None:
        if self.step is not None and abs(step.offset_s - self.step.offset_s) <= STEP_S:
            return
        self.step = step
        log.warning("the machine's clock is off by %s: ours goes on without it", _span(step.offset_s - self.offset_s))

    def resume(self, offset_s: float) -> None:
        """Go on from where this clock stood against the steady one in an earlier process on this machine."""
        self.offset_s = offset_s

    def believe_machine(self, reason: str) -> None:
        """Follow the machine's clock from now on: it is right."""
        step, self.step = self.step, None
        if step is None:
            return
        is_set_back = step.offset_s < self.offset_s
        log.warning("ours follows by %s: %s. Settled", _span(step.offset_s - self.offset_s), reason)
        self.offset_s = step.offset_s
        if is_set_back:
            self._set_back(self.agenda.forget())
        elif self._handle is not None:
            self._arm()

    def _set_back(self, targets: Sequence[Wakeable]) -> None:
        """Let waiting targets look again, a slice in each turn of the event loop."""
        _call([target.on_set_back for target in targets[:SLICE]], self.now())
        if len(targets) > SLICE:
            asyncio.get_running_loop().call_soon(self._set_back, targets[SLICE:])

    def start_from(self, at: float) -> None:
        """Go on from ``at``: where a fast clock stood when its process ended is ahead of the machine's."""
        self._origin, self._began = at, self._steady()

    def wake(self, target: Wakeable, at: float) -> None:
        self.agenda.add(target, at)
        if self._armed_for is None or at < self._armed_for:
            self._arm()

    def close(self) -> None:
        """Let go of the event loop; wakes to come are forgotten."""
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


def _span(seconds: float) -> str:
    """Format with a sign, as hours, minutes and seconds."""
    return f"{'-' if seconds < 0 else '+'}{timedelta(seconds=abs(round(seconds)))}"


class VirtualClock:
    """A clock that moves only by ``advance``; whole scenarios of days run in moments, repeatably."""

    virtual = True
    speed = 1.0
    is_settled: bool = True
    machine_ahead_s: float = 0.0

    def __init__(self, start: float, *, settle: Callable[[], Awaitable[None]] | None = None) -> None:
        """Prepare the clock; ``settle`` waits until all that a wake set in motion has come to rest.

        Without it wakes are only called.
        """
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
        """Move on by ``seconds`` >= 0; every timer due on the way fires in order, and comes to rest, before the next."""
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
