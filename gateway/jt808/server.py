"""The JT/T 808 server: its life, its sweeps of silent connections, commands to terminals, and its figures."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.jt808.codec import message_ids as ids
from gateway.jt808.codec.messages import Reply
from gateway.jt808.codec.parameters import Parameters
from gateway.jt808.connection import HELD_BY_STORE, HELD_FOR_GOOD, Connection
from gateway.jt808.entrance import Entrance
from gateway.jt808.exchange import Exchange
from gateway.jt808.limits import TerminalLimits
from gateway.jt808.listeners import listen
from gateway.jt808.poller import Poller, can_poll
from gateway.jt808.ports import Ingest, Terminals
from gateway.jt808.session import Session
from gateway.jt808.turns import Turns

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
    """The terminal is not connected now."""


class CommandRefused(Exception):
    """The terminal did not carry out the command; ``result`` is its 0x0001's."""

    def __init__(self, result: int) -> None:
        super().__init__(f"result {result}")
        self.result = result


@dataclass(frozen=True, slots=True)
class GatewayStats:
    """The gateway at one moment; the totals count since it started."""

    connections: int
    unauthenticated: int
    """Connections, of all these, that have not authenticated yet."""
    in_line: int
    """Accepted sockets that wait for a place among the unauthenticated ones."""
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
    turns_cut_short_total: int
    """Turns of the event loop in which terminals had more to say than the budget of a turn allows."""
    refused: Mapping[str, int]
    deviations: Mapping[str, int]


class Gateway:
    """The JT/T 808 server. ``now`` is the clock that terminals may ask for the time; sockets live by real time."""

    def __init__(
        self, *, terminals: Terminals, ingest: Ingest, now: Callable[[], float], limits: TerminalLimits | None = None
    ) -> None:
        self.limits = limits or TerminalLimits()
        self.exchange = Exchange(
            terminals=terminals,
            ingest=ingest,
            limits=self.limits,
            now=now,
            soon=lambda work: asyncio.get_running_loop().call_soon(work),
        )
        self.turns = Turns(self.exchange)
        self._refused: Counter[str] = Counter()
        self.entrance = Entrance(self.limits, self._refused, make=lambda: Connection(self))
        self.poller: Poller | None = None
        """The poller that reads authenticated terminals; None where that is left to asyncio."""
        self.newcomers: Poller | None = None
        """The poller that reads connections that have not authenticated yet."""
        self._waiting_for_room: list[Connection] = []
        self._server: asyncio.Server | None = None
        self._stopping = False
        self._sweeper: asyncio.Task[None] | None = None

    # Life

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port, which is a free one for 0."""
        loop = asyncio.get_running_loop()
        self.exchange.tick = loop.time()
        polls = can_poll(loop)
        self._server = await loop.create_server(lambda: Connection(self), host, port, start_serving=not polls)
        if polls:
            self._read_ourselves(loop, self._server)
        self._sweeper = asyncio.create_task(self._sweep_for_ever(), name="jt808 sweeper")
        port_taken: int = self._server.sockets[0].getsockname()[1]
        return port_taken

    def _read_ourselves(self, loop: asyncio.AbstractEventLoop, server: asyncio.Server) -> None:
        try:
            for bound in server.sockets:
                self.entrance.open(listen(bound, waiting=self.limits.max_connections))
        except OSError:
            self.entrance.close()
            server.close()
            raise
        self.poller = Poller(loop, budget_s=self.limits.turn_budget_s)
        self.newcomers = Poller(loop, budget_s=self.limits.newcomers_budget_s)

    async def stop(self, *, patience_s: float = 5.0) -> None:
        """Stop accepting and reading, wait until the reports taken in are acknowledged, then close everything."""
        if self._server is None:
            return
        self._stopping = True
        self._server.close()
        self.entrance.close()
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
        for poller in (self.poller, self.newcomers):
            if poller is not None:
                poller.close()
        self._server = None

    async def _until(self, reached: Callable[[], bool], patience_s: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience_s
        while not reached() and loop.time() < deadline:  # noqa: ASYNC110 - once in a life; an event would tax each fix
            await asyncio.sleep(0.01)

    # Connections

    @property
    def connections(self) -> Mapping[Connection, None]:
        """Return the connections that were let in and have not ended."""
        return self.entrance.connections

    def admit(self, connection: Connection) -> bool:
        """Tell whether the connection may stay."""
        return not self._stopping and self.entrance.admit(connection)

    def forget(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self.turns.forget(connection)
        self.entrance.forget(connection)

    def wait_for_room(self, connection: Connection) -> None:
        """Stop reading from the connection until the ingest has room."""
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

    async def ask(
        self, terminal: str, message_id: int, body: bytes = b"", *, answer_follows: bool = False
    ) -> Parameters | Reply:
        """Send a command to a terminal and wait for its answer.

        The terminal's general reply is the answer, unless another ``answer_follows`` a reply of "done". Raises
        ``TerminalNotConnected``, ``CommandRefused``, ``TooManyQuestions``, and ``TimeoutError`` after 15 seconds.
        """
        session = self.exchange.session_of(terminal)
        if session is None:
            raise TerminalNotConnected
        answered: asyncio.Future[Parameters | Reply] = asyncio.get_running_loop().create_future()

        def heard(answer: Parameters | Reply | None) -> bool:
            if answer_follows and isinstance(answer, Reply) and answer.result == ids.RESULT_OK:
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
        """Return the session through which this terminal speaks, None without one."""
        return self.exchange.session_of(terminal)

    def stats(self) -> GatewayStats:
        """Return all that is counted."""
        exchange = self.exchange
        deviations = exchange.deviations.counts()
        refused = {kind: deviations[kind] for kind in _REFUSALS if kind in deviations}
        return GatewayStats(
            connections=len(self.connections),
            unauthenticated=self.entrance.unauthenticated,
            in_line=self.entrance.in_line,
            authenticated=exchange.authenticated,
            connections_total=self.entrance.connections_total,
            frames_total=exchange.frames,
            acks_total=exchange.acks,
            bytes_in_total=exchange.bytes_in,
            bytes_out_total=exchange.bytes_out,
            takeovers_total=exchange.takeovers,
            in_flight=exchange.in_flight,
            not_stored_total=exchange.not_stored,
            turns_cut_short_total=sum(poller.cut_short for poller in (self.poller, self.newcomers) if poller),
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
