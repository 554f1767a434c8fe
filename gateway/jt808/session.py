"""The conversation with one terminal takes bytes in, gives answers, and hands fixes over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from domain.fix import Fix
from gateway.jt808 import handlers
from gateway.jt808 import message_ids as ids
from gateway.jt808.address import Address
from gateway.jt808.exchange import Exchange, Owed
from gateway.jt808.frames import ESCAPE_BYTE, Frame, FrameError, FrameReader, decode, encode, unescape
from gateway.jt808.location import fix_of
from gateway.jt808.messages import Reply
from gateway.jt808.parameters import Parameters
from gateway.jt808.ports import Link
from gateway.jt808.reassembly import Finished, Reassembly

_FOREIGN: Final = (b"GET ", b"POST ", b"HEAD ", b"OPTIONS ", b"CONNECT ", b"\x16\x03", b"SSH-", b"(", b"\xe7")
"""How crawlers, TLS clients and other makers' terminals begin."""

Heard = Callable[[Parameters | Reply | None], bool]
"""Takes what a terminal says to a command, None when the connection ends first; True when that was the answer."""


class TooManyQuestions(Exception):
    """This terminal still owes answers to all the commands that it may be given at once."""


class _NoLink:
    """What is left when the connection has ended."""

    def write(self, content: bytes) -> None:
        """Nobody listens."""

    def close(self) -> None:
        """It is closed."""


_NO_LINK: Final = _NoLink()


class Session:
    """One connection's conversation: whose it is, what it owes us, and what we owe it."""

    __slots__ = (
        "_address",
        "_link",
        "_noise",
        "_oversized",
        "_questions",
        "_reader",
        "_refused",
        "_serial",
        "closed",
        "exchange",
        "finished",
        "media_id",
        "reassembly",
        "terminal",
    )

    def __init__(self, exchange: Exchange, link: Link) -> None:
        self.exchange = exchange
        self._link: Link = link
        self._reader = FrameReader(exchange.limits.max_frame_bytes)
        self._address: Address | None = None
        self._serial = 0
        self._refused = self._noise = self._oversized = 0
        self._questions: dict[int, Heard] | None = None
        self.closed = False
        self.terminal = ""
        """Who has authenticated here; empty until then."""
        self.reassembly: Reassembly | None = None
        self.finished: Finished | None = None
        """The split message that was completed last: its packets may come again."""
        self.media_id = b""
        """Of the picture whose packets are coming."""

    # What comes in

    def receive(self, chunk: bytes) -> None:
        """Answers what can be answered at once; fixes are acknowledged when they are durable."""
        reader = self._reader
        pieces = reader.feed(chunk)
        if reader.noise != self._noise:
            self._hear_noise(chunk)
        self.exchange.frames += len(pieces)
        address = self._address
        fixes: list[Fix] = []
        acks: list[int] = []
        for piece in pieces:
            if address is not None:
                content = unescape(piece) if ESCAPE_BYTE in piece else piece
                serial = address.serial_of_plain_location(content)
                if serial is not None:
                    fixes.append(fix_of(content, self.terminal, 0, self.note, address.body_at, len(content) - 1))
                    acks.append(serial << 16 | ids.LOCATION)
                    continue
            if address is not None and fixes:
                self._refused = 0
                self.exchange.take(fixes, Owed(self, address, acks))
                fixes, acks = [], []
            self._receive_any(piece)
            address = self._address
        if address is not None and fixes:
            self._refused = 0
            self.exchange.take(fixes, Owed(self, address, acks))

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
        """Every frame that is not one more plain report of whom we know."""
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
        """Lets in what we understand, from whom we know."""
        message_id = frame.message_id
        if message_id not in ids.SUPPORTED:
            self.refuse(frame, "unknown_message", ids.RESULT_UNSUPPORTED)
        elif frame.encryption:
            self.refuse(frame, "encrypted", ids.RESULT_BAD_MESSAGE)
        elif message_id not in ids.BEFORE_AUTHENTICATION and not self._knows_sender(frame):
            known = self.exchange.terminals.knows(frame.phone)
            self.refuse(frame, "unauthenticated" if known else "unregistered", ids.RESULT_FAILED)
        else:
            handlers.handle(self, frame)

    def _knows_sender(self, frame: Frame) -> bool:
        """Who has authenticated; and who can't, but is registered, from the first word on."""
        if self.terminal and frame.phone == self.terminal:
            if self._address is None or not self._address.is_of(frame):
                self._address = Address.of(frame)
            return True
        terminals = self.exchange.terminals
        if terminals.needs_auth(frame.phone) or not terminals.knows(frame.phone):
            return False
        self.seat(frame)
        return True

    # What goes out

    def submit(self, fixes: Sequence[Fix], acks: Sequence[int], finished: Finished | None = None) -> None:
        """Hands fixes over; ``acks`` (see ``ack_of``) are given when they are durable.

        ``finished``: the split message that they came in; it is, then.
        """
        if fixes and self._address:
            self.exchange.hand_over()
            self.exchange.in_flight += 1
            self.exchange.ingest.submit(fixes, partial(self._stored, self._address, acks, finished))

    def _stored(self, address: Address, acks: Sequence[int], finished: Finished | None, durable: bool) -> None:
        """What could not be stored is not acknowledged: the terminal will send it again."""
        self.exchange.in_flight -= 1
        if not durable:
            self.exchange.not_stored += len(acks)
            return
        if finished is not None:
            self.finished = finished
        self.acknowledge(address, acks)

    def acknowledge(self, address: Address, acks: Sequence[int]) -> None:
        """Says 'done' to these, in one go."""
        if not self.closed:
            self.exchange.acks += len(acks)
            serial = self._serial
            self._serial = (serial + len(acks)) & 0xFFFF
            self._write(address.acknowledgements(acks, serial=serial))

    def reply(self, frame: Frame, result: int = ids.RESULT_OK) -> None:
        """Acknowledges one frame, if it is of those that are answered."""
        if frame.message_id not in ids.NEVER_ANSWERED:
            self.send(frame, ids.PLATFORM_REPLY, Reply(frame.serial, frame.message_id, result).encode())
            self.exchange.acks += 1

    def refuse(self, frame: Frame, kind: str, result: int) -> None:
        """Counts, and says no."""
        self.exchange.deviations.note(kind, frame.phone)
        self.reply(frame, result)
        self.turn_away()

    def turn_away(self) -> None:
        """Count a refused frame of a stranger; a link may bring only a few of them.

        After authentication only undecodable frames count, in a row: a terminal whose messages are merely unknown to the
        platform, or a forwarding platform with some unregistered terminals, keeps its link.
        """
        if not self.terminal:
            self._count_refused()

    def send(self, frame: Frame, message_id: int, body: bytes) -> None:
        """Says something to whoever sent ``frame``."""
        self._write_message(message_id, body, phone_raw=frame.phone_raw, version=frame.protocol_version)

    def ask(self, message_id: int, body: bytes, heard: Heard) -> None:
        """Gives the terminal a command."""
        questions = self._questions = self._questions or {}
        if self._address is None or len(questions) >= self.exchange.limits.max_questions:
            raise TooManyQuestions
        serial = self._write_message(message_id, body, phone_raw=self._address.phone_raw, version=self._address.version)
        questions[serial] = heard

    def forget(self, heard: Heard) -> None:
        """Whoever asked has stopped waiting."""
        if self._questions:
            self._questions = {serial: other for serial, other in self._questions.items() if other is not heard}

    def hear_answer(self, serial: int | None, answer: Parameters | Reply) -> None:
        """A terminal's answer; some put a wrong serial there, which does no harm while one question is open."""
        questions = self._questions
        if not questions:
            return
        if serial not in questions and isinstance(answer, Parameters) and len(questions) == 1:
            serial = next(iter(questions))
        heard = questions.get(serial) if serial is not None else None
        if heard and serial is not None and heard(answer):
            del questions[serial]

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
        """Counts a deviation of whoever speaks here."""
        self.exchange.deviations.note(kind, self.terminal)

    # Who speaks, and until when

    def seat(self, frame: Frame) -> None:
        """The sender of ``frame`` speaks here from now on."""
        if self.terminal != frame.phone:
            self.leave()
        self.terminal = frame.phone
        self._refused = 0
        self._address = Address.of(frame)
        self.exchange.seat(self, frame.phone)

    def leave(self) -> None:
        """Nobody speaks here any more."""
        if self.terminal:
            self.exchange.unseat(self, self.terminal)
        self.terminal = ""
        self._address = None

    def sweep(self, now: float) -> None:
        """From time to time: asks for packets that are overdue."""
        if self.reassembly and not self.closed:
            handlers.ask_for_overdue(self, now)

    def superseded(self) -> None:
        """The same terminal speaks elsewhere."""
        self.terminal = ""
        self._address = None
        self.close()

    def close(self) -> None:
        """Ends the connection from our side."""
        self.closed = True
        self._link.close()

    def lost(self) -> None:
        """The connection has ended, whoever ended it."""
        self.closed = True
        self.leave()
        self._link = _NO_LINK
        questions, self._questions = self._questions, None
        for heard in (questions or {}).values():
            heard(None)
