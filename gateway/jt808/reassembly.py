"""How do the packets of a split message come together again, without anybody filling our memory?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.jt808.frames import Frame

TIMES_ASKED: Final = 3

Key = tuple[int, int]
"""Message id and the serial of the first packet."""


def key_of(frame: Frame) -> Key:
    """Packets have consecutive serials, so each one knows the first."""
    assert frame.part is not None
    return frame.message_id, (frame.serial - frame.part[1] + 1) & 0xFFFF


@dataclass(slots=True)
class Unfinished:
    """A split message that waits for packets; ``frame`` is its newest one."""

    frame: Frame
    heard_at: float
    bodies: dict[int, bytes] = field(default_factory=dict)
    size: int = 0
    times_asked: int = 0

    def missing(self) -> list[int]:
        """The indexes that have not come yet."""
        assert self.frame.part is not None
        return [index for index in range(1, self.frame.part[0] + 1) if index not in self.bodies]


class Finished(NamedTuple):
    """A split message that was completed; its packets may come again, and those of another begin with the same serial."""

    key: Key
    digests: Mapping[int, int]

    @classmethod
    def of(cls, message: Unfinished) -> Finished:
        return cls(key_of(message.frame), {index: hash(body) for index, body in message.bodies.items()})

    def has(self, frame: Frame) -> bool:
        """Whether this packet is one of it."""
        assert frame.part is not None
        return key_of(frame) == self.key and self.digests.get(frame.part[1]) == hash(frame.body)


class Reassembly:
    """The unfinished messages of one connection: the oldest makes room for a new one."""

    __slots__ = ("_max_bytes", "_max_messages", "_unfinished")

    def __init__(self, *, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._unfinished: dict[Key, Unfinished] = {}

    def __len__(self) -> int:
        return len(self._unfinished)

    def add(self, frame: Frame, *, now: float) -> Unfinished | None:
        """Takes in one packet; None when it makes no sense or would need more memory than there is for it."""
        assert frame.part is not None
        total, index = frame.part
        if not 0 < index <= total <= self._max_bytes // 64:
            return None
        key = key_of(frame)
        message = self._unfinished.get(key)
        if message is None:
            message = self._unfinished[key] = Unfinished(frame, now)
        message.size += len(frame.body) - len(message.bodies.get(index, b""))
        message.bodies[index] = frame.body
        message.frame = frame
        message.heard_at = now
        return message if self._make_room(key) else None

    def _make_room(self, newest: Key) -> bool:
        """Gives up the oldest messages until the rest fits; False when the newest alone is too big."""
        while len(self._unfinished) > self._max_messages or self._size() > self._max_bytes:
            oldest = next(iter(self._unfinished))
            del self._unfinished[oldest]
            if oldest == newest:
                return False
        return True

    def _size(self) -> int:
        return sum(message.size for message in self._unfinished.values())

    def finish(self, message: Unfinished) -> Frame:
        """The whole message as one frame; its serial is the newest packet's."""
        del self._unfinished[key_of(message.frame)]
        body = b"".join(message.bodies[index] for index in sorted(message.bodies))
        return message.frame._replace(body=body, part=None)

    def waits_for(self, message: Unfinished) -> bool:
        """It was not given up."""
        return key_of(message.frame) in self._unfinished

    def overdue(self, *, now: float, patience_s: float) -> list[Unfinished]:
        """Messages that have waited too long, each to be asked for; those asked for often enough are dropped."""
        late = [message for message in self._unfinished.values() if now - message.heard_at > patience_s]
        for message in late:
            message.heard_at = now
            message.times_asked += 1
            if message.times_asked > TIMES_ASKED:
                del self._unfinished[key_of(message.frame)]
        return late
