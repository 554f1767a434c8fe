"""Measures the message rate and the weight of 10,000 actors: ours, and Pykka's threads."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter

import pykka

from actors.system.runtime import Actor, Dispatcher
from bench.figures import Figure, emit
from bench.processes import ROOT, python, resident_bytes

ACTORS = 10_000
MANY_ACTORS = 200_000
"""Beyond the number of threads that a machine can hold; enough of ours to weigh one."""
OUR_MESSAGES = 2_000_000
THREAD_MESSAGES = 40_000

Measured = dict[str, float]


class OurCounter(Actor):
    """Counts its messages."""

    __slots__ = ("count",)

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__(dispatcher)
        self.count = 0

    def on_receive(self, message: object) -> int:
        self.count += 1
        return self.count


class ThreadCounter(pykka.ThreadingActor):
    """Counts its messages on a thread of its own."""

    use_daemon_thread = True

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def on_receive(self, message: object) -> int:
        self.count += 1
        return self.count


async def measure_ours(actor_count: int) -> Measured:
    """Send one message to each actor in turn, then yield to the run queue, so that no mailbox is drained in bulk."""
    dispatcher = Dispatcher()
    before = _settled_bytes()
    actors = [OurCounter.start(dispatcher)._actor for _ in range(actor_count)]
    weight = (_settled_bytes() - before) / actor_count
    message = ("position", 1)
    rounds = OUR_MESSAGES // actor_count
    started = perf_counter()
    for _ in range(rounds):
        for actor in actors:
            actor.tell(message)
        await dispatcher.rest()
    took_s = perf_counter() - started
    handled = sum(actor.count for actor in actors)
    assert handled == rounds * actor_count, f"{handled} of {rounds * actor_count} messages were handled"
    return {"rate": handled / took_s, "bytes": weight}


def measure_threads() -> Measured:
    """Send the same round-robin; the last message to each is an ask, which shows when all are handled."""
    before = _settled_bytes()
    actors = [ThreadCounter.start() for _ in range(ACTORS)]
    weight = (_settled_bytes() - before) / ACTORS
    message = ("position", 1)
    started = perf_counter()
    for _ in range(THREAD_MESSAGES // ACTORS - 1):
        for actor in actors:
            actor.tell(message)
    replies = [actor.ask(message, block=False) for actor in actors]
    handled = sum(reply.get() for reply in replies)
    took_s = perf_counter() - started
    assert handled == THREAD_MESSAGES, f"{handled} of {THREAD_MESSAGES} messages were handled"
    return {"rate": THREAD_MESSAGES / took_s, "bytes": weight}


def _settled_bytes() -> int:
    gc.collect()
    return resident_bytes()


KINDS: dict[str, Callable[[], Measured]] = {
    "ours": lambda: asyncio.run(measure_ours(ACTORS)),
    "many": lambda: asyncio.run(measure_ours(MANY_ACTORS)),
    "threads": measure_threads,
}


def _in_a_process_of_its_own(kind: str) -> Measured:
    run = subprocess.run(
        python("-m", "bench.runtime", kind), cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=300
    )
    measured: Measured = json.loads(run.stdout)
    return measured


def main() -> None:
    """Measure both kinds side by side; with an argument, that kind alone, as JSON."""
    if len(sys.argv) > 1:
        print(json.dumps(KINDS[sys.argv[1]]()))
        return
    ours, many, threads = (_in_a_process_of_its_own(kind) for kind in ("ours", "many", "threads"))
    rate = Figure(
        f"runtime, {ACTORS:,} actors",
        "messages/s",
        ours["rate"],
        threads["rate"],
        "pykka.ThreadingActor",
        aim="≥ 100 ×",
        met=ours["rate"] >= 100 * threads["rate"],
    )
    weight = Figure(
        f"one actor (ours of {MANY_ACTORS:,})", "bytes", many["bytes"], threads["bytes"], "pykka.ThreadingActor"
    )
    emit([rate, Figure(f"runtime, {MANY_ACTORS:,} actors", "messages/s", many["rate"]), weight])


if __name__ == "__main__":
    main()
