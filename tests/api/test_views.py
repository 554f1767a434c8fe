"""Tests that every alert is worded in Chinese, and that every time has its offset."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api.shown.alert_titles import NOUNS, title_of
from api.shown.views import alert_view, time_text
from domain.people.audit import address_masked
from domain.vehicle.alerts import KINDS, Alert

ALERT = Alert("a1", "fatigue", "terminal", 1_760_000_000, None, 114_400_000, 30_700_000, 800, 900, None)


def test_every_kind_of_alert_has_a_title() -> None:
    assert set(NOUNS) == set(KINDS)
    assert len(set(NOUNS.values())) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_r34_what_the_platform_inferred_is_suspected_and_what_the_terminal_said_is_not(kind: str) -> None:
    said = title_of(replace(ALERT, kind=kind, source="terminal"))
    inferred = title_of(replace(ALERT, kind=kind, source="platform"))
    assert inferred == f"疑似{said}"
    assert "疑似" not in said


def test_an_alert_without_a_position_has_nulls() -> None:
    view = alert_view(replace(ALERT, lon_e6=None, lat_e6=None), lambda lon, lat: None)
    assert (view.wgs84, view.gcj02, view.place) == (None, None, None)
    assert view.started_at == "2025-10-09T16:53:20+08:00"


def test_times_carry_chinas_offset() -> None:
    assert time_text(0) == "1970-01-01T08:00:00+08:00"


@pytest.mark.parametrize(
    "address,masked",
    [("203.0.113.7", "203.0.113.*"), ("2001:db8:1:2::3", "2001:db8:1:*"), ("::1", "0:0:0:*"), ("", "*")],
)
def test_an_address_is_told_without_its_end(address: str, masked: str) -> None:
    assert address_masked(address) == masked
