"""A terminal as a client of JT/T 808 over real TCP, written from the standard and not from our codec."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import xor
from struct import pack, unpack_from
from typing import Final

from tests.patience import PATIENCE_S

REGISTER: Final = 0x0100
AUTHENTICATE: Final = 0x0102
HEARTBEAT: Final = 0x0002
LOCATION: Final = 0x0200
BATCH: Final = 0x0704
REGISTER_ANSWER: Final = 0x8100
ANSWER: Final = 0x8001
OK: Final = 0
FAILED: Final = 1
ACC_ON: Final = 1
POSITIONED: Final = 2
CATCH_UP: Final = 1


@dataclass
class Truck:
    """A terminal's connection."""

    phone: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    version: int = 0
    """0 for the layout of 2013, 1 for that of 2019."""
    serial: int = 0
    heard: list[tuple[int, bytes]] = field(default_factory=list)

    @classmethod
    async def connects(cls, jt808: str, phone: str, version: int = 0) -> Truck:
        host, _, port = jt808.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        return cls(phone, reader, writer, version)

    async def hangs_up(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    # -- what it says --------------------------------------------------------------------------------------------------

    async def signs_on(self) -> str:
        """Registers and authenticates; the code."""
        code = await self.registers()
        assert await self.authenticates(code) == OK
        return code

    async def registers(self, plate: str = "鄂A00001") -> str:
        """The code; empty when it is refused."""
        body = pack(">HH", 42, 100)
        if self.version:
            body += b"MAKER".ljust(11, b"\0") + b"MODEL".ljust(30, b"\0") + b"T-1".ljust(30, b"\0")
        else:
            body += b"MAKER" + b"MODEL".ljust(20, b"\0") + b"0000001"
        serial = await self.says(REGISTER, body + bytes((2,)) + plate.encode("gbk"))
        answer = await self.hears(REGISTER_ANSWER)
        assert unpack_from(">H", answer)[0] == serial
        return answer[3:].decode() if answer[2] == OK else ""

    async def authenticates(self, code: str) -> int:
        """The answer's result, as of all that follow."""
        body = code.encode()
        if self.version:
            body = bytes((len(body),)) + body + b"861234567890123" + b"1.0".ljust(20, b"\0")
        return await self.asks(AUTHENTICATE, body)

    async def reports(self, at: float, *, items: bytes = b"", **told: int) -> int:
        return await self.asks(LOCATION, location(at, items=items, **told))

    async def reports_late(self, *bodies: bytes, kind: int = CATCH_UP) -> int:
        return await self.asks(BATCH, batch(*bodies, kind=kind))

    async def hears_answer(self) -> tuple[int, int, int]:
        """Serial, message id and result of the next common answer."""
        answered, answered_id, result = unpack_from(">HHB", await self.hears(ANSWER))
        return answered, answered_id, result

    async def asks(self, message_id: int, body: bytes = b"") -> int:
        """Waits for the platform's common answer to this very message."""
        serial = await self.says(message_id, body)
        while True:
            answered, answered_id, result = await self.hears_answer()
            if (answered, answered_id) == (serial, message_id):
                return result

    async def says(self, message_id: int, body: bytes = b"", *, packet: tuple[int, int] | None = None) -> int:
        """The message's serial. ``packet``: the total and index of a split message's."""
        serial, self.serial = self.serial, (self.serial + 1) & 0xFFFF
        size = len(body) | (1 << 13 if packet else 0)
        if self.version:
            head = pack(">HHB", message_id, size | 1 << 14, self.version) + bytes.fromhex(self.phone.zfill(20))
        else:
            head = pack(">HH", message_id, size) + bytes.fromhex(self.phone.zfill(12))
        plain = head + pack(">H", serial) + (pack(">HH", *packet) if packet else b"") + body
        plain += bytes((reduce(xor, plain),))
        escaped = plain.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02")
        self.writer.write(b"\x7e" + escaped + b"\x7e")
        await self.writer.drain()
        return serial

    async def hears(self, message_id: int) -> bytes:
        """The body of the next message of this id."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                frame = (await self.reader.readuntil(b"\x7e")).strip(b"\x7e")
                if not frame:
                    continue
                plain = frame.replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")
                assert reduce(xor, plain) == 0, "a wrong check byte"
                heard_id, attributes = unpack_from(">HH", plain)
                if heard_id == message_id:
                    return plain[17 if attributes & 1 << 14 else 12 : -1]


def batch(*bodies: bytes, kind: int = CATCH_UP) -> bytes:
    """The body of a 0x0704."""
    return pack(">HB", len(bodies), kind) + b"".join(pack(">H", len(each)) + each for each in bodies)


def location(
    at: float,
    *,
    lon_e6: int = 114_400_000,
    lat_e6: int = 30_700_000,
    altitude_m: int = 25,
    speed: int = 800,
    course: int = 90,
    alarms: int = 0,
    status: int = ACC_ON | POSITIONED,
    items: bytes = b"",
) -> bytes:
    """The body of a 0x0200; ``speed`` in 0.1 km/h. The same defaults as the feed's rows have."""
    china = datetime.fromtimestamp(int(at), UTC) + timedelta(hours=8)
    basic = pack(">IIIIHHH", alarms, status, lat_e6, lon_e6, altitude_m, speed, course)
    return basic + bytes.fromhex(f"{china:%y%m%d%H%M%S}") + items
