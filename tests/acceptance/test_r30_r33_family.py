"""R30 to R33: a family member's view of a shared truck, and its limits."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.acceptance.deeds import (
    BINDINGS,
    DAY_S,
    DRIVER,
    FAMILY,
    OWNER,
    SPEEDING,
    Watched,
    cancels,
    looks,
    one,
    opens,
    shares,
    unbinds,
    watched,
)
from tests.acceptance.trucks import HEARTBEAT, OK
from tests.acceptance.world import Answer, World
from tests.api.conftest import (
    TODAY,
    business_line,
    citizen_id,
    mobile,
    person_line,
    plate,
    real_name,
    row,
    vehicle_line,
)
from tests.faulty_store import Fault

BACK_FILLED = 1

# -- R30 ---------------------------------------------------------------------------------------------------------------


async def test_r30_a_live_share_shows_where_the_truck_is_and_until_when(world: World) -> None:
    seen = await watched(world)
    before = await seen.view()
    assert (before["last_fix"], before["online"], before["alerts"]) == (None, False, [])
    await world.reports(1, speed=805, course=270, altitude=-12)
    await world.advance(7)
    view = await seen.view()
    assert view["vehicle"] == {"plate": plate(1), "plate_color": "yellow"}
    assert view["expires_at"] == seen.share["expires_at"]
    fix = view["last_fix"]
    assert fix["wgs84"] == [114.4, 30.7]
    assert 0.002 < fix["gcj02"][0] - 114.4 < 0.01
    assert abs(fix["gcj02"][1] - 30.7) < 0.01
    assert (fix["speed_kmh"], fix["course_deg"], fix["altitude_m"], fix["age_s"]) == (80.5, 270, -12, 7)
    assert fix["time"] == fix["received_at"] == "2025-10-09T16:53:20+08:00"
    assert "武汉" in fix["place"]


async def test_r30_the_family_sees_who_drives_and_the_phone_only_where_the_driver_said_call_me(world: World) -> None:
    silent, callable_ = await watched(world), await watched(world, 2, driver=2, viewer=12, call_me=True)
    assert (await silent.view())["driver"] == {"display_name": real_name(1), "phone": None}
    for _ in range(2):
        assert (await callable_.view())["driver"] == {"display_name": real_name(2), "phone": mobile(2)}
        assert (await opens(callable_.viewer, callable_.share["token"])).ok()["driver"]["phone"] == mobile(2)
        await world.restart()
    assert (await one(silent.driver, f"{DRIVER}/shares", silent.id))["call_me"] is False
    assert (await one(callable_.driver, f"{DRIVER}/shares", callable_.id))["call_me"] is True
    page = (await callable_.driver.get(f"{BINDINGS}/{callable_.binding}")).ok()
    assert [each["call_me"] for each in page["shares"]] == [True]


async def test_r30_the_phone_is_the_one_that_the_driver_proved_last(world: World) -> None:
    new, stranger = "13711112222", await world.natural(31)
    seen = await watched(world, call_me=True)
    etag = (await looks(seen.viewer, seen.id)).headers["ETag"]
    proof = {"real_name": real_name(1), "citizen_id": citizen_id(1), "phone_code": f"sandbox:{new}"}
    (await seen.driver.post("/api/v1/registration", proof)).ok()
    changed = await looks(seen.viewer, seen.id, If_None_Match=etag)
    assert changed.ok()["driver"]["phone"] == new
    assert (await seen.driver.get("/api/v1/me")).ok()["phone_masked"] == "137****2222"
    await world.imports(person_line(31, qualified=False))
    taken_over = {"real_name": real_name(31), "citizen_id": citizen_id(31), "phone_code": f"sandbox:{new}"}
    (await stranger.post("/api/v1/registration", taken_over)).ok()
    assert (await seen.view())["driver"]["phone"] == mobile(1)


async def test_r30_a_phone_that_was_registered_for_somebody_else_is_not_shown(world: World) -> None:
    seen = await watched(world, call_me=True)
    await world.imports(person_line(32, phone=mobile(1)))
    assert (await seen.view())["driver"] == {"display_name": real_name(1), "phone": None}
    assert (await seen.driver.get("/api/v1/me")).ok()["phone_masked"] is None


async def test_r30_the_view_reminds_of_certificates_that_are_expiring_or_expired_and_of_no_others(world: World) -> None:
    seen = await watched(world)
    assert [each["kind"] for each in (await seen.view())["certificate_reminders"]] == ["annual_review"]
    day = {days: str(TODAY + timedelta(days=days)) for days in (-1, 0, 30, 31)}
    await world.imports(
        vehicle_line(1, transport_cert_valid_until=day[-1], annual_review_due=day[31]),
        business_line(1, operating_licence={"number": "420100000001", "valid_until": day[30]}),
        person_line(1, qualification={"number": citizen_id(1), "valid_until": day[0]}),
    )
    reminders = {each["kind"]: each for each in (await seen.view())["certificate_reminders"]}
    assert {kind: (each["state"], each["days_left"]) for kind, each in reminders.items()} == {
        "transport": ("expired", -1),
        "operating_licence": ("expiring", 30),
        "qualification": ("expiring", 0),
    }
    assert reminders["transport"]["valid_until"] == day[-1]
    await world.advance(DAY_S)
    now = {each["kind"]: each["state"] for each in (await seen.view())["certificate_reminders"]}
    assert now == {
        "transport": "expired",
        "operating_licence": "expiring",
        "annual_review": "expiring",
        "qualification": "expired",
    }


async def test_r30_the_view_sums_up_todays_driving(world: World) -> None:
    seen = await watched(world)
    await world.reports(1)
    await world.drives(1, 3600)
    await world.drives(1, 480, alarms=SPEEDING)
    today = (await seen.view())["driving_today"]
    assert today["driving_s"] == today["longest_stint_s"] == 4080
    assert 85 < today["distance_km"] < 95
    assert today["alert_count"] == 1
    await world.advance_to("2025-10-10T00:00:00+08:00")
    nothing = {"distance_km": 0.0, "driving_s": 0, "longest_stint_s": 0, "alert_count": 0}
    assert (await seen.view())["driving_today"] == nothing


async def test_r30_the_list_of_shared_vehicles_shows_each_with_who_shares_it(world: World) -> None:
    seen = await watched(world)
    await world.reports(1)
    line = await one(seen.viewer, f"{FAMILY}/shares", seen.id)
    assert (line["vehicle"]["plate"], line["status"], line["online"]) == (plate(1), "open", True)
    assert line["driver_name_masked"] == "张**"
    assert line["last_fix"]["wgs84"] == [114.4, 30.7]


# -- R31 ---------------------------------------------------------------------------------------------------------------


async def test_r31_the_page_is_told_to_ask_again_after_30_seconds(world: World) -> None:
    seen = await watched(world)
    answer = await looks(seen.viewer, seen.id)
    assert answer.ok()["refresh_after"] == 30
    assert answer.headers["Cache-Control"] == "private, max-age=0"


async def test_r31_asking_again_costs_a_304_while_nothing_has_changed(world: World) -> None:
    seen = await watched(world)
    await world.reports(1)
    etag = (await looks(seen.viewer, seen.id)).headers["ETag"]
    await world.advance(30)  # Only the age of the position is another.
    for known in (etag, f'"x", {etag}', f"W/{etag}", "*"):
        again = await looks(seen.viewer, seen.id, If_None_Match=known)
        assert (again.status, again.raw, again.headers["ETag"]) == (304, b"", etag)
    await world.restart()
    assert (await looks(seen.viewer, seen.id, If_None_Match=etag)).status == 304
    assert (await seen.view())["last_fix"]["age_s"] == 30


async def test_r31_whatever_changes_makes_another_etag(world: World) -> None:
    seen = await watched(world)
    known: list[str] = []

    async def is_new() -> None:
        answer = await looks(seen.viewer, seen.id, If_None_Match=", ".join(known))
        answer.ok()
        assert answer.headers["ETag"] not in known
        known.append(answer.headers["ETag"])
        assert (await looks(seen.viewer, seen.id, If_None_Match=known[-1])).status == 304

    await is_new()
    await world.reports(1)
    await is_new()
    await world.advance(30)
    await world.reports(1)  # The same place at another time.
    await is_new()
    await world.advance(30)
    await world.reports(1, alarms=SPEEDING)
    await is_new()
    await world.advance(600)  # Offline now.
    await is_new()
    await world.imports(vehicle_line(1, annual_review_due=str(TODAY)))
    await is_new()


async def test_r31_a_push_comes_sooner_over_a_live_connection(world: World) -> None:
    seen = await watched(world)
    await world.reports(1)
    async with seen.viewer.watches(seen.id) as stream:
        await stream.take("position", "presence")
        await world.advance(5)
        await world.reports(1, lon=114_401_000)
        (position,) = await stream.take("position")
        assert position["wgs84"] == [114.401, 30.7]
        await stream.nothing()


# -- R32 ---------------------------------------------------------------------------------------------------------------


async def test_r32_a_truck_without_a_fix_for_ten_minutes_is_offline_to_the_second(world: World) -> None:
    seen = await watched(world)
    await world.reports(1)
    await world.advance(599)
    assert await seen.online()
    await world.advance(1)
    view = await seen.view()
    assert not view["online"]
    assert (view["last_fix"]["wgs84"], view["last_fix"]["age_s"]) == ([114.4, 30.7], 600)
    assert not (await one(seen.viewer, f"{FAMILY}/shares", seen.id))["online"]
    assert not (await one(seen.driver, f"{DRIVER}/vehicles", seen.binding))["online"]
    await world.restart()
    assert not await seen.online()
    await world.reports(1)
    assert await seen.online()


async def test_r32_the_time_of_the_fix_counts_and_not_that_of_its_arrival(world: World) -> None:
    seen = await watched(world)
    await world.feed(row(1, at=world.now - 500))
    assert await seen.online()
    await world.advance(100)
    assert not await seen.online()


async def test_r32_a_parked_truck_is_offline_after_ten_minutes_like_any_other(world: World) -> None:
    seen = await watched(world)
    await world.reports(1, speed=0, status=2)
    await world.advance(600)
    assert not await seen.online()


@pytest.mark.parametrize("version", [0, 1])
async def test_r32_heartbeats_and_frames_without_a_fix_do_not_keep_it_online(world: World, version: int) -> None:
    seen = await watched(world)
    async with world.truck(1, version=version) as truck:
        await truck.signs_on()
        assert await truck.reports(world.now) == OK
        for _ in range(10):
            await world.advance(60)
            assert await truck.asks(HEARTBEAT) == OK
            assert await truck.reports(world.now, status=1) == OK
            assert await truck.reports(world.now, lon_e6=0, lat_e6=0) == OK
        view = await seen.view()
        assert not view["online"]
        assert view["last_fix"]["age_s"] == 600


async def test_r32_a_back_filled_fix_does_not_make_it_online(world: World) -> None:
    seen = await watched(world)
    await world.reports(1)
    await world.advance(601)
    told = await world.feed(row(1, at=world.now - 1, flags=BACK_FILLED, lon=114_410_000))
    assert told == {"accepted": 1, "stale": 0, "rejected": []}
    view = await seen.view()
    assert not view["online"]
    assert view["last_fix"]["age_s"] == 601


# -- R33 ---------------------------------------------------------------------------------------------------------------


async def ended_by(seen: Watched, world: World, how: str) -> None:
    match how:
        case "cancelled":
            await cancels(seen.driver, seen.id)
        case "all cancelled":
            (await seen.driver.delete(f"{BINDINGS}/{seen.binding}/shares")).ok()
        case "unbound":
            await unbinds(seen.driver, seen.binding)
        case "unbound by the owner":
            owner = await world.owner()
            (await owner.delete(f"{OWNER}/bindings/{seen.binding}")).ok(204)
        case _:
            await world.advance(3 * DAY_S)


ENDS = {
    "cancelled": "cancelled",
    "all cancelled": "cancelled",
    "unbound": "unbound",
    "unbound by the owner": "unbound",
    "expired": "expired",
}


def says_ended(answer: Answer) -> None:
    problem = answer.refused(410, "share_ended")
    assert "车辆动态已结束" in problem["detail"]
    for leak in (plate(1), "114.", "30.7", "武汉", "yellow", "张"):
        assert leak not in answer.text


@pytest.mark.parametrize("how", ENDS)
async def test_r33_a_share_that_has_ended_says_so_and_leaks_nothing_else(world: World, how: str) -> None:
    seen = await watched(world)
    await world.reports(1, alarms=SPEEDING)
    etag = (await looks(seen.viewer, seen.id)).headers["ETag"]
    await ended_by(seen, world, how)
    await world.advance(1)
    await world.reports(1)
    for _ in range(2):
        for path in ("", "/alerts", "/live"):
            says_ended(await seen.viewer.get(f"{FAMILY}/shares/{seen.id}{path}"))
        says_ended(await looks(seen.viewer, seen.id, If_None_Match=etag))
        says_ended(await opens(seen.viewer, seen.share["token"]))
        line = await one(seen.viewer, f"{FAMILY}/shares", seen.id)
        assert line["status"] == ("ended" if ENDS[how] == "unbound" else ENDS[how])
        assert line["last_fix"] is None
        assert not line["online"]
        await world.restart()


@pytest.mark.parametrize("how", ENDS)
async def test_r33_a_live_stream_is_cut_in_the_moment_in_which_the_share_ends(world: World, how: str) -> None:
    seen = await watched(world)
    await world.reports(1)
    async with seen.viewer.watches(seen.id) as stream:
        await stream.take("position", "presence")
        await ended_by(seen, world, how)
        *_, last = await stream.rest()
        assert (last.name, last.told) == ("ended", {"id": seen.id, "reason": ENDS[how]})


async def test_r33_a_taken_link_that_has_ended_too_is_ended_for_everybody(world: World) -> None:
    seen = await watched(world)
    other = await world.natural(12)
    (await opens(other, seen.share["token"])).refused(409, "link_taken")
    await cancels(seen.driver, seen.id)
    for who in (seen.viewer, other, await world.one_click(99), seen.driver):
        says_ended(await opens(who, seen.share["token"]))


async def test_r33_a_failure_of_ours_is_never_shown_as_an_ended_share(world: World) -> None:
    seen = await watched(world)
    await world.reports(1)
    store = await world.restart_on_a_store_that_may_fail()
    store.down = True
    for path in ("", "/alerts", "/live"):
        (await seen.viewer.get(f"{FAMILY}/shares/{seen.id}{path}")).refused(503, "unavailable")
    (await opens(seen.viewer, seen.share["token"])).refused(503, "unavailable")
    store.repair()
    assert (await seen.view())["last_fix"]["wgs84"] == [114.4, 30.7]


async def test_r33_a_cancel_that_could_not_be_written_has_not_happened(world: World) -> None:
    seen = await watched(world)
    store = await world.restart_on_a_store_that_may_fail()
    (await looks(seen.viewer, seen.id)).ok()
    store.plan(Fault.FAIL_BEFORE, 1)
    (await seen.driver.delete(f"{DRIVER}/shares/{seen.id}")).refused(503, "unavailable")
    store.repair()
    (await looks(seen.viewer, seen.id)).ok()
    await cancels(seen.driver, seen.id)
    says_ended(await looks(seen.viewer, seen.id))


async def test_r33_nobody_but_the_holder_sees_a_share(world: World) -> None:
    seen = await watched(world)
    unopened = await shares(seen.driver, seen.binding)
    for who in (await world.natural(12), await world.one_click(99), seen.driver):
        for path in ("", "/alerts", "/live"):
            (await who.get(f"{FAMILY}/shares/{seen.id}{path}")).refused(404, "not_found")
            (await who.get(f"{FAMILY}/shares/{unopened['id']}{path}")).refused(404, "not_found")


async def test_r33_many_viewers_polling_while_the_share_is_cancelled_see_it_or_its_end_and_nothing_else(
    world: World,
) -> None:
    seen = await watched(world)
    await world.reports(1)
    polls = asyncio.gather(*(looks(seen.viewer, seen.id) for _ in range(60)))
    await cancels(seen.driver, seen.id)
    for answer in await polls:
        if answer.status != 200:
            says_ended(answer)
    says_ended(await looks(seen.viewer, seen.id))
