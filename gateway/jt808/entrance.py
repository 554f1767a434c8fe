"""Accepts connections, lets them in a few a turn, and limits them by address until they authenticate.

After a restart a whole fleet dials at once, often through one address (carrier NAT). Accepting is cheap, so hundreds are
accepted a turn; bringing a connection up is not, so accepted sockets stand in line by address. Each address has a limited
number of places for connections that have not authenticated. A terminal authenticates in milliseconds and its line moves
on. An idle stranger gives way after a few seconds when another connection waits for its place.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from domain.networks import network_of
from gateway.jt808.connection import Connection
from gateway.jt808.limits import TerminalLimits

log = logging.getLogger(__name__)

_ACCEPTED_A_TURN: Final = 500
"""Sockets accepted in a turn at each listening socket: a few milliseconds."""
_LEAVING_AT_ONCE: Final = 64
_LET_IN_A_TURN: Final = 32
"""Sockets brought up in a turn: some milliseconds."""
_AGAIN_S: Final = 1.0
"""Seconds until accepting is tried again after it failed, mostly for want of descriptors."""
_LOOKED_EVERY_S: Final = 0.25
"""Seconds, at most, between two looks for connections that must give way to waiting ones."""


@dataclass(slots=True)
class Door:
    """An address's connections that have not authenticated yet, oldest first, and its accepted sockets in line."""

    network: str
    newcomers: OrderedDict[Connection, None] = field(default_factory=OrderedDict)
    line: deque[socket.socket] = field(default_factory=deque)


class Entrance:
    """The connections of the port, and the lines of those to come; ``refused`` counts the ones that found no place."""

    def __init__(self, limits: TerminalLimits, refused: Counter[str], *, make: Callable[[], Connection]) -> None:
        self.connections: dict[Connection, None] = {}
        self.connections_total = 0
        self.in_line = 0
        self._limits = limits
        self._refused = refused
        self._make = make
        self._of_network: Counter[str] = Counter()
        """Counts connections and sockets in line by address."""
        self._newcomers: OrderedDict[Connection, Door] = OrderedDict()
        self._doors: dict[str, Door] = {}
        """The doors with newcomers or a line, by address."""
        self._moving: OrderedDict[str, Door] = OrderedDict()
        """Doors whose line has a place before it; each lets one in, then the next."""
        self._longest: Door | None = None
        self._lets_in = self._looks = False
        self._listeners: list[socket.socket] = []
        self._leaving: set[Connection] = set()
        """Connections shown out and not closed yet: their descriptors are still in use."""
        self._arriving: dict[asyncio.Task[object], Connection] = {}

    # Accepting

    def open(self, listeners: Sequence[socket.socket]) -> None:
        """Accept from these listening sockets, too."""
        self._listeners += listeners
        loop = asyncio.get_running_loop()
        for listener in listeners:
            loop.add_reader(listener.fileno(), self._accept, listener)

    def close(self) -> None:
        """Stop accepting, and hang up on the sockets in line."""
        loop = asyncio.get_running_loop()
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            loop.remove_reader(listener.fileno())
            listener.close()
        for door in list(self._doors.values()):
            while door.line:
                self._leave_line(door, door.line.popleft())
        self._moving.clear()

    def _accept(self, listener: socket.socket) -> None:
        try:
            for _ in range(_ACCEPTED_A_TURN):
                if len(self._leaving) >= _LEAVING_AT_ONCE:
                    return  # The rest waits in the kernel until the next turn.
                accepted, peer = listener.accept()
                self._line_up(accepted, network_of(peer[0]))
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            log.warning("connections can't be accepted for a moment: %s", error)
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener.fileno())
            loop.call_later(_AGAIN_S, self._accept_again, listener)

    def _accept_again(self, listener: socket.socket) -> None:
        if listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener.fileno(), self._accept, listener)

    def _line_up(self, accepted: socket.socket, network: str) -> None:
        self.connections_total += 1
        if not self._has_room(network):
            accepted.close()
            return
        door = self._door(network)
        door.line.append(accepted)
        self._of_network[network] += 1
        self.in_line += 1
        if self._longest is None or len(door.line) > len(self._longest.line):
            self._longest = door
        self._move(door)

    def _leave_line(self, door: Door, accepted: socket.socket) -> None:
        accepted.close()
        self.in_line -= 1
        self._leave(door.network)
        self._close_if_empty(door)

    # Room

    def _has_room(self, network: str) -> bool:
        if self._of_network[network] >= self._limits.max_connections_per_ip:
            self._refused["too_many_connections_per_ip"] += 1
            return False
        if len(self.connections) + self.in_line < self._limits.max_connections or self._make_room(network):
            return True
        self._refused["too_many_connections"] += 1
        return False

    def _make_room(self, network: str) -> bool:
        """Free one of the places, which are all taken: the oldest newcomer's, else the last in another address's longer line."""
        if self._newcomers and not self._stays_s(connection := next(iter(self._newcomers))):
            self._show_out(connection)
            return True
        if not self.in_line:
            return False
        own, longest = self._doors.get(network), self._longest
        if longest is None or not longest.line:
            longest = self._longest = max(self._doors.values(), key=lambda door: len(door.line))
        if longest is own or len(longest.line) <= 1 + (len(own.line) if own else 0):
            return False
        self._refused["too_many_connections"] += 1
        self._leave_line(longest, longest.line.pop())
        return True

    def _stays_s(self, connection: Connection) -> float:
        """Seconds that the connection may keep its place although others wait for it."""
        now = asyncio.get_running_loop().time()
        return max(0.0, connection.began_at + self._limits.unauthenticated_grace_s - now)

    def _show_out(self, connection: Connection) -> None:
        self._refused["gave_way"] += 1
        self._drop(connection)
        self._leaving.add(connection)
        connection.abort()

    # Letting in

    def _move(self, door: Door) -> None:
        """Let the line of a door go on where there is a place, else look later whether a newcomer gives way."""
        if not door.line:
            return
        if len(door.newcomers) < self._limits.max_unauthenticated_per_ip:
            self._moving[door.network] = door
            if not self._lets_in:
                self._lets_in = True
                asyncio.get_running_loop().call_soon(self._let_in)
        elif not self._looks:
            self._looks = True
            oldest = next(iter(door.newcomers))
            asyncio.get_running_loop().call_later(min(_LOOKED_EVERY_S, self._stays_s(oldest)), self._look)

    def _let_in(self) -> None:
        for _ in range(_LET_IN_A_TURN):
            if not self._moving:
                break
            _, door = self._moving.popitem(last=False)
            if door.line:
                self._let_in_from(door)
                self._move(door)
        self._lets_in = bool(self._moving)
        if self._lets_in:
            asyncio.get_running_loop().call_soon(self._let_in)

    def _let_in_from(self, door: Door) -> None:
        loop = asyncio.get_running_loop()
        accepted = door.line.popleft()
        self.in_line -= 1
        self._leave(door.network)
        connection = self._make()
        connection.network = door.network
        self._enter(connection, door)
        task = loop.create_task(loop.connect_accepted_socket(lambda: connection, accepted))
        self._arriving[task] = connection
        task.add_done_callback(self._arrived)

    def _arrived(self, task: asyncio.Task[object]) -> None:
        connection = self._arriving.pop(task)
        if task.cancelled() or task.exception() is not None:
            self.forget(connection)

    def _look(self) -> None:
        """Show out the newcomers that have stayed too long at doors where others wait."""
        self._looks = False
        for door in list(self._doors.values()):
            for connection in list(door.newcomers)[: len(door.line)]:
                if self._stays_s(connection):
                    break
                self._show_out(connection)
            self._move(door)

    # Coming and going

    def admit(self, connection: Connection) -> bool:
        """Tell whether a connection may stay: it was let in from a line, or asyncio accepted it and there is a place."""
        if connection in self.connections:
            return True
        if connection in self._leaving:
            return False
        self.connections_total += 1
        network = connection.network
        if not self._has_room(network):
            return False
        door = self._door(network)
        if len(door.newcomers) >= self._limits.max_unauthenticated_per_ip:
            oldest = next(iter(door.newcomers))
            if self._stays_s(oldest):
                self._refused["too_many_unauthenticated_per_ip"] += 1
                return False
            self._show_out(oldest)
        self._enter(connection, self._door(network))
        return True

    def _enter(self, connection: Connection, door: Door) -> None:
        self.connections[connection] = None
        self._of_network[door.network] += 1
        self._newcomers[connection] = door
        door.newcomers[connection] = None

    def settled(self, connection: Connection) -> None:
        """Give the place of a connection that has authenticated to the next in line."""
        door = self._newcomers.pop(connection, None)
        if door is not None:
            del door.newcomers[connection]
            self._move(door)
            self._close_if_empty(door)

    def forget(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._leaving.discard(connection)
        self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        if connection in self.connections:
            del self.connections[connection]
            self._leave(connection.network)
            self.settled(connection)

    def _door(self, network: str) -> Door:
        door = self._doors.get(network)
        if door is None:
            door = self._doors[network] = Door(network)
        return door

    def _close_if_empty(self, door: Door) -> None:
        if not door.newcomers and not door.line:
            self._doors.pop(door.network, None)
            self._moving.pop(door.network, None)

    def _leave(self, network: str) -> None:
        self._of_network[network] -= 1
        if not self._of_network[network]:
            del self._of_network[network]

    @property
    def unauthenticated(self) -> int:
        """Connections that have not authenticated yet, without those in line."""
        return len(self._newcomers)
