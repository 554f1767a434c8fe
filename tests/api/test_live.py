"""A live stream begins with the present state, tells each change, and ends with the share or the session (R31-R34)."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any

import pytest

from actors.people.documents import SHARE
from actors.vehicles.checkpoints import Checkpointer
from actors.vehicles.vehicle import KIND, VehicleActor
from actors.vehicles.watch import AlertChanged, Moved
from api.accounts.sessions import LIFETIME_S
from api.live.event_stream import StreamLimits
from api.live.stream import MAX_ALERTS
from domain.vehicle import alarm_bits as bits
from domain.vehicle.alerts import Alert
from domain.vehicle.fix import Fix
from persistence.store import StoreUnavailable
from tests.api.conftest import START, Service, citizen_id, key, mobile, problem, real_name, row
from tests.api.drivers import (
    BINDINGS,
    FAMILY_SHARES,
    SHARES,
    Body,
    Headers,
    bind,
    delete,
    opened,
    post,
    share,
    watched_share,
)
from tests.api.watching import Reader, stream, until
from tests.patience import PATIENCE_S

DAY_S = 86_400.0


@dataclass
class Scene:
    """A driver, a family member on an opened share of vehicle 1, which has one position."""

    service: Service
    driver: Headers
    viewer: Headers
    share: Body

    @property
    def path(self) -> str:
        return f"{FAMILY_SHARES}/{self.share['id']}/live"

    def watch(self, **more: str) -> AbstractAsyncContextManager[Reader]:
        return stream(self.service, self.path, self.viewer, **more)

    async def alarm(self, at: int, alarms: int = bits.EMERGENCY) -> None:
        await self.service.report(row(at=START + at, alarms=alarms))

    def is_watched(self) -> bool:
        supervisor = self.service.supervisor
        return supervisor.is_watched(SHARE, self.share["id"]) or supervisor.is_watched(KIND, key(1))

    async def left(self) -> None:
        """Return when the service has noticed that the viewer has left."""
        await until(lambda: not self.is_watched())


@pytest.fixture
async def scene(service: Service) -> Scene:
    await service.report(row())
    driver, viewer, shared = await watched_share(service)
    return Scene(service, driver, viewer, shared)


def kinds_of(alerts: list[Any]) -> list[tuple[str, bool]]:
    return [(alert["kind"], alert["ongoing"]) for alert in alerts]


# -- beginning ------------------------------------------------------------------------------------------------------------


async def test_r31_the_current_position_and_presence_come_first(scene: Scene) -> None:
    view = await scene.service.get(f"{FAMILY_SHARES}/{scene.share['id']}", scene.viewer)
    async with scene.watch() as reader:
        position, presence = await reader.take("position", "presence")
        assert position == view["last_fix"] | {"online": True}
        assert presence == {"online": True, "last_fix": view["last_fix"]}
        assert reader.retry == ["3000"]
        assert reader.last_event_id
        headers = reader.response.headers
        assert headers.getall("Date") == [formatdate(START, usegmt=True)]
        assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert (headers["Cache-Control"], headers["X-Accel-Buffering"]) == ("no-store", "no")
        assert headers["X-Request-Id"]
        assert "Content-Encoding" not in headers
        await reader.nothing()


async def test_who_watches_on_a_stream_is_counted_until_the_end(scene: Scene) -> None:
    async def counted() -> bool:
        text = await (await scene.service.client.get("/metrics")).text()
        return "\nshouwang_live_streams 1.0\n" in text

    assert not await counted()
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        assert await counted()
        await delete(scene.service, f"{SHARES}/{scene.share['id']}", scene.driver)
        await scene.left()
        assert not await counted()


async def test_a_vehicle_without_a_position_begins_with_its_presence(service: Service) -> None:
    _, viewer, shared = await watched_share(service)
    async with stream(service, f"{FAMILY_SHARES}/{shared['id']}/live", viewer) as reader:
        assert await reader.take("presence") == [{"online": False, "last_fix": None}]
        await service.report(row())
        position, presence = await reader.take("position", "presence")
        assert position["online"]
        assert presence["online"]


@pytest.mark.parametrize("share_id", ["0" * 16, "x", "%00", "0" * 41, "0123456789abcdef0"])
async def test_an_unknown_share_is_not_found_before_a_stream_begins(scene: Scene, share_id: str) -> None:
    response = await scene.service.client.get(f"{FAMILY_SHARES}/{share_id}/live", headers=scene.viewer)
    await problem(response, 404, "not_found")


async def test_nobody_but_the_viewer_may_watch(scene: Scene) -> None:
    service = scene.service
    for headers in (scene.driver, await service.sign_in_person(mobile(12)), await service.one_click(mobile(99))):
        await problem(await service.client.get(scene.path, headers=headers), 404, "not_found")
    await problem(await service.client.get(scene.path, headers=await service.sign_in()), 403, "natural_person_only")
    await problem(await service.client.get(scene.path), 401, "unauthenticated")
    assert not scene.is_watched()


async def test_r5_one_click_sign_in_is_enough_to_watch(service: Service) -> None:
    await service.report(row())
    driver, viewer = await service.sign_in_driver(), await service.one_click(mobile(77))
    shared = await share(service, driver, await bind(service, driver))
    await opened(service, viewer, shared["token"])
    async with stream(service, f"{FAMILY_SHARES}/{shared['id']}/live", viewer) as reader:
        await reader.take("position", "presence")


async def test_r33_an_ended_share_is_refused_before_a_stream_begins(scene: Scene) -> None:
    await delete(scene.service, f"{SHARES}/{scene.share['id']}", scene.driver)
    response = await scene.service.client.get(scene.path, headers=scene.viewer)
    await problem(response, 410, "share_ended")
    assert not scene.is_watched()


# -- telling --------------------------------------------------------------------------------------------------------------


async def test_r31_a_new_position_arrives_at_once(scene: Scene) -> None:
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        for at in (30, 60, 90):
            await scene.service.clock.advance(30)
            await scene.service.report(row(at=START + at, lon=114_400_000 + 10 * at))
            (position,) = await reader.take("position")
            assert position["wgs84"] == [round(114.4 + at / 100_000, 6), 30.7]
            assert (position["age_s"], position["online"]) == (0, True)
        await scene.service.report(row(at=START + 90), row(number=2, at=START + 90))
        await reader.nothing()


async def test_r32_presence_is_told_at_ten_minutes_sharp_with_the_last_position(scene: Scene) -> None:
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        await scene.service.clock.advance(599.9)
        await reader.nothing()
        await scene.service.clock.advance(0.1)
        (presence,) = await reader.take("presence")
        assert not presence["online"]
        assert presence["last_fix"]["age_s"] == 600
        await scene.service.report(row(at=START + 599))
        position, presence = await reader.take("position", "presence")
        assert (position["online"], presence["online"]) == (True, True)


async def test_r34_an_alert_is_told_when_it_begins_and_again_when_it_ends(scene: Scene) -> None:
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        await scene.service.clock.advance(60)
        await scene.alarm(10)
        await reader.take("position")
        (began,) = await reader.take("alert")
        await scene.alarm(20)
        await reader.take("position")
        await scene.alarm(30, alarms=0)
        await reader.take("position")
        (ended,) = await reader.take("alert")
        assert kinds_of([began, ended]) == [("emergency", True), ("emergency", False)]
        assert began["id"] == ended["id"]
        assert began["title"]


async def test_alerts_that_ended_before_the_share_are_never_told(service: Service) -> None:
    await service.clock.advance(100)
    await service.report(row(at=START + 10, alarms=bits.COLLISION), row(at=START + 20))
    await service.report(row(at=START + 30, alarms=bits.EMERGENCY))
    _, viewer, shared = await watched_share(service)
    path = f"{FAMILY_SHARES}/{shared['id']}/live"
    async with stream(service, path, viewer, **{"Last-Event-ID": "0--"}) as reader:
        await reader.take("position", "presence")
        assert kinds_of(await reader.take("alert")) == [("emergency", True)]
        await reader.nothing()


async def test_a_fresh_stream_tells_no_old_alerts_and_garbage_makes_it_fresh(scene: Scene) -> None:
    await scene.service.clock.advance(60)
    await scene.alarm(10)
    for garbage in (
        "",
        "x",
        "-",
        "--",
        "1-2-3",
        "0-abcdefgh-",
        "9" * 13 + "--",
        "0--" + "0" * 8 + ".",
        "0-" + "a" * 2000,
    ):
        async with scene.watch(**({"Last-Event-ID": garbage} if garbage else {})) as reader:
            await reader.take("position", "presence")
            await reader.nothing()


async def test_r63_watching_is_noted(scene: Scene) -> None:
    await scene.service.clock.advance(100)
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        await scene.service.household.watch_log.flush()
        assert (await scene.service.household.watch_log.last([scene.share["id"]])) == {scene.share["id"]: START + 100}


async def test_a_heartbeat_comes_and_notes_that_somebody_watches(scene: Scene) -> None:
    await with_limits(scene, heartbeat_s=0.1)
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        await scene.service.clock.advance(50)
        await reader.response.content.readuntil(b":\n\n")
        await reader.response.content.readuntil(b":\n\n")
        assert await scene.service.household.watch_log.last([scene.share["id"]]) == {scene.share["id"]: START + 50}


# -- ending ---------------------------------------------------------------------------------------------------------------


async def test_r33_cancelling_cuts_the_stream_and_nothing_of_the_vehicle_follows(scene: Scene) -> None:
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        response = await delete(scene.service, f"{SHARES}/{scene.share['id']}", scene.driver)
        assert response.status == 204
        await scene.service.report(row(at=START + 1, alarms=bits.EMERGENCY))
        (ended,) = await reader.rest()
        assert (ended.name, ended.told) == ("ended", {"id": scene.share["id"], "reason": "cancelled"})
    await scene.left()


async def test_r33_expiry_cuts_the_stream_in_its_second(scene: Scene) -> None:
    await scene.service.clock.advance(3 * DAY_S - 10)
    await scene.service.report(row(at=START + 3 * DAY_S - 10))
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        await scene.service.clock.advance(9.9)
        await reader.nothing()
        await scene.service.clock.advance(0.1)
        await scene.service.report(row(at=START + 3 * DAY_S))
        (ended,) = await reader.rest()
        assert (ended.name, ended.told["reason"]) == ("ended", "expired")


async def test_r33_expiry_cuts_the_stream_though_the_store_is_down(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        with monkeypatch.context() as patch:
            patch.setattr(scene.service.store, "commit", refuse)
            await scene.service.clock.advance(3 * DAY_S)
            *_, ended = await reader.rest()
        assert ended.told["reason"] == "expired"


async def refuse(writes: object) -> None:
    raise StoreUnavailable("the disk is gone")


async def test_r15_unbinding_cuts_the_stream(scene: Scene) -> None:
    (binding,) = (await scene.service.get("/api/v1/driver/vehicles", scene.driver))["items"]
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        await delete(scene.service, f"{BINDINGS}/{binding['id']}", scene.driver)
        (ended,) = await reader.rest()
        assert ended.told == {"id": scene.share["id"], "reason": "unbound"}


async def test_r41_unbinding_by_the_owner_cuts_the_stream(scene: Scene) -> None:
    owner = await scene.service.sign_in()
    page = await scene.service.get(f"/api/v1/owner/vehicles/{key(1)}", owner)
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        response = await delete(scene.service, f"/api/v1/owner/bindings/{page['bindings'][0]['id']}", owner)
        assert response.status == 204
        (ended,) = await reader.rest()
        assert ended.told["reason"] == "unbound"


async def test_signing_out_closes_the_stream_of_that_session_only(scene: Scene) -> None:
    await with_limits(scene, heartbeat_s=1000.0)  # So that no heartbeat finds out.
    other = await scene.service.sign_in_person(mobile(11))
    async with scene.watch() as reader, stream(scene.service, scene.path, other) as others:
        await reader.take("position", "presence")
        await others.take("position", "presence")
        await delete(scene.service, "/api/v1/sessions/current", scene.viewer)
        assert await reader.rest() == []
        await scene.service.report(row(at=START + 1))
        await others.take("position")
    await problem(await scene.service.client.get(scene.path, headers=scene.viewer), 401, "unauthenticated")


@pytest.mark.parametrize("path", ["/api/v1/sessions/{id}", "/api/v1/sessions"])
async def test_a_session_that_another_one_ends_closes_its_streams_in_that_moment(scene: Scene, path: str) -> None:
    await with_limits(scene, heartbeat_s=1000.0)
    other = await scene.service.sign_in_person(mobile(11))
    items = (await scene.service.get("/api/v1/sessions", other))["items"]
    (session,) = [each["id"] for each in items if not each["current"]]
    async with scene.watch() as reader, stream(scene.service, scene.path, other) as others:
        await reader.take("position", "presence")
        await others.take("position", "presence")
        assert (await delete(scene.service, path.format(id=session), other)).status in (200, 204)
        assert await reader.rest() == []
        await scene.service.report(row(at=START + 1))
        await others.take("position")


async def test_a_stream_is_closed_although_its_account_has_become_another_since(service: Service) -> None:
    """An unregistered viewer turns out to have an account already, and signs out."""
    await service.restart_with(stream_limits=replace(StreamLimits(), heartbeat_s=1000.0))
    await service.report(row())
    await service.sign_in_person(mobile(11))
    driver, viewer = await service.sign_in_driver(), await service.one_click(mobile(77))
    shared = await share(service, driver, await bind(service, driver))
    await opened(service, viewer, shared["token"])
    form = {"real_name": real_name(11), "citizen_id": citizen_id(11), "phone_code": f"sandbox:{mobile(77)}"}
    async with stream(service, f"{FAMILY_SHARES}/{shared['id']}/live", viewer) as reader:
        await reader.take("position", "presence")
        assert (await post(service, "/api/v1/registration", viewer, form)).status == 200
        assert (await delete(service, "/api/v1/sessions/current", viewer)).status == 204
        assert await reader.rest() == []


async def test_a_session_that_ends_by_itself_shows_nothing_from_then_on(service: Service) -> None:
    await service.restart_with(stream_limits=replace(StreamLimits(), heartbeat_s=1000.0))
    await service.report(row())
    _, viewer, shared = await watched_share(service, duration="1y")
    async with stream(service, f"{FAMILY_SHARES}/{shared['id']}/live", viewer) as reader:
        await reader.take("position", "presence")
        await service.clock.advance(LIFETIME_S - 1)
        await service.report(row(at=int(service.clock.now())))
        assert (await reader.next(), await reader.next()) != (None, None)
        await service.clock.advance(1)
        await service.report(row(at=int(service.clock.now())))
        assert [event.name for event in await reader.rest()] in ([], ["presence"])


async def test_a_session_that_expires_closes_its_stream_with_a_heartbeat(service: Service) -> None:
    scene = Scene(service, *await watched_share(service, duration="1y"))
    await with_limits(scene, heartbeat_s=0.1)
    async with scene.watch() as reader:
        await reader.take("presence")
        await service.clock.advance(31 * DAY_S)
        assert await reader.rest() == []


async def test_r33_cancelling_while_a_stream_begins_leaves_none_open(scene: Scene) -> None:
    """Whichever comes first: a refusal before, or an end within."""
    service, binding_id = scene.service, scene.share["binding_id"]
    for turns in range(12):
        shared = await share(service, scene.driver, binding_id)
        await opened(service, scene.viewer, shared["token"])
        path = f"{FAMILY_SHARES}/{shared['id']}"
        opening = asyncio.create_task(service.client.get(f"{path}/live", headers=scene.viewer))
        await asyncio.sleep(turns / 1000)
        await delete(service, f"{SHARES}/{shared['id']}", scene.driver)
        async with asyncio.timeout(PATIENCE_S), await opening as response:
            if response.status == 410:
                continue
            last = (await Reader(response).rest())[-1]
        assert (response.status, last.name, last.told["reason"]) == (200, "ended", "cancelled")


# -- resuming -------------------------------------------------------------------------------------------------------------


async def test_r34_a_resume_tells_exactly_the_alerts_that_were_missed(scene: Scene) -> None:
    service = scene.service
    await service.clock.advance(1000)
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        await scene.alarm(100)
        await reader.take("position")
        await reader.take("alert")
        last = reader.last_event_id
    await scene.alarm(200, alarms=0)
    await scene.alarm(300, alarms=bits.COLLISION)
    await scene.alarm(400, alarms=bits.COLLISION | bits.ROLLOVER)
    async with scene.watch(**{"Last-Event-ID": last}) as reader:
        await reader.take("position", "presence")
        alerts = await reader.take("alert", "alert", "alert")
        assert kinds_of(alerts) == [("emergency", False), ("collision", True), ("rollover", True)]
        await reader.nothing()
        last = reader.last_event_id
    async with scene.watch(**{"Last-Event-ID": last}) as reader:
        await reader.take("position", "presence")
        await reader.nothing()


async def checkpoint(service: Service) -> None:
    """Write the checkpoint of a clean stop."""
    ingest = service.ingest
    await Checkpointer(
        service.store,
        service.supervisor,
        service.fleet,
        folded=lambda: ingest.folded,
        between_batches=ingest.between_batches,
    ).write_all()


async def test_a_resume_goes_on_across_a_restart_of_the_service(scene: Scene) -> None:
    service = scene.service
    await service.clock.advance(1000)
    await scene.alarm(100)
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        last = reader.last_event_id  # The one that runs is known: the view has it.
    await checkpoint(service)
    await service.restart()
    await service.report(row(at=START + 200), row(at=START + 300, alarms=bits.ROLLOVER))
    async with scene.watch(**{"Last-Event-ID": last}) as reader:
        await reader.take("position", "presence")
        assert kinds_of(await reader.take("alert", "alert")) == [("emergency", False), ("rollover", True)]
        await reader.nothing()


async def test_a_resume_that_breaks_off_resumes_from_the_last_alert_that_arrived(scene: Scene) -> None:
    await scene.service.clock.advance(1000)
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        last = reader.last_event_id
    for i in range(5):
        await scene.alarm(100 * i + 100)
        await scene.alarm(100 * i + 150, alarms=0)
    seen = []
    for _ in range(5):
        async with scene.watch(**{"Last-Event-ID": last}) as reader:
            await reader.take("position", "presence")
            seen += await reader.take("alert")
            last = reader.last_event_id
    assert [alert["started_at"][14:19] for alert in seen] == ["55:00", "56:40", "58:20", "00:00", "01:40"]


# -- limits ---------------------------------------------------------------------------------------------------------------


async def with_limits(scene: Scene, **changes: Any) -> None:
    await scene.service.restart_with(stream_limits=replace(StreamLimits(), **changes))


async def test_a_sixth_stream_of_an_account_ends_the_oldest_and_asks_it_to_come_later(scene: Scene) -> None:
    async with scene.watch() as first, scene.watch() as second:
        await first.take("position", "presence")
        await second.take("position", "presence")
        async with scene.watch(), scene.watch(), scene.watch(), scene.watch() as sixth:
            await sixth.take("position", "presence")
            assert await first.rest() == []
            assert first.retry == ["3000", "60000"]
            await scene.service.report(row(at=START + 1))
            await second.take("position")


async def test_more_streams_than_the_process_may_hold_are_told_to_come_again(scene: Scene) -> None:
    await with_limits(scene, streams=1, heartbeat_s=0.1)
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        response = await scene.service.client.get(scene.path, headers=scene.viewer)
        await problem(response, 503, "unavailable")
        assert int(response.headers["Retry-After"]) >= 10
    await scene.left()
    async with scene.watch() as reader:
        await reader.take("position", "presence")


async def test_a_client_that_goes_away_is_forgotten(scene: Scene) -> None:
    await with_limits(scene, heartbeat_s=0.1)
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        assert scene.is_watched()
    await scene.left()


def moved(actor: VehicleActor, number: int) -> Moved:
    newest = actor.vehicle.newest
    assert isinstance(newest, Fix)
    at = int(START) + number
    return Moved(float(at), True, newest._replace(lon_e6=114_000_000 + number), at, float(at))


async def test_a_slow_reader_gets_the_newest_position_and_no_backlog(scene: Scene) -> None:
    supervisor = scene.service.supervisor
    actor = supervisor.actors(KIND)[key(1)]
    assert isinstance(actor, VehicleActor)
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        transport = reader.response.connection and reader.response.connection.transport
        assert transport is not None
        transport.pause_reading()
        for number in range(1, 20_001):
            supervisor.announce(KIND, key(1), moved(actor, number))
            await asyncio.sleep(0)
        transport.resume_reading()
        seen: list[int] = []
        while not seen or seen[-1] != 20_000:
            (position,) = await reader.take("position")
            seen.append(round((position["wgs84"][0] - 114) * 1e6))
        assert seen == sorted(seen)
        assert len(seen) < 15_000


async def test_a_reader_that_takes_nothing_is_cut(scene: Scene) -> None:
    await with_limits(scene, stalled_s=0.2)
    supervisor = scene.service.supervisor
    actor = supervisor.actors(KIND)[key(1)]
    assert isinstance(actor, VehicleActor)
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        transport = reader.response.connection and reader.response.connection.transport
        assert transport is not None
        transport.pause_reading()
        async with asyncio.timeout(PATIENCE_S):
            number = 0
            while scene.is_watched():
                number += 1
                supervisor.announce(KIND, key(1), moved(actor, number))
                await asyncio.sleep(0)


async def test_r54_a_stream_with_too_many_alerts_waiting_is_cut_and_resumes_without_a_gap(scene: Scene) -> None:
    supervisor = scene.service.supervisor
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        for number in range(MAX_ALERTS + 1):  # In one turn: faster than anybody reads.
            supervisor.announce(KIND, key(1), changed(number))
        assert await reader.rest() == []
    await scene.left()


def changed(number: int) -> object:
    alert = Alert(f"{number:020x}", "emergency", "terminal", int(START), None, None, None, 0, 0, None)
    return AlertChanged(alert)


async def test_r33_a_stalled_reader_is_cut_when_the_share_ends(scene: Scene) -> None:
    """The last position's bytes in our buffers are withdrawn."""
    supervisor = scene.service.supervisor
    actor = supervisor.actors(KIND)[key(1)]
    assert isinstance(actor, VehicleActor)
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        transport = reader.response.connection and reader.response.connection.transport
        assert transport is not None
        transport.pause_reading()
        for number in range(1, 20_001):
            supervisor.announce(KIND, key(1), moved(actor, number))
            await asyncio.sleep(0)
        await delete(scene.service, f"{SHARES}/{scene.share['id']}", scene.driver)
        await scene.left()


async def test_a_stopping_service_ends_its_streams_cleanly(scene: Scene) -> None:
    async with scene.watch() as reader:
        await reader.take("position", "presence")
        async with asyncio.timeout(0.9):
            await scene.service.client.server.close()
        assert await reader.rest() == []
