"""The load of ``bench.end_to_end``: many terminals and many families' streams, both in one process."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench.live_load import Crowd
from bench.load import Terminal, frames_of
from bench.processes import allow_many_sockets

PATIENCE_S: Final = 30.0
BEGINS_AGO_S: Final = 300


@dataclass(frozen=True, slots=True)
class Seen:
    """The load's figures, over all terminals."""

    fixes: int
    acknowledged_p50_ms: float
    acknowledged_p99_ms: float
    seen_p50_ms: float
    seen_p99_ms: float
    seen_worst_ms: float


async def drive(terminals: Sequence[Terminal], crowd: Crowd, *, rounds: int, interval_s: float) -> Seen:
    """Send ``rounds`` fixes from each terminal, evenly spread. Raises ``TimeoutError`` unless each is seen."""
    loop, sent_at = asyncio.get_running_loop(), [[0.0] * rounds for _ in terminals]
    for terminal in terminals:
        loop.add_reader(terminal.socket.fileno(), terminal.receive)
    due_at, step_s = time.monotonic(), interval_s / len(terminals)
    for number in range(rounds):
        for terminal, sent in zip(terminals, sent_at, strict=True):
            due_at += step_s
            if (wait_s := due_at - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            sent[number] = time.monotonic()
            terminal.send(1)
    async with asyncio.timeout(PATIENCE_S):
        while any(len(stream.came_at) < rounds for stream in crowd.streams):  # noqa: ASYNC110 - a load has nothing else to do
            await asyncio.sleep(0.05)
    seen = [
        came - sent
        for stream in crowd.streams
        for came, sent in zip(stream.came_at, sent_at[stream.truck], strict=True)
    ]
    acknowledged = [latency for terminal in terminals for latency in terminal.latencies_s]
    return Seen(len(seen), *percentiles(acknowledged)[:2], *percentiles(seen))


def percentiles(waits_s: Sequence[float]) -> tuple[float, float, float]:
    """Return median, p99 and worst, in ms."""
    ordered = sorted(1000 * wait_s for wait_s in waits_s)
    return ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100], ordered[-1]


async def run(options: argparse.Namespace) -> None:
    """Open everything, print ``go``, and begin at a line on standard input."""
    with open(options.shares, encoding="utf-8") as file:  # noqa: ASYNC230 - before anything else runs
        shares: list[Any] = json.load(file)
    crowd, (host, port) = Crowd(), options.http.split(":")
    await crowd.open((host, int(port)), shares, each=1)
    numbers, begins_at = range(options.rounds), int(time.time()) - BEGINS_AGO_S
    host, port = options.jt808.split(":")
    terminals = [
        Terminal((host, int(port)), frames_of(truck, numbers, begins_at=begins_at)) for truck in range(len(shares))
    ]
    print("go", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    seen = await drive(terminals, crowd, rounds=options.rounds, interval_s=options.interval)
    print(json.dumps(asdict(seen)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.end_to_end_load", description=__doc__)
    parser.add_argument("http", metavar="HOST:PORT")
    parser.add_argument("jt808", metavar="HOST:PORT")
    parser.add_argument("shares", metavar="FILE", help="JSON: [[path, token], ...], the first truck's first")
    parser.add_argument("--rounds", type=int, default=10, help="fixes of each truck")
    parser.add_argument("--interval", type=float, default=2.0, metavar="S")
    allow_many_sockets()
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
