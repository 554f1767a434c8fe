"""The thresholds of telemetry's rules, in one profile, so that a fleet or a law can change them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """The thresholds of R32, R50 and R52; the defaults are the rules'."""

    offline_after_s: int = 600
    """Silence after which a vehicle is offline and what the platform inferred has ended (R32, R52)."""

    speed_limit_kmh: int = 100
    """The limit of a vehicle for which the registry gives none (R52)."""
    fatigue_s: int = 4 * 3600
    """Driving without a real stop beyond which a driver is fatigued (R52)."""
    fatigue_warning_s: int = 4 * 3600 - 30 * 60
    rest_s: int = 20 * 60
    """The shortest stop that begins a new stint (R52)."""
    data_gap_s: int = 300
    """The longest interval between two fixes that tells driving or rest (R52); a longer one tells neither."""
    moving_dkmh: int = 50
    """The speed (0.1 km/h) from which a truck drives; below it the truck stands, and GPS noise talks."""
    parked_within_m: float = 200.0
    """The distance within which a truck that stands before and after a silence was parked all the while (R52)."""

    future_s: int = 300
    """The furthest that a fix may be ahead of our clock; beyond it the fix is quarantined (R50)."""
    jump_m: float = 500.0
    jump_mps: float = 50.0
    """The speed bound of a jump: no truck gets further than ``jump_m + jump_mps * elapsed`` (R50)."""
    jump_agreement: int = 5
    """The number of 'impossible' fixes in a row, agreeing with each other, that proves the fix before them wrong."""


DEFAULT_PROFILE = Profile()
