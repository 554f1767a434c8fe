"""Tests of how a terminal's vehicle follows the registry while the service runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import pytest

from actors.vehicles.directory import LOOKED_AT_ONCE, Directory
from domain.identifiers import PlateColor
from domain.registry import RegisteredVehicle
from tests.actors.conftest import T0, House, fix_of


def vehicle(plate: str, terminal: str, *, needs_auth: bool = True) -> RegisteredVehicle:
    day = date(2030, 1, 1)
    return RegisteredVehicle(
        plate, PlateColor.YELLOW, "LGAV1ZCG1SN069377", "1", day, None, "91110101101629131F", terminal, 100, needs_auth
    )


@dataclass
class Change:
    vehicles: Sequence[RegisteredVehicle]
    cursor: str


@dataclass
class Source:
    """A registry: what it holds, and what changed after each revision."""

    held: list[RegisteredVehicle] = field(default_factory=list)
    changed: list[Sequence[RegisteredVehicle]] = field(default_factory=list)

    async def revision(self) -> str:
        return str(len(self.changed))

    async def directory(self) -> Sequence[tuple[str, str, bool]]:
        return [(held.terminal_phone, held.id, held.needs_auth) for held in self.held]

    async def changes(self, after: str) -> Change:
        told = int(after)
        return Change(self.changed[told] if told < len(self.changed) else (), str(min(told + 1, len(self.changed))))


A, B = vehicle("京A00001", "11"), vehicle("京A00002", "12", needs_auth=False)


async def loaded() -> tuple[Source, Directory]:
    source = Source([A, B])
    directory = Directory(source, b"secret")
    await directory.load()
    return source, directory


async def test_it_knows_who_is_registered_and_who_must_authenticate() -> None:
    _, directory = await loaded()
    assert (directory.vehicle_of("11"), directory.vehicle_of("13")) == (A.id, None)
    assert (directory.needs_auth("11"), directory.needs_auth("12")) == (True, False)
    assert len(directory) == 2


async def test_a_code_is_the_terminal_s_own_and_the_store_s() -> None:
    _, directory = await loaded()
    assert directory.auth_code("11") == directory.auth_code("11") != directory.auth_code("12")
    assert Directory(Source(), b"another").auth_code("11") != directory.auth_code("11")
    assert len(directory.auth_code("11")) == 16


async def test_a_terminal_moves_to_another_vehicle_and_back() -> None:
    source, directory = await loaded()
    source.changed.append([vehicle("京A00001", ""), vehicle("京A00002", "11")])
    changes = await directory.look()
    assert changes is not None
    moving = await directory.moving(changes)
    assert moving == {"11", "12"}
    directory.take_in(changes, moving)
    assert (directory.vehicle_of("11"), directory.vehicle_of("12")) == (B.id, None)
    assert await directory.look() is None


async def test_a_change_that_moves_no_terminal_moves_none() -> None:
    source, directory = await loaded()
    source.changed.append([vehicle("京A00003", "13")])
    changes = await directory.look()
    assert changes is not None
    moving = await directory.moving(changes)
    assert moving == set()
    directory.take_in(changes, moving)
    assert directory.knows("13")


IMEI, IMEI_AS_NUMBER = "865478070102068", "4eb6fb4afd9e"


async def test_an_imei_is_known_by_both_of_its_spellings_and_counted_once() -> None:
    source = Source([vehicle("京A00001", IMEI, needs_auth=False)])
    directory = Directory(source, b"secret")
    await directory.load()
    for spelling in (IMEI, IMEI_AS_NUMBER):
        assert (directory.vehicle_of(spelling), directory.needs_auth(spelling)) == (A.id, False)
    assert len(directory) == 1


@pytest.mark.parametrize("successor", ["", "11", IMEI_AS_NUMBER])
async def test_both_spellings_of_an_imei_move(successor: str) -> None:
    source = Source([vehicle("京A00001", IMEI)])
    directory = Directory(source, b"secret")
    await directory.load()
    source.changed.append([vehicle("京A00001", successor), vehicle("京A00002", "" if successor else IMEI)])
    changes = await directory.look()
    assert changes is not None
    moving = await directory.moving(changes)
    assert moving == {IMEI, IMEI_AS_NUMBER} - {successor}
    directory.take_in(changes, moving)
    now = B.id if not successor else None
    assert directory.vehicle_of(IMEI) == now
    assert directory.vehicle_of(IMEI_AS_NUMBER) == (A.id if successor == IMEI_AS_NUMBER else now)
    assert len(directory) == 1


@pytest.mark.parametrize("order", [1, -1])
async def test_a_name_of_its_own_goes_before_the_second_spelling_of_another_s(order: int) -> None:
    source = Source([vehicle("京A00001", IMEI), vehicle("京A00002", IMEI_AS_NUMBER)][::order])
    directory = Directory(source, b"secret")
    await directory.load()
    assert (directory.vehicle_of(IMEI), directory.vehicle_of(IMEI_AS_NUMBER)) == (A.id, B.id)
    assert len(directory) == 2


async def test_others_have_their_turns_while_a_large_fleet_is_looked_through() -> None:
    fleet = [vehicle(f"京A{number:05}", str(number)) for number in range(2 * LOOKED_AT_ONCE)]
    source = Source(fleet)
    directory = Directory(source, b"secret")
    await directory.load()
    source.changed.append([vehicle("京A00000", "99999")])
    changes = await directory.look()
    assert changes is not None
    looking = asyncio.create_task(directory.moving(changes))
    turns = 0
    while not looking.done():
        await asyncio.sleep(0)
        turns += 1
    assert looking.result() == {"0"}
    assert turns > 2


async def test_r40_what_a_terminal_told_of_its_old_vehicle_stays_there_after_a_crash(house: House) -> None:
    await house.report(fix_of("11", T0))
    moved: list[int] = []
    await house.checkpoints.write_all_and(lambda: moved.append(house.folded))
    assert moved == [house.folded]
    house2, recovered = await house.crashed()
    assert recovered.fixes == 0
    assert (await house2.look("11")).fixed_at == T0


async def test_nothing_is_folded_between_the_last_checkpoint_and_the_move(house: House) -> None:
    await house.report(fix_of("11", T0))
    lock = house.checkpoints._between_batches
    async with lock:
        moving = asyncio.create_task(house.checkpoints.write_all_and(lambda: None))
        await asyncio.sleep(0.01)
        assert not moving.done()
    await moving
