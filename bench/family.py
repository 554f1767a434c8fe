"""Measures the cost of a family's poll while 2,000 trucks report, beside a bare aiohttp handler of the same answer."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final
from urllib.request import Request, urlopen

from bench import fed
from bench.feed_load import INTERVAL_S, bodies, post_all
from bench.figures import Figure, emit
from bench.household import Opened, move_in, registry
from bench.pollers import Pollers, Turn
from bench.processes import ROOT, Server, cpu_s, python
from bench.subject import Service

TRUCKS: Final = 2_000
"""Trucks on the road, each reporting every ten seconds."""
WATCHED: Final = 1_000
"""Trucks of these that are watched, each by one family."""
VEHICLES: Final = 100_000
"""Known vehicles; all of them report during the figures on waiting under ingest."""
STANDING: Final = 200
"""Further trucks, watched too, whose terminals sleep."""
ALL: Final = range(TRUCKS + STANDING)
SECONDS: Final = 1
"""Length of each turn; ours and the baseline's alternate."""
TURNS: Final = 10
"""Turns of each, of which the best counts: time lost to other processes belongs to neither side."""
QUIET_S: Final = 5.0
WAITING_S: Final = 5
PACE: Final = 500
"""Polls per second in the figures on waiting, as from 15,000 phones that poll every 30 seconds."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Both servers, and the shares to poll."""

    service: Service
    bare: Server
    moving: Path
    """The shares of trucks on the road."""
    standing: Path

    @contextmanager
    def pollers(self, shares: Path, *options: str, besides: float = 0.0) -> Iterator[tuple[Pollers, Pollers]]:
        """Put the same load on us and on the baseline."""
        with Pollers(self.service, shares, *options, besides=besides) as ours:
            known = [word for word in options if word != "--know"]  # the baseline knows no ETag: it answers with 200
            with Pollers(self.bare, shares, *known) as theirs:
                yield ours, theirs


@contextmanager
def on_the_road(service: Service) -> Iterator[None]:
    """Make all trucks report while the block runs."""
    command = python("-m", "bench.trucks", service.addresses["jt808"], "--trucks", str(TRUCKS))
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as trucks:
        assert trucks.stdin is not None
        assert trucks.stdout is not None
        if trucks.stdout.readline() != "ready\n":
            raise RuntimeError("the trucks did not get going")
        try:
            yield
        finally:
            trucks.stdin.close()


def drive(service: Service, vehicles: range, round_number: int, begins_at: int) -> None:
    """Report once for each of these vehicles, by the feed."""
    rounds = range(round_number, round_number + 1)
    post_all(service.addresses["http"], [bodies(vehicles, rounds, begins_at=begins_at)])


def moved(scene: Scene, begins_at: int) -> list[Figure]:
    """Measure the dearest answer: each truck has moved since its last poll, so that no kept answer is of use."""
    with scene.pollers(scene.moving, "--polls", str(WATCHED)) as (ours, theirs):
        pairs = []
        for number in range(1, TURNS + 1):
            drive(scene.service, ALL, number, begins_at)
            pairs.append((ours.turn(200), theirs.turn(200)))
    return figures("family view, every truck moved since", pairs[1:])


def while_fed(scene: Scene, begins_at: int) -> list[Figure]:
    """Measure a phone's wait while all vehicles report."""
    return fed.polled_while_fed(
        scene.service,
        scene.bare,
        scene.moving,
        vehicles=VEHICLES,
        pace=PACE,
        first_round=TURNS + 1,
        begins_at=begins_at,
    )


def without_polls(scene: Scene) -> float:
    """Measure the processor seconds per second that the trucks alone cost."""
    before_s = cpu_s(scene.service.pid)
    time.sleep(QUIET_S)
    return (cpu_s(scene.service.pid) - before_s) / QUIET_S


def changing(scene: Scene, besides: float) -> list[Figure]:
    """Measure polls without an ETag."""
    with scene.pollers(scene.moving, "--seconds", str(SECONDS), besides=besides) as (ours, theirs):
        pairs = [(ours.turn(200), theirs.turn(200)) for _ in range(TURNS)]
    return figures("family view, answered with 200", pairs, aim=0.5)


def unchanged(scene: Scene, besides: float, begins_at: int) -> list[Figure]:
    """Measure polls with an ETag of trucks that have just stopped; the baseline answers in full."""
    drive(scene.service, ALL[TRUCKS:], (int(time.time()) - begins_at) // INTERVAL_S, begins_at)
    with scene.pollers(scene.standing, "--seconds", str(SECONDS), "--know", besides=besides) as (ours, theirs):
        pairs = [(ours.turn(304), theirs.turn(200)) for _ in range(TURNS)]
    return figures("family view, answered with 304", pairs, aim=0.7)


def waiting(scene: Scene) -> list[Figure]:
    """Measure a phone's wait without full load."""
    with scene.pollers(scene.moving, "--seconds", str(WAITING_S), "--rate", str(PACE)) as (ours, theirs):
        our_load, their_load = ours.turn(200).load, theirs.turn(200).load
    name = f"family view, {PACE} polls/s: median"
    return [
        Figure(name, "ms", our_load.p50_ms, their_load.p50_ms, "bare aiohttp handler"),
        Figure("  p99", "ms", our_load.p99_ms, their_load.p99_ms, "bare aiohttp handler"),
    ]


def figures(name: str, pairs: Sequence[tuple[Turn, Turn]], *, aim: float = 0.0) -> list[Figure]:
    """Compare the best turn of each. The median ratio of adjacent turns shows the blur of a busy machine."""
    ours, theirs = best(ours for ours, _ in pairs), best(theirs for _, theirs in pairs)
    beside = f"bare aiohttp handler (by turns {median(us.load.rate / them.load.rate for us, them in pairs):.2f})"
    met = ours.load.rate >= aim * theirs.load.rate if aim else None
    return [
        Figure(name, "polls/s", ours.load.rate, theirs.load.rate, beside, f"≥ {aim} ×" if aim else "", met),
        Figure("  processor time", "µs/poll", ours.cpu_us, theirs.cpu_us, "bare aiohttp handler"),
        Figure("  answered, median", "ms", ours.load.p50_ms, theirs.load.p50_ms, "bare aiohttp handler"),
        Figure("  answered, p99", "ms", ours.load.p99_ms, theirs.load.p99_ms, "bare aiohttp handler"),
    ]


def best(turns: Iterable[Turn]) -> Turn:
    """Return the best turn by rate, with the median processor time of all."""
    ordered = sorted(turns, key=lambda turn: turn.load.rate)
    return Turn(ordered[-1].load, median(turn.cpu_us for turn in ordered))


def written(shares: Sequence[Opened], file: Path) -> Path:
    file.write_text(json.dumps([[share.path, share.token] for share in shares]))
    return file


def body_of(service: Service, share: Opened) -> str:
    """Return the share's present view."""
    request = Request(
        f"http://{service.addresses['http']}{share.path}", headers={"Authorization": f"Bearer {share.token}"}
    )
    with urlopen(request) as response:
        return str(response.read().decode())


def main() -> None:
    begins_at = int(time.time()) - (TURNS + fed.ROUNDS) * INTERVAL_S
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        with Service(folder / "family.db", registry(VEHICLES, len(ALL))) as service:
            shares = asyncio.run(move_in(service.addresses["http"], [*range(WATCHED), *ALL[TRUCKS:]]))
            drive(service, ALL, 0, begins_at)
            moving = written(shares[:WATCHED], folder / "moving.json")
            standing = written(shares[WATCHED:], folder / "standing.json")
            with Server(python("-m", "bench.bare", body_of(service, shares[0]))) as bare:
                scene = Scene(service, bare, moving, standing)
                emit(moved(scene, begins_at))
                emit(while_fed(scene, begins_at))
                with on_the_road(service):
                    besides = without_polls(scene)
                    emit([Figure(f"family, {TRUCKS:,} trucks without any view", "% of a core", 100 * besides)])
                    emit(changing(scene, besides))
                    emit(unchanged(scene, besides, begins_at))
                    emit(waiting(scene))


if __name__ == "__main__":
    main()
