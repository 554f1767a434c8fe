"""Tests that the short cut for a family's polls answers like the usual path, and leaves every unusual call to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from aiohttp import web
from aiohttp.http_parser import RawRequestMessage

from api.http.calls import ROUTES, Auth
from api.http.connections import CONNECTIONS, AtOnce, ConnectionLimits
from api.http.proxies import Proxies, networks
from api.sides.at_once import ROUTE
from domain.people.audit import address_masked
from tests.api.conftest import START, Service, row
from tests.api.drivers import FAMILY_SHARES, SHARES, delete, family, watched_share
from tests.attacks.wire import Heard, Peer, get

BY_ACCIDENT = frozenset(["x-request-id"])
"""A header that differs between any two calls."""


@dataclass
class Watched:
    """A share as its viewer polls it, on one connection, and how often the short cut answered."""

    service: Service
    peer: Peer
    driver: dict[str, str]
    share_id: str
    bearer: str
    _short_cut: AtOnce = field(init=False)
    at_once: int = 0

    def __post_init__(self) -> None:
        app = self.service.client.app
        assert app is not None
        self._connections = app[CONNECTIONS]
        self._short_cut = self._connections.at_once
        self._connections.at_once = self._counted

    def _counted(self, call: RawRequestMessage, peer: str) -> bytes | None:
        answer = self._short_cut(call, peer)
        self.at_once += answer is not None
        return answer

    @property
    def path(self) -> str:
        return f"{FAMILY_SHARES}/{self.share_id}"

    @property
    def address(self) -> object:
        """Return the address of our end of the connection."""
        return self.peer.writer.get_extra_info("sockname")

    async def polls(self, *lines: str) -> Heard:
        return await self.peer.asks(get(self.path, self.bearer, *lines))

    async def hears_the_usual_way(self, request: bytes, answers: int = 1) -> list[Heard]:
        """Send the request on a connection of its own, without the short cut."""
        self._connections.at_once = lambda call, peer: None
        peer = await Peer.connects(self.peer.writer.get_extra_info("peername")[1])
        peer.says(request)
        heard = [await peer.hears() for _ in range(answers)]
        await peer.leaves()
        self._connections.at_once = self._counted
        return heard


@asynccontextmanager
async def watching(service: Service) -> AsyncIterator[Watched]:
    """Answer a first poll, so that everything is at hand."""
    driver, viewer, shared = await watched_share(service)
    await service.report(row(1, START))
    port = service.client.port
    assert port is not None
    peer = await Peer.connects(port)
    watched = Watched(service, peer, driver, shared["id"], f"Authorization: {viewer['Authorization']}")
    assert (await watched.polls()).status == 200
    watched.at_once = 0
    yield watched
    await peer.leaves()


def told(heard: Heard) -> tuple[int, dict[str, str], bytes]:
    """Drop the parts that differ in each call."""
    return heard.status, {name: value for name, value in heard.headers.items() if name not in BY_ACCIDENT}, heard.body


def test_r31_the_short_cut_is_for_a_call_of_the_route_table(service: Service) -> None:
    app = service.client.app
    assert app is not None
    (route,) = (each for each in app[ROUTES] if (each.method, each.path) == ("GET", ROUTE))
    assert (route.auth, route.body, route.query, route.etag) == (Auth.NATURAL, None, None, True)


@pytest.mark.parametrize("known", ["", '"another"', "{etag}", 'W/"x", W/{etag}', "*"])
async def test_r31_a_poll_is_answered_at_once_as_it_would_be_the_usual_way(service: Service, known: str) -> None:
    async with watching(service) as watched:
        etag = (await watched.polls()).headers["etag"]
        lines = [f"If-None-Match: {known.format(etag=etag)}"] if known else []
        heard = await watched.polls(*lines)
        (usual,) = await watched.hears_the_usual_way(get(watched.path, watched.bearer, *lines))
        assert told(heard) == told(usual)
        assert watched.at_once == 2
        assert heard.status == (304 if "*" in known or "{" in known else 200)
        assert list(heard.headers) == list(usual.headers)


async def test_each_of_the_answers_has_an_id_a_figure_and_a_line_of_the_access_log(service: Service) -> None:
    lines: list[str] = []
    await service.restart_with(tell_access=lines.append)
    async with watching(service) as watched:
        lines.clear()
        first, second = await watched.polls(), await watched.polls()
        ids = [heard.headers["x-request-id"] for heard in (first, second)]
        assert ids[0] != ids[1]
        assert [line.rpartition(" ")[2] for line in lines] == ids
        assert all(line.startswith(f"GET {ROUTE} 200 ") for line in lines)
        metrics = await (await service.client.get("/metrics")).text()
        assert f'request_seconds_count{{method="GET",route="{ROUTE}",status="200"}} 3.0' in metrics


async def test_the_caller_behind_a_proxy_of_ours_is_noted(service: Service) -> None:
    lines: list[str] = []
    await service.restart_with(tell_access=lines.append, proxies=Proxies(1, networks("127.0.0.0/8")))
    async with watching(service) as watched:
        lines.clear()
        await watched.polls("X-Forwarded-For: 203.0.113.77")
        assert watched.at_once == 1
        assert f" {address_masked('203.0.113.77')} " in lines[0]


async def test_r63_to_be_answered_at_once_is_to_watch(service: Service) -> None:
    async with watching(service) as watched:
        await service.clock.advance(60)
        await watched.polls()
        assert watched.at_once == 1
        seen = await service.household.watch_log.last([watched.share_id])
        assert seen == {watched.share_id: START + 60}


UNUSUAL: Mapping[str, Callable[[bytes, bytes], bytes]] = {
    "HTTP/1.0": lambda request, _: request.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "the last call": lambda request, _: request.replace(b"Host: x", b"Host: x\r\nConnection: close"),
    "a body": lambda request, _: request.replace(b"Host: x", b"Host: x\r\nContent-Length: 2") + b"{}",
    "a body in chunks": lambda request, _: (
        request.replace(b"Host: x", b"Host: x\r\nTransfer-Encoding: chunked") + b"0\r\n\r\n"
    ),
    "a query": lambda request, path: request.replace(path, path + b"?a=1"),
    "a whole address": lambda request, path: request.replace(path, b"http://x" + path),
    "a letter in its other form": lambda request, path: request.replace(b"/shares/", b"/share%73/"),
    "another method": lambda request, _: request.replace(b"GET", b"PUT"),
    "a path below": lambda request, path: request.replace(path, path + b"/alerts"),
    "no share": lambda request, path: request.replace(path, path[:-1] + b"_"),
    "no token": lambda request, _: request.replace(b"Authorization", b"X-Nothing"),
    "an unknown token": lambda request, _: request.replace(b"Bearer ", b"Bearer x"),
    "no HTTP": lambda request, _: request.replace(b"HTTP/1.1", b"HTTP/9.9"),
}
"""A poll → something like it."""


@pytest.mark.parametrize("unusual", UNUSUAL)
async def test_what_is_out_of_the_ordinary_goes_the_usual_way(service: Service, unusual: str) -> None:
    async with watching(service) as watched:
        request = UNUSUAL[unusual](get(watched.path, watched.bearer), watched.path.encode())
        assert request != get(watched.path, watched.bearer)
        heard = await watched.peer.asks(request)
        assert watched.at_once == 0
        assert [told(heard)] == [told(usual) for usual in await watched.hears_the_usual_way(request)]


async def test_two_polls_in_one_breath_are_answered_in_order(service: Service) -> None:
    async with watching(service) as watched:
        poll = get(watched.path, watched.bearer)
        watched.peer.says(poll + get("/healthz") + poll)
        heard = [await watched.peer.hears() for _ in range(3)]
        assert [b"last_fix" in each.body for each in heard] == [True, False, True]
        assert (await watched.polls()).status == 200
        assert watched.at_once == 1, "and the next one by itself is answered at once again"


async def test_a_poll_that_comes_byte_by_byte_is_answered(service: Service) -> None:
    async with watching(service) as watched:
        for byte in get(watched.path, watched.bearer):
            watched.peer.says(bytes([byte]))
            await asyncio.sleep(0)
        assert (await watched.peer.hears()).status == 200


@pytest.mark.parametrize("end", ["cancelled", "expired", "signed out", "another's"])
async def test_r33_who_may_not_see_any_more_is_told_so_at_the_next_poll(service: Service, end: str) -> None:
    async with watching(service) as watched:
        if end == "cancelled":
            await delete(service, f"{SHARES}/{watched.share_id}", watched.driver)
        elif end == "expired":
            await service.clock.advance(3 * 86_400)
        elif end == "signed out":
            headers = {"Authorization": watched.bearer.removeprefix("Authorization: ")}
            assert (await service.client.delete("/api/v1/sessions/current", headers=headers)).status == 204
        else:
            watched.bearer = f"Authorization: {(await family(service, 12))['Authorization']}"
        heard = await watched.polls("If-None-Match: *")
        expected = {"cancelled": 410, "expired": 410, "signed out": 401, "another's": 404}[end]
        assert heard.problem["status"] == expected
        assert watched.at_once == 0


async def test_a_failure_at_once_is_logged_and_the_usual_way_tells(
    service: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(service) as watched:
        monkeypatch.setattr("api.sides.at_once.checked_id", None)
        with caplog.at_level(logging.ERROR):
            assert (await watched.polls()).status == 200
        assert watched.at_once == 0
        (record,) = caplog.records
        assert "failed on the short cut" in record.getMessage()
        assert watched.share_id not in record.getMessage()


async def test_a_busy_vehicle_answers_the_usual_way(service: Service) -> None:
    async with watching(service) as watched:
        (vehicle,) = service.supervisor.actors("vehicle").values()
        vehicle.suspend()
        watched.peer.says(get(watched.path, watched.bearer))
        await service.client.get("/healthz")
        assert watched.at_once == 0
        vehicle.resume()
        assert (await watched.peer.hears()).status == 200


async def test_who_polls_is_kept_and_who_stops_is_hung_up_on(service: Service) -> None:
    await service.restart_with(connection_limits=replace(ConnectionLimits(), idle_s=0.3))
    async with watching(service) as watched:
        loop = asyncio.get_running_loop()
        until = loop.time() + 1.0
        while loop.time() < until:
            assert (await watched.polls()).status == 200
        assert watched.at_once > 3
        assert await watched.peer.is_hung_up_on()


async def test_who_takes_nothing_waits_the_usual_way_until_it_takes_again(service: Service) -> None:
    async with watching(service) as watched:
        (connection,) = (each for each in connections_of(service) if each.peername == watched.address)
        connection.pause_writing()  # As the transport does when what waits to be sent is too much.
        watched.peer.says(get(watched.path, watched.bearer))
        await service.client.get("/healthz")
        assert watched.at_once == 0
        connection.resume_writing()
        assert (await watched.peer.hears()).status == 200


def connections_of(service: Service) -> list[web.RequestHandler]:
    """Return the server's connections."""
    runner = service.client.server.runner
    assert runner is not None
    assert runner.server is not None
    return runner.server.connections
