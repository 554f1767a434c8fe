"""A WeChat server on a local port that speaks the documented shapes, and fails on request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

APPID = "wx0123456789abcdef"
SECRET = "the-app-secret"
REFUSED_CODE = {"errcode": 40029, "errmsg": "invalid code, rid: 652d44d0-1d0af18b-5b069232"}


@dataclass
class FakeWeChat:
    """Codes serve once; tokens are good until ``expire_token``."""

    openids: dict[str, str] = field(default_factory=dict)
    """Openids by code."""
    phones: dict[str, tuple[str, object]] = field(default_factory=dict)
    """Phones by code: the number, and its country as WeChat would write it."""
    expires_in: int = 7200
    token_errcode: int = 0
    faults: dict[str, Any] = field(default_factory=dict)
    """Faults by path: an errcode, a status as text, bytes to answer instead, or a gate that is awaited first."""
    asked: list[str] = field(default_factory=list)
    tokens: int = 0
    good_token: str = ""
    sticks: bool = False
    """True when a plain renewal gives the same token again, although it is refused."""
    base: str = ""

    async def session(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        assert (query["appid"], query["secret"], query["grant_type"]) == (APPID, SECRET, "authorization_code")
        openid = self.openids.pop(query["js_code"], None)
        if openid is None:
            return _text(REFUSED_CODE)
        return _text({"openid": openid, "session_key": "tiihtNczf5v6AKRyjwEUhQ==", "unionid": "u"})

    async def token(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        assert asked["grant_type"] == "client_credential"
        if (asked["appid"], asked["secret"]) != (APPID, SECRET):
            return web.json_response({"errcode": 40125, "errmsg": "invalid appsecret"})
        if self.token_errcode:
            return web.json_response({"errcode": self.token_errcode, "errmsg": "invalid"})
        if not self.sticks or asked["force_refresh"] or not self.tokens:
            self.tokens += 1
            self.good_token = f"token-{self.tokens}"
        return web.json_response({"access_token": f"token-{self.tokens}", "expires_in": self.expires_in})

    async def phone(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("access_token") != self.good_token:
            return web.json_response({"errcode": 40001, "errmsg": "invalid credential, access_token is invalid"})
        found = self.phones.pop((await request.json())["code"], None)
        if found is None:
            return web.json_response(REFUSED_CODE)
        number, country = found
        watermark = {"timestamp": 1637744274, "appid": APPID}
        info = {"phoneNumber": number, "purePhoneNumber": number, "countryCode": country, "watermark": watermark}
        return web.json_response({"errcode": 0, "errmsg": "ok", "phone_info": info})

    def expire_token(self) -> None:
        """Make the issued token invalid."""
        self.good_token = "another"

    @web.middleware
    async def around(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(request.path)
        match self.faults.get(request.path):
            case asyncio.Event() as gate:
                await gate.wait()
            case int(errcode):
                return web.json_response({"errcode": errcode, "errmsg": "system error"})
            case str(status):
                return web.Response(status=int(status), text="<html>gateway</html>")
            case bytes(raw):
                return web.Response(body=raw)
            case _:
                pass
        response: web.StreamResponse = await handler(request)
        return response


def _text(answer: dict[str, Any]) -> web.Response:
    """This call's answers come as plain text."""
    response = web.json_response(answer)
    response.content_type = "text/plain"
    return response


@asynccontextmanager
async def fake_wechat() -> AsyncIterator[FakeWeChat]:
    """Listens inside the block."""
    fake = FakeWeChat()
    app = web.Application(middlewares=[fake.around])
    app.router.add_get("/sns/jscode2session", fake.session)
    app.router.add_post("/cgi-bin/stable_token", fake.token)
    app.router.add_post("/wxa/business/getuserphonenumber", fake.phone)
    server = TestServer(app)
    await server.start_server()
    fake.base = str(server.make_url("/"))
    try:
        yield fake
    finally:
        for gate in fake.faults.values():
            if isinstance(gate, asyncio.Event):
                gate.set()
        await server.close()
