"""The load of polls: many family phones in one process, timed from poll to answer.

The sockets are driven without an event loop, as in ``bench.load``. Each connection is kept alive and polls its share of
the paths in turn. It polls at once after each answer, or at a pace that makes ``rate`` polls per second in all.
"""

from __future__ import annotations

import argparse
import json
import re
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from typing import Any, Final

from bench.processes import allow_many_sockets

READ_BYTES: Final = 65_536
SILENCE_S: Final = 30.0
_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_ETAG: Final = re.compile(rb'\r\netag: ("[^"]*")\r\n', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answered:
    """The load's figures."""

    polls: int
    took_s: float
    p50_ms: float
    p99_ms: float
    statuses: dict[str, int]

    @property
    def rate(self) -> float:
        return self.polls / self.took_s


class Poll:
    """A share as its viewer asks for it."""

    def __init__(self, path: str, token: str) -> None:
        head = f"GET {path} HTTP/1.1\r\nHost: shouwang\r\nUser-Agent: family\r\nAccept: application/json\r\n"
        self._head = f"{head}Authorization: Bearer {token}\r\n".encode()
        self.request = self._head + b"\r\n"

    def know(self, answer: bytes) -> None:
        """Ask from now on only for changes since this answer."""
        etag = _ETAG.search(answer)
        if etag is None:
            raise RuntimeError(f"an answer without ETag: {answer[:200]!r}")
        self.request = self._head + b"If-None-Match: " + etag[1] + b"\r\n\r\n"


class Phone:
    """A connection, with at most one poll in progress."""

    def __init__(self, address: tuple[str, int], polls: Sequence[Poll]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_waiting = False
        self.due_at = 0.0
        self._polls = cycle(polls)
        self._answer = b""

    def ask(self, due_at: float) -> None:
        """Send a poll; ``due_at`` is the time at which it should have been sent."""
        self.is_waiting, self.due_at = True, due_at
        self.socket.sendall(next(self._polls).request)

    def receive(self) -> bytes:
        """Return a whole answer; empty while more of it is to come. Raises ``RuntimeError``."""
        data = self.socket.recv(READ_BYTES)
        if not data:
            raise RuntimeError("the server closed a connection")
        answer = self._answer = self._answer + data
        end = answer.find(b"\r\n\r\n")
        if end < 0:
            return b""
        length = _LENGTH.search(answer, 0, end + 2)
        if len(answer) < end + 4 + (int(length[1]) if length is not None else 0):
            return b""
        self.is_waiting, self._answer = False, b""
        return answer


def drive(phones: Sequence[Phone], *, seconds: float, polls: int = 0, rate: float = 0.0) -> Answered:
    """Poll for ``seconds``, or ``polls`` in all; at full speed, or ``rate`` polls per second.

    Raises ``RuntimeError``.
    """
    by_descriptor = {phone.socket.fileno(): phone for phone in phones}
    poll = select.epoll()
    for descriptor in by_descriptor:
        poll.register(descriptor, select.EPOLLIN)
    latencies: list[float] = []
    statuses: dict[str, int] = {}
    started = now = time.perf_counter()
    until, left, due_at, idle = started + seconds, polls or sys.maxsize, started, deque(phones)
    asked = 0
    while len(latencies) < asked or (now < until and asked < left):
        while idle and asked < left and now < until and due_at <= now:
            idle.popleft().ask(due_at if rate else now)
            asked += 1
            due_at = due_at + 1 / rate if rate else now
        wait_s = SILENCE_S if not rate or now >= until else max(0.0, due_at - now)
        events = poll.poll(wait_s)
        now = time.perf_counter()
        if not events and wait_s == SILENCE_S:
            raise RuntimeError(f"nothing was answered within {SILENCE_S:.0f} s")
        for descriptor, _ in events:
            phone = by_descriptor[descriptor]
            if answer := phone.receive():
                latencies.append(time.perf_counter() - phone.due_at)
                status = answer[9:12].decode()
                statuses[status] = statuses.get(status, 0) + 1
                idle.append(phone)
    took_s = time.perf_counter() - started
    poll.close()
    latencies.sort()
    p50, p99 = (1000 * latencies[len(latencies) * share // 100] for share in (50, 99))
    return Answered(len(latencies), took_s, p50, p99, statuses)


def know_all(address: tuple[str, int], polls: Sequence[Poll]) -> None:
    """Poll each once, and remember its ``ETag``."""
    phone = Phone(address, polls)
    for poll in polls:
        phone.ask(0.0)
        while not (answer := phone.receive()):
            pass
        poll.know(answer)
    phone.socket.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.poll", description=__doc__)
    parser.add_argument("target", metavar="HOST:PORT")
    parser.add_argument("shares", metavar="FILE", help="JSON: [[path, token], ...]")
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=SILENCE_S)
    parser.add_argument("--polls", type=int, default=0, help="number of polls; default: as many as fit")
    parser.add_argument("--rate", type=float, default=0.0, help="polls per second; default: as fast as answers come")
    parser.add_argument("--know", action="store_true", help="ask only for what has changed (If-None-Match)")
    options = parser.parse_args()
    allow_many_sockets()
    host, _, port = options.target.rpartition(":")
    address = host, int(port)
    with open(options.shares, encoding="utf-8") as file:
        shares: list[Any] = json.load(file)
    polls = [Poll(path, token) for path, token in shares]
    if options.know:
        know_all(address, polls)
    count = min(options.connections, len(polls))
    phones = [Phone(address, polls[number::count]) for number in range(count)]
    print("go", flush=True)
    for _ in sys.stdin:  # the measuring process says when, and how often
        result = drive(phones, seconds=options.seconds, polls=options.polls, rate=options.rate)
        print(json.dumps(asdict(result)), flush=True)


if __name__ == "__main__":
    main()
