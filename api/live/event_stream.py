"""Server-sent events for clients that read slowly or not at all: one write at a time, and no backlog of ours."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
from aiohttp import HttpVersion11, web

from api.http.connections import hand_over
from api.http.edge import HEADERS, ID_OF_REQUEST, TIME_OF_REQUEST
from api.http.polled import REQUEST_ID, http_date
from api.live.event_line import FAREWELL_S, EventLine, Reader

CONTENT_TYPE: Final = "text/event-stream"
HEARTBEAT: Final = b":\n\n"
RETRY: Final = b"retry: 3000\n\n"
"""Milliseconds after which a disconnected client reconnects."""
SEND_BUFFER_BYTES: Final = 16 * 1024
"""Size of the system's socket buffer: bytes waiting there are old on arrival."""


class Gone(Exception):
    """The client has disconnected, or takes nothing."""


def event(name: str, value: object, *, event_id: str = "") -> bytes:
    """Encode an event with its data in JSON."""
    head = f"event: {name}\nid: {event_id}\n" if event_id else f"event: {name}\n"
    return b"%bdata: %b\n\n" % (head.encode(), msgspec.json.encode(value))


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Limits on the number of streams, and on the silence of their sockets in real seconds."""

    streams: int = 20_000
    """The total; above it, 503."""
    streams_of_account: int = 5
    """A further stream ends the oldest."""
    streams_of_operators: int = 50
    heartbeat_s: float = 15.0
    stalled_s: float = 60.0
    """Time after which a reader that takes nothing is cut."""


class EventStream:
    """The streamed answer to one call. ``send`` returns when the system has taken everything."""

    __slots__ = ("_is_sending", "_request", "_stalled_s", "response")

    def __init__(self, request: web.Request, *, stalled_s: float) -> None:
        self._request = request
        self._stalled_s = stalled_s
        self._is_sending = False
        self.response = web.StreamResponse(headers=HEADERS)

    async def open(self) -> None:
        """Send the head; no other answer is possible afterwards. Raises ``Gone``."""
        transport, response = self._request.transport, self.response
        if transport is None:
            raise Gone
        transport.set_write_buffer_limits(high=0)
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        response.content_type, response.charset = CONTENT_TYPE, "utf-8"
        response.headers[REQUEST_ID] = self._request[ID_OF_REQUEST]
        response.headers["Date"] = http_date(self._request[TIME_OF_REQUEST])
        response.headers["X-Accel-Buffering"] = "no"
        response.force_close()
        try:
            await response.prepare(self._request)
        except ConnectionError:
            raise Gone from None
        await self.send(RETRY)

    async def send(self, chunk: bytes) -> None:
        """Send a chunk. Raises ``Gone``."""
        self._is_sending = True
        try:
            async with asyncio.timeout(self._stalled_s):
                await self.response.write(chunk)
                await self._request.writer.drain()
        except TimeoutError:
            self.cut()
            raise Gone from None
        except ConnectionError:
            raise Gone from None
        finally:
            self._is_sending = False

    def hand_over(self, reader: Reader) -> EventLine:
        """Continue the stream on a line, which keeps nothing of the call. Raises ``Gone``."""
        line = EventLine(reader, is_chunked=self._request.version >= HttpVersion11, stalled_s=self._stalled_s)
        if not hand_over(self._request, line):
            raise Gone
        return line

    async def close(self) -> None:
        """End the stream properly. A client that does not take even that is cut."""
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self.response.write_eof()
        except (TimeoutError, ConnectionError):
            self.cut()

    def cut(self) -> None:
        """End the stream at once, discarding unsent bytes."""
        if self._request.transport is not None:
            self._request.transport.abort()


class Beating(Protocol):
    """A stream that a ``Heart`` beats."""

    def beat(self) -> None:
        """Handle a beat. Must not raise and must not block."""
        ...


class Heart:
    """Beats for all streams of a kind, a part of them at a time: one task, and no timer per stream."""

    def __init__(self, period_s: float, *, parts: int = 60) -> None:
        """``period_s``: real seconds between two beats of the same stream."""
        self._rest_s = period_s / parts
        self._parts: list[dict[Beating, None]] = [{} for _ in range(parts)]
        self._next = 0

    def add(self, stream: Beating) -> int:
        """Add a stream. Returns its part, which ``remove`` needs."""
        self._next = (self._next + 1) % len(self._parts)
        self._parts[self._next][stream] = None
        return self._next

    def remove(self, stream: Beating, part: int) -> None:
        self._parts[part].pop(stream, None)

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            for part in self._parts:
                await asyncio.sleep(self._rest_s)
                for stream in part:
                    stream.beat()
