"""The conversation on one connection: takes bytes in, gives answers, and hands fixes over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from domain.vehicle.fix import Fix
from gateway.jt808 import handlers
from gateway.jt808.address import Address, ack_of
from gateway.jt808.codec import message_ids as ids
from gateway.jt808.codec.frames import ESCAPE_BYTE, Frame, FrameError, FrameReader, decode, encode, unescape
from gateway.jt808.codec.location import fix_of
from gateway.jt808.codec.messages import Reply
from gateway.jt808.exchange import Exchange, Owed
from gateway.jt808.ports import Link
from gateway.jt808.reassembly import Joined, Reassembly
from gateway.jt808.seat import Heard, Seat

_FOREIGN: Final = (b"GET ", b"POST ", b"HEAD ", b"OPTIONS ", b"CONNECT ", b"\x16\x03", b"SSH-", b"(", b"\xe7")
"""The first bytes of crawlers, TLS clients and other makers' terminals."""


class TooManyQuestions(Exception):
    """The terminal already owes answers to as many commands as it may have at once."""


class _NoLink:
    """A link without a connection, in place of one that has ended."""

    def write(self, content: bytes) -> None:
        """Drop the bytes: the connection has ended."""

    def close(self) -> None:
        """Do nothing: the connection is closed."""


_NO_LINK: Final = _NoLink()


class Session:
    """A connection's conversation: its terminals, what they owe us, and what we owe them.

    Nearly every connection has one terminal. That of a forwarding platform has several; the one heard last is at hand.
    """

    __slots__ = (
        "_further",
        "_link",
        "_noise",
        "_oversized",
        "_reader",
        "_refused",
        "_serial",
        "_strangers_packets",
        "closed",
        "exchange",
        "seat",
    )

    def __init__(self, exchange: Exchange, link: Link) -> None:
        self.exchange = exchange
        self._link: Link = link
        self._reader = FrameReader(exchange.limits.max_frame_bytes)
        self._serial = 0
        self._refused = self._noise = self._oversized = 0
        self.closed = False
        self.seat: Seat | None = None
        """The seat of the admitted terminal that was heard last."""
        self._further: dict[str, Seat] | None = None
        """The seats of other admitted terminals, the one heard longest ago first."""
        self._strangers_packets: Reassembly | None = None

    @property
    def terminal(self) -> str:
        """Return the admitted terminal that was heard last; empty while there is none."""
        return self.seat.terminal if self.seat is not None else ""

    def seats(self) -> Iterator[Seat]:
        """Return the seats of all admitted terminals of this connection."""
        if self._further is not None:
            yield from self._further.values()
        if self.seat is not None:
            yield self.seat

    # Incoming

    def receive(self, chunk: bytes) -> None:
        """Take in bytes. Answer at once where possible; fixes are acknowledged when they are durable."""
        reader = self._reader
        pieces = reader.feed(chunk)
        if reader.noise != self._noise:
            self._hear_noise(chunk)
        self.exchange.frames += len(pieces)
        seat = self.seat
        fixes: list[Fix] = []
        acks: list[int] = []
        for piece in pieces:
            if seat is not None:
                content = unescape(piece) if ESCAPE_BYTE in piece else piece
                address = seat.address
                serial = address.serial_of_plain_location(content)
                if serial is not None:
                    fixes.append(fix_of(content, seat.terminal, 0, self.note, address.body_at, len(content) - 1))
                    acks.append(serial << 16 | ids.LOCATION)
                    continue
            if seat is not None and fixes:
                self._refused = 0
                self.exchange.take(fixes, Owed(self, seat.address, acks))
                fixes, acks = [], []
            self._receive_any(piece)
            seat = self.seat
        if seat is not None and fixes:
            self._refused = 0
            self.exchange.take(fixes, Owed(self, seat.address, acks))

    def _hear_noise(self, chunk: bytes) -> None:
        reader = self._reader
        first_words = self._noise == 0 and not self.terminal
        self._noise = reader.noise
        if reader.oversized != self._oversized:
            self._oversized = reader.oversized
            self.note("oversized")
            self._count_refused()
        elif first_words and chunk.startswith(_FOREIGN):
            self.note("not_jt808")
            self.close()
        else:
            self.note("noise")
        if reader.noise > self.exchange.limits.max_noise_bytes:
            self.close()

    def _receive_any(self, piece: bytes) -> None:
        """Handle any frame other than a plain report of the terminal heard last."""
        if self.closed:
            return
        try:
            frame = decode(piece)
        except FrameError as error:
            self.note(error.kind)
            self._count_refused()
            return
        if self.terminal:
            self._refused = 0
        for kind in frame.deviations:
            self.exchange.deviations.note(kind, frame.phone)
        self._admit(frame)

    def _count_refused(self) -> None:
        self._refused += 1
        if self._refused >= self.exchange.limits.max_refused_frames and not self.closed:
            self.note("too_many_refused_frames")
            self.close()

    def _admit(self, frame: Frame) -> None:
        """Let in a frame that we understand, from a terminal that we know."""
        message_id = frame.message_id
        if message_id not in ids.SUPPORTED:
            self.refuse(frame, "unknown_message", ids.RESULT_UNSUPPORTED)
        elif frame.encryption:
            self.refuse(frame, "encrypted", ids.RESULT_BAD_MESSAGE)
        elif not self._knows_sender(frame) and message_id not in ids.BEFORE_AUTHENTICATION:
            known = self.exchange.terminals.knows(frame.phone)
            self.refuse(frame, "unauthenticated" if known else "unregistered", ids.RESULT_FAILED)
        else:
            handlers.handle(self, frame)

    def _knows_sender(self, frame: Frame) -> bool:
        """Tell whether the sender was admitted.

        A registered terminal that cannot authenticate is, by its first message.
        """
        if self._turn_to(frame.phone):
            assert self.seat is not None
            if not self.seat.address.is_of(frame):
                self.seat.address = Address.of(frame)
            return True
        terminals = self.exchange.terminals
        if terminals.needs_auth(frame.phone) or not terminals.knows(frame.phone) or frame.message_id == ids.LOGOUT:
            return False
        return self.admit(frame)

    # Outgoing

    def submit(self, fixes: Sequence[Fix], acks: Sequence[int], joined: Joined | None = None) -> None:
        """Hand over fixes of the terminal heard last; ``acks`` (see ``ack_of``) are given when they are durable.

        The acks of a split message are those that ``joined`` owes by then.
        """
        if fixes and self.seat is not None:
            self.exchange.hand_over()
            self.exchange.in_flight += 1
            self.exchange.ingest.submit(fixes, partial(self._stored, self.seat.address, acks, joined))

    def _stored(self, address: Address, acks: Sequence[int], joined: Joined | None, durable: bool) -> None:
        """Acknowledge stored reports only; the terminal sends the others again."""
        self.exchange.in_flight -= 1
        if joined is not None:
            acks = [ack_of(joined.message_id, serial) for serial in joined.serials()]
            joined.settle(durable=durable)
        if durable:
            self.acknowledge(address, acks)
        else:
            self.exchange.not_stored += len(acks)

    def acknowledge(self, address: Address, acks: Sequence[int]) -> None:
        """Send 'done' for each of these, in one go."""
        if not self.closed:
            self.exchange.acks += len(acks)
            serial = self._serial
            self._serial = (serial + len(acks)) & 0xFFFF
            self._write(address.acknowledgements(acks, serial=serial))

    def reply(self, frame: Frame, result: int = ids.RESULT_OK) -> None:
        """Acknowledge a frame, if frames of its kind are answered."""
        if frame.message_id not in ids.NEVER_ANSWERED:
            self.send(frame, ids.PLATFORM_REPLY, Reply(frame.serial, frame.message_id, result).encode())
            self.exchange.acks += 1

    def answer_packets(self, frame: Frame, serials: Sequence[int], result: int) -> None:
        """Acknowledge the packets that ``frame`` was joined from."""
        for serial in serials:
            self.reply(frame._replace(serial=serial), result)

    def refuse(self, frame: Frame, kind: str, result: int) -> None:
        """Count a refusal, and answer it."""
        self.exchange.deviations.note(kind, frame.phone)
        self.reply(frame, result)
        self.turn_away()

    def turn_away(self) -> None:
        """Count a refused frame of a stranger; a link may bring only a few of them.

        After authentication only undecodable frames count, in a row. So a terminal whose messages are merely unknown to
        the platform keeps its link, and so does a forwarding platform with some unregistered terminals.
        """
        if not self.terminal:
            self._count_refused()

    def send(self, frame: Frame, message_id: int, body: bytes) -> None:
        """Send a message to the sender of ``frame``."""
        self._write_message(message_id, body, phone_raw=frame.phone_raw, version=frame.protocol_version)

    def ask(self, terminal: str, message_id: int, body: bytes, heard: Heard) -> None:
        """Give a terminal of this connection a command. Raises ``TooManyQuestions``."""
        seat = self._seat_of(terminal)
        if seat is None or len(seat.questions or ()) >= self.exchange.limits.max_questions:
            raise TooManyQuestions
        questions = seat.questions = seat.questions or {}
        serial = self._write_message(message_id, body, phone_raw=seat.address.phone_raw, version=seat.address.version)
        questions[serial] = heard

    def forget(self, heard: Heard) -> None:
        """Drop a command whose caller has stopped waiting."""
        for seat in self.seats():
            seat.forget(heard)

    def _write_message(self, message_id: int, body: bytes, *, phone_raw: bytes, version: int | None) -> int:
        serial = self._next_serial()
        self._write(encode(message_id, body, phone_raw=phone_raw, serial=serial, protocol_version=version))
        return serial

    def _write(self, content: bytes) -> None:
        if not self.closed:
            self.exchange.bytes_out += len(content)
            self._link.write(content)

    def _next_serial(self) -> int:
        serial = self._serial
        self._serial = (serial + 1) & 0xFFFF
        return serial

    def note(self, kind: str) -> None:
        """Count a deviation of the terminal that speaks here."""
        self.exchange.deviations.note(kind, self.terminal)

    # Seats

    def admit(self, frame: Frame) -> bool:
        """Give the sender of ``frame`` a seat here, which ends its seat elsewhere; False where all seats are taken."""
        if not self._turn_to(frame.phone):
            if not self._has_room():
                self.exchange.deviations.note("too_many_terminals", frame.phone)
                return False
            self._set_aside()
            self.seat = Seat(frame.phone, Address.of(frame), self.exchange.tick)
        assert self.seat is not None
        self._refused = 0
        self.seat.address = Address.of(frame)
        self.exchange.seat(self, frame.phone)
        return True

    def _has_room(self) -> bool:
        """Tell whether one more seat is free. A terminal that was silent for long gives way."""
        limits, further = self.exchange.limits, self._further or {}
        if len(further) + (self.seat is not None) < limits.max_terminals_per_connection:
            return True
        longest_silent = next(iter(further.values()), None)
        if longest_silent is None or self.exchange.tick - longest_silent.spoke_at <= limits.idle_timeout_s:
            return False
        self.leave(longest_silent.terminal)
        return True

    def _seat_of(self, terminal: str) -> Seat | None:
        if self.seat is not None and self.seat.terminal == terminal:
            return self.seat
        return self._further.get(terminal) if self._further is not None else None

    def _turn_to(self, terminal: str) -> bool:
        """Make the seat of the terminal that speaks, where it has one, the one at hand."""
        if self.seat is not None and self.seat.terminal == terminal:
            return True
        seat = self._further.pop(terminal, None) if self._further is not None else None
        if seat is None:
            return False
        self._set_aside()
        self.seat = seat
        return True

    def _set_aside(self) -> None:
        if self.seat is not None:
            self.seat.spoke_at = self.exchange.tick
            self._further = self._further or {}
            self._further[self.seat.terminal] = self.seat

    def leave(self, terminal: str) -> None:
        """Take the terminal's seat: it speaks here no longer."""
        self.exchange.unseat(self, terminal)
        self._clear(terminal)

    def _clear(self, terminal: str) -> None:
        seat = self._seat_of(terminal)
        if seat is None:
            return
        if seat is self.seat:
            self.seat = self._further.popitem()[1] if self._further else None
        elif self._further is not None:
            del self._further[terminal]
        seat.end()

    def superseded(self, terminal: str) -> None:
        """Take the seat of a terminal that speaks elsewhere now. A connection without another terminal is dead."""
        self._clear(terminal)
        if self.seat is None:
            self.close()

    def packets_of(self, phone: str) -> Reassembly:
        """Return the unfinished split messages of a terminal; strangers of a connection share the bounds of one."""
        seat = self._seat_of(phone)
        packets = self._strangers_packets if seat is None else seat.packets
        if packets is not None:
            return packets
        limits = self.exchange.limits
        max_bytes = limits.max_strangers_bytes if seat is None else limits.max_unfinished_bytes
        packets = Reassembly(max_messages=limits.max_unfinished_messages, max_bytes=max_bytes, note=self.note)
        if seat is None:
            self._strangers_packets = packets
        else:
            seat.packets = packets
        return packets

    def sweep(self, now: float) -> None:
        """Ask for packets that are overdue; called from time to time."""
        for packets in (self._strangers_packets, *(seat.packets for seat in self.seats())):
            if packets and not self.closed:
                handlers.ask_for_overdue(self, packets, now)

    def close(self) -> None:
        """End the connection from our side."""
        self.closed = True
        self._link.close()

    def lost(self) -> None:
        """Clean up after the connection has ended, whichever side ended it."""
        self.closed = True
        self._link = _NO_LINK
        while self.seat is not None:
            self.leave(self.seat.terminal)
