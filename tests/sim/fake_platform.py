"""The smallest platform: it answers terminals, or stays silent, as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.jt808.codec.frames import Frame, FrameError, FrameReader, decode, encode
from gateway.jt808.codec.messages import Reply
from gateway.jt808.codec.registration import RegistrationAnswer
from tests.patience import PATIENCE_S

CODE = "let-me-in"
Answers = Callable[[Frame], bool]
"""Tells whether this frame gets an answer."""


class FakePlatform:
    """Accepts terminals, keeps every frame in order, answers those that ``answers`` lets it."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.unreadable = 0
        self.connections = 0
        self.answers: Answers = lambda frame: True
        self.open: set[Conversation] = set()
        self._server: asyncio.Server | None = None
        self._heard = asyncio.Event()
        self.port = 0

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Conversation(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop as a kill would: no farewell, and the port is free again."""
        assert self._server is not None
        self._server.close()
        self.hang_up()
        await self._server.wait_closed()

    def hang_up(self) -> None:
        for conversation in list(self.open):
            conversation.transport.abort()

    def hear(self, frame: Frame) -> None:
        self.frames.append(frame)
        self._heard.set()

    def of(self, message_id: int) -> list[Frame]:
        return [frame for frame in self.frames if frame.message_id == message_id]

    async def until(self, enough: Callable[[], bool]) -> None:
        """Waits for frames until there are enough."""
        async with asyncio.timeout(PATIENCE_S):
            while not enough():
                self._heard.clear()
                await self._heard.wait()


class Conversation(asyncio.Protocol):
    """A connection."""

    transport: asyncio.Transport

    def __init__(self, platform: FakePlatform) -> None:
        self._platform = platform
        self._reader = FrameReader()
        self._serial = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._platform.connections += 1
        self._platform.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._platform.open.discard(self)

    def data_received(self, data: bytes) -> None:
        for raw in self._reader.feed(data):
            try:
                frame = decode(raw)
            except FrameError:
                self._platform.unreadable += 1
                continue
            if self._platform.answers(frame):
                self._answer(frame)
            self._platform.hear(frame)

    def _answer(self, frame: Frame) -> None:
        if frame.message_id == 0x0100:
            body, message_id = RegistrationAnswer(frame.serial, 0, CODE).encode(), 0x8100
        else:
            body, message_id = Reply(frame.serial, frame.message_id, 0).encode(), 0x8001
        self._serial += 1
        self.transport.write(
            encode(
                message_id,
                body,
                phone_raw=frame.phone_raw,
                serial=self._serial,
                protocol_version=frame.protocol_version,
            )
        )
