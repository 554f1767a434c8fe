"""Soaks the service for an hour under every load at once, and checks its memory and delays."""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import linear_regression
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Final
from urllib.request import urlopen

from bench.family import written
from bench.feed_load import INTERVAL_S, SENDERS, bodies, post_all
from bench.figures import Figure, emit
from bench.household import Opened, move_in, registry
from bench.processes import ROOT, Server, allow_many_sockets, cpu_s, python, resident_bytes
from bench.subject import Service

TERMINALS: Final = 1_000
"""Terminals over JT/T 808, each with a report every ten seconds."""
FLEET: Final = 100_000
"""The number of trucks; the others report by the feed, also every ten seconds."""
SLEEPERS: Final = 1_000
"""Trucks of these that report every fifteen minutes: offline, and back again."""
SLEEP_ROUNDS: Final = 90
WATCHED: Final = 300
"""Trucks that a family polls, and watches on a stream that is opened and closed again and again."""
POLLS_A_SECOND: Final = 100
LOOK_S: Final = 10.0
SETTLED: Final = 1 / 6
"""Fraction of the time until caches are full and the day's first of everything has happened."""
MAX_GROWTH: Final = 0.05
"""Largest growth of memory, from then to the end."""


@dataclass(slots=True)
class Seen:
    """The observations: pairs of (hours since the start, bytes), and the latest timer's lateness (s)."""

    memory: list[tuple[float, float]] = field(default_factory=list)
    lateness_s: list[float] = field(default_factory=list)


class Fleet:
    """The platform's trucks, posted in a thread until told to stop."""

    def __init__(self, service: Server) -> None:
        self._service = service
        self._begins_at = int(time.time())
        self._stop = Event()
        self._thread = Thread(target=self._drive)
        self.rounds = 0
        self.error: Exception | None = None

    def _drive(self) -> None:
        awake, asleep = range(TERMINALS, FLEET - SLEEPERS), range(FLEET - SLEEPERS, FLEET)
        bounds = [awake.start + len(awake) * number // SENDERS for number in range(SENDERS + 1)]
        due_at = time.monotonic()
        try:
            while not self._stop.wait(max(0.0, due_at - time.monotonic())):
                this = range(self.rounds, self.rounds + 1)
                shares = [range(*bound) for bound in pairwise(bounds)]
                shares += [asleep] if self.rounds % SLEEP_ROUNDS == 0 else []
                post_all(
                    self._service.addresses["http"],
                    [bodies(share, this, begins_at=self._begins_at) for share in shares],
                )
                self.rounds += 1
                due_at += INTERVAL_S
        except (RuntimeError, OSError) as error:
            self.error = error

    def __enter__(self) -> Fleet:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@contextmanager
def beside(*words: str, ready: str, until_closed: bool) -> Iterator[None]:
    """Run a load in a process of its own, until its input is closed, or started by a line."""
    with subprocess.Popen(
        python("-m", *words), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if process.stdout.readline() != f"{ready}\n":
            raise RuntimeError(f"{words[0]} did not get going")
        if not until_closed:
            process.stdin.write("\n")
            process.stdin.flush()
        yield
        process.stdin.close()
        if process.wait():
            raise RuntimeError(f"{words[0]} failed")


async def come_and_go(address: str, shares: Sequence[Opened], *, seconds: float) -> int:
    """Open a stream ten times per second, hear of the truck, and close it; return the number of streams."""
    host, _, port = address.rpartition(":")
    until, visits = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        share = shares[visits % len(shares)]
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"GET {share.path}/live HTTP/1.1\r\nHost: shouwang\r\nAuthorization: Bearer {share.token}\r\n\r\n".encode()
        )
        await asyncio.wait_for(reader.readuntil(b"event: position\n"), 30)
        writer.close()
        visits += 1
        await asyncio.sleep(0.1)
    return visits


def looked(service: Server, seen: Seen, *, seconds: float) -> None:
    """Observe at intervals, until the time is over."""
    started = time.monotonic()
    while (passed_s := time.monotonic() - started) < seconds:
        seen.memory.append((passed_s / 3_600, resident_bytes(service.pid)))
        seen.lateness_s.append(metrics(service)["shouwang_timer_lateness_seconds"])
        time.sleep(LOOK_S)


def metrics(service: Server) -> dict[str, float]:
    with urlopen(f"http://{service.addresses['http']}/metrics") as response:
        text = response.read().decode()
    return {name: float(value) for name, value in re.findall(r"^([a-z]\S*) (\S+)$", text, re.MULTILINE)}


def delay_s(found: dict[str, float], share: float) -> float:
    """Return the bound below which this share of the event loop's delays lies."""
    name = "shouwang_event_loop_delay_seconds"
    wanted = share * found[f"{name}_count"]
    bounds = [(float(key[len(name) + 12 : -2]), count) for key, count in found.items() if key.startswith(f"{name}_buc")]
    return min(bound for bound, count in bounds if count >= wanted)


def figures(seen: Seen, found: dict[str, float], *, minutes: float, cpu: float) -> list[Figure]:
    settled = [(at, size) for at, size in seen.memory if at >= seen.memory[-1][0] * SETTLED]
    slope = linear_regression(*zip(*settled, strict=True)).slope
    growth = max(0.0, slope * (settled[-1][0] - settled[0][0]) / settled[0][1])
    p999 = 1_000 * delay_s(found, 0.999)
    late = sorted(seen.lateness_s)[len(seen.lateness_s) * 99 // 100]
    return [
        Figure(
            f"soak of {minutes:.0f} min, {FLEET:,} trucks: grown",
            "%",
            100 * growth,
            aim="≤ 5",
            met=growth <= MAX_GROWTH,
        ),
        Figure("  memory once settled", "bytes", settled[0][1]),
        Figure("  memory at the end", "bytes", settled[-1][1]),
        Figure("  processor", "% of a core", 100 * cpu),
        Figure("  event loop late, p99.9 at most", "ms", p999, aim="≤ 50", met=p999 <= 50),
        Figure("  timers late, p99", "s", late, aim="≤ 1", met=late <= 1),
        Figure("  fixes taken", "fixes", found["shouwang_fixes_total"]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    seconds = 60 * parser.parse_args().minutes
    allow_many_sockets()
    with (
        TemporaryDirectory(prefix="bench-") as name,
        Service(Path(name) / "soak.db", registry(FLEET, WATCHED)) as service,
    ):
        opened = asyncio.run(move_in(service.addresses["http"], range(WATCHED)))
        shares = str(written(opened, Path(name) / "shares.json"))
        http, jt808, seen = service.addresses["http"], service.addresses["jt808"], Seen()
        frames = ("--frames", str(int(seconds / INTERVAL_S) + 10))
        polls = ("--seconds", str(seconds), "--rate", str(POLLS_A_SECOND))
        before_s = cpu_s(service.pid)
        with (
            Fleet(service) as fleet,
            beside("bench.trucks", jt808, "--trucks", str(TERMINALS), *frames, ready="ready", until_closed=True),
            beside("bench.poll", http, shares, *polls, ready="go", until_closed=False),
        ):
            looking = Thread(target=looked, args=(service, seen), kwargs={"seconds": seconds})
            looking.start()
            time.sleep(INTERVAL_S)  # every watched truck has reported
            visits = asyncio.run(come_and_go(http, opened, seconds=seconds - INTERVAL_S))
            looking.join()
        if fleet.error is not None:
            raise fleet.error
        cpu = (cpu_s(service.pid) - before_s) / seconds
        emit(figures(seen, metrics(service), minutes=seconds / 60, cpu=cpu))
        print(f"{visits:,} streams were opened and left, {fleet.rounds} rounds of the feed were taken")


if __name__ == "__main__":
    main()
