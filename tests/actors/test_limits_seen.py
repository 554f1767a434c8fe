"""Tests that a start knows each vehicle's speed limit without asking the registry for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

from actors.vehicles.checkpoints import Checkpointer
from actors.vehicles.limits_seen import LimitsSeen
from actors.vehicles.recovery import Recovery
from actors.vehicles.vehicle import RegistryChanged
from domain.registry import RegisteredVehicle
from tests.actors.conftest import T0, House, fix_of, vehicle_of
from tests.actors.test_directory import Change
from tests.actors.test_fleet import Paused


class Limit(NamedTuple):
    """The part of a registered vehicle that the code reads."""

    id: str
    speed_limit_kmh: int


class Imports:
    """A registry of vehicles with 100 km/h, and what imports said since."""

    def __init__(self) -> None:
        self.said: list[Limit] = []
        self.asked: list[str] = []
        """Vehicles that were looked up one by one."""

    def told(self) -> str:
        return str(len(self.said))

    async def revision(self) -> str:
        return self.told()

    async def directory(self) -> Sequence[tuple[str, str, bool]]:
        return ()

    async def changes(self, after: str) -> Change:
        news = cast(Sequence[RegisteredVehicle], self.said[int(after) : int(after) + 1])
        return Change(news, str(int(after) + len(news)))

    async def limits_of(self, keys: Sequence[str]) -> Mapping[str, int]:
        self.asked += keys
        return dict.fromkeys(keys, 100) | {each.id: each.speed_limit_kmh for each in self.said if each.id in keys}


def noting(house: House, imports: Imports, *, is_told: bool = True) -> House:
    seen = LimitsSeen(house.store, imports, told=imports.told if is_told else lambda: None)
    house.checkpoints = Checkpointer(
        house.store,
        house.supervisor,
        house.fleet,
        folded=lambda: house.folded,
        between_batches=asyncio.Lock(),
        limits_seen=seen,
    )
    return house


async def crashed(house: House, imports: Imports) -> House:
    """The next process, after nothing was saved on the way out."""
    imports.asked.clear()
    successor = noting(House(house.store, house.clock.now() + 1), imports)
    seen = LimitsSeen(house.store, imports, told=imports.told)
    limits_of = await seen.limits_of(imports.limits_of)
    recovery = Recovery(house.store, successor.supervisor, successor.kind, limits_of=limits_of, vehicle_of=vehicle_of)
    successor.folded = (await recovery.run()).last_number
    return successor


def limit_dkmh(house: House, terminal: str) -> int:
    return house.actor(terminal).vehicle.limit_dkmh


async def test_without_a_note_each_vehicle_is_asked_for(house: House) -> None:
    imports = Imports()
    await house.report(fix_of("11", T0))
    await house.checkpoints.write_all()
    await crashed(house, imports)
    assert imports.asked == ["v11"]


async def test_after_a_whole_round_nobody_is_asked_for(house: House) -> None:
    imports = Imports()
    noting(house, imports)
    await house.report(fix_of("11", T0))
    await house.checkpoints.write_all()
    successor = await crashed(house, imports)
    assert (limit_dkmh(successor, "11"), imports.asked) == (1000, [])


async def test_what_an_import_said_since_holds_after_the_start_and_after_the_next(house: House) -> None:
    imports = Imports()
    noting(house, imports)
    await house.report(fix_of("11", T0), fix_of("12", T0))
    await house.checkpoints.write_all()
    imports.said.append(Limit("v11", 80))
    successor = await crashed(house, imports)
    assert (limit_dkmh(successor, "11"), limit_dkmh(successor, "12")) == (800, 1000)
    await successor.checkpoints.write_all()
    assert limit_dkmh(await crashed(successor, imports), "11") == 800
    assert imports.asked == []


async def test_a_limit_told_to_a_vehicle_is_in_its_state_before_the_note_says_so(house: House) -> None:
    imports = Imports()
    noting(house, imports)
    await house.report(fix_of("11", T0))
    await house.checkpoints.write_all()
    imports.said.append(Limit("v11", 80))
    house.actor("11").tell(RegistryChanged(80))
    await house.rest()
    await house.checkpoints.write_all()
    assert limit_dkmh(await crashed(house, imports), "11") == 800


async def test_a_vehicle_that_is_busy_holds_the_note_back(house: House) -> None:
    imports = Imports()
    noting(house, imports)
    await house.report(fix_of("11", T0))
    await house.checkpoints.write_all()
    imports.said.append(Limit("v11", 80))
    with Paused(house.actor("11")):
        await house.report(fix_of("12", T0))
        await house.checkpoints.write_all()
        assert limit_dkmh(await crashed(house, imports), "11") == 800


async def test_while_somebody_is_not_told_yet_nothing_is_noted(house: House) -> None:
    imports = Imports()
    noting(house, imports, is_told=False)
    await house.report(fix_of("11", T0))
    await house.checkpoints.write_all()
    await crashed(house, imports)
    assert imports.asked == ["v11"]
