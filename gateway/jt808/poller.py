"""How are thousands of sockets read with the least work between the kernel and us?

asyncio makes a key, a handle and four calls of each socket that has something to say; that is a tenth of a frame's way.
Here they all stand in one ``epoll`` of their own, which the event loop watches as a single descriptor. Only bytes that
have come are taken this way: ends and failures stay with asyncio's transport, which is paused meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from gateway.jt808.connection import Connection

log = logging.getLogger(__name__)

READ_AT_ONCE_BYTES: Final = 4_096
_SOCKETS_A_TURN: Final = 256
"""The kernel's list goes round: who was not reached comes first in the next turn."""


class Poller:
    """Reads for connections whose transports are paused."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._watched: dict[int, Connection] = {}
        loop.add_reader(self._epoll.fileno(), self._turn)

    @classmethod
    def of_running_loop(cls) -> Self | None:
        """None where there is no ``epoll``, or a loop without descriptors: asyncio reads there."""
        loop = asyncio.get_running_loop()
        if hasattr(select, "epoll") and isinstance(loop, asyncio.SelectorEventLoop):
            return cls(loop)
        return None

    def watch(self, descriptor: int, connection: Connection) -> None:
        """Reads from now on."""
        self._watched[descriptor] = connection
        self._epoll.register(descriptor, select.EPOLLIN)

    def forget(self, descriptor: int) -> None:
        """Reads no more; to be told before the socket is closed."""
        if self._watched.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def close(self) -> None:
        """Nobody is read any more."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._watched.clear()

    def _turn(self) -> None:
        """One read of each that has something, and then what they said: the kernel's code and ours displace each other."""
        watched, read = self._watched, os.read
        heard: list[tuple[Connection, bytes]] = []
        for descriptor, _ in self._epoll.poll(0, _SOCKETS_A_TURN):
            try:
                content = read(descriptor, READ_AT_ONCE_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                content = b""
            heard.append((watched[descriptor], content))
        for connection, content in heard:
            if not content:
                connection.leave_to_asyncio()
                continue
            try:
                connection.data_received(content)
            except Exception:
                log.exception("a connection's bytes can't be taken; it is ended")
                connection.abort()
