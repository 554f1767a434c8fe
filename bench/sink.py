"""The least that a gateway can do, as a baseline: count the frames, and answer each with as many bytes as we do."""

from __future__ import annotations

import asyncio
import signal
from typing import Final

from bench.processes import allow_many_sockets
from gateway.jt808.codec.frames import FLAG, encode

ANSWER = encode(0x8001, bytes((0, 1, 2, 0, 0)), phone_raw=bytes(6), serial=1)
"""A general answer to a 0x0200, result 0, with the same bytes for every terminal."""


_buffer: Final = bytearray(16_384)
"""Shared by all connections, to keep the sink minimal."""
_view: Final = memoryview(_buffer)


class Sink(asyncio.BufferedProtocol):
    """A connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._flags = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return _view

    def buffer_updated(self, nbytes: int) -> None:
        frames, self._flags = divmod(self._flags + bytes(_view[:nbytes]).count(FLAG), 2)
        if frames and self._transport is not None:
            self._transport.write(ANSWER * frames)


async def serve() -> None:
    """Serve until SIGTERM."""
    allow_many_sockets()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(Sink, "127.0.0.1", 0, backlog=4096)
    host, port = server.sockets[0].getsockname()
    print(f"ready jt808={host}:{port}", flush=True)
    await ended.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
