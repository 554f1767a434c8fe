"""Joins the packets of split messages, within fixed bounds.

The standard numbers the packets of a message consecutively, so each one tells the serial of the first. Real terminals put
heartbeats between packets, repeat one serial for ever, or send a missing packet again under a new serial. A packet whose
serial leads nowhere is joined by terminal, message id, total and index.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from gateway.jt808.codec.frames import Frame

TIMES_ASKED: Final = 3
_TIMES_TOLD: Final = 3
_JOINED_REMEMBERED: Final = 4
_COPIES_A_PACKET: Final = 4
_SMALLEST_PACKET_BYTES: Final = 64
"""The smallest honest packet, on average; a message of smaller ones claims more packets than its bytes could need."""


class NotKept(Exception):
    """A packet was not kept; ``kind`` says why, in the words of ``deviations``."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def is_sound(frame: Frame) -> bool:
    """Tell whether the packet's index lies within its total."""
    return frame.part is not None and 0 < frame.part[1] <= frame.part[0]


def _part(frame: Frame) -> tuple[int, int]:
    assert frame.part is not None
    return frame.part


def _offset(frame: Frame) -> int:
    """Return a number that is equal for all packets numbered consecutively."""
    return (frame.serial - _part(frame)[1]) & 0xFFFF


@dataclass(slots=True, eq=False)
class Unfinished:
    """A split message that waits for packets; ``newest`` is the packet that came last."""

    newest: Frame
    heard_at: float
    bodies: dict[int, bytes] = field(default_factory=dict)
    copies: dict[tuple[int, int], None] = field(default_factory=dict)
    """The (index, serial) of each copy of a packet, in order of arrival: each is owed an acknowledgement."""
    offsets: set[int] = field(default_factory=set)
    size: int = 0
    asked: bool = False
    """The terminal was asked for the missing packets."""
    times_asked: int = 0
    times_told: int = 0

    def is_kin(self, frame: Frame) -> bool:
        """Tell whether the packet belongs to a message of this terminal, id and total."""
        newest = self.newest
        return (newest.message_id, _part(newest)[0], newest.phone) == (frame.message_id, _part(frame)[0], frame.phone)

    def has(self, frame: Frame) -> bool:
        """Tell whether this very packet came before, under any serial."""
        return self.bodies.get(_part(frame)[1]) == frame.body

    def lacks(self, frame: Frame) -> bool:
        """Tell whether no packet of this index came yet."""
        return _part(frame)[1] not in self.bodies

    def take(self, frame: Frame, *, now: float) -> None:
        """Keep a packet."""
        total, index = _part(frame)
        if self.lacks(frame) or len(self.copies) < _COPIES_A_PACKET * total:
            self.copies[index, frame.serial] = None
            self.offsets.add(_offset(frame))
        self.size += len(frame.body) - len(self.bodies.get(index, b""))
        self.bodies[index] = frame.body
        self.newest = frame
        self.heard_at = now

    @property
    def complete(self) -> bool:
        """Tell whether every packet is here."""
        return len(self.bodies) == _part(self.newest)[0]

    def missing(self) -> list[int]:
        """Return the indexes that have not come yet."""
        return [index for index in range(1, _part(self.newest)[0] + 1) if index not in self.bodies]

    def first_serial(self) -> int:
        """Return the serial of the first packet, as sent or as its nearest successor implies."""
        index, serial = min(self.copies)
        return (serial - index + 1) & 0xFFFF

    def stands_still(self) -> bool:
        """Tell whether a repeated packet shows a terminal that waits for each answer: all before it came, none behind
        it.

        True a few times only, so that a terminal that repeats at once does not make a loop of it.
        """
        if not _part(self.newest)[1] == len(self.bodies) == max(self.bodies) or self.times_told >= _TIMES_TOLD:
            return False
        self.times_told += 1
        return True


@dataclass(slots=True, eq=False)
class Joined:
    """A message whose packets all came; ``copies`` are owed acknowledgements until it is durable."""

    phone: str
    message_id: int
    total: int
    copies: dict[tuple[int, int], None]
    _digests: dict[int, int]
    durable: bool = False
    failed: bool = False
    """The store did not take the message: its packets are new when they come again."""

    @classmethod
    def of(cls, message: Unfinished) -> Joined:
        newest = message.newest
        digests = {index: hash(body) for index, body in message.bodies.items()}
        return cls(newest.phone, newest.message_id, _part(newest)[0], message.copies, digests)

    def has(self, frame: Frame) -> bool:
        """Tell whether this very packet is one of the message's, under any serial."""
        total, index = _part(frame)
        return (
            not self.failed
            and frame.message_id == self.message_id
            and total == self.total
            and self._digests.get(index) == hash(frame.body)
            and frame.phone == self.phone
        )

    def has_copy(self, frame: Frame) -> bool:
        """Tell whether this very packet came under this very serial."""
        return (_part(frame)[1], frame.serial) in self.copies and self.has(frame)

    def owe(self, frame: Frame) -> None:
        """Acknowledge one more copy once the message is durable."""
        if len(self.copies) < _COPIES_A_PACKET * self.total:
            self.copies[_part(frame)[1], frame.serial] = None

    def settle(self, *, durable: bool) -> None:
        """Note whether the store took the message."""
        self.durable = durable
        self.failed = not durable

    def serials(self) -> list[int]:
        """Return the serials to acknowledge, one for each copy of a packet."""
        return [serial for _, serial in self.copies]


class Reassembly:
    """The unfinished messages of one terminal, the one heard of last behind; the first makes room for a new one."""

    __slots__ = ("_joined", "_max_bytes", "_max_messages", "_note", "_unfinished")

    def __init__(self, *, max_messages: int, max_bytes: int, note: Callable[[str], None]) -> None:
        """Prepare the terminal's messages; ``note`` counts a deviation."""
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._note = note
        self._unfinished: list[Unfinished] = []
        self._joined: deque[Joined] = deque(maxlen=_JOINED_REMEMBERED)

    def __len__(self) -> int:
        return len(self._unfinished)

    @property
    def size(self) -> int:
        """Return the number of bytes kept."""
        return sum(message.size for message in self._unfinished)

    def joined_before(self, frame: Frame) -> Joined | None:
        """Return the joined message that this packet repeats, None for a packet that an open message lacks."""
        for joined in self._joined:
            if joined.has_copy(frame):
                return joined
        if any(message.is_kin(frame) and message.lacks(frame) for message in self._unfinished):
            return None
        return next((joined for joined in reversed(self._joined) if joined.has(frame)), None)

    def add(self, frame: Frame, *, now: float) -> tuple[Unfinished, bool]:
        """Keep a sound packet with those of its message; True besides where it came before. Raises ``NotKept``."""
        if _part(frame)[0] > self._max_bytes // _SMALLEST_PACKET_BYTES:
            raise NotKept("split_over_limit")
        message = self._message_of(frame)
        if message is None:
            message = Unfinished(frame, now)
        else:
            self._unfinished.remove(message)
        self._unfinished.append(message)
        repeated = message.has(frame)
        message.take(frame, now=now)
        self._make_room(message)
        return message, repeated

    def _message_of(self, frame: Frame) -> Unfinished | None:
        """Return the open message that the packet belongs to, None where it begins a new one."""
        kin = [message for message in self._unfinished if message.is_kin(frame)]
        numbered = next((message for message in kin if _offset(frame) in message.offsets), None)
        if numbered is not None:
            if numbered.lacks(frame) or numbered.has(frame):
                return numbered
            self._give_up(numbered)  # The terminal counts anew, or never: this is another message.
            kin.remove(numbered)
        repeated = next((message for message in reversed(kin) if message.has(frame)), None)
        if repeated is not None:
            return repeated
        return self._by_index([message for message in kin if message.lacks(frame)])

    def _by_index(self, lacking: list[Unfinished]) -> Unfinished | None:
        """Return the message heard of last, since packets come in a row.

        Return None where an older message lacks the index as well and was asked for it. The two can't be told apart, and a
        packet in the wrong message would make false positions. Unanswered, it comes again once one of them is done.
        """
        if not lacking:
            return None
        *older, latest = lacking
        if any(message.asked for message in older):
            raise NotKept("split_unclear")
        self._note("split_serials")
        return latest

    def _give_up(self, message: Unfinished) -> None:
        self._unfinished.remove(message)
        self._note("split_given_up")

    def _make_room(self, newest: Unfinished) -> None:
        while len(self._unfinished) > self._max_messages or self.size > self._max_bytes:
            oldest = self._unfinished[0]
            if oldest is newest:
                self._unfinished.remove(newest)
                raise NotKept("split_over_limit")
            self._give_up(oldest)

    def finish(self, message: Unfinished) -> tuple[Frame, Joined]:
        """Return the whole message as one frame, under the serial of its last packet."""
        self._unfinished.remove(message)
        joined = Joined.of(message)
        last = max(message.copies)[0]
        serial = next(serial for index, serial in reversed(message.copies) if index == last)
        body = b"".join(message.bodies[index] for index in sorted(message.bodies))
        return message.newest._replace(body=body, part=None, serial=serial), joined

    def remember(self, joined: Joined) -> None:
        """Remember the message, to recognise its packets when they come again."""
        self._joined.append(joined)

    def overdue(self, *, now: float, patience_s: float) -> Iterable[Unfinished]:
        """Return messages that have waited too long, each to be asked for.

        Drop those that were asked for often enough.
        """
        late = [message for message in self._unfinished if now - message.heard_at > patience_s]
        for message in late:
            message.heard_at = now
            message.times_asked += 1
            if message.times_asked > TIMES_ASKED:
                self._unfinished.remove(message)
                self._note("split_timeout")
            else:
                yield message
