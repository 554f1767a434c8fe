"""The load of ``bench.live``: thousands of live streams in one process, and trucks that report."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import msgpack

from bench.feed_load import INTERVAL_S, STEP_E6
from bench.load import phone
from bench.processes import allow_many_sockets
from bench.subject import FEED_KEY
from domain.vehicle.fix import STATUS_ACC_ON, STATUS_POSITIONED

AT_ONCE: Final = 100
"""Streams that are opened concurrently."""
SOURCES: Final = 4
SENDERS: Final = 64
AT_A_TIME: Final = 10
"""Positions per call, where they are spread over some seconds."""
PATIENCE_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Heard:
    """A wave's figures, over all streams."""

    streams: int
    events: int
    took_s: float
    p50_ms: float
    p99_ms: float
    worst_ms: float
    lost: int = 0
    """Streams that have ended."""


class Stream(asyncio.Protocol):
    """An open stream; counts position events, and notes the time of each."""

    def __init__(self, crowd: Crowd, request: bytes, truck: int) -> None:
        self.truck = truck
        self._crowd = crowd
        self._request = request
        self._seen = b""
        self.is_open = False
        self.came_at: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count events; an event may be cut in two, so keep its first part."""
        text = self._seen + data
        ends = text.rfind(b"\n\n") + 2
        whole, self._seen = text[:ends], text[ends:]
        positions = whole.count(b"event: position\n")
        if positions and not self.is_open:
            self.is_open = True
            self._crowd.opened()
        elif positions:
            self.came_at += [time.monotonic()] * positions
            self._crowd.heard(positions)

    def connection_lost(self, _: Exception | None) -> None:
        self._crowd.lost += 1


class Crowd:
    """The streams of this process."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self.lost = 0
        self._open = 0
        self._events = 0
        self._due: tuple[int, asyncio.Future[None]] | None = None

    async def open(self, address: tuple[str, int], shares: Sequence[Sequence[str]], *, each: int) -> None:
        """Open the streams from several addresses: one has ports for about 28,000 only."""
        loop = asyncio.get_running_loop()
        for number in range(len(shares) * each):
            truck = number % len(shares)
            path, token = shares[truck]
            head = f"GET {path}/live HTTP/1.1\r\nHost: shouwang\r\nAccept: text/event-stream\r\n"
            stream = Stream(self, f"{head}Authorization: Bearer {token}\r\n\r\n".encode(), truck)
            local = (f"127.0.0.{2 + number % SOURCES}", 0)
            await loop.create_connection(lambda stream=stream: stream, *address, local_addr=local)  # type: ignore[misc]
            self.streams.append(stream)
            if number % AT_ONCE == 0:
                await self._all_open()
        await self._all_open()

    async def _all_open(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self._open < len(self.streams):  # noqa: ASYNC110 - a load has nothing else to do
                await asyncio.sleep(0.02)

    def opened(self) -> None:
        self._open += 1

    def heard(self, count: int) -> None:
        self._events += count
        if self._due is not None and self._events >= self._due[0] and not self._due[1].done():
            self._due[1].set_result(None)

    async def hear(self, rows: Sequence[Sequence[Any]], *, feed: Feed, seconds: float) -> Heard:
        """Send positions, all at once or spread over ``seconds``, and wait until each stream has its truck's."""
        began = time.monotonic()
        self._due = len(self.streams), asyncio.get_running_loop().create_future()
        sent_at = await feed.send(rows, seconds=seconds)
        self.heard(0)
        async with asyncio.timeout(PATIENCE_S):
            await self._due[1]
        waits = sorted(1000 * (at - sent_at[stream.truck]) for stream in self.streams for at in stream.came_at)
        events, self._events, self._due = self._events, 0, None
        for stream in self.streams:
            stream.came_at.clear()
        p50, p99 = (waits[len(waits) * share // 100] for share in (50, 99))
        return Heard(len(self.streams), events, time.monotonic() - began, p50, p99, waits[-1])


class Feed:
    """A platform that reports positions, a few at a time, and notes the moment at which each was sent."""

    def __init__(self, connections: Sequence[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
        self._idle = list(connections)

    @classmethod
    async def open(cls, address: tuple[str, int]) -> Self:
        return cls([await asyncio.open_connection(*address) for _ in range(SENDERS)])

    async def send(self, rows: Sequence[Sequence[Any]], *, seconds: float) -> list[float]:
        """Send the positions; return the times by truck, on this process's clock.

        Raises ``RuntimeError`` when not all are accepted in time.
        """
        if not seconds:
            began = time.monotonic()
            await self._post(rows)
            return [began] * len(rows)
        sent_at: list[float] = []
        due_at, step_s, posts = time.monotonic(), seconds / len(rows) * AT_A_TIME, []
        for first in range(0, len(rows), AT_A_TIME):
            due_at += step_s
            await asyncio.sleep(max(0.0, due_at - time.monotonic()))
            batch = rows[first : first + AT_A_TIME]
            sent_at += [time.monotonic()] * len(batch)
            posts.append(asyncio.create_task(self._post(batch)))
        await asyncio.gather(*posts)
        return sent_at

    async def _post(self, rows: Sequence[Sequence[Any]]) -> None:
        if not self._idle:
            raise RuntimeError("the feed does not keep up")
        reader, writer = connection = self._idle.pop()
        body = msgpack.packb(rows)
        head = f"POST /api/v1/telemetry HTTP/1.1\r\nHost: shouwang\r\nX-Feed-Key: {FEED_KEY}\r\n"
        head += f"Content-Type: application/msgpack\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: (\d+)\r\n", answer, re.IGNORECASE)
        said = await reader.readexactly(int(length[1]) if length is not None else 0)
        if not answer.startswith(b"HTTP/1.1 200") or b'"rejected":[]' not in said.replace(b" ", b""):
            raise RuntimeError(f"not all was accepted: {answer!r} {said[:500]!r}")
        self._idle.append(connection)


def rows_of(trucks: int, number: int, *, begins_at: int) -> list[tuple[Any, ...]]:
    """Return the fix of this number of every truck."""
    fixed_at, lon_e6 = begins_at + number * INTERVAL_S, 105_000_000 + number * STEP_E6
    status = STATUS_ACC_ON | STATUS_POSITIONED
    return [(phone(truck), fixed_at, lon_e6, 30_000_000 + truck, 50, 700, 90, 0, status, 0) for truck in range(trucks)]


async def listen(options: argparse.Namespace) -> None:
    """Open all streams, print ``go``, and make a round for each input line, which gives the round's seconds."""
    host, _, port = options.target.rpartition(":")
    address = host, int(port)
    with open(options.shares, encoding="utf-8") as file:  # noqa: ASYNC230 - before anything else runs
        shares: list[Any] = json.load(file)
    crowd, feed = Crowd(), None
    await crowd.open(address, shares, each=options.each)
    print("go", flush=True)
    number = options.first_round
    while line := await asyncio.to_thread(sys.stdin.readline):
        feed = feed or await Feed.open(address)  # not before: the server closes a connection that is idle for long
        rows = rows_of(len(shares), number, begins_at=options.begins_at)
        heard = await crowd.hear(rows, feed=feed, seconds=float(line))
        print(json.dumps(asdict(heard) | {"lost": crowd.lost}), flush=True)
        number += 1


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.live_load", description=__doc__)
    parser.add_argument("target", metavar="HOST:PORT")
    parser.add_argument("shares", metavar="FILE", help="JSON: [[path, token], ...], the first truck's first")
    parser.add_argument("--each", type=int, default=5, help="streams of each share")
    parser.add_argument("--begins-at", type=int, required=True, help="time of each truck's first fix, Unix seconds")
    parser.add_argument("--first-round", type=int, default=1)
    allow_many_sockets()
    asyncio.run(listen(parser.parse_args()))


if __name__ == "__main__":
    main()
