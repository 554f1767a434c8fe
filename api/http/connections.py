"""Limits HTTP connections in number, in all and by address, and in time, before any call is read."""

from __future__ import annotations

import logging
import socket
import time
from asyncio import BaseTransport, Protocol, Server, TimerHandle, Transport
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD

from api.http.edge import HEADERS
from api.http.problems import HTTP_KINDS, INTERNAL, KINDS, response_as
from domain.errors import Busy
from domain.networks import network_of

log = logging.getLogger(__name__)

RETRY_AFTER_S: Final = 30
LOOKED_AT: Final = 32
"""Connections examined for an idle one before a new connection is refused."""
TOLD_EVERY_S: Final = 60.0
"""Log refused connections at most once per this many seconds."""
ACCEPTED_A_TURN: Final = 32
BACKLOG: Final = 65_535
"""The system usually allows less (``net.core.somaxconn``)."""
_NOBODY: Final = ("", 0)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of connections. All seconds are real, whatever clock the rules run on."""

    connections: int = 30_000
    """The total, live streams included."""
    connections_of_address: int = 2_000
    """The limit of one address; an IPv6 customer counts as one.

    Our own proxies, which all callers share, are exempt.
    """
    head_s: float = 20.0
    """Time from the connection to the end of its first request's head."""
    body_s: float = 30.0
    """Time to receive a request's body."""
    idle_s: float = 75.0
    """Time from an answer to the end of the next head; longer than proxies keep their connections."""
    stalled_s: float = 60.0
    """Time that a client may take none of our bytes."""
    gives_way_s: float = 2.0
    """Time without a call after which a connection gives way to a new one, when all places are taken."""


AtOnce = Callable[[RawRequestMessage, str], bytes | None]
"""Returns the whole answer to a bodiless call from this address; None hands the call to the application."""


class Connections:
    """Counts the open connections and the refused ones."""

    def __init__(
        self, limits: ConnectionLimits, *, is_proxy: Callable[[str], bool], at_once: AtOnce = lambda call, peer: None
    ) -> None:
        self.limits = limits
        self.at_once = at_once
        self.open = 0
        self.refused = {"too_many": 0, "too_many_of_address": 0}
        self.no_head = 0
        """Connections closed because they never sent a request."""
        self.gave_way = 0
        """Connections without a call in progress that were closed for new ones."""
        self._is_proxy = is_proxy
        self._of_address: Counter[str] = Counter()
        self._callers: OrderedDict[_Connection, None] = OrderedDict()
        """Connections that may become idle: neither live streams nor our proxies'."""
        self._callers_of: dict[str, OrderedDict[_Connection, None]] = {}
        self._told_at = -TOLD_EVERY_S

    def admit(self, address: str) -> str | None:
        """Take a place and return the name to ``leave`` it by; None when there is no room."""
        network = "" if self._is_proxy(address) else network_of(address)
        if network and self._of_address[network] >= self.limits.connections_of_address:
            if not self._make_room(self._callers_of.get(network, OrderedDict())):
                self._refuse("too_many_of_address")
                return None
        elif self.open >= self.limits.connections and not self._make_room(self._callers):
            self._refuse("too_many")
            return None
        self.open += 1
        if network:
            self._of_address[network] += 1
        return network

    def leave(self, network: str) -> None:
        self.open -= 1
        if network:
            self._of_address[network] -= 1
            if not self._of_address[network]:
                del self._of_address[network]

    def expect_calls(self, connection: _Connection, network: str) -> None:
        """Let this connection give way whenever it has no call."""
        if network:
            self._callers[connection] = None
            self._callers_of.setdefault(network, OrderedDict())[connection] = None

    def expect_no_calls(self, connection: _Connection, network: str) -> None:
        """Exempt a connection that has ended or has become a live stream."""
        if connection in self._callers:
            del self._callers[connection]
            of_network = self._callers_of[network]
            del of_network[connection]
            if not of_network:
                del self._callers_of[network]

    @property
    def callers(self) -> Iterable[_Connection]:
        """Return the connections that give way when they are idle."""
        return self._callers

    def _make_room(self, callers: OrderedDict[_Connection, None]) -> bool:
        """Make the oldest idle connection give way; False when none was found.

        Connections examined in vain go to the end of the queue.
        """
        for connection in list(islice(callers, LOOKED_AT)):
            idle_s = connection.idle_s()
            if idle_s is not None and idle_s >= self.limits.gives_way_s:
                self.gave_way += 1
                connection.give_way()
                return True
            callers.move_to_end(connection)
        return False

    def _refuse(self, kind: str) -> None:
        self.refused[kind] += 1
        now = time.monotonic()
        if now - self._told_at >= TOLD_EVERY_S:
            self._told_at = now
            log.warning("connections are refused: %s; so far %s", kind, self.refused)


CONNECTIONS: Final = web.AppKey("connections", Connections)


class Line(Protocol):
    """A connection whose answer goes on for long and needs none of aiohttp's kilobytes meanwhile.

    It counts until it is lost. Its handler passes it on with ``hand_over``.
    """

    __slots__ = ("_connections", "_network", "transport")

    def take_over(self, transport: Transport, connections: Connections, network: str) -> None:
        """Make the transport report to this protocol. Bytes waiting in it are still sent."""
        self.transport = transport
        self._connections = connections
        self._network = network
        transport.set_protocol(self)
        transport.resume_reading()  # otherwise the client's leaving would go unnoticed
        if transport.get_write_buffer_size():
            self.pause_writing()

    def connection_lost(self, _: BaseException | None) -> None:
        """Give up the place of the ended connection."""
        self._connections.leave(self._network)


def hand_over(request: web.Request, line: Line) -> bool:
    """Hand the connection to ``line`` after its head was sent; the handler then just returns.

    Returns False, and hands over nothing, when the client has gone or has sent more than its request.
    """
    connection = request.protocol
    assert isinstance(connection, _Connection)
    return connection.hand_over(line)


class GuardedRunner(web.AppRunner):
    """Serves an application behind the limits of its ``CONNECTIONS``."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made.request_handler, self.app[CONNECTIONS], request_factory=made.request_factory)


class GuardedSite(web.TCPSite):
    """Listens for a ``GuardedRunner``, with the longest queue in the kernel that the system allows.

    asyncio accepts as many connections in a turn of the event loop as it lets wait. A refused place takes a few turns
    to become free, so few are accepted in a turn. A caller that finds the queue full, however, retries only after
    seconds.
    """

    def __init__(self, runner: web.AppRunner, host: str, port: int) -> None:
        super().__init__(runner, host, port, backlog=ACCEPTED_A_TURN)

    async def start(self) -> None:
        await super().start()
        for listener in cast(Server, self._server).sockets:
            with listener.dup() as same:
                same.listen(BACKLOG)


class _Server(web.Server):
    def __init__(self, handler: Any, connections: Connections, *, request_factory: Any) -> None:
        super().__init__(handler, request_factory=request_factory)
        self._guard = connections

    def __call__(self) -> web.RequestHandler:
        idle_s = self._guard.limits.idle_s
        return _Connection(self, self._guard, loop=self._loop, keepalive_timeout=idle_s, access_log=None)


class _Connection(web.RequestHandler):
    """A connection of aiohttp's with time limits that also cover a later head, and what aiohttp leaves open."""

    __slots__ = ("_connections", "_head_timer", "_network", "_quiet_from")

    def __init__(self, server: web.Server, connections: Connections, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._connections = connections
        self._network: str | None = None
        self._head_timer: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """Admit the connection, or answer that there is no room."""
        assert isinstance(transport, Transport)
        limits = self._connections.limits
        self._network = self._connections.admit((transport.get_extra_info("peername") or _NOBODY)[0])
        if self._network is None:
            self.force_close()
            transport.write(_FULL)
            transport.close()
            return
        _let_stall(transport.get_extra_info("socket"), limits.stalled_s)
        super().connection_made(transport)
        self._connections.expect_calls(self, self._network)
        self._quiet_from = self._loop.time()
        self._head_timer = self._loop.call_later(limits.head_s, self._expect_head)

    def idle_s(self) -> float | None:
        """Return the seconds since its last call, or since it connected; None during a call."""
        if self._messages or self._waiter is None or self._waiter.done():
            return None
        answered_at = self._next_keepalive_close_time - self._keepalive_timeout
        return self._loop.time() - max(self._quiet_from, answered_at)

    def give_way(self) -> None:
        """Close to make room for another. A client that calls on it again just reconnects."""
        self._expect_no_calls()
        self.force_close()

    def _expect_no_calls(self) -> None:
        if self._network is not None:
            self._connections.expect_no_calls(self, self._network)

    def _expect_head(self) -> None:
        if not self._request_count:
            self._connections.no_head += 1
            self.force_close()

    def data_received(self, data: bytes) -> None:
        """Answer a call within this turn where possible: waking aiohttp's task takes longer."""
        waiter = self._waiter
        if waiter is None or waiter.done():  # another call is in progress
            super().data_received(data)
            return
        self._waiter = None
        try:
            super().data_received(data)  # parses, and finds no task to wake
        finally:
            self._waiter = waiter
        if self._messages and not self._answers_at_once():
            waiter.set_result(None)

    def _answers_at_once(self) -> bool:
        """Do what aiohttp's ``start`` does, for a single call whose whole answer is at hand."""
        call, payload = self._messages[0]
        if len(self._messages) > 1 or payload is not EMPTY_PAYLOAD or not isinstance(call, RawRequestMessage):
            return False
        if self._paused or self._upgraded or self.transport is None or self.transport.is_closing():
            return False
        content = self._connections.at_once(call, str((self.peername or _NOBODY)[0]))
        if content is None:
            return False
        assert self._parser is not None
        self._parser.message_consumed()
        self._messages.clear()
        self.transport.write(content)
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        return True

    def hand_over(self, line: Line) -> bool:
        """Pass the transport to ``line``. aiohttp takes it for lost, and releases it when the handler returns."""
        transport, network = self.transport, self._network
        if transport is None or network is None or self._messages:
            return False
        self._expect_no_calls()
        self.transport = self._network = None
        line.take_over(transport, self._connections, network)
        self.connection_lost(None)
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        """Release the connection's place."""
        if self._head_timer is not None:
            self._head_timer.cancel()
        if self._network is not None:
            self._expect_no_calls()
            self._connections.leave(self._network)
            self._network = None
        super().connection_lost(exc)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer input that is no HTTP, and failures outside of all handlers.

        ``message`` and ``exc`` repeat the input, perhaps a token, so neither answer nor log contains them.
        """
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("a connection failed: %s", type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun")
        response = response_as(HTTP_KINDS.get(status, INTERNAL))
        response.headers.update(HEADERS)
        response.force_close()
        return response


def _let_stall(connection: socket.socket | None, seconds: float) -> None:
    """Make the kernel end a connection whose other end takes nothing, or is gone, for this many seconds."""
    if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def _full() -> bytes:
    """Return the whole answer to a refused connection, made once."""
    response = response_as(KINDS[Busy])
    body = response.body
    assert isinstance(body, bytes)
    headers = {
        **HEADERS,
        "Content-Type": response.headers["Content-Type"],
        "Content-Length": str(len(body)),
        "Retry-After": str(RETRY_AFTER_S),
        "Connection": "close",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 503 Service Unavailable\r\n{lines}\r\n".encode("ascii") + body


_FULL: Final = _full()
