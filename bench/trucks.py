"""The background load of a fleet on the road: terminals that report at their usual pace, until told to stop."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from threading import Event, Thread

from bench.load import Terminal, frames_of
from bench.processes import allow_many_sockets


def report(terminals: Sequence[Terminal], *, frames: int, interval_s: float, stop: Event) -> None:
    """Send a frame of each every ``interval_s``, evenly spread. Raises ``RuntimeError`` when one is refused."""
    due_at, step_s = time.monotonic(), interval_s / len(terminals)
    for number in range(frames):
        for terminal in terminals:
            due_at += step_s
            if stop.wait(max(0.0, due_at - time.monotonic())):
                return
            if number:
                terminal.receive()
            terminal.send(1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.trucks", description=__doc__)
    parser.add_argument("target", metavar="HOST:PORT")
    parser.add_argument("--trucks", type=int, default=2_000)
    parser.add_argument("--interval", type=int, default=10, metavar="S")
    parser.add_argument("--frames", type=int, default=100, help="frames per terminal: more than the benchmark needs")
    options = parser.parse_args()
    allow_many_sockets()
    host, _, port = options.target.rpartition(":")
    begins_at, numbers = int(time.time()), range(options.frames)
    loads = [frames_of(each, numbers, begins_at=begins_at, every_s=options.interval) for each in range(options.trucks)]
    terminals = [Terminal((host, int(port)), frames) for frames in loads]
    print("ready", flush=True)
    stop = Event()
    reporting = Thread(
        target=report,
        args=(terminals,),
        kwargs={"frames": options.frames, "interval_s": options.interval, "stop": stop},
    )
    reporting.start()
    sys.stdin.read()  # until the starting process closes it, or is gone
    stop.set()
    reporting.join()


if __name__ == "__main__":
    main()
