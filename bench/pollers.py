"""Phones' loads on two servers in turns, and each turn's cost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.poll import Answered
from bench.processes import Load, Server, python

CONNECTIONS: Final = 100


@dataclass(frozen=True, slots=True)
class Turn:
    """A load, and the server's processor time for it."""

    load: Answered
    cpu_us: float
    """Per poll, without the server's other work."""


class Pollers(Load):
    """A load of phones on one server."""

    def __init__(self, server: Server, shares: Path, *options: str, besides: float = 0.0) -> None:
        """``besides``: processor seconds per second that the server needs without this load."""
        self._besides = besides
        words = ("--connections", str(CONNECTIONS), *options)
        super().__init__(python("-m", "bench.poll", server.addresses["http"], str(shares), *words), server)

    def turn(self, status: int) -> Turn:
        """Run a turn. Raises ``RuntimeError`` unless every answer has this status."""
        answer, spent_s = self.drive()
        load = Answered(**answer)
        if list(load.statuses) != [str(status)]:
            raise RuntimeError(f"{status} was expected: {load.statuses}")
        return Turn(load, 1e6 * (spent_s - self._besides * load.took_s) / load.polls)
