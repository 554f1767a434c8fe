"""A wire to a Redis that can be cut at the worst moment: after it has done a command, before its answer is back."""

from __future__ import annotations

import asyncio
from typing import Self


class CutWire:
    """Listens on ``port`` and hands everything on to another; ``async with`` opens and closes it."""

    def __init__(self, to_port: int) -> None:
        self.port = 0
        self.swallowed = 0
        self._to_port = to_port
        self._armed = False
        self._serving: set[asyncio.Task[None]] = set()

    def swallow_next_answer(self) -> None:
        """Cut the connection instead of passing on the answer to the next command."""
        self._armed = True

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        try:
            await asyncio.gather(
                self._hand_on(reader, to_writer, may_cut=False), self._hand_on(to_reader, writer, may_cut=True)
            )
        finally:
            writer.close()
            to_writer.close()

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, may_cut: bool) -> None:
        try:
            while some := await reader.read(65_536):
                if may_cut and self._armed:
                    self._armed = False
                    self.swallowed += 1
                    break
                writer.write(some)
                await writer.drain()
        except OSError:
            pass
        writer.close()
