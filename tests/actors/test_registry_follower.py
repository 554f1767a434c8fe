"""A running service takes in what imports write: terminals move without their past, and no vehicle misses its new limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import pytest

from actors.system.runtime import MailboxFull
from actors.vehicles.directory import Directory
from actors.vehicles.registry_follower import RegistryFollower
from actors.vehicles.vehicle import KIND, RegistryChanged, VehicleActor
from domain.registry import RegisteredVehicle
from persistence.store import StoreUnavailable
from tests.actors.conftest import T0, House, fix_of
from tests.actors.test_directory import Change
from tests.actors.test_fleet import Paused


class Listed(NamedTuple):
    """The part of a registered vehicle that a follower reads."""

    id: str
    terminal_phone: str
    speed_limit_kmh: int = 100
    needs_auth: bool = True


class Registry:
    """Two vehicles, and what imports have written since."""

    def __init__(self) -> None:
        self.written: list[Sequence[Listed]] = []
        self.works = True
        self.was_away = asyncio.Event()

    async def revision(self) -> str:
        return "0"

    async def directory(self) -> Sequence[tuple[str, str, bool]]:
        return [("11", "v11", True), ("12", "v12", True)]

    async def changes(self, after: str) -> Change:
        if not self.works:
            self.was_away.set()
            raise StoreUnavailable("away")
        news = self.written[int(after) : int(after) + 1]
        vehicles = cast(Sequence[RegisteredVehicle], news[0] if news else ())
        return Change(vehicles, str(int(after) + len(news)))


class Following:
    """A fleet, and the follower that brings it what imports write."""

    def __init__(self, house: House, directory: Directory, registry: Registry) -> None:
        self.house = house
        self.directory = directory
        self.registry = registry
        self.follower = RegistryFollower(directory, house.supervisor)

    async def imports(self, *vehicles: Listed) -> None:
        self.registry.written.append(vehicles)
        await self.look()

    async def look(self) -> None:
        await self.follower.look(self.house.checkpoints.write_all_and)

    def limit_dkmh(self, terminal: str) -> int:
        return self.house.actor(terminal).vehicle.limit_dkmh


@pytest.fixture
async def following(house: House) -> Following:
    registry = Registry()
    directory = Directory(registry, b"secret")
    await directory.load()
    return Following(house, directory, registry)


def _fill(actor: VehicleActor) -> None:
    while True:
        actor.tell(RegistryChanged(100))


async def test_an_awake_vehicle_is_told_its_new_limit_and_counts_as_changed(following: Following) -> None:
    house = following.house
    await house.report(fix_of("11", T0))
    await house.checkpoints.write_all()
    assert not house.actor("11").dirty
    await following.imports(Listed("v11", "11", speed_limit_kmh=80))
    assert house.actor("11").dirty
    await house.rest()
    assert (following.limit_dkmh("11"), following.follower.told()) == (800, "1")


async def test_a_sleeping_vehicle_is_not_woken(following: Following) -> None:
    await following.imports(Listed("v11", "11", speed_limit_kmh=80))
    assert not following.house.supervisor.actors(KIND)
    assert following.follower.told() == "1"


async def test_a_vehicle_with_a_full_mailbox_is_told_later_and_holds_the_note_back(following: Following) -> None:
    house = following.house
    await house.report(fix_of("11", T0))
    actor = house.actor("11")
    with Paused(actor):
        with pytest.raises(MailboxFull):
            _fill(actor)
        await following.imports(Listed("v11", "11", speed_limit_kmh=80))
        await following.look()
        assert following.follower.told() is None
    await house.rest()
    await following.look()
    await house.rest()
    assert (following.limit_dkmh("11"), following.follower.told()) == (800, "1")


async def test_a_vehicle_that_is_being_loaded_is_told_when_it_is_awake(
    following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vehicle may have been read before the import."""
    house, is_read, may_load = following.house, asyncio.Event(), asyncio.Event()
    read = type(house.kind).load

    async def slow(kind: object, keys: Sequence[str]) -> object:
        loaded = await read(house.kind, keys)
        is_read.set()
        await may_load.wait()
        return loaded

    monkeypatch.setattr(type(house.kind), "load", slow)
    reporting = asyncio.create_task(house.report(fix_of("11", T0)))
    await is_read.wait()
    await following.imports(Listed("v11", "11", speed_limit_kmh=80))
    assert following.follower.told() is None
    may_load.set()
    await reporting
    await following.look()
    await house.rest()
    assert (following.limit_dkmh("11"), following.follower.told()) == (800, "1")


async def test_what_a_terminal_told_of_its_old_vehicle_is_checkpointed_before_it_moves(following: Following) -> None:
    house = following.house
    await house.report(fix_of("11", T0))
    assert house.actor("11").dirty
    was: list[tuple[str | None, bool]] = []

    async def witnessed(change: Callable[[], None]) -> None:
        def seen() -> None:
            was.append((following.directory.vehicle_of("11"), house.actor("11").dirty))

        def surrounded() -> None:
            seen()
            change()
            seen()

        seen()
        await house.checkpoints.write_all_and(surrounded)

    following.registry.written.append([Listed("v11", ""), Listed("v12", "11")])
    await following.follower.look(witnessed)
    assert was == [("v11", True), ("v11", False), ("v12", False)]


async def test_an_import_that_moves_no_terminal_waits_for_no_checkpoint(following: Following) -> None:
    await following.house.report(fix_of("11", T0))

    async def never(change: object) -> None:
        raise AssertionError("nothing moves")

    following.registry.written.append([Listed("v13", "13"), Listed("v11", "11")])
    await following.follower.look(never)
    assert following.directory.vehicle_of("13") == "v13"


async def test_a_store_that_is_away_is_asked_again(following: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.vehicles.registry_follower.POLL_S", 0.0)
    following.registry.works = False
    running = asyncio.create_task(following.follower.run(following.house.checkpoints.write_all_and))
    await following.registry.was_away.wait()
    following.registry.written.append([Listed("v13", "13")])
    following.registry.works = True
    while following.directory.vehicle_of("13") is None:
        assert not running.done()
        await asyncio.sleep(0)
    running.cancel()
