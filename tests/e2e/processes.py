"""Runs `run.py` as processes of a test: started, asked to end, killed, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from sim.registry_lines import lines
from tests.e2e.forks import Fork
from tests.patience import PATIENCE_S

RUN: Final = Path(__file__).parents[2] / "run.py"
POLL_S: Final = 0.02
SEED: Final = 7
"""The seed of the fleet that the tests drive."""
ANY_PORT: Final = "127.0.0.1:0"
YEAR: Final = 2030
"""The year from which the registry's certificates are valid for years."""

Address = tuple[str, int]


def until(condition: Callable[[], bool], *, within_s: float = PATIENCE_S) -> bool:
    """Asks again and again; whether it came true in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(POLL_S)
    return condition()


def address_of(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host, int(port)


class Ended(NamedTuple):
    """A process that is over."""

    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err


class Process:
    """A `run.py` process. Its output goes to files, so that it never waits for a reader."""

    def __init__(self, popen: subprocess.Popen[bytes] | Fork, out: Path, err: Path) -> None:
        self._popen, self._out, self._err = popen, out, err

    @property
    def out(self) -> str:
        return self._out.read_text("utf-8")

    @property
    def err(self) -> str:
        return self._err.read_text("utf-8")

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def is_over(self) -> bool:
        return self._popen.poll() is not None

    def ends(self, *, within_s: float = PATIENCE_S) -> Ended:
        """Waits for the end that it comes to by itself."""
        try:
            status = self._popen.wait(within_s)
        except subprocess.TimeoutExpired:
            self.is_killed()
            raise AssertionError(f"still running after {within_s} s; it said: {self.out}{self.err}") from None
        return Ended(status, self.out, self.err)

    def is_told(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def stops(self) -> Ended:
        """SIGTERM, and its end."""
        self.is_told(signal.SIGTERM)
        return self.ends()

    def is_killed(self) -> None:
        """SIGKILL: not one more instruction of it runs."""
        self._popen.kill()
        self._popen.wait()


def _start(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], out: Path, err: Path
) -> subprocess.Popen[bytes]:
    with out.open("wb") as to_out, err.open("wb") as to_err:
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=to_out, stderr=to_err
        )


class Serving(NamedTuple):
    """A service that said `ready`."""

    process: Process
    http: str
    jt808: str
    store: str


@dataclass
class Yard:
    """A folder with a store, and every process that a test has started in it."""

    folder: Path
    forks: bool = False
    """Forks processes with everything imported; otherwise each is `python run.py`, as a user's."""
    store: Path = field(init=False)
    _processes: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = self.folder / "shouwang.db"

    @property
    def store_name(self) -> str:
        return f"sqlite:{self.store}"

    def starts(self, *arguments: str, below: Sequence[str] = (), **environment: str) -> Process:
        """``below`` is a command that runs ours with less than we have: fewer rights, fewer descriptors."""
        name = str(len(self._processes))
        out, err = self.folder / f"{name}.out", self.folder / f"{name}.err"
        variables = _environment(environment)
        if self.forks and not below:
            process = Process(Fork(arguments, self.folder, variables, out, err), out, err)
        else:
            command = [*below, sys.executable, str(RUN), *arguments]
            process = Process(_start(command, self.folder, variables, out, err), out, err)
        self._processes.append(process)
        return process

    def runs(self, *arguments: str, below: Sequence[str] = (), **environment: str) -> Ended:
        return self.starts(*arguments, below=below, **environment).ends()

    def serves(
        self,
        *options: str,
        http: str = ANY_PORT,
        jt808: str = ANY_PORT,
        store: str | None = None,
        below: Sequence[str] = (),
        **environment: str,
    ) -> Serving:
        where = ("--http", http, "--jt808", jt808, "--store", store or self.store_name)
        process = self.starts("serve", *where, *options, below=below, **environment)
        assert until(lambda: process.is_over or process.out.endswith("\n")), "it never got ready"
        assert process.out.startswith("ready "), process.err
        ready = dict(part.split("=", 1) for part in process.out.split()[1:])
        return Serving(process, ready["http"], ready["jt808"], ready["store"])

    def imports(self, file: Path) -> Ended:
        return self.runs("import", str(file), "--store", self.store_name)

    def loses_its_store(self) -> None:
        """The file, and what SQLite keeps beside it."""
        for file in self.folder.glob(f"{self.store.name}*"):
            file.unlink()

    def closes(self) -> None:
        for process in self._processes:
            if not process.is_over:
                process.is_killed()


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Ours without anything that would set up the service behind a test's back; usage lines are not broken.

    Bytecode is kept, whoever prefers it otherwise: a hundred starts would compile all of it again.
    """
    left_out = ("SHOUWANG_", "FEED_KEY", "OPS_KEY", "PYTHONDONTWRITEBYTECODE")
    ours = {name: text for name, text in os.environ.items() if not name.startswith(left_out)}
    return {**ours, "COLUMNS": "200", **extra}


def write_registry(file: Path, vehicles: int) -> Path:
    file.write_text("".join(f"{line}\n" for line in lines(SEED, vehicles, year=YEAR)), "utf-8")
    return file
