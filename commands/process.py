"""A process of ours: its log, its memory, its descriptors, and its bond to the program that started it."""

from __future__ import annotations

import gc
import json
import logging
import os
import resource
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final, TextIO

FLUSH_S: Final = 0.2
MAX_WAITING: Final = 10_000
_TEXT: Final = json.JSONEncoder(ensure_ascii=False).encode


class JsonLines(logging.Formatter):
    """A log line as JSON: time, level, logger, message, and the traceback if any."""

    def __init__(self) -> None:
        super().__init__()
        self._second = -1
        self._at = ""

    def format(self, record: logging.LogRecord) -> str:
        line = self.line(record.created, record.levelname.lower(), record.name, record.getMessage())
        if not record.exc_info:
            return line
        return f'{line[:-1]}, "traceback": {_TEXT(self.formatException(record.exc_info))}}}'

    def line(self, at: float, level: str, logger: str, message: str) -> str:
        """``at`` in Unix seconds."""
        if (second := int(at)) != self._second:
            self._second, self._at = second, time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(second))
        return f'{{"at": "{self._at}", "level": "{level}", "logger": {_TEXT(logger)}, "message": {_TEXT(message)}}}'


class LinesBehind(logging.Handler):
    """Writes what waits a few times a second, in a thread of its own: who reads a log slowly holds up no call.

    What warns is written at once, and so is all before it.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._lines = JsonLines()
        self.setFormatter(self._lines)
        self._stream = stream
        self._waiting: deque[str] = deque()
        self._writing = Lock()
        Thread(target=self._run, name="log", daemon=True).start()

    def createLock(self) -> None:  # noqa: N802 - logging's own name
        """None is needed to append to a deque."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        self._waiting.append(self.format(record))
        if record.levelno >= logging.WARNING or len(self._waiting) > MAX_WAITING:
            self.flush()

    def teller(self, logger: str) -> Callable[[str], None]:
        """What this logger's ``info`` does, for messages that come by the thousand: no record is made of each."""

        def tell(message: str) -> None:
            self._waiting.append(self._lines.line(time.time(), "info", logger, message))
            if len(self._waiting) > MAX_WAITING:
                self.flush()

        return tell

    def flush(self) -> None:
        with self._writing, suppress(OSError, ValueError):  # Nobody reads it any more.
            while waiting := len(self._waiting):
                self._stream.writelines(f"{self._waiting.popleft()}\n" for _ in range(waiting))
                self._stream.flush()

    def _run(self) -> None:
        never = Event()
        while True:
            never.wait(FLUSH_S)  # A sleep refuses to work where the machine's clock is made believe (libfaketime).
            self.flush()


steady_s: Final = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
"""Seconds since the machine's start, asleep or awake: a clock that nobody moves, and that outlives a process."""


def boot_id() -> str:
    """Names this machine since its last start; empty where the system does not tell."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return ""


def relieve_garbage_collector() -> None:
    """What has been recovered lives long and has no cycles: it need not be looked at again and again."""
    gc.collect()
    gc.freeze()
    # What survives is looked at twice, however often that is done; seldom means long: with (100_000, 20, 100) a fleet that
    # wakes had passes of 33 ms and, at two million objects, of half a second. The last number makes full ones as rare as then.
    gc.set_threshold(50_000, 1, 2_000)


def freeze_heap() -> None:
    """As above, without a look at it first: of a million vehicles that takes more than a second, in one turn of the loop."""
    gc.freeze()


def log_to_stderr(level: int) -> LinesBehind:
    handler = LinesBehind(sys.stderr)
    logging.basicConfig(level=level, handlers=[handler])
    # What no line of ours tells need not be found out for each (the logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    return handler


def allow_many_sockets() -> int:
    """Every terminal is a socket: takes as many descriptors as the system lets us have; how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else sys.maxsize


def when_stdin_ends(act: Callable[[], object]) -> None:
    """Call ``act``, in a thread of its own, once standard input is at its end: the program at its other end is gone."""
    Thread(target=_read_to_end, args=(act,), name="stdin", daemon=True).start()


def _read_to_end(act: Callable[[], object]) -> None:
    with suppress(OSError):  # Closed is ended, too.
        while os.read(0, 4096):  # Not sys.stdin: its lock, held at exit, would end the interpreter with an error.
            pass
    with suppress(RuntimeError):  # The loop may have ended first.
        act()
