"""The lines that carry thousands of event streams in one process.

Each is a protocol of a few hundred bytes, without a task, a parser or a queue.
"""

from __future__ import annotations

from asyncio import TimerHandle, get_running_loop
from typing import Final, Protocol

from api.http.connections import Line

FAREWELL_S: Final = 5.0
"""Real seconds that the last bytes may take."""


class Reader(Protocol):
    """The object that a line reports to."""

    def go_on(self) -> None:
        """Note that the client has taken everything; the next chunk may be sent."""
        ...

    def lost(self) -> None:
        """Note that the client is gone; called once, and never from within a call to the line."""
        ...


class EventLine(Line):
    """The connection of an event stream after its head, framed as the head declared."""

    __slots__ = ("_deadline", "_is_chunked", "_reader", "_stalled_s", "is_blocked")

    def __init__(self, reader: Reader, *, is_chunked: bool, stalled_s: float) -> None:
        self._reader = reader
        self._is_chunked = is_chunked
        self._stalled_s = stalled_s
        self._deadline: TimerHandle | None = None
        self.is_blocked = False
        """True while the client has not taken everything; the sender keeps its news until ``go_on``."""

    def send(self, chunk: bytes) -> None:
        """Send a chunk, which must not be empty."""
        self.transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._is_chunked else chunk)

    def close(self) -> None:
        """End the stream properly. A client that does not take even that is cut."""
        if self._is_chunked:
            self.transport.write(b"0\r\n\r\n")
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._cut_in(FAREWELL_S)

    def cut(self) -> None:
        """End the stream at once, discarding unsent bytes."""
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
        """Cut a client that sends: a stream's reader has nothing to say, and a request here would get no answer."""
        self.cut()

    def pause_writing(self) -> None:
        self.is_blocked = True
        self._cut_in(self._stalled_s)

    def resume_writing(self) -> None:
        self.is_blocked = False
        self._forget_deadline()
        self._reader.go_on()

    def connection_lost(self, error: BaseException | None) -> None:
        """Tell the reader that the connection has ended."""
        super().connection_lost(error)
        self._forget_deadline()
        self._reader.lost()
