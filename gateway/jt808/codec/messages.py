"""The bodies of messages, read and written, and of the replies to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct
from typing import Final, NamedTuple

from gateway.jt808.codec import message_ids as ids
from gateway.jt808.codec.fields import bcd6_from_unix
from gateway.jt808.codec.frames import Frame
from gateway.jt808.codec.location import BASIC_BYTES
from gateway.jt808.codec.location_details import Location, decode_location
from gateway.jt808.codec.parameters import Parameters, decode_parameter_answer
from gateway.jt808.codec.registration import (
    Attributes,
    Authentication,
    DriverCard,
    MessageError,
    Registration,
    RegistrationAnswer,
)

_reply = Struct(">HHB")
_batch_head = Struct(">HB")
BATCH_NORMAL: Final = 0
BATCH_BACKFILL: Final = 1
MEDIA_HEAD_BYTES: Final = 8


class Reply(NamedTuple):
    """The general reply, 0x0001 and 0x8001: the result of the other side's message."""

    ack_serial: int
    ack_id: int
    result: int

    @classmethod
    def decode(cls, body: bytes) -> Reply:
        """Decode a reply; some terminals add a byte or two behind it."""
        if len(body) < _reply.size:
            raise MessageError(f"a reply of {len(body)} bytes")
        return cls(*_reply.unpack_from(body))

    def encode(self) -> bytes:
        """Encode the body, which is the same for both."""
        return _reply.pack(*self)


class LocationAnswer(NamedTuple):
    """0x0201 and 0x0500: the answer to a position query or to a remote control."""

    ack_serial: int
    location: Location


@dataclass(frozen=True, slots=True)
class LocationBatch:
    """0x0704. ``count`` is what the sender claims, ``bodies`` are the 0x0200 bodies that are there."""

    count: int
    type: int
    bodies: tuple[bytes, ...]
    leftover: bytes

    @property
    def backfilled(self) -> bool:
        """The reports were made in a dead zone and sent later."""
        return self.type == BATCH_BACKFILL

    @classmethod
    def decode(cls, body: bytes) -> LocationBatch:
        """Decode a batch to its end, whatever the count says; a last item that is longer than the body is left over."""
        if len(body) < _batch_head.size:
            raise MessageError(f"a batch of {len(body)} bytes")
        count, kind = _batch_head.unpack_from(body)
        bodies = tuple(_items_of_batch(body))
        taken = _batch_head.size + sum(2 + len(item) for item in bodies)
        return cls(count, kind, bodies, body[taken:])

    def encode(self) -> bytes:
        """Encode the body as a terminal sends it."""
        return encode_batch(self.bodies, type=self.type, count=self.count)


def _items_of_batch(body: bytes) -> Iterator[bytes]:
    at = _batch_head.size
    while at + 2 <= len(body):
        end = at + 2 + int.from_bytes(body[at : at + 2], "big")
        if end > len(body):
            return
        yield body[at + 2 : end]
        at = end


def encode_batch(bodies: Sequence[bytes], *, type: int, count: int | None = None) -> bytes:
    """Encode a 0x0704 body of these 0x0200 bodies; ``count`` is to claim another number than there are."""
    pieces = [_batch_head.pack(len(bodies) if count is None else count, type)]
    for body in bodies:
        pieces += (len(body).to_bytes(2, "big"), body)
    return b"".join(pieces)


class Transparent(NamedTuple):
    """A transparent message, 0x0900: bytes for a device or system other than ours."""

    type: int
    content: bytes

    @classmethod
    def decode(cls, body: bytes) -> Transparent:
        """Decode the message; its first byte names the receiver."""
        if not body:
            raise MessageError("transparent data of 0 bytes")
        return cls(body[0], body[1:])


class Unread(NamedTuple):
    """A message whose body is of no use to us."""

    body: bytes


Message = (
    Reply
    | Registration
    | RegistrationAnswer
    | Authentication
    | Attributes
    | DriverCard
    | Parameters
    | Location
    | LocationAnswer
    | LocationBatch
    | Transparent
    | Unread
)


def parse(frame: Frame) -> Message:
    """Parse the message in a whole frame, or in one whose body was put together. Raises ``MessageError``."""
    body = frame.body
    modern = frame.protocol_version is not None
    match frame.message_id:
        case ids.TERMINAL_REPLY | ids.PLATFORM_REPLY:
            return Reply.decode(body)
        case ids.REGISTER:
            return Registration.decode(body, modern=modern)
        case ids.REGISTER_ANSWER:
            return RegistrationAnswer.decode(body)
        case ids.AUTHENTICATE:
            return Authentication.decode(body, modern=modern)
        case ids.LOCATION:
            return decode_location(body)
        case ids.LOCATION_ANSWER | ids.CONTROL_ANSWER:
            return LocationAnswer(int.from_bytes(body[:2], "big"), decode_location(body[2:]))
        case ids.LOCATION_BATCH:
            return LocationBatch.decode(body)
        case _:
            return _parse_rarer(frame.message_id, body)


def _parse_rarer(message_id: int, body: bytes) -> Message:
    match message_id:
        case ids.PARAMETER_ANSWER:
            return decode_parameter_answer(body)
        case ids.ATTRIBUTE_ANSWER:
            return Attributes.decode(body)
        case ids.DRIVER_CARD:
            return DriverCard.decode(body)
        case ids.TRANSPARENT:
            return Transparent.decode(body)
        case _:
            return Unread(body)


def media_answer(media_body: bytes) -> bytes:
    """Encode a 0x8800 body that asks for no packets, for the first packet (or the whole) of a 0x0801."""
    if len(media_body) < MEDIA_HEAD_BYTES + BASIC_BYTES:
        raise MessageError(f"media of {len(media_body)} bytes")
    return media_body[:4]


def resend_request(first_serial: int, indexes: Sequence[int], *, modern: bool) -> bytes:
    """Encode a 0x8003 body, which names the missing packets of a split message."""
    count = len(indexes).to_bytes(2 if modern else 1, "big")
    return first_serial.to_bytes(2, "big") + count + b"".join(index.to_bytes(2, "big") for index in indexes)


def decode_resend_request(body: bytes, *, modern: bool) -> tuple[int, tuple[int, ...]]:
    """Decode (serial of the first packet, indexes) of a 0x8003 body."""
    start = 4 if modern else 3
    if len(body) < start:
        raise MessageError(f"a resend request of {len(body)} bytes")
    indexes = tuple(int.from_bytes(body[at : at + 2], "big") for at in range(start, len(body) - 1, 2))
    return int.from_bytes(body[:2], "big"), indexes


def time_answer(now: float) -> bytes:
    """Encode a 0x8004 body: UTC, unlike every other time."""
    return bcd6_from_unix(now, UTC)


def vendor_time_answer(now: float) -> bytes:
    """Encode a 0x8109 body: UTC in binary, year as a WORD, a zero at the end."""
    at = datetime.fromtimestamp(int(now), UTC)
    return at.year.to_bytes(2, "big") + bytes((at.month, at.day, at.hour, at.minute, at.second, 0))


def split_body(body: bytes, most: int) -> Iterable[bytes]:
    """Split a long body into shares of at most ``most`` bytes, as a terminal splits it."""
    return (body[at : at + most] for at in range(0, len(body), most))
