"""What time is it by the service's clock?"""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServiceClock:
    """The service's time, read once from ``/health`` and carried on by our own monotonic clock."""

    read_now: float
    """Unix seconds by the service, when it was asked."""
    speed: float = 1.0
    """Its seconds per real second."""
    read_at: float = field(default_factory=time.monotonic)

    def now(self) -> float:
        """Unix seconds by the service."""
        return self.read_now + (time.monotonic() - self.read_at) * self.speed

    def monotonic_at(self, service_time: float) -> float:
        """Our monotonic clock's reading when the service's clock shows this."""
        return self.read_at + (service_time - self.read_now) / self.speed
