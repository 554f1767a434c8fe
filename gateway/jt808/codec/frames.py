"""Turns bytes on the wire into JT/T 808 frames, and frames into bytes."""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

FLAG: Final = b"\x7e"
FLAG_BYTE: Final = 0x7E
ESCAPE_BYTE: Final = 0x7D
"""The escape byte as a number: ``b"..." in content`` takes five times as long, since it tries to read a number first.
"""
MAX_BODY_BYTES: Final = 1023
MAX_FRAME_BYTES: Final = 2 * (MAX_BODY_BYTES + 21 + 1)
"""The longest frame between its flags, were every byte of it escaped."""

_LENGTH_MASK: Final = 0x03FF
_ENCRYPTION_SHIFT: Final = 10
_SPLIT: Final = 0x2000
_LAYOUT_2019: Final = 0x4000
_SHORTEST: Final = 13
_JUNK_TOLERATED: Final = 32
"""Bytes behind the check byte that may be junk of the terminal; more is another frame run into this one."""
_JOINTECH: Final = frozenset({0x5501, 0x5502})
"""A lock maker's messages, framed alike but with a serial number of one byte."""

_ids = Struct(">HH").unpack_from
_word = Struct(">H").unpack_from
_part = Struct(">HH").unpack_from
_pack_head = Struct(">HH").pack
_pack_part = Struct(">HHH").pack


class FrameError(ValueError):
    """These bytes are no frame; ``kind`` says why, in the words of ``deviations``."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Frame(NamedTuple):
    """A frame, checked and taken apart; the body is as sent (of a split message: this packet's share)."""

    message_id: int
    serial: int
    body: bytes
    phone: str
    """The terminal's name: its number without leading zeros, lower-case hex where it is not BCD, ``0`` for all zeros."""
    phone_raw: bytes
    """The number as sent, for answers."""
    protocol_version: int | None
    """The version byte of the 2019 layout; None for the 2011/2013 layout."""
    encryption: int = 0
    """Attribute bits 10-12; 0 is plain text."""
    part: tuple[int, int] | None = None
    """(packets in all, index from 1) of a split message."""
    deviations: tuple[str, ...] = ()


def check_byte(content: bytes) -> int:
    """Return the exclusive or of all bytes, folded by halves as one big number."""
    folded = int.from_bytes(content, "big")
    size = len(content)
    if size > 64:
        shift = 4 << (size - 1).bit_length()
        while shift > 256:
            folded ^= folded >> shift
            shift >>= 1
    folded ^= folded >> 256
    folded ^= folded >> 128
    folded ^= folded >> 64
    folded ^= folded >> 32
    folded ^= folded >> 16
    return (folded ^ (folded >> 8)) & 0xFF


def escape(content: bytes) -> bytes:
    """Escape content, so that no flag is left inside."""
    return content.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02")


def unescape(raw: bytes) -> bytes:
    """Reverse ``escape``."""
    return raw.replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")


def decode(raw: bytes) -> Frame:
    """Decode the bytes between two flags, still escaped. Raises ``FrameError`` if they are no frame."""
    content = unescape(raw) if ESCAPE_BYTE in raw else raw
    size = len(content)
    if size < _SHORTEST:
        raise FrameError("bad_length")
    if check_byte(content):
        return _with_junk_behind(content)
    message_id, attributes = _ids(content)
    modern = attributes & _LAYOUT_2019
    header = 17 if modern else 12
    if attributes & _SPLIT:
        header += 4
    if header + (attributes & _LENGTH_MASK) + 1 != size:
        return _misfit(content)
    return _take_apart(content, message_id, attributes, modern=bool(modern), end=size - 1, deviations=())


def _header_size(attributes: int, *, modern: bool) -> int:
    return (17 if modern else 12) + (4 if attributes & _SPLIT else 0)


def _misfit(content: bytes) -> Frame:
    """Find out what is wrong: the check byte is right, but the declared length does not fill the frame."""
    message_id, attributes = _ids(content)
    length = attributes & _LENGTH_MASK
    claimed = bool(attributes & _LAYOUT_2019)
    present = len(content) - 1
    if _header_size(attributes, modern=not claimed) + length == present:
        lied = ("version_flag_wrong",)
        return _take_apart(content, message_id, attributes, modern=not claimed, end=present, deviations=lied)
    if message_id in _JOINTECH and 11 + length == present:
        return _jointech(content, message_id)
    end = _header_size(attributes, modern=claimed) + length
    if end < present and not any(content[end + 1 :]) and not check_byte(content[: end + 1]):
        return _take_apart(content, message_id, attributes, modern=claimed, end=end, deviations=("trailing_nul",))
    if present < _header_size(attributes, modern=claimed):
        raise FrameError("bad_length")
    return _take_apart(content, message_id, attributes, modern=claimed, end=present, deviations=("bad_length",))


def _with_junk_behind(content: bytes) -> Frame:
    """Return the declared frame where it is right by itself and junk follows. Raises ``FrameError`` otherwise."""
    message_id, attributes = _ids(content)
    for modern in (bool(attributes & _LAYOUT_2019), not attributes & _LAYOUT_2019):
        end = _header_size(attributes, modern=modern) + (attributes & _LENGTH_MASK)
        if end + 1 < len(content) <= end + 1 + _JUNK_TOLERATED and not check_byte(content[: end + 1]):
            return _take_apart(content, message_id, attributes, modern=modern, end=end, deviations=("trailing_bytes",))
    raise FrameError("bad_checksum")


def _take_apart(
    content: bytes, message_id: int, attributes: int, *, modern: bool, end: int, deviations: tuple[str, ...]
) -> Frame:
    phone_at, serial_at = (5, 15) if modern else (4, 10)
    phone_raw = content[phone_at:serial_at]
    phone = phone_raw.hex()
    if not phone.isdigit():
        deviations = (*deviations, "not_bcd_phone")
    body_at = serial_at + 2
    part = None
    if attributes & _SPLIT:
        part = _part(content, body_at)
        body_at += 4
    return Frame(
        message_id,
        _word(content, serial_at)[0],
        content[body_at:end],
        phone.lstrip("0") or "0",
        phone_raw,
        content[4] if modern else None,
        (attributes >> _ENCRYPTION_SHIFT) & 7,
        part,
        deviations,
    )


def _jointech(content: bytes, message_id: int) -> Frame:
    phone = content[4:10]
    found = ("vendor_dialect",)
    return Frame(message_id, content[10], content[11:-1], phone.hex().lstrip("0") or "0", phone, None, deviations=found)


def phone_bytes(phone: str, protocol_version: int | None = None) -> bytes:
    """Encode the name as a header's BCD[6] (2011/2013) or BCD[10] (2019, when there is a protocol version)."""
    digits = 12 if protocol_version is None else 20
    if len(phone) > digits:
        raise ValueError(f"a phone of {len(phone)} digits does not fit {digits}")
    return bytes.fromhex(phone.zfill(digits))


def encode(
    message_id: int,
    body: bytes,
    *,
    phone_raw: bytes,
    serial: int,
    protocol_version: int | None = None,
    part: tuple[int, int] | None = None,
) -> bytes:
    """Encode the whole frame with flags, in the layout that ``protocol_version`` implies."""
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(f"a body of {len(body)} bytes needs to be split")
    attributes = len(body) | (_SPLIT if part else 0)
    if protocol_version is None:
        head = _pack_head(message_id, attributes) + phone_raw
    else:
        head = _pack_head(message_id, attributes | _LAYOUT_2019) + bytes((protocol_version,)) + phone_raw
    numbers = _pack_part(serial, *part) if part else serial.to_bytes(2, "big")
    return sealed(head + numbers + body)


def sealed(content: bytes) -> bytes:
    """Return header and body with their check byte, escaped, between flags."""
    content += bytes((check_byte(content),))
    if ESCAPE_BYTE in content or FLAG_BYTE in content:
        content = escape(content)
    return FLAG + content + FLAG


class FrameReader:
    """Cuts a stream at its flags: each flag closes what is open and opens anew; empty frames vanish.

    ``noise`` counts the bytes that belong to no frame: before the first flag, or of frames beyond ``max_frame_bytes``,
    which ``oversized`` counts. Nothing longer than a frame is ever kept.
    """

    __slots__ = ("_max", "_open", "noise", "oversized", "pending")

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max = max_frame_bytes
        self._open = False
        self.pending = b""
        self.noise = 0
        self.oversized = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the contents between flags, still escaped, that end in this chunk."""
        pieces = chunk.split(FLAG)
        if self.pending or not self._open or pieces[0] or pieces[-1]:
            return self._join(pieces)
        if len(pieces) == 3 and 0 < len(pieces[1]) <= self._max:
            return [pieces[1]]
        return [piece for piece in pieces if piece and self._fits(piece)]

    def _join(self, split: list[bytes]) -> list[bytes]:
        """Do the same for a chunk that does not begin and end with frames."""
        first, *rest = split
        if not rest:
            self._keep(first)
            return []
        if self._open:
            pieces = [self.pending + first, *rest]
        else:
            self.noise += len(first)
            self._open = True
            pieces = rest
        self.pending = b""
        self._keep(pieces.pop())
        return [piece for piece in pieces if piece and self._fits(piece)]

    def _keep(self, piece: bytes) -> None:
        """Keep an unfinished frame; one that grew too long is given up until the next flag."""
        if not self._open:
            self.noise += len(piece)
        elif len(self.pending) + len(piece) > self._max:
            self.noise += len(self.pending) + len(piece)
            self.oversized += 1
            self.pending = b""
            self._open = False
        else:
            self.pending += piece

    def _fits(self, piece: bytes) -> bool:
        if len(piece) <= self._max:
            return True
        self.noise += len(piece)
        self.oversized += 1
        return False
