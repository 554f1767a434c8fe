"""How is a server asked as by many phones, in turns with another, and what does each turn cost it?"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from bench.poll import Answered
from bench.processes import ROOT, Server, cpu_s, python

CONNECTIONS: Final = 100


@dataclass(frozen=True, slots=True)
class Turn:
    """A load, and the processor time that the server took for it."""

    load: Answered
    cpu_us: float
    """A poll; what the server does besides is taken off."""


class Pollers:
    """A load of phones on one server, in a process of its own."""

    def __init__(self, server: Server, shares: Path, *options: str, besides: float = 0.0) -> None:
        """``besides``: processor seconds a second that the server needs without us."""
        self._besides = besides
        words = ("--connections", str(CONNECTIONS), *options)
        command = python("-m", "bench.poll", server.addresses["http"], str(shares), *words)
        self._server = server
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        if self._line() != "go\n":
            raise RuntimeError("the load did not get ready")

    def turn(self, status: int) -> Turn:
        """Raises ``RuntimeError`` when not all is answered so."""
        before_s = cpu_s(self._server.pid)
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        load = Answered(**json.loads(self._line() or "{}"))
        if list(load.statuses) != [str(status)]:
            raise RuntimeError(f"{status} was expected: {load.statuses}")
        spent_s = cpu_s(self._server.pid) - before_s - self._besides * load.took_s
        return Turn(load, 1e6 * spent_s / load.polls)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
