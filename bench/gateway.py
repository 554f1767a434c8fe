"""Measures a frame's whole way beside a null sink: decode, verify, make durable, route, apply rules, acknowledge.

It also measures a connected terminal's weight, and how soon a fleet that dials at once is back. Hostile terminals and
strangers are added to show their cost to the others.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import Figure, emit
from bench.load import Acknowledged, phone
from bench.processes import ROOT, Server, driven, python
from bench.subject import Service, vehicle_line

CONNECTIONS = 2_000
FRAMES = 50
"""Frames per connection and run."""
REPEATS = 3
"""Runs of each, of which the best counts: time lost to other processes belongs to neither side."""
WINDOWS = (1, 4)
"""1: every terminal waits for its answer, as the standard says. 4: as many reads and writes, more frames in each."""
CROWD = 15_000
EVERY_S = 10
"""Seconds between the reports of each terminal in the crowd: the densest that fleets use."""
TRACED = 4_000
"""Connections that are enough to weigh one by ``tracemalloc``."""
LIMIT_BYTES = 6 * 1024
HOSTILE = 200
STRANGERS = 400
DIALLED = 10_000
BEGINS_AGO_S = 300
"""Seconds before now at which the fixes begin; they reach into the next minutes, as a right clock allows."""


@dataclass(frozen=True, slots=True)
class Cost:
    """A load, and the server's processor time for it."""

    load: Acknowledged
    cpu_us: float
    """Per frame."""


def cost(server: Server, *, window: int, skip: int, begins_at: int) -> Cost:
    """Drive the server from another process."""
    options = {
        "--connections": CONNECTIONS,
        "--frames": FRAMES,
        "--window": window,
        "--skip": skip,
        "--begins-at": begins_at,
    }
    words = [str(word) for option in options.items() for word in option]
    return taken("bench.load", server, words)


def taken(load: str, server: Server, words: Iterable[str]) -> Cost:
    """Run this load, and return its cost."""
    answer, spent_s = driven(python("-m", load, server.addresses["jt808"], *words), server)
    acknowledged = Acknowledged(**answer)
    return Cost(acknowledged, 1e6 * spent_s / acknowledged.frames)


def usual(server: Server, connections: int, *, every_s: int, lasting_s: int) -> Cost:
    """Run terminals at their usual pace."""
    begins_at = int(time.time()) - lasting_s
    words = f"--connections {connections} --interval {every_s} --lasting {lasting_s} --begins-at {begins_at}"
    return taken("bench.crowd", server, words.split())


def best(costs: Iterable[Cost]) -> Cost:
    return max(costs, key=lambda cost: cost.load.rate)


def figures(window: int, ours: Cost, sink: Cost) -> list[Figure]:
    """Compare frames per second, processor time per frame, and a terminal's wait."""
    name = f"gateway, {CONNECTIONS:,} connections, window {window}"
    beside = "null TCP sink"
    met = ours.load.rate >= 0.5 * sink.load.rate
    return [
        Figure(name, "frames/s", ours.load.rate, sink.load.rate, beside, "≥ 0.5 ×", met),
        Figure("  processor time", "µs/frame", ours.cpu_us, sink.cpu_us, beside),
        Figure("  acknowledged, median", "ms", ours.load.p50_ms, sink.load.p50_ms, beside),
        Figure("  acknowledged, p99", "ms", ours.load.p99_ms, sink.load.p99_ms, beside),
    ]


def crowd(service: Server, sink: Server) -> list[Figure]:
    """Measure the most terminals that one process is to carry, connected at once."""
    ours, theirs = (usual(server, CROWD, every_s=EVERY_S, lasting_s=EVERY_S) for server in (service, sink))
    name = f"{CROWD:,} terminals connected, each every {EVERY_S} s"
    cores = [cost.cpu_us * cost.load.rate / 1e6 for cost in (ours, theirs)]
    beside = "null TCP sink"
    return [
        Figure(name, "frames/s", ours.load.rate, theirs.load.rate, beside),
        Figure("  processor", "% of a core", 100 * cores[0], 100 * cores[1], beside),
        Figure("  acknowledged, median", "ms", ours.load.p50_ms, theirs.load.p50_ms, beside),
        Figure("  acknowledged, p99", "ms", ours.load.p99_ms, theirs.load.p99_ms, beside),
    ]


def weights() -> list[Figure]:
    """Measure one connection's memory, without its vehicle's."""
    aim, name = f"≤ {LIMIT_BYTES:,}", "one connected terminal"
    traced, resident = (
        (weight("ours", *options), weight("bare", *options))
        for options in (("--connections", str(TRACED), "--traced"), ("--connections", str(CROWD)))
    )
    beside = "bare asyncio protocol"
    return [
        Figure(f"{name}, Python's memory", "bytes", traced[0], traced[1], beside, aim, traced[0] <= LIMIT_BYTES),
        Figure("  resident", "bytes", resident[0], resident[1], beside),
    ]


def weight(kind: str, *options: str) -> float:
    command = python("-m", "bench.connections", kind, *options)
    answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    each: float = json.loads(answer.stdout)["bytes"]
    return each


def dialled(service: Server, sink: Server) -> list[Figure]:
    """Measure a whole fleet's return after a restart; the best of several runs counts."""
    ours, theirs = (best_dialled(server) for server in (service, sink))
    beside = "null TCP sink"
    return [
        Figure(f"{DIALLED:,} terminals dial at once: the last is acknowledged", "s", ours[0], theirs[0], beside),
        Figure("  half of them", "s", ours[1], theirs[1], beside),
    ]


def best_dialled(server: Server) -> tuple[float, float]:
    """Return the seconds until all, and until half of them, have their answer."""
    words = f"--terminals {DIALLED} --begins-at {int(time.time())}".split()
    command = python("-m", "bench.dial", server.addresses["jt808"], *words)
    answers = [driven(command, server)[0] for _ in range(REPEATS)]
    return min((float(answer["acknowledged_s"]), float(answer["half_acknowledged_s"])) for answer in answers)


def beside_others(service: Server) -> list[Figure]:
    """Measure good terminals alone, among hostile ones, and among strangers."""
    figures = []
    for what, words in (
        (f"{HOSTILE} hostile", f"--connections {HOSTILE} --first-terminal {CONNECTIONS}"),
        (f"{STRANGERS} strangers", f"--connections {STRANGERS} --strangers"),
    ):
        alone = usual(service, CONNECTIONS, every_s=2, lasting_s=8)
        with hostile(service, words):
            among = usual(service, CONNECTIONS, every_s=2, lasting_s=8)
        name, beside = f"{CONNECTIONS:,} good terminals among {what}", "without those"
        figures += [
            Figure(f"{name}: acknowledged, median", "ms", among.load.p50_ms, alone.load.p50_ms, beside),
            Figure("  p99", "ms", among.load.p99_ms, alone.load.p99_ms, beside),
        ]
    return figures


@contextmanager
def hostile(service: Server, words: str) -> Iterator[None]:
    """Run hostile terminals while the block runs."""
    command = python("-m", "bench.hostile", service.addresses["jt808"], *words.split())
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.communicate()


def main() -> None:
    """Drive both servers in turn, side by side, on a store where no terminal is asked for a code."""
    registry = (vehicle_line(number, phone(number)) for number in range(CROWD))
    settings = {"SHOUWANG_HTTP_CONNECTIONS": "100"}
    begins_at, skip = int(time.time()) - BEGINS_AGO_S, 0
    with (
        TemporaryDirectory(prefix="bench-") as folder,
        Server(python("-m", "bench.sink")) as sink,
        Service(Path(folder) / "gateway.db", registry, settings) as service,
    ):
        for window in WINDOWS:
            pairs = []
            for _ in range(REPEATS):
                servers = (service, sink)
                ours, theirs = (cost(server, window=window, skip=skip, begins_at=begins_at) for server in servers)
                pairs.append((ours, theirs))
                skip += FRAMES
            emit(figures(window, best(ours for ours, _ in pairs), best(theirs for _, theirs in pairs)))
        emit(crowd(service, sink))
        emit(dialled(service, sink))
        emit(beside_others(service))
    emit(weights())


if __name__ == "__main__":
    main()
