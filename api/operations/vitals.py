"""The process's vital figures, measured all the time: the event loop's lag, and the rate of incoming fixes."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final, NamedTuple

from api.ports import IngestFigures, StoreFigures

TICK_S: Final = 0.1
WINDOW_S: Final = 60.0
FAILING_S: Final = 10.0
"""Real seconds after a refused write or read during which the store counts as failing."""
LOOK_S: Final = 1.0
"""Real seconds between two reads of the store's own figures, which cost more."""
LAG_BOUNDS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class _Sample(NamedTuple):
    at: float
    fixes: int


class Vitals:
    """Samples in real time; each ``note`` is one sample."""

    def __init__(self, stats: Callable[[], IngestFigures], store: Callable[[], StoreFigures]) -> None:
        self.started_at = monotonic()
        self.loop_lag_s = 0.0
        """The loop's lateness at the last tick."""
        self.lags = [0] * (len(LAG_BOUNDS_S) + 1)
        """Ticks since the start by lateness: one count per bound, and one beyond the last."""
        self.lag_sum_s = 0.0
        self._stats = stats
        self._store = store
        self._lags: deque[float] = deque(maxlen=int(WINDOW_S / TICK_S))
        self._samples: deque[_Sample] = deque(maxlen=int(WINDOW_S / TICK_S) + 1)
        self._failures = self._store_failures = 0
        self._looked_at = self._failed_at = float("-inf")

    @property
    def worst_loop_lag_s(self) -> float:
        """Return the worst lag of the last 60 s."""
        return max(self._lags, default=0.0)

    @property
    def uptime_s(self) -> float:
        return monotonic() - self.started_at

    async def run(self) -> None:
        """Sample until cancelled."""
        self.note(monotonic(), lag_s=0.0)
        while True:
            before = monotonic()
            await asyncio.sleep(TICK_S)
            now = monotonic()
            self.note(now, lag_s=max(0.0, now - before - TICK_S))

    def note(self, at: float, *, lag_s: float) -> None:
        """Take a sample; ``at`` is monotonic seconds."""
        stats = self._stats()
        self.loop_lag_s = lag_s
        self.lag_sum_s += lag_s
        self.lags[bisect_left(LAG_BOUNDS_S, lag_s)] += 1
        self._lags.append(lag_s)
        self._samples.append(_Sample(at, stats.fixes))
        if stats.failed_batches > self._failures:
            self._failures, self._failed_at = stats.failed_batches, at
        if at - self._looked_at >= LOOK_S:
            self._look_at_store(at)

    def _look_at_store(self, at: float) -> None:
        """Read the store's figures: a full disk may refuse commands while no telemetry comes."""
        self._looked_at = at
        failures = self._store().failures
        if failures > self._store_failures:
            self._store_failures, self._failed_at = failures, at

    def fixes_per_s(self, window_s: float) -> float:
        """Return the rate over the last ``window_s`` (at most 60), or since the start if that is shorter."""
        if len(self._samples) < 2:
            return 0.0
        newest = self._samples[-1]
        oldest = next(sample for sample in self._samples if newest.at - sample.at <= window_s)
        elapsed_s = newest.at - oldest.at
        return (newest.fixes - oldest.fixes) / elapsed_s if elapsed_s else 0.0

    @property
    def store_refuses(self) -> bool:
        """Tell whether the store failed within the last ``FAILING_S``."""
        return bool(self._samples) and self._samples[-1].at - self._failed_at < FAILING_S
