"""Has somebody guessed too often (R61)?"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Final

from domain.errors import TooManyAttempts

MAX_KEYS: Final = 20_000


class Attempts:
    """Wrong attempts by whoever they are counted for, within a sliding window; in memory, the oldest forgotten first."""

    def __init__(self, now: Callable[[], float], *, limit: int, window_s: float, max_keys: int = MAX_KEYS) -> None:
        self._now = now
        self._limit = limit
        self._window_s = window_s
        self._max_keys = max_keys
        self._times: dict[Hashable, deque[float]] = {}
        """In the order of the newest attempt."""

    def check(self, key: Hashable) -> None:
        """Raises ``TooManyAttempts`` when no more are allowed for now."""
        times = self._times.get(key)
        if times is None:
            return
        now = self._now()
        while times and times[0] <= now - self._window_s:
            times.popleft()
        if len(times) >= self._limit:
            raise TooManyAttempts(retry_after_s=times[0] + self._window_s - now)

    def note(self, key: Hashable) -> None:
        """Counts an attempt; before its outcome is known, so that many at once gain nothing."""
        times = self._times.pop(key, None)
        if times is None:
            times = deque(maxlen=self._limit)
            if len(self._times) >= self._max_keys:
                del self._times[next(iter(self._times))]
        times.append(self._now())
        self._times[key] = times

    def forgive(self, key: Hashable) -> None:
        """The attempt noted last was no wrong one."""
        times = self._times.get(key)
        if times:
            times.pop()
        if not times:
            self._times.pop(key, None)
