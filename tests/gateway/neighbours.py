"""The gateway's neighbours in tests: a registry, a store that decides when things are durable, a wire, a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from domain.vehicle.fix import Fix
from gateway.jt808.codec import message_ids as ids
from gateway.jt808.codec.frames import Frame, FrameReader, decode, encode, phone_bytes
from gateway.jt808.codec.location import encode_location
from gateway.jt808.codec.messages import Reply
from gateway.jt808.codec.registration import Authentication, Registration, RegistrationAnswer

PHONE = "13800001111"
OTHER_PHONE = "13800002222"
MUTE_PHONE = "13800003333"
"""Registered as a terminal that can't authenticate."""
STRANGER = "13999999999"
NOON = 1_790_000_000
NOW = 1_790_000_100.0
REGISTRATION = Registration(44, 300, "70111", "T-1", "0000001", 2, "粤B12345")


class Registry:
    """The ``Terminals`` of these tests."""

    def knows(self, terminal: str) -> bool:
        return terminal in (PHONE, OTHER_PHONE, MUTE_PHONE) or terminal.startswith("1360000")

    def needs_auth(self, terminal: str) -> bool:
        return terminal != MUTE_PHONE

    def auth_code(self, terminal: str) -> str:
        return f"code-of-{terminal}"


class Shelf:
    """The ``Ingest`` of these tests: what is submitted is durable when the test says so, or at the next loop turn."""

    def __init__(self, *, at_once: bool = False) -> None:
        self.fixes: list[Fix] = []
        self.first_fix = asyncio.Event()
        self.has_room = True
        self._at_once = at_once
        self._waiting: list[Callable[[bool], None]] = []
        self._soon: list[Callable[[], None]] = []
        self._for_room: list[Callable[[], None]] = []

    def submit(self, fixes: Sequence[Fix], done: Callable[[bool], None]) -> None:
        self.fixes += fixes
        self.first_fix.set()
        self._waiting.append(done)
        if self._at_once:
            asyncio.get_running_loop().call_soon(self.settle, True)

    def soon(self, work: Callable[[], None]) -> None:
        """The event loop's next turn, which ``settle`` brings."""
        self._soon.append(work)

    def settle(self, durable: bool = True) -> None:
        turn, self._soon = self._soon, []
        for work in turn:
            work()
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done(durable)

    def room(self) -> bool:
        return self.has_room

    def on_room(self, callback: Callable[[], None]) -> None:
        self._for_room.append(callback)

    def make_room(self) -> None:
        self.has_room = True
        waiting, self._for_room = self._for_room, []
        for callback in waiting:
            callback()


class Wire:
    """The ``Link`` of these tests: remembers what was said."""

    def __init__(self) -> None:
        self.closed = False
        self.writes: list[bytes] = []
        self._reader = FrameReader()

    def write(self, content: bytes) -> None:
        self.writes.append(content)

    def close(self) -> None:
        self.closed = True

    def said(self) -> list[Frame]:
        """Return the frames sent since the last call."""
        frames = [decode(piece) for content in self.writes for piece in self._reader.feed(content)]
        self.writes.clear()
        return frames


@dataclass
class Terminal:
    """Writes frames as one terminal does: its number, its layout, its serials."""

    phone: str = PHONE
    protocol_version: int | None = None
    serial: int = 0
    _raw: bytes = field(init=False)

    def __post_init__(self) -> None:
        self._raw = phone_bytes(self.phone, self.protocol_version)

    @property
    def modern(self) -> bool:
        return self.protocol_version is not None

    def says(self, message_id: int, body: bytes = b"", *, part: tuple[int, int] | None = None) -> bytes:
        frame = encode(
            message_id, body, phone_raw=self._raw, serial=self.serial, protocol_version=self.protocol_version, part=part
        )
        self.serial = (self.serial + 1) & 0xFFFF
        return frame

    def authenticates(self, code: str | None = None) -> bytes:
        shown = Authentication(f"code-of-{self.phone}" if code is None else code, "860000000000001", "1.0")
        return self.says(ids.AUTHENTICATE, shown.encode(modern=self.modern))

    def reports(self, fixed_at: int = NOON) -> bytes:
        return self.says(ids.LOCATION, location(fixed_at))

    def splits(self, message_id: int, body: bytes, packets: int) -> list[bytes]:
        size = -(-len(body) // packets)
        return [
            self.says(message_id, body[at : at + size], part=(packets, 1 + at // size))
            for at in range(0, len(body), size)
        ]


def location(fixed_at: int = NOON, *, items: Sequence[tuple[int, bytes]] = ()) -> bytes:
    """A plain 0x0200 body of a driving truck."""
    return encode_location(
        fixed_at=fixed_at, lat_e6=30_123_456, lon_e6=120_654_321, speed_dkmh=623, course_deg=90, status=3, items=items
    )


def results(frames: Sequence[Frame]) -> list[tuple[int, int, int]]:
    """(serial, message id, result) of each 0x8001 among them."""
    replies = [Reply.decode(frame.body) for frame in frames if frame.message_id == ids.PLATFORM_REPLY]
    return [(reply.ack_serial, reply.ack_id, reply.result) for reply in replies]


class Client:
    """A terminal on a real socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, terminal: Terminal) -> None:
        self.terminal = terminal
        self._reader = reader
        self.writer = writer
        self._frames = FrameReader()
        self._heard: list[bytes] = []

    @classmethod
    async def connect(cls, port: int, phone: str = PHONE, protocol_version: int | None = None) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        return cls(reader, writer, Terminal(phone, protocol_version))

    async def hears(self) -> Frame:
        """The next frame; ``EOFError`` when the platform has hung up."""
        while not self._heard:
            chunk = await self._reader.read(4096)
            if not chunk:
                raise EOFError
            self._heard += self._frames.feed(chunk)
        return decode(self._heard.pop(0))

    async def asks(self, frame: bytes) -> Frame:
        self.writer.write(frame)
        return await self.hears()

    async def signs_on(self) -> None:
        """Registers, authenticates."""
        answer = await self.asks(self.terminal.says(ids.REGISTER, REGISTRATION.encode()))
        code = RegistrationAnswer.decode(answer.body).auth_code
        assert results([await self.asks(self.terminal.authenticates(code))])[0][2] == ids.RESULT_OK

    async def is_hung_up_on(self) -> bool:
        """Waits for the end; whatever still comes is dropped."""
        try:
            while await self._reader.read(4096):
                continue
        except ConnectionResetError:
            return True
        return True

    async def leaves(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            return
