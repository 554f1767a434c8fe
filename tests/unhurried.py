"""An event loop for tests whose time waits for the machine: a busy or slow one lets no deadline pass.

Client and service of a test share a loop. Where the machine stops both for half a second, a deadline of 0.2 s would be over before
either could do anything about it. So each turn of this loop counts as two milliseconds at most, however long it took; only
waiting with nothing to do counts in full.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from selectors import DefaultSelector, SelectorKey
from time import monotonic
from typing import Final

TURN_S: Final = 0.002
"""The most that a turn's work, or a late return from waiting, counts."""


class _Pace:
    """Seconds that have counted."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counted_at = self._counted_s = clock()

    def now(self) -> float:
        return self._counted_s + min(self._clock() - self._counted_at, TURN_S)

    def count(self, at_most_s: float) -> None:
        """Count the time that has passed since the last count."""
        now = self._clock()
        self._counted_s += min(now - self._counted_at, at_most_s)
        self._counted_at = now


class _Selector(DefaultSelector):
    def __init__(self, pace: _Pace) -> None:
        super().__init__()
        self._pace = pace

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        self._pace.count(TURN_S)
        try:
            return super().select(timeout)
        finally:
            self._pace.count(float("inf") if timeout is None else max(timeout, TURN_S))


class UnhurriedLoop(asyncio.SelectorEventLoop):
    """Its ``time`` never runs ahead of the machine's."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._pace = _Pace(clock)
        super().__init__(_Selector(self._pace))

    def time(self) -> float:
        return self._pace.now()
