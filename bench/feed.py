"""Measures the feed's rate and a vehicle's weight, by the number of active vehicles.

``--large``: up to four million.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench import feed_load
from bench.feed_load import Taken
from bench.figures import Figure, emit
from bench.processes import Server, driven, python, resident_bytes
from bench.registered import register
from bench.subject import Service

FLEETS: Final = {10_000: 30, 100_000: 6}
"""Vehicles → measured rounds of a fix each, after a first round that wakes every vehicle."""
LARGE_FLEETS: Final = {**FLEETS, 1_000_000: 12, 4_000_000: 12}
"""Enough rounds for several rounds of checkpoints."""
BEGINS_AGO_S: Final = 200
"""Seconds before now at which the fixes begin; they reach into the next minutes, as a right clock allows."""
INTERVAL_S: Final = {4_000_000: 30}
"""Seconds between a vehicle's fix times, where posting one fix of each takes longer than the usual ten."""
AIM: Final = 130_000
"""Fixes per core-second, for the largest fleet."""


@dataclass(frozen=True, slots=True)
class Cost:
    """A load, and the server's processor time for it, all threads together."""

    load: Taken
    cpu_s: float

    @property
    def fixes_a_core_second(self) -> float:
        return self.load.fixes / self.cpu_s


def cost(server: Server, *, vehicles: int, first_round: int, rounds: int, begins_at: int) -> Cost:
    """Drive the server from another process."""
    options = {"--vehicles": vehicles, "--first-round": first_round, "--rounds": rounds, "--begins-at": begins_at}
    options["--interval"] = INTERVAL_S.get(vehicles, feed_load.INTERVAL_S)
    words = [str(word) for option in options.items() for word in option]
    answer, spent_s = driven(python("-m", "bench.feed_load", server.addresses["http"], *words), server)
    return Cost(Taken(**answer), spent_s)


def sink_cost(*, vehicles: int, rounds: int) -> Cost:
    with Server(python("-m", "bench.http_sink")) as server:
        return cost(server, vehicles=vehicles, first_round=1, rounds=rounds, begins_at=int(time.time()))


def our_cost(folder: Path, *, vehicles: int, rounds: int) -> tuple[Cost, float]:
    """Measure with every vehicle active, and return also the bytes that each added to an idle service."""
    store = folder / f"{vehicles}.db"
    asyncio.run(register(store, vehicles))
    with Service(store) as service:
        before = resident_bytes(service.pid)
        begins_at = int(time.time()) - BEGINS_AGO_S
        cost(service, vehicles=vehicles, first_round=0, rounds=1, begins_at=begins_at)
        measured = cost(service, vehicles=vehicles, first_round=1, rounds=rounds, begins_at=begins_at)
        return measured, (resident_bytes(service.pid) - before) / vehicles


def figures(vehicles: int, ours: Cost, sink: Cost, weight: float) -> list[Figure]:
    """Compare. The aims are for the largest fleet: memory shared by all weighs less on each of many."""
    largest = vehicles == max(LARGE_FLEETS)
    name = f"feed, {vehicles:,} vehicles active"
    return [
        Figure(name, "fixes/s", ours.load.rate, sink.load.rate, "null HTTP sink"),
        Figure(
            "  of one core",
            "fixes/s",
            ours.fixes_a_core_second,
            sink.fixes_a_core_second,
            "null HTTP sink",
            f"≥ {AIM:,}" if largest else "",
            ours.fixes_a_core_second >= AIM if largest else None,
        ),
        Figure(
            "  one active vehicle",
            "bytes",
            weight,
            aim="≤ 1,024" if largest else "",
            met=weight <= 1_024 if largest else None,
        ),
    ]


def main() -> None:
    fleets = LARGE_FLEETS if "--large" in sys.argv[1:] else FLEETS
    for vehicles, rounds in fleets.items():
        with TemporaryDirectory(prefix="bench-") as folder:
            sink = sink_cost(vehicles=vehicles, rounds=rounds)
            ours, weight = our_cost(Path(folder), vehicles=vehicles, rounds=rounds)
        emit(figures(vehicles, ours, sink, weight))


if __name__ == "__main__":
    main()
