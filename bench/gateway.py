"""What does the whole way of a frame cost: decode, verify, durable, route, rules, acknowledge; beside a null sink?"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import Figure, emit
from bench.load import Acknowledged, phone
from bench.processes import Server, driven, python
from bench.subject import Service, vehicle_line

CONNECTIONS = 2_000
FRAMES = 80
"""Of each connection, each time."""
REPEATS = 3
"""The best of each counts: what other processes took from a run is no property of ours or of the sink's."""
WINDOWS = (1, 4)
"""1: every terminal waits for its answer, as the standard says. 4: as many reads and writes, more frames in each."""
BEGINS_AGO_S = 300
"""Fixes are of the last and next minutes: what a right clock says."""


@dataclass(frozen=True, slots=True)
class Cost:
    """A load, and the processor time that the server took for it."""

    load: Acknowledged
    cpu_us: float
    """A frame."""


def cost(server: Server, *, window: int, skip: int, begins_at: int) -> Cost:
    """Drives the server from another process."""
    options = {
        "--connections": CONNECTIONS,
        "--frames": FRAMES,
        "--window": window,
        "--skip": skip,
        "--begins-at": begins_at,
    }
    words = [str(word) for option in options.items() for word in option]
    answer, spent_s = driven(python("-m", "bench.load", server.addresses["jt808"], *words), server)
    load = Acknowledged(**answer)
    return Cost(load, 1e6 * spent_s / load.frames)


def best(costs: Iterable[Cost]) -> Cost:
    return max(costs, key=lambda cost: cost.load.rate)


def figures(window: int, ours: Cost, sink: Cost) -> list[Figure]:
    """Frames a second, processor time a frame, and how long a terminal waits."""
    name = f"gateway, {CONNECTIONS:,} connections, window {window}"
    beside = "null TCP sink"
    met = ours.load.rate >= 0.4 * sink.load.rate
    return [
        Figure(name, "frames/s", ours.load.rate, sink.load.rate, beside, "≥ 0.4 ×", met),
        Figure("  processor time", "µs/frame", ours.cpu_us, sink.cpu_us, beside),
        Figure("  acknowledged, median", "ms", ours.load.p50_ms, sink.load.p50_ms, beside),
        Figure("  acknowledged, p99", "ms", ours.load.p99_ms, sink.load.p99_ms, beside),
    ]


def main() -> None:
    """Both servers stand side by side and are driven in turn, on a store where no terminal is asked for a code."""
    registry = (vehicle_line(number, phone(number)) for number in range(CONNECTIONS))
    begins_at, skip = int(time.time()) - BEGINS_AGO_S, 0
    with (
        TemporaryDirectory(prefix="bench-") as folder,
        Server(python("-m", "bench.sink")) as sink,
        Service(Path(folder) / "gateway.db", registry) as service,
    ):
        for window in WINDOWS:
            pairs = []
            for _ in range(REPEATS):
                servers = (service, sink)
                ours, theirs = (cost(server, window=window, skip=skip, begins_at=begins_at) for server in servers)
                pairs.append((ours, theirs))
                skip += FRAMES
            emit(figures(window, best(ours for ours, _ in pairs), best(theirs for _, theirs in pairs)))


if __name__ == "__main__":
    main()
