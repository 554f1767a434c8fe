"""The interfaces that the gateway needs from the rest of the house."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from domain.vehicle.fix import Fix


class Terminals(Protocol):
    """The terminals that may speak. A terminal is named by its number as in ``Frame.phone``."""

    def knows(self, terminal: str) -> bool:
        """Tell whether the registry has the terminal."""
        ...

    def needs_auth(self, terminal: str) -> bool:
        """Tell whether the terminal must authenticate. For terminals that cannot, being registered is enough."""
        ...

    def auth_code(self, terminal: str) -> str:
        """Return the one code that this terminal is given when it registers, and has to show from then on."""
        ...


class Ingest(Protocol):
    """The service that makes fixes durable."""

    def submit(self, fixes: Sequence[Fix], done: Callable[[bool], None]) -> None:
        """Take fixes in; ``done(True)`` says that they are durable, ``done(False)`` that they could not be stored.

        ``done`` is never called before this returns.
        """
        ...

    def room(self) -> bool:
        """Tell whether more may come in; False while too much waits to be stored."""
        ...

    def on_room(self, callback: Callable[[], None]) -> None:
        """Call back once, as soon as there is room again."""
        ...


class Link(Protocol):
    """The connection beneath a conversation."""

    def write(self, content: bytes) -> None:
        """Send in order; bytes written after the end are dropped."""
        ...

    def close(self) -> None:
        """End the connection when the written bytes have gone out."""
        ...
