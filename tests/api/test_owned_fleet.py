"""Tests that a business sees the state of its own fleet, and can narrow the map."""

from __future__ import annotations

from datetime import timedelta

from domain.civil_time import china_date
from domain.vehicle import alarm_bits as bits
from tests.api.conftest import Service, key, row, vehicle_line

MAP = "/api/v1/owner/map"
WUHAN = "bbox=114,30,115,31"
SUMMARY = "/api/v1/owner/summary"


async def test_the_owner_s_map_can_be_narrowed_to_those_online_or_with_an_alert(service: Service) -> None:
    owner = await service.sign_in()
    await service.report(row(1, alarms=bits.EMERGENCY), row(2))
    await service.clock.advance(300)
    await service.report(row(2, at=service.clock.now()))
    await service.clock.advance(300)
    for only, numbers in (("all", {1, 2}), ("online", {2}), ("alerting", {1}), ("expiring", {1})):
        body = await service.get(f"{MAP}?{WUHAN}&only={only}", owner)
        assert {vehicle["id"] for vehicle in body["items"]} == set(map(key, numbers)), only


async def test_r40_the_summary_counts_own_vehicles_only(service: Service) -> None:
    owner = await service.sign_in()
    await service.report(row(1, alarms=bits.EMERGENCY), row(2), row(4))
    assert await service.get(SUMMARY, owner) == {
        "vehicles": 3,
        "bound": 0,
        "online": 2,
        "alerting": 1,
        "expiring": 1,
        "expired": 0,
    }


async def test_r53_the_summary_counts_vehicles_whose_papers_run_out(service: Service) -> None:
    owner, today = await service.sign_in(), china_date(service.clock.now())
    await service.register(
        vehicle_line(1, transport_cert_valid_until=str(today + timedelta(days=30))),
        vehicle_line(2, annual_review_due=str(today - timedelta(days=1))),
        vehicle_line(3, transport_cert_valid_until=str(today + timedelta(days=31))),
    )
    body = await service.get(SUMMARY, owner)
    assert (body["expiring"], body["expired"]) == (2, 1)
    listed = await service.get("/api/v1/owner/vehicles?list=expiring", owner)
    assert [vehicle["id"] for vehicle in listed["items"]] == [key(1), key(2)]
