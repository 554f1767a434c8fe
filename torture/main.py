"""Tortures the service from the command line: seed after seed on every core, and a shortest replay of each failure."""

from __future__ import annotations

import logging
import multiprocessing
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from time import monotonic
from typing import Final

from torture.hunt import hunt
from torture.machine import MakeService
from torture.run_seed import Outcome, run_seed, unfinished_goes_quietly
from torture.shrink import shrunk
from torture.steps import Step

TOLD_EVERY_S: Final = 30.0
MAX_FOUND: Final = 5
"""Failing seeds after which a run ends: they are enough work."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a run; ``runs`` 0: as many as fit into ``minutes``."""

    seed: int
    runs: int
    minutes: float
    jobs: int
    steps: str = ""
    """Steps of one seed to play, without all others: a replay."""
    mutants: bool = False
    """The service is played with one rule broken at a time, not as it is."""


@dataclass(slots=True)
class Tally:
    """The sums of all runs."""

    runs: int = 0
    steps: int = 0
    calls: int = 0
    commits: int = 0
    acknowledged: int = 0
    tried: Counter[str] = field(default_factory=Counter)
    failed: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.runs += 1
        self.steps += len(outcome.steps)
        self.calls += outcome.calls
        self.commits += outcome.commits
        self.acknowledged += outcome.acknowledged
        self.tried += outcome.tried
        if outcome.broken:
            self.failed.append(outcome)


class _Player:
    """Plays seeds in a process of its own."""

    make: MakeService

    @classmethod
    def play(cls, seed: int) -> Outcome:
        return run_seed(cls.make, seed)


def torture(make: MakeService, options: Options) -> int:
    """Torture; return the exit status: 0 when nothing was broken, 1 otherwise."""
    logging.disable(logging.WARNING)  # The service complains of its store all the time here, and rightly so.
    logging.getLogger().handlers.clear()
    logging.getLogger().addHandler(logging.NullHandler())
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)  # Killed before it began.
    with unfinished_goes_quietly():
        if options.mutants:
            return hunt(make)
        return _replay(make, options) if options.steps else _play_all(make, options)


def _play_all(make: MakeService, options: Options) -> int:
    tally, began = Tally(), monotonic()
    told_at = began
    try:
        for outcome in _outcomes(make, options, began):
            tally.add(outcome)
            if outcome.broken:
                _tell_failure(make, outcome)
            if monotonic() - told_at > TOLD_EVERY_S:
                told_at = monotonic()
                pace = tally.runs / (told_at - began)
                print(f"{tally.runs} runs, {len(tally.failed)} broken, {pace:.1f} a second", flush=True)
            if len(tally.failed) >= MAX_FOUND:
                break
    finally:  # Also when the user has seen enough.
        _tell(tally, monotonic() - began)
    return 1 if tally.failed else 0


def _outcomes(make: MakeService, options: Options, began: float) -> Iterator[Outcome]:
    seeds = islice(count(options.seed), options.runs or None)
    until = began + options.minutes * 60 if options.minutes else float("inf")
    _Player.make = make
    if options.jobs == 1:
        for seed in seeds:
            yield run_seed(make, seed)
            if monotonic() > until:
                return
        return
    with multiprocessing.get_context("fork").Pool(options.jobs) as pool:
        while some := list(islice(seeds, 16 * options.jobs)):
            yield from pool.imap_unordered(_Player.play, some)
            if monotonic() > until:
                return


def _replay(make: MakeService, options: Options) -> int:
    steps = [Step.parse(text) for text in options.steps.split(",")]
    outcome = run_seed(make, options.seed, steps)
    print(outcome.broken or "nothing is broken")
    return 1 if outcome.broken else 0


def _tell_failure(make: MakeService, outcome: Outcome) -> None:
    shortest = shrunk(make, outcome)
    print(
        f"seed {outcome.seed}: {shortest.broken}\nagain, in {len(shortest.steps)} steps:\n  {replay_line(shortest)}",
        flush=True,
    )


def replay_line(outcome: Outcome) -> str:
    """Return the command that plays it once more."""
    return f"python run.py torture --seed {outcome.seed} --steps {','.join(map(str, outcome.steps))}"


def _tell(tally: Tally, took_s: float) -> None:
    print(
        f"{tally.runs} runs in {took_s:.0f} s: {tally.steps} steps, {tally.calls} calls, {tally.commits} commits, "
        f"{tally.acknowledged} acknowledged reports; {len(tally.failed)} broken"
    )
    for fault, times in sorted(tally.tried.items(), key=lambda item: -item[1]):
        print(f"  {times:>9,}  {fault}")


def cores() -> int:
    """Return how many runs go side by side."""
    return len(os.sched_getaffinity(0))
