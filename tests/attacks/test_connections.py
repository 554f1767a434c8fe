"""Tests that slow, idle and countless connections cost other callers nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

import pytest

from api.http.connections import CONNECTIONS, ConnectionLimits, Connections
from api.http.proxies import Proxies, networks
from api.live.event_stream import StreamLimits
from commands.process import allow_many_sockets
from gateway.jt808.codec import message_ids as ids
from gateway.jt808.limits import TerminalLimits
from tests.api.conftest import FEED_KEY, START, Service, row
from tests.api.drivers import FAMILY_SHARES, watched_share
from tests.api.watching import stream
from tests.attacks.wire import Heard, Peer, connected, get, post
from tests.gateway.neighbours import Client, results
from tests.gateway.test_server import running
from tests.patience import PATIENCE_S

CROWD = 1_000
PATIENT = ConnectionLimits()
SESSIONS = "/api/v1/sessions"
START_OF_A_HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "


@pytest.fixture(autouse=True)
def _many_sockets() -> None:
    allow_many_sockets()


@dataclass(frozen=True)
class Door:
    """A service behind these limits."""

    service: Service

    @property
    def port(self) -> int:
        port = self.service.client.port
        assert port is not None
        return port

    @property
    def counted(self) -> Connections:
        app = self.service.client.app
        assert app is not None
        counted: Connections = app[CONNECTIONS]
        return counted

    async def serves_others(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            response = await self.service.client.get("/healthz")
            assert response.status == 200


async def behind(service: Service, limits: ConnectionLimits, proxies: Proxies | None = None) -> Door:
    await service.restart_with(connection_limits=limits, proxies=proxies or Proxies())
    return Door(service)


@asynccontextmanager
async def dripping(peers: list[Peer]) -> AsyncIterator[None]:
    """Each of these says one more byte every now and then, for ever."""

    async def drip() -> None:
        while True:
            await asyncio.sleep(0.1)
            for peer in peers:
                if not peer.writer.is_closing():
                    peer.says(b"x")

    task = asyncio.create_task(drip())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# -- slow --------------------------------------------------------------------------------------------------------------


async def test_a_thousand_heads_that_come_byte_by_byte_are_hung_up_on_and_nobody_else_waits(service: Service) -> None:
    door = await behind(service, replace(PATIENT, head_s=1.0))
    async with connected(door.port, CROWD) as peers, dripping(peers):
        for peer in peers:
            peer.says(START_OF_A_HEAD)
        await door.serves_others()
        assert all(await asyncio.gather(*(peer.is_hung_up_on() for peer in peers)))
    assert door.counted.no_head == CROWD
    await door.serves_others()
    assert door.counted.open == 1


@pytest.mark.parametrize("said", [b"", b"\r\n\r\n", b"GET", START_OF_A_HEAD], ids=repr)
async def test_whoever_asks_nothing_is_hung_up_on(service: Service, said: bytes) -> None:
    door = await behind(service, replace(PATIENT, head_s=0.2))
    async with connected(door.port, 1) as (peer,):
        peer.says(said)
        assert await peer.is_hung_up_on()


async def test_a_connection_that_has_asked_is_kept_for_a_while_and_then_closed(service: Service) -> None:
    door = await behind(service, replace(PATIENT, head_s=0.2, idle_s=1.5))
    async with connected(door.port, 2) as (idle, slow), dripping([slow]):
        for peer in (idle, slow):
            assert (await peer.asks(get())).status == 200
        await asyncio.sleep(0.3)
        assert (await idle.asks(get())).status == 200, "the deadline for a first head is over, and must not count"
        slow.says(START_OF_A_HEAD)
        assert await slow.is_hung_up_on()
        assert await idle.is_hung_up_on()


async def test_a_body_that_comes_byte_by_byte_gets_a_408(service: Service) -> None:
    door = await behind(service, replace(PATIENT, body_s=0.3))
    lines = ("Content-Length: 1000", "Transfer-Encoding: chunked")
    async with connected(door.port, 2) as peers:
        for peer, line in zip(peers, lines, strict=True):
            peer.says(post(SESSIONS, b"3\r\n{  " if "chunked" in line else b"{", line))
        for peer in peers:
            assert (await peer.hears()).problem["code"] == "request_timeout"
        await door.serves_others()


async def test_a_body_in_chunks_without_end_is_too_large(service: Service) -> None:
    door = await behind(service, PATIENT)
    async with connected(door.port, 1) as (peer,):
        peer.says(post(SESSIONS, b"", "Transfer-Encoding: chunked"))
        for _ in range(70):
            peer.says(b"400\r\n" + b" " * 1024 + b"\r\n")
        assert (await peer.hears()).problem["code"] == "payload_too_large"


async def test_a_chunk_size_without_end_is_no_request(service: Service) -> None:
    door = await behind(service, replace(PATIENT, body_s=1.0))
    async with connected(door.port, 1) as (peer,):
        peer.says(post(SESSIONS, b"0" * 100_000, "Transfer-Encoding: chunked"))
        assert (await peer.hears()).status in (400, 408, 422)


async def test_a_body_that_nobody_wants_is_not_waited_for(service: Service) -> None:
    """Refused before a byte of it is read."""
    door = await behind(service, PATIENT)
    async with connected(door.port, 1) as (peer,):
        peer.says(post("/api/v1/driver/bindings", b"", "Content-Length: 60000"))
        assert (await peer.hears()).status == 401


async def test_whoever_takes_nothing_of_an_answer_is_cut(service: Service) -> None:
    door = await behind(service, replace(PATIENT, stalled_s=1.0))
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    deaf.setblocking(False)
    await asyncio.get_running_loop().sock_connect(deaf, ("127.0.0.1", door.port))
    reader, writer = await asyncio.open_connection(sock=deaf, limit=1)  # Reads no more than two bytes ahead.
    try:
        writer.write(get("/api/v1/openapi.json") * 32)
        async with asyncio.timeout(PATIENCE_S):
            while door.counted.open:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        assert reader is not None
    finally:
        writer.transport.abort()


# -- countless ---------------------------------------------------------------------------------------------------------


async def test_beyond_the_limit_a_connection_is_told_so_at_once_and_the_others_work_on(service: Service) -> None:
    door = await behind(service, replace(PATIENT, connections=5))
    async with connected(door.port, 5) as inside, connected(door.port, 20) as outside:
        for peer in inside:
            assert (await peer.asks(get())).status == 200
        for peer in outside:
            answer = await peer.hears()
            assert answer.problem["code"] == "unavailable"
            assert int(answer.headers["retry-after"]) > 0
            assert answer.headers["connection"] == "close"
            assert await peer.is_hung_up_on()
        for peer in inside:
            assert (await peer.asks(get())).status == 200
    assert door.counted.refused == {"too_many": 20, "too_many_of_address": 0}


async def test_a_place_is_free_again_when_somebody_leaves(service: Service) -> None:
    door = await behind(service, replace(PATIENT, connections=1))
    for _ in range(3):
        async with connected(door.port, 1) as (peer,):
            assert (await peer.asks(get("/healthz", "Connection: close"))).status == 200
            assert await peer.is_hung_up_on()
    assert door.counted.open == 0


async def test_one_address_takes_no_more_than_its_share(service: Service) -> None:
    door = await behind(service, replace(PATIENT, connections_of_address=3))
    async with connected(door.port, 3) as inside, connected(door.port, 3) as outside:
        assert [(await peer.asks(get())).status for peer in inside] == [200] * 3
        assert [(await peer.hears()).status for peer in outside] == [503] * 3
        elsewhere = await asyncio.open_connection("127.0.0.1", door.port, local_addr=("127.0.0.9", 0))
        neighbour = Peer(*elsewhere)
        assert (await neighbour.asks(get())).status == 200
        await neighbour.leaves()


async def test_our_own_proxy_may_bring_everybody(service: Service) -> None:
    one = replace(PATIENT, connections_of_address=1)
    door = await behind(service, one, Proxies(1, networks("127.0.0.0/8")))
    async with connected(door.port, 5) as peers:
        assert [(await peer.asks(get())).status for peer in peers] == [200] * 5


async def test_an_idle_connection_gives_way_to_a_new_one_of_its_address(service: Service) -> None:
    door = await behind(service, replace(PATIENT, connections_of_address=3, gives_way_s=0.0))
    async with connected(door.port, 3) as inside:
        assert [(await peer.asks(get())).status for peer in inside] == [200] * 3
        async with connected(door.port, 2) as others:
            assert [(await peer.asks(get())).status for peer in others] == [200] * 2
            assert [await peer.is_hung_up_on() for peer in inside[:2]] == [True] * 2, "the oldest go"
            assert (await inside[2].asks(get())).status == 200
        assert door.counted.gave_way == 2
        assert door.counted.refused == {"too_many": 0, "too_many_of_address": 0}


async def test_a_head_that_drips_gives_way_too(service: Service) -> None:
    door = await behind(service, replace(PATIENT, connections=2, gives_way_s=0.0))
    async with connected(door.port, 2) as slow:
        for peer in slow:
            peer.says(START_OF_A_HEAD)
        async with connected(door.port, 1) as (honest,):
            assert (await honest.asks(get())).status == 200
        assert door.counted.gave_way == 1


async def test_a_call_under_way_gives_way_to_nobody(service: Service) -> None:
    door = await behind(service, replace(PATIENT, connections=2, gives_way_s=0.0))
    async with connected(door.port, 2) as busy:
        for peer in busy:
            assert (await peer.asks(get())).status == 200
        while any(connection.idle_s() is None for connection in door.counted.callers):  # noqa: ASYNC110
            await asyncio.sleep(0)
        for peer in busy:
            peer.says(post(SESSIONS, b"{", "Content-Length: 100"))
        while any(connection.idle_s() is not None for connection in door.counted.callers):  # noqa: ASYNC110
            await asyncio.sleep(0)
        async with connected(door.port, 1) as (other,):
            assert (await other.hears()).status == 503
        for peer in busy:
            peer.says(b" " * 98 + b"}")
            assert (await peer.hears()).status == 422
    assert door.counted.gave_way == 0


async def test_a_live_stream_gives_way_to_nobody(service: Service) -> None:
    await service.report(row())
    _, viewer, shared = await watched_share(service)
    door = await behind(service, replace(PATIENT, connections=2, gives_way_s=0.0))
    async with stream(service, f"{FAMILY_SHARES}/{shared['id']}/live", viewer) as reader:
        await reader.take("position", "presence")
        for _ in range(5):
            async with connected(door.port, 1) as (other,):
                assert (await other.asks(get())).status == 200
                await service.report(row(at=START + 60))
        assert (await reader.take("position"))[0]["online"]


async def test_an_idle_connection_of_another_address_gives_way_where_all_places_are_taken(service: Service) -> None:
    door = await behind(service, replace(PATIENT, connections=3, gives_way_s=0.0))
    async with connected(door.port, 3) as inside:
        assert [(await peer.asks(get())).status for peer in inside] == [200] * 3
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port, local_addr=("127.0.0.9", 0))
        neighbour = Peer(reader, writer)
        assert (await neighbour.asks(get())).status == 200
        assert await inside[0].is_hung_up_on()
        await neighbour.leaves()


async def test_a_connection_that_just_had_a_call_is_kept(service: Service) -> None:
    door = await behind(service, replace(PATIENT, connections=1, gives_way_s=3_600.0))
    async with connected(door.port, 1) as (inside,), connected(door.port, 1) as (outside,):
        assert (await outside.hears()).status == 503
        assert (await inside.asks(get())).status == 200


def test_the_addresses_of_one_ipv6_customer_share_one_count() -> None:
    counted = Connections(replace(PATIENT, connections_of_address=2), is_proxy=lambda address: False)
    network = counted.admit("2001:db8::1")
    assert network == counted.admit("2001:db8::2")
    assert counted.admit("2001:db8::3") is None
    assert network is not None
    counted.leave(network)
    assert counted.admit("2001:db8::4") == network


async def test_a_flood_is_counted_and_logged_once(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    door = await behind(service, replace(PATIENT, connections=2))
    async with connected(door.port, 2) as inside, connected(door.port, 200) as outside:
        assert (await inside[0].asks(get())).status == 200
        assert [(await peer.hears()).status for peer in outside] == [503] * 200
        told = await inside[0].asks(get("/metrics"))
    assert b'shouwang_http_refused_connections_total{kind="too_many"} 200' in told.body
    assert sum("refused" in record.message for record in caplog.records) == 1


async def test_requests_by_the_dozen_on_one_connection_are_served_in_turn(service: Service) -> None:
    door = await behind(service, PATIENT)
    async with connected(door.port, 1) as (peer,):
        peer.says(get() * 500)
        assert [(await peer.hears()).status for _ in range(500)] == [200] * 500


async def test_live_streams_have_a_limit_of_their_own(service: Service) -> None:
    await service.restart_with(stream_limits=StreamLimits(streams=0))
    headers = await service.sign_in_driver()
    response = await service.client.get(f"/api/v1/family/shares/{'0' * 16}/live", headers=headers)
    assert response.status == 503
    assert int(response.headers["Retry-After"]) > 0


# -- what is no HTTP ---------------------------------------------------------------------------------------------------

TOKEN = "a-token-that-nobody-may-read"
NO_HTTP = {
    "a line of 9 KB": get(f"/healthz?{'x' * 9_000}"),
    "a header of 9 KB": get("/healthz", f"Authorization: Bearer {TOKEN}{'x' * 9_000}"),
    "a thousand headers": get("/healthz", *(f"X-{number}: {TOKEN}" for number in range(1_000))),
    "a NUL in a header": get("/healthz", f"Authorization: Bearer {TOKEN}\0"),
    "a header without a name": get("/healthz", f": Bearer {TOKEN}"),
    "two lengths": post(SESSIONS, b"{}", "Content-Length: 2", "Content-Length: 3"),
    "a length and chunks": post(SESSIONS, b"0\r\n\r\n", "Content-Length: 5", "Transfer-Encoding: chunked"),
    "a length that is none": post(SESSIONS, b"{}", "Content-Length: -1"),
    "chunks that are none": post(SESSIONS, b"zz\r\n", "Transfer-Encoding: chunked"),
    "a method that is none": b"G\x00T / HTTP/1.1\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a terminal": bytes.fromhex("7e0200001c013800138000000100") + bytes(30) + b"\x7e\r\n\r\n",
    "a line break in the line": b"GET /healthz\rX HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", NO_HTTP)
async def test_what_is_no_http_gets_a_problem_that_repeats_nothing(
    service: Service, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    door = await behind(service, replace(PATIENT, head_s=1.0, body_s=1.0))
    async with connected(door.port, 1) as (peer,):
        answer = await peer.asks(NO_HTTP[name])
        assert answer.status in (400, 404, 408, 422)
        assert answer.problem["code"] in ("bad_request", "not_found", "request_timeout", "invalid_input")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["server"] == "shouwang"
        assert await peer.is_hung_up_on() or answer.status == 404
    assert TOKEN not in caplog.text
    assert TOKEN.encode() not in answer.body
    assert "Traceback" not in caplog.text
    await door.serves_others()


async def test_smuggled_requests_are_not_seen(service: Service) -> None:
    """A server that disagrees with a proxy on a request's end would answer the second request."""
    door = await behind(service, replace(PATIENT, body_s=0.5))
    second = get("/api/v1/terms")
    smuggled = (
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding: xchunked", "Content-Length: 5"),
        ("Transfer-Encoding : chunked", "Content-Length: 5"),
        ("Content-Length: 5", "Content-Length: 6"),
    )
    for lines in smuggled:
        async with connected(door.port, 1) as (peer,):
            answer = await peer.asks(post(SESSIONS, b"0\r\n\r\n" + second, *lines))
            assert answer.status >= 400, lines
            assert await nothing_more(peer), lines


async def nothing_more(peer: Peer) -> bool:
    try:
        answer: Heard = await peer.hears()
    except (EOFError, ConnectionError):
        return True
    return answer.status >= 400


async def test_what_the_feed_takes_is_refused_before_it_is_read(service: Service) -> None:
    """A megabyte for each connection, without a key."""
    door = await behind(service, PATIENT)
    feed = partial(post, "/api/v1/telemetry", b"")
    async with connected(door.port, 50) as peers:
        for peer in peers:
            peer.says(feed("Content-Length: 1000000", "X-Feed-Key: guess"))
        assert {(await peer.hears()).status for peer in peers} == {401}
        right = await Peer.connects(door.port)
        right.says(post("/api/v1/telemetry", b"", "Content-Length: 2000000", f"X-Feed-Key: {FEED_KEY}"))
        assert (await right.hears()).status in (413, 415)
        await right.leaves()


# -- the terminals' port -----------------------------------------------------------------------------------------------


async def test_hundreds_of_terminals_that_drip_are_hung_up_on_and_an_honest_one_is_served() -> None:
    limits = TerminalLimits(handshake_timeout_s=0.5, max_connections=CROWD, max_connections_per_ip=401)
    async with running(limits) as (gateway, port, _), connected(port, 400) as peers, dripping(peers):
        for peer in peers:
            peer.says(b"\x7e\x02")
        honest = await Client.connect(port)
        await honest.signs_on()
        beyond = await Client.connect(port)
        assert await beyond.is_hung_up_on()
        assert all(await asyncio.gather(*(peer.is_hung_up_on() for peer in peers)))
        assert gateway.stats().refused == {"handshake_timeout": 400, "too_many_connections_per_ip": 1}
        assert results([await honest.asks(honest.terminal.reports())])[0][2] == ids.RESULT_OK
        await honest.leaves()
        await beyond.leaves()
