"""R52 to R54: driving too fast or too long, what today holds, certificates that run out, and overload."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from struct import pack

import pytest

from tests.acceptance.deeds import FATIGUE, OWNER, SPEEDING, Watched, alerts, looks, tries_to_bind, watched
from tests.acceptance.trucks import OK
from tests.acceptance.world import EASTWARDS_E6, OPS_KEY, World
from tests.api.conftest import TODAY, business_line, citizen_id, person_line, row, vehicle_line

MINUTE_S = 60
HOUR_S = 3600
ITEM_FATIGUE = bytes((0x18, 2)) + pack(">H", 1)
STARTS, ENDS = 1, 2


def camera(state: int, kind: int = 1) -> bytes:
    """Item 0x65 of T/JSATL 12: the driver's camera; type 1 is fatigue."""
    place = pack(">BHII", 80, 25, 30_700_000, 114_400_000) + bytes.fromhex("251009165320")
    value = pack(">IBBB", 7, state, kind, 1) + bytes(5) + place + pack(">H", 3) + bytes(16)
    assert len(value) == 47
    return bytes((0x65, len(value))) + value


async def told(seen: Watched) -> list[tuple[str, str, bool]]:
    """Kind, source and whether it goes on, of each alert, the newest first."""
    listed = await alerts(seen.viewer, seen.id)
    return [(each["kind"], each["source"], each["ongoing"]) for each in listed]


# -- R52: speeding -----------------------------------------------------------------------------------------------------


async def test_r52_the_terminals_alarm_bit_is_speeding_at_any_speed(world: World) -> None:
    seen = await watched(world)
    await world.reports(1, speed=600, alarms=SPEEDING)
    assert await told(seen) == [("speeding", "terminal", True)]
    await world.advance(10)
    await world.reports(1, speed=600)
    assert await told(seen) == [("speeding", "terminal", False)]


async def test_r52_above_the_limit_on_two_consecutive_fixes_is_suspected_speeding(world: World) -> None:
    seen = await watched(world)
    for speed, expected in (
        (1001, []),
        (1000, []),
        (1100, []),
        (1050, [("speeding", "platform", True)]),
        (1200, [("speeding", "platform", True)]),
        (1000, [("speeding", "platform", False)]),
    ):
        await world.reports(1, speed=speed)
        assert await told(seen) == expected
        await world.advance(10)
    (alert,) = await alerts(seen.viewer, seen.id)
    assert (alert["started_at"], alert["ended_at"]) == ("2025-10-09T16:53:40+08:00", "2025-10-09T16:54:10+08:00")
    assert (alert["peak_kmh"], alert["limit_kmh"]) == (120.0, 100)


@pytest.mark.parametrize("limit_kmh,slow,fast", [(80, 800, 801), (None, 1000, 1001), (120, 1200, 1201)])
async def test_r52_the_limit_is_the_registrys_and_100_where_it_says_nothing(
    world: World, limit_kmh: int | None, slow: int, fast: int
) -> None:
    await world.imports(vehicle_line(3, speed_limit_kmh=80))
    await world.imports(vehicle_line(3, speed_limit_kmh=limit_kmh, annual_review_due="2040-01-01"))
    seen = await watched(world, 3)
    for speed in (slow, slow, slow):
        await world.reports(3, speed=speed)
        await world.advance(10)
    assert await told(seen) == []
    for speed in (fast, fast):
        await world.reports(3, speed=speed)
        await world.advance(10)
    (alert,) = await alerts(seen.viewer, seen.id)
    assert alert["limit_kmh"] == (limit_kmh or 100)


async def test_r52_an_imported_limit_holds_at_once_for_a_truck_on_the_road(world: World) -> None:
    seen = await watched(world)
    await world.reports(1, speed=900)
    await world.advance(10)
    await world.imports(vehicle_line(1, speed_limit_kmh=80))
    for _ in range(2):
        await world.reports(1, speed=900)
        await world.advance(10)
    assert await told(seen) == [("speeding", "platform", True)]


async def test_r52_the_platforms_rule_is_silent_for_a_terminal_that_computes_speeding_itself(world: World) -> None:
    seen = await watched(world)
    await world.reports(1, speed=1200, alarms=SPEEDING)
    await world.advance(10)
    for _ in range(3):
        await world.reports(1, speed=1200)
        await world.advance(10)
    assert await told(seen) == [("speeding", "terminal", False)]


# -- R52: fatigue ------------------------------------------------------------------------------------------------------


async def test_r52_fatigue_has_three_carriers_and_is_one_alert(world: World) -> None:
    seen = await watched(world)
    async with world.truck(1) as truck:
        await truck.signs_on()
        for alarms, items in (
            (FATIGUE, b""),
            (0, ITEM_FATIGUE),
            (0, camera(STARTS)),
            (0, b""),
            (FATIGUE, ITEM_FATIGUE),
        ):
            assert await truck.reports(world.now, alarms=alarms, items=items) == OK
            assert await told(seen) == [("fatigue", "terminal", True)]
            await world.advance(10)
        assert await truck.reports(world.now, items=camera(ENDS)) == OK
    assert await told(seen) == [("fatigue", "terminal", False)]


@pytest.mark.parametrize("items,alarms", [(b"", FATIGUE), (ITEM_FATIGUE, 0), (camera(STARTS), 0)])
async def test_r52_each_carrier_alone_is_enough(world: World, items: bytes, alarms: int) -> None:
    seen = await watched(world)
    async with world.truck(1) as truck:
        await truck.signs_on()
        assert await truck.reports(world.now, alarms=alarms, items=items) == OK
    assert await told(seen) == [("fatigue", "terminal", True)]


async def test_r52_more_than_four_hours_without_a_real_stop_is_suspected_fatigue_with_a_warning_before(
    world: World,
) -> None:
    seen = await watched(world)
    await world.reports(1)
    await world.drives(1, 3 * HOUR_S + 30 * MINUTE_S, every=150)
    assert await told(seen) == []
    await world.drives(1, 150, every=150)
    assert await told(seen) == [("fatigue_warning", "platform", True)]
    await world.drives(1, 27 * MINUTE_S + 30, every=150)
    assert await told(seen) == [("fatigue_warning", "platform", True)]
    await world.drives(1, 150, every=150)
    assert await told(seen) == [("fatigue", "platform", True), ("fatigue_warning", "platform", False)]
    fatigue, warning = await alerts(seen.viewer, seen.id)
    assert "疑似" in fatigue["title"]
    assert "疑似" in warning["title"]
    await world.drives(1, 25 * MINUTE_S, every=150, speed=0)
    assert ("fatigue", "platform", True) not in await told(seen)


@pytest.mark.parametrize("stop_s,is_tired", [(20 * MINUTE_S, False), (19 * MINUTE_S, True)])
async def test_r52_a_stop_of_twenty_minutes_is_a_rest_and_a_shorter_one_is_not(
    world: World, stop_s: int, is_tired: bool
) -> None:
    seen = await watched(world)
    await world.reports(1)
    await world.drives(1, 3 * HOUR_S - 240)
    await world.drives(1, 240, speed=0)  # It stops here.
    await world.drives(1, stop_s - 60, every=60, speed=0)
    await world.drives(1, 60, every=60)  # It drives again from here.
    await world.drives(1, HOUR_S + 8 * MINUTE_S)
    assert (("fatigue", "platform", True) in await told(seen)) == is_tired


async def test_r52_no_data_is_neither_driving_nor_rest(world: World) -> None:
    seen = await watched(world)
    await world.reports(1)
    await world.drives(1, 3 * HOUR_S)
    before = (await seen.view())["driving_today"]
    await world.drives(1, HOUR_S, every=HOUR_S)
    after = (await seen.view())["driving_today"]
    assert after["driving_s"] == before["driving_s"] == 3 * HOUR_S
    await world.drives(1, HOUR_S)
    assert await told(seen) == [("fatigue_warning", "platform", True)]
    await world.drives(1, 240)
    assert (await told(seen))[0] == ("fatigue", "platform", True)


async def test_r52_what_the_platform_inferred_ends_at_its_last_fix_once_ten_minutes_pass(world: World) -> None:
    seen = await watched(world)
    async with seen.viewer.watches(seen.id) as stream:
        for _ in range(3):
            await world.reports(1, speed=1200)
            await world.advance(10)
        (ongoing,) = await alerts(seen.viewer, seen.id)
        assert ongoing["ongoing"]
        await world.advance(589)
        assert await alerts(seen.viewer, seen.id) == [ongoing]
        await world.advance(1)
        (over,) = await alerts(seen.viewer, seen.id)
        assert over == ongoing | {"ongoing": False, "ended_at": "2025-10-09T16:53:40+08:00", "title": over["title"]}
        told_of: list[tuple[str, str | None]] = []
        while not told_of or told_of[-1][1] is None:
            event = await stream.next()
            assert event is not None
            if event.name == "alert":
                told_of.append((event.told["id"], event.told["ended_at"]))
        assert told_of == [(over["id"], None), (over["id"], over["ended_at"])]
    await world.restart()
    await world.advance(3 * 24 * HOUR_S - 700)
    assert await alerts(seen.viewer, seen.id) == (await seen.view())["alerts"] == [over]
    owner = await world.owner()
    (vehicle,) = [each for each in (await owner.get(f"{OWNER}/vehicles?list=bound")).items if each["last_fix"]]
    assert (await owner.get(f"{OWNER}/vehicles/{vehicle['id']}")).ok()["alerts"] == [over]


async def test_r34_a_terminals_own_alarm_goes_on_through_a_silence(world: World) -> None:
    seen = await watched(world)
    await world.reports(1, speed=1200, alarms=SPEEDING)
    await world.advance(HOUR_S)
    assert await told(seen) == [("speeding", "terminal", True)]


async def test_r52_a_night_with_the_main_switch_off_is_rest(world: World) -> None:
    """The terminal lost its power before it could tell that the engine was off."""
    seen = await watched(world)
    await world.reports(1)
    await world.drives(1, 3 * HOUR_S + 20 * MINUTE_S)
    await world.drives(1, 240, speed=0)
    await world.drives(1, 8 * HOUR_S, every=8 * HOUR_S, speed=0)
    await world.drives(1, HOUR_S)
    assert await told(seen) == []


async def test_r52_a_parked_truck_collects_no_kilometres_from_drift(world: World) -> None:
    seen = await watched(world)
    for number in range(40):
        await world.reports(1, speed=0, lon=114_400_000 + 900 * (number % 2))
        await world.advance(10 * MINUTE_S)
    today = (await seen.view())["driving_today"]
    assert today == {"distance_km": 0.0, "driving_s": 0, "longest_stint_s": 0, "alert_count": 0}


async def test_r52_todays_figures_hold_todays_part_only(world: World) -> None:
    seen = await watched(world)
    await world.advance_to("2025-10-09T23:00:00+08:00")
    await world.reports(1)
    await world.drives(1, 57 * MINUTE_S, every=3 * MINUTE_S)
    yesterday = (await seen.view())["driving_today"]
    assert (yesterday["driving_s"], yesterday["distance_km"]) == (57 * MINUTE_S, 75.9)
    etag = (await looks(seen.viewer, seen.id)).headers["ETag"]
    await world.advance_to("2025-10-10T00:00:00+08:00")
    answer = await looks(seen.viewer, seen.id, If_None_Match=etag)
    assert answer.ok()["driving_today"] == {
        "distance_km": 0.0,
        "driving_s": 0,
        "longest_stint_s": 0,
        "alert_count": 0,
    }
    await world.advance(MINUTE_S)
    await world.reports(1, lon=114_400_000 + 61 * MINUTE_S * EASTWARDS_E6)
    today = (await seen.view())["driving_today"]
    assert (today["driving_s"], today["longest_stint_s"], today["distance_km"]) == (60, 60, 1.3)
    await world.restart()
    assert (await seen.view())["driving_today"] == today


# -- R53 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "days,state",
    [(31, "valid"), (30, "expiring"), (1, "expiring"), (0, "expiring"), (-1, "expired"), (-400, "expired")],
)
async def test_r53_expiring_from_30_days_before_the_last_valid_day_and_expired_from_the_day_after(
    world: World, days: int, state: str
) -> None:
    last_day = str(TODAY + timedelta(days=days))
    await world.imports(
        business_line(2, operating_licence={"number": "420100000002", "valid_until": last_day}),
        vehicle_line(21, owner=2, transport_cert_valid_until=last_day, annual_review_due=last_day),
        person_line(5, qualification={"number": citizen_id(5), "valid_until": last_day}),
    )
    owner, person = await world.owner(2), await world.natural(5)
    for who, kind in ((owner, "operating_licence"), (person, "qualification")):
        (paper,) = (await who.get("/api/v1/me/certificates")).ok()["items"]
        assert (paper["kind"], paper["state"], paper["days_left"]) == (kind, state, days)
        assert paper["valid_until"] == last_day
    (vehicle,) = (await owner.get(f"{OWNER}/vehicles")).items
    reminders = {each["kind"]: each["state"] for each in vehicle["certificate_reminders"]}
    wanted = {} if state == "valid" else dict.fromkeys(("annual_review", "operating_licence", "transport"), state)
    assert reminders == wanted


async def test_r53_a_day_is_one_of_china(world: World) -> None:
    await world.imports(business_line(2, operating_licence={"number": "420100000002", "valid_until": str(TODAY)}))
    owner = await world.owner(2)

    async def state() -> str:
        (paper,) = (await owner.get("/api/v1/me/certificates")).ok()["items"]
        return str(paper["state"])

    await world.advance_to("2025-10-09T23:59:59+08:00")
    assert await state() == "expiring"
    await world.advance(1)
    assert await state() == "expired"


# -- R54 ---------------------------------------------------------------------------------------------------------------


async def test_r54_however_many_reports_come_at_once_no_alert_is_lost(world: World) -> None:
    seen = await watched(world)
    episodes = 60
    rows = []
    for number in range(10 * episodes):
        alarms = SPEEDING if number % 10 == 5 else 0
        rows.append(row(1, at=world.now + number, alarms=alarms, lon=114_400_000 + 200 * number))
    await world.advance(10 * episodes)
    told_of = await world.feed(*rows)  # In one call: of several at once, a later one may arrive before an earlier.
    assert told_of["accepted"] == len(rows)
    listed = (await seen.viewer.get(f"/api/v1/family/shares/{seen.id}/alerts?limit=200")).items
    assert len(listed) == episodes
    assert {each["ongoing"] for each in listed} == {False}
    newest = (await seen.view())["last_fix"]["wgs84"]
    assert newest == [round(114.4 + 0.0002 * (len(rows) - 1), 6), 30.7]


async def test_r54_what_people_ask_for_meanwhile_is_done_whole(world: World) -> None:
    drivers = [await world.natural(number) for number in (1, 2, 3)]
    rows = [row(1, at=world.now + number) for number in range(250)]
    _, answers = await asyncio.gather(
        world.feed(*rows), asyncio.gather(*(tries_to_bind(driver, 1) for driver in drivers))
    )
    assert [answer.status for answer in answers] == [201, 201, 201]
    figures = (await world.nobody().get("/health", X_Ops_Key=OPS_KEY)).ok()
    assert figures["telemetry"]["conflated"] >= 0  # It is counted, whether or not it came to it.
    assert figures["dead_letters"]["total"] == 0
