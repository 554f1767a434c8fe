"""The ports are what the gateway needs from the rest of the house."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from domain.vehicle.fix import Fix


class Terminals(Protocol):
    """Who may speak. A terminal is named by its number as in ``Frame.phone``."""

    def knows(self, terminal: str) -> bool:
        """The registry has it."""
        ...

    def needs_auth(self, terminal: str) -> bool:
        """False for those that cannot authenticate: being registered is enough."""
        ...

    def auth_code(self, terminal: str) -> str:
        """The one code that this terminal is given when it registers, and has to show from then on."""
        ...


class Ingest(Protocol):
    """Where fixes become durable."""

    def submit(self, fixes: Sequence[Fix], done: Callable[[bool], None]) -> None:
        """Takes them in; ``done(True)`` when they are durable, ``done(False)`` when they could not be stored.

        ``done`` is never called before this returns.
        """
        ...

    def room(self) -> bool:
        """False while too much waits to be stored."""
        ...

    def on_room(self, callback: Callable[[], None]) -> None:
        """Calls back once, as soon as there is room again."""
        ...


class Link(Protocol):
    """The connection beneath a conversation."""

    def write(self, content: bytes) -> None:
        """Sends in order; whatever is written after the end is forgotten."""
        ...

    def close(self) -> None:
        """Ends the connection when what was written has gone out."""
        ...
