"""How is a terminal's next report recognised, and acknowledged, with the least work?"""

from __future__ import annotations

from struct import Struct
from typing import Final

from gateway.jt808 import message_ids as ids
from gateway.jt808.frames import FLAG, Frame, check_byte, escape
from gateway.jt808.location import BASIC_BYTES

_ids = Struct(">HH").unpack_from
_pack_tail = Struct(">HHHBBB").pack
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
        "_serial_at",
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
        self._serial_at = 4 + len(self._number)
        self.body_at = self._serial_at + 2
        self._overhead = self.body_at + 1 - flag
        head = ids.PLATFORM_REPLY.to_bytes(2, "big") + (_REPLY_BYTES | flag).to_bytes(2, "big") + self._number
        self._ack_head = FLAG + escape(head)
        self._ack_head_check = check_byte(head)

    @classmethod
    def of(cls, frame: Frame) -> Address:
        """Where answers to this frame go."""
        return cls(frame.phone_raw, frame.protocol_version)

    def is_of(self, frame: Frame) -> bool:
        """The frame's sender still writes itself so."""
        return frame.phone_raw == self.phone_raw and frame.protocol_version == self.version

    def serial_of_plain_location(self, content: bytes) -> int | None:
        """The serial if these are the (unescaped) bytes of this terminal's whole, faultless 0x0200; else None."""
        size = len(content)
        if size <= self.body_at + BASIC_BYTES:
            return None
        message_id, attributes = _ids(content)
        if (
            message_id == ids.LOCATION
            and attributes == size - self._overhead
            and content[4 : self._serial_at] == self._number
            and not check_byte(content)
        ):
            return content[self._serial_at] << 8 | content[self._serial_at + 1]
        return None

    def reply(self, serial: int, *, to: int, result: int = 0) -> bytes:
        """A whole 0x8001; ``to`` is the message id and the serial it answers, one above the other."""
        ack_id, ack_serial = to >> 16, to & 0xFFFF
        mixed = serial ^ ack_serial ^ ack_id
        check = self._ack_head_check ^ (mixed >> 8) ^ (mixed & 0xFF) ^ result
        tail = _pack_tail(serial, ack_serial, ack_id, result, check, FLAG[0])
        if b"\x7d" in tail or tail.find(FLAG) != len(tail) - 1:
            tail = escape(tail[:-1]) + FLAG
        return self._ack_head + tail
