"""A fleet of real vehicle actors over a real store, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from actors.system.clock import VirtualClock
from actors.system.runtime import Dispatcher
from actors.system.supervisor import Supervisor
from actors.vehicles.checkpoints import Checkpointer
from actors.vehicles.recovery import Recovered, Recovery
from actors.vehicles.state import VehicleKind
from actors.vehicles.telemetry import Router
from actors.vehicles.vehicle import KIND, Fleet, Look, VehicleActor, VehicleView
from domain.vehicle.fix import Batch, Fix
from domain.vehicle.profile import DEFAULT_PROFILE
from domain.vehicle.quality import Outcome
from persistence.records import encode_batch
from persistence.sqlite.store import SqliteStore
from tests.actors.people_house import PeopleHouse, dont_wait_for_the_disk

T0 = 1_780_000_000


def fix_of(terminal: str, at: int, *, speed_dkmh: int = 0, lon: int = 114_300_000, alarms: int = 0) -> Fix:
    return Fix(terminal, at, lon, 30_600_000, 30, speed_dkmh, 90, alarms, 3, 0)


def vehicle_of(terminal: str) -> str | None:
    """Terminals that begin with 1 are registered; the vehicle's key is made of the number."""
    return f"v{terminal}" if terminal.startswith("1") else None


LIMITS: dict[str, int] = {}
"""Speed limits that the registry names, km/h."""


async def limits_of(keys: Sequence[str]) -> Mapping[str, int]:
    return {key: LIMITS.get(key, 100) for key in keys if key.startswith("v1")}


class House:
    """The parts that run.py would compose, as far as telemetry needs them."""

    def __init__(self, store: SqliteStore, at: float) -> None:
        self.store = store
        self.clock = VirtualClock(at, settle=self.rest)
        self.dispatcher = Dispatcher()
        self.fleet = Fleet(self.clock, DEFAULT_PROFILE)
        self.kind = VehicleKind(store, self.dispatcher, self.fleet, limits_of=limits_of, vehicle_of=vehicle_of)
        self.supervisor = Supervisor(self.dispatcher, self.clock, {KIND: self.kind}, answer_s=2.0)
        self.router = Router(self.supervisor, self.fleet, vehicle_of)
        self.folded = 0
        self.checkpoints = Checkpointer(
            store, self.supervisor, self.fleet, folded=lambda: self.folded, between_batches=asyncio.Lock()
        )

    async def rest(self) -> None:
        await self.supervisor.rest()

    async def report(self, *fixes: Fix) -> list[Outcome]:
        number = await self.store.append(encode_batch(self.clock.now(), fixes))
        outcomes = await self.router.route(Batch(number, self.clock.now(), fixes))
        self.folded = number
        return outcomes

    async def look(self, terminal: str) -> VehicleView:
        view = await self.supervisor.ask(f"v{terminal}", Look())
        assert isinstance(view, VehicleView)
        return view

    def actor(self, terminal: str) -> VehicleActor:
        actor = self.supervisor.actors(KIND)[f"v{terminal}"]
        assert isinstance(actor, VehicleActor)
        return actor

    async def crashed(self, *, after_s: float = 1.0) -> tuple[House, Recovered]:
        """The next process on the same store, after nothing of this one was saved on the way out."""
        house = House(self.store, self.clock.now() + after_s)
        recovery = Recovery(self.store, house.supervisor, house.kind, limits_of=limits_of, vehicle_of=vehicle_of)
        recovered = await recovery.run()
        house.folded = recovered.last_number
        await house.rest()
        return house, recovered


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    store = await SqliteStore.open(tmp_path / "store.db")
    yield House(store, T0 + 1.0)
    await store.close()


@pytest.fixture
async def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PeopleHouse]:
    """People, links and vehicles. A test that makes a ``successor`` leaves it on the same store."""
    dont_wait_for_the_disk(monkeypatch)
    house = PeopleHouse(await SqliteStore.open(tmp_path / "store.db"))
    await house.household.recover()
    yield house
    await house.die()
    await house.store.close()
