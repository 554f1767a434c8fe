"""A terminal's parameters: the messages that ask for them, set them and tell them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from gateway.jt808.codec.registration import MessageError

Item = tuple[int, bytes]
"""A parameter's id and value."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters that 0x0104 and 0x8103 carry. ``count`` is the sender's claim; ``leftover`` could not be read."""

    items: Sequence[Item]
    """The items as told: in order, a repeated id as often as it stands there."""
    count: int
    leftover: bytes = b""
    ack_serial: int | None = field(default=None)
    """The serial of our query (0x0104 only)."""


def decode_parameters(body: bytes, at: int = 0) -> Parameters:
    """Decode a 0x8103 body, or with ``at`` 2 the rest behind the serial in 0x0104."""
    if len(body) <= at:
        raise MessageError(f"parameters of {len(body)} bytes")
    count = body[at]
    at += 1
    items: list[Item] = []
    for _ in range(count):
        end = at + 5 + body[at + 4] if at + 5 <= len(body) else len(body) + 1
        if end > len(body):
            break
        items.append((int.from_bytes(body[at : at + 4], "big"), body[at + 5 : end]))
        at = end
    return Parameters(tuple(items), count, body[at:])


def decode_parameter_answer(body: bytes) -> Parameters:
    """Decode a 0x0104 body."""
    parameters = decode_parameters(body, 2)
    serial = int.from_bytes(body[:2], "big")
    return Parameters(parameters.items, parameters.count, parameters.leftover, serial)


def encode_parameters(items: Collection[Item]) -> bytes:
    """Encode a 0x8103 body."""
    pieces = [bytes((len(items),))]
    pieces += (item_id.to_bytes(4, "big") + bytes((len(value),)) + value for item_id, value in items)
    return b"".join(pieces)


def encode_parameter_answer(ack_serial: int, items: Collection[Item]) -> bytes:
    """Encode a 0x0104 body."""
    return ack_serial.to_bytes(2, "big") + encode_parameters(items)


def encode_parameter_query(ids: Sequence[int]) -> bytes:
    """Encode a 0x8106 body."""
    return bytes((len(ids),)) + b"".join(item_id.to_bytes(4, "big") for item_id in ids)


def decode_parameter_query(body: bytes) -> tuple[int, ...]:
    """Decode the ids of a 0x8106 body."""
    if not body or len(body) < 1 + 4 * body[0]:
        raise MessageError(f"a parameter query of {len(body)} bytes")
    return tuple(int.from_bytes(body[at : at + 4], "big") for at in range(1, 1 + 4 * body[0], 4))
