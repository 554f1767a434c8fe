"""A terminal's place on a connection, with all that belongs to it; a forwarding platform's link carries several."""

from __future__ import annotations

from collections.abc import Callable

from gateway.jt808.address import Address
from gateway.jt808.codec.messages import Reply
from gateway.jt808.codec.parameters import Parameters
from gateway.jt808.reassembly import Reassembly

Heard = Callable[[Parameters | Reply | None], bool]
"""Takes a terminal's answer to a command, None when its seat ends first; returns True when that settles the command."""


class Seat:
    """An admitted terminal: how it writes its address, the packets it has under way, and the answers it owes."""

    __slots__ = ("address", "media_id", "packets", "questions", "spoke_at", "terminal")

    def __init__(self, terminal: str, address: Address, spoke_at: float) -> None:
        self.terminal = terminal
        self.address = address
        self.spoke_at = spoke_at
        """Loop seconds of its last turn to speak; exact only once another terminal of the link has spoken since."""
        self.packets: Reassembly | None = None
        self.media_id = b""
        """The id of the picture whose packets are coming."""
        self.questions: dict[int, Heard] | None = None
        """Commands that wait for an answer, by the serial number they were sent under."""

    def hear_answer(self, serial: int | None, answer: Parameters | Reply) -> None:
        """Settle a command. A wrong serial, which some terminals send, does no harm while one question is open."""
        questions = self.questions
        if not questions:
            return
        if serial not in questions and isinstance(answer, Parameters) and len(questions) == 1:
            serial = next(iter(questions))
        heard = questions.get(serial) if serial is not None else None
        if heard and serial is not None and heard(answer):
            del questions[serial]

    def forget(self, heard: Heard) -> None:
        """Drop a command whose caller has stopped waiting."""
        if self.questions:
            self.questions = {serial: other for serial, other in self.questions.items() if other is not heard}

    def end(self) -> None:
        """Fail the commands that still wait."""
        questions, self.questions = self.questions, None
        for heard in (questions or {}).values():
            heard(None)
