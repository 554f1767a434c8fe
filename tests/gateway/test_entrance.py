"""A fleet that dials at once gets in, also behind one address and among strangers, and no place is held in vain."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from commands.process import allow_many_sockets
from gateway.jt808 import server
from gateway.jt808.codec import message_ids as ids
from gateway.jt808.connection import Connection
from gateway.jt808.entrance import Entrance
from gateway.jt808.limits import TerminalLimits
from tests.gateway.neighbours import Client, Terminal, results
from tests.gateway.test_server import running

HERE, ELSEWHERE = "127.0.0.1", "127.0.0.9"
FEW = TerminalLimits(max_unauthenticated_per_ip=4, unauthenticated_grace_s=3_600.0)
"""Limits under which no connection gives way."""
IMPATIENT = replace(FEW, unauthenticated_grace_s=0.0)
"""Limits under which a connection gives way as soon as another waits for its place."""


@pytest.fixture(autouse=True)
def _many_sockets() -> None:
    allow_many_sockets()


async def caller(port: int, number: int = 0, *, at: str = HERE) -> Client:
    """A connection of a terminal that is registered, from this address."""
    reader, writer = await asyncio.open_connection(HERE, port, local_addr=(at, 0))
    return Client(reader, writer, Terminal(f"1360000{number:04}"))


@asynccontextmanager
async def callers(port: int, count: int, *, at: str = HERE, first: int = 0) -> AsyncIterator[list[Client]]:
    async with AsyncExitStack() as leaving:
        made = []
        for number in range(first, first + count):
            made.append(await caller(port, number, at=at))
            leaving.push_async_callback(made[-1].leaves)
        yield made


async def authenticated(clients: list[Client]) -> list[int]:
    """Authenticate all clients at once, and return the answers."""
    for client in clients:
        client.writer.write(client.terminal.authenticates())
    return [result for client in clients for _, _, result in results([await client.hears()])]


async def until(reached: Callable[[], bool], *, meanwhile: Callable[[], None] = lambda: None) -> None:
    while not reached():
        meanwhile()
        await asyncio.sleep(0)


@pytest.mark.parametrize("reads", ["epoll", "asyncio"])
async def test_idle_strangers_give_way_to_those_who_authenticate(reads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "can_poll", lambda loop: reads == "epoll")
    async with running(IMPATIENT) as (gateway, port, _), callers(port, 40, first=100):
        for number in range(20):
            async with callers(port, 1, first=number) as honest:
                assert await authenticated(honest) == [ids.RESULT_OK]
        await until(lambda: gateway.stats().connections <= 4)
        assert gateway.stats().refused["gave_way"] >= 36


async def test_where_asyncio_accepts_and_nobody_gives_way_one_too_many_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "can_poll", lambda loop: False)
    async with running(FEW) as (gateway, port, _), callers(port, 4), callers(port, 1, first=4) as late:
        assert await late[0].is_hung_up_on()
        assert gateway.stats().refused == {"too_many_unauthenticated_per_ip": 1}


async def test_a_fleet_behind_one_address_gets_in_through_few_places() -> None:
    async with running(FEW) as (gateway, port, _), callers(port, 200) as fleet:
        assert await authenticated(fleet) == [ids.RESULT_OK] * 200
        stats = gateway.stats()
        assert (stats.authenticated, stats.unauthenticated, stats.in_line, stats.refused) == (200, 0, 0, {})


async def test_a_fleet_gets_in_among_idle_strangers_of_the_same_address_and_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.jt808.entrance._LOOKED_EVERY_S", 0.0)
    async with running(FEW) as (gateway, port, _), callers(port, 100, first=500) as strangers:
        ports = {stranger.writer.get_extra_info("sockname")[1] for stranger in strangers}

        def hours_pass() -> None:
            for connection in gateway.connections:
                if port_of(connection) in ports:
                    connection.began_at = -7_200.0

        async with callers(port, 100) as fleet:
            for client in fleet:
                client.writer.write(client.terminal.authenticates())
            await until(lambda: gateway.stats().authenticated == 100, meanwhile=hours_pass)
            assert gateway.stats().refused == {"gave_way": 100}
            for client in fleet:
                assert results([await client.hears()])[0][2] == ids.RESULT_OK
                assert results([await client.asks(client.terminal.reports())])[0][2] == ids.RESULT_OK


def port_of(connection: Connection) -> int:
    """Return the other end's port; 0 while asyncio still sets the connection up."""
    transport = cast(Any, connection)._transport
    return int(transport.get_extra_info("peername")[1]) if transport else 0


async def test_whoever_finds_all_places_of_its_address_taken_waits_in_line_and_follows_on() -> None:
    async with running(FEW) as (gateway, port, _), callers(port, 4, first=100) as strangers:
        await until(lambda: gateway.stats().unauthenticated == 4)
        async with callers(port, 1) as (honest,):
            honest.writer.write(honest.terminal.authenticates())
            await until(lambda: gateway.stats().in_line == 1)
            assert gateway.stats().authenticated == 0
            await strangers[0].leaves()
            assert results([await honest.hears()])[0][2] == ids.RESULT_OK
            assert gateway.stats().refused == {}


async def test_a_line_behind_one_address_holds_up_no_other() -> None:
    async with running(FEW) as (gateway, port, _), callers(port, 50):
        await until(lambda: gateway.stats().in_line == 46)
        async with callers(port, 1, at=ELSEWHERE, first=100) as (honest,):
            assert await authenticated([honest]) == [ids.RESULT_OK]


async def test_where_all_places_are_taken_the_longest_line_gives_way_to_another_address() -> None:
    async with running(replace(FEW, max_connections=20)) as (gateway, port, _), callers(port, 20) as crowd:
        await until(lambda: gateway.stats().in_line == 16)
        async with callers(port, 1, at=ELSEWHERE, first=100) as (honest,):
            assert await authenticated([honest]) == [ids.RESULT_OK]
            assert await crowd[-1].is_hung_up_on(), "who came last goes first"
            assert gateway.stats().refused == {"too_many_connections": 1}


async def test_where_all_places_are_taken_the_oldest_that_has_not_authenticated_gives_way() -> None:
    limits = replace(IMPATIENT, max_connections=3)
    async with (
        running(limits) as (gateway, port, _),
        callers(port, 1, at=ELSEWHERE) as known,
        callers(port, 2, first=1),
    ):
        assert await authenticated(known) == [ids.RESULT_OK]
        await until(lambda: len(gateway.connections) == 3)
        async with callers(port, 1, at=ELSEWHERE, first=100) as (honest,):
            assert await authenticated([honest]) == [ids.RESULT_OK]
            assert results([await known[0].asks(known[0].terminal.reports())])[0][2] == ids.RESULT_OK
            assert gateway.stats().refused == {"gave_way": 1}


async def test_authenticated_terminals_give_way_to_nobody() -> None:
    async with (
        running(replace(IMPATIENT, max_connections=5, max_unauthenticated_per_ip=5)) as (gateway, port, _),
        callers(port, 5) as fleet,
    ):
        assert await authenticated(fleet) == [ids.RESULT_OK] * 5
        async with callers(port, 3, first=100) as others:
            assert all([await other.is_hung_up_on() for other in others])
        assert gateway.stats().refused == {"too_many_connections": 3}
        assert gateway.stats().authenticated == 5


async def test_all_who_wait_in_the_kernel_are_accepted_in_a_few_turns() -> None:
    """A queue that is full makes callers try again only after seconds."""
    async with running() as (gateway, port, _):
        fleet = [socket.create_connection((HERE, port)) for _ in range(1_500)]
        turns = 0
        while (stats := gateway.stats()).connections + stats.in_line < 1_500:
            await asyncio.sleep(0)
            turns += 1
        assert turns <= 4
        for terminal in fleet:
            terminal.close()


async def test_a_gateway_that_stops_hangs_up_on_those_in_line_too() -> None:
    async with running(FEW) as (gateway, port, _), callers(port, 10) as crowd:
        await until(lambda: gateway.stats().in_line == 6)
        await gateway.stop()
        assert all([await client.is_hung_up_on() for client in crowd])
        assert (gateway.stats().connections, gateway.stats().in_line) == (0, 0)


async def test_a_terminal_whose_path_has_died_is_looked_for_by_the_kernel() -> None:
    async with running() as (gateway, port, _), callers(port, 1) as clients:
        await authenticated(clients)
        (connection,) = gateway.connections
        transport = cast(Any, connection)._transport
        assert transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


@dataclass
class Listener:
    """A listening socket that has an error to tell before it accepts."""

    real: socket.socket
    errors: list[OSError] = field(default_factory=lambda: [OSError(errno.EMFILE, "no descriptor left")])

    def accept(self) -> tuple[socket.socket, Any]:
        if self.errors:
            raise self.errors.pop()
        return self.real.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


async def test_after_a_lack_of_descriptors_it_accepts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.jt808.entrance._AGAIN_S", 0.0)
    async with running() as (gateway, _, _shelf):
        refused: Counter[str] = Counter()
        entrance = Entrance(TerminalLimits(), refused, make=lambda: Connection(gateway))
        with socket.socket() as real:
            real.bind((HERE, 0))
            real.listen()
            real.setblocking(False)
            entrance.open([cast(socket.socket, Listener(real))])
            with socket.create_connection(real.getsockname()):
                await until(lambda: entrance.connections_total == 1)
            entrance.close()
