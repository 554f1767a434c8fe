"""Tests that bytes arrive as over TCP: in order, in pieces, or not at all."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from tests.torture.playing import play
from torture.loop import VirtualLoop
from torture.network import Refused


class Echo(asyncio.Protocol):
    lost = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        Echo.lost += 1


@pytest.mark.parametrize("seed", range(5))
def test_pieces_never_overtake_each_other(seed: int) -> None:
    async def main(loop: VirtualLoop) -> bytes:
        loop.network.chance = Random(seed)
        await loop.create_server(Echo, "", 7)
        wire = loop.network.connect(7)
        for number in range(200):
            wire.write(bytes([number]))
        while len(wire.received) < 200:
            await wire.more()
        return bytes(wire.received)

    assert play(main) == bytes(range(200))


def test_a_cut_is_heard_at_both_ends() -> None:
    async def main(loop: VirtualLoop) -> None:
        await loop.create_server(Echo, "", 7)
        wire = loop.network.connect(7)
        wire.write(b"x")
        wire.cut()
        await asyncio.sleep(1)
        assert wire.ended
        assert not wire.received

    Echo.lost = 0
    play(main)
    assert Echo.lost == 1


def test_nobody_listens_after_the_machine_is_gone() -> None:
    async def main(loop: VirtualLoop) -> None:
        await loop.create_server(Echo, "", 7)
        wire = loop.network.connect(7)
        loop.network.reset()
        assert wire.ended
        with pytest.raises(Refused):
            loop.network.connect(7)

    play(main)
