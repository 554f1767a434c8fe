"""The thresholds of telemetry's rules, in one profile, so that a fleet or a law can change them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """The thresholds of R32, R50 and R52; the defaults are the rules'."""

    offline_after_s: int = 600
    """R32, R52: without a current fix for so long, a vehicle is offline, and what the platform inferred has ended."""

    speed_limit_kmh: int = 100
    """R52: the limit of a vehicle of which the registry says nothing."""
    fatigue_s: int = 4 * 3600
    """R52: more driving than this without a real stop is fatigue driving."""
    fatigue_warning_s: int = 4 * 3600 - 30 * 60
    rest_s: int = 20 * 60
    """R52: a stop at least this long begins a new stint."""
    data_gap_s: int = 300
    """Two fixes further apart than this tell nothing of the time between: neither driving nor rest (R52)."""
    moving_dkmh: int = 50
    """From this speed (0.1 km/h) a truck drives; below it stands, and GPS noise talks."""
    parked_within_m: float = 200.0
    """R52: a truck that stands before and after a silence, no further apart than this, was parked all the while."""

    future_s: int = 300
    """R50: a fix further ahead of our clock is quarantined."""
    jump_m: float = 500.0
    jump_mps: float = 50.0
    """R50: no truck gets further than ``jump_m + jump_mps * elapsed``."""
    jump_agreement: int = 5
    """So many 'impossible' fixes in a row that agree with each other mean that the one before them was the wrong one."""


DEFAULT_PROFILE = Profile()
