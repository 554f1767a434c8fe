"""Measures a family's wait while fixes come in at half the rate that the service can take."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.feed import cost
from bench.feed_load import Taken
from bench.figures import Figure
from bench.pollers import Pollers
from bench.processes import ROOT, Server, python

FULL_ROUNDS: Final = 3
"""Rounds of a fix per vehicle at full speed, which find the full rate."""
SECONDS: Final = 8
FED_S: Final = 11
"""Seconds of feeding; it begins before the polls and ends after them."""
ROUNDS: Final = 20
"""Rounds prepared, enough up to 260,000 fixes per second."""
AIM_MS: Final = 50.0


def polled_while_fed(
    service: Server, bare: Server, shares: Path, *, vehicles: int, pace: int, first_round: int, begins_at: int
) -> list[Figure]:
    """Send ``pace`` polls per second; the bare handler reads the same feed and discards it. Checkpoints go on."""
    cost(service, vehicles=vehicles, first_round=first_round, rounds=1, begins_at=begins_at)  # wakes each vehicle
    full = cost(service, vehicles=vehicles, first_round=first_round + 1, rounds=FULL_ROUNDS, begins_at=begins_at)
    most, first = full.load.rate, first_round + 1 + FULL_ROUNDS
    rounds = range(first, min(first_round + ROUNDS, first + max(1, round(FED_S * most / 2 / vehicles))))
    loads = []
    for server in (service, bare):
        with (
            Pollers(server, shares, "--seconds", str(SECONDS), "--rate", str(pace)) as phones,
            fed(server, vehicles=vehicles, rounds=rounds, begins_at=begins_at, rate=most / 2) as taken,
        ):
            load = phones.turn(200).load
        loads.append((load, taken[0].rate))
    (ours, our_rate), (theirs, their_rate) = loads
    name, beside = f"family view, {pace} polls/s while half of that comes in: ", "bare aiohttp handler"
    return [
        Figure(f"feed, {vehicles:,} vehicles, at most", "fixes/s", most),
        Figure("  while phones ask", "fixes/s", our_rate, their_rate, "bare aiohttp handler that drops them"),
        Figure(f"{name}median", "ms", ours.p50_ms, theirs.p50_ms, beside),
        Figure("  p99", "ms", ours.p99_ms, theirs.p99_ms, beside, f"≤ {AIM_MS:.0f} ms", ours.p99_ms <= AIM_MS),
    ]


@contextmanager
def fed(server: Server, *, vehicles: int, rounds: range, begins_at: int, rate: float) -> Iterator[list[Taken]]:
    """Feed this many fixes per second while the block runs; the list then holds the results.

    Raises ``RuntimeError``.
    """
    options = {
        "--vehicles": vehicles,
        "--first-round": rounds.start,
        "--rounds": len(rounds),
        "--begins-at": begins_at,
        "--rate": rate,
    }
    words = [str(word) for option in options.items() for word in option]
    command = python("-m", "bench.feed_load", server.addresses["http"], *words)
    taken: list[Taken] = []
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
        assert load.stdin is not None
        assert load.stdout is not None
        if load.stdout.readline() != "go\n":
            raise RuntimeError("the feed did not get ready")
        load.stdin.write("\n")
        load.stdin.flush()
        yield taken
        taken.append(Taken(**json.loads(load.stdout.readline())))
