"""Carries a conversation over one socket."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from domain.networks import network_of
from gateway.jt808.poller import Poller
from gateway.jt808.session import Session

if TYPE_CHECKING:
    from gateway.jt808.server import Gateway

_NOBODY: Final = ("", 0)

HELD_BY_STORE: Final = 1
HELD_BY_PEER: Final = 2
HELD_FOR_GOOD: Final = 4
HELD_BY_OTHERS: Final = 8
"""A reason not to read: the terminal has said much at once, and others come first."""


class Connection(asyncio.Protocol):
    """An accepted socket and its conversation."""

    __slots__ = (
        "_behind",
        "_descriptor",
        "_gateway",
        "_held",
        "_newcomer",
        "_poller",
        "_transport",
        "began_at",
        "heard_at",
        "network",
        "session",
    )

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._transport: asyncio.Transport | None = None
        self._poller: Poller | None = None
        """The poller that reads, None where reading is left to the transport."""
        self._descriptor = -1
        self._held = 0
        """The reasons for which we don't read, as bits."""
        self._behind = False
        """True while the transport has answers that the kernel did not take at once: further ones go behind them."""
        self._newcomer = True
        """True until a terminal authenticates."""
        self.network = ""
        """The address that the connection counts for."""
        self.heard_at = gateway.exchange.tick
        self.began_at = asyncio.get_running_loop().time()
        self.session: Session | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the connection in, or turn it away."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.network = self.network or network_of((transport.get_extra_info("peername") or _NOBODY)[0])
        transport.set_write_buffer_limits(high=self._gateway.limits.write_buffer_high)
        if not self._gateway.admit(self):
            transport.abort()
            return
        self.session = Session(self._gateway.exchange, self)
        if self._gateway.newcomers is not None:
            transport.pause_reading()
            self._poller, self._descriptor = self._gateway.newcomers, transport.get_extra_info("socket").fileno()
            self._poller.watch(self._descriptor, self)

    def data_received(self, data: bytes) -> None:
        """Take in these bytes."""
        session = self.session
        if session is None or session.closed:
            return
        exchange = session.exchange
        exchange.bytes_in += len(data)
        self.heard_at = exchange.tick
        if len(data) > exchange.limits.much_at_once_bytes and not self._newcomer:
            self.hold(HELD_BY_OTHERS)
            self._gateway.turns.wait(self, data)
        else:
            self._take_in(session, data)

    def _take_in(self, session: Session, data: bytes) -> None:
        session.receive(data)
        if self._newcomer and session.seat is not None:
            self._settle()
        if not session.exchange.ingest.room():
            self._gateway.wait_for_room(self)

    def _settle(self) -> None:
        """Have the connection read among authenticated terminals, before all newcomers."""
        self._newcomer = False
        self._gateway.entrance.settled(self)
        if self._poller is not None:
            self._stop_reading()
            self._poller = self._gateway.poller
            if not self._held:
                self._read_on()

    def leave_to_asyncio(self) -> None:
        """Let the transport find what reading found besides bytes, and end in its own way."""
        self._stop_reading()
        self._poller = None
        if not self._held:
            self._read_on()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection, which has ended."""
        self._stop_reading()
        self._poller = None  # The descriptor may be another socket's from now on.
        self._transport = None
        self._gateway.forget(self)
        if self.session:
            self.session.lost()

    def pause_writing(self) -> None:
        """Take no messages while the terminal does not take our answers."""
        self.hold(HELD_BY_PEER)

    def resume_writing(self) -> None:
        """Take messages again."""
        self.release(HELD_BY_PEER)

    def hold(self, reason: int) -> None:
        """Stop reading."""
        if not self._held:
            self._stop_reading()
        self._held |= reason

    def release(self, reason: int) -> None:
        """Read again, if no other reason stands against it."""
        if not self._held & reason:
            return
        self._held &= ~reason
        self.heard_at = self._gateway.exchange.tick
        if not self._held:
            self._read_on()

    def have_turn(self, content: bytes) -> None:
        """Take in the bytes that were read before the others were heard, and read on."""
        session = self.session
        if session is not None and not session.closed and not self._held & HELD_FOR_GOOD:
            self._take_in(session, content)
        self.release(HELD_BY_OTHERS)

    def _stop_reading(self) -> None:
        if self._poller is not None:
            self._poller.forget(self._descriptor)
        elif self._transport and not self._transport.is_closing():
            self._transport.pause_reading()

    def _read_on(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._poller is not None:
            self._poller.watch(self._descriptor, self)
        else:
            self._transport.resume_reading()

    @property
    def waits_for_store(self) -> bool:
        """Tell whether the store keeps us from reading: then the terminal's silence is our doing."""
        return bool(self._held & HELD_BY_STORE)

    @property
    def waits_for_peer(self) -> bool:
        """Tell whether our answers pile up."""
        return bool(self._held & HELD_BY_PEER)

    @property
    def unsent_bytes(self) -> int:
        """Return the bytes of our answers that the kernel did not take yet."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    def write(self, content: bytes) -> None:
        """Write as in ``Link``, past the transport, which sees only the part that the kernel does not take.

        The transport's checks are a twentieth of a frame's cost.
        """
        if self._poller is not None and not self._behind:
            try:
                sent = os.write(self._descriptor, content)
            except OSError:
                sent = 0  # The transport finds the same error, and knows what to do.
            if sent == len(content):
                return
            content = content[sent:]
        transport = self._transport
        if transport is not None and not transport.is_closing():  # asyncio warns about each write to a lost connection.
            transport.write(content)
            self._behind = transport.get_write_buffer_size() > 0

    def close(self) -> None:
        """Close as in ``Link``; a terminal that no longer takes anything is not waited for."""
        if self._transport is None:
            return
        self._stop_reading()
        if self.waits_for_peer:
            self._transport.abort()
        else:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport:
            self._stop_reading()
            self._transport.abort()
