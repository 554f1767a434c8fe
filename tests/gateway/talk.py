"""A conversation in one process: a session with everything around it, and one terminal."""

from __future__ import annotations

from gateway.jt808.codec import message_ids as ids
from gateway.jt808.exchange import Exchange
from gateway.jt808.limits import TerminalLimits
from gateway.jt808.session import Session
from tests.gateway.neighbours import NOW, PHONE, Registry, Shelf, Terminal, Wire, results

OK, FAILED, BAD, UNSUPPORTED = range(4)
QUERY, TEXT = 0x8104, 0x8300
"""Commands to a terminal: one that 0x0104 answers, and one that the general reply answers."""


class Talk:
    """A session with everything around it, and one terminal."""

    def __init__(self, phone: str = PHONE, version: int | None = None, limits: TerminalLimits | None = None) -> None:
        self.shelf = Shelf()
        self.exchange = Exchange(
            terminals=Registry(),
            ingest=self.shelf,
            limits=limits or TerminalLimits(),
            now=lambda: NOW,
            soon=self.shelf.soon,
        )
        self.wire = Wire()
        self.session = Session(self.exchange, self.wire)
        self.terminal = Terminal(phone, version)

    @classmethod
    def authenticated(cls, version: int | None = None, limits: TerminalLimits | None = None) -> Talk:
        talk = cls(version=version, limits=limits)
        talk.session.receive(talk.terminal.authenticates())
        assert results(talk.wire.said()) == [(0, ids.AUTHENTICATE, OK)]
        return talk

    def hears(self, message_id: int, body: bytes = b"") -> list[tuple[int, int, int]]:
        """The acknowledgements of this message, those after it became durable too."""
        self.session.receive(self.terminal.says(message_id, body))
        self.shelf.settle()
        return results(self.wire.said())

    def result_of(self, message_id: int, body: bytes = b"") -> int:
        (reply,) = self.hears(message_id, body)
        assert reply[:2] == (self.terminal.serial - 1, message_id)
        return reply[2]

    @property
    def counted(self) -> dict[str, int]:
        return self.exchange.deviations.counts()
