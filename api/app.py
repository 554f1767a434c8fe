"""Makes the routes a running application."""

from __future__ import annotations

import hmac
import logging
from asyncio import create_task, gather
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Final

import msgspec
from aiohttp import web

from api.accounts.accounts import Account, driver_of, natural_of, owner_of, registered_of
from api.accounts.people import People
from api.accounts.sessions import Sessions, bearer
from api.http.calls import JSON, NO_COMMAND, ROUTES, Auth, Call, Command, Route, new_command, read_body, read_query
from api.http.connections import CONNECTIONS, ConnectionLimits, Connections, GuardedRunner
from api.http.edge import CallFigures, Edge, Next
from api.http.gates import Gates
from api.http.idempotency import HEADER, Idempotency, Request
from api.http.proxies import Callers
from api.live_routes import LiveSide
from api.operations.metrics import Figures, MetricsDesk
from api.operations.ops import OpsDesk
from api.operations.vitals import Vitals
from api.pages import PageDesk
from api.ports import Services
from api.routes import table
from api.shown.share_view import ShareViews
from api.sides.at_once import PollsAtOnce
from domain.errors import FeedKeyInvalid, OpsKeyInvalid, Unauthenticated
from gateway.feed import MAX_BYTES
from persistence.store import StoreError

log = logging.getLogger(__name__)

Caller = tuple[Account | None, str]
"""The calling account, and the token it showed."""
Admit = Callable[[web.Request], Awaitable[Caller]]
NOBODY: Final[Caller] = (None, "")


def make_app(services: Services) -> web.Application:
    """Build the whole HTTP side. Its small background tasks start and end with the application."""
    figures = CallFigures()
    vitals = Vitals(services.ingest_stats, services.store_stats)
    store, clock, registry, revision = services.store, services.clock, services.registry, services.registry_revision
    people = People(store, clock, registry, revision)
    sessions = Sessions(store, clock, registry, people, revision, terms_version=services.terms.version)
    gates = Gates(store, clock.now, services.attempt_limits)
    callers = Callers(services.proxies)
    ops = OpsDesk(services, vitals, callers)
    live = LiveSide(services, sessions, ops)
    views = ShareViews(services, people)
    edge = Edge(figures, callers=callers, tell=services.tell_access, now=clock.now)
    at_once = PollsAtOnce(edge, sessions, views, now=clock.now).answer
    connections = Connections(services.connection_limits, is_proxy=services.proxies.has, at_once=at_once)
    door = Door(Guard(services, sessions, gates), Idempotency(store, clock.now), connections.limits)
    app = web.Application(middlewares=[edge.around], client_max_size=MAX_BYTES)
    app[CONNECTIONS] = connections
    metrics = MetricsDesk(Figures(services, vitals, figures, ops, connections, live.open_streams))
    app[ROUTES] = table(
        services, people=people, sessions=sessions, gates=gates, views=views, ops=ops, metrics=metrics, live=live
    )
    for route in app[ROUTES]:
        app.router.add_route(route.method, route.path, door.to(route))

    PageDesk(services.pages).add_to(app)
    live.add_to(app)

    async def keep_measuring(_: web.Application) -> AsyncIterator[None]:
        measuring = create_task(vitals.run())
        yield
        measuring.cancel()
        await gather(measuring, return_exceptions=True)

    app.cleanup_ctx.append(keep_measuring)
    app.cleanup_ctx.append(partial(_keep_noting, sessions))
    return app


async def _keep_noting(sessions: Sessions, _: web.Application) -> AsyncIterator[None]:
    """Write behind the times of sessions' last use while the application runs."""
    noting = create_task(sessions.uses.run())
    yield
    noting.cancel()
    await gather(noting, return_exceptions=True)
    try:
        await sessions.uses.flush()
    except StoreError as error:
        log.warning("the times of sessions' last use are not written: %s", error)


def make_runner(app: web.Application, *, drain_s: float) -> web.AppRunner:
    """Serve with our own access log; ``cleanup`` waits up to ``drain_s`` for calls in progress."""
    return GuardedRunner(app, access_log=None, shutdown_timeout=drain_s, handle_signals=False)


class Guard:
    """Checks a call's credentials before anything else of it is read."""

    def __init__(self, services: Services, sessions: Sessions, gates: Gates) -> None:
        self._feed_key = services.feed_key
        self._ops_key = services.ops_key
        self._sessions = sessions
        self._gates = gates

    def admits(self, auth: Auth) -> Admit:
        """Return the check for this kind of route: it returns caller and token, or raises the refusal."""
        match auth:
            case Auth.NOTHING:
                return _anybody
            case Auth.FEED_KEY:
                return self._feed
            case Auth.OPS_KEY:
                return self._ops
            case Auth.OPTIONAL:
                return self._session_if_any
            case Auth.SESSION | Auth.NATURAL | Auth.REGISTERED | Auth.DRIVER | Auth.OWNER:
                return partial(self._session, _MAY.get(auth))

    async def _feed(self, request: web.Request) -> Caller:
        """Check the feed's key. A missing key is refused but not counted as a guess (R61)."""
        given = request.headers.get("X-Feed-Key", "")
        if not self._feed_key or not given:
            raise FeedKeyInvalid(configured=bool(self._feed_key))
        async with self._gates.feed_key(request.remote or ""):
            if not _same(given, self._feed_key):
                raise FeedKeyInvalid(configured=True)
        return NOBODY

    async def _ops(self, request: web.Request) -> Caller:
        """Check the operators' key, where one is set. A missing key is refused but not counted as a guess (R61)."""
        if not self._ops_key:
            return NOBODY
        given = _shown_ops_key(request)
        if not given:
            raise OpsKeyInvalid
        async with self._gates.ops_key(request.remote or ""):
            if not _same(given, self._ops_key):
                raise OpsKeyInvalid
        return NOBODY

    async def _session_if_any(self, request: web.Request) -> Caller:
        return await self._session(None, request) if "Authorization" in request.headers else NOBODY

    async def _session(self, may: Callable[[Account], object] | None, request: web.Request) -> Caller:
        token = bearer(request.headers)
        account = await self._sessions.find(token)
        if may is not None:
            may(account)
        return account, token


async def _anybody(_: web.Request) -> Caller:
    return NOBODY


_MAY: Final[Mapping[Auth, Callable[[Account], object]]] = {
    Auth.NATURAL: natural_of,
    Auth.REGISTERED: registered_of,
    Auth.DRIVER: driver_of,
    Auth.OWNER: owner_of,
}
"""Extra checks of the signed-in account, by ``Auth``; each raises its refusal."""


def _shown_ops_key(request: web.Request) -> str:
    """Return X-Ops-Key, or else the Bearer token, the only form that some scrapers can send."""
    given = request.headers.get("X-Ops-Key", "")
    if given or "Authorization" not in request.headers:
        return given
    try:
        return bearer(request.headers)
    except Unauthenticated:
        return ""


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), right.encode())


class Door:
    """The path of every call: admit, read, handle, answer; once only, for idempotent routes."""

    def __init__(self, guard: Guard, idempotency: Idempotency, limits: ConnectionLimits) -> None:
        self._guard = guard
        self._idempotency = idempotency
        self._body_s = limits.body_s

    def to(self, route: Route) -> Next:
        """Return the aiohttp handler that serves this route."""

        admit, has_body = self._guard.admits(route.auth), route.body is not None

        async def serve(request: web.Request) -> web.StreamResponse:
            account, token = await admit(request)
            query = read_query(request, route.query)
            body = await read_body(request, route, timeout_s=self._body_s) if has_body else None
            if not route.idempotent:
                return _response(route, await route.handler(Call(request, body, query, account, token, NO_COMMAND)))

            async def work(command: Command) -> web.StreamResponse:
                call: Call[object, object] = Call(request, body, query, account, token, command)
                return _response(route, await route.handler(call))

            key = request.headers.get(HEADER)
            if key is None:
                return await work(new_command())
            scopes = account.ids if account is not None else (f"address/{request.remote}",)
            return await self._idempotency.answer(Request(scopes, request.method, request.path, body), key, work)

        return serve


def _response(route: Route, answer: object) -> web.StreamResponse:
    if isinstance(answer, web.StreamResponse):
        return answer
    if answer is None:
        return web.Response(status=204)
    return web.Response(body=msgspec.json.encode(answer), status=route.status, content_type=JSON, charset="utf-8")
