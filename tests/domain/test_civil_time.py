"""R13, R17: days, months and years later in China's civil time."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.civil_time import CHINA_TIME, civil_day, days_later, midnight_of, months_later

instants = st.floats(0, 4_000_000_000)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=CHINA_TIME).timestamp()


def told(instant: float) -> str:
    return datetime.fromtimestamp(instant, CHINA_TIME).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    "start,months,end",
    [
        ("2026-06-15 08:30:00", 1, "2026-07-15 08:30:00"),
        ("2026-01-31 08:30:00", 1, "2026-02-28 08:30:00"),
        ("2028-01-31 23:59:59", 1, "2028-02-29 23:59:59"),
        ("2026-12-31 00:00:00", 1, "2027-01-31 00:00:00"),
        ("2026-03-31 12:00:00", 1, "2026-04-30 12:00:00"),
        ("2026-02-28 12:00:00", 1, "2026-03-28 12:00:00"),
        ("2028-02-29 12:00:00", 12, "2029-02-28 12:00:00"),
        ("2027-02-28 12:00:00", 12, "2028-02-28 12:00:00"),
        ("2026-12-01 00:00:00", 12, "2027-12-01 00:00:00"),
    ],
)
def test_r17_months_are_calendar_ones_clamped_to_the_months_last_day(start: str, months: int, end: str) -> None:
    assert told(months_later(at(start), months)) == end


def test_a_day_begins_at_midnight_in_shanghai() -> None:
    midnight = int(at("2026-01-01 00:00:00"))
    assert civil_day(midnight) == civil_day(midnight - 0.5) + 1
    assert civil_day(midnight) == civil_day(midnight + 86_399)
    assert midnight_of(civil_day(midnight + 40_000)) == midnight


def test_r17_the_day_is_chinas_and_not_greenwichs() -> None:
    just_february_in_china = at("2026-02-01 00:30:00")  # 31 January in Greenwich
    assert told(months_later(just_february_in_china, 1)) == "2026-03-01 00:30:00"


def test_a_fraction_of_a_second_comes_back_as_it_went_in() -> None:
    start = at("2026-01-31 08:30:00") + 0.123456
    assert months_later(start, 1) == at("2026-02-28 08:30:00") + 0.123456
    assert days_later(start, 3) == start + 3 * 86_400


@given(instants, st.integers(0, 24))
def test_a_month_later_is_a_month_later_and_the_time_of_day_stays(start: float, months: int) -> None:
    end = months_later(start, months)
    assert 28 * months <= (end - start) / 86_400 <= 31 * months
    assert round(end - start, 3) % 86_400 == 0


@given(instants, instants, st.integers(0, 24))
def test_who_starts_later_never_ends_earlier_by_a_whole_day(one: float, other: float, months: int) -> None:
    # Clamping puts 30 and 31 January both on 28 February, where the time of day alone may swap them.
    early, late = min(one, other), max(one, other)
    assert months_later(late, months) - months_later(early, months) > -86_400
