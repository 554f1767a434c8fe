"""The processes of a benchmark: starting, watching and ending them."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

ROOT: Final = Path(__file__).parent.parent
END_WITHIN_S: Final = 60.0
_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def python(*arguments: str) -> list[str]:
    """Return the command that runs our code with this process's interpreter."""
    return [sys.executable, *arguments]


def allow_many_sockets() -> None:
    """Raise the soft limit on open files to the hard one."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def resident_bytes(pid: int | str = "self") -> int:
    """Return the memory that the process really has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


def cpu_s(pid: int) -> float:
    """Return the processor time of all its threads since it began."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


class Server:
    """A process that prints ``ready name=address ...`` once it serves; ended by SIGTERM."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        """Start it. Raises ``RuntimeError`` when the process ends before it is ready."""
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.pid = self._process.pid
        self.addresses = self._wait_for_ready()

    def _wait_for_ready(self) -> dict[str, str]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("ready "):
                return dict(re.findall(r"(\w+)=(\S+)", line))
        raise RuntimeError(f"{self._process.args!r} ended before it was ready: exit status {self._process.wait()}")

    def end(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()


class Load:
    """A process that loads a server: it prints ``go`` when ready, and answers each line with a line of JSON."""

    def __init__(self, command: Sequence[str], server: Server) -> None:
        """Start it. Raises ``RuntimeError`` when it does not get ready."""
        self._server = server
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._said() != "go\n":
            raise RuntimeError("the load did not get ready")

    def drive(self, line: str = "") -> tuple[dict[str, Any], float]:
        """Run a turn; return its result, and the server's processor time (s) meanwhile. Raises ``RuntimeError``."""
        assert self._process.stdin is not None
        before_s = cpu_s(self._server.pid)
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        said = self._said()
        spent_s = cpu_s(self._server.pid) - before_s
        if not said:
            raise RuntimeError("the load failed")
        answer: dict[str, Any] = json.loads(said)
        return answer, spent_s

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def driven(command: Sequence[str], server: Server) -> tuple[dict[str, Any], float]:
    """Run a load for one turn; return its result, and the server's processor time (s). Raises ``RuntimeError``."""
    with Load(command, server) as load:
        return load.drive()
