"""R34: the alerts on a family member's page, and the content of each."""

from __future__ import annotations

import pytest

from api.live.event_stream import StreamLimits
from tests.acceptance.deeds import DAY_S, FAMILY, SPEEDING, alerts, opens, shares, watched
from tests.acceptance.heartbeats import beats_often, hears_a_heartbeat
from tests.acceptance.trucks import ACC_ON, OK
from tests.acceptance.world import Body, World
from tests.api.conftest import START, row

EMERGENCY = 1 << 0
ROLLOVER = 1 << 30
COLLISION = 1 << 29
EVERYTHING = 0xFFFF_FFFF


def kinds(listed: list[Body]) -> list[str]:
    return [each["kind"] for each in listed]


async def test_r34_an_alert_has_kind_start_place_speed_and_peak_and_is_ongoing_until_it_ends(world: World) -> None:
    seen = await watched(world)
    await world.reports(1)
    speeds = (1010, 1234, 1100)
    for speed in speeds:
        await world.advance(10)
        await world.reports(1, speed=speed, alarms=SPEEDING)
    (running,) = await alerts(seen.viewer, seen.id)
    assert (running["kind"], running["source"]) == ("speeding", "terminal")
    assert (running["ongoing"], running["ended_at"]) == (True, None)
    assert running["started_at"] == "2025-10-09T16:53:30+08:00"
    assert (running["speed_kmh"], running["peak_kmh"], running["limit_kmh"]) == (101.0, 123.4, 100)
    assert running["wgs84"] == [114.4, 30.7]
    assert 0.002 < running["gcj02"][0] - 114.4 < 0.01
    assert "武汉" in running["place"]
    assert "超速" in running["title"]
    assert "疑似" not in running["title"]
    await world.advance(10)
    await world.reports(1, speed=900)
    (over,) = await alerts(seen.viewer, seen.id)
    assert over == running | {"ongoing": False, "ended_at": "2025-10-09T16:54:00+08:00", "title": over["title"]}
    assert (await seen.view())["alerts"] == [over]


async def test_r34_what_the_platform_inferred_is_worded_as_suspected(world: World) -> None:
    seen = await watched(world)
    for _ in range(2):
        await world.reports(1, speed=1101)
        await world.advance(10)
    (alert,) = await alerts(seen.viewer, seen.id)
    assert (alert["kind"], alert["source"]) == ("speeding", "platform")
    assert "疑似" in alert["title"]


async def test_r34_one_continuous_alarm_is_one_alert_across_reconnects_and_restarts(world: World) -> None:
    seen = await watched(world)
    ids = set()
    for round_ in range(4):
        async with world.truck(1, version=round_ % 2) as truck:
            await truck.signs_on()
            for _ in range(3):
                await world.advance(10)
                assert await truck.reports(world.now, speed=1100, alarms=SPEEDING) == OK
        ids |= {each["id"] for each in await alerts(seen.viewer, seen.id)}
        if round_ == 1:
            await world.restart()
    assert len(ids) == 1
    (alert,) = await alerts(seen.viewer, seen.id)
    assert alert["ongoing"]
    assert alert["started_at"] == "2025-10-09T16:53:30+08:00"


async def test_r34_newest_first_ten_in_the_view_and_all_in_the_list(world: World) -> None:
    seen = await watched(world)
    for _ in range(13):
        await world.feed(row(1, at=world.now, alarms=EMERGENCY), row(1, at=world.now + 5))
        await world.advance(10)
    listed = await alerts(seen.viewer, seen.id)
    starts = [each["started_at"] for each in listed]
    assert len(set(starts)) == 13
    assert starts == sorted(starts, reverse=True)
    assert (await seen.view())["alerts"] == listed[:10]
    found: list[Body] = []
    path = f"{FAMILY}/shares/{seen.id}/alerts?limit=5"
    cursor = ""
    while cursor is not None:
        page = (await seen.viewer.get(path + (f"&cursor={cursor}" if cursor else ""))).ok()
        found, cursor = found + page["items"], page["next"]
    assert found == listed
    await world.restart()
    assert await alerts(seen.viewer, seen.id) == listed


async def test_r34_a_viewer_sees_what_began_after_the_share_was_made_or_was_running_then(world: World) -> None:
    before = await watched(world)
    await world.feed(row(1, at=START, alarms=EMERGENCY))
    await world.advance(10)
    await world.feed(row(1, at=START + 10, alarms=SPEEDING))  # The emergency has ended.
    await world.advance(10)
    later = await shares(before.driver, before.binding)
    viewer = await world.natural(12)
    (await opens(viewer, later["token"])).ok()
    await world.feed(row(1, at=START + 20, alarms=SPEEDING | COLLISION))
    assert kinds(await alerts(before.viewer, before.id)) == ["collision", "speeding", "emergency"]
    assert kinds(await alerts(viewer, later["id"])) == ["collision", "speeding"]


async def test_r34_emergency_collision_and_rollover_come_from_one_frame(world: World) -> None:
    seen = await watched(world)
    await world.reports(1, alarms=EMERGENCY | COLLISION | ROLLOVER)
    assert sorted(kinds(await alerts(seen.viewer, seen.id))) == ["collision", "emergency", "rollover"]


async def test_r34_an_alarm_word_that_cannot_be_true_raises_nothing(world: World) -> None:
    seen = await watched(world)
    await world.reports(1, alarms=EVERYTHING)
    assert await alerts(seen.viewer, seen.id) == []
    assert (await seen.view())["online"]


async def test_r34_without_a_valid_position_an_alert_carries_the_last_known_one_or_none(world: World) -> None:
    seen = await watched(world)
    async with world.truck(1) as truck:
        await truck.signs_on()
        assert await truck.reports(world.now, alarms=EMERGENCY, status=ACC_ON, lon_e6=0, lat_e6=0) == OK
        (unknown,) = await alerts(seen.viewer, seen.id)
        assert (unknown["wgs84"], unknown["gcj02"]) == (None, None)
        await world.advance(10)
        assert await truck.reports(world.now) == OK
        await world.advance(10)
        assert await truck.reports(world.now, alarms=COLLISION, status=ACC_ON, lon_e6=0, lat_e6=0) == OK
    newest, *_ = await alerts(seen.viewer, seen.id)
    assert (newest["kind"], newest["wgs84"]) == ("collision", [114.4, 30.7])


async def test_r34_driver_and_owner_see_the_alerts_too(world: World) -> None:
    seen, owner = await watched(world), await world.owner()
    await world.reports(1, alarms=EMERGENCY)
    (alert,) = await alerts(seen.viewer, seen.id)
    page = (await seen.driver.get(f"/api/v1/driver/bindings/{seen.binding}")).ok()
    assert alert in page["alerts"]
    (vehicle,) = (await owner.get("/api/v1/owner/vehicles?list=bound")).items
    assert (await owner.get(f"/api/v1/owner/vehicles/{vehicle['id']}")).ok()["alerts"] == [alert]


# -- the live stream ---------------------------------------------------------------------------------------------------


async def test_r34_an_alert_is_pushed_when_it_begins_and_again_with_the_same_id_when_it_ends(world: World) -> None:
    seen = await watched(world)
    await world.reports(1)
    async with seen.viewer.watches(seen.id) as stream:
        await stream.take("position", "presence")
        await world.advance(10)
        await world.reports(1, alarms=EMERGENCY)
        _, begun = await stream.take("position", "alert")
        await world.advance(10)
        await world.reports(1)
        _, ended = await stream.take("position", "alert")
    assert (begun["kind"], begun["ongoing"]) == ("emergency", True)
    assert (ended["id"], ended["ongoing"]) == (begun["id"], False)
    assert [ended] == await alerts(seen.viewer, seen.id)


async def test_r34_a_stream_resumes_with_the_alerts_that_were_missed(world: World) -> None:
    seen = await watched(world)
    await world.reports(1)
    async with seen.viewer.watches(seen.id) as stream:
        await stream.take("position", "presence")
        await world.advance(10)
        await world.reports(1, alarms=EMERGENCY)
        await stream.take("position", "alert")
        known = stream.last_event_id
    await world.advance(10)
    await world.reports(1, alarms=COLLISION)
    await world.restart()
    async with seen.viewer.watches(seen.id, Last_Event_ID=known) as stream:
        await stream.take("position", "presence")
        missed = await stream.take("alert", "alert")
        await stream.nothing()
    assert {(each["kind"], each["ongoing"]) for each in missed} == {("emergency", False), ("collision", True)}


async def test_r34_the_first_events_of_a_stream_are_where_the_truck_is_and_whether_it_is_online(world: World) -> None:
    seen = await watched(world)
    await world.reports(1, alarms=EMERGENCY)
    async with seen.viewer.watches(seen.id) as stream:
        position, presence = await stream.take("position", "presence")
        await stream.nothing()
        view = await seen.view()
        assert position == view["last_fix"] | {"online": True}
        assert presence == {"online": True, "last_fix": view["last_fix"]}
        await world.advance(600)
        (offline,) = await stream.take("presence")
        assert (offline["online"], offline["last_fix"]["age_s"]) == (False, 600)
        await world.reports(1)
        back = await stream.take("position", "presence")
        assert [each["online"] for each in back] == [True, True]


async def test_r34_a_quiet_stream_has_a_heartbeat_comment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert StreamLimits().heartbeat_s == 15
    beats_often(monkeypatch)
    await world.restart()
    seen = await watched(world)
    await world.reports(1)
    async with seen.viewer.watches(seen.id) as stream:
        await stream.take("position", "presence")
        await hears_a_heartbeat(stream)


async def test_r34_a_stream_ends_with_the_session_that_opened_it(world: World) -> None:
    seen, other = await watched(world), await world.natural(11)
    await world.reports(1)
    async with seen.viewer.watches(seen.id) as stream, other.watches(seen.id) as kept:
        await stream.take("position", "presence")
        await kept.take("position", "presence")
        (await seen.viewer.delete("/api/v1/sessions/current")).ok(204)
        assert await stream.rest() == []  # No `ended`: the share goes on.
        await world.advance(1)
        await world.reports(1)
        await kept.take("position")


async def test_r34_a_truck_that_never_reported_has_a_stream_all_the_same(world: World) -> None:
    seen = await watched(world, duration="7d")
    async with seen.viewer.watches(seen.id) as stream:
        (presence,) = await stream.take("presence")
        assert presence == {"online": False, "last_fix": None}
        await world.advance(DAY_S)
        await world.reports(1)
        await stream.take("position", "presence")
