"""Gives connections that say much at once their turns after those that say little."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gateway.jt808.exchange import Exchange

if TYPE_CHECKING:
    from gateway.jt808.connection import Connection

_HEARD_A_TURN: Final = 64
"""The most reads in a turn, where no budget ends it earlier: on a clock that stands still while the loop works."""
_PAUSE_S: Final = 0.002


class Turns:
    """Contents of connections that say much at once wait here until the others have been heard.

    A terminal that floods the gateway gets the rest of the processor: a budget of each turn of the event loop. It gets
    nothing while ``much_in_flight`` reports wait for the store. A terminal that reports as usual never waits here.
    """

    def __init__(self, exchange: Exchange, *, clock: Callable[[], float] | None = None) -> None:
        self._exchange = exchange
        self._clock = clock
        self._waiting: OrderedDict[Connection, bytes] = OrderedDict()
        self._looks = False

    def wait(self, connection: Connection, content: bytes) -> None:
        """Keep ``content`` until the connection's turn; it must not be read meanwhile."""
        self._waiting[connection] = content
        if not self._looks:
            self._looks = True
            asyncio.get_running_loop().call_soon(self._look)

    def forget(self, connection: Connection) -> None:
        """Drop the content of a connection that has ended."""
        self._waiting.pop(connection, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        exchange, clock = self._exchange, self._clock or loop.time
        until = clock() + exchange.limits.turn_budget_s
        for _ in range(min(len(self._waiting), _HEARD_A_TURN)):
            if exchange.in_flight >= exchange.limits.much_in_flight:
                loop.call_later(_PAUSE_S, self._look)
                return
            connection, content = self._waiting.popitem(last=False)
            connection.have_turn(content)
            if clock() >= until:
                break
        self._looks = bool(self._waiting)
        if self._looks:
            loop.call_soon(self._look)
