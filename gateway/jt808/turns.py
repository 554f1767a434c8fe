"""Whose turn is it to be read, when some say more than their share?"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Final

from gateway.jt808.exchange import Exchange

if TYPE_CHECKING:
    from gateway.jt808.connection import Connection

_HEARD_A_TURN: Final = 2
"""A read each: some milliseconds of the event loop at worst."""
_PAUSE_S: Final = 0.002


class Turns:
    """Whoever has said much at once is heard again when others have been, and when what was said is durable.

    So a terminal that floods us gets what others leave of the processor: few reads a turn of the event loop, and none while
    ``much_in_flight`` reports wait for the store. Whoever reports as terminals do never waits here.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._waiting: dict[Connection, None] = {}
        self._looks = False

    def wait(self, connection: Connection) -> None:
        """Its turn comes; until then it must not be read."""
        self._waiting[connection] = None
        if not self._looks:
            self._looks = True
            asyncio.get_running_loop().call_soon(self._look)

    def forget(self, connection: Connection) -> None:
        """It has ended."""
        self._waiting.pop(connection, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        if self._exchange.in_flight >= self._exchange.limits.much_in_flight:
            loop.call_later(_PAUSE_S, self._look)
            return
        for connection in list(islice(self._waiting, _HEARD_A_TURN)):
            del self._waiting[connection]
            connection.have_turn()
        self._looks = bool(self._waiting)
        if self._looks:
            loop.call_soon(self._look)
