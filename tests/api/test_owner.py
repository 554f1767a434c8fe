"""Tests that a business sees its own vehicles as they are, and no other's (R32, R40, R41, R53)."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from actors.vehicles.state import alert_document
from actors.vehicles.vehicle import KIND
from domain.coordinates import gcj02_from_wgs84
from domain.vehicle.alerts import Alert
from persistence.records import encode
from persistence.store import IndexEntry, Put
from tests.api import drivers
from tests.api.conftest import START, Service, business_line, key, phone, plate, problem, row, vehicle_line
from tests.api.drivers import VEHICLES, bind, watched_share

LIST = "/api/v1/owner/vehicles"


async def items(service: Service, query: str = "", owner: int = 1) -> list[dict[str, Any]]:
    body = await service.get(LIST + query, await service.sign_in(owner))
    found: list[dict[str, Any]] = body["items"]
    return found


async def test_r40_a_business_sees_all_its_own_vehicles_by_plate_and_no_others(service: Service) -> None:
    assert [item["plate"] for item in await items(service)] == [plate(1), plate(2), plate(3)]
    assert [item["id"] for item in await items(service, owner=2)] == [key(4)]


async def test_a_vehicle_that_never_reported_is_offline_and_has_no_fix(service: Service) -> None:
    item = (await items(service))[1]
    assert item == {
        "id": key(2),
        "plate": plate(2),
        "plate_color": "yellow",
        "online": False,
        "last_fix": None,
        "bindings_count": 0,
        "certificate_reminders": [],
    }


async def test_the_last_fix_is_told_in_the_contracts_units(service: Service) -> None:
    await service.clock.advance(7)
    await service.report(row(1, START, altitude=-3, course=360))
    fix = (await items(service))[0]["last_fix"]
    assert fix.pop("gcj02") == pytest.approx(gcj02_from_wgs84(114.4, 30.7), abs=1e-6)
    assert fix == {
        "time": "2025-10-09T16:53:20+08:00",
        "received_at": "2025-10-09T16:53:27+08:00",
        "age_s": 7,
        "wgs84": [114.4, 30.7],
        "speed_kmh": 80.0,
        "course_deg": 0,
        "altitude_m": -3,
        "place": "武汉市东北方向15公里",
    }


async def test_r32_online_until_the_fix_is_600_s_old(service: Service) -> None:
    await service.report(row(1))
    headers = await service.sign_in()

    async def online() -> tuple[Any, Any, Any]:
        page = await service.get(f"{LIST}/{key(1)}", headers)
        line = (await service.get(LIST, headers))["items"][0]
        return line["online"], page["online"], page["last_fix"]["age_s"]

    await service.clock.advance(599)
    assert await online() == (True, True, 599)
    await service.clock.advance(1)
    assert await online() == (False, False, 600)


async def test_pages_go_on_where_the_last_one_ended(service: Service) -> None:
    headers = await service.sign_in()
    first = await service.get(f"{LIST}?limit=2", headers)
    second = await service.get(f"{LIST}?limit=2&cursor={first['next']}", headers)
    assert [item["plate"] for item in first["items"] + second["items"]] == [plate(1), plate(2), plate(3)]
    assert second["next"] is None


@pytest.mark.parametrize(
    "query,field",
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("limit=", "limit"),
        ("list=mine", "list"),
        ("cursor=nonsense", "cursor"),
        ("cursor=%ff%fe", "cursor"),
        ("cursor=%ED%A0%80", "cursor"),
        ("cursor=", "cursor"),
        ("cursor=" + "A" * 2_001, "cursor"),
        ("q=" + "A" * 21, "q"),
    ],
)
async def test_a_bad_query_is_refused_with_the_field_that_is_bad(service: Service, query: str, field: str) -> None:
    response = await service.client.get(f"{LIST}?{query}", headers=await service.sign_in())
    body = await problem(response, 422, "invalid_input")
    assert [error["field"] for error in body["errors"]] == [field]


async def test_a_cursor_of_another_business_is_no_cursor(service: Service) -> None:
    theirs = (await service.get(f"{LIST}?limit=1", await service.sign_in(1)))["next"]
    response = await service.client.get(f"{LIST}?cursor={theirs}", headers=await service.sign_in(2))
    await problem(response, 422, "invalid_input")


async def test_a_part_of_the_plate_finds_a_vehicle(service: Service) -> None:
    await service.register(vehicle_line(12), vehicle_line(21))
    assert [item["plate"] for item in await items(service, "?q=a0001")] == [plate(12)]
    assert [item["plate"] for item in await items(service, "?q=1&limit=200")] == [plate(1), plate(12), plate(21)]
    assert await items(service, "?q=%00") == []


@pytest.mark.parametrize("typed", ["黑01·1", "黑０１1", "黑 01 1", "\u200b黑01-12", "01・12"])
async def test_a_part_of_the_plate_is_found_however_it_is_typed(service: Service, typed: str) -> None:
    await service.register(vehicle_line(12, plate="黑01·12345", plate_color="farm_green"))
    assert [item["plate"] for item in await items(service, f"?q={quote(typed)}")] == ["黑0112345"]


async def test_a_character_of_private_use_is_the_reason_why_no_plate_is_found(service: Service) -> None:
    response = await service.client.get(f"{LIST}?q=%EE%A1%A3", headers=await service.sign_in())
    body = await problem(response, 422, "invalid_input")
    assert "输入法自造" in body["errors"][0]["message"]


async def test_a_filtered_list_comes_in_pages_too(service: Service) -> None:
    await service.register(*(vehicle_line(number) for number in range(10, 30)))
    headers, cursor, found = await service.sign_in(), "", []
    for _ in range(30):
        page = await service.get(f"{LIST}?q=2&limit=3{cursor}", headers)
        found += [item["plate"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert found == [plate(number) for number in (2, 12, *range(20, 30))]


async def test_r40_bound_vehicles_are_those_with_bindings(service: Service) -> None:
    assert await items(service, "?list=bound") == []
    binding = Put("binding", "b1", encode("a binding"), (IndexEntry("vehicle", key(2)),))
    await service.store.commit([binding])
    bound = await items(service, "?list=bound")
    assert [(item["plate"], item["bindings_count"]) for item in bound] == [(plate(2), 1)]


async def test_r53_papers_that_run_out_are_listed_and_others_are_not(service: Service) -> None:
    await service.register(
        business_line(1, operating_licence={"number": "420100000001", "valid_until": "2025-10-08"}),
        vehicle_line(2, transport_cert_valid_until="2025-11-08"),
        vehicle_line(3, transport_cert_valid_until="2025-11-09"),
    )
    licence = {"kind": "operating_licence", "state": "expired", "valid_until": "2025-10-08", "days_left": -1}
    review = {"kind": "annual_review", "state": "expiring", "valid_until": "2025-10-19", "days_left": 10}
    transport = {"kind": "transport", "state": "expiring", "valid_until": "2025-11-08", "days_left": 30}
    reminders = [item["certificate_reminders"] for item in await items(service)]
    assert reminders == [[licence, review], [licence, transport], [licence]]


# -- one vehicle ------------------------------------------------------------------------------------------------------


async def test_r41_the_page_of_a_vehicle_tells_its_data(service: Service) -> None:
    await service.report(row(1))
    page = await service.get(f"{LIST}/{key(1)}", await service.sign_in())
    assert page["vin"] == "LZZ5ELND5HD000001"
    assert page["transport_cert_no"] == "420100000001"
    assert page["speed_limit_kmh"] == 100
    assert page["terminal_phone_masked"] == "138****0001"
    assert page["bindings"] == []
    assert page["alerts"] == []
    assert page["driving_today"] == {"distance_km": 0.0, "driving_s": 0, "longest_stint_s": 0, "alert_count": 0}
    assert phone(1) not in str(page)


async def test_r40_another_business_vehicle_and_an_unknown_one_are_alike(service: Service) -> None:
    headers = await service.sign_in(1)
    bodies = [
        await problem(await service.client.get(f"{LIST}/{vehicle}", headers=headers), 404, "not_found")
        for vehicle in (key(4), "0" * 16, "x", "é" * 16, "%00", "%ED%A0%80", "0" * 4000, "' OR 1=1 --")
    ]
    assert all(body == bodies[0] for body in bodies)
    assert (await service.client.get(f"{LIST}/{key(4)}", headers=await service.sign_in(2))).status == 200


async def test_without_a_session_there_is_nothing_to_see(service: Service) -> None:
    for path in (LIST, f"{LIST}/{key(1)}", f"{LIST}/x"):
        await problem(await service.client.get(path), 401, "unauthenticated")


async def test_r34_alerts_of_store_and_actor_are_one_list_newest_first(service: Service) -> None:
    old = [stored_alert(number) for number in range(120)]
    await service.store.commit([alert_document(key(1), alert) for alert in old])
    await service.report(row(1, alarms=1), row(1, START + 10, speed=1100), row(1, START + 20, speed=1205))
    alerts = (await service.get(f"{LIST}/{key(1)}", await service.sign_in()))["alerts"]
    assert len(alerts) == 100
    assert [alert["kind"] for alert in alerts[:3]] == ["speeding", "emergency", "collision"]
    assert len({alert["id"] for alert in alerts}) == 100
    starts = [alert["started_at"] for alert in alerts]
    assert starts == sorted(starts, reverse=True)
    speeding, emergency = alerts[0], alerts[1]
    assert speeding["title"] == "疑似超速行驶，最高 120 公里/小时，限速 100 公里/小时"
    assert (speeding["source"], speeding["ongoing"], speeding["ended_at"]) == ("platform", True, None)
    assert (speeding["speed_kmh"], speeding["peak_kmh"], speeding["limit_kmh"]) == (110.0, 120.5, 100)
    assert (emergency["title"], emergency["ongoing"], emergency["wgs84"]) == ("紧急报警", False, [114.4, 30.7])
    assert emergency["ended_at"] == "2025-10-09T16:53:30+08:00"


async def test_of_an_alert_that_both_know_the_actor_has_the_newer_word(service: Service) -> None:
    await service.report(row(1, alarms=1))
    headers = await service.sign_in()
    (emergency,) = (await service.get(f"{LIST}/{key(1)}", headers))["alerts"]
    stale = Alert(emergency["id"], "emergency", "terminal", int(START), None, None, None, 0, 0, None)
    await service.store.commit([alert_document(key(1), stale)])
    await service.report(row(1, START + 10))
    (alert,) = (await service.get(f"{LIST}/{key(1)}", headers))["alerts"]
    assert alert["ended_at"] == "2025-10-09T16:53:30+08:00"


async def test_a_vehicle_that_fails_leaves_the_others_their_lines(service: Service) -> None:
    await service.report(row(1), row(2))
    actor: Any = service.supervisor.actors(KIND)[key(1)]
    actor.vehicle.ongoing = None  # what no rule would do: looking at it throws
    found = await items(service)
    assert [item["online"] for item in found] == [None, True, False]
    assert found[0]["last_fix"] is None


def stored_alert(number: int) -> Alert:
    started_at = int(START) - 10_000 + number
    return Alert(f"{number:020d}", "collision", "terminal", started_at, started_at + 5, None, None, 0, 0, None)


# -- who has bound it -------------------------------------------------------------------------------------------------


async def test_r41_the_page_tells_who_has_bound_the_vehicle(service: Service) -> None:
    one, two = await service.sign_in_driver(1), await service.sign_in_driver(2)
    first = await bind(service, one)
    await service.clock.advance(1)
    await bind(service, two)
    page = await service.get(f"{LIST}/{key(1)}", await service.sign_in())
    assert page["bindings_count"] == 2
    assert [binding["driver_name_masked"] for binding in page["bindings"]] == ["张**", "张**"]
    assert page["bindings"][0] == {
        "id": first,
        "driver_name_masked": "张**",
        "kind": "self",
        "bound_at": "2025-10-09T16:53:20+08:00",
    }
    assert [(item["plate"], item["bindings_count"]) for item in await items(service, "?list=bound")] == [(plate(1), 2)]


async def test_r41_the_owner_unbinds_and_the_drivers_shares_end(service: Service) -> None:
    driver, viewer, shared = await watched_share(service)
    await service.clock.advance(60)
    owner = await service.sign_in()
    path = f"/api/v1/owner/bindings/{shared['binding_id']}"
    assert (await service.client.delete(path, headers=owner)).status == 204
    assert await drivers.items(service, VEHICLES, driver) == []
    (past,) = await drivers.items(service, f"{VEHICLES}?list=history", driver)
    assert (past["unbound_by"], past["unbound_at"]) == ("owner", "2025-10-09T16:54:20+08:00")
    gone = await service.client.get(f"/api/v1/family/shares/{shared['id']}", headers=viewer)
    await problem(gone, 410, "share_ended")
    await problem(await service.client.delete(path, headers=owner), 404, "not_found")
    page = await service.get(f"{LIST}/{key(1)}", owner)
    assert (page["bindings"], page["bindings_count"]) == ([], 0)
    actors = {record["actor"]["display_name"] for record in await drivers.items(service, "/api/v1/me/audit", driver)}
    assert "平安运输1号公司" in actors


async def test_r41_another_business_unbinds_nothing(service: Service) -> None:
    driver = await service.sign_in_driver()
    binding_id = await bind(service, driver)
    other = await service.sign_in(2)
    for path in (binding_id, "0" * 16, "x", "%00", "é" * 16):
        response = await service.client.delete(f"/api/v1/owner/bindings/{path}", headers=other)
        await problem(response, 404, "not_found")
    response = await service.client.delete(f"/api/v1/owner/bindings/{binding_id}", headers=driver)
    await problem(response, 403, "owner_only")
    assert len(await drivers.items(service, VEHICLES, driver)) == 1


async def test_r41_owner_and_driver_unbind_at_once_and_one_of_them_has_done_it(service: Service) -> None:
    driver, owner = await service.sign_in_driver(), await service.sign_in()
    binding_id = await bind(service, driver)
    responses = await asyncio.gather(
        service.client.delete(f"/api/v1/owner/bindings/{binding_id}", headers=owner),
        service.client.delete(f"/api/v1/driver/bindings/{binding_id}", headers=driver),
    )
    assert sorted(response.status for response in responses) == [204, 404]
    assert len(await drivers.items(service, f"{VEHICLES}?list=history", driver)) == 1
