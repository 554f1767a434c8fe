"""Reads thousands of sockets with the least work between the kernel and the gateway.

asyncio makes a key, a handle and four calls for each socket that has something to say; that is a tenth of a frame's way.
Here they all stand in one ``epoll`` of their own, which the event loop watches as a single descriptor. Only bytes that
have come are taken this way: ends and failures stay with asyncio's transport, which is paused meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.jt808.connection import Connection

log = logging.getLogger(__name__)

READ_AT_ONCE_BYTES: Final = 4_096
_SOCKETS_A_TURN: Final = 256
"""The kernel's list goes round: a socket that was not reached comes first in the next turn."""


def can_poll(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether there is ``epoll``, and the loop has descriptors; asyncio reads otherwise."""
    return hasattr(select, "epoll") and isinstance(loop, asyncio.SelectorEventLoop)


class Poller:
    """Reads for connections whose transports are paused, and works for at most ``budget_s`` a turn of the event loop.

    A turn that runs out of budget keeps what it has read, and goes on with that in the next turn before it reads more.
    So every connection is heard in the order of its reading, and everything else in the loop gets its turn in between.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, budget_s: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self.cut_short = 0
        """Turns that ran out of budget."""
        self._loop = loop
        self._budget_s = budget_s
        self._clock = clock
        self._epoll = select.epoll()
        self._watched: dict[int, Connection] = {}
        self._heard: deque[tuple[Connection, bytes]] = deque()
        loop.add_reader(self._epoll.fileno(), self._turn)

    def watch(self, descriptor: int, connection: Connection) -> None:
        """Read this socket."""
        self._watched[descriptor] = connection
        self._epoll.register(descriptor, select.EPOLLIN)

    def forget(self, descriptor: int) -> None:
        """Stop reading a socket; called before it is closed."""
        if self._watched.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def close(self) -> None:
        """Stop reading, and drop what was read and not taken in."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._watched.clear()
        self._heard.clear()

    def _turn(self) -> None:
        """Read all ready sockets once, then take in what they said: the kernel's code and ours displace each other in the caches."""
        if self._heard:
            return  # The work of the last turn goes on.
        watched, heard, read = self._watched, self._heard, os.read
        for descriptor, _ in self._epoll.poll(0, _SOCKETS_A_TURN):
            try:
                content = read(descriptor, READ_AT_ONCE_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                content = b""
            heard.append((watched[descriptor], content))
        self._take_in()

    def _take_in(self) -> None:
        heard, clock = self._heard, self._clock
        until = clock() + self._budget_s
        while heard:
            connection, content = heard.popleft()
            if not content:
                connection.leave_to_asyncio()
                continue
            try:
                connection.data_received(content)
            except Exception:
                log.exception("a connection's bytes can't be taken; it is ended")
                connection.abort()
            if heard and clock() >= until:
                self.cut_short += 1
                self._loop.call_soon(self._take_in)
                return
