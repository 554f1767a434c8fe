"""A schedule of thousands of terminals' calls on one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

_SLICE: Final = 100
"""The most calls that a turn of the loop makes, so that sockets are read in between."""


class Wheel:
    """Makes due calls in order, with one timer of the event loop, whatever the number of terminals."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def time(self) -> float:
        """Return monotonic seconds."""
        return self._loop.time()

    def at(self, due: float, call: Callable[[], None]) -> None:
        """Make ``call`` at that reading of ``time``, or soon if it has passed."""
        self._count += 1
        heappush(self._waiting, (due, self._count, call))
        if self._timer is None or due < self._timer.when():
            self._arm()

    def after(self, delay_s: float, call: Callable[[], None]) -> None:
        """Make ``call`` after this many seconds."""
        self.at(self.time() + delay_s, call)

    def close(self) -> None:
        """Make no further calls."""
        self._closed = True
        self._waiting.clear()
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting and not self._closed:
            self._timer = self._loop.call_at(self._waiting[0][0], self._turn)

    def _turn(self) -> None:
        now = self.time()
        try:
            for _ in range(_SLICE):
                if not self._waiting or self._waiting[0][0] > now:
                    break
                heappop(self._waiting)[2]()
        finally:
            self._arm()
