"""When is it so many calendar days or months later in China?"""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime, timedelta

from domain.certificates import CHINA_TIME


def days_later(at: float, days: int) -> float:
    """The same time of day, ``days`` later (Unix seconds)."""
    return at + timedelta(days=days).total_seconds()


def months_later(at: float, months: int) -> float:
    """The same day and time of day ``months`` later, clamped to that month's last day (Unix seconds)."""
    start = datetime.fromtimestamp(at, CHINA_TIME)
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = min(start.day, monthrange(year, month + 1)[1])
    # Not through `timestamp()` of the whole: a float's fraction must come back as it went in.
    moved = start.replace(year=year, month=month + 1, day=day)
    return at + (moved - start).total_seconds()
