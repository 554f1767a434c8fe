"""Tests that a link opens for one person only, and that a preview claims nothing (R5, R20, R22, R23, R33, R61)."""

from __future__ import annotations

import asyncio

import pytest

from actors.people.documents import SHARE
from domain.identifiers import name_masked, plate_masked
from tests.api.conftest import Service, citizen_id, mobile, plate, problem, real_name
from tests.api.drivers import (
    BINDINGS,
    DELEGATIONS,
    FAMILY_DELEGATIONS,
    FAMILY_SHARES,
    SHARES,
    VEHICLES,
    Body,
    Headers,
    bind,
    delete,
    family,
    items,
    made,
    open_link,
    opened,
    papers,
    post,
    preview,
    share,
)


async def new_share(service: Service, number: int = 1) -> tuple[Headers, Body]:
    driver = await service.sign_in_driver(number)
    return driver, await share(service, driver, await bind(service, driver))


async def delegate(service: Service, vehicle: int = 2) -> tuple[Headers, Body]:
    driver = await service.sign_in_driver()
    body = {"plate": plate(vehicle), "plate_color": "yellow"}
    return driver, await made(await post(service, DELEGATIONS, driver, body))


async def state(service: Service, token: str, headers: Headers | None = None) -> str:
    response = await preview(service, token, headers)
    assert response.status == 200, await response.text()
    return str((await response.json())["state"])


# -- previews -----------------------------------------------------------------------------------------------------------


async def test_a_preview_tells_little_and_claims_nothing(service: Service) -> None:
    _, shared = await new_share(service)
    viewer = await family(service)
    for headers in (None, viewer, await service.sign_in_driver(2), await service.sign_in()):
        response = await preview(service, shared["token"], headers)
        assert await response.json() == {
            "kind": "share",
            "plate_masked": plate_masked(plate(1)),
            "driver_name_masked": name_masked(real_name(1)),
            "state": "unopened",
            "own": False,
            "viewer": None,
        }
    await opened(service, viewer, shared["token"])


async def test_a_preview_knows_whose_the_link_is(service: Service) -> None:
    driver, shared = await new_share(service)
    viewer, token = await family(service), shared["token"]
    await opened(service, viewer, token)
    assert await state(service, token, viewer) == "yours"
    assert await state(service, token) == "taken"
    assert await state(service, token, await family(service, 12)) == "taken"
    await delete(service, f"{SHARES}/{shared['id']}", driver)
    for headers in (None, viewer):
        assert await state(service, token, headers) == "ended"


async def test_a_preview_with_a_token_that_is_no_session_is_refused(service: Service) -> None:
    _, shared = await new_share(service)
    for authorization in ("Bearer " + "A" * 43, "Bearer x", "nonsense"):
        response = await preview(service, shared["token"], {"Authorization": authorization})
        await problem(response, 401, "unauthenticated")


async def test_a_delegation_is_previewed_alike(service: Service) -> None:
    driver, delegated = await delegate(service)
    viewer, token = await family(service), delegated["token"]
    response = await preview(service, token)
    assert await response.json() == {
        "kind": "delegation",
        "plate_masked": plate_masked(plate(2)),
        "driver_name_masked": name_masked(real_name(1)),
        "state": "unopened",
        "own": False,
        "viewer": None,
    }
    await opened(service, viewer, token)
    assert (await state(service, token, viewer), await state(service, token)) == ("yours", "taken")
    await delete(service, f"{DELEGATIONS}/{delegated['id']}", driver)
    assert await state(service, token, viewer) == "ended"


# -- unknown tokens -----------------------------------------------------------------------------------------------------


async def test_what_was_never_a_token_is_not_found(service: Service) -> None:
    viewer, (_, shared), (_, delegated) = await family(service), await new_share(service), await delegate(service)
    right, other = shared["token"], delegated["token"]
    wrong = [
        "",
        "s",
        right[:-1],
        right + "A",
        right[:-1] + ("A" if right[-1] != "A" else "B"),
        "d" + right[1:],
        "s" + other[1:],
        other[:17] + right[17:],
        "s" + "0" * 16 + "A" * 32,
        "d" + "0" * 16 + "A" * 32,
        "é" * 49,
        f"https://shouwang.example/s#{right}",
    ]
    bodies = [await problem(await preview(service, token), 404, "not_found") for token in wrong]
    bodies += [await problem(await open_link(service, viewer, token), 404, "not_found") for token in wrong]
    assert all(body == bodies[0] for body in bodies)
    await problem(await preview(service, "A" * 201), 422, "invalid_input")
    assert await state(service, right) == "unopened"


async def test_r61_sixty_unknown_tokens_of_an_address_and_never_a_right_one(service: Service) -> None:
    viewer, (_, shared) = await family(service), await new_share(service)
    for number in range(60):
        assert await state(service, shared["token"]) == "unopened"
        await problem(await preview(service, f"x{number}"), 404, "not_found")  # Of a wrong form: not counted.
        token = f"s{number:016x}{'A' * 32}"
        response = await (preview(service, token) if number % 2 else open_link(service, viewer, token))
        await problem(response, 404, "not_found")
    unknown = f"s{60:016x}{'A' * 32}"
    for response in (await preview(service, unknown), await open_link(service, viewer, unknown)):
        await problem(response, 429, "too_many_attempts")
        assert 0 < int(response.headers["Retry-After"]) <= 900
    assert await state(service, shared["token"]) == "unopened"
    await opened(service, viewer, shared["token"])
    await service.clock.advance(900)
    await problem(await preview(service, unknown), 404, "not_found")


# -- opening a share ----------------------------------------------------------------------------------------------------


async def test_r20_the_first_to_open_owns_the_link_and_may_come_back(service: Service) -> None:
    _, shared = await new_share(service)
    viewer, other = await family(service, 11), await family(service, 12)
    view = await opened(service, viewer, shared["token"])
    assert (view["id"], view["vehicle"]["plate"]) == (shared["id"], plate(1))
    await problem(await open_link(service, other, shared["token"]), 409, "link_taken")
    await service.restart()
    assert (await opened(service, viewer, shared["token"]))["id"] == shared["id"]
    await problem(await open_link(service, other, shared["token"]), 409, "link_taken")
    await problem(await service.client.get(f"{FAMILY_SHARES}/{shared['id']}", headers=other), 404, "not_found")


async def test_r20_two_in_the_same_millisecond_are_one_owner_and_one_refusal(service: Service) -> None:
    _, shared = await new_share(service)
    viewers = [await family(service, 11), await family(service, 12), await service.sign_in_driver(2)]
    responses = await asyncio.gather(*(open_link(service, viewer, shared["token"]) for viewer in viewers))
    assert sorted(response.status for response in responses) == [200, 409, 409]
    for response, viewer in zip(responses, viewers, strict=True):
        again = await service.client.get(f"{FAMILY_SHARES}/{shared['id']}", headers=viewer)
        assert again.status == (200 if response.status == 200 else 404)


async def test_r20_the_drivers_own_opening_does_not_use_the_link_up(service: Service) -> None:
    driver, shared = await new_share(service)
    await problem(await open_link(service, driver, shared["token"]), 409, "own_link")
    await opened(service, await family(service), shared["token"])


async def test_r33_cancelling_beats_opening_or_ends_what_was_opened(service: Service) -> None:
    driver, shared = await new_share(service)
    viewer = await family(service)
    cancelled, response = await asyncio.gather(
        delete(service, f"{BINDINGS}/{shared['binding_id']}/shares", driver),
        open_link(service, viewer, shared["token"]),
    )
    assert await cancelled.json() == {"cancelled": 1}
    assert response.status in (200, 410)
    seen = await service.client.get(f"{FAMILY_SHARES}/{shared['id']}", headers=viewer)
    assert seen.status == (410 if response.status == 200 else 404)


async def test_r33_a_link_that_has_ended_says_so_to_everybody_and_nothing_else(service: Service) -> None:
    driver, shared = await new_share(service)
    viewer, other = await family(service, 11), await family(service, 12)
    await opened(service, viewer, shared["token"])
    await delete(service, f"{SHARES}/{shared['id']}", driver)
    for headers in (viewer, other, driver):
        body = await problem(await open_link(service, headers, shared["token"]), 410, "share_ended")
        assert body["detail"] == "车辆动态已结束。"
        assert set(body) == {"type", "title", "status", "detail", "code"}


async def test_r17_a_share_ends_in_time_whether_it_was_opened_or_not(service: Service) -> None:
    driver, one = await new_share(service)
    two, viewer = await share(service, driver, one["binding_id"]), await family(service)
    await opened(service, viewer, one["token"])
    await service.clock.advance(3 * 86_400 - 1)
    assert await state(service, two["token"]) == "unopened"
    await service.clock.advance(1)
    for token in (one["token"], two["token"]):
        await problem(await open_link(service, viewer, token), 410, "share_ended")
        assert await state(service, token) == "ended"


async def test_a_business_opens_no_link(service: Service) -> None:
    _, shared = await new_share(service)
    await problem(await open_link(service, await service.sign_in(), shared["token"]), 403, "natural_person_only")
    await problem(await open_link(service, {}, shared["token"]), 401, "unauthenticated")
    assert await state(service, shared["token"]) == "unopened"


async def test_r5_one_click_opens_and_watches_and_keeps_it_through_registration(service: Service) -> None:
    _, shared = await new_share(service)
    viewer = await service.one_click(mobile(77))
    await opened(service, viewer, shared["token"])
    await service.get(f"{FAMILY_SHARES}/{shared['id']}", viewer)
    await service.get(f"{FAMILY_SHARES}/{shared['id']}/alerts", viewer)
    for path in (FAMILY_SHARES, FAMILY_DELEGATIONS):
        await problem(await service.client.get(path, headers=viewer), 403, "real_name_required")
    body = {"real_name": real_name(11), "citizen_id": citizen_id(11), "phone_code": f"sandbox:{mobile(77)}"}
    assert (await post(service, "/api/v1/registration", viewer, body)).status == 200
    assert [line["id"] for line in await items(service, FAMILY_SHARES, viewer)] == [shared["id"]]
    assert await state(service, shared["token"], viewer) == "yours"
    assert (await opened(service, viewer, shared["token"]))["id"] == shared["id"]


# -- delegations --------------------------------------------------------------------------------------------------------


async def test_r22_a_family_member_binds_for_the_driver(service: Service) -> None:
    driver, delegated = await delegate(service)
    helper = await family(service)
    view = await opened(service, helper, delegated["token"])
    assert view == {
        "id": delegated["id"],
        "plate": plate(2),
        "plate_color": "yellow",
        "driver_name_masked": f"{real_name(1)[0]}**",
    }
    path = f"{FAMILY_DELEGATIONS}/{delegated['id']}/bind"
    binding = await made(await post(service, path, helper, papers(2)))
    assert (binding["kind"], binding["delegate_name"]) == ("delegated", real_name(11))
    assert (binding["last_fix"], binding["online"]) == (None, None)
    (line,) = await items(service, VEHICLES, driver)
    assert (line["id"], line["kind"], line["delegate_name"]) == (binding["id"], "delegated", real_name(11))
    (mine,) = await items(service, FAMILY_DELEGATIONS, helper)
    assert (mine["status"], mine["binding_id"], mine["driver_name_masked"]) == (
        "bound",
        binding["id"],
        f"{real_name(1)[0]}**",
    )
    (asked,) = await items(service, DELEGATIONS, driver)
    assert (asked["status"], asked["delegate_name"], asked["binding_id"]) == ("bound", real_name(11), binding["id"])
    await problem(await post(service, path, helper, papers(2)), 410, "delegation_ended")
    await problem(await open_link(service, helper, delegated["token"]), 410, "delegation_ended")


async def test_r5_one_click_binds_through_a_delegation(service: Service) -> None:
    _, delegated = await delegate(service)
    helper = await service.one_click(mobile(77))
    await opened(service, helper, delegated["token"])
    path = f"{FAMILY_DELEGATIONS}/{delegated['id']}/bind"
    binding = await made(await post(service, path, helper, papers(2), **{"Idempotency-Key": "k"}))
    assert await made(await post(service, path, helper, papers(2), **{"Idempotency-Key": "k"})) == binding


async def test_r23_one_person_only_and_no_other_may_bind(service: Service) -> None:
    driver, delegated = await delegate(service)
    helper, other = await family(service, 11), await family(service, 12)
    responses = await asyncio.gather(*(open_link(service, each, delegated["token"]) for each in (helper, other)))
    assert sorted(response.status for response in responses) == [200, 409]
    if responses[0].status != 200:
        helper, other = other, helper
    path = f"{FAMILY_DELEGATIONS}/{delegated['id']}/bind"
    for headers in (other, driver):
        await problem(await post(service, path, headers, papers(2)), 404, "not_found")
    await problem(await post(service, path, await service.sign_in(), papers(2)), 403, "natural_person_only")
    await problem(await open_link(service, driver, delegated["token"]), 409, "own_link")
    await problem(await post(service, f"{FAMILY_DELEGATIONS}/x/bind", helper, papers(2)), 404, "not_found")


@pytest.mark.parametrize("wrong", [{"vin": "LZZ5ELND5HD000001"}, {"transport_cert_no": "1"}])
async def test_r11_the_papers_must_match(service: Service, wrong: Body) -> None:
    _, delegated = await delegate(service)
    helper = await family(service)
    await opened(service, helper, delegated["token"])
    path = f"{FAMILY_DELEGATIONS}/{delegated['id']}/bind"
    for _ in range(10):
        await problem(await post(service, path, helper, papers(2, **wrong)), 422, "vehicle_mismatch")
    await problem(await post(service, path, helper, papers(2)), 429, "too_many_attempts")
    await problem(await post(service, path, helper, papers(2, vin="x")), 422, "invalid_input")


async def test_a_delegation_for_a_vehicle_that_is_not_registered_matches_nothing(service: Service) -> None:
    _, delegated = await delegate(service, 99)
    helper = await family(service)
    await opened(service, helper, delegated["token"])
    path = f"{FAMILY_DELEGATIONS}/{delegated['id']}/bind"
    await problem(await post(service, path, helper, papers(99)), 422, "vehicle_mismatch")


async def test_r12_the_drivers_limits_hold_for_delegated_vehicles_too(service: Service) -> None:
    driver, delegated = await delegate(service, 4)
    helper = await family(service)
    await opened(service, helper, delegated["token"])
    for number in (1, 2, 3):
        await bind(service, driver, number)
    path = f"{FAMILY_DELEGATIONS}/{delegated['id']}/bind"
    await problem(await post(service, path, helper, papers(4)), 409, "too_many_bindings")
    (line, *_) = await items(service, VEHICLES, driver)
    await delete(service, f"{BINDINGS}/{line['id']}", driver)
    await made(await post(service, path, helper, papers(4)))


async def test_r23_a_delegation_that_is_over_binds_nothing(service: Service) -> None:
    driver, delegated = await delegate(service)
    helper = await family(service)
    await opened(service, helper, delegated["token"])
    path = f"{FAMILY_DELEGATIONS}/{delegated['id']}/bind"
    await delete(service, f"{DELEGATIONS}/{delegated['id']}", driver)
    await problem(await post(service, path, helper, papers(2)), 410, "delegation_ended")
    _, expiring = await delegate(service)
    await opened(service, helper, expiring["token"])
    await service.clock.advance(7 * 86_400)
    path = f"{FAMILY_DELEGATIONS}/{expiring['id']}/bind"
    await problem(await post(service, path, helper, papers(2)), 410, "delegation_ended")


async def test_a_link_that_cant_be_asked_now_is_a_failure_of_ours(service: Service) -> None:
    _, shared = await new_share(service)
    viewer = await family(service)
    await opened(service, viewer, shared["token"])
    actor = service.supervisor.actors(SHARE)[shared["id"]]
    service.supervisor.adopt(SHARE, shared["id"], actor)
    actor.suspend()
    service.supervisor.adopt(SHARE, shared["id"], actor)
    for response in (
        await open_link(service, viewer, shared["token"]),
        await service.client.get(f"{FAMILY_SHARES}/{shared['id']}", headers=viewer),
    ):
        await problem(response, 503, "unavailable")
