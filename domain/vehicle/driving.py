"""The hours at the wheel since the last real stop (R52).

Each fix's state, moving or standing, holds until the next fix. An interval longer than ``data_gap_s`` is unknown: neither
driving nor rest, unless the truck stood through it at one place.
"""

from __future__ import annotations

from domain.vehicle.profile import Profile


def stint_after(driving_s: int, rest_s: int, *, interval_s: int, moving: bool, profile: Profile) -> tuple[int, int]:
    """Return driving and rest seconds of the running stint after an interval of driving or standing.

    A stop that has reached ``rest_s`` ends the stint: driving starts again from 0.
    """
    if moving:
        return driving_s + interval_s, 0
    rest_s += interval_s
    return (0 if rest_s >= profile.rest_s else driving_s), rest_s


def fatigue_kind(driving_s: int, profile: Profile) -> str | None:
    """Return the alert that this much driving without a stop raises: fatigue, a warning of it, or None."""
    if driving_s <= profile.fatigue_warning_s:
        return None
    return "fatigue" if driving_s > profile.fatigue_s else "fatigue_warning"
