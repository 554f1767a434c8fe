"""Steps of the machine's clock are settled by the fleet, by patience and over restarts (R50)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.system.clock import RealClock, VirtualClock
from actors.vehicles.timekeeper import KEY, KIND, Timekeeper
from actors.vehicles.vehicle import Fleet
from domain.vehicle.fix import FLAG_DOUBTED, Fix
from domain.vehicle.profile import DEFAULT_PROFILE
from persistence.records import encode_batch
from persistence.sqlite.store import SqliteStore
from persistence.store import Delete, Put
from tests.actors.conftest import T0, fix_of

HOUR_S = 3600.0
DAY_S = 86_400.0


class Machine:
    """A machine, and the processes that run on it one after the other."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.boot = "first boot"
        self.true_s = self.steady_s = float(T0)
        self.wrong_by_s = 0.0
        self.clock: RealClock
        self.keeper: Timekeeper

    async def starts(self, *, speed: float = 1.0) -> None:
        self.clock = RealClock(lambda: self.true_s + self.wrong_by_s, steady=lambda: self.steady_s, speed=speed)
        fleet = Fleet(self.clock, DEFAULT_PROFILE)
        self.keeper = Timekeeper(self.clock, self.store, fleet, boot=self.boot)
        await self.keeper.resume()

    def passes(self, seconds: float) -> None:
        self.true_s += seconds
        self.steady_s += seconds

    def reboots(self, *, after_s: float = 60.0) -> None:
        self.true_s += after_s
        self.steady_s = 0.0
        self.boot = "second boot"

    def hears(self, *terminals: str) -> list[Fix]:
        """Reports of terminals whose clocks are right, as they go into the log."""
        fixes = [fix_of(terminal, int(self.true_s)) for terminal in terminals]
        return list(self.keeper.mark(self.clock.now(), fixes))


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    store = await SqliteStore.open(tmp_path / "store.db")
    machine = Machine(store)
    await machine.starts()
    yield machine
    await store.close()


async def test_r50_a_machine_that_runs_evenly_for_ten_minutes_is_believed(machine: Machine) -> None:
    machine.wrong_by_s = DAY_S
    for _ in range(10):
        machine.passes(59.9)
        machine.keeper.look()
        assert machine.clock.now() == machine.true_s
    machine.passes(61)
    machine.keeper.look()
    assert (machine.clock.now(), machine.clock.is_settled) == (machine.true_s + DAY_S, True)


async def test_r50_a_machine_that_the_fleet_contradicts_is_never_believed(machine: Machine) -> None:
    machine.wrong_by_s = DAY_S
    assert [fix.flags for fix in machine.hears("11")] == [0]
    machine.passes(3 * HOUR_S)
    machine.keeper.look()
    assert (machine.clock.now(), machine.clock.is_settled) == (machine.true_s, False)


async def test_r50_a_machine_is_believed_at_once_when_three_vehicles_agree_with_it(machine: Machine) -> None:
    """The machine was wrong before, and is right now."""
    machine.clock.resume(machine.clock.offset_s - HOUR_S)
    fixes = machine.hears("11", "12")
    assert [fix.flags for fix in fixes] == [FLAG_DOUBTED] * 2
    machine.keeper.look()
    assert not machine.clock.is_settled
    machine.hears("13")
    machine.keeper.look()
    assert (machine.clock.now(), machine.clock.is_settled) == (machine.true_s, True)
    assert [fix.flags for fix in machine.hears("11", "12", "13")] == [0] * 3


async def test_r50_after_each_step_the_fleet_is_asked_anew(machine: Machine) -> None:
    machine.wrong_by_s = DAY_S
    machine.hears("11", "12", "13")
    machine.wrong_by_s = 2 * DAY_S
    machine.keeper.look()
    machine.passes(601)
    machine.keeper.look()
    assert machine.clock.now() == machine.true_s + 2 * DAY_S


@pytest.mark.parametrize("wrong_by_s", [8 * HOUR_S, -HOUR_S])
async def test_r50_a_restart_during_a_step_goes_on_from_the_right_time(machine: Machine, wrong_by_s: float) -> None:
    machine.wrong_by_s = wrong_by_s
    machine.passes(5)
    await machine.starts()
    assert (machine.clock.now(), machine.clock.is_settled) == (machine.true_s, False)
    machine.passes(5)
    await machine.starts()
    assert (machine.clock.now(), machine.clock.is_settled) == (machine.true_s, False)
    machine.wrong_by_s = 0.0
    assert (machine.clock.now(), machine.clock.is_settled) == (machine.true_s, True)


async def test_r50_what_was_believed_is_kept_over_a_restart(machine: Machine) -> None:
    machine.wrong_by_s = HOUR_S
    assert not machine.clock.is_settled
    machine.clock.believe_machine("a test says so")
    assert machine.keeper.is_due()
    await machine.keeper.save()
    assert not machine.keeper.is_due()
    await machine.starts()
    assert (machine.clock.now(), machine.clock.is_settled) == (machine.true_s + HOUR_S, True)


async def test_r50_after_a_reboot_our_time_is_not_before_what_it_was(machine: Machine) -> None:
    """A machine without a battery begins in 1970 until it is told the time."""
    was = machine.clock.now()
    machine.reboots()
    machine.wrong_by_s = -machine.true_s
    await machine.starts()
    assert (machine.clock.now(), machine.clock.is_settled) == (was, False)


async def test_after_a_reboot_a_later_time_is_taken_as_it_is_and_a_long_pause_told(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.reboots(after_s=3 * DAY_S)
    await machine.starts()
    assert (machine.clock.now(), machine.clock.is_settled) == (machine.true_s, True)
    assert "last ran 72 hours ago" in caplog.text


async def test_a_store_without_such_a_note_whose_log_lies_ahead_of_now_is_told(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    await machine.store.commit([Delete(KIND, KEY)])
    await machine.store.append(encode_batch(machine.true_s + HOUR_S, [fix_of("11", T0)]))
    await machine.starts()
    assert machine.clock.is_settled
    assert "received 3600 s from now" in caplog.text


async def test_a_fast_clock_leaves_no_time_that_others_go_on_from(machine: Machine) -> None:
    await machine.starts(speed=60)
    machine.passes(HOUR_S)
    await machine.keeper.save()
    machine.reboots()
    await machine.starts()
    assert (machine.clock.now(), machine.clock.is_settled) == (machine.true_s, True)


async def test_what_can_not_be_read_is_passed_over(machine: Machine) -> None:
    await machine.store.commit([Put(KIND, KEY, b"\x92\x01\xc0")])
    await machine.starts()
    assert machine.clock.is_settled


async def test_a_virtual_clock_needs_no_keeping(machine: Machine) -> None:
    clock = VirtualClock(T0)
    keeper = Timekeeper(clock, machine.store, Fleet(clock, DEFAULT_PROFILE), boot="third boot")
    await keeper.resume()
    keeper.look()
    assert not keeper.is_due()
    assert list(keeper.mark(T0, [fix_of("11", T0)])) == [fix_of("11", T0)]
