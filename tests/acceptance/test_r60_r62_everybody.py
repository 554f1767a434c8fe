"""R60 to R62: the form of refusals, the cost of guessing, and the data that never leaves the service."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from api.http.gates import AttemptLimits
from tests.acceptance.deeds import (
    BINDINGS,
    CURRENT,
    FAMILY,
    LINKS,
    alerts,
    binds,
    binds_through,
    cancels,
    delegates,
    looks,
    opens,
    previews,
    shares,
    tries_to_bind,
    watched,
)
from tests.acceptance.world import FEED_KEY, OPS_KEY, Answer, Body, Caller, World
from tests.api.conftest import citizen_id, mobile, person_line, phone, real_name

SESSIONS = "/api/v1/sessions"
HOUR_S = 3600
QUARTER_S = 900
ELSEWHERE = "127.0.0.9"
"""A token that no session has."""


async def signs_in_with(caller: Caller, password: str, username: str = "owner1") -> Answer:
    body = {"kind": "legal", "username": username, "password": password, "terms_version": caller.world.terms_version}
    return await caller.post(SESSIONS, body)


def retry_after_s(answer: Answer) -> int:
    answer.refused(429, "too_many_attempts")
    return int(answer.headers["Retry-After"])


# -- R60 ---------------------------------------------------------------------------------------------------------------


async def test_r60_whatever_is_no_call_of_ours_is_refused_in_the_same_form(world: World) -> None:
    nobody = world.nobody()
    (await nobody.get("/api/v1/nothing")).refused(404, "not_found")
    (await nobody.get("/api/v2/terms")).refused(404, "not_found")
    for method, path in (("PUT", "/api/v1/terms"), ("PUT", SESSIONS), ("PATCH", BINDINGS), ("DELETE", "/api/v1/me")):
        answer = await nobody.call(method, path)
        assert answer.status == 405
        assert answer.headers["Allow"]
        assert answer.json["code"]
        assert answer.headers["Content-Type"].startswith("application/problem+json")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_r60_another_content_type_is_a_415(world: World, content_type: str) -> None:
    answer = await world.call("POST", SESSIONS, b'{"kind":"natural"}', {"Content-Type": content_type})
    answer.refused(415, "unsupported_media_type")


async def test_r60_bad_input_names_each_field_that_is_wrong(world: World) -> None:
    driver = await world.natural(1)
    problem = (await tries_to_bind(driver, 1, plate="x", vin="short", transport_cert_no="!")).refused(
        422, "invalid_input"
    )
    assert {each["field"] for each in problem["errors"]} == {"plate", "vin", "transport_cert_no"}
    problem = (await tries_to_bind(driver, 1, plate_color="pink")).refused(422, "invalid_input")
    assert problem["errors"][0]["field"] == "plate_color"


async def test_r60_a_provider_that_is_down_is_a_503_of_its_own(world: World) -> None:
    nowhere = "http://127.0.0.1:9"
    await world.restart(wechat_appid="wx0", wechat_secret="s3cret", wechat_api=nowhere)
    for proof in ({"kind": "natural", "wechat_code": "code"}, {"kind": "one_click", "phone_code": "code"}):
        body = proof | {"terms_version": world.terms_version}
        (await world.nobody().post(SESSIONS, body)).refused(503, "provider_unavailable")
    await world.owner()  # A business needs no WeChat.


async def test_r60_a_store_that_is_down_is_a_503(world: World) -> None:
    driver = await world.natural(1)
    store = await world.restart_on_a_store_that_may_fail()
    (await driver.get(CURRENT)).ok()
    store.down = True
    (await driver.get(CURRENT)).refused(503, "unavailable")
    (await tries_to_bind(driver, 1)).refused(503, "unavailable")
    store.repair()
    await binds(driver, 1)


# -- R61 ---------------------------------------------------------------------------------------------------------------


async def test_r61_ten_wrong_bind_attempts_an_hour_and_right_ones_are_not_counted(world: World) -> None:
    driver, other = await world.natural(1), await world.natural(2)
    await binds(driver, 1)
    for number in range(10):
        (await tries_to_bind(driver, 2, vin=f"LZZ5ELND5HD99999{number}")).refused(422, "vehicle_mismatch")
        if number == 4:
            await binds(driver, 3)
    wait_s = retry_after_s(await tries_to_bind(driver, 2))
    assert 3590 <= wait_s <= HOUR_S
    retry_after_s(await tries_to_bind(driver.at(ELSEWHERE), 2))  # The account counts, wherever it is.
    await binds(other, 2)
    await world.restart()
    retry_after_s(await tries_to_bind(driver, 2))
    await world.advance(wait_s)
    await binds(driver, 2)


async def test_r61_binding_for_somebody_else_is_counted_alike(world: World) -> None:
    driver, holder = await world.natural(1), await world.natural(11)
    delegation = await delegates(driver, 1)
    (await opens(holder, delegation["token"])).ok()
    for number in range(10):
        wrong = f"LZZ5ELND5HD99999{number}"
        (await binds_through(holder, delegation["id"], 1, vin=wrong)).refused(422, "vehicle_mismatch")
    retry_after_s(await binds_through(holder, delegation["id"], 1))
    await binds(driver, 1)  # It was not the driver who guessed.


async def test_r61_ten_wrong_passwords_per_user_name_and_address_in_a_quarter_of_an_hour(world: World) -> None:
    guesser, stranger = world.nobody(), world.nobody(ELSEWHERE)
    for number in range(10):
        (await signs_in_with(guesser, f"guess-{number}")).refused(401, "wrong_credentials")
    wait_s = retry_after_s(await signs_in_with(guesser, "right-1"))
    assert 890 <= wait_s <= QUARTER_S
    (await signs_in_with(guesser, "right-2", "owner2")).ok(201)
    (await signs_in_with(stranger, "right-1")).ok(
        201
    )  # Nobody is locked out of the own account by strangers elsewhere.
    await world.restart()
    retry_after_s(await signs_in_with(guesser, "right-1"))
    await world.advance(wait_s)
    (await signs_in_with(guesser, "right-1")).ok(201)


async def guesses_a_code(caller: Caller, number: int) -> Answer:
    body = {"kind": "natural", "wechat_code": f"guess-{number}", "terms_version": caller.world.terms_version}
    return await caller.post(SESSIONS, body)


async def guesses_a_password(caller: Caller, number: int) -> Answer:
    return await signs_in_with(caller, f"guess-{number}", f"nobody-{number}")


async def guesses_a_link(caller: Caller, number: int) -> Answer:
    return await previews(caller, f"s{number:016x}{'A' * 32}")


@pytest.mark.parametrize(
    "guesses,status",
    [(guesses_a_code, 401), (guesses_a_password, 401), (guesses_a_link, 404)],
    ids=lambda each: str(each)[:24],
)
async def test_r61_sixty_wrong_guesses_of_an_address_in_a_quarter_of_an_hour(
    world: World, guesses: Callable[[Caller, int], Awaitable[Answer]], status: int
) -> None:
    guesser, neighbour = world.nobody(), world.nobody(ELSEWHERE)
    for number in range(60):
        assert (await guesses(guesser, number)).status == status
        if number % 20 == 0:
            (await signs_in_with(guesser, "right-1")).ok(201)
    wait_s = retry_after_s(await guesses(guesser, 60))
    assert 800 <= wait_s <= QUARTER_S
    assert (await guesses(neighbour, 60)).status == status
    await world.restart()
    retry_after_s(await guesses(guesser, 60))
    await world.advance(wait_s)
    assert (await guesses(guesser, 60)).status == status


async def test_r61_what_is_used_up_refuses_no_other_kind_and_no_right_link(world: World) -> None:
    """Carriers' NAT: one phone that tries unknown links, codes and passwords stands behind the address of thousands."""
    driver = await world.natural(1)
    share = await shares(driver, await binds(driver, 1))
    guesser = world.nobody()
    for number in range(60):
        (await guesses_a_link(guesser, number)).refused(404, "not_found")
    retry_after_s(await guesses_a_link(guesser, 60))
    (await signs_in_with(guesser, "right-1")).ok(201)
    viewer = await world.natural(11)
    (await previews(guesser, share["token"])).ok()
    (await opens(viewer, share["token"])).ok()
    for number in range(60):
        (await guesses_a_code(guesser, number)).refused(401, "code_refused")
        (await guesses_a_password(guesser, number)).refused(401, "wrong_credentials")
    retry_after_s(await guesses_a_code(guesser, 60))
    retry_after_s(await guesses_a_password(guesser, 60))
    (await previews(guesser, share["token"])).ok()
    await binds(driver, 2)


@pytest.mark.parametrize("token", ["", "x", "s", f"{1:043d}", f"s{1:016x}{'A' * 31}", f"s{1:016x}{'A' * 31}。"])
async def test_r61_a_token_of_a_wrong_form_is_not_found_and_not_counted(world: World, token: str) -> None:
    guesser, viewer = world.nobody(), await world.natural(11)
    for _ in range(61):
        (await previews(guesser, token)).refused(404, "not_found")
    (await opens(viewer, token)).refused(404, "not_found")
    (await guesses_a_link(guesser, 1)).refused(404, "not_found")


async def test_r61_wrong_guesses_of_opening_a_link_count_too(world: World) -> None:
    viewer = await world.natural(11)
    for number in range(60):
        (await opens(viewer, f"d{number:016x}{'A' * 32}")).refused(404, "not_found")
    retry_after_s(await opens(viewer, f"d{60:016x}{'A' * 32}"))
    (await viewer.get(f"{FAMILY}/shares")).ok()  # What is no guess goes on.


async def test_r61_sixty_wrong_keys_of_an_address_in_a_quarter_of_an_hour(world: World) -> None:
    async def shows_feed_key(key: str) -> Answer:
        return await world.feeds(b"\x90", X_Feed_Key=key)

    async def shows_ops_key(key: str) -> Answer:
        return await world.nobody().get("/metrics", X_Ops_Key=key)

    ways = ((shows_feed_key, FEED_KEY, "feed_key_invalid"), (shows_ops_key, OPS_KEY, "ops_key_invalid"))
    for shows, right, code in ways:
        for number in range(60):
            (await shows(f"guess-{number}")).refused(401, code)
            (await shows("")).refused(401, code)  # No key is no guess.
            if number % 20 == 0:
                assert (await shows(right)).status == 200
        wait_s = retry_after_s(await shows(right))
        await world.restart()
        retry_after_s(await shows("guess"))
        await world.advance(wait_s)
        assert (await shows(right)).status == 200


async def test_r61_many_accounts_of_one_address_share_a_count_of_papers_and_one_of_names(world: World) -> None:
    await world.restart(attempts=AttemptLimits(bind_data_per_address=3, real_names_per_address=3))
    first, second = await world.natural(1), await world.natural(2)
    for number, driver in enumerate((first, first, second)):
        (await tries_to_bind(driver, 2, vin=f"LZZ5ELND5HD99999{number}")).refused(422, "vehicle_mismatch")
    retry_after_s(await tries_to_bind(second, 2))
    for number in (77, 78, 79):
        (await registers_wrongly(await world.natural(number), number)).refused(422, "real_name_mismatch")
    retry_after_s(await registers_wrongly(await world.natural(80), 80))
    await binds(second.at(ELSEWHERE), 2)
    (await registers_wrongly((await world.natural(80)).at(ELSEWHERE), 80)).refused(422, "real_name_mismatch")


async def registers_wrongly(newcomer: Caller, number: int) -> Answer:
    form = {"real_name": "王一", "citizen_id": citizen_id(1), "phone_code": f"sandbox:{mobile(number)}"}
    return await newcomer.post("/api/v1/registration", form)


async def test_r61_a_name_is_guessed_from_everywhere_but_its_holder_is_not_locked_out(world: World) -> None:
    await world.restart(attempts=AttemptLimits(passwords_per_name=4))
    (await signs_in_with(world.nobody(), "right-1")).ok(201)
    for number in range(4):
        stranger = world.nobody(f"127.0.1.{number + 1}")
        (await signs_in_with(stranger, f"guess-{number}")).refused(401, "wrong_credentials")
    wait_s = retry_after_s(await signs_in_with(world.nobody(ELSEWHERE), "right-1"))
    await world.restart()
    (await signs_in_with(world.nobody(), "right-1")).ok(201)
    retry_after_s(await signs_in_with(world.nobody(ELSEWHERE), "right-1"))
    await world.advance(wait_s)
    (await signs_in_with(world.nobody(ELSEWHERE), "right-1")).ok(201)


async def test_r61_wrong_real_names_are_counted(world: World) -> None:
    newcomer = await world.natural(77)
    form = {"citizen_id": citizen_id(1), "phone_code": f"sandbox:{mobile(77)}"}
    for number in range(10):
        (await newcomer.post("/api/v1/registration", form | {"real_name": f"王{number}"})).refused(
            422, "real_name_mismatch"
        )
    retry_after_s(await newcomer.post("/api/v1/registration", form | {"real_name": real_name(1)}))


# -- R62 ---------------------------------------------------------------------------------------------------------------


async def everything_stored(store_name: str) -> bytes:
    """Return the store's whole content, as raw bytes."""
    if store_name.startswith("sqlite:"):
        file = Path(store_name.removeprefix("sqlite:"))
        return b"".join(each.read_bytes() for each in file.parent.glob(f"{file.name}*"))
    url, _, prefix = store_name.partition("?prefix=")
    found = []
    async with Redis.from_url(url) as redis:
        async for key in redis.scan_iter(f"*{prefix}*", count=1000):
            found += [key, await raw_value(redis, key)]
    return b"\n".join(found)


async def raw_value(redis: Redis, key: bytes) -> bytes:
    kind = await redis.type(key)
    match kind:
        case b"hash":
            value: object = await redis.hgetall(key)
        case b"zset":
            value = await redis.zrange(key, 0, -1)
        case b"stream":
            value = await redis.xrange(key)
        case b"set":
            value = await redis.smembers(key)
        case b"list":
            value = await redis.lrange(key, 0, -1)
        case _:
            value = await redis.get(key)
    return repr(value).encode()


async def test_r62_no_secret_is_stored_logged_or_returned_whole(
    world: World, store_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    newcomer = 31
    await world.imports(person_line(newcomer))
    person = await world.one_click(77)
    form: Body = {
        "real_name": real_name(newcomer),
        "citizen_id": citizen_id(newcomer),
        "phone_code": f"sandbox:{mobile(newcomer)}",
    }
    told = [(await person.post("/api/v1/registration", form, Idempotency_Key="a-key-of-mine")).text]
    seen = await watched(world)
    delegation = await delegates(seen.driver, 2)
    (await tries_to_bind(seen.driver, 3, vin="LZZ5ELND5HD999999")).refused(422, "vehicle_mismatch")
    owner = await world.owner()
    (await signs_in_with(world.nobody(), "guess-of-mine")).refused(401, "wrong_credentials")
    await world.reports(1, alarms=1)
    told += [str(await alerts(seen.viewer, seen.id)), str(await seen.view())]
    for who in (person, seen.driver, seen.viewer, owner):
        told += [(await who.get(f"/api/v1/me{path}")).text for path in ("", "/certificates", "/audit?limit=200")]
    (vehicle,) = (await owner.get("/api/v1/owner/vehicles?list=bound")).items
    told += [(await owner.get(f"/api/v1/owner/vehicles/{vehicle['id']}")).text]
    told += [(await seen.driver.get(f"/api/v1/driver/{name}")).text for name in ("vehicles", "shares", "delegations")]
    tokens = [seen.share["token"], delegation["token"], seen.driver.token, seen.viewer.token, owner.token]
    identities = [citizen_id(newcomer), mobile(newcomer), mobile(77), citizen_id(1), mobile(1)]
    await world.stop()
    secrets = [*tokens, *identities, "right-1", "guess-of-mine", FEED_KEY]
    for secret in (*tokens, *identities, "right-1"):
        assert secret not in "\n".join(told), secret
    for secret in secrets:
        assert secret not in caplog.text, secret
    stored = await everything_stored(store_name)
    assert seen.id.encode() in stored  # We look at the right thing.
    for secret in (*tokens, citizen_id(newcomer), citizen_id(1), "right-1", "guess-of-mine", "a-key-of-mine"):
        assert secret.encode() not in stored, secret
    assert b"$argon2id$" in stored


async def test_r62_the_drivers_phone_is_whole_in_the_view_of_a_share_with_call_me_and_nowhere_else(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen = await watched(world, call_me=True)
    number, owner = mobile(1), await world.owner()
    views = (await looks(seen.viewer, seen.id), await opens(seen.viewer, seen.share["token"]))
    assert all(view.text.count(number) == 1 for view in views)
    (vehicle,) = (await owner.get("/api/v1/owner/vehicles?list=bound")).items
    told = [
        seen.share,
        (await previews(world.nobody(), seen.share["token"])).ok(),
        (await previews(seen.driver, seen.share["token"])).ok(),
        (await owner.get(f"/api/v1/owner/vehicles/{vehicle['id']}")).ok(),
        (await seen.driver.get(f"{BINDINGS}/{seen.binding}")).ok(),
        *[
            (await who.get(path)).ok()
            for who in (seen.driver, seen.viewer)
            for path in ("/api/v1/me", "/api/v1/me/audit")
        ],
        *[(await seen.driver.get(f"/api/v1/driver/{name}")).ok() for name in ("vehicles", "shares")],
        (await seen.viewer.get("/api/v1/family/shares")).ok(),
        (await world.natural(1)).account,
    ]
    assert number not in str(told)
    await cancels(seen.driver, seen.id)
    (await looks(seen.viewer, seen.id)).refused(410, "share_ended")
    assert number not in (await looks(seen.viewer, seen.id)).text
    await world.stop()
    assert number not in caplog.text


async def test_r62_tokens_have_128_bits_and_travel_in_the_fragment_of_a_link(world: World) -> None:
    driver = await world.natural(1)
    share, delegation = await shares(driver, await binds(driver, 1)), await delegates(driver, 2)
    for made in (share, delegation):
        address, _, fragment = made["link"].partition("#")
        assert made["token"] in fragment
        assert made["token"] not in address
        assert len(made["token"]) >= 22
        assert address.startswith("https://shouwang.example/")
    assert share["token"] != delegation["token"]
    for path in ("shares", "delegations"):
        listed = (await driver.get(f"/api/v1/driver/{path}")).items
        assert all("token" not in each and "link" not in each for each in listed)
    page = (await driver.get(f"{BINDINGS}/{share['binding_id']}")).text
    assert share["token"] not in page


async def test_r62_a_token_in_a_path_or_a_query_is_not_taken(world: World) -> None:
    driver = await world.natural(1)
    share = await shares(driver, await binds(driver, 1))
    for path in (f"{LINKS}/open?token={share['token']}", f"{LINKS}/preview?token={share['token']}"):
        assert (await driver.post(path, {})).status == 422
        assert (await driver.get(path)).status == 405
    assert (await world.call("GET", f"/api/v1/me?access_token={driver.token}")).status == 401


async def test_r62_numbers_are_masked(world: World) -> None:
    driver, owner, stranger = await world.natural(1), await world.owner(), await world.one_click(77)
    (paper,) = (await driver.get("/api/v1/me/certificates")).ok()["items"]
    assert paper["number_masked"].endswith(citizen_id(1)[-4:])
    assert set(paper["number_masked"][:-4]) == {"*"}
    assert mobile(77) not in stranger.account["display_name"]
    assert "*" in stranger.account["display_name"]
    await binds(driver, 1)
    (vehicle,) = (await owner.get("/api/v1/owner/vehicles?list=bound")).items
    page = (await owner.get(f"/api/v1/owner/vehicles/{vehicle['id']}")).text
    assert phone(1) not in page
    assert json.loads(page)["bindings"][0]["driver_name_masked"] == "张**"
