"""Runs one seed in a loop, a machine and a play of its own; returns the trace, and the broken rule, if any."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from hashlib import blake2s
from typing import Any, Final

from aiohttp import web_app

from api.accounts.terms import read_terms
from api.http.gates import AttemptLimits
from persistence.store import StoreError
from settings import Settings
from torture.chance import repeatable
from torture.drama import Drama
from torture.loop import Deadlock, NeverEnds, VirtualLoop
from torture.machine import FEED_KEY, HTTP_PORT, JT808_PORT, DidNotStart, Machine, MakeService
from torture.steps import Step, steps_of
from torture.watch import Violation

BEGAN_AT: Final = 1_760_000_000.0
SETTINGS: Final = Settings(
    http=f"127.0.0.1:{HTTP_PORT}",
    jt808=f"127.0.0.1:{JT808_PORT}",
    store="memory:",
    feed_key=FEED_KEY,
    checkpoint_s=60.0,
    attempts=AttemptLimits(**{limit.name: 100_000 for limit in fields(AttemptLimits)}),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a play."""

    seed: int
    steps: Sequence[Step]
    broken: str
    """The broken rule; empty: all is well."""
    trace: str
    """The trace: the same for the same seed and steps, and for no others."""
    tried: Counter[str]
    calls: int
    commits: int
    acknowledged: int


class _Bugs(logging.Handler):
    """A log handler that keeps what the service takes for its own failure."""

    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and not isinstance(record.exc_info[1], StoreError):
            self._found.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


@contextmanager
def unfinished_goes_quietly() -> Iterator[None]:
    """Let coroutines of killed processes be tidied up halfway, within the block: their complaints are no error."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        yield
    finally:
        sys.unraisablehook = hook


def run_seed(make: MakeService, seed: int, steps: Sequence[Step] | None = None) -> Outcome:
    """Play the seed."""
    steps = steps_of(seed) if steps is None else steps
    loop = VirtualLoop()
    machine = Machine(loop, make, SETTINGS, BEGAN_AT)
    drama = Drama(loop, machine, seed, read_terms().version)
    broken = ""

    def on_exception(_: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None and not isinstance(error, StoreError):
            drama.bugs.append(f"{context['message']}: {error!r}")

    loop.set_exception_handler(on_exception)
    bugs = _Bugs(drama.bugs)
    logging.getLogger().addHandler(bugs)
    try:
        with repeatable(seed, loop.time), unfinished_goes_quietly():
            loop.run(drama.play(steps))
    except (Violation, Deadlock, NeverEnds, DidNotStart, TimeoutError, LookupError, AssertionError) as error:
        broken = f"{type(error).__name__}: {error}"
    finally:
        logging.getLogger().removeHandler(bugs)
        loop.set_exception_handler(lambda _, context: None)
        with unfinished_goes_quietly():
            machine.forget()
        web_app._cached_build_middleware.cache_clear()  # It would hold on to a thousand applications.
        loop.close()
    trace = blake2s("\n".join([*drama.trace, broken]).encode()).hexdigest()
    return Outcome(
        seed,
        steps,
        broken,
        trace,
        drama.tried + machine.weather.tried,
        drama.household.calls,
        drama.commits.commits,
        drama.fleet.acknowledged,
    )
