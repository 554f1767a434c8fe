"""How do the routes become a running application?"""

from __future__ import annotations

import hmac
from asyncio import create_task, gather
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from aiohttp import web

from api.accounts import Account, owner_of
from api.calls import JSON, Auth, Call, Route, read_body, read_query
from api.edge import CallFigures, Edge, Next
from api.ports import Services
from api.routes import table
from api.sessions import Sessions
from api.vitals import Vitals
from domain.errors import FeedKeyInvalid, OpsKeyInvalid, Unauthenticated
from gateway.feed import MAX_BYTES

ROUTES: Final = web.AppKey("routes", tuple[Route, ...])
"""The route table of an application, to generate documents from."""
_BEARER: Final = "Bearer "


def make_app(services: Services) -> web.Application:
    """The whole HTTP side; its small background tasks start and end with the application."""
    figures = CallFigures()
    vitals = Vitals(services.ingest_stats)
    sessions = Sessions(services.store, services.clock, services.registry)
    app = web.Application(middlewares=[Edge(figures).around], client_max_size=MAX_BYTES)
    app[ROUTES] = table(services, sessions=sessions, vitals=vitals, figures=figures)
    for route in app[ROUTES]:
        app.router.add_route(route.method, route.path, _serve(route, Guard(services, sessions)))

    async def keep_measuring(_: web.Application) -> AsyncIterator[None]:
        measuring = create_task(vitals.run())
        yield
        measuring.cancel()
        await gather(measuring, return_exceptions=True)

    app.cleanup_ctx.append(keep_measuring)
    return app


def make_runner(app: web.Application, *, drain_s: float) -> web.AppRunner:
    """Serves with our own access log; ``cleanup`` waits up to ``drain_s`` for calls that are under way."""
    return web.AppRunner(app, access_log=None, shutdown_timeout=drain_s, handle_signals=False)


class Guard:
    """Checks what a call must show, before anything of it is read."""

    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._feed_key = services.feed_key
        self._ops_key = services.ops_key
        self._sessions = sessions

    async def admit(self, request: web.Request, auth: Auth) -> tuple[Account | None, str]:
        """Who calls, and with which token. Raises the refusal."""
        match auth:
            case Auth.NOTHING:
                return None, ""
            case Auth.FEED_KEY:
                if not self._feed_key or not _same(request.headers.get("X-Feed-Key", ""), self._feed_key):
                    raise FeedKeyInvalid(configured=bool(self._feed_key))
                return None, ""
            case Auth.OPS_KEY:
                if self._ops_key and not _same(request.headers.get("X-Ops-Key", ""), self._ops_key):
                    raise OpsKeyInvalid
                return None, ""
            case Auth.SESSION | Auth.OWNER:
                token = _token(request)
                account = await self._sessions.find(token)
                if auth is Auth.OWNER:
                    owner_of(account)
                return account, token


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), right.encode())


def _token(request: web.Request) -> str:
    header = request.headers.get("Authorization", "")
    if header[: len(_BEARER)].lower() != _BEARER.lower():
        raise Unauthenticated
    return header[len(_BEARER) :].strip()


def _serve(route: Route, guard: Guard) -> Next:
    async def serve(request: web.Request) -> web.StreamResponse:
        account, token = await guard.admit(request, route.auth)
        query = read_query(request, route.query)
        body = await read_body(request, route)
        answer = await route.handler(Call(request, body, query, account, token))
        if isinstance(answer, web.StreamResponse):
            return answer
        if answer is None:
            return web.Response(status=204)
        return web.Response(body=msgspec.json.encode(answer), status=route.status, content_type=JSON, charset="utf-8")

    return serve
