"""Measures how late vehicles are announced as offline when many fall silent, on a real loop and clock.

``python -m bench.vehicle_timers VEHICLES SECONDS`` prints JSON. The vehicles are due evenly within these seconds, like
a fleet whose network goes away; with 1, like a fleet that reports at the same instant.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from actors.system.clock import Agenda, RealClock
from actors.system.runtime import Dispatcher
from actors.vehicles.vehicle import Fleet, VehicleActor
from bench.vehicle_fold import fix_of, vehicle_key
from commands.process import relieve_garbage_collector
from domain.vehicle.profile import DEFAULT_PROFILE
from domain.vehicle.vehicle import Vehicle, accept
from persistence.sqlite.store import SqliteStore


@dataclass(frozen=True, slots=True)
class Lateness:
    """The announcements' lateness, in seconds."""

    p50_s: float
    p99_s: float
    worst_s: float
    cpu_us: float
    """Processor time of one announcement."""
    stall_s: float
    """Longest wait of the loop's other work for its turn."""


class NotingAgenda(Agenda):
    """Notes each batch of timers: its lateness, and its size."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[float, int]] = []

    def fire(self, now: float) -> int:
        fired = super().fire(now)
        if fired:
            self.noted.append((self.lateness_s + time.time() - now, fired))
        return fired


async def measure(fleet: Fleet, agenda: NotingAgenda, vehicles: int, within_s: int) -> Lateness:
    relieve_garbage_collector()
    due_at = int(time.time()) + 5 + vehicles // 12_000
    actors = [_online(fleet, number, due_at + number % within_s) for number in range(vehicles)]
    relieve_garbage_collector()
    if time.time() > due_at:
        raise RuntimeError("the first was due before all were online")
    began_s, stall_s, looked_at = time.process_time(), 0.0, time.perf_counter()
    while fleet.online:
        await asyncio.sleep(0.001)
        stall_s, looked_at = max(stall_s, time.perf_counter() - looked_at), time.perf_counter()
    cpu_s = time.process_time() - began_s
    assert fleet.announcements == 2 * len(actors)
    middle_s, p99_s, worst_s = (quantile(agenda.noted, share) for share in (0.5, 0.99, 1.0))
    return Lateness(middle_s, p99_s, worst_s, cpu_s / vehicles * 1e6, stall_s)


def _online(fleet: Fleet, number: int, offline_at: int) -> VehicleActor:
    vehicle = Vehicle(vehicle_key(number))
    fixed_at = offline_at - DEFAULT_PROFILE.offline_after_s
    accept(vehicle, fix_of(number, fixed_at, 0), fixed_at, DEFAULT_PROFILE, fleet.quality)
    return VehicleActor(Dispatcher(), fleet, vehicle, online=True)


def quantile(noted: Sequence[tuple[float, int]], share: float) -> float:
    """Return the value below which this share of the noted values lies; each is (value, count)."""
    wanted = share * sum(times for _, times in noted)
    for value, times in sorted(noted):
        wanted -= times
        if wanted <= 0:
            return value
    raise ValueError("nothing was noted")


async def timers(vehicles: int, within_s: int) -> Lateness:
    with TemporaryDirectory(prefix="bench-") as folder:
        store = await SqliteStore.open(Path(folder, "bench.db"))
        clock, agenda = RealClock(time.time), NotingAgenda()
        clock.agenda = agenda
        measured = await measure(Fleet(clock, DEFAULT_PROFILE), agenda, vehicles, within_s)
        clock.close()
        await store.close()
    return measured


def main() -> None:
    vehicles, within_s = map(int, sys.argv[1:])
    print(json.dumps(asdict(asyncio.run(timers(vehicles, within_s)))))


if __name__ == "__main__":
    main()
