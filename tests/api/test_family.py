"""Tests that a family member sees a shared vehicle as it is, and nothing after the end (R5, R22, R30-R34, R53)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientResponse

from actors.people.documents import SHARE
from actors.vehicles.state import alert_document
from domain.vehicle.alerts import Alert
from tests.api.conftest import (
    START,
    TODAY,
    Service,
    business_line,
    citizen_id,
    key,
    mobile,
    person_line,
    plate,
    problem,
    real_name,
    row,
    vehicle_line,
)
from tests.api.drivers import (
    BINDINGS,
    FAMILY_DELEGATIONS,
    FAMILY_SHARES,
    SHARES,
    Body,
    Headers,
    delete,
    family,
    items,
    opened,
    share,
    watched_share,
)

DAY = 86_400.0


async def look(service: Service, headers: Headers, share_id: str, etag: str | None = None) -> ClientResponse:
    more = {} if etag is None else {"If-None-Match": etag}
    return await service.client.get(f"{FAMILY_SHARES}/{share_id}", headers={**headers, **more})


async def view(service: Service, headers: Headers, share_id: str) -> Body:
    return await service.get(f"{FAMILY_SHARES}/{share_id}", headers)


def emergency(number: int, started_at: float, ended_at: float | None) -> Alert:
    ended = None if ended_at is None else int(ended_at)
    return Alert(f"{number:020d}", "emergency", "terminal", int(started_at), ended, None, None, 0, 0, None)


# -- the view -----------------------------------------------------------------------------------------------------------


async def test_r30_a_share_shows_all_that_the_contract_says_and_no_more(service: Service) -> None:
    _, viewer, shared = await watched_share(service)
    await service.clock.advance(7)
    await service.report(row(1, START, speed=805))
    body = await view(service, viewer, shared["id"])
    assert body["last_fix"].pop("gcj02")
    assert body == {
        "id": shared["id"],
        "vehicle": {"plate": plate(1), "plate_color": "yellow"},
        "driver": {"display_name": real_name(1), "phone": None},
        "expires_at": shared["expires_at"],
        "online": True,
        "last_fix": {
            "time": "2025-10-09T16:53:20+08:00",
            "received_at": "2025-10-09T16:53:27+08:00",
            "age_s": 7,
            "wgs84": [114.4, 30.7],
            "speed_kmh": 80.5,
            "course_deg": 90,
            "altitude_m": 25,
            "place": "武汉市东北方向15公里",
        },
        "certificate_reminders": [
            {"kind": "annual_review", "state": "expiring", "valid_until": "2025-10-19", "days_left": 10}
        ],
        "alerts": [],
        "driving_today": {"distance_km": 0.0, "driving_s": 0, "longest_stint_s": 0, "alert_count": 0},
        "refresh_after": 30,
    }


async def test_what_opening_shows_is_what_the_page_shows(service: Service) -> None:
    _, viewer, shared = await watched_share(service)
    await service.report(row(1))
    assert await opened(service, viewer, shared["token"]) == await view(service, viewer, shared["id"])


async def test_a_vehicle_that_never_reported_is_shown_without_a_position(service: Service) -> None:
    _, viewer, shared = await watched_share(service)
    body = await view(service, viewer, shared["id"])
    assert (body["online"], body["last_fix"]) == (False, None)


async def test_r32_an_offline_vehicle_still_shows_its_last_fix_and_how_old_it_is(service: Service) -> None:
    _, viewer, shared = await watched_share(service)
    await service.report(row(1))
    told = []
    for seconds in (599, 1, 10_000):
        await service.clock.advance(seconds)
        body = await view(service, viewer, shared["id"])
        told.append((body["online"], body["last_fix"]["age_s"]))
    assert told == [(True, 599), (False, 600), (False, 10_600)]


async def test_r53_the_papers_of_vehicle_owner_and_driver_are_reminded_of(service: Service) -> None:
    driver_until, review, licence = (str(TODAY + timedelta(days=days)) for days in (3, 2, 1))
    _, viewer, shared = await watched_share(service, 2)
    assert (await view(service, viewer, shared["id"]))["certificate_reminders"] == []
    await service.register(
        vehicle_line(2, annual_review_due=review, transport_cert_valid_until=str(TODAY)),
        business_line(1, operating_licence={"number": "420100000001", "valid_until": licence}),
        person_line(2, qualification={"number": citizen_id(2), "valid_until": driver_until}),
    )
    response = await look(service, viewer, shared["id"])
    reminders = (await response.json())["certificate_reminders"]
    assert [(each["kind"], each["days_left"]) for each in reminders] == [
        ("transport", 0),
        ("operating_licence", 1),
        ("annual_review", 2),
        ("qualification", 3),
    ]
    assert (await look(service, viewer, shared["id"], response.headers["ETag"])).status == 304
    await service.clock.advance(DAY)
    tomorrow = await look(service, viewer, shared["id"], response.headers["ETag"])
    assert (await tomorrow.json())["certificate_reminders"][0]["state"] == "expired"


async def test_r34_alerts_are_those_since_the_share_was_made_and_those_running_then(service: Service) -> None:
    await service.report(row(1, START - 100, alarms=1), row(1, START - 90), row(1, START - 80, alarms=2, speed=700))
    _, viewer, shared = await watched_share(service)
    await service.report(row(1, START + 10, speed=700, alarms=1 << 29))
    told = (await view(service, viewer, shared["id"]))["alerts"]
    assert [(alert["kind"], alert["ongoing"]) for alert in told] == [("collision", True), ("speeding", False)]
    assert await items(service, f"{FAMILY_SHARES}/{shared['id']}/alerts", viewer) == told


async def test_r34_the_page_shows_the_newest_ten_and_the_list_all(service: Service) -> None:
    _, viewer, shared = await watched_share(service)
    reports = [row(1, START + 10 * number, alarms=1 if number % 2 else 0) for number in range(1, 31)]
    await service.report(*reports)
    everything = await items(service, f"{FAMILY_SHARES}/{shared['id']}/alerts", viewer)
    assert len(everything) == 15
    assert (await view(service, viewer, shared["id"]))["alerts"] == everything[:10]


# -- all alerts ---------------------------------------------------------------------------------------------------------


async def pages(service: Service, headers: Headers, path: str, limit: int) -> list[list[Body]]:
    found: list[list[Body]] = []
    cursor = ""
    while True:
        page = await service.get(f"{path}?limit={limit}{cursor}", headers)
        found.append(page["items"])
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
async def test_r34_pages_of_alerts_are_whole_whatever_the_store_has_of_them(service: Service, limit: int) -> None:
    _, viewer, shared = await watched_share(service)
    old = [emergency(number, START - 500 + number, START - 300) for number in range(20)]
    running = [emergency(number + 100, START - 1000 + number, START + 5) for number in range(3)]
    new = [emergency(number + 200, START + 3 + 10 * number, START + 4 + 10 * number) for number in range(12)]
    await service.store.commit([alert_document(key(1), alert) for alert in (*old, *running, *new)])
    await service.report(*(row(1, START + 5 * number, alarms=number % 2) for number in range(1, 24)))
    found = await pages(service, viewer, f"{FAMILY_SHARES}/{shared['id']}/alerts", limit)
    alerts = [alert for page in found for alert in page]
    assert len(alerts) == len({alert["id"] for alert in alerts}) == 3 + 12 + 12
    starts = [(alert["started_at"], alert["id"]) for alert in alerts]
    assert starts == sorted(starts, reverse=True)
    assert all(len(page) == limit for page in found[:-2])


async def test_a_page_of_alerts_goes_on_though_they_were_saved_meanwhile(service: Service) -> None:
    _, viewer, shared = await watched_share(service)
    path = f"{FAMILY_SHARES}/{shared['id']}/alerts"
    await service.report(*(row(1, START + 5 * number, alarms=number % 2) for number in range(1, 9)))
    first = await service.get(f"{path}?limit=2", viewer)
    actor: Any = service.supervisor.actors("vehicle")[key(1)]
    await service.store.commit([alert_document(key(1), alert) for alert in actor.vehicle.unsaved.values()])
    actor.vehicle.unsaved = None
    second = await service.get(f"{path}?limit=2&cursor={first['next']}", viewer)
    assert len({alert["id"] for alert in first["items"] + second["items"]}) == 4
    assert second["next"] is None


async def test_a_cursor_of_another_list_is_none(service: Service) -> None:
    _, viewer, shared = await watched_share(service)
    path = f"{FAMILY_SHARES}/{shared['id']}/alerts"
    for cursor in ("x", "1.2", "a.b.c", "1.a.nonsense", "1..", f"{'9' * 13}.a.", "9.a.é"):
        response = await service.client.get(path, params={"cursor": cursor}, headers=viewer)
        if cursor != "1..":
            await problem(response, 422, "invalid_input")


# -- has it changed? ----------------------------------------------------------------------------------------------------


async def test_304_while_nothing_but_the_age_changes(service: Service) -> None:
    _, viewer, shared = await watched_share(service)
    await service.report(row(1))
    first = await look(service, viewer, shared["id"])
    etag = first.headers["ETag"]
    assert etag.startswith('"')
    assert first.headers["Cache-Control"] == "private, max-age=0"
    assert first.content_type == "application/json"
    await service.clock.advance(30)
    for known in (etag, f"W/{etag}", f'"x", {etag}', f'W/"x",W/{etag}', "*"):
        response = await look(service, viewer, shared["id"], known)
        assert (response.status, await response.read()) == (304, b"")
        assert response.headers["ETag"] == etag
        assert response.headers["Cache-Control"] == "private, max-age=0"
    for known in ('"x"', etag[1:-1], "", f"{etag[:-1]}", '"' + "x" * 5000):
        response = await look(service, viewer, shared["id"], known)
        assert response.status == 200
        assert (await response.json())["last_fix"]["age_s"] == 30


async def test_whatever_else_changes_changes_the_tag_presence_too(service: Service) -> None:
    driver, viewer, shared = await watched_share(service)
    etags = []

    async def note() -> None:
        response = await look(service, viewer, shared["id"])
        assert response.status == 200
        etags.append(response.headers["ETag"])
        assert (await look(service, viewer, shared["id"], etags[-1])).status == 304

    await note()
    await service.restart()
    assert (await look(service, viewer, shared["id"], etags[0])).status == 304
    for report in (row(1), row(1, START + 10), row(1, START + 20, alarms=1), row(1, START + 30)):
        await service.report(report)
        await note()
    await service.clock.advance(630)
    await note()
    await service.register(vehicle_line(1, annual_review_due=str(TODAY + timedelta(days=9))))
    await note()
    assert len(set(etags)) == len(etags)
    await delete(service, f"{SHARES}/{shared['id']}", driver)
    await problem(await look(service, viewer, shared["id"], etags[-1]), 410, "share_ended")


# -- the end ------------------------------------------------------------------------------------------------------------


async def test_r33_an_ended_share_tells_its_viewer_that_and_anybody_else_nothing(service: Service) -> None:
    driver, viewer, shared = await watched_share(service)
    await service.report(row(1))
    other = await family(service, 12)
    for headers in (other, driver):
        await problem(await look(service, headers, shared["id"]), 404, "not_found")
    await delete(service, f"{BINDINGS}/{shared['binding_id']}/shares", driver)
    for path in ("", "/alerts"):
        response = await service.client.get(f"{FAMILY_SHARES}/{shared['id']}{path}", headers=viewer)
        body = await problem(response, 410, "share_ended")
        assert set(body) == {"type", "title", "status", "detail", "code"}
        for headers in (other, driver):
            response = await service.client.get(f"{FAMILY_SHARES}/{shared['id']}{path}", headers=headers)
            await problem(response, 404, "not_found")


async def test_r33_a_share_ends_at_its_time_without_any_timer(service: Service) -> None:
    _, viewer, shared = await watched_share(service)
    await service.clock.advance(3 * DAY - 1)
    assert (await look(service, viewer, shared["id"])).status == 200
    await service.clock.advance(1)
    await problem(await look(service, viewer, shared["id"]), 410, "share_ended")
    await service.restart()
    await problem(await look(service, viewer, shared["id"]), 410, "share_ended")


async def test_a_failure_of_ours_is_never_an_ended_share(service: Service) -> None:
    _, viewer, shared = await watched_share(service)
    await service.report(row(1))
    actor: Any = service.supervisor.actors("vehicle")[key(1)]
    actor.suspend()
    service.supervisor.adopt("vehicle", key(1), actor)
    await problem(await look(service, viewer, shared["id"]), 503, "unavailable")


async def test_what_can_be_no_share_is_not_found_and_wakes_nobody(service: Service) -> None:
    viewer = await family(service)
    awake = len(service.supervisor.actors(SHARE))
    for share_id in ("x", "é" * 16, "%00", "0" * 4000, "A" * 16, "'"):
        for path in ("", "/alerts"):
            response = await service.client.get(f"{FAMILY_SHARES}/{share_id}{path}", headers=viewer)
            await problem(response, 404, "not_found")
    assert len(service.supervisor.actors(SHARE)) == awake
    await problem(await look(service, viewer, "0" * 16), 404, "not_found")


# -- lists --------------------------------------------------------------------------------------------------------------


async def test_the_list_of_shares_tells_of_ended_ones_only_that(service: Service) -> None:
    driver, viewer, shared = await watched_share(service)
    await service.report(row(1))
    await service.clock.advance(10)
    second = await share(service, driver, shared["binding_id"], "7d")
    await opened(service, viewer, second["token"])
    await delete(service, f"{SHARES}/{shared['id']}", driver)
    lines = await items(service, FAMILY_SHARES, viewer)
    assert [(line["id"], line["status"], line["online"]) for line in lines] == [
        (second["id"], "open", True),
        (shared["id"], "cancelled", None),
    ]
    assert lines[0]["last_fix"]["age_s"] == 10
    assert lines[1]["last_fix"] is None
    assert lines[0]["driver_name_masked"] == f"{real_name(1)[0]}**"
    assert real_name(1) not in str(lines)


async def test_the_list_goes_on_over_all_that_the_account_was(service: Service) -> None:
    driver, _, shared = await watched_share(service)
    ids = [shared["id"]]
    for phone in (77, 78):
        await service.clock.advance(1)
        another = await share(service, driver, shared["binding_id"])
        await opened(service, await service.one_click(mobile(phone)), another["token"])
        ids.append(another["id"])
    viewer = await family(service)
    for phone in (77, 78):
        former = await service.one_click(mobile(phone))
        body = {"real_name": real_name(11), "citizen_id": citizen_id(11), "phone_code": f"sandbox:{mobile(phone)}"}
        assert (await service.client.post("/api/v1/registration", json=body, headers=former)).status == 200
    assert {line["id"] for line in await items(service, FAMILY_SHARES, viewer)} == set(ids)
    for limit in (1, 2):
        found = [line["id"] for page in await pages(service, viewer, FAMILY_SHARES, limit) for line in page]
        assert sorted(found) == sorted(ids)


async def test_who_may_have_this_side(service: Service) -> None:
    paths = (FAMILY_SHARES, f"{FAMILY_SHARES}/{'0' * 16}", f"{FAMILY_SHARES}/{'0' * 16}/alerts", FAMILY_DELEGATIONS)
    business = await service.sign_in()
    for path in paths:
        await problem(await service.client.get(path), 401, "unauthenticated")
        await problem(await service.client.get(path, headers=business), 403, "natural_person_only")
