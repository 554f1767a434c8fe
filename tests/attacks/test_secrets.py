"""Tests that no log, figure or dead letter holds a secret, even at debug level and in a crash (R62)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio

from persistence.opening import open_store
from tests.acceptance.conftest import PEOPLE
from tests.acceptance.deeds import binds, binds_through, delegates, opens, previews, shares, tries_to_bind
from tests.acceptance.world import FEED_KEY, OPS_KEY, Caller, World
from tests.api.conftest import citizen_id, mobile, person_line, phone, real_name
from tests.api.fake_wechat import APPID, SECRET, FakeWeChat, fake_wechat
from tests.attacks.wire import Peer, get
from tests.faulty_store import Fault
from tests.redis_server import DURABLE, RedisServer

NEWCOMER = 31
REDIS_PASSWORD = "the-password-of-redis"
WRONG = {
    "password": "a-password-from-elsewhere",
    "feed key": "feed-key-of-somebody-else",
    "ops key": "ops-key-of-somebody-else",
    "session": "sessiontokenthatnobodyeverissued00000000000",
    "auth code": "code-from-elsewhere",
    "idempotency key": "idempotency-key-of-mine",
    "redis password": "a-wrong-password-for-redis",
    "wechat code": "wechat-code-refused",
    "phone code": "phone-code-refused",
}


@pytest_asyncio.fixture
async def wechat() -> AsyncIterator[FakeWeChat]:
    async with fake_wechat() as fake:
        yield fake


@pytest_asyncio.fixture
async def world(tmp_path: Path, wechat: FakeWeChat, caplog: pytest.LogCaptureFixture) -> AsyncIterator[World]:
    """Yield a world with every kind of secret: a Redis with a password, WeChat, keys."""
    caplog.set_level(logging.DEBUG)
    redis = RedisServer(tmp_path, *DURABLE, "--requirepass", REDIS_PASSWORD)
    try:
        world = World(redis.url("secrets").replace("//", f"//:{REDIS_PASSWORD}@"))
        await world.imports(*PEOPLE, person_line(NEWCOMER))
        await world.start()
        await world.restart(wechat_appid=APPID, wechat_secret=SECRET, wechat_api=wechat.base)
        yield world
        await world.stop()
    finally:
        redis.kill()


class Lives:
    """Makes every call, right and wrong; ``secrets`` collects the secrets that were told."""

    def __init__(self, world: World, wechat: FakeWeChat) -> None:
        self.world = world
        self.wechat = wechat
        self.secrets = [FEED_KEY, OPS_KEY, SECRET, REDIS_PASSWORD, "right-1", *WRONG.values()]
        self.secrets += [each(number) for each in (mobile, citizen_id) for number in (1, 11, NEWCOMER)]
        self.secrets += [real_name(NEWCOMER), phone(1), phone(2), "session_key"]

    async def natural(self, number: int) -> Caller:
        code = f"wechat-code-{number}"
        self.wechat.openids[code] = f"openid-{number}"
        self.secrets += [code, f"openid-{number}"]
        caller = await self.world.signs_in(kind="natural", wechat_code=code)
        self.secrets.append(caller.token)
        return caller

    async def one_click(self, number: int) -> Caller:
        code = f"phone-code-{number}"
        self.wechat.phones[code] = (mobile(number), "86")
        caller = await self.world.signs_in(kind="one_click", phone_code=code)
        self.secrets += [code, caller.token, mobile(number), self.wechat.good_token]
        return caller

    async def go_right(self) -> tuple[Caller, Caller, Caller]:
        world = self.world
        driver, viewer, newcomer = await self.natural(1), await self.natural(11), await self.one_click(77)
        form = {"real_name": real_name(NEWCOMER), "citizen_id": citizen_id(NEWCOMER), "phone_code": "phone-code-31"}
        self.wechat.phones["phone-code-31"] = (mobile(NEWCOMER), "86")
        (await newcomer.post("/api/v1/registration", form, Idempotency_Key=WRONG["idempotency key"])).ok()
        share = await shares(driver, await binds(driver, 1))
        delegation = await delegates(driver, 2)
        self.secrets += ["phone-code-31", share["token"], delegation["token"]]
        for token in (share["token"], delegation["token"]):
            (await previews(viewer, token)).ok()
            (await opens(viewer, token)).ok()
        (await binds_through(viewer, delegation["id"], 2)).ok(201)
        owner = await world.owner()
        self.secrets.append(owner.token)
        await world.reports(1)
        async with viewer.watches(share["id"]) as stream:
            await stream.take("position", "presence")
        async with world.truck(2) as truck:
            self.secrets.append(await truck.signs_on())
            await truck.reports(world.now)
            await truck.authenticates(WRONG["auth code"])
        return driver, viewer, owner

    async def go_wrong(self, driver: Caller) -> None:
        world, nobody = self.world, self.world.nobody()
        sign_ins = (
            {"kind": "legal", "username": "owner1", "password": WRONG["password"]},
            {"kind": "natural", "wechat_code": WRONG["wechat code"]},
            {"kind": "one_click", "phone_code": WRONG["phone code"]},
        )
        for form in sign_ins:
            (await nobody.post("/api/v1/sessions", form | {"terms_version": world.terms_version})).refused(
                401, "wrong_credentials" if "password" in form else "code_refused"
            )
        (await tries_to_bind(driver, 3, vin="LZZ5ELND5HD999999")).refused(422, "vehicle_mismatch")
        (await opens(driver, "s" + "f" * 48)).refused(404, "not_found")
        assert (await world.feeds(b"\x90", X_Feed_Key=WRONG["feed key"])).status == 401
        assert (await nobody.get("/health", X_Ops_Key=WRONG["ops key"])).status == 401
        for token in (driver.token, WRONG["session"]):
            safe = quote(token)
            await nobody.get(f"/api/v1/me?access_token={safe}", Authorization=f"Bearer {token}x")
            await nobody.get(f"/s/{safe}", Referer=f"https://x/s#{token}", Cookie=f"token={token}")
            await nobody.get(f"/api/v1/family/shares/{safe}")
            await self.no_http(f"Authorization: Bearer {token}\0")
        self.wechat.token_errcode = 40164
        self.wechat.expire_token()
        body = {"kind": "one_click", "phone_code": "phone-code-late", "terms_version": world.terms_version}
        await nobody.post("/api/v1/sessions", body)

    async def no_http(self, line: str) -> None:
        assert self.world.service is not None
        peer = await Peer.connects(int(self.world.service.http.rpartition(":")[2]))
        assert (await peer.asks(get("/api/v1/me", line))).status == 400
        await peer.leaves()

    async def crash(self, driver: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
        """Raise a bug in a handler, and one in an actor that is handling secrets."""
        service = self.world.service
        assert service is not None

        async def broken(*_: object, **__: object) -> None:
            raise RuntimeError("a planted bug")

        with monkeypatch.context() as bug:
            bug.setattr(service.registry, "person_key_by_phone", broken)
            self.wechat.token_errcode = 0
            self.wechat.phones["phone-code-bug"] = (mobile(12), "86")
            body = {"kind": "one_click", "phone_code": "phone-code-bug", "terms_version": self.world.terms_version}
            assert (await self.world.nobody().post("/api/v1/sessions", body)).status == 500
        store = await self.world.restart_on_a_store_that_may_fail()
        for fault in (Fault.BREAK_BEFORE, Fault.FAIL_AFTER):
            store.plan(fault, 1)
            assert (await tries_to_bind(driver, 4)).status >= 400, fault
            store.forget_plan()
        store.down = True
        assert (await driver.get("/api/v1/me/audit")).status == 503
        store.repair()


def our_log(caplog: pytest.LogCaptureFixture) -> str:
    """Return our log with tracebacks, without the access log of the tests' own WeChat server."""
    lines = logging.Formatter("%(name)s %(message)s")
    return "\n".join(lines.format(record) for record in caplog.records if record.name != "aiohttp.access")


async def test_no_secret_stands_in_any_log_figure_or_dead_letter(
    world: World, wechat: FakeWeChat, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives = Lives(world, wechat)
    driver, _, _ = await lives.go_right()
    await lives.go_wrong(driver)
    await lives.crash(driver, monkeypatch)
    ops = world.nobody()
    told = [(await ops.get(path, X_Ops_Key=OPS_KEY)).text for path in ("/health", "/metrics", "/readyz", "/healthz")]
    assert world.service is not None
    letters = world.service.supervisor.dead_letters
    assert letters, "nothing crashed, or this test sees nothing"
    logged = our_log(caplog)
    assert "a planted bug" in logged
    for kind, text in {"log": logged, "figures": "\n".join(told), "dead letters": repr(list(letters))}.items():
        assert [secret for secret in lives.secrets if secret in text] == [], kind
    places = ("鄂A0000", "114.4", "120.6", real_name(1))
    assert [place for place in places if place in "\n".join(told)] == []


@pytest.mark.parametrize("password", [REDIS_PASSWORD, WRONG["redis password"], ""])
async def test_a_redis_that_refuses_us_is_named_without_its_password(
    password: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    redis = await asyncio.to_thread(RedisServer, tmp_path, *DURABLE, "--requirepass", REDIS_PASSWORD)
    try:
        said = ""
        try:
            store = await open_store(redis.url().replace("//", f"//:{password}@" if password else "//"))
            said = store.name
            await store.close()
        except Exception as error:
            said = repr(error) + str(error)
            assert password != REDIS_PASSWORD
        for secret in (REDIS_PASSWORD, WRONG["redis password"]):
            assert secret not in said + caplog.text
        assert str(redis.port) in said
    finally:
        redis.kill()
