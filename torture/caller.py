"""A person's phone as the service meets it: HTTP/1.1 over the loop's own network, byte by byte as it is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from torture.machine import HTTP_PORT
from torture.network import Network, Refused, Wire

PATIENCE_S: Final = 30.0
_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a call; ``status`` 0: none came, or not all of it."""

    status: int
    body: Any = None
    code: str = ""
    """The code of a refusal."""
    headers: Mapping[str, str] | None = None

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def tells_nothing(self) -> bool:
        """Tell whether the answer leaves open that the command was done."""
        return self.status in (0, 500, 503)


NOTHING: Final = Answer(0)


def request_bytes(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: shouwang", *(f"{name}: {value}" for name, value in headers.items())]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + _END + body


async def call(
    network: Network,
    method: str,
    path: str,
    *,
    token: str = "",
    body: object = None,
    headers: Mapping[str, str] | None = None,
    cut_after: float | None = None,
) -> Answer:
    """Make a call on a connection of its own; the caller's network is gone after ``cut_after`` seconds."""
    sent = {"Connection": "close"} | dict(headers or {})
    if token:
        sent["Authorization"] = f"Bearer {token}"
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    if body is not None and not isinstance(body, bytes):
        sent["Content-Type"] = "application/json"
    try:
        wire = network.connect(HTTP_PORT)
    except Refused:
        return NOTHING
    wire.write(request_bytes(method, path, sent, content))
    try:
        async with asyncio.timeout(PATIENCE_S if cut_after is None else cut_after):
            return await _answer(wire)
    except TimeoutError:
        wire.cut()
        return NOTHING


async def _answer(wire: Wire) -> Answer:
    while not wire.ended:
        await wire.more()
    head, found, content = bytes(wire.received).partition(_END)
    if not found:
        return NOTHING
    status, headers = read_head(head)
    if "content-length" in headers and len(content) < int(headers["content-length"]):
        return NOTHING
    body = json.loads(content) if content and "json" in headers.get("content-type", "") else content
    code = body.get("code", "") if status >= 400 and isinstance(body, dict) else ""
    return Answer(status, body, code, headers)


def read_head(head: bytes) -> tuple[int, dict[str, str]]:
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    return int(lines[0].split(" ")[1]), {name.lower(): value for name, value in headers.items()}


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a live stream."""

    name: str
    data: Any
    at: float


class Stream:
    """A family member's open page: takes in events until the stream ends."""

    def __init__(self, network: Network, share_id: str, token: str, now: Callable[[], float]) -> None:
        self.share_id = share_id
        self.status: int | None = None
        self.code = ""
        self.events: list[Event] = []
        self.ended_at: float | None = None
        self._now = now
        self._wire: Wire | None = None
        self._read = 0
        self._task = asyncio.ensure_future(self._run(network, token))

    async def _run(self, network: Network, token: str) -> None:
        try:
            wire = self._wire = network.connect(HTTP_PORT)
        except Refused:
            self.status, self.ended_at = 0, self._now()
            return
        headers = {"Authorization": f"Bearer {token}"}
        wire.write(request_bytes("GET", f"/api/v1/family/shares/{self.share_id}/live", headers, b""))
        while not wire.ended:
            await wire.more()
            self._take(bytes(wire.received))
        self.ended_at = self._now()

    def _take(self, received: bytes) -> None:
        head, found, content = received.partition(_END)
        if not found:
            return
        if self.status is None:
            self.status, headers = read_head(head)
            if self.status != 200:
                self.code = json.loads(content or b"{}").get("code", "") if "json" in str(headers) else ""
                assert self._wire is not None
                self._wire.cut()
                return
        text = _unchunked(content).decode(errors="replace")
        blocks = text.split("\n\n")[:-1]
        for block in blocks[self._read :]:
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != ":")
            if "event" in fields:
                self.events.append(Event(fields["event"], json.loads(fields["data"]), self._now()))
        self._read = len(blocks)

    @property
    def is_open(self) -> bool:
        return self.ended_at is None

    async def close(self) -> None:
        if self._wire is not None:
            self._wire.cut()
        await self._task


def _unchunked(content: bytes) -> bytes:
    """Return the chunks that are there wholly."""
    pieces, at = [], 0
    while (line_end := content.find(b"\r\n", at)) >= 0:
        size = int(content[at:line_end], 16)
        if size == 0 or line_end + 2 + size > len(content):
            break
        pieces.append(content[line_end + 2 : line_end + 2 + size])
        at = line_end + 2 + size + 2
    return b"".join(pieces)
