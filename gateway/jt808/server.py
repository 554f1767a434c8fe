"""How do thousands of terminals reach us over TCP, and what do we know about them all?"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.jt808 import message_ids as ids
from gateway.jt808.connection import HELD_BY_STORE, HELD_FOR_GOOD, Connection
from gateway.jt808.exchange import Exchange
from gateway.jt808.limits import Limits
from gateway.jt808.messages import Reply
from gateway.jt808.parameters import Item, Parameters, encode_parameter_query, encode_parameters
from gateway.jt808.poller import Poller
from gateway.jt808.ports import Ingest, Terminals
from gateway.jt808.session import Session
from gateway.jt808.turns import Turns

_BACKLOG: Final = 4096
_ACCEPTED_A_TURN: Final = 1
"""Where no descriptor is left, asyncio tries again in a second: as many times at once as it may accept in a turn."""
_ACCEPTED_BESIDE: Final = 31
"""So we take more ourselves when it has accepted one: after a restart a whole fleet comes, and turns are long then."""
_SWEPT_AT_ONCE: Final = 1000
_ANSWER_TIMEOUT_S: Final = 15.0
_REFUSALS: Final = (
    "bad_auth_code",
    "encrypted",
    "too_many_refused_frames",
    "unauthenticated",
    "unknown_message",
    "unregistered",
)


class TerminalNotConnected(Exception):
    """Nobody speaks for this terminal now."""


class CommandRefused(Exception):
    """The terminal did not do what it was told; ``result`` is its 0x0001's."""

    def __init__(self, result: int) -> None:
        super().__init__(f"result {result}")
        self.result = result


@dataclass(frozen=True, slots=True)
class GatewayStats:
    """The gateway at one moment; the totals since it started."""

    connections: int
    authenticated: int
    """Terminals, of which several may share a connection."""
    connections_total: int
    frames_total: int
    acks_total: int
    bytes_in_total: int
    bytes_out_total: int
    takeovers_total: int
    in_flight: int
    """Reports, and submissions of several, that are not durable yet."""
    not_stored_total: int
    """Reports that we did not acknowledge because the store failed."""
    refused: Mapping[str, int]
    deviations: Mapping[str, int]


class Gateway:
    """The JT/T 808 server. ``now`` is the clock that terminals may ask for the time; sockets live by real time."""

    def __init__(
        self, *, terminals: Terminals, ingest: Ingest, now: Callable[[], float], limits: Limits | None = None
    ) -> None:
        self.limits = limits or Limits()
        self.exchange = Exchange(
            terminals=terminals,
            ingest=ingest,
            limits=self.limits,
            now=now,
            soon=lambda work: asyncio.get_running_loop().call_soon(work),
        )
        self.turns = Turns(self.exchange)
        self.poller: Poller | None = None
        self.connections: dict[Connection, None] = {}
        self._by_ip: Counter[str] = Counter()
        self._waiting_for_room: list[Connection] = []
        self._refused: Counter[str] = Counter()
        self._connections_total = 0
        self._server: asyncio.Server | None = None
        self._listeners: list[socket.socket] = []
        """The server's, once more, to accept from; none where the loop has no descriptors."""
        self._accepting: set[asyncio.Task[object]] = set()
        self._sweeper: asyncio.Task[None] | None = None

    # Life

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port, which is a free one for 0."""
        loop = asyncio.get_running_loop()
        self.exchange.tick = loop.time()
        self.poller = Poller.of_running_loop()
        self._server = await loop.create_server(self._welcome, host, port, backlog=_ACCEPTED_A_TURN)
        self._listen()
        if self.poller is not None:
            self._listeners = [listener.dup() for listener in self._server.sockets]
        self._sweeper = asyncio.create_task(self._sweep_for_ever(), name="jt808 sweeper")
        port_taken: int = self._server.sockets[0].getsockname()[1]
        return port_taken

    def _welcome(self) -> Connection:
        """Whom asyncio has accepted; where one came, more may wait."""
        for listener in self._listeners:
            try:
                for _ in range(_ACCEPTED_BESIDE):
                    self._accept(listener.accept()[0])
            except OSError:
                continue  # nobody else, or no descriptor left: asyncio knows what to do then
        return Connection(self)

    def _accept(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        accepted.setblocking(False)
        task = loop.create_task(loop.connect_accepted_socket(lambda: Connection(self), accepted))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    def _listen(self) -> None:
        """asyncio would let no more wait than it accepts in a turn. Again and again: so it does after a lack of descriptors."""
        for listener in self._server.sockets if self._server else ():
            try:
                with listener.dup() as same:
                    same.listen(_BACKLOG)
            except OSError:
                pass  # none left for this either

    async def stop(self, *, patience_s: float = 5.0) -> None:
        """Accepts and reads nothing more, lets what was taken in be acknowledged, then closes everything."""
        if self._server is None:
            return
        self._server.close()
        while self._listeners:
            self._listeners.pop().close()
        if self._sweeper:
            self._sweeper.cancel()
        for connection in self.connections:
            connection.hold(HELD_FOR_GOOD)
        await self._until(lambda: self.exchange.in_flight == 0, patience_s)
        for connection in list(self.connections):
            if connection.session:
                connection.session.close()
        await self._until(lambda: not self.connections, patience_s)
        for connection in list(self.connections):
            connection.abort()
        await self._until(lambda: not self.connections, patience_s)
        if self.poller is not None:
            self.poller.close()
        self._server = None

    async def _until(self, reached: Callable[[], bool], patience_s: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience_s
        while not reached() and loop.time() < deadline:  # noqa: ASYNC110 - once in a life; an event would tax each fix
            await asyncio.sleep(0.01)

    # Connections

    def admit(self, connection: Connection) -> bool:
        """Whether there is room for one more."""
        self._connections_total += 1
        if self._server is None or not self._server.is_serving():
            return False
        if len(self.connections) >= self.limits.max_connections:
            self._refused["too_many_connections"] += 1
            return False
        if self._by_ip[connection.ip] >= self.limits.max_connections_per_ip:
            self._refused["too_many_connections_per_ip"] += 1
            return False
        self.connections[connection] = None
        self._by_ip[connection.ip] += 1
        return True

    def forget(self, connection: Connection) -> None:
        """It has ended."""
        if connection not in self.connections:
            return
        del self.connections[connection]
        self.turns.forget(connection)
        self._by_ip[connection.ip] -= 1
        if not self._by_ip[connection.ip]:
            del self._by_ip[connection.ip]

    def wait_for_room(self, connection: Connection) -> None:
        """Reads no more from it until the ingest has room."""
        connection.hold(HELD_BY_STORE)
        if not self._waiting_for_room:
            self.exchange.ingest.on_room(self._room_again)
        self._waiting_for_room.append(connection)

    def _room_again(self) -> None:
        waiting, self._waiting_for_room = self._waiting_for_room, []
        for connection in waiting:
            connection.release(HELD_BY_STORE)

    # Silence

    async def _sweep_for_ever(self) -> None:
        limits = self.limits
        pause_s = min(5.0, limits.handshake_timeout_s / 4, limits.idle_timeout_s / 4, limits.split_patience_s / 2)
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(pause_s)
            self.exchange.tick = loop.time()
            self._listen()
            for number, connection in enumerate(list(self.connections)):
                self._sweep(connection, self.exchange.tick)
                if number % _SWEPT_AT_ONCE == 0:
                    await asyncio.sleep(0)

    def _sweep(self, connection: Connection, now: float) -> None:
        session = connection.session
        if session is None or connection.waits_for_store:
            return
        if session.closed:
            connection.abort()
        elif now - connection.heard_at > self.limits.idle_timeout_s:
            self._refused["idle_timeout"] += 1
            connection.abort()
        elif not session.terminal and now - connection.began_at > self.limits.handshake_timeout_s:
            self._refused["handshake_timeout"] += 1
            connection.abort()
        else:
            session.sweep(now)

    # Commands

    async def query_parameters(self, terminal: str, parameter_ids: Sequence[int] = ()) -> Sequence[Item]:
        """These parameters of a terminal, all without ids; as told, so that a repeated id loses nothing."""
        message_id = ids.QUERY_PARAMETERS if parameter_ids else ids.QUERY_ALL_PARAMETERS
        body = encode_parameter_query(parameter_ids) if parameter_ids else b""
        answer = await self._ask(terminal, message_id, body)
        return answer.items if isinstance(answer, Parameters) else ()

    async def set_parameters(self, terminal: str, items: Collection[Item]) -> None:
        """Sets these parameters, or raises ``CommandRefused``."""
        await self._ask(terminal, ids.SET_PARAMETERS, encode_parameters(items))

    async def _ask(self, terminal: str, message_id: int, body: bytes) -> Parameters | Reply:
        session = self.exchange.session_of(terminal)
        if session is None:
            raise TerminalNotConnected
        answered: asyncio.Future[Parameters | Reply] = asyncio.get_running_loop().create_future()

        def heard(answer: Parameters | Reply | None) -> bool:
            """A plain 'done' is no answer to a question."""
            if isinstance(answer, Reply) and answer.result == ids.RESULT_OK and message_id != ids.SET_PARAMETERS:
                return False
            if not answered.done():
                _settle(answered, answer)
            return True

        session.ask(terminal, message_id, body, heard)
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                return await answered
        finally:
            session.forget(heard)

    def session_of(self, terminal: str) -> Session | None:
        """Where this terminal speaks, if it does."""
        return self.exchange.session_of(terminal)

    def stats(self) -> GatewayStats:
        """Everything that is counted."""
        exchange = self.exchange
        deviations = exchange.deviations.counts()
        refused = {kind: deviations[kind] for kind in _REFUSALS if kind in deviations}
        return GatewayStats(
            connections=len(self.connections),
            authenticated=exchange.authenticated,
            connections_total=self._connections_total,
            frames_total=exchange.frames,
            acks_total=exchange.acks,
            bytes_in_total=exchange.bytes_in,
            bytes_out_total=exchange.bytes_out,
            takeovers_total=exchange.takeovers,
            in_flight=exchange.in_flight,
            not_stored_total=exchange.not_stored,
            refused=refused | {kind: count for kind, count in self._refused.items() if count},
            deviations=deviations,
        )


def _settle(answered: asyncio.Future[Parameters | Reply], answer: Parameters | Reply | None) -> None:
    if answer is None:
        answered.set_exception(TerminalNotConnected())
    elif isinstance(answer, Reply) and answer.result != ids.RESULT_OK:
        answered.set_exception(CommandRefused(answer.result))
    else:
        answered.set_result(answer)
