"""The kinds of drivers and terminals in a fleet, and their assignment to trucks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Final


class Driver(Enum):
    """The kind of driver."""

    CAREFUL = "careful"
    """Keeps to the limit, rests after two or three hours, and sleeps in a bed every night (or, for some, every day)."""
    RELAY = "relay"
    """Two drivers take turns, day and night, and change over during rests of at least 20 minutes."""
    SPEEDING = "speeding"
    """Rests as a careful driver does, but exceeds the limit for minutes at a time."""
    OVERLONG = "overlong"
    """Drives for hours on end with stops too short to rest."""


class FatigueCarrier(Enum):
    """The way in which the terminal reports a tired driver, if it can."""

    NONE = "none"
    ALARM_BIT = "alarm bit 2"
    ITEM_18 = "item 0x18"
    CAMERA = "item 0x65"


@dataclass(frozen=True, slots=True)
class DriverMix:
    """Weights of the driver kinds in a fleet; the rest up to 1 is careful."""

    relay: float = 0.35
    speeding: float = 0.12
    overlong: float = 0.05

    def pick(self, draw: float) -> Driver:
        """Return the kind at ``draw`` in [0, 1)."""
        for kind, weight in (
            (Driver.RELAY, self.relay),
            (Driver.SPEEDING, self.speeding),
            (Driver.OVERLONG, self.overlong),
        ):
            if draw < weight:
                return kind
            draw -= weight
        return Driver.CAREFUL


@dataclass(frozen=True, slots=True)
class Device:
    """A terminal's abilities; they depend on the seed and the truck alone, never on the scenario."""

    protocol_version: int | None
    """1 for the 2019 layout, None for 2013's."""
    computes_speeding: bool
    """The terminal sets alarm bit 1 itself, exactly when its own speed is above the limit."""
    warns_of_speeding: bool
    """The terminal sets bit 13 within 5 km/h below the limit; only if it computes speeding."""
    fatigue: FatigueCarrier
    zeroes_without_fix: bool
    """The terminal sends (0,0) instead of the last known position while it has no satellites."""
    vendor_items: bool
    """The terminal adds items that only its maker understands."""


_LIMITS_KMH: Final = (None, None, None, None, None, None, None, None, 90, 80)
DEFAULT_LIMIT_KMH: Final = 100


def limit_kmh(seed: int, index: int) -> int | None:
    """Return this vehicle's speed limit in the registry; None means 100."""
    return Random(f"{seed}/limit/{index}").choice(_LIMITS_KMH)


def device(seed: int, index: int) -> Device:
    """Return the terminal of truck ``index`` in this seed's fleet."""
    rng = Random(f"{seed}/device/{index}")
    computes = rng.random() < 0.6
    return Device(
        protocol_version=1 if rng.random() < 0.5 else None,
        computes_speeding=computes,
        warns_of_speeding=computes and rng.random() < 0.4,
        fatigue=rng.choices(list(FatigueCarrier), (4, 3, 1, 2))[0],
        zeroes_without_fix=rng.random() < 0.5,
        vendor_items=rng.random() < 0.3,
    )
