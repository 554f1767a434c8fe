"""Measures a terminal's wait for its answer while thousands are connected and report at their usual pace.

All connect and report once before the load is ready; then each reports every ``--interval`` seconds, evenly spread.
"""

from __future__ import annotations

import argparse
import json
import select
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from bench.load import Acknowledged, Terminal, frames_of, measured
from bench.processes import allow_many_sockets

PATIENCE_S: Final = 20.0
AT_ONCE: Final = 1_000


def report(terminals: Sequence[Terminal], *, interval_s: float, lasting_s: float) -> Acknowledged:
    """Report for ``lasting_s``, then wait for every answer. Raises ``RuntimeError`` when some do not come."""
    by_descriptor = {terminal.socket.fileno(): terminal for terminal in terminals}
    poll = select.epoll()
    for descriptor in by_descriptor:
        poll.register(descriptor, select.EPOLLIN)
    for terminal in terminals:
        terminal.forget_sent()
    due = int(lasting_s / interval_s * len(terminals))
    sent = answered = 0
    began = time.perf_counter()
    while answered < due:
        elapsed_s = time.perf_counter() - began
        if elapsed_s > lasting_s + PATIENCE_S:
            raise RuntimeError(f"{due - answered} of {due} frames were not acknowledged")
        while sent < due and sent / due * lasting_s <= elapsed_s:
            terminals[sent % len(terminals)].send(1)
            sent += 1
        for descriptor, _ in poll.poll(0.001, len(terminals)):
            answered += by_descriptor[descriptor].receive()
    poll.close()
    return measured(terminals, due, time.perf_counter() - began)


def greet(terminals: Sequence[Terminal]) -> None:
    """Report once from each terminal, and wait for the answers."""
    for start in range(0, len(terminals), AT_ONCE):
        some = terminals[start : start + AT_ONCE]
        for terminal in some:
            terminal.send(1)
        for terminal in some:
            while not terminal.latencies_s:
                terminal.receive()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.crowd", description=__doc__)
    parser.add_argument("target", metavar="HOST:PORT")
    parser.add_argument("--connections", type=int, default=15_000)
    parser.add_argument("--interval", type=float, default=10.0, metavar="S")
    parser.add_argument("--lasting", type=float, default=20.0, metavar="S")
    parser.add_argument("--begins-at", type=int, required=True, help="time of the first frame, Unix seconds")
    options = parser.parse_args()
    allow_many_sockets()
    host, _, port = options.target.rpartition(":")
    numbers = range(int(options.lasting / options.interval) + 2)
    terminals = [
        Terminal((host, int(port)), frames_of(number, numbers, begins_at=options.begins_at))
        for number in range(options.connections)
    ]
    greet(terminals)
    print("go", flush=True)
    sys.stdin.readline()
    answer = report(terminals, interval_s=options.interval, lasting_s=options.lasting)
    print(json.dumps(asdict(answer)), flush=True)


if __name__ == "__main__":
    main()
