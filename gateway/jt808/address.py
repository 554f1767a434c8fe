"""Recognises a terminal's next plain report, and acknowledges it, with the least work."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final

from gateway.jt808.codec import message_ids as ids
from gateway.jt808.codec.frames import ESCAPE_BYTE, FLAG, FLAG_BYTE, Frame, check_byte, escape
from gateway.jt808.codec.location import BASIC_BYTES

_unpack_head: Final = {size: Struct(f">HH{size}sH").unpack_from for size in (6, 11)}
"""Unpackers by the size of the part between attributes and serial number: the number alone, or the version before it.
"""
_pack_tail = Struct(">HIBB").pack
_REPLY_BYTES: Final = 5
_LAYOUT_2019: Final = 0x4000


class Address:
    """A terminal's place in the header, as it writes it: layout, version byte and number never change on a connection.

    So a plain 0x0200 is recognised by one comparison, and only the last eleven bytes of its acknowledgement are new.
    """

    __slots__ = (
        "_ack_head",
        "_ack_head_check",
        "_number",
        "_overhead",
        "_unpack_head",
        "body_at",
        "phone_raw",
        "version",
    )

    def __init__(self, phone_raw: bytes, version: int | None) -> None:
        self.phone_raw = phone_raw
        self.version = version
        if version is None:
            self._number, flag = phone_raw, 0
        else:
            self._number, flag = bytes((version,)) + phone_raw, _LAYOUT_2019
        self._unpack_head = _unpack_head[len(self._number)]
        self.body_at = 4 + len(self._number) + 2
        self._overhead = self.body_at + 1 - flag
        head = ids.PLATFORM_REPLY.to_bytes(2, "big") + (_REPLY_BYTES | flag).to_bytes(2, "big") + self._number
        self._ack_head = FLAG + escape(head)
        self._ack_head_check = check_byte(head)

    @classmethod
    def of(cls, frame: Frame) -> Address:
        """Return the address for answers to this frame."""
        return cls(frame.phone_raw, frame.protocol_version)

    def is_of(self, frame: Frame) -> bool:
        """Tell whether the frame's sender still writes its address like this."""
        return frame.phone_raw == self.phone_raw and frame.protocol_version == self.version

    def serial_of_plain_location(self, content: bytes) -> int | None:
        """Return the serial if these are the (unescaped) bytes of this terminal's whole, faultless 0x0200; else None."""
        size = len(content)
        if size <= self.body_at + BASIC_BYTES:
            return None
        serial: int
        message_id, attributes, number, serial = self._unpack_head(content)
        if (
            message_id == ids.LOCATION
            and attributes == size - self._overhead
            and number == self._number
            and not check_byte(content)
        ):
            return serial
        return None

    def acknowledgements(self, acks: Sequence[int], *, serial: int) -> bytes:
        """Build a 0x8001 with result 0 for each ack (see ``ack_of``), the first with our ``serial``."""
        frames = []
        for ack in acks:
            mixed = serial ^ ack ^ ack >> 16
            tail = _pack_tail(serial, ack, ids.RESULT_OK, (mixed ^ mixed >> 8) & 0xFF ^ self._ack_head_check)
            if ESCAPE_BYTE in tail or FLAG_BYTE in tail:
                tail = escape(tail)
            frames.append(self._ack_head + tail + FLAG)
            serial = (serial + 1) & 0xFFFF
        return frames[0] if len(frames) == 1 else b"".join(frames)


def ack_of(message_id: int, serial: int) -> int:
    """Return the part of a message that a 0x8001 repeats, as one number."""
    return serial << 16 | message_id
