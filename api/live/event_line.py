"""How does one process hold thousands of streams of events? Each is a protocol of some hundred bytes: no task, no parser, no queue."""

from __future__ import annotations

from asyncio import TimerHandle, get_running_loop
from typing import Final, Protocol

from api.http.connections import Line

FAREWELL_S: Final = 5.0
"""Real seconds that the last bytes may take."""


class Reader(Protocol):
    """Whose stream it is."""

    def go_on(self) -> None:
        """The client has taken all: the next may be sent."""
        ...

    def lost(self) -> None:
        """The client is not there any more; told once, and never within a call of the line's."""
        ...


class EventLine(Line):
    """What follows an event stream's head, framed as the head said."""

    __slots__ = ("_deadline", "_is_chunked", "_reader", "_stalled_s", "is_blocked")

    def __init__(self, reader: Reader, *, is_chunked: bool, stalled_s: float) -> None:
        self._reader = reader
        self._is_chunked = is_chunked
        self._stalled_s = stalled_s
        self._deadline: TimerHandle | None = None
        self.is_blocked = False
        """The client has not taken all yet; whoever has more keeps it until ``go_on``."""

    def send(self, chunk: bytes) -> None:
        """Not empty."""
        self.transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._is_chunked else chunk)

    def close(self) -> None:
        """Ends it as agreed; a client that does not take even that is cut."""
        if self._is_chunked:
            self.transport.write(b"0\r\n\r\n")
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._cut_in(FAREWELL_S)

    def cut(self) -> None:
        """Ends it now; what the client has not taken yet, it will not get."""
        self.transport.abort()

    def _cut_in(self, seconds: float) -> None:
        self._forget_deadline()
        self._deadline = get_running_loop().call_later(seconds, self.cut)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    # -- what the transport tells --------------------------------------------------------------------------------------

    def data_received(self, _: bytes) -> None:
        """Whoever reads a stream has nothing more to say: another request here would never be answered."""
        self.cut()

    def pause_writing(self) -> None:
        self.is_blocked = True
        self._cut_in(self._stalled_s)

    def resume_writing(self) -> None:
        self.is_blocked = False
        self._forget_deadline()
        self._reader.go_on()

    def connection_lost(self, error: BaseException | None) -> None:
        """It has ended."""
        super().connection_lost(error)
        self._forget_deadline()
        self._reader.lost()
