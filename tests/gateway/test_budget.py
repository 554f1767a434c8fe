"""A turn of the event loop has a budget at the terminal port, and small talk comes before floods."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import cast

import pytest
import pytest_asyncio

from gateway.jt808.codec import message_ids as ids
from gateway.jt808.connection import Connection
from gateway.jt808.limits import TerminalLimits
from gateway.jt808.poller import READ_AT_ONCE_BYTES, Poller
from tests.gateway.neighbours import NOON, OTHER_PHONE, PHONE, Client, Shelf, Terminal, results
from tests.gateway.test_server import running

BUDGET_S = 0.004


class Work:
    """A clock that only work moves, and what was taken in on it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.done: list[str] = []

    def clock(self) -> float:
        return self.now


class Reader:
    """A connection whose every read costs a millisecond."""

    def __init__(self, name: str, work: Work, poller: Poller) -> None:
        self.name, self._work, self._poller = name, work, poller
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        poller.watch(self.ours.fileno(), cast(Connection, self))

    def data_received(self, content: bytes) -> None:
        self._work.now += 0.001
        self._work.done.append(self.name)

    def leave_to_asyncio(self) -> None:
        self._work.done.append(f"{self.name} has left")
        self.leaves()

    def leaves(self) -> None:
        self._poller.forget(self.ours.fileno())
        self.ours.close()
        self.theirs.close()


@pytest_asyncio.fixture
async def work() -> Work:
    return Work()


@pytest_asyncio.fixture
async def poller(work: Work) -> AsyncIterator[Poller]:
    made = Poller(asyncio.get_running_loop(), budget_s=BUDGET_S, clock=work.clock)
    yield made
    made.close()


async def turns_until(work: Work, count: int) -> list[int]:
    """Return the work done in each turn, until all is done."""
    turns = []
    while len(work.done) < count:
        before = len(work.done)
        await asyncio.sleep(0)
        turns.append(len(work.done) - before)
    return [done for done in turns if done]


async def test_a_turn_takes_in_what_its_budget_allows_and_the_next_turns_the_rest_in_order(
    work: Work, poller: Poller
) -> None:
    readers = [Reader(str(number), work, poller) for number in range(10)]
    for reader in readers:
        reader.theirs.send(b"words")
    assert await turns_until(work, 10) == [4, 4, 2]
    assert sorted(work.done, key=int) == [reader.name for reader in readers]
    assert poller.cut_short == 2
    for reader in readers:
        reader.leaves()


async def test_what_comes_meanwhile_waits_behind_what_was_read_before(work: Work, poller: Poller) -> None:
    first = [Reader(f"first {number}", work, poller) for number in range(6)]
    for reader in first:
        reader.theirs.send(b"words")
    while not work.done:  # noqa: ASYNC110 - turns are what is counted
        await asyncio.sleep(0)
    late = Reader("late", work, poller)
    late.theirs.send(b"words")
    await turns_until(work, 7)
    assert work.done[-1] == "late"
    for reader in (*first, late):
        reader.leaves()


async def test_a_connection_that_ends_while_its_words_wait_is_heard_and_forgotten(work: Work, poller: Poller) -> None:
    readers = [Reader(str(number), work, poller) for number in range(6)]
    for reader in readers[:5]:
        reader.theirs.send(b"words")
    readers[5].theirs.close()
    await turns_until(work, 6)
    assert "5 has left" in work.done
    for reader in readers[:5]:
        reader.leaves()


async def test_terminals_that_say_much_at_once_wait_until_one_that_says_little_was_heard() -> None:
    """The flood was there first, as far as the kernel knows."""
    async with running(TerminalLimits(much_at_once_bytes=256), Shelf(at_once=True)) as (gateway, port, shelf):
        phones = [f"1360000{number:04}" for number in range(20)]
        floods = [await Client.connect(port, phone) for phone in phones]
        honest = await Client.connect(port, OTHER_PHONE)
        for client in (*floods, honest):
            await client.asks(client.terminal.authenticates())
        for client in floods:
            client.writer.write(client.terminal.reports() * (READ_AT_ONCE_BYTES // 60))
        honest.writer.write(honest.terminal.reports(NOON + 1))
        await shelf.first_fix.wait()
        assert shelf.fixes[0].terminal == OTHER_PHONE
        for client in (*floods, honest):
            await client.leaves()
        assert gateway.stats().turns_cut_short_total == 0


async def test_a_stranger_that_floods_costs_twenty_frames(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as (gateway, port, _):
        stranger = await Client.connect(port)
        stranger.writer.write(stranger.terminal.says(ids.HEARTBEAT) * 100_000)
        assert await stranger.is_hung_up_on()
        assert gateway.stats().acks_total == TerminalLimits().max_refused_frames
        assert gateway.stats().refused == {"unauthenticated": 20, "too_many_refused_frames": 1}
        await stranger.leaves()


async def test_answers_to_a_terminal_that_has_gone_are_no_lines_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """asyncio warns about every write to a lost connection: a flood of these would fill the disk."""
    async with running() as (gateway, port, _):
        client = await Client.connect(port)
        assert results([await client.asks(client.terminal.authenticates())])[0][2] == ids.RESULT_OK
        client.writer.write(Terminal(PHONE).says(ids.HEARTBEAT) * 30)
        client.writer.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, (1).to_bytes(4, "little") + bytes(4)
        )
        client.writer.transport.abort()
        while gateway.connections:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        assert gateway.stats().frames_total > 20, "the frames came, and their answers went nowhere"
        assert [record.message for record in caplog.records if record.name == "asyncio"] == []
