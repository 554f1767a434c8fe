"""Malformed HTTP for attacks: bytes on a socket, and the bytes that come back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.patience import PATIENCE_S


@dataclass(frozen=True)
class Heard:
    """An answer, as it came."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        """Return the refusal's problem, checked for its form."""
        assert self.headers["content-type"].startswith("application/problem+json"), self.headers
        problem: dict[str, Any] = json.loads(self.body)
        assert problem["status"] == self.status
        return problem


@dataclass
class Peer:
    """A connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    _left: bytes = field(default=b"")

    @classmethod
    async def connects(cls, port: int) -> Peer:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def says(self, content: bytes) -> None:
        self.writer.write(content)

    async def hears(self) -> Heard:
        """The next answer; ``EOFError`` or ``ConnectionError`` when there is none any more."""
        async with asyncio.timeout(PATIENCE_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")[:-2]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            size = int(headers.get("content-length", 0))
            return Heard(int(first.split()[1]), headers, await self.reader.readexactly(size))

    async def asks(self, content: bytes) -> Heard:
        self.says(content)
        return await self.hears()

    async def is_hung_up_on(self) -> bool:
        """Waits for the end; whatever still comes is dropped."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while await self.reader.read(65_536):
                    continue
        except ConnectionError:
            return True
        return True

    async def leaves(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            return


@asynccontextmanager
async def connected(port: int, count: int) -> AsyncIterator[list[Peer]]:
    """Yield this many connections, each accepted by the other side's kernel at least."""
    peers = [await Peer.connects(port) for _ in range(count)]
    try:
        yield peers
    finally:
        for peer in peers:
            await peer.leaves()


def get(path: str = "/healthz", *lines: str) -> bytes:
    """A whole request."""
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: x", *lines, "", "")).encode("utf-8", "surrogateescape")


def post(path: str, body: bytes, *lines: str) -> bytes:
    """A whole request with a JSON body, unless ``lines`` say otherwise."""
    head = ("POST " + path + " HTTP/1.1", "Host: x", "Content-Type: application/json", *lines, "", "")
    return "\r\n".join(head).encode() + body
