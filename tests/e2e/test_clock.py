"""Tests that time stands still, jumps and runs fast when the command line says so, and only then."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from gateway.jt808.codec import message_ids as ids
from sim.registry_lines import business, identity
from tests.e2e.callers import Clock, call_json, health, own_vehicles, sign_in
from tests.e2e.processes import SEED, Yard
from tests.e2e.trucks import Truck, report

pytestmark = pytest.mark.e2e

NEW_YEAR = datetime.fromisoformat("2026-01-01T00:00:00+08:00")
WHO = identity(SEED, 0)


def test_on_a_virtual_clock_a_truck_goes_offline_at_600_s_sharp(yard: Yard) -> None:
    serving = yard.serves("--virtual-clock", NEW_YEAR.isoformat())
    clock = health(serving.http).clock
    assert (clock.now, clock.virtual) == (NEW_YEAR, True)

    def advance(seconds: float) -> datetime:
        return call_json(serving.http, "/dev/clock", {"advance_s": seconds}).holds(Clock).now

    with Truck(WHO, serving.jt808) as truck:
        truck.signs_on()
        assert truck.reports(report(0, int(NEW_YEAR.timestamp()), 0)) == ids.RESULT_OK
        token = sign_in(serving.http, business(SEED, 0))
        assert advance(599) == NEW_YEAR + timedelta(seconds=599)
        assert own_vehicles(serving.http, token)[WHO.plate].online is True
        assert health(serving.http).online == 1
        assert advance(1) == NEW_YEAR + timedelta(seconds=600)
        assert own_vehicles(serving.http, token)[WHO.plate].online is False
        assert health(serving.http).online == 0
        assert truck.reports(report(0, int(NEW_YEAR.timestamp()), 600)) == ids.RESULT_OK
        assert own_vehicles(serving.http, token)[WHO.plate].online is True
    assert call_json(serving.http, "/dev/clock", {"advance_s": -1}).status == 422


def test_without_the_flag_nobody_moves_the_clock(yard: Yard) -> None:
    serving = yard.serves()
    assert call_json(serving.http, "/dev/clock", {"advance_s": 1}).status == 404
    assert not health(serving.http).clock.virtual


def test_a_fast_clock_is_told_and_a_drive_at_another_speed_refused(yard: Yard) -> None:
    serving = yard.serves("--clock-speed", "60")
    first, second = health(serving.http).clock, health(serving.http).clock
    assert (first.speed, first.virtual) == (60.0, False)
    assert second.now > first.now
    drive = ("sim", "--api", f"http://{serving.http}", "--jt808", serving.jt808, "--vehicles", "3", "--seed", str(SEED))
    refused = yard.runs(*drive, "--duration", "1", "--speedup", "10")
    assert refused.status == 2
    assert "60 times real time" in refused.said
    assert "--clock-speed 10" in refused.said
    assert "Traceback" not in refused.said
