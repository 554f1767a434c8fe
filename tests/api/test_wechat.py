"""Tests that WeChat is asked as its documents say, and that its failures are told apart (R1, R61, R62)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from api.accounts.identity import IdentityProvider
from api.accounts.wechat import WeChat
from domain.errors import CodeRefused, InvalidInput, ProviderUnavailable
from tests.api.conftest import Service, citizen_id, mobile, person_line, problem, real_name
from tests.api.fake_wechat import APPID, SECRET, FakeWeChat, fake_wechat

SESSION = "/sns/jscode2session"
TOKEN = "/cgi-bin/stable_token"
PHONE = "/wxa/business/getuserphonenumber"


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeWeChat]:
    async with fake_wechat() as fake:
        fake.openids = {"code-1": "oABC"}
        fake.phones = {"code-1": ("13700000001", "86"), "code-2": ("13700000002", 86)}
        yield fake


@asynccontextmanager
async def speaking_to(fake: FakeWeChat, **changes: Any) -> AsyncIterator[WeChat]:
    wechat = WeChat(**({"appid": APPID, "secret": SECRET, "api": fake.base} | changes))
    try:
        yield wechat
    finally:
        await wechat.close()


async def test_a_code_is_an_openid_once(fake: FakeWeChat) -> None:
    async with speaking_to(fake) as wechat:
        user = await wechat.wechat_user("code-1")
        assert (user.openid, user.phone) == ("oABC", "")
        with pytest.raises(CodeRefused):
            await wechat.wechat_user("code-1")


async def test_a_phone_code_is_a_phone_once_and_the_token_is_fetched_once_for_all(fake: FakeWeChat) -> None:
    async with speaking_to(fake) as wechat:
        first, second = await asyncio.gather(wechat.phone("code-1"), wechat.phone("code-2"))
        assert (first, second) == ("13700000001", "13700000002")
        with pytest.raises(CodeRefused):
            await wechat.phone("code-1")
    assert fake.asked.count(TOKEN) == 1


async def test_a_token_is_renewed_before_it_expires_and_not_sooner(fake: FakeWeChat) -> None:
    now = 1_000.0
    async with speaking_to(fake, now=lambda: now) as wechat:
        for later, tokens in ((0.0, 1), (6_899.0, 1), (1.0, 2)):
            now += later
            with pytest.raises(CodeRefused):
                await wechat.phone("none")
            assert fake.tokens == tokens


async def test_a_token_that_lives_shortly_is_kept_for_half_its_time(fake: FakeWeChat) -> None:
    now, fake.expires_in = 0.0, 300
    async with speaking_to(fake, now=lambda: now) as wechat:
        await wechat.phone("code-1")
        now = 149.0
        await wechat.phone("code-2")
        assert fake.tokens == 1
        now = 150.0
        with pytest.raises(CodeRefused):
            await wechat.phone("none")
        assert fake.tokens == 2


@pytest.mark.parametrize("sticks", [False, True])
async def test_a_token_that_wechat_refuses_is_renewed_once_for_everybody(fake: FakeWeChat, sticks: bool) -> None:
    async with speaking_to(fake) as wechat:
        assert await wechat.phone("code-1") == "13700000001"
        fake.expire_token()
        fake.sticks = sticks
        fake.phones = {f"later-{n}": (f"1370000001{n}", "86") for n in range(3)}
        found = await asyncio.gather(*(wechat.phone(f"later-{n}") for n in range(3)))
    assert found == ["13700000010", "13700000011", "13700000012"]
    assert fake.tokens == 2


async def test_a_token_that_is_refused_again_is_not_renewed_for_ever(fake: FakeWeChat) -> None:
    fake.faults[PHONE] = 42001
    async with speaking_to(fake) as wechat:
        with pytest.raises(ProviderUnavailable):
            await wechat.phone("code-1")
    assert fake.asked == [TOKEN, PHONE, TOKEN, PHONE]


@pytest.mark.parametrize("errcode", [40029, 40163, 40226])
async def test_codes_that_wechat_refuses_are_refused(fake: FakeWeChat, errcode: int) -> None:
    fake.faults = {SESSION: errcode, PHONE: errcode}
    async with speaking_to(fake) as wechat:
        with pytest.raises(CodeRefused):
            await wechat.wechat_user("code-1")
        with pytest.raises(CodeRefused):
            await wechat.phone("code-1")


@pytest.mark.parametrize("errcode,retry_after_s", [(-1, 2.0), (45011, 60.0), (45009, 3600.0), (40013, 10.0), (7, 10.0)])
async def test_a_busy_or_faulty_wechat_is_unavailable_for_a_while(
    fake: FakeWeChat, errcode: int, retry_after_s: float
) -> None:
    fake.faults = {SESSION: errcode}
    fake.token_errcode = errcode
    async with speaking_to(fake) as wechat:
        for refused in (wechat.wechat_user("code-1"), wechat.phone("code-1")):
            with pytest.raises(ProviderUnavailable) as found:
                await refused
            assert found.value.retry_after_s == retry_after_s


GARBAGE = [
    b"",
    b"<html>",
    b"null",
    b"[]",
    b"{}",
    b'{"openid":7}',
    b'{"openid":""}',
    b'{"openid":"' + b"x" * 129 + b'"}',
    b'{"errcode":"40029"}',
    b"\xff\xfe",
    b"[" * 50_000,
    b'{"openid":"' + b"x" * 100_000,
    "502",
    "302",
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
async def test_an_answer_that_nobody_understands_is_a_provider_that_is_down(fake: FakeWeChat, garbage: object) -> None:
    async with speaking_to(fake) as wechat:
        for path in (SESSION, PHONE, TOKEN):
            fake.faults = {path: garbage}
            with pytest.raises(ProviderUnavailable):
                await (wechat.wechat_user("code-1") if path == SESSION else wechat.phone("code-1"))
            if path == PHONE:
                fake.expire_token()


async def test_an_answer_that_does_not_come_is_not_waited_for(fake: FakeWeChat) -> None:
    fake.faults[SESSION] = asyncio.Event()
    async with speaking_to(fake, timeout_s=0.05) as wechat:
        with pytest.raises(ProviderUnavailable):
            await wechat.wechat_user("code-1")


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with fake_wechat() as fake:
        gone = fake.base
    async with speaking_to(fake, api=gone) as wechat:
        with pytest.raises(ProviderUnavailable):
            await wechat.wechat_user("code-1")


@pytest.mark.parametrize("number,country", [("5551234567", "1"), ("13700000001", "852"), ("12345", "86")])
async def test_a_phone_of_another_country_is_refused_with_its_field(
    fake: FakeWeChat, number: str, country: str
) -> None:
    fake.phones["code-3"] = (number, country)
    async with speaking_to(fake) as wechat:
        with pytest.raises(InvalidInput) as refused:
            await wechat.phone("code-3")
    assert refused.value.errors[0][0] == "phone_code"


async def test_sandbox_codes_are_refused_without_asking_anybody(fake: FakeWeChat) -> None:
    async with speaking_to(fake) as wechat:
        for refused in (wechat.wechat_user("sandbox:13700000001"), wechat.phone("sandbox:13700000001")):
            with pytest.raises(CodeRefused):
                await refused
    assert fake.asked == []


async def test_r62_nothing_secret_is_logged(fake: FakeWeChat, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with speaking_to(fake) as wechat:
        await wechat.wechat_user("code-1")
        await wechat.phone("code-1")
        for fault in (40029, -1, 40013, b"<html>", "502"):
            fake.faults = {SESSION: fault, PHONE: fault}
            for asked in (wechat.wechat_user("secret-code"), wechat.phone("secret-code")):
                with pytest.raises((CodeRefused, ProviderUnavailable)):
                    await asked
    async with speaking_to(fake, api="http://127.0.0.1:1") as wechat:
        with pytest.raises(ProviderUnavailable):
            await wechat.wechat_user("secret-code")
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("api."))
    assert "error 40013" in ours
    for secret in (SECRET, "secret-code", "code-1", "token-1", "tiihtNczf5v6AKRyjwEUhQ", "oABC", "13700000001"):
        assert secret not in ours


# -- through the service ---------------------------------------------------------------------------------------------


def is_provider(wechat: WeChat) -> IdentityProvider:
    """The types agree."""
    return wechat


async def sign_in(service: Service, **proof: str) -> Any:
    body = {**proof, "terms_version": service.services.terms.version}
    return await service.client.post("/api/v1/sessions", json=body)


async def test_r1_r2_a_newcomer_registers_and_comes_back_by_wechat_and_by_one_click(
    service: Service, fake: FakeWeChat
) -> None:
    await service.register(person_line(7, wechat_openid=None))
    fake.openids = {f"login-{n}": "oNEW" for n in range(2)}
    fake.phones = {f"phone-{n}": (mobile(700), "86") for n in range(2)}
    async with speaking_to(fake) as wechat:
        await service.restart_with(identity=is_provider(wechat))
        first = await (await sign_in(service, kind="natural", wechat_code="login-0")).json()
        assert first["account"]["registered"] is False
        assert first["account"]["display_name"] == "微信用户"
        headers = {"Authorization": f"Bearer {first['token']}"}
        body = {"real_name": real_name(7), "citizen_id": citizen_id(7), "phone_code": "phone-0"}
        response = await service.client.post("/api/v1/registration", json=body, headers=headers)
        assert response.status == 200, await response.text()
        registered = await response.json()
        assert registered["id"] == first["account"]["id"]
        assert registered["roles"] == ["driver", "family"]
        for proof in ({"kind": "natural", "wechat_code": "login-1"}, {"kind": "one_click", "phone_code": "phone-1"}):
            again = await (await sign_in(service, **proof)).json()
            assert again["account"] == registered


async def test_the_registrys_openid_signs_in_as_its_person(service: Service, fake: FakeWeChat) -> None:
    fake.openids = {"login": "openid-1"}
    async with speaking_to(fake) as wechat:
        await service.restart_with(identity=wechat)
        found = await (await sign_in(service, kind="natural", wechat_code="login")).json()
    assert found["account"]["display_name"] == real_name(1)


async def test_refused_codes_and_a_provider_that_is_down_have_their_problems(
    service: Service, fake: FakeWeChat
) -> None:
    async with speaking_to(fake) as wechat:
        await service.restart_with(identity=wechat)
        sandbox = await sign_in(service, kind="natural", wechat_code=f"sandbox:{mobile(1)}")
        await problem(sandbox, 401, "code_refused")
        await problem(await sign_in(service, kind="natural", wechat_code="unknown"), 401, "code_refused")
        fake.faults[SESSION] = 45011
        response = await sign_in(service, kind="natural", wechat_code="code-1")
        await problem(response, 503, "provider_unavailable")
        assert response.headers["Retry-After"] == "60"
        health = await service.get("/health", {})
        assert health["identity_provider"]["name"] == "wechat"


async def test_r61_a_provider_that_is_down_counts_for_nobody(service: Service, fake: FakeWeChat) -> None:
    fake.faults[SESSION] = -1
    async with speaking_to(fake) as wechat:
        await service.restart_with(identity=wechat)
        for _ in range(61):
            await problem(await sign_in(service, kind="natural", wechat_code="x"), 503, "provider_unavailable")
