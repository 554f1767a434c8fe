"""A terminal's parameters, as its answer 0x0104 tells them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.jt808.codec.registration import MessageError

Item = tuple[int, bytes]
"""A parameter's id and value."""

_HEAD_BYTES: Final = 3


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters that 0x0104 carries. ``count`` is the sender's claim; ``leftover`` could not be read."""

    ack_serial: int
    """The serial of our question."""
    items: Sequence[Item]
    """The items as told: in order, a repeated id as often as it stands there."""
    count: int
    leftover: bytes = b""


def decode_parameter_answer(body: bytes) -> Parameters:
    """Decode a 0x0104 body."""
    if len(body) < _HEAD_BYTES:
        raise MessageError(f"parameters of {len(body)} bytes")
    count = body[2]
    at = _HEAD_BYTES
    items: list[Item] = []
    for _ in range(count):
        end = at + 5 + body[at + 4] if at + 5 <= len(body) else len(body) + 1
        if end > len(body):
            break
        items.append((int.from_bytes(body[at : at + 4], "big"), body[at + 5 : end]))
        at = end
    return Parameters(int.from_bytes(body[:2], "big"), tuple(items), count, body[at:])


def encode_parameter_answer(ack_serial: int, items: Collection[Item]) -> bytes:
    """Encode a 0x0104 body."""
    pieces = [ack_serial.to_bytes(2, "big"), bytes((len(items),))]
    pieces += (item_id.to_bytes(4, "big") + bytes((len(value),)) + value for item_id, value in items)
    return b"".join(pieces)
