"""How does a conversation sit on a socket?"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final

from gateway.jt808.session import Session

if TYPE_CHECKING:
    from gateway.jt808.server import Gateway

_NOBODY: Final = ("", 0)
READ_AT_ONCE_BYTES: Final = 16_384

HELD_BY_STORE: Final = 1
HELD_BY_PEER: Final = 2
HELD_FOR_GOOD: Final = 4

_buffer: Final = bytearray(READ_AT_ONCE_BYTES)
"""Every connection reads through it: what has arrived is copied out before the loop turns."""
_view: Final = memoryview(_buffer)


class Connection(asyncio.BufferedProtocol):
    """One accepted socket."""

    __slots__ = ("_gateway", "_held", "_transport", "began_at", "heard_at", "ip", "session")

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._transport: asyncio.Transport | None = None
        self._held = 0
        """For which reasons we don't read."""
        self.ip = ""
        self.began_at = self.heard_at = gateway.exchange.tick
        self.session: Session | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Lets it in, or not."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.ip = (transport.get_extra_info("peername") or _NOBODY)[0]
        transport.set_write_buffer_limits(high=self._gateway.limits.write_buffer_high)
        if self._gateway.admit(self):
            self.session = Session(self._gateway.exchange, self)
            _keep_alive(transport.get_extra_info("socket"))
        else:
            transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return _view

    def buffer_updated(self, nbytes: int) -> None:
        """They are there."""
        session = self.session
        if session is None or session.closed:
            return
        exchange = session.exchange
        exchange.bytes_in += nbytes
        self.heard_at = exchange.tick
        session.receive(bytes(_view[:nbytes]))
        if not exchange.ingest.room():
            self._gateway.wait_for_room(self)

    def connection_lost(self, error: Exception | None) -> None:
        """It has ended."""
        self._transport = None
        self._gateway.forget(self)
        if self.session:
            self.session.lost()

    def pause_writing(self) -> None:
        """The terminal does not take our answers: we don't take its messages."""
        self.hold(HELD_BY_PEER)

    def resume_writing(self) -> None:
        """It does again."""
        self.release(HELD_BY_PEER)

    def hold(self, reason: int) -> None:
        """Stops reading."""
        if self._transport and not self._held and not self._transport.is_closing():
            self._transport.pause_reading()
        self._held |= reason

    def release(self, reason: int) -> None:
        """Reads again, if nothing else stands against it."""
        if not self._held & reason:
            return
        self._held &= ~reason
        self.heard_at = self._gateway.exchange.tick
        if self._transport and not self._held and not self._transport.is_closing():
            self._transport.resume_reading()

    @property
    def waits_for_store(self) -> bool:
        """Its silence is ours."""
        return bool(self._held & HELD_BY_STORE)

    @property
    def waits_for_peer(self) -> bool:
        """Our answers pile up."""
        return bool(self._held & HELD_BY_PEER)

    @property
    def unsent_bytes(self) -> int:
        """How much of our answers the kernel did not take yet."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    def write(self, content: bytes) -> None:
        """As ``Link``."""
        if self._transport:
            self._transport.write(content)

    def close(self) -> None:
        """As ``Link``; a terminal that takes nothing any more is not waited for."""
        if self._transport is None:
            return
        if self.waits_for_peer:
            self._transport.abort()
        else:
            self._transport.close()

    def abort(self) -> None:
        """Ends it at once."""
        if self._transport:
            self._transport.abort()


def _keep_alive(sock: socket.socket) -> None:
    """Mobile paths die silently: let the kernel find out."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 120)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
