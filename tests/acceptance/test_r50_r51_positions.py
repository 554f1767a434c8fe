"""Tests of R50 and R51: which positions are taken, from whom, and that none is lost."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgpack
import pytest

from tests.acceptance.conftest import PEOPLE
from tests.acceptance.deeds import SPEEDING, alerts, bind_form, looks, watched
from tests.acceptance.trucks import ACC_ON, BATCH, FAILED, HEARTBEAT, OK, Truck, batch, location
from tests.acceptance.world import FEED_KEY, OPS_KEY, Body, World
from tests.api.conftest import mobile, phone, row, vehicle_line
from tests.e2e.callers import bearer, call
from tests.e2e.processes import Serving, Yard

BACK_FILLED = 1
EMERGENCY = 1
HOUR_S = 3600
NORTH_E6 = 30_701_000
"""A hundred metres further."""


async def health(world: World) -> Body:
    return (await world.nobody().get("/health", X_Ops_Key=OPS_KEY)).ok()


# -- R50: the feed -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes,code",
    [
        ({"key": phone(999)}, "unknown_vehicle"),
        ({"later": 301}, "future_fix"),
        ({"later": 8 * HOUR_S}, "time_zone_fault"),
        ({"later": 8 * HOUR_S + 30}, "time_zone_fault"),
        ({"status": 1}, "not_positioned"),
        ({"lon": 0, "lat": 0}, "not_positioned"),
        ({"lon": 180_000_001}, "implausible"),
        ({"lat": 90_000_001}, "implausible"),
        ({"speed": "fast"}, "malformed"),
        ({"key": 13800000001}, "malformed"),
        ({"course": 1.5}, "malformed"),
        ({"flags": None}, "malformed"),
    ],
    ids=str,
)
async def test_r50_one_bad_row_is_rejected_by_its_reason_and_never_loses_the_others(
    world: World, changes: Body, code: str
) -> None:
    changes = dict(changes)
    bad = row(1, **({"at": world.now + changes.pop("later")} if "later" in changes else {"at": world.now}) | changes)
    told = await world.feed(row(2, at=world.now), bad, row(3, at=world.now))
    assert told == {"accepted": 2, "stale": 0, "rejected": [{"index": 1, "code": code}]}
    assert (await health(world))["telemetry"]["feed_rejected"][code] == 1
    seen = await watched(world)
    assert (await seen.view())["last_fix"] is None


async def test_r50_five_minutes_ahead_is_still_taken(world: World) -> None:
    assert (await world.feed(row(1, at=world.now + 300)))["accepted"] == 1


@pytest.mark.parametrize("wrong", [[], ["x"], row(1)[:9], [*row(1), 0], "x", 7, None, {}], ids=str)
async def test_r50_a_row_that_is_no_row_is_malformed(world: World, wrong: Any) -> None:
    told = await world.feed(wrong, row(2, at=world.now))
    assert told == {"accepted": 1, "stale": 0, "rejected": [{"index": 0, "code": "malformed"}]}


async def test_r50_a_duplicate_or_an_older_fix_never_moves_the_truck_back_and_raises_nothing(world: World) -> None:
    seen = await watched(world)
    await world.advance(60)
    await world.reports(1, lat=NORTH_E6)
    again = row(1, at=world.now, lat=NORTH_E6)
    older = row(1, at=world.now - 30, alarms=EMERGENCY)
    assert await world.feed(again, older) == {"accepted": 0, "stale": 2, "rejected": []}
    view = await seen.view()
    assert view["last_fix"]["wgs84"] == [114.4, 30.701]
    assert view["alerts"] == []


async def test_r50_the_order_is_that_of_the_fix_time_whatever_the_order_of_arrival(world: World) -> None:
    seen = await watched(world)
    await world.advance(100)
    rows = [row(1, at=world.now - age, lat=30_700_000 + 100 * (50 - age)) for age in (50, 10, 30, 0, 40, 20)]
    await world.feed(*rows)
    view = await seen.view()
    assert view["last_fix"]["wgs84"] == [114.4, 30.705]
    assert view["last_fix"]["age_s"] == 0


async def test_r50_a_back_filled_fix_is_taken_and_changes_nothing_live(world: World) -> None:
    seen = await watched(world)
    await world.advance(HOUR_S)
    await world.reports(1)
    before = await looks(seen.viewer, seen.id)
    late = row(1, at=world.now - 1800, flags=BACK_FILLED, alarms=EMERGENCY, lat=NORTH_E6)
    assert (await world.feed(late))["accepted"] == 1
    assert await world.feed(late) == {"accepted": 0, "stale": 1, "rejected": []}
    assert (await looks(seen.viewer, seen.id, If_None_Match=before.headers["ETag"])).status == 304


async def test_r50_a_jump_that_no_truck_can_drive_is_not_shown(world: World) -> None:
    seen = await watched(world)
    await world.reports(1)
    await world.advance(60)
    told = await world.feed(row(1, at=world.now, lon=121_400_000))
    assert told["rejected"] == [{"index": 0, "code": "implausible"}]
    assert (await seen.view())["last_fix"]["wgs84"] == [114.4, 30.7]


async def test_r50_a_wrong_key_or_body_of_the_feed_is_refused(world: World) -> None:
    body = msgpack.packb([row(1)])
    (await world.feeds(body, X_Feed_Key="wrong")).refused(401, "feed_key_invalid")
    (await world.call("POST", "/api/v1/telemetry", body, {"Content-Type": "application/msgpack"})).refused(
        401, "feed_key_invalid"
    )
    (await world.feeds(body, Content_Type="application/json")).refused(415, "unsupported_media_type")
    (await world.feeds(b"\xc1")).refused(422, "invalid_input")
    (await world.feeds(msgpack.packb({"rows": []}))).refused(422, "invalid_input")
    assert (await world.feeds(b"\0" * ((1 << 20) + 1))).status == 413
    assert await world.feed() == {"accepted": 0, "stale": 0, "rejected": []}


# -- R50: terminals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [0, 1], ids=["2013", "2019"])
async def test_r50_a_terminal_registers_authenticates_and_reports(world: World, version: int) -> None:
    seen = await watched(world)
    async with world.truck(1, version=version) as truck:
        code = await truck.signs_on()
        assert await truck.reports(world.now, speed=655, course=359, altitude_m=4500) == OK
    fix = (await seen.view())["last_fix"]
    assert (fix["wgs84"], fix["speed_kmh"], fix["course_deg"], fix["altitude_m"]) == ([114.4, 30.7], 65.5, 359, 4500)
    await world.restart()
    async with world.truck(1, version=version) as truck:
        assert await truck.authenticates(code) == OK  # A code outlives the process that gave it.


async def test_r50_a_location_before_authentication_is_answered_with_1_and_not_used(world: World) -> None:
    seen = await watched(world)
    async with world.truck(1) as truck:
        assert await truck.reports(world.now) == FAILED
        await truck.registers()
        assert await truck.reports(world.now) == FAILED
        assert await truck.authenticates("never-issued") == FAILED
        assert await truck.reports(world.now) == FAILED
    assert (await seen.view())["last_fix"] is None


async def test_r50_one_terminals_code_is_not_anothers(world: World) -> None:
    async with world.truck(1) as one, world.truck(2) as other:
        code = await one.registers()
        assert await other.authenticates(code) == FAILED
        assert await one.authenticates(code) == OK


async def test_r50_a_terminal_that_cannot_authenticate_needs_a_registered_phone_only(world: World) -> None:
    await world.imports(vehicle_line(1, terminal_auth="none"))
    seen = await watched(world)
    async with world.truck(1) as truck, world.truck(999) as unknown:
        assert await truck.reports(world.now) == OK
        assert await unknown.reports(world.now) == FAILED
        assert await unknown.registers() == ""
    assert (await seen.view())["online"]


@pytest.mark.parametrize(
    "registered, written",
    [
        ("777762F7", "777762f7"),
        ("865478070102068", "4eb6fb4afd9e"),
        ("865478070102068", "865478070102068"),
        ("0", "0"),
    ],
)
async def test_r50_a_terminal_is_known_by_whatever_its_frames_call_it(
    world: World, registered: str, written: str
) -> None:
    await world.imports(vehicle_line(1, terminal_phone=registered))
    seen = await watched(world)
    version = int(len(written) > 12)
    assert world.service is not None
    truck = await Truck.connects(world.service.jt808, written, version)
    await truck.signs_on()
    assert await truck.reports(world.now) == OK
    await truck.hangs_up()
    assert (await seen.view())["online"]
    await world.advance(1)
    told = await world.feed(row(1, key=registered, at=world.now), row(1, key=written.upper(), at=world.now + 1))
    assert told == {"accepted": 2, "stale": 0, "rejected": []}


async def test_r50_bad_fixes_of_a_terminal_are_acknowledged_counted_and_not_shown(world: World) -> None:
    seen = await watched(world)
    async with world.truck(1) as truck:
        await truck.signs_on()
        for wrong in (
            location(world.now, status=ACC_ON),
            location(world.now + 1, lon_e6=0, lat_e6=0),
            location(world.now + 301),
            location(world.now + 8 * HOUR_S),
        ):
            assert await truck.asks(0x0200, wrong) == OK
    assert (await seen.view())["last_fix"] is None
    outcomes = (await health(world))["data_quality"]["outcomes"]
    assert (outcomes["not_positioned"], outcomes["future"], outcomes["time_zone_fault"]) == (2, 1, 1)


async def test_r50_a_batch_out_of_a_dead_zone_is_back_filled(world: World) -> None:
    seen = await watched(world)
    await world.advance(HOUR_S)
    async with world.truck(1) as truck:
        await truck.signs_on()
        late = [location(world.now - age, alarms=EMERGENCY) for age in (900, 600, 300)]
        assert await truck.reports_late(*late) == OK
        view = await seen.view()
        assert (view["online"], view["last_fix"], view["alerts"]) == (False, None, [])
        assert await truck.reports(world.now) == OK
    assert (await seen.view())["online"]


async def test_r50_a_steady_offset_of_whole_hours_is_learned_and_corrected(world: World) -> None:
    seen = await watched(world)
    behind = 3 * 3600
    async with world.truck(1) as truck:
        await truck.signs_on()
        for _ in range(8):
            await world.advance(30)
            assert await truck.reports(world.now - behind) == OK
    view = await seen.view()
    assert view["online"]
    assert view["last_fix"]["age_s"] == 0
    assert (await health(world))["data_quality"]["corrected_clocks"] >= 1


async def test_r50_a_platform_that_is_steadily_a_quarter_of_an_hour_late_is_not_shown_as_now(world: World) -> None:
    seen = await watched(world)
    for _ in range(8):
        await world.advance(30)
        await world.feed(row(1, at=world.now - 900))
    view = await seen.view()
    assert (view["online"], view["last_fix"]["age_s"]) == (False, 900)
    assert (await health(world))["data_quality"]["corrected_clocks"] == 0


async def test_r50_any_other_stale_live_report_keeps_its_own_time(world: World) -> None:
    seen = await watched(world)
    async with world.truck(1) as truck:
        await truck.signs_on()
        for ago in (1300, 1100, 1230, 1000):
            await world.advance(30)
            assert await truck.reports(world.now - ago) == OK
    view = await seen.view()
    assert not view["online"]
    assert view["last_fix"]["age_s"] == 1000


async def test_r50_an_offset_that_a_tenth_of_the_fleet_shows_at_once_is_never_learned(world: World) -> None:
    """Our clock is an hour behind: every truck seems to run ahead, and an emergency is shown all the same."""
    seen = await watched(world)
    for minute in range(8):
        await world.advance(60)
        rows = [row(number, at=world.now + HOUR_S, alarms=EMERGENCY * (minute == 3)) for number in range(1, 13)]
        assert (await world.feed(*rows))["accepted"] == len(rows)
    told = await health(world)
    assert (told["data_quality"]["corrected_clocks"], told["timekeeping"]["fleet_ahead_s"]) == (0, HOUR_S)
    assert [each["kind"] for each in await alerts(seen.viewer, seen.id)] == ["emergency"]
    assert (await seen.view())["online"]
    await world.advance(HOUR_S + 30)
    await world.reports(1)
    view = await seen.view()
    assert (view["online"], view["last_fix"]["age_s"]) == (True, 0)


async def test_r50_an_emergency_that_ran_ahead_of_our_clock_is_told_once_its_terminal_s_clock_is_learned(
    world: World,
) -> None:
    seen = await watched(world)
    for number in range(5):
        await world.advance(30)
        await world.feed(row(1, at=world.now + 8 * HOUR_S, alarms=EMERGENCY * (number == 1)))
    (alert,) = await alerts(seen.viewer, seen.id)
    assert (alert["kind"], alert["ongoing"]) == ("emergency", False)


async def test_r50_speeding_at_standstill_raises_nothing_and_is_counted(world: World) -> None:
    seen = await watched(world)
    await world.reports(1, speed=0, alarms=SPEEDING)
    await world.advance(10)
    await world.reports(1, alarms=0xFFFF_FFFF)
    assert await alerts(seen.viewer, seen.id) == []
    quality = (await health(world))["data_quality"]
    assert (quality["speeding_at_standstill"], quality["implausible_alarm_words"]) == (1, 1)


# -- R51 ---------------------------------------------------------------------------------------------------------------


async def test_r51_no_packet_of_split_reports_is_acknowledged_before_all_are_safe(world: World) -> None:
    seen = await watched(world)
    body = batch(*(location(world.now - 40 + second, lat_e6=NORTH_E6) for second in range(40)), kind=0)
    async with world.truck(1) as truck:
        await truck.signs_on()
        first = await truck.says(BATCH, body[:800], packet=(2, 1))
        heartbeat = await truck.says(HEARTBEAT)
        assert await truck.hears_answer() == (heartbeat, HEARTBEAT, OK)
        last = await truck.says(BATCH, body[800:], packet=(2, 2))
        assert [await truck.hears_answer() for _ in range(2)] == [(first, BATCH, OK), (last, BATCH, OK)]
    view = await seen.view()
    assert (view["online"], view["last_fix"]["wgs84"][1]) == (True, NORTH_E6 / 1e6)


class Process:
    """``run.py serve`` as a process of its own, to be killed."""

    def __init__(self, yard: Yard, store_name: str) -> None:
        self._yard = yard
        self._store_name = store_name
        self.serving: Serving
        self.serves()

    def serves(self) -> None:
        self.serving = self._yard.serves(store=self._store_name, FEED_KEY=FEED_KEY)

    def asks(self, method: str, path: str, body: object = None, token: str = "") -> Any:
        headers = {"Content-Type": "application/json"} | (bearer(token) if token else {})
        content = None if body is None else json.dumps(body).encode()
        answer = call(self.serving.http, method, path, body=content, headers=headers)
        assert 200 <= answer.status < 300, answer
        return json.loads(answer.body) if answer.body else None

    def signs_in(self, number: int) -> str:
        version = self.asks("GET", "/api/v1/terms")["version"]
        form = {"kind": "natural", "wechat_code": f"sandbox:{mobile(number)}", "terms_version": version}
        return str(self.asks("POST", "/api/v1/sessions", form)["token"])


@pytest.mark.e2e
def test_r51_kill_9_loses_no_acknowledged_position_alert_or_command(store_name: str, tmp_path: Path) -> None:
    yard = Yard(tmp_path, forks=True)
    registry = tmp_path / "registry.jsonl"
    registry.write_text(
        "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in PEOPLE[:3] + PEOPLE[-8:]), "utf-8"
    )
    try:
        assert yard.runs("import", str(registry), "--store", store_name).status == 0
        process = Process(yard, store_name)
        driver, viewer = process.signs_in(1), process.signs_in(11)
        binding = process.asks("POST", "/api/v1/driver/bindings", bind_form(1), driver)["id"]
        shared = process.asks("POST", f"/api/v1/driver/bindings/{binding}/shares", {"duration": "3d"}, driver)
        path = f"/api/v1/family/shares/{process.asks('POST', '/api/v1/links/open', {'token': shared['token']}, viewer)['id']}"
        soon = int(time.time()) + 1
        reports = [row(1, at=soon, alarms=EMERGENCY), row(1, at=soon + 1, lat=30_700_100)]
        headers = {"Content-Type": "application/msgpack", "X-Feed-Key": FEED_KEY}
        told = call(process.serving.http, "POST", "/api/v1/telemetry", body=msgpack.packb(reports), headers=headers)
        assert told.status == 200, told
        process.serving.process.is_killed()
        process.serves()
        view = process.asks("GET", path, token=viewer)
        assert view["last_fix"]["wgs84"] == [114.4, 30.7001]
        assert [(each["kind"], each["ongoing"]) for each in view["alerts"]] == [("emergency", False)]
    finally:
        yard.closes()
