"""How long has somebody driven without a stop, and how much today? (R52)

Each fix's state, moving or standing, holds until the next fix. Longer than ``data_gap_s`` nobody knows: that time is
neither driving nor rest and breaks neither.
"""

from __future__ import annotations

from domain.profile import Profile

DAY_S = 86_400
SHANGHAI_OFFSET_S = 8 * 3600


def civil_day(at: float) -> int:
    """The Asia/Shanghai day of an instant, counted from 1970-01-01."""
    return int(at + SHANGHAI_OFFSET_S) // DAY_S


def stint_after(driving_s: int, rest_s: int, *, interval_s: int, moving: bool, profile: Profile) -> tuple[int, int]:
    """Driving and rest seconds of the running stint after an interval of driving or standing.

    A stop that has reached ``rest_s`` ends the stint: driving starts again from 0.
    """
    if moving:
        return driving_s + interval_s, 0
    rest_s += interval_s
    return (0 if rest_s >= profile.rest_s else driving_s), rest_s


def fatigue_kind(driving_s: int, profile: Profile) -> str | None:
    """What the platform suspects after so much driving without a stop: fatigue, a warning of it, or nothing."""
    if driving_s <= profile.fatigue_warning_s:
        return None
    return "fatigue" if driving_s > profile.fatigue_s else "fatigue_warning"
