"""The lead truck of a demo drives from its first second, and its terminal raises an alarm in its first minute."""

from __future__ import annotations

import pytest

from sim.lead import INTERVAL_S, Lead, candidates, pick_lead
from sim.scenarios import scenario
from sim.service_clock import ServiceClock
from sim.truck import FATIGUE, Truck
from sim.world import load

EVERYDAY = scenario("everyday")
MIDNIGHT = 1_796_054_400
"""The start of a day in China."""


def lead_at(now: float, *, vehicles: int = 50) -> Lead:
    return pick_lead(EVERYDAY, seed=1, vehicles=vehicles, clock=ServiceClock(now))


def truck_of(lead: Lead) -> Truck:
    truck = Truck(load(seed=1), seed=1, index=lead.truck, mix=EVERYDAY.drivers, period_s=INTERVAL_S)
    truck.alarm(FATIGUE, lead.alarm_from, lead.alarm_until)
    return truck


@pytest.mark.parametrize("hour", range(0, 24, 3))
def test_at_any_hour_a_truck_of_fifty_drives_and_is_tired_for_a_minute(hour: int) -> None:
    now = MIDNIGHT + hour * 3600
    lead = lead_at(now)
    truck = truck_of(lead)
    assert lead.drives
    assert truck.report(now).speed_dkmh > 0
    tired = [second for second in range(120) if truck.report(now + second).alarms & FATIGUE]
    assert 0 < tired[0] < 60
    assert tired == list(range(tired[0], tired[0] + len(tired)))


def test_a_fleet_in_which_all_rest_says_so() -> None:
    resting = next(hour for hour in range(24) if not lead_at(MIDNIGHT + hour * 3600, vehicles=1).drives)
    assert lead_at(MIDNIGHT + resting * 3600, vehicles=1).truck == 0


@pytest.mark.parametrize("vehicles, those", [(1, 1), (9, 9), (19, 10), (20, 20), (2000, 2000)])
def test_no_driver_of_the_registry_stands_for_more_than_ten_trucks(vehicles: int, those: int) -> None:
    assert candidates(vehicles) == those
