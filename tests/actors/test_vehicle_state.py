"""A vehicle's stored state of an earlier version is read as the rules are now."""

from __future__ import annotations

from actors.vehicles.state import from_record, to_record
from domain.vehicle.profile import DEFAULT_PROFILE
from domain.vehicle.quality import Outcome
from domain.vehicle.terminal_clock import TerminalClock
from domain.vehicle.vehicle import Vehicle, accept
from tests.domain.test_vehicle import T0, Truck, fix_at

QUARTER_S = 900


def stored(offset_s: int) -> Vehicle:
    """A truck whose terminal is ``-offset_s`` behind, as a version that had learned this stored it."""
    truck = Truck()
    truck.take(fix_at(T0 + offset_s), received_at=T0)
    truck.vehicle.fixed_at = truck.vehicle.reported_at = T0
    truck.vehicle.terminal_clock = TerminalClock(offset_s, offset_s, 9, T0 - 300.0, float(T0))
    return from_record("v", to_record(truck.vehicle))


def test_r50_a_learned_quarter_of_an_hour_is_unlearned_and_the_terminal_s_own_time_holds() -> None:
    vehicle = stored(-QUARTER_S)
    assert (vehicle.fixed_at, vehicle.reported_at, vehicle.terminal_clock) == (T0 - QUARTER_S, T0 - QUARTER_S, None)
    outcome = accept(vehicle, fix_at(T0 - QUARTER_S + 30), T0 + 30, DEFAULT_PROFILE, Truck().quality)
    assert (outcome, vehicle.fixed_at) == (Outcome.NEWEST, T0 - QUARTER_S + 30)


def test_r50_learned_whole_hours_stay() -> None:
    vehicle = stored(-4 * QUARTER_S)
    assert vehicle.fixed_at == T0
    assert vehicle.terminal_clock is not None
    assert vehicle.terminal_clock.offset_s == -3600


def test_quarantined_reports_come_back_with_the_state() -> None:
    truck = Truck()
    truck.take(fix_at(T0))
    truck.take(fix_at(T0 + 1000), received_at=T0 + 1)
    vehicle = from_record("v", to_record(truck.vehicle))
    assert vehicle.terminal_clock == truck.vehicle.terminal_clock
    assert vehicle.terminal_clock is not None
    assert vehicle.terminal_clock.ahead == ((fix_at(T0 + 1000), T0 + 1),)
