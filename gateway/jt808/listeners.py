"""Listening sockets that let a whole fleet wait in the kernel until it is accepted.

The kernel lets as many calls wait at one listening socket as ``net.core.somaxconn`` says, 4,096 by default. It drops a
further call, whose caller tries again after a second, then two, then four. Accepting in time is not enough: a thousandth
of a second without the processor is forty calls. Several sockets that listen at one address have a queue each.
"""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

_SOMAXCONN: Final = Path("/proc/sys/net/core/somaxconn")
_BACKLOG: Final = 65_535
"""The backlog asked for; the kernel makes it smaller where it allows less."""
_MOST: Final = 16
_SPARE: Final = 1.25
"""The factor of spare room: the kernel spreads calls by a hash, not evenly."""


def listen(bound: socket.socket, *, waiting: int) -> list[socket.socket]:
    """Listen at the address of ``bound`` with room for this many calls at once, as far as the kernel has it.

    The first socket is a duplicate of ``bound``. Raises ``OSError`` where another program listens there already.
    """
    sockets = [bound.dup()]
    try:
        _keep_alive(bound)
        sockets += _same_address(bound, how_many(waiting) - 1)
        for each in sockets:
            each.setblocking(False)
            each.listen(_BACKLOG)
    except OSError:
        for each in sockets:
            each.close()
        raise
    return sockets


def how_many(waiting: int) -> int:
    """Return how many sockets together have room for this many calls."""
    if not hasattr(socket, "SO_REUSEPORT"):
        return 1
    try:
        of_one = int(_SOMAXCONN.read_text())
    except (OSError, ValueError):
        return 1  # Not Linux: there, several sockets share no calls.
    return max(1, min(_MOST, round(waiting * _SPARE / max(1, of_one) + 0.5)))


def _same_address(bound: socket.socket, count: int) -> list[socket.socket]:
    """Bind further sockets to the address of one that is bound and does not listen yet.

    It was bound without SO_REUSEPORT, so that a second service at the same port is refused; only then do they share.
    """
    others: list[socket.socket] = []
    with suppress(OSError):  # Fewer sockets will do.
        for _ in range(count):
            other = socket.socket(bound.family, bound.type, bound.proto)
            others.append(other)
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if bound.family == socket.AF_INET6:
                other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            other.bind(bound.getsockname())
            _keep_alive(other)
        for each in (bound, *others):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        return others
    log.info("the terminal port listens with one socket only")
    while others:
        others.pop().close()
    return others


def _keep_alive(listener: socket.socket) -> None:
    """Have the kernel find out about mobile paths that die silently. Every accepted socket inherits these options."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 120)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 30)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
