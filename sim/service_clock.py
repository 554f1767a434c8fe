"""The service's time, carried on from one reading."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServiceClock:
    """The service's time, read once from ``/health`` and carried on by our own monotonic clock."""

    read_now: float
    """Unix seconds by the service, at the time of reading."""
    speed: float = 1.0
    """The service's seconds per real second."""
    monotonic: Callable[[], float] = time.monotonic
    """Our monotonic clock; the event loop's, where the loop is to wait until ``monotonic_at``."""
    read_at: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "read_at", self.monotonic())

    def now(self) -> float:
        """Return Unix seconds by the service."""
        return self.read_now + (self.monotonic() - self.read_at) * self.speed

    def monotonic_at(self, service_time: float) -> float:
        """Return our monotonic clock's reading when the service's clock shows this time."""
        return self.read_at + (service_time - self.read_now) / self.speed
