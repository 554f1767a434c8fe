"""The drives that can be chosen by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from sim.faults import HOUR_S, FaultRates
from sim.habits import DriverMix

DEFAULT_INTERVAL_S: Final = 10


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of drive: its drivers, the roads' effects on terminals, and the terminals' faults."""

    name: str
    title: str
    drivers: DriverMix = field(default_factory=DriverMix)
    shade: float = 1.0
    """The number of tunnels and dead zones, relative to everyday roads."""
    faults: FaultRates = field(default_factory=FaultRates)
    interval_s: int = DEFAULT_INTERVAL_S
    """Seconds of the service's clock between two reports."""


class UnknownScenario(ValueError):
    """No scenario has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no scenario {name!r}; there are: {', '.join(sorted(SCENARIOS))}")


_EVERYDAY_FAULTS: Final = FaultRates(duplicate=0.002, junk_items=0.01, chopped=0.004, no_fix=0.001, reboot=0.0003)

SCENARIOS: Final = MappingProxyType(
    {
        scenario.name: scenario
        for scenario in (
            Scenario("everyday", "an ordinary day: a little of everything", faults=_EVERYDAY_FAULTS),
            Scenario("tunnels", "tunnels and dead zones everywhere, with back-fill", shade=6.0),
            Scenario(
                "reconnect_storm",
                "most connections break at once, again and again",
                faults=FaultRates(storm_every_s=12.0, storm_share=0.7, reboot=0.003),
            ),
            Scenario(
                "bad_clocks",
                "terminals whose clocks are whole hours wrong",
                faults=FaultRates(clock_offsets=((0.25, -7 * HOUR_S), (0.15, -8 * HOUR_S), (0.10, 8 * HOUR_S))),
            ),
            Scenario(
                "dirty",
                "duplicates, reordering, noise, bad checksums, positions and alarms that can't be true",
                faults=FaultRates(
                    duplicate=0.05,
                    swapped=0.04,
                    bad_checksum=0.02,
                    noise=0.02,
                    chopped=0.05,
                    junk_items=0.1,
                    no_fix=0.01,
                    null_island=0.01,
                    astray=0.02,
                    absurd_alarms=0.02,
                    reboot=0.002,
                ),
            ),
            Scenario(
                "long_haul",
                "drivers who drive for too long; for a fast clock",
                drivers=DriverMix(relay=0.2, speeding=0.05, overlong=0.65),
                interval_s=30,
            ),
            Scenario("speeders", "most drivers speed", drivers=DriverMix(relay=0.1, speeding=0.75, overlong=0.05)),
        )
    }
)


def scenario(name: str) -> Scenario:
    """Return the scenario of this name. Raises ``UnknownScenario``."""
    found = SCENARIOS.get(name)
    if found is None:
        raise UnknownScenario(name)
    return found
