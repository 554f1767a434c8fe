"""The figures of a drive: reports sent, their fate, and the time that answers took."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

_BOUNDS_S: Final = tuple(0.0001 * 1.12**step for step in range(125))
"""The bounds go from 0.1 ms to two minutes in steps of 12 %."""


class Latencies:
    """A histogram of fixed size."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS_S) + 1)
        self.total = 0

    def add(self, seconds: float) -> None:
        """Count an answer that took this long."""
        self._counts[bisect_left(_BOUNDS_S, seconds)] += 1
        self.total += 1

    def quantile_s(self, share: float) -> float:
        """Return the time that this share of the answers stayed below, to 12 %; 0 while there are none."""
        left = share * self.total
        for bound, count in zip((*_BOUNDS_S, _BOUNDS_S[-1]), self._counts, strict=True):
            left -= count
            if count and left <= 0:
                return bound
        return 0.0


@dataclass(slots=True)
class Counts:
    """The figures of a drive, over the whole fleet."""

    online: int = 0
    """Terminals that are connected and authenticated."""
    sent: int = 0
    """Reports sent for the first time, live and back-filled."""
    acked: int = 0
    backfilled: int = 0
    """Acknowledged reports that were sent late in a batch."""
    resent: int = 0
    """Frames sent again because no answer came."""
    connects: int = 0
    reconnects: int = 0
    stored: int = 0
    """Reports that wait in terminals without a network."""
    queued: int = 0
    """Messages that wait in terminals for a connection or a free place in flight."""
    in_flight: int = 0
    """Messages sent and not yet answered."""
    dropped: int = 0
    """Reports that a terminal's full memory lost before they were ever sent."""
    refused: int = 0
    """Reports that the service answered with anything but ok."""
    misbehaved: Counter[str] = field(default_factory=Counter)
    """Faults that terminals committed on purpose, by kind."""
    errors: Counter[str] = field(default_factory=Counter)
    """Errors, by kind."""
    latencies: Latencies = field(default_factory=Latencies)

    @property
    def unfinished(self) -> int:
        """Count the reports and messages that still wait for an answer, at any stage."""
        return self.in_flight + self.queued + self.stored
