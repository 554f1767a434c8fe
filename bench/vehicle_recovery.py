"""Measures a start with many vehicles that were online at the end: ``run.py serve`` on their store, until ready.

``python -m bench.vehicle_recovery VEHICLES`` prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from actors.vehicles.limits_seen import LimitsSeen
from actors.vehicles.state import to_record
from bench.processes import cpu_s, resident_bytes
from bench.registered import register
from bench.subject import Service
from bench.vehicle_fold import fix_of
from domain.registry import PARTITIONS, partition_of
from domain.vehicle.profile import DEFAULT_PROFILE
from domain.vehicle.quality import Quality
from domain.vehicle.vehicle import Vehicle, accept
from persistence.registry.lookups import Registry
from persistence.sqlite.store import SqliteStore
from persistence.store import Checkpoint

DRIVEN_S: Final = 270


@dataclass(frozen=True, slots=True)
class Recovered:
    """The figures from the process's start to its readiness."""

    wall_s: float
    cpu_s: float
    bytes_each: float
    store_read_s: float
    """Wall time of only reading the same states and terminals out of the store: the baseline."""


def state(number: int, key: str, now: int) -> bytes:
    """Encode the state of a vehicle that has been driving for some minutes and still reports."""
    vehicle, quality = Vehicle(key), Quality()
    for driven_s in (0, DRIVEN_S):
        fixed_at = now - DRIVEN_S + driven_s
        accept(vehicle, fix_of(number, fixed_at, driven_s), float(fixed_at), DEFAULT_PROFILE, quality)
    vehicle.applied = 1
    return to_record(vehicle)


async def prepare(path: Path, vehicles: int) -> None:
    """Write what an import and a clean end leave in the store."""
    keys = await register(path, vehicles)
    store = await SqliteStore.open(path)
    await _checkpoint(store, keys)
    registry = await Registry.open(store)
    await LimitsSeen(store, registry, told=lambda: None).note(await registry.revision())
    await store.close()


async def _checkpoint(store: SqliteStore, keys: list[str]) -> None:
    partitions: list[list[int]] = [[] for _ in range(PARTITIONS)]
    for number, key in enumerate(keys):
        partitions[partition_of(key)].append(number)
    now = int(time.time())
    for partition, numbers in enumerate(partitions):
        states = [(keys[number], state(number, keys[number], now), True) for number in numbers]
        await store.checkpoint(Checkpoint(partition, 1, states))


async def read(path: Path) -> float:
    """Return the seconds that the store alone takes for a start's reads."""
    store = await SqliteStore.open(path)
    began_s = time.perf_counter()
    for partition in range(PARTITIONS):
        await store.hot_states(partition)
    await store.index_values("registry.terminal", "without_auth")
    took_s = time.perf_counter() - began_s
    await store.close()
    return took_s


def recover(vehicles: int) -> Recovered:
    with TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder, "bench.db")
        asyncio.run(prepare(path, vehicles))
        baseline_s = asyncio.run(read(path))
        began_s = time.perf_counter()
        with Service(path) as service:
            return Recovered(
                time.perf_counter() - began_s, cpu_s(service.pid), resident_bytes(service.pid) / vehicles, baseline_s
            )


def main() -> None:
    print(json.dumps(asdict(recover(int(sys.argv[1])))))


if __name__ == "__main__":
    main()
