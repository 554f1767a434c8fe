"""Tests that the control room sees the service and the fleet live, and that no caller does without the key."""

from __future__ import annotations

import json

import pytest

from actors.vehicles.checkpoints import Checkpointer
from actors.vehicles.vehicle import KIND
from api.live.event_stream import StreamLimits
from domain.vehicle import alarm_bits as bits
from tests.api.conftest import Service, key, phone, plate, problem, row, vehicle_line
from tests.api.watching import Event, Reader, stream

PATH = "/api/v1/ops/live"
KEY = {"X-Ops-Key": "the-ops-key"}
WUHAN = "bbox=114,30,115,31"


@pytest.fixture
async def service(service: Service) -> Service:
    await service.restart_with(ops_key=KEY["X-Ops-Key"])
    return service


async def next_of(reader: Reader, name: str) -> Event:
    while True:
        event = await reader.next()
        assert event is not None
        if event.name == name:
            return event


async def test_the_stream_always_needs_the_key(service: Service) -> None:
    for headers in ({}, {"X-Ops-Key": "wrong"}, await service.sign_in()):
        await problem(await service.client.get(PATH, headers=headers), 401, "ops_key_invalid")
    await service.restart_with(ops_key="")
    for headers in ({}, KEY):
        refusal = await problem(await service.client.get(PATH, headers=headers), 401, "ops_key_invalid")
        assert "OPS_KEY" in refusal["detail"]


async def test_the_health_picture_comes_at_once_and_again(service: Service) -> None:
    async with stream(service, PATH, KEY) as reader:
        first = await next_of(reader, "health")
        assert first.told["status"] == "ok"
        await service.report(row())
        pictures = [(await next_of(reader, "health")).told["telemetry"]["fixes_total"] for _ in range(2)]
        assert pictures[-1] == 1


async def test_the_fleet_in_view_comes_without_a_plate_and_with_ids_that_mean_nothing_elsewhere(
    service: Service,
) -> None:
    await service.report(row(1, alarms=bits.EMERGENCY), row(2, lon=114_500_000), row(3, lon=116_000_000))
    async with stream(service, f"{PATH}?{WUHAN}", KEY) as reader:
        fleet = (await next_of(reader, "fleet")).told
        assert sorted(vehicle[1:] for vehicle in fleet["vehicles"]) == [
            [11_440_000, 3_070_000, 90, 1, 1],
            [11_450_000, 3_070_000, 90, 1, 0],
        ]
        assert (fleet["clusters"], fleet["vehicle_count"]) == ([], 2)
        text = json.dumps(fleet, ensure_ascii=False)
        assert not any(secret in text for secret in (key(1), plate(1), phone(1), key(1)[:12]))
        assert (await next_of(reader, "fleet")).told["vehicles"] == fleet["vehicles"]


async def test_a_crowded_view_is_told_in_clusters(service: Service) -> None:
    await service.report(row(1), row(2), row(3))
    async with stream(service, f"{PATH}?{WUHAN}&limit=2", KEY) as reader:
        fleet = (await next_of(reader, "fleet")).told
        assert fleet["vehicles"] == []
        assert [cluster[2:] for cluster in fleet["clusters"]] == [[3, 3, 0]]


@pytest.mark.parametrize(
    "query",
    ["bbox=", "bbox=1,2,3", "bbox=115,30,114,31", "bbox=0,0,181,1", "bbox=a,b,c,d", f"{WUHAN}&limit=0", "limit=99999"],
)
async def test_a_view_that_is_none_is_refused_before_the_stream_begins(service: Service, query: str) -> None:
    await problem(await service.client.get(f"{PATH}?{query}", headers=KEY), 422, "invalid_input")


async def test_only_so_many_operators_may_look(service: Service) -> None:
    await service.restart_with(stream_limits=StreamLimits(streams_of_operators=1))
    async with stream(service, PATH, KEY) as reader:
        await next_of(reader, "health")
        await problem(await service.client.get(PATH, headers=KEY), 503, "unavailable")


async def test_a_stopping_service_ends_the_stream_cleanly(service: Service) -> None:
    async with stream(service, f"{PATH}?{WUHAN}", KEY) as reader:
        await next_of(reader, "fleet")
        await service.client.server.close()
        assert [event.name for event in await reader.rest()] in ([], ["health"], ["health", "fleet"])


# -- the owner's map ------------------------------------------------------------------------------------------------------

MAP = "/api/v1/owner/map"


async def test_r40_the_owner_s_map_shows_own_vehicles_in_view_and_nobody_else_s(service: Service) -> None:
    owner = await service.sign_in()
    await service.report(row(1, alarms=bits.EMERGENCY), row(2, lon=116_000_000), row(4))
    body = await service.get(f"{MAP}?{WUHAN}", owner)
    (vehicle,) = body["items"]
    assert vehicle == {
        "id": key(1),
        "plate": plate(1),
        "plate_color": "yellow",
        "time": "2025-10-09T16:53:20+08:00",
        "wgs84": [114.4, 30.7],
        "gcj02": [114.405557, 30.697771],
        "course_deg": 90,
        "speed_kmh": 80.0,
        "online": True,
        "alert": True,
    }
    assert (body["clusters"], body["vehicle_count"]) == ([], 1)
    assert (await service.get(f"{MAP}?bbox=70,10,140,60", owner))["vehicle_count"] == 2


async def test_more_vehicles_than_the_limit_are_told_in_clusters(service: Service) -> None:
    await service.report(row(1), row(2, lon=114_400_100), row(3, lon=114_900_000))
    body = await service.get(f"{MAP}?{WUHAN}&limit=2", await service.sign_in())
    assert body["items"] == []
    assert body["vehicle_count"] == 3
    assert sorted(cluster["vehicle_count"] for cluster in body["clusters"]) == [1, 2]


async def test_the_map_is_not_sent_again_while_nothing_moved(service: Service) -> None:
    owner = await service.sign_in()
    await service.report(row(1))
    first = await service.client.get(f"{MAP}?{WUHAN}", headers=owner)
    known = {"If-None-Match": first.headers["ETag"]}
    again = await service.client.get(f"{MAP}?{WUHAN}", headers={**owner, **known})
    assert (again.status, again.headers["ETag"]) == (304, first.headers["ETag"])
    await service.clock.advance(600)
    offline = await service.client.get(f"{MAP}?{WUHAN}", headers={**owner, **known})
    assert (offline.status, (await offline.json())["items"][0]["online"]) == (200, False)


async def test_a_vehicle_that_sleeps_shows_its_last_position(service: Service) -> None:
    owner = await service.sign_in()
    await service.report(row(1))
    await service.clock.advance(4000)
    ingest = service.ingest
    checkpointer = Checkpointer(
        service.store,
        service.supervisor,
        service.fleet,
        folded=lambda: ingest.folded,
        between_batches=ingest.between_batches,
    )
    await checkpointer.write_all()
    assert service.supervisor.passivate(KIND, key(1), service.supervisor.actors(KIND)[key(1)])
    body = await service.get(f"{MAP}?{WUHAN}", owner)
    assert [vehicle["online"] for vehicle in body["items"]] == [False]


async def test_a_vehicle_that_is_registered_meanwhile_stands_on_the_map(service: Service) -> None:
    owner = await service.sign_in()
    assert (await service.get(f"{MAP}?{WUHAN}", owner))["vehicle_count"] == 0
    await service.register(vehicle_line(5))
    await service.report(row(5))
    assert (await service.get(f"{MAP}?{WUHAN}", owner))["vehicle_count"] == 1


async def test_the_map_is_for_owners_with_a_view(service: Service) -> None:
    await problem(await service.client.get(f"{MAP}?{WUHAN}", headers=await service.sign_in_driver()), 403, "owner_only")
    await problem(await service.client.get(MAP, headers=await service.sign_in()), 422, "invalid_input")
