"""Measures a fix's cost and a vehicle's weight, by the number of active ones: the feed's whole way without HTTP.

Decoding, the durable log (SQLite), routing and rules run in one process, measured by its processor time, all threads
together. ``python -m bench.vehicle_fold VEHICLES ROUNDS [null]`` prints JSON; ``null`` keeps each terminal's newest fix
in a dict instead of having vehicles.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

import msgpack

from actors.system.clock import RealClock
from actors.system.runtime import Dispatcher
from actors.system.supervisor import Supervisor
from actors.vehicles.checkpoints import Checkpointer
from actors.vehicles.state import VehicleKind
from actors.vehicles.telemetry import Router
from actors.vehicles.vehicle import KIND, Fleet
from bench.load import phone
from bench.processes import resident_bytes
from commands.process import relieve_garbage_collector
from domain.identifiers import PlateColor
from domain.registry import vehicle_id
from domain.vehicle.fix import STATUS_ACC_ON, STATUS_POSITIONED, Batch, Fix
from domain.vehicle.profile import DEFAULT_PROFILE
from domain.vehicle.quality import Outcome
from gateway.feed import Feed
from gateway.ingest import Ingest
from persistence.records import encode_batch
from persistence.sqlite.store import SqliteStore
from persistence.store import Store

ROWS: Final = 10_000
CALLS: Final = 4
"""Concurrent calls, as from the senders of ``bench.feed_load``."""
BEGINS_AGO_S: Final = 430
ENDS_AHEAD_S: Final = 250
"""Together with ``BEGINS_AGO_S``, the bounds between which a clock looks right."""
STEP_E6: Final = 200
"""Millionths of a degree of longitude per second: about 70 km/h."""


@dataclass(frozen=True, slots=True)
class Folded:
    """The run's figures."""

    fixes: int
    cpu_s: float
    bytes_each: float
    checkpoint_us: float
    """Processor time of writing one vehicle's state over an older one."""

    @property
    def fixes_a_core_second(self) -> float:
        return self.fixes / self.cpu_s


def vehicle_key(number: int) -> str:
    """Return a key as long as real ones, and as random."""
    return vehicle_id(str(number), PlateColor.YELLOW)


def fix_of(vehicle: int, fixed_at: int, driven_s: int) -> Fix:
    """Return a fix of a truck with its own height, speed and course: as a rule no two have the same."""
    lon_e6, lat_e6 = 105_000_000 + driven_s * STEP_E6, 30_000_000 + vehicle
    altitude_m, speed_dkmh, course_deg = vehicle * 7 % 1500, 600 + (vehicle + fixed_at) % 200, vehicle * 13 % 360
    status = STATUS_ACC_ON | STATUS_POSITIONED
    return Fix(phone(vehicle), fixed_at, lon_e6, lat_e6, altitude_m, speed_dkmh, course_deg, 0, status, 0)


class VehiclesUnderTest:
    """A service's way from the feed to the vehicles, put together as ``run.py`` does."""

    def __init__(self, store: Store, terminals: Mapping[str, str]) -> None:
        clock, dispatcher = RealClock(time.time), Dispatcher()
        self.fleet = Fleet(clock, DEFAULT_PROFILE)
        kind = VehicleKind(store, dispatcher, self.fleet, limits_of=limits_of, vehicle_of=terminals.get)
        self.supervisor = Supervisor(dispatcher, clock, {KIND: kind})
        self.router = Router(self.supervisor, self.fleet, terminals.get)
        self.store = store

    async def save(self, folded: int) -> float:
        """Write all changed states; return the processor time (s)."""
        began_s = time.process_time()
        checkpointer = Checkpointer(
            self.store, self.supervisor, self.fleet, folded=lambda: folded, between_batches=asyncio.Lock()
        )
        await checkpointer.write_all()
        return time.process_time() - began_s


async def limits_of(keys: Sequence[str]) -> Mapping[str, int]:
    """Answer for the registry, with strings of its own, as a store reads them."""
    return {key.encode().decode(): 100 for key in keys}


class NewestFixes:
    """The baseline: each terminal's newest fix in a dict."""

    def __init__(self) -> None:
        self._newest: dict[str, Fix] = {}

    async def route(self, batch: Batch) -> list[Outcome]:
        for fix in batch.fixes:
            self._newest[fix.terminal] = fix
        return [Outcome.NEWEST] * len(batch.fixes)


def calls(vehicles: int, driven_s: int, *, began_at: int) -> Iterator[list[bytes]]:
    """Yield one fix of each vehicle, as bodies that are posted at the same time."""
    bodies = []
    for first in range(0, vehicles, ROWS):
        numbers = range(first, min(first + ROWS, vehicles))
        fixed_at = max(began_at + driven_s, int(time.time()) - BEGINS_AGO_S)
        bodies.append(msgpack.packb([fix_of(number, fixed_at, fixed_at - began_at) for number in numbers]))
        if len(bodies) == CALLS:
            yield bodies
            bodies = []
    if bodies:
        yield bodies


async def post(feed: Feed, vehicles: int, driven_s: int, *, began_at: int) -> float:
    """Post a fix of each; return the processor time (s)."""
    spent_s = 0.0
    for bodies in calls(vehicles, driven_s, began_at=began_at):
        before_s = time.process_time()
        answers = await asyncio.gather(*map(feed.take, bodies))
        spent_s += time.process_time() - before_s
        if any(answer.stale or answer.rejected for answer in answers):
            raise RuntimeError("not all was accepted")
    return spent_s


async def fold(vehicles: int, rounds: int, *, null: bool) -> Folded:
    numbers = list(range(vehicles))
    Random(vehicles).shuffle(numbers)  # Terminals report in another order than that in which a start reads them.
    terminals = {phone(number): vehicle_key(number) for number in numbers}
    with TemporaryDirectory(prefix="bench-") as folder:
        store = await SqliteStore.open(Path(folder, "bench.db"))
        subject = VehiclesUnderTest(store, terminals)
        relieve_garbage_collector()
        before = resident_bytes()
        ingest = _ingest(store, NewestFixes().route if null else subject.router.route)
        feed, began_at = Feed(ingest, terminals.__contains__), int(time.time()) - BEGINS_AGO_S
        interval_s = (BEGINS_AGO_S + ENDS_AHEAD_S) // (rounds + 2)
        await post(feed, vehicles, 0, began_at=began_at)
        spent_s = [
            await post(feed, vehicles, number * interval_s, began_at=began_at) for number in range(1, rounds + 1)
        ]
        gc.collect()
        weight = (resident_bytes() - before) / vehicles
        await subject.save(ingest.folded)
        await post(feed, vehicles, (rounds + 1) * interval_s, began_at=began_at)
        checkpoint_us = await subject.save(ingest.folded) / vehicles * 1e6
        await ingest.stop()
        await store.close()
    return Folded(vehicles * rounds, sum(spent_s), weight, checkpoint_us)


def _ingest(store: Store, route: Callable[[Batch], Awaitable[list[Outcome]]]) -> Ingest:
    async def append(received_at: float, fixes: Sequence[Fix]) -> int:
        return await store.append(encode_batch(received_at, fixes))

    ingest = Ingest(append=append, route=route, now=time.time)
    ingest.start()
    return ingest


def main() -> None:
    vehicles, rounds = map(int, sys.argv[1:3])
    print(json.dumps(asdict(asyncio.run(fold(vehicles, rounds, null="null" in sys.argv[3:])))))


if __name__ == "__main__":
    main()
