"""The lead truck, which a demo shares: on the road from its first second, with an alarm in its first minute."""

from __future__ import annotations

from typing import Final, NamedTuple

from sim.registry_lines import VEHICLES_PER_DRIVER
from sim.scenarios import Scenario
from sim.service_clock import ServiceClock
from sim.truck import POSITIONED, Truck
from sim.world import load

INTERVAL_S: Final = 3
"""Seconds between the lead's reports, so that its page moves while a newcomer looks."""
ALARM_AFTER_S: Final = 20.0
ALARM_LASTS_S: Final = 60.0
"""Real seconds, both: a viewer sees the alert begin and end."""
_DRIVES_FOR_S: Final = 300
_LOOK_EVERY_S: Final = 20
_DRIVING_KMH: Final = 20


class Lead(NamedTuple):
    """The lead's number in the fleet, and the time of its fatigue alarm (Unix seconds of the service's clock)."""

    truck: int
    alarm_from: float
    alarm_until: float
    drives: bool
    """False where every truck of the fleet rests at this hour."""


def pick_lead(scenario: Scenario, *, seed: int, vehicles: int, clock: ServiceClock) -> Lead:
    """Return the first truck that drives under an open sky for the next five minutes; else truck 0.

    Each driver in the registry stands for ten trucks, so that repeated demos never exceed R13.
    """
    now = clock.now()
    world = load(seed=seed, shade=scenario.shade)
    alarm = (now + ALARM_AFTER_S * clock.speed, now + (ALARM_AFTER_S + ALARM_LASTS_S) * clock.speed)
    for number in range(candidates(vehicles)):
        truck = Truck(world, seed=seed, index=number, mix=scenario.drivers, period_s=INTERVAL_S)
        if _drives_on(truck, int(now)):
            return Lead(number, *alarm, drives=True)
    return Lead(0, *alarm, drives=False)


def candidates(vehicles: int) -> int:
    """Count the trucks, from the first on, that the registry's drivers stand for."""
    return min(vehicles, max(1, vehicles // VEHICLES_PER_DRIVER) * VEHICLES_PER_DRIVER)


def _drives_on(truck: Truck, now: int) -> bool:
    reports = (truck.report(at) for at in range(now, now + _DRIVES_FOR_S, _LOOK_EVERY_S))
    return all(
        report.reachable and report.status & POSITIONED and report.speed_dkmh > _DRIVING_KMH * 10 for report in reports
    )
