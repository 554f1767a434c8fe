"""Tests that an open stream outlives the call that began it, and that the hand-over loses nothing."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

import api.live.event_line
from actors.people.documents import SHARE
from actors.vehicles.vehicle import KIND
from api.http.connections import CONNECTIONS, ConnectionLimits, Connections
from api.live.event_line import EventLine, Reader
from api.live.event_stream import EventStream
from api.live.stream import LiveStream
from domain.places import Place
from tests.api.conftest import START, Service, key, mobile, row
from tests.api.drivers import FAMILY_SHARES, SHARES, Headers, bind, delete, opened, share, watched_share
from tests.api.watching import stream, until
from tests.attacks.wire import Peer, connected, get
from tests.patience import PATIENCE_S


@dataclass
class Scene:
    """A share of vehicle 1, and an account that may watch it."""

    service: Service
    driver: Headers
    viewer: Headers
    share_id: str

    @property
    def path(self) -> str:
        return f"{FAMILY_SHARES}/{self.share_id}/live"

    @property
    def connections(self) -> Connections:
        app = self.service.client.app
        assert app is not None
        counted: Connections = app[CONNECTIONS]
        return counted

    @property
    def port(self) -> int:
        port = self.service.client.port
        assert port is not None
        return port

    def is_watched(self) -> bool:
        supervisor = self.service.supervisor
        return supervisor.is_watched(SHARE, self.share_id) or supervisor.is_watched(KIND, key(1))

    def asks(self, *lines: str) -> bytes:
        return get(self.path, f"Authorization: {self.viewer['Authorization']}", *lines)

    async def nobody_left(self) -> None:
        """No stream is there any more, and no connection but the test's own."""
        await until(lambda: not self.is_watched() and self.connections.open <= 1)
        assert (await self.service.client.get("/healthz")).status == 200
        assert self.connections.open == 1


@pytest.fixture
async def scene(service: Service) -> Scene:
    await service.report(row())
    driver, viewer, shared = await watched_share(service)
    return Scene(service, driver, viewer, shared["id"])


async def said(peer: Peer, until_text: bytes) -> bytes:
    """Read up to these bytes."""
    async with asyncio.timeout(PATIENCE_S):
        return await peer.reader.readuntil(until_text)


async def rest(peer: Peer) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        return await peer.reader.read()


# -- what is kept ------------------------------------------------------------------------------------------------------


async def test_an_open_stream_keeps_nothing_of_the_call_that_began_it(scene: Scene) -> None:
    gc.collect()
    gc.disable()
    before = len(of_calls())
    try:
        async with connected(scene.port, 3) as peers:
            for peer in peers:
                peer.says(scene.asks())
                await said(peer, b"event: presence")
            await until(lambda: len(of_calls()) <= before)
            assert sum(isinstance(each, EventLine) for each in gc.get_objects()) == 3
            assert scene.connections.open == 3 + 1
        await scene.nobody_left()
    finally:
        gc.enable()


def of_calls() -> list[object]:
    """List the objects that aiohttp makes for a call."""
    kinds = (web.BaseRequest, web.StreamResponse, web.RequestHandler)
    return [each for each in gc.get_objects() if isinstance(each, kinds)]


async def test_a_stream_takes_its_connections_place_until_it_ends(scene: Scene) -> None:
    await scene.service.restart_with(connection_limits=ConnectionLimits(connections=2))
    async with connected(scene.port, 1) as (peer,):
        peer.says(scene.asks())
        await said(peer, b"event: presence")
        async with connected(scene.port, 2) as (other, third):
            assert (await other.asks(get())).status == 200
            assert (await third.hears()).status == 503
    await scene.nobody_left()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_stream_is_framed_as_its_head_says(scene: Scene, version: str) -> None:
    async with connected(scene.port, 1) as (peer,):
        peer.says(scene.asks().replace(b"HTTP/1.1", f"HTTP/{version}".encode(), 1))
        head = (await said(peer, b"\r\n\r\n")).lower()
        assert (b"transfer-encoding: chunked" in head) == (version == "1.1")
        await said(peer, b"event: presence")
        await scene.service.report(row(at=START + 1))
        await delete(scene.service, f"{SHARES}/{scene.share_id}", scene.driver)
        content = (await rest(peer)).partition(b"\n\n")[2]
        if version == "1.1":
            content = whole(content.removeprefix(b"\r\n"))
        assert [line for line in content.split(b"\n") if line.startswith(b"event")] == [
            b"event: position",
            b"event: ended",
        ]
        assert content.endswith(b'"reason":"cancelled"}\n\n')


def whole(chunked: bytes) -> bytes:
    """Remove the framing, which must be right to the last byte."""
    content = b""
    while True:
        size, _, chunked = chunked.partition(b"\r\n")
        length = int(size, 16)
        content, end, chunked = content + chunked[:length], chunked[length : length + 2], chunked[length + 2 :]
        assert end == b"\r\n"
        if not length:
            assert not chunked
            return content


# -- the hand-over -----------------------------------------------------------------------------------------------------


def just_before_the_hand_over(
    monkeypatch: pytest.MonkeyPatch, happens: Callable[[web.Request, LiveStream], object]
) -> None:
    hand_over = EventStream.hand_over

    def late(self: EventStream, reader: Reader) -> EventLine:
        assert isinstance(reader, LiveStream)
        happens(self._request, reader)
        return hand_over(self, reader)

    monkeypatch.setattr(EventStream, "hand_over", late)


async def test_r33_an_end_at_the_hand_over_is_told_and_nothing_else(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    just_before_the_hand_over(monkeypatch, lambda _, reader: reader.end("cancelled"))
    async with stream(scene.service, scene.path, scene.viewer) as reader:
        (ended,) = await reader.rest()
        assert (ended.name, ended.told) == ("ended", {"id": scene.share_id, "reason": "cancelled"})
    await scene.nobody_left()


def goes(request: web.Request, _: object) -> None:
    """And the transport has not told yet."""
    assert request.transport is not None
    request.transport.abort()


def has_gone(request: web.Request, _: object) -> None:
    request.protocol.force_close()


@pytest.mark.parametrize("happens", [goes, has_gone])
async def test_a_client_that_goes_at_the_hand_over_leaves_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, happens: Callable[[web.Request, LiveStream], object]
) -> None:
    just_before_the_hand_over(monkeypatch, happens)
    for _ in range(10):
        async with connected(scene.port, 1) as (peer,):
            peer.says(scene.asks())
            assert b"event: " not in await rest(peer)
    await scene.nobody_left()


async def test_what_waits_at_the_hand_over_goes_out_first_and_then_no_backlog(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    comment = b":" + b"x" * 8_000_000 + b"\n\n"

    def stuff(request: web.Request, _: object) -> None:
        assert request.transport is not None
        request.transport.write(b"%x\r\n%b\r\n" % (len(comment), comment))
        assert request.transport.get_write_buffer_size()

    just_before_the_hand_over(monkeypatch, stuff)
    async with connected(scene.port, 1) as (peer,):
        peer.says(scene.asks())
        await until(scene.is_watched)
        for at in range(1, 20):
            await scene.service.report(row(at=START + at))
        assert b"event: " not in await peer.reader.readexactly(len(comment))
        await said(peer, b"event: presence")
        assert b'"age_s":' in await said(peer, b"event: position")
        await delete(scene.service, f"{SHARES}/{scene.share_id}", scene.driver)
        assert b"event: position" not in await rest(peer)


# -- what clients say and do -------------------------------------------------------------------------------------------


async def test_a_second_request_ends_the_stream_and_is_not_answered(scene: Scene) -> None:
    async with connected(scene.port, 2) as (late, at_once):
        late.says(scene.asks())
        await said(late, b"event: presence")
        late.says(get())
        at_once.says(scene.asks() + get())
        for peer in (late, at_once):
            assert b"HTTP/1.1" not in (await rest(peer)).removeprefix(b"HTTP/1.1")
        await scene.nobody_left()


async def test_a_body_that_nobody_asked_for_ends_the_stream(scene: Scene) -> None:
    async with connected(scene.port, 2) as (small, large):
        small.says(scene.asks("Content-Length: 5"))
        await said(small, b"event: presence")
        small.says(b"hello")
        large.says(scene.asks("Content-Length: 9000000") + bytes(4_000_000))
        for peer in (small, large):
            assert await peer.is_hung_up_on()
        await scene.nobody_left()


async def test_a_client_is_heard_though_reading_had_stopped_before_the_hand_over(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading stops, for example, while a large body is not read."""

    def stop_reading(request: web.Request, _: object) -> None:
        assert request.transport is not None
        request.transport.pause_reading()

    just_before_the_hand_over(monkeypatch, stop_reading)
    async with connected(scene.port, 1) as (peer,):
        peer.says(scene.asks())
        await said(peer, b"event: presence")
        peer.writer.close()
        await scene.nobody_left()


async def test_the_end_of_a_client_is_noticed_at_once(scene: Scene) -> None:
    async with connected(scene.port, 2) as (closes, half):
        for peer in (closes, half):
            peer.says(scene.asks())
            await said(peer, b"event: presence")
        closes.writer.close()
        half.writer.write_eof()
        await scene.nobody_left()


# -- flow control ------------------------------------------------------------------------------------------------------


class FullTransport(asyncio.Transport):
    """Takes nothing from now on."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = self.aborted = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol: Any = protocol

    def resume_reading(self) -> None:
        """Note that reading goes on."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))
        if len(self.written) == 1:
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self.written))

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True


class Listener:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.goes_on = self.losses = 0

    def go_on(self) -> None:
        self.goes_on += 1

    def lost(self) -> None:
        self.losses += 1


def full_line(stalled_s: float) -> tuple[EventLine, FullTransport, Listener]:
    connections = Connections(ConnectionLimits(), is_proxy=lambda _: False)
    transport, listener = FullTransport(), Listener()
    line = EventLine(listener, is_chunked=True, stalled_s=stalled_s)
    network = connections.admit("127.0.0.1")
    assert network is not None
    line.take_over(transport, connections, network)
    return line, transport, listener


async def test_a_client_that_takes_nothing_is_cut_in_time_and_one_that_does_is_not() -> None:
    slow, slow_transport, listener = full_line(stalled_s=0.05)
    deaf, deaf_transport, _ = full_line(stalled_s=0.05)
    for line in (slow, deaf):
        line.send(b"x")
        assert line.is_blocked
    slow.resume_writing()
    assert (slow.is_blocked, listener.goes_on) == (False, 1)
    await until(lambda: deaf_transport.aborted)
    assert not slow_transport.aborted


async def test_a_farewell_that_is_not_taken_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.live.event_line, "FAREWELL_S", 0.05)
    line, transport, listener = full_line(stalled_s=1000)
    line.send(b"ended")
    line.close()
    assert transport.written == [b"5\r\nended\r\n", b"0\r\n\r\n"]
    assert (transport.closed, transport.aborted) == (True, False)
    await until(lambda: transport.aborted)
    line.connection_lost(None)
    assert listener.losses == 1


# -- many --------------------------------------------------------------------------------------------------------------


async def test_a_position_is_worked_out_once_for_all_who_watch(scene: Scene) -> None:
    asked = 0

    def place_of(lon: float, lat: float) -> Place | None:
        nonlocal asked
        asked += 1
        return None

    await scene.service.restart_with(place_of=place_of)
    await scene.service.report(row())
    async with connected(scene.port, 5) as peers:
        for peer in peers:
            peer.says(scene.asks())
            await said(peer, b"event: presence")
        asked = 0
        await scene.service.report(row(at=START + 1))
        for peer in peers:
            await said(peer, b"event: position")
        assert asked == 1


async def test_what_fails_for_one_stream_cuts_it_and_the_others_are_told(scene: Scene) -> None:
    """A vehicle whose place can't be told, among others."""
    service, broken = scene.service, False

    def place_of(lon: float, lat: float) -> Place | None:
        if broken and lat < 31:
            raise ZeroDivisionError
        return None

    await service.restart_with(place_of=place_of)
    driver, viewer = await service.sign_in_driver(2), await service.sign_in_person(mobile(12))
    other = await share(service, driver, await bind(service, driver, 2))
    await opened(service, viewer, other["token"])
    await service.report(row(), row(number=2, lat=31_500_000))
    async with connected(scene.port, 2) as (mine, theirs):
        mine.says(scene.asks())
        theirs.says(Scene(service, driver, viewer, other["id"]).asks())
        for peer in (mine, theirs):
            await said(peer, b"event: presence")
        broken = True
        await service.report(row(at=START + 1), row(number=2, at=START + 1, lat=31_500_000))
        await said(theirs, b"event: position")
        assert await mine.is_hung_up_on()


async def test_a_stopping_service_ends_all_its_streams_cleanly(scene: Scene) -> None:
    async with connected(scene.port, 5) as peers:
        for peer in peers:
            peer.says(scene.asks())
            await said(peer, b"event: presence")
        async with asyncio.timeout(2):
            await scene.service.client.server.close()
        assert [(await rest(peer)).endswith(b"\r\n0\r\n\r\n") for peer in peers] == [True] * 5
        assert scene.connections.open == 0
