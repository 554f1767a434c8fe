"""HTTP connections are limited in number, in all and by address, and in time; this guards the sockets before any call is read."""

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

from api.http.addresses import network_of
from api.http.edge import HEADERS
from api.http.problems import HTTP_KINDS, INTERNAL, KINDS, response_as
from domain.errors import Busy

log = logging.getLogger(__name__)

RETRY_AFTER_S: Final = 30
LOOKED_AT: Final = 32
"""Connections, for one that has no call, before a new one is refused."""
TOLD_EVERY_S: Final = 60.0
"""A flood makes one line of the log in so long."""
ACCEPTED_A_TURN: Final = 32
BACKLOG: Final = 65_535
"""The system allows less, mostly (``net.core.somaxconn``)."""
_NOBODY: Final = ("", 0)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Seconds are real ones, whatever clock the rules run on."""

    connections: int = 30_000
    """In all, live streams included."""
    connections_of_address: int = 2_000
    """An IPv6 customer is one address. Does not count for our own proxies, through which everybody comes."""
    head_s: float = 20.0
    """From the connection to the end of its first request's head."""
    body_s: float = 30.0
    """So long may a request's body take."""
    idle_s: float = 75.0
    """From an answer to the end of the next head; longer than proxies keep their connections."""
    stalled_s: float = 60.0
    """So long may a client take nothing of what we send."""
    gives_way_s: float = 2.0
    """A connection without a call for so long gives way to a new one, where all places are taken."""


AtOnce = Callable[[RawRequestMessage, str], bytes | None]
"""All that is to be sent to a call without a body from this address, or None: then the application is asked."""


class Connections:
    """Counts those that are open and those that found no room."""

    def __init__(
        self, limits: ConnectionLimits, *, is_proxy: Callable[[str], bool], at_once: AtOnce = lambda call, peer: None
    ) -> None:
        self.limits = limits
        self.at_once = at_once
        self.open = 0
        self.refused = {"too_many": 0, "too_many_of_address": 0}
        self.no_head = 0
        """Those that never asked anything, and were hung up on."""
        self.gave_way = 0
        """Those that had no call under way, and were closed for new ones."""
        self._is_proxy = is_proxy
        self._of_address: Counter[str] = Counter()
        self._callers: OrderedDict[_Connection, None] = OrderedDict()
        """Connections that may come to be idle: no live streams, and none of our proxies."""
        self._callers_of: dict[str, OrderedDict[_Connection, None]] = {}
        self._told_at = -TOLD_EVERY_S

    def admit(self, address: str) -> str | None:
        """Takes a place, to be given up by ``leave`` with what is returned; None when there is none."""
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
        """From now on it may give way while it has no call."""
        if network:
            self._callers[connection] = None
            self._callers_of.setdefault(network, OrderedDict())[connection] = None

    def expect_no_calls(self, connection: _Connection, network: str) -> None:
        """It has ended, or has become a live stream."""
        if connection in self._callers:
            del self._callers[connection]
            of_network = self._callers_of[network]
            del of_network[connection]
            if not of_network:
                del self._callers_of[network]

    @property
    def callers(self) -> Iterable[_Connection]:
        """Connections that give way when they are idle."""
        return self._callers

    def _make_room(self, callers: OrderedDict[_Connection, None]) -> bool:
        """Whether one of these has given way: the first that is idle, in the order of coming, those looked at in vain last."""
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
    """A connection whose answer goes on for long, and which needs none of aiohttp's kilobytes meanwhile.

    Counts until it is lost. What begins one hands it over with ``hand_over``.
    """

    __slots__ = ("_connections", "_network", "transport")

    def take_over(self, transport: Transport, connections: Connections, network: str) -> None:
        """From now on the transport tells this protocol; whatever waits in it is still to be sent."""
        self.transport = transport
        self._connections = connections
        self._network = network
        transport.set_protocol(self)
        transport.resume_reading()  # Or nobody would hear that the client goes.
        if transport.get_write_buffer_size():
            self.pause_writing()

    def connection_lost(self, _: BaseException | None) -> None:
        """It has ended."""
        self._connections.leave(self._network)


def hand_over(request: web.Request, line: Line) -> bool:
    """For a handler that has sent its answer's head: the rest is ``line``'s, and the handler just returns.

    False when the client has gone, or said more than its request: then nothing was handed over.
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
    """Listens for a ``GuardedRunner``, with as many callers in the kernel's queue as the system allows.

    asyncio accepts as many in a turn of the event loop as it lets wait. A place that is refused takes a few turns to be
    free again, so few are accepted a turn; but a caller that finds the queue full tries again only after seconds.
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
    """aiohttp's, which hangs up on who is idle for too long, also in the midst of a later head; and what that leaves open."""

    __slots__ = ("_connections", "_head_timer", "_network", "_quiet_from")

    def __init__(self, server: web.Server, connections: Connections, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._connections = connections
        self._network: str | None = None
        self._head_timer: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """Lets it in, or says that there is no room."""
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
        """Seconds since it had a call, or came; None while it has one."""
        if self._messages or self._waiter is None or self._waiter.done():
            return None
        answered_at = self._next_keepalive_close_time - self._keepalive_timeout
        return self._loop.time() - max(self._quiet_from, answered_at)

    def give_way(self) -> None:
        """Makes room for another; a client that calls on the connection that it kept just connects again."""
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
        """A call that can be answered at once is, in this turn: to wake aiohttp's task, which begins another, takes longer."""
        waiter = self._waiter
        if waiter is None or waiter.done():  # It is about another call.
            super().data_received(data)
            return
        self._waiter = None
        try:
            super().data_received(data)  # Reads, and finds nobody to wake.
        finally:
            self._waiter = waiter
        if self._messages and not self._answers_at_once():
            waiter.set_result(None)

    def _answers_at_once(self) -> bool:
        """As aiohttp's ``start`` does, of a single call to which all is said in a moment."""
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
        """aiohttp takes it for lost, and lets go of it when the handler returns."""
        transport, network = self.transport, self._network
        if transport is None or network is None or self._messages:
            return False
        self._expect_no_calls()
        self.transport = self._network = None
        line.take_over(transport, self._connections, network)
        self.connection_lost(None)
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        """It has ended."""
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
        """What was no HTTP, or a failure outside of all handlers.

        ``message`` and ``exc`` repeat what was sent, a token perhaps: neither answer nor log does.
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
    """The kernel ends a connection whose other end takes nothing, or is gone, for so long."""
    if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def _full() -> bytes:
    """The whole answer to a connection that finds no room, made once."""
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
