"""Tests of the gateway's promises on real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import replace

import pytest
import pytest_asyncio

from gateway.jt808.codec import message_ids as ids
from gateway.jt808.codec.frames import FLAG, Frame, FrameReader, decode
from gateway.jt808.codec.messages import Reply
from gateway.jt808.codec.parameters import Parameters, encode_parameter_answer
from gateway.jt808.limits import TerminalLimits
from gateway.jt808.poller import READ_AT_ONCE_BYTES
from gateway.jt808.server import CommandRefused, Gateway, TerminalNotConnected
from tests.gateway.neighbours import (
    MUTE_PHONE,
    NOON,
    NOW,
    OTHER_PHONE,
    PHONE,
    REGISTRATION,
    STRANGER,
    Client,
    Registry,
    Shelf,
    Terminal,
    location,
    results,
)
from tests.gateway.talk import QUERY, TEXT

OK, FAILED, BAD, UNSUPPORTED = range(4)
HASTY = TerminalLimits(idle_timeout_s=0.2, handshake_timeout_s=0.1, split_patience_s=0.1)


@asynccontextmanager
async def running(
    limits: TerminalLimits | None = None, shelf: Shelf | None = None
) -> AsyncIterator[tuple[Gateway, int, Shelf]]:
    shelf = shelf or Shelf(at_once=True)
    gateway = Gateway(terminals=Registry(), ingest=shelf, now=lambda: NOW, limits=limits)
    port = await gateway.start("127.0.0.1", 0)
    try:
        yield gateway, port, shelf
    finally:
        shelf.settle()
        await gateway.stop()


Connect = Callable[..., Awaitable[Client]]


@pytest_asyncio.fixture
async def connect() -> AsyncIterator[Connect]:
    """Makes clients, and sees them off."""
    clients: list[Client] = []

    async def client(port: int, phone: str = PHONE, version: int | None = None) -> Client:
        clients.append(await Client.connect(port, phone, version))
        return clients[-1]

    yield client
    for each in clients:
        await each.leaves()


async def test_a_terminal_registers_authenticates_reports_and_is_counted(connect: Connect) -> None:
    async with running() as (gateway, port, shelf):
        client = await connect(port)
        await client.signs_on()
        assert results([await client.asks(client.terminal.reports())]) == [(2, ids.LOCATION, OK)]
        assert [(fix.terminal, fix.fixed_at) for fix in shelf.fixes] == [(PHONE, NOON)]
        stats = gateway.stats()
        assert (stats.connections, stats.authenticated, stats.frames_total, stats.acks_total) == (1, 1, 3, 2)
        assert stats.bytes_in_total > 0 < stats.bytes_out_total
        assert stats.refused == {}


async def test_a_frame_may_come_byte_by_byte(connect: Connect) -> None:
    async with running() as (_, port, shelf):
        client = await connect(port, version=1)
        for byte in client.terminal.authenticates() + client.terminal.reports():
            client.writer.write(bytes((byte,)))
            await client.writer.drain()
        assert [results([await client.hears()])[0][2] for _ in range(2)] == [OK, OK]
        assert len(shelf.fixes) == 1


async def test_strangers_are_refused_and_counted(connect: Connect) -> None:
    async with running() as (gateway, port, shelf):
        client = await connect(port, STRANGER)
        assert results([await client.asks(client.terminal.reports())]) == [(0, ids.LOCATION, FAILED)]
        assert gateway.stats().refused == {"unregistered": 1}
        assert shelf.fixes == []


async def test_garbage_is_survived_and_counted(connect: Connect) -> None:
    async with running() as (gateway, port, _):
        client = await connect(port)
        garbage = b"\0noise\x7ebad frame that fails\x7e" + b"\x7e" + bytes(1 << 20)
        answer = await client.asks(garbage + client.terminal.authenticates())
        assert results([answer]) == [(0, ids.AUTHENTICATE, OK)]
        assert {"noise", "bad_checksum", "oversized"} <= gateway.stats().deviations.keys()


async def test_a_crawler_is_hung_up_on(connect: Connect) -> None:
    async with running() as (gateway, port, _):
        client = await connect(port)
        client.writer.write(b"GET /robots.txt HTTP/1.1\r\n\r\n")
        assert await client.is_hung_up_on()
        assert gateway.stats().deviations == {"not_jt808": 1}


async def test_a_terminal_that_reconnects_takes_over_its_old_connection(connect: Connect) -> None:
    async with running() as (gateway, port, _):
        old = await connect(port)
        await old.signs_on()
        new = await connect(port)
        await new.signs_on()
        assert await old.is_hung_up_on()
        assert results([await new.asks(new.terminal.reports())])[0][2] == OK
        stats = gateway.stats()
        assert (stats.takeovers_total, stats.authenticated) == (1, 1)


async def test_whoever_says_nothing_is_hung_up_on(connect: Connect) -> None:
    async with running(replace(HASTY, idle_timeout_s=60)) as (gateway, port, _):
        silent = await connect(port)
        assert await silent.is_hung_up_on()
        assert gateway.stats().refused == {"handshake_timeout": 1}
        assert gateway.stats().connections == 0


async def test_a_terminal_that_cannot_authenticate_and_registers_may_wait_as_long_as_any_other(
    connect: Connect,
) -> None:
    async with running(TerminalLimits(handshake_timeout_s=0.1)) as (gateway, port, _):
        waiting = await connect(port, MUTE_PHONE)
        await waiting.asks(waiting.terminal.says(ids.REGISTER, REGISTRATION.encode()))
        assert await (await connect(port)).is_hung_up_on()
        assert results([await waiting.asks(waiting.terminal.reports())])[0][2] == OK
        assert gateway.stats().refused == {"handshake_timeout": 1}


async def test_two_terminals_on_one_connection_are_both_counted(connect: Connect) -> None:
    async with running() as (gateway, port, _):
        link = await connect(port)
        await link.signs_on()
        link.terminal = Terminal(OTHER_PHONE)
        await link.signs_on()
        stats = gateway.stats()
        assert (stats.connections, stats.authenticated) == (1, 2)


async def test_a_terminal_that_falls_silent_is_hung_up_on(connect: Connect) -> None:
    async with running(HASTY) as (gateway, port, _):
        client = await connect(port)
        client.writer.write(client.terminal.authenticates())
        assert results([await client.hears()])[0][2] == OK
        assert await client.is_hung_up_on()
        assert gateway.stats().refused == {"idle_timeout": 1}
        assert gateway.stats().authenticated == 0


async def test_missing_packets_are_asked_for_after_a_while(connect: Connect) -> None:
    async with running(replace(HASTY, idle_timeout_s=60)) as (_, port, _shelf):
        client = await connect(port)
        await client.signs_on()
        client.writer.write(client.terminal.splits(ids.LOCATION_BATCH, bytes(100), 3)[0])
        assert (await client.hears()).message_id == ids.RESEND_REQUEST


@pytest.mark.parametrize(
    "limits, kind",
    [
        (TerminalLimits(max_connections=1), "too_many_connections"),
        (TerminalLimits(max_connections_per_ip=1), "too_many_connections_per_ip"),
    ],
)
async def test_one_connection_too_many_is_hung_up_on(connect: Connect, limits: TerminalLimits, kind: str) -> None:
    async with running(limits) as (gateway, port, _):
        first = await connect(port)
        await first.signs_on()
        assert await (await connect(port)).is_hung_up_on()
        assert gateway.stats().refused == {kind: 1}
        assert results([await first.asks(first.terminal.reports())])[0][2] == OK


async def test_a_fleet_that_comes_at_once_is_let_in_within_few_turns() -> None:
    async with running() as (gateway, port, _):
        with ExitStack() as fleet:
            for _terminal in range(200):
                fleet.enter_context(socket.create_connection(("127.0.0.1", port)))
            turns = 0
            while gateway.stats().connections < 200:
                await asyncio.sleep(0)
                turns += 1
            assert turns < 100


async def test_a_place_is_free_again_when_its_terminal_has_gone(connect: Connect) -> None:
    async with running(TerminalLimits(max_connections_per_ip=1)) as (gateway, port, _):
        first = await connect(port)
        first.writer.write(b"GET /")
        assert await first.is_hung_up_on()
        second = await connect(port, OTHER_PHONE)
        await second.signs_on()
        assert gateway.stats().connections == 1


async def test_without_room_nobody_is_listened_to_until_there_is(connect: Connect) -> None:
    async with running() as (gateway, port, shelf):
        client = await connect(port)
        await client.signs_on()
        shelf.has_room = False
        assert results([await client.asks(client.terminal.reports())])[0][2] == OK
        client.writer.write(client.terminal.reports(NOON + 1))
        await client.writer.drain()
        other = await connect(port, OTHER_PHONE)
        await other.asks(other.terminal.authenticates())
        assert [fix.fixed_at for fix in shelf.fixes] == [NOON]
        shelf.make_room()
        assert results([await client.hears()])[0][2] == OK
        assert [fix.fixed_at for fix in shelf.fixes] == [NOON, NOON + 1]
        assert gateway.stats().in_flight == 0


async def test_a_terminal_that_waits_for_our_store_is_not_called_idle(connect: Connect) -> None:
    async with running(HASTY) as (gateway, port, shelf):
        client = await connect(port)
        shelf.has_room = False
        await client.asks(client.terminal.authenticates())
        silent = await connect(port, OTHER_PHONE)
        assert await silent.is_hung_up_on()
        assert gateway.stats().authenticated == 1
        shelf.make_room()
        assert results([await client.asks(client.terminal.reports())])[0][2] == OK


async def test_a_terminal_that_takes_no_answers_is_not_listened_to() -> None:
    async with running(TerminalLimits(write_buffer_high=4096)) as (gateway, port, _):
        loop = asyncio.get_running_loop()
        terminal = Terminal()
        heartbeats = terminal.says(ids.HEARTBEAT) * 500
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            await loop.sock_connect(deaf, ("127.0.0.1", port))
            await _answer(deaf, terminal.authenticates())
            unsent = b""
            while not (held := [each for each in gateway.connections if each.waits_for_peer]):
                unsent = unsent or heartbeats  # Whole frames: after some that are cut off we hang up.
                with suppress(BlockingIOError):
                    unsent = unsent[deaf.send(unsent) :]
                await asyncio.sleep(0)
            assert held[0].unsent_bytes < 4096 + 2 * READ_AT_ONCE_BYTES


async def test_a_terminal_that_takes_its_answers_late_gets_them_all_in_order() -> None:
    async with running() as (gateway, port, _):
        loop, asked = asyncio.get_running_loop(), 0
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.setblocking(False)
            await loop.sock_connect(slow, ("127.0.0.1", port))
            first = (await _answer(slow, Terminal().authenticates())).serial + 1
            reader, answers, behind = FrameReader(), list[int](), 0
            while behind < 50:
                await loop.sock_sendall(slow, Terminal().says(ids.HEARTBEAT) * 100)
                asked += 100
                await asyncio.sleep(0)
                if behind or any(each.unsent_bytes for each in gateway.connections):
                    behind += 1
                    answers += [decode(piece).serial for piece in reader.feed(await loop.sock_recv(slow, 4096))]
            while len(answers) < asked:
                answers += [decode(piece).serial for piece in reader.feed(await loop.sock_recv(slow, 65_536))]
            assert answers == [first + number & 0xFFFF for number in range(asked)]
            assert (await _answer(slow, Terminal().says(ids.HEARTBEAT))).serial == first + asked & 0xFFFF


async def _answer(sock: socket.socket, frame: bytes) -> Frame:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, frame)
    return decode((await loop.sock_recv(sock, 65_536)).strip(FLAG))


async def test_a_terminal_that_floods_us_waits_for_the_others_and_for_the_store(connect: Connect) -> None:
    shelf = Shelf()
    async with running(TerminalLimits(much_at_once_bytes=256, much_in_flight=1), shelf) as (gateway, port, _):
        flood, other = await connect(port), await connect(port, OTHER_PHONE)
        for client in (flood, other):
            await client.asks(client.terminal.authenticates())
        flood.writer.write(b"".join(flood.terminal.reports(NOON + second) for second in range(1000)))
        await shelf.first_fix.wait()
        for _ in range(20):
            assert (await other.asks(other.terminal.says(ids.HEARTBEAT))).message_id == ids.PLATFORM_REPLY
        assert len(shelf.fixes) <= READ_AT_ONCE_BYTES // len(flood.terminal.reports())
        while gateway.stats().in_flight or len(shelf.fixes) < 1000:
            shelf.settle()
            await asyncio.sleep(0)
        answers = results([await flood.hears() for _ in range(1000)])
        assert [serial for serial, _, _ in answers] == [1 + number for number in range(1000)]


async def test_stopping_acknowledges_what_was_taken_in_and_then_hangs_up(connect: Connect) -> None:
    shelf = Shelf()
    async with running(shelf=shelf) as (gateway, port, _):
        client = await connect(port)
        await client.asks(client.terminal.authenticates())
        client.writer.write(client.terminal.reports())
        await shelf.first_fix.wait()
        stopping = asyncio.create_task(gateway.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
        shelf.settle()
        assert results([await client.hears()]) == [(1, ids.LOCATION, OK)]
        assert await client.is_hung_up_on()
        await stopping
        with pytest.raises(OSError):
            await Client.connect(port)


async def test_stopping_does_not_wait_for_ever(connect: Connect) -> None:
    shelf = Shelf()
    async with running(shelf=shelf) as (gateway, port, _):
        client = await connect(port)
        await client.asks(client.terminal.authenticates())
        client.writer.write(client.terminal.reports())
        await shelf.first_fix.wait()
        await gateway.stop(patience_s=0.05)
        assert gateway.stats().connections == 0


async def test_a_taken_port_is_an_error_of_the_caller() -> None:
    async with running() as (_, port, _shelf):
        with pytest.raises(OSError):
            await Gateway(terminals=Registry(), ingest=Shelf(), now=lambda: NOW).start("127.0.0.1", port)


async def test_a_question_is_answered_by_what_follows_the_reply(connect: Connect) -> None:
    async with running() as (gateway, port, _):
        client = await connect(port)
        await client.asks(client.terminal.authenticates())
        told = ((0x55, b"\0\0\0\x50"), (0x40, b"111"), (0x40, b"222"))
        question = asyncio.create_task(gateway.ask(PHONE, QUERY, b"\x01", answer_follows=True))
        command = await client.hears()
        assert (command.message_id, command.body) == (QUERY, b"\x01")
        client.writer.write(
            client.terminal.says(ids.TERMINAL_REPLY, Reply(command.serial, command.message_id, OK).encode())
        )
        answer = encode_parameter_answer(command.serial, told)
        client.writer.write(client.terminal.says(ids.PARAMETER_ANSWER, answer))
        assert await question == Parameters(command.serial, told, 3)


async def test_an_answer_with_a_wrong_serial_still_answers_the_only_question(connect: Connect) -> None:
    async with running() as (gateway, port, _):
        client = await connect(port)
        await client.asks(client.terminal.authenticates())
        question = asyncio.create_task(gateway.ask(PHONE, QUERY, answer_follows=True))
        assert (await client.hears()).message_id == QUERY
        client.writer.write(client.terminal.says(ids.PARAMETER_ANSWER, encode_parameter_answer(0x8104, [(1, b"\x01")])))
        assert await question == Parameters(0x8104, ((1, b"\x01"),), 1)


@pytest.mark.parametrize("result", [OK, FAILED])
async def test_a_command_is_done_or_refused_by_the_reply(connect: Connect, result: int) -> None:
    async with running() as (gateway, port, _):
        client = await connect(port)
        await client.asks(client.terminal.authenticates())
        asking = asyncio.create_task(gateway.ask(PHONE, TEXT, b"\x08text"))
        command = await client.hears()
        assert (command.message_id, command.body) == (TEXT, b"\x08text")
        reply = Reply(command.serial, command.message_id, result)
        client.writer.write(client.terminal.says(ids.TERMINAL_REPLY, reply.encode()))
        if result == OK:
            assert await asking == reply
        else:
            with pytest.raises(CommandRefused):
                await asking


async def test_a_command_to_a_terminal_that_is_away_or_goes_away_fails(connect: Connect) -> None:
    async with running() as (gateway, port, _):
        with pytest.raises(TerminalNotConnected):
            await gateway.ask(PHONE, TEXT)
        client = await connect(port)
        await client.asks(client.terminal.authenticates())
        asking = asyncio.create_task(gateway.ask(PHONE, TEXT))
        await client.hears()
        await client.leaves()
        with pytest.raises(TerminalNotConnected):
            await asking


async def test_hundreds_of_terminals_are_served_at_once(connect: Connect) -> None:
    async with running() as (gateway, port, shelf):
        clients = [await connect(port, f"1360000{number:04}", 1 if number % 2 else None) for number in range(200)]
        for client in clients:
            client.writer.write(client.terminal.authenticates())
            for second in range(10):
                client.writer.write(client.terminal.says(ids.LOCATION, location(NOON + second)))
        for client in clients:
            answers = results([await client.hears() for _ in range(11)])
            assert [(serial, result) for serial, _, result in answers] == [(serial, OK) for serial in range(11)]
        assert (len(shelf.fixes), gateway.stats().authenticated) == (2000, 200)
