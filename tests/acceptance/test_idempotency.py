"""Settled reading: the promises of an ``Idempotency-Key``."""

from __future__ import annotations

import asyncio

from tests.acceptance.deeds import (
    BINDINGS,
    CURRENT,
    DAY_S,
    DELEGATIONS,
    DRIVER,
    FAMILY,
    bind_form,
    binds,
    delegates,
    had,
    opens,
    papers,
    shares,
    state,
)
from tests.acceptance.world import World
from tests.api.conftest import citizen_id, mobile, person_line, plate, real_name

KEY = "3f0c6a0e-6a53-4a4e-9b0e-key-of-these-tests"


async def test_a_repeated_share_is_the_first_answer_whole_with_its_token(world: World) -> None:
    driver = await world.natural(1)
    path = f"{BINDINGS}/{await binds(driver, 1)}/shares"
    first = (await driver.post(path, {"duration": "3d"}, Idempotency_Key=KEY)).ok(201)
    await world.advance(60)
    for _ in range(2):
        assert (await driver.post(path, {"duration": "3d"}, Idempotency_Key=KEY)).ok(201) == first
        await world.restart()
    assert [each["id"] for each in (await driver.get(f"{DRIVER}/shares")).items] == [first["id"]]
    assert await state(world.nobody(), first["token"]) == "unopened"


async def test_every_post_that_creates_something_takes_a_key(world: World) -> None:
    driver, holder, stranger = await world.natural(1), await world.natural(11), await world.natural(77)
    await world.imports(person_line(31))
    old, delegation = await had(driver, 2), await delegates(driver, 3)
    (await opens(holder, delegation["token"])).ok()
    form = {"real_name": real_name(31), "citizen_id": citizen_id(31), "phone_code": f"sandbox:{mobile(31)}"}
    for caller, path, body in (
        (driver, BINDINGS, bind_form(1)),
        (driver, f"{BINDINGS}/{old}/rebind", None),
        (driver, DELEGATIONS, {"plate": plate(4), "plate_color": "yellow"}),
        (holder, f"{FAMILY}/delegations/{delegation['id']}/bind", papers(3)),
        (stranger, "/api/v1/registration", form),
    ):
        first = await caller.post(path, body, Idempotency_Key=KEY + path[-6:])
        again = await caller.post(path, body, Idempotency_Key=KEY + path[-6:])
        assert first.status in (200, 201), first.text
        assert (again.status, again.json) == (first.status, first.json)
    assert len((await driver.get(CURRENT)).items) == 3


async def test_the_same_key_with_another_body_or_call_is_refused(world: World) -> None:
    driver = await world.natural(1)
    (await driver.post(BINDINGS, bind_form(1), Idempotency_Key=KEY)).ok(201)
    (await driver.post(BINDINGS, bind_form(2), Idempotency_Key=KEY)).refused(422, "idempotency_key_reused")
    other_call = {"plate": plate(2), "plate_color": "yellow"}
    (await driver.post(DELEGATIONS, other_call, Idempotency_Key=KEY)).refused(422, "idempotency_key_reused")
    await world.restart()
    (await driver.post(BINDINGS, bind_form(2), Idempotency_Key=KEY)).refused(422, "idempotency_key_reused")
    assert len((await driver.get(CURRENT)).items) == 1


async def test_a_key_belongs_to_its_account(world: World) -> None:
    driver, other = await world.natural(1), await world.natural(2)
    mine = (await driver.post(BINDINGS, bind_form(1), Idempotency_Key=KEY)).ok(201)
    theirs = (await other.post(BINDINGS, bind_form(1), Idempotency_Key=KEY)).ok(201)
    assert mine["id"] != theirs["id"]
    again = await world.natural(1)  # The account, not the session.
    assert (await again.post(BINDINGS, bind_form(1), Idempotency_Key=KEY)).ok(201)["id"] == mine["id"]


async def test_after_24_hours_it_is_a_new_call(world: World) -> None:
    driver = await world.natural(1)
    path = f"{BINDINGS}/{await binds(driver, 1)}/shares"
    first = (await driver.post(path, {"duration": "7d"}, Idempotency_Key=KEY)).ok(201)
    await world.advance(DAY_S - 1)
    assert (await driver.post(path, {"duration": "7d"}, Idempotency_Key=KEY)).ok(201) == first
    await world.advance(2)
    answer = await driver.post(path, {"duration": "7d"}, Idempotency_Key=KEY)
    assert answer.ok(201)["id"] != first["id"]
    assert len((await driver.get(f"{DRIVER}/shares")).items) == 2


async def test_a_refusal_is_not_kept_so_that_things_can_be_put_right(world: World) -> None:
    driver = await world.natural(1)
    form = bind_form(1)
    first, *_ = [await binds(driver, number) for number in (2, 3, 4)]
    (await driver.post(BINDINGS, form, Idempotency_Key=KEY)).refused(409, "too_many_bindings")
    (await driver.delete(f"{BINDINGS}/{first}")).ok(204)
    (await driver.post(BINDINGS, form, Idempotency_Key=KEY)).ok(201)


async def test_many_repeats_at_once_are_one(world: World) -> None:
    driver = await world.natural(1)
    path = f"{BINDINGS}/{await binds(driver, 1)}/shares"
    answers = await asyncio.gather(*(driver.post(path, {"duration": "3d"}, Idempotency_Key=KEY) for _ in range(12)))
    assert len({answer.ok(201)["token"] for answer in answers}) == 1
    assert len((await driver.get(f"{DRIVER}/shares")).items) == 1


async def test_the_sign_in_call_ignores_the_header(world: World) -> None:
    body = {"kind": "natural", "wechat_code": f"sandbox:{mobile(1)}", "terms_version": world.terms_version}
    tokens = [
        (await world.nobody().post("/api/v1/sessions", body, Idempotency_Key=KEY)).ok(201)["token"] for _ in range(2)
    ]
    assert tokens[0] != tokens[1]


async def test_without_a_key_every_call_is_a_new_one(world: World) -> None:
    driver = await world.natural(1)
    binding = await binds(driver, 1)
    assert len({(await shares(driver, binding))["id"] for _ in range(3)}) == 3
