"""Starts processes of `run.py` quickly, by forking one that has already imported everything.

What comes of it is a process as any other, with its own memory, descriptors and signals, to be killed at any moment. It only
begins later: past the half second of processor time that imports take. That a bare `run.py` works is for others to show.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from signal import Signals
from typing import Final

FORKS: Final = get_context("forkserver")
FORKS.set_forkserver_preload(["run", __name__])


class Fork:
    """The part of ``subprocess.Popen`` that tests use."""

    def __init__(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], out: Path, err: Path
    ) -> None:
        for file in (out, err):
            file.write_bytes(b"")
        self._process = FORKS.Process(target=_runs, args=(arguments, folder, dict(environment), out, err))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("run.py", timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, number: Signals) -> None:
        if self._process.is_alive():
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


def _runs(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], out: Path, err: Path) -> None:
    """Run the program in the new process."""
    import run

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for file, stream in ((out, sys.stdout), (err, sys.stderr)):
        with file.open("ab") as opened:
            os.dup2(opened.fileno(), stream.fileno())
    sys.exit(run.main(arguments))
