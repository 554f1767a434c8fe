"""Connections in memory between clients and the service, instead of sockets: in order, in pieces, late, or cut."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from random import Random
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from torture.loop import VirtualLoop

READ_BYTES: Final = 16_384
FIRST_PORT: Final = 20_000
APART_S: Final = 1e-6
"""Seconds between two pieces of one connection, which never overtake each other."""


class Refused(ConnectionError):
    """The port has no listener."""


class Network:
    """The listeners of each port; how long a piece takes is drawn from ``chance``."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.chance = Random(0)
        self.slowest_s = 0.002
        self._listening: dict[int, Server] = {}
        self._servers: list[Server] = []
        """The servers, also those that no longer listen and still have connections."""
        self._next_port = FIRST_PORT

    def listen(self, factory: Callable[[], asyncio.BaseProtocol], host: str | None, port: int) -> Server:
        if not port:
            port, self._next_port = self._next_port, self._next_port + 1
        server = self._listening[port] = Server(self, factory, host or "", port)
        self._servers.append(server)
        return server

    def leave(self, port: int) -> None:
        self._listening.pop(port, None)

    def connect(self, port: int, *, host: str = "198.51.100.7") -> Wire:
        """Connect to a port. Raises ``Refused``."""
        server = self._listening.get(port)
        if server is None:
            raise Refused
        return server.accept(host)

    def reset(self) -> None:
        """Cut all connections: the machine behind all ports is gone."""
        servers, self._servers = self._servers, []
        self._listening.clear()
        for server in servers:
            server.vanish()

    def delay_s(self) -> float:
        return self.chance.random() * self.slowest_s


class _Socket:
    """The facts that servers want to know of their socket."""

    family = -1

    def __init__(self, name: tuple[str, int]) -> None:
        self._name = name

    def getsockname(self) -> tuple[str, int]:
        return self._name

    def setsockopt(self, *_: object) -> None:
        """Do nothing: no kernel is there to tell."""

    @contextmanager
    def dup(self) -> Iterator[Self]:
        yield self

    def listen(self, backlog: int) -> None:
        """Do nothing: no kernel is there to tell."""


class Server:
    """A listening port, as ``asyncio.Server``."""

    def __init__(self, network: Network, factory: Callable[[], asyncio.BaseProtocol], host: str, port: int) -> None:
        self.sockets = [_Socket((host, port))]
        self.wires: dict[Wire, None] = {}
        self._network = network
        self._factory = factory
        self._port = port
        self._context = copy_context()
        """The context of the process which listens: its protocols are called in it."""
        self._serving = True

    def is_serving(self) -> bool:
        return self._serving

    def close(self) -> None:
        self._serving = False
        self._network.leave(self._port)

    async def wait_closed(self) -> None:
        """Return at once: nothing lingers."""

    def accept(self, host: str) -> Wire:
        wire = Wire(self._network, self)
        transport = Transport(wire, self._network, self._context.copy(), host)
        wire.begin(transport)
        self.wires[wire] = None
        transport.call(transport.begin, self._factory)
        return wire

    def vanish(self) -> None:
        for wire in list(self.wires):
            wire.hear_end()


class Transport(asyncio.Transport):
    """The server's end of a connection."""

    def __init__(self, wire: Wire, network: Network, context: Context, host: str) -> None:
        super().__init__({"peername": (host, 40_000), "socket": _Socket((host, 0)), "sockname": ("", 0)})
        self._wire = wire
        self._network = network
        self._context = context
        self._protocol: Any = None
        self._inbox: deque[bytes] = deque()
        self._paused = self._closing = self._lost = False
        self._arrives_at = self._leaves_at = 0.0

    def call(self, callback: Callable[..., Any], *args: Any) -> None:
        self._network.loop.call_soon(callback, *args, context=self._context)

    def begin(self, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        self._protocol = factory()
        self._protocol.connection_made(self)

    # -- from the client

    def arrive(self, piece: bytes) -> None:
        """Deliver bytes in order, each piece after its own delay."""
        loop = self._network.loop
        self._arrives_at = max(self._arrives_at + APART_S, loop.time() + self._network.delay_s())
        loop.call_at(self._arrives_at, self._take, piece, context=self._context)

    def _take(self, piece: bytes) -> None:
        if not self._closing:
            self._inbox.append(piece)
            self._read()

    def _read(self) -> None:
        while self._inbox and not self._paused and not self._closing:
            self._hand_over(self._inbox.popleft())

    def _hand_over(self, piece: bytes) -> None:
        protocol = self._protocol
        if not isinstance(protocol, asyncio.BufferedProtocol):
            protocol.data_received(piece)
            return
        for start in range(0, len(piece), READ_BYTES):
            part = piece[start : start + READ_BYTES]
            memoryview(protocol.get_buffer(len(part)))[: len(part)] = part
            protocol.buffer_updated(len(part))

    def lose(self, error: Exception | None = None) -> None:
        """End the connection."""
        self._closing = True
        if not self._lost:
            self._lost = True
            self.call(self._tell_lost, error)

    def _tell_lost(self, error: Exception | None) -> None:
        if self._protocol is not None:
            self._protocol.connection_lost(error)

    # -- asyncio's face

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data and not self._closing:
            self._send(self._wire.hear, bytes(data))

    def _send(self, hear: Callable[..., None], *piece: bytes) -> None:
        loop = self._network.loop
        self._leaves_at = max(self._leaves_at + APART_S, loop.time() + self._network.delay_s())
        loop.call_at(self._leaves_at, hear, *piece, context=Context())

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        if not self._closing:
            self._send(self._wire.hear_end)
            self.lose()

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self.call(self._read)

    def is_reading(self) -> bool:
        return not self._paused

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Do nothing: all writes go out."""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def can_write_eof(self) -> bool:
        return False


class Wire:
    """The client's end of a connection."""

    def __init__(self, network: Network, server: Server) -> None:
        self.received = bytearray()
        self.ended = False
        self._network = network
        self._server = server
        self._transport: Transport | None = None
        self._heard: asyncio.Future[None] | None = None

    def begin(self, transport: Transport) -> None:
        self._transport = transport

    def write(self, content: bytes) -> None:
        """Send bytes; those written after the end are lost."""
        if self._transport is not None and not self.ended:
            self._transport.arrive(content)

    def cut(self) -> None:
        """Cut the connection: both ends lose it, and bytes under way may be lost."""
        if self._transport is not None and not self.ended:
            self._transport.lose(ConnectionResetError())
        self.hear_end()

    def hear(self, piece: bytes) -> None:
        if not self.ended:
            self.received += piece
            self._wake()

    def hear_end(self) -> None:
        self.ended = True
        self._server.wires.pop(self, None)
        self._wake()

    def _wake(self) -> None:
        if self._heard is not None and not self._heard.done():
            self._heard.set_result(None)

    async def more(self) -> None:
        """Wait until bytes came, or the end."""
        self._heard = self._network.loop.create_future()
        await self._heard
