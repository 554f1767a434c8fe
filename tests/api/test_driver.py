"""Tests that a driver can bind, share and delegate, within the limits and not beyond (R10-R23)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from domain.people.share import expires_at
from tests.api.conftest import (
    PUBLIC_URL,
    START,
    TODAY,
    Service,
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
    DELEGATIONS,
    SHARES,
    VEHICLES,
    bind,
    bind_body,
    delete,
    family,
    items,
    made,
    opened,
    post,
    share,
    watched_share,
)

DAY = 86_400.0


# -- binding ------------------------------------------------------------------------------------------------------------


async def test_r11_a_driver_binds_what_the_certificates_say(service: Service) -> None:
    driver = await service.sign_in_driver()
    await service.report(row(1))
    binding = await made(await post(service, BINDINGS, driver, bind_body(1, plate="鄂a·00001 ")))
    assert binding.pop("id")
    assert binding.pop("last_fix")["speed_kmh"] == 80.0
    assert binding == {
        "vehicle": {"plate": plate(1), "plate_color": "yellow"},
        "kind": "self",
        "bound_at": "2025-10-09T16:53:20+08:00",
        "unbound_at": None,
        "unbound_by": None,
        "delegate_name": None,
        "shares_live": 0,
        "online": True,
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"plate": plate(9)},
        {"plate_color": "blue"},
        {"transport_cert_no": "420100000002"},
        {"vin": "LZZ5ELND5HD000002"},
        {"vin": "LZZ5ELND5HD000002", "transport_cert_no": "420100000002"},
    ],
)
async def test_r11_a_mismatch_never_says_what_does_not_match(service: Service, wrong: dict[str, str]) -> None:
    driver = await service.sign_in_driver()
    body = await problem(await post(service, BINDINGS, driver, bind_body(1, **wrong)), 422, "vehicle_mismatch")
    assert "errors" not in body
    assert body["detail"] == "车辆信息与登记不一致，请对照道路运输证和行驶证核对后重试。"
    assert await items(service, VEHICLES, driver) == []


async def test_what_can_be_no_plate_or_vin_is_named_field_by_field(service: Service) -> None:
    driver = await service.sign_in_driver()
    response = await post(service, BINDINGS, driver, bind_body(1, plate="ABC", vin="IOQ", transport_cert_no=" "))
    body = await problem(response, 422, "invalid_input")
    assert [error["field"] for error in body["errors"]] == ["plate", "transport_cert_no", "vin"]
    response = await post(service, BINDINGS, driver, bind_body(1, plate_color="pink"))
    body = await problem(response, 422, "invalid_input")
    assert [error["field"] for error in body["errors"]] == ["plate_color"]
    response = await post(service, BINDINGS, driver, bind_body(1, vin="L" * 65))
    await problem(response, 422, "invalid_input")


async def test_r61_ten_wrong_attempts_an_hour_and_no_more_even_right_ones(service: Service) -> None:
    driver, other = await service.sign_in_driver(1), await service.sign_in_driver(2)
    for number in range(10):
        response = await post(service, BINDINGS, driver, bind_body(1, vin=f"LZZ5ELND5HD0001{number:02d}"))
        await problem(response, 422, "vehicle_mismatch")
    refused = await post(service, BINDINGS, driver, bind_body(1))
    await problem(refused, 429, "too_many_attempts")
    assert 0 < int(refused.headers["Retry-After"]) <= 3600
    await bind(service, other)
    await service.restart()
    await problem(await post(service, BINDINGS, driver, bind_body(1)), 429, "too_many_attempts")
    await service.clock.advance(3600)
    await bind(service, driver)


async def test_r12_a_fourth_vehicle_is_refused_until_one_is_unbound(service: Service) -> None:
    driver = await service.sign_in_driver()
    first, *_ = [await bind(service, driver, number) for number in (1, 2, 3)]
    await problem(await post(service, BINDINGS, driver, bind_body(4)), 409, "too_many_bindings")
    assert (await delete(service, f"{BINDINGS}/{first}", driver)).status == 204
    await bind(service, driver, 4)


async def test_r12_four_at_once_are_three(service: Service) -> None:
    driver = await service.sign_in_driver()
    responses = await asyncio.gather(*(post(service, BINDINGS, driver, bind_body(number)) for number in (1, 2, 3, 4)))
    assert sorted(response.status for response in responses) == [201, 201, 201, 409]
    assert len(await items(service, VEHICLES, driver)) == 3


async def test_r13_an_eleventh_vehicle_in_12_months_is_refused_with_the_day_it_becomes_possible(
    service: Service,
) -> None:
    await service.register(*(vehicle_line(number) for number in range(5, 13)))
    driver = await service.sign_in_driver()
    for number in range(1, 11):
        await delete(service, f"{BINDINGS}/{await bind(service, driver, number)}", driver)
    body = await problem(await post(service, BINDINGS, driver, bind_body(11)), 409, "too_many_in_12_months")
    assert "2026-10-09" in body["detail"]
    assert body["frees_on"] == "2026-10-09"
    await bind(service, driver, 10)


async def test_r14_a_vehicle_is_bound_once_by_each_of_several_drivers(service: Service) -> None:
    one, two = await service.sign_in_driver(1), await service.sign_in_driver(2)
    await bind(service, one)
    await bind(service, two)
    await problem(await post(service, BINDINGS, one, bind_body(1)), 409, "already_bound")


async def test_a_repeated_request_binds_once_and_gets_the_first_answer(service: Service) -> None:
    driver = await service.sign_in_driver()
    first = await made(await post(service, BINDINGS, driver, bind_body(1), **{"Idempotency-Key": "k1"}))
    again = await made(await post(service, BINDINGS, driver, bind_body(1), **{"Idempotency-Key": "k1"}))
    assert again == first
    assert len(await items(service, VEHICLES, driver)) == 1


# -- lists --------------------------------------------------------------------------------------------------------------


async def test_r10_current_is_the_default_and_history_tells_nothing_of_where_the_truck_is(service: Service) -> None:
    driver = await service.sign_in_driver()
    await service.report(row(1), row(2))
    first = await bind(service, driver, 1)
    await service.clock.advance(60)
    await bind(service, driver, 2)
    current = await items(service, VEHICLES, driver)
    assert [(item["vehicle"]["plate"], item["online"]) for item in current] == [(plate(2), True), (plate(1), True)]
    await delete(service, f"{BINDINGS}/{first}", driver)
    assert [item["vehicle"]["plate"] for item in await items(service, VEHICLES, driver)] == [plate(2)]
    (past,) = await items(service, f"{VEHICLES}?list=history", driver)
    assert (past["id"], past["unbound_by"], past["unbound_at"]) == (first, "driver", "2025-10-09T16:54:20+08:00")
    assert (past["last_fix"], past["online"], past["shares_live"]) == (None, None, 0)


async def test_lists_come_in_pages(service: Service) -> None:
    driver = await service.sign_in_driver()
    for number in (1, 2, 3):
        await service.clock.advance(1)
        await bind(service, driver, number)
    first = await service.get(f"{VEHICLES}?limit=2", driver)
    second = await service.get(f"{VEHICLES}?limit=2&cursor={first['next']}", driver)
    assert [item["vehicle"]["plate"] for item in first["items"] + second["items"]] == [plate(3), plate(2), plate(1)]
    assert second["next"] is None
    for bad in ("cursor=x", "cursor=0.x", "cursor=9.", f"list=history&cursor={first['next']}", "limit=0", "list=all"):
        await problem(await service.client.get(f"{VEHICLES}?{bad}", headers=driver), 422, "invalid_input")


async def test_r10_shared_with_me_is_the_third_list(service: Service) -> None:
    await service.report(row(1))
    driver, other = await service.sign_in_driver(1), await service.sign_in_driver(2)
    shared = await share(service, driver, await bind(service, driver))
    await opened(service, other, shared["token"])
    (line,) = await items(service, f"{VEHICLES}?list=shared", other)
    assert line.pop("last_fix")["speed_kmh"] == 80.0
    assert line == {
        "id": shared["id"],
        "vehicle": {"plate": plate(1), "plate_color": "yellow"},
        "driver_name_masked": f"{real_name(1)[0]}**",
        "status": "open",
        "expires_at": "2025-10-12T16:53:20+08:00",
        "online": True,
    }
    assert await items(service, VEHICLES, other) == []


# -- one binding --------------------------------------------------------------------------------------------------------


async def test_the_page_of_a_binding_tells_shares_certificates_and_alerts(service: Service) -> None:
    expiring = str(TODAY + timedelta(days=5))
    await service.register(person_line(1, qualification={"number": citizen_id(1), "valid_until": expiring}))
    await service.report(row(1, START - 20, alarms=1), row(1, START - 10))
    driver, viewer = await service.sign_in_driver(), await family(service)
    binding_id = await bind(service, driver)
    await service.report(row(1, START + 10, alarms=1), row(1, START + 20), row(1, START + 30, alarms=1))
    shared = await share(service, driver, binding_id, "7d")
    await opened(service, viewer, shared["token"])
    page = await service.get(f"{BINDINGS}/{binding_id}", driver)
    assert (page["shares_live"], page["online"]) == (1, True)
    (told,) = page["shares"]
    assert told["viewer"] == {
        "display_name": real_name(11),
        "opened_at": "2025-10-09T16:53:20+08:00",
        "last_watched_at": "2025-10-09T16:53:20+08:00",
    }
    assert "token" not in told
    assert "link" not in told
    reminders = [(each["kind"], each["days_left"]) for each in page["certificate_reminders"]]
    assert reminders == [("qualification", 5), ("annual_review", 10)]
    assert page["alert_counts"] == {"emergency": 2}
    assert [alert["started_at"][-14:-6] for alert in page["alerts"]] == ["16:53:50", "16:53:30"]


async def test_the_page_of_an_ended_binding_tells_nothing_of_what_came_after(service: Service) -> None:
    driver = await service.sign_in_driver()
    binding_id = await bind(service, driver)
    await delete(service, f"{BINDINGS}/{binding_id}", driver)
    await service.report(row(1, alarms=1))
    page = await service.get(f"{BINDINGS}/{binding_id}", driver)
    assert (page["last_fix"], page["online"]) == (None, None)
    assert page["alerts"] == page["shares"] == page["certificate_reminders"] == []


async def test_other_peoples_bindings_and_unknown_ones_are_alike(service: Service) -> None:
    mine, theirs = await service.sign_in_driver(1), await service.sign_in_driver(2)
    other = await bind(service, theirs)
    bodies: list[Any] = []
    for binding_id in (other, "0" * 16, "x", "é" * 16, "%00", "A" * 16, "0" * 4000):
        path = f"{BINDINGS}/{binding_id}"
        for response in (
            await service.client.get(path, headers=mine),
            await delete(service, path, mine),
            await post(service, f"{path}/rebind", mine),
            await post(service, f"{path}/shares", mine, {"duration": "3d"}),
            await delete(service, f"{path}/shares", mine),
        ):
            bodies.append(await problem(response, 404, "not_found"))
    assert all(body == bodies[0] for body in bodies)
    assert len(await items(service, VEHICLES, theirs)) == 1


async def test_r15_unbinding_ends_this_drivers_shares_of_the_vehicle(service: Service) -> None:
    driver, viewer, shared = await watched_share(service)
    (line,) = await items(service, VEHICLES, driver)
    await delete(service, f"{BINDINGS}/{line['id']}", driver)
    gone = await service.client.get(f"/api/v1/family/shares/{shared['id']}", headers=viewer)
    await problem(gone, 410, "share_ended")
    (told,) = await items(service, SHARES, driver)
    assert told["status"] == "ended"
    await problem(await delete(service, f"{BINDINGS}/{line['id']}", driver), 404, "not_found")


async def test_r16_bind_again_needs_no_typing(service: Service) -> None:
    driver = await service.sign_in_driver()
    old = await bind(service, driver)
    await problem(await post(service, f"{BINDINGS}/{old}/rebind", driver), 409, "already_bound")
    await delete(service, f"{BINDINGS}/{old}", driver)
    binding = await made(await post(service, f"{BINDINGS}/{old}/rebind", driver))
    assert binding["id"] != old
    assert (binding["vehicle"]["plate"], binding["kind"]) == (plate(1), "self")
    assert len(await items(service, f"{VEHICLES}?list=history", driver)) == 1


async def test_r16_the_registry_must_still_say_the_same(service: Service) -> None:
    driver = await service.sign_in_driver()
    old = await bind(service, driver)
    await delete(service, f"{BINDINGS}/{old}", driver)
    await service.register(vehicle_line(1, transport_cert_no="420100999999"))
    await problem(await post(service, f"{BINDINGS}/{old}/rebind", driver), 422, "vehicle_mismatch")


# -- shares -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "duration,until",
    [("3d", "2025-10-12"), ("7d", "2025-10-16"), ("1mo", "2025-11-09"), ("1y", "2026-10-09")],
)
async def test_r17_shares_last_as_long_as_the_driver_says(service: Service, duration: str, until: str) -> None:
    driver = await service.sign_in_driver()
    binding_id = await bind(service, driver)
    shared = await share(service, driver, binding_id, duration)
    token = shared.pop("token")
    assert shared.pop("link") == f"{PUBLIC_URL}/s#{token}"
    assert len(token) >= 40
    assert shared.pop("id") in token
    assert shared == {
        "binding_id": binding_id,
        "vehicle": {"plate": plate(1), "plate_color": "yellow"},
        "duration": duration,
        "created_at": "2025-10-09T16:53:20+08:00",
        "expires_at": f"{until}T16:53:20+08:00",
        "status": "unopened",
        "call_me": False,
        "viewer": None,
    }


@pytest.mark.parametrize("body", [{"duration": "2d"}, {"duration": 3}, {}, {"duration": None}])
async def test_r17_and_no_other_time(service: Service, body: dict[str, object]) -> None:
    driver = await service.sign_in_driver()
    path = f"{BINDINGS}/{await bind(service, driver)}/shares"
    answer = await problem(await post(service, path, driver, body), 422, "invalid_input")
    assert [error["field"] for error in answer["errors"]] == ["duration"]


async def test_r18_three_live_shares_over_all_drivers_of_a_vehicle(service: Service) -> None:
    one, two = await service.sign_in_driver(1), await service.sign_in_driver(2)
    of_one, of_two = await bind(service, one), await bind(service, two)
    first = await share(service, one, of_one)
    await share(service, one, of_one)
    await share(service, two, of_two)
    for driver, binding_id in ((one, of_one), (two, of_two)):
        response = await post(service, f"{BINDINGS}/{binding_id}/shares", driver, {"duration": "3d"})
        await problem(response, 409, "too_many_shares")
    assert (await delete(service, f"{SHARES}/{first['id']}", one)).status == 204
    await share(service, two, of_two)
    await service.clock.advance(expires_at(START, first["duration"]) - service.clock.now())
    await share(service, one, of_one)


async def test_r18_four_shares_at_once_are_three(service: Service) -> None:
    drivers = [await service.sign_in_driver(number) for number in (1, 2)]
    bindings = [await bind(service, driver) for driver in drivers]
    both = list(zip(drivers, bindings, strict=True)) * 2
    responses = await asyncio.gather(
        *(post(service, f"{BINDINGS}/{binding}/shares", driver, {"duration": "3d"}) for driver, binding in both)
    )
    assert sorted(response.status for response in responses) == [201, 201, 201, 409]
    lists = [await items(service, SHARES, driver) for driver in drivers]
    assert sum(map(len, lists)) == 3


async def test_r19_sharing_a_second_vehicle_is_refused_and_says_which_is_shared(service: Service) -> None:
    driver = await service.sign_in_driver()
    first, second = await bind(service, driver, 1), await bind(service, driver, 2)
    await share(service, driver, first)
    response = await post(service, f"{BINDINGS}/{second}/shares", driver, {"duration": "3d"})
    assert (await problem(response, 409, "sharing_other_vehicle"))["binding_id"] == first
    cancelled = await delete(service, f"{BINDINGS}/{first}/shares", driver)
    assert await cancelled.json() == {"cancelled": 1}
    await share(service, driver, second)


async def test_r21_cancelling_ends_opened_and_unopened_shares_at_once(service: Service) -> None:
    driver, viewer, shared = await watched_share(service)
    binding_id = shared["binding_id"]
    await share(service, driver, binding_id)
    cancelled = await delete(service, f"{BINDINGS}/{binding_id}/shares", driver)
    assert await cancelled.json() == {"cancelled": 2}
    assert {each["status"] for each in await items(service, SHARES, driver)} == {"cancelled"}
    gone = await service.client.get(f"/api/v1/family/shares/{shared['id']}", headers=viewer)
    await problem(gone, 410, "share_ended")
    again = await delete(service, f"{BINDINGS}/{binding_id}/shares", driver)
    assert await again.json() == {"cancelled": 0}


async def test_r21_one_share_alone_and_a_second_time_does_no_harm(service: Service) -> None:
    driver = await service.sign_in_driver()
    binding_id = await bind(service, driver)
    first, second = await share(service, driver, binding_id), await share(service, driver, binding_id)
    for _ in range(2):
        assert (await delete(service, f"{SHARES}/{first['id']}", driver)).status == 204
    told = {each["id"]: each["status"] for each in await items(service, SHARES, driver)}
    assert told == {first["id"]: "cancelled", second["id"]: "unopened"}
    assert (await items(service, VEHICLES, driver))[0]["shares_live"] == 1


async def test_nobody_cancels_another_drivers_share(service: Service) -> None:
    _, _, shared = await watched_share(service)
    other = await service.sign_in_driver(2)
    for share_id in (shared["id"], "0" * 16, "x"):
        await problem(await delete(service, f"{SHARES}/{share_id}", other), 404, "not_found")


async def test_r63_the_driver_sees_who_holds_a_share_and_when_it_was_watched(service: Service) -> None:
    driver, viewer, shared = await watched_share(service)
    await service.clock.advance(100)
    await service.get(f"/api/v1/family/shares/{shared['id']}", viewer)
    (told,) = await items(service, SHARES, driver)
    assert told["viewer"] == {
        "display_name": real_name(11),
        "opened_at": "2025-10-09T16:53:20+08:00",
        "last_watched_at": "2025-10-09T16:55:00+08:00",
    }
    await service.restart()
    assert await items(service, SHARES, driver) == [told]


async def test_r62_a_token_is_told_once_and_the_store_does_not_have_it(service: Service) -> None:
    driver = await service.sign_in_driver()
    shared = await share(service, driver, await bind(service, driver))
    delegated = await made(await post(service, DELEGATIONS, driver, {"plate": plate(2), "plate_color": "yellow"}))
    for path in (SHARES, DELEGATIONS, f"{BINDINGS}/{shared['binding_id']}", "/api/v1/me/audit"):
        assert "token" not in str(await service.get(path, driver))
    await service.stop()
    stored = b"".join(file.read_bytes() for file in service.folder.iterdir())
    assert shared["id"].encode() in stored
    for made_once in (shared, delegated):
        assert made_once["token"][17:].encode() not in stored
    await service.start(service.clock.now())


async def test_a_repeated_share_has_the_same_link(service: Service) -> None:
    driver = await service.sign_in_driver()
    path = f"{BINDINGS}/{await bind(service, driver)}/shares"
    first = await made(await post(service, path, driver, {"duration": "3d"}, **{"Idempotency-Key": "k1"}))
    again = await made(await post(service, path, driver, {"duration": "3d"}, **{"Idempotency-Key": "k1"}))
    assert again == first
    assert len(await items(service, SHARES, driver)) == 1


# -- delegations --------------------------------------------------------------------------------------------------------


async def test_r22_a_driver_asks_a_family_member_to_bind(service: Service) -> None:
    driver = await service.sign_in_driver()
    delegated = await made(await post(service, DELEGATIONS, driver, {"plate": plate(2), "plate_color": "yellow"}))
    token = delegated.pop("token")
    assert delegated.pop("link") == f"{PUBLIC_URL}/d#{token}"
    assert (await items(service, DELEGATIONS, driver)) == [delegated]
    assert (delegated["status"], delegated["expires_at"]) == ("unopened", "2025-10-16T16:53:20+08:00")


async def test_r22_a_vehicle_that_is_bound_need_not_be_delegated(service: Service) -> None:
    driver = await service.sign_in_driver()
    await bind(service, driver)
    response = await post(service, DELEGATIONS, driver, {"plate": plate(1), "plate_color": "yellow"})
    await problem(response, 409, "already_bound")
    response = await post(service, DELEGATIONS, driver, {"plate": "nonsense", "plate_color": "yellow"})
    await problem(response, 422, "invalid_input")


async def test_r23_a_withdrawn_delegation_is_over(service: Service) -> None:
    driver, other = await service.sign_in_driver(1), await service.sign_in_driver(2)
    delegated = await made(await post(service, DELEGATIONS, driver, {"plate": plate(2), "plate_color": "yellow"}))
    path = f"{DELEGATIONS}/{delegated['id']}"
    await problem(await delete(service, path, other), 404, "not_found")
    assert (await delete(service, path, driver)).status == 204
    await problem(await delete(service, path, driver), 410, "delegation_ended")
    assert [each["status"] for each in await items(service, DELEGATIONS, driver)] == ["withdrawn"]


async def test_r23_a_delegation_expires_after_seven_days(service: Service) -> None:
    driver = await service.sign_in_driver()
    await made(await post(service, DELEGATIONS, driver, {"plate": plate(2), "plate_color": "yellow"}))
    await service.clock.advance(7 * DAY - 1)
    assert [each["status"] for each in await items(service, DELEGATIONS, driver)] == ["unopened"]
    await service.clock.advance(1)
    assert [each["status"] for each in await items(service, DELEGATIONS, driver)] == ["expired"]


# -- who may ------------------------------------------------------------------------------------------------------------


async def test_r3_only_drivers_have_this_side(service: Service) -> None:
    calls = [
        ("GET", VEHICLES),
        ("POST", BINDINGS),
        ("GET", f"{BINDINGS}/{'0' * 16}"),
        ("DELETE", f"{BINDINGS}/{'0' * 16}"),
        ("POST", f"{BINDINGS}/{'0' * 16}/rebind"),
        ("POST", f"{BINDINGS}/{'0' * 16}/shares"),
        ("DELETE", f"{BINDINGS}/{'0' * 16}/shares"),
        ("GET", SHARES),
        ("DELETE", f"{SHARES}/{'0' * 16}"),
        ("POST", DELEGATIONS),
        ("GET", DELEGATIONS),
        ("DELETE", f"{DELEGATIONS}/{'0' * 16}"),
    ]
    strangers = [await service.sign_in(), await family(service), await service.one_click(mobile(77))]
    for method, path in calls:
        await problem(await service.client.request(method, path), 401, "unauthenticated")
        for headers in strangers:
            await problem(await service.client.request(method, path, headers=headers), 403, "driver_only")


async def test_r64_what_a_driver_did_stands_in_the_audit(service: Service) -> None:
    driver, _, shared = await watched_share(service)
    await delete(service, f"{BINDINGS}/{shared['binding_id']}", driver)
    actions = [record["action"] for record in await items(service, "/api/v1/me/audit", driver)]
    assert set(actions) >= {"bound", "shared", "share_opened", "unbound", "share_ended"}


async def test_a_vehicle_that_fails_leaves_the_list_its_line(service: Service) -> None:
    driver = await service.sign_in_driver()
    await bind(service, driver)
    await service.report(row(1))
    actor: Any = service.supervisor.actors("vehicle")[key(1)]
    actor.vehicle.ongoing = None  # what no rule would do: looking at it throws
    (line,) = await items(service, VEHICLES, driver)
    assert (line["online"], line["last_fix"]) == (None, None)
