"""China's civil time, the one place that knows it: calendar days, and instants that lie days or months apart."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime, timedelta, timezone
from typing import Final

DAY_S: Final = 86_400
CHINA_OFFSET_S: Final = 8 * 3600
CHINA_TIME: Final = timezone(timedelta(seconds=CHINA_OFFSET_S), "Asia/Shanghai")
"""China's time zone. It has no summer time since 1991, so no zone database is needed."""


def china_date(at: float) -> date:
    """Return the calendar date in China at ``at`` (Unix seconds)."""
    return datetime.fromtimestamp(at, CHINA_TIME).date()


def civil_day(at: float) -> int:
    """Return the Asia/Shanghai day of an instant, counted from 1970-01-01."""
    return int(at + CHINA_OFFSET_S) // DAY_S


def midnight_of(day: int) -> int:
    """Return the first second of a day (Unix seconds)."""
    return day * DAY_S - CHINA_OFFSET_S


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
