"""China's civil time: calendar days, and instants that lie days or months apart."""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime, timedelta
from typing import Final

from domain.people.certificates import CHINA_TIME

DAY_S: Final = 86_400
_OFFSET_S: Final = 8 * 3600


def civil_day(at: float) -> int:
    """Return the Asia/Shanghai day of an instant, counted from 1970-01-01."""
    return int(at + _OFFSET_S) // DAY_S


def midnight_of(day: int) -> int:
    """Return the first second of a day (Unix seconds)."""
    return day * DAY_S - _OFFSET_S


def days_later(at: float, days: int) -> float:
    """Return the same time of day, ``days`` later (Unix seconds)."""
    return at + timedelta(days=days).total_seconds()


def months_later(at: float, months: int) -> float:
    """Return the same day and time of day ``months`` later, clamped to that month's last day (Unix seconds)."""
    start = datetime.fromtimestamp(at, CHINA_TIME)
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = min(start.day, monthrange(year, month + 1)[1])
    # The fraction is added apart: `timestamp()` of the whole would not give a float's fraction back as it went in.
    moved = start.replace(year=year, month=month + 1, day=day)
    return at + (moved - start).total_seconds()
