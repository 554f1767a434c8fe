"""Measures thousands to millions of vehicles, each size in its own process: a fix, a place in memory, a timer, a start.

``--large`` goes to a million.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

from actors.vehicles.checkpoints import LONGEST_CYCLES
from bench.figures import Figure, emit
from bench.processes import ROOT, python

FLEETS: Final = {10_000: 30, 100_000: 4}
"""Vehicles → measured fixes of each, after a first that wakes it."""
LARGE_FLEETS: Final = {**FLEETS, 1_000_000: 4}
"""``bench.feed`` measures four million, with the whole path."""
TIMERS: Final = {False: 100_000, True: 1_000_000}
RECOVERED: Final = {False: 20_000, True: 1_000_000}
REPORTS_A_CHECKPOINT: Final = LONGEST_CYCLES
"""Reports between a vehicle's checkpoints in a busy process, where vehicles report once per cycle (30 s)."""
SILENT_WITHIN_S: Final = 30
"""Seconds within which a fleet falls silent: an interval of its reports."""

Measured = dict[str, float]


def _measured(module: str, *arguments: object) -> Measured:
    command = python("-m", module, *map(str, arguments))
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    measured: Measured = json.loads(run.stdout)
    return measured


def folds(vehicles: int, rounds: int, *, aims: bool) -> list[Figure]:
    """Measure fixes; check the aims for the largest fleet, as shared memory weighs on each of few vehicles."""
    ours = _measured("bench.vehicle_fold", vehicles, rounds)
    null = _measured("bench.vehicle_fold", vehicles, rounds, "null")
    rate, weight = ours["fixes"] / ours["cpu_s"], ours["bytes_each"]
    sustained = 1e6 / (1e6 / rate + ours["checkpoint_us"] / REPORTS_A_CHECKPOINT)
    name = f"{vehicles:,} vehicles active, a fix without HTTP"
    return [
        Figure(
            name,
            "fixes/core-s",
            rate,
            null["fixes"] / null["cpu_s"],
            "a dict of newest fixes",
        ),
        Figure(
            "  one of them",
            "bytes",
            weight,
            null["bytes_each"],
            "a dict of newest fixes",
            "≤ 1,024" if aims else "",
            weight <= 1_024 if aims else None,
        ),
        Figure("  one checkpointed", "µs", ours["checkpoint_us"]),
        Figure(
            f"  a fix, and a checkpoint for every {REPORTS_A_CHECKPOINT}",
            "fixes/core-s",
            sustained,
            rate,
            "without checkpoints",
        ),
    ]


def timers(vehicles: int, within_s: int, *, aims: bool) -> list[Figure]:
    late = _measured("bench.vehicle_timers", vehicles, within_s)
    name = f"{vehicles:,} fall silent within {within_s} s: announced late, p99"
    met = late["p99_s"] <= 1 if aims else None
    return [
        Figure(name, "s", late["p99_s"], aim="≤ 1" if aims else "", met=met),
        Figure("  the longest that other work waited", "s", late["stall_s"]),
        Figure("  one announced", "µs", late["cpu_us"]),
    ]


def recovery(vehicles: int, *, aims: bool) -> list[Figure]:
    ours = _measured("bench.vehicle_recovery", vehicles)
    met = ours["wall_s"] <= 30 if aims else None
    name = f"start with {vehicles:,} vehicles online, to ready"
    aim = "≤ 30" if aims else ""
    return [
        Figure(name, "s", ours["wall_s"], ours["store_read_s"], "reading the same of SQLite", aim, met),
        Figure("  processor time", "s", ours["cpu_s"]),
        Figure("  the whole service, a vehicle", "bytes", ours["bytes_each"]),
    ]


def main() -> None:
    large = "--large" in sys.argv[1:]
    fleets = LARGE_FLEETS if large else FLEETS
    for vehicles, rounds in fleets.items():
        emit(folds(vehicles, rounds, aims=vehicles == max(LARGE_FLEETS)))
    emit(timers(TIMERS[large], SILENT_WITHIN_S, aims=large))
    emit(timers(TIMERS[large], 1, aims=False))
    emit(recovery(RECOVERED[large], aims=large))


if __name__ == "__main__":
    main()
