"""Finds the primary: at the address itself, or where the Sentinels say since the last fail-over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from redis.asyncio.connection import Connection
from redis.exceptions import AuthenticationError, ReadOnlyError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError

from persistence.redis.address import Place, RedisAddress

log = logging.getLogger(__name__)

SENTINEL_S: Final = 0.4
"""Seconds for a Sentinel's answer; the others are asked at the same time."""
_DOWN: Final = {"s_down", "o_down", "disconnected"}


class _Known(NamedTuple):
    """A Sentinel's answer; ``epoch`` counts the fail-overs."""

    epoch: int
    place: Place
    is_up: bool


class Primary:
    """Makes connections to the primary; shared by all users of one Redis."""

    def __init__(self, address: RedisAddress) -> None:
        self.generation = 0
        """The count of places where the primary was found: connections of an earlier one lead to the past."""
        self._address = address
        self._place: Place | None = None if address.master else address.places[0]
        self._epoch = 0

    async def connect(self) -> tuple[int, Connection]:
        """Return an open connection and its generation. Raises ``RedisError`` or ``OSError``."""
        place = await self._find() if self._address.master else self._address.places[0]
        generation = self.generation
        connection = self._address.connection(place)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            if self._address.master:
                await _prove(connection)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return generation, connection

    async def _find(self) -> Place:
        """Ask all Sentinels: one that was cut off may still name the earlier primary, so the newest fail-over counts."""
        answers = await asyncio.gather(*map(self._ask, self._address.places), return_exceptions=True)
        known = [answer for answer in answers if isinstance(answer, _Known) and answer.epoch >= self._epoch]
        if not known:
            raise RedisConnectionError(f"no Sentinel knows where {self._address.master} is: {_reasons(answers)}")
        newest = max(known)
        if not newest.is_up:
            raise RedisConnectionError(f"the Sentinels see {self._address.master} down, and no fail-over done yet")
        self._epoch = newest.epoch
        if newest.place != self._place:
            if self._place is not None:
                log.warning("%s: the primary is at %s now", self._address.name, newest.place)
            self._place = newest.place
            self.generation += 1
        return newest.place

    async def _ask(self, sentinel: Place) -> _Known:
        async with asyncio.timeout(SENTINEL_S):
            try:
                return await self._hear(sentinel, signed_in=False)
            except AuthenticationError:
                return await self._hear(sentinel, signed_in=True)

    async def _hear(self, sentinel: Place, *, signed_in: bool) -> _Known:
        connection = self._address.connection_to_sentinel(sentinel, signed_in=signed_in)
        try:
            await connection.send_command("SENTINEL", "MASTER", self._address.master)
            flat = [word.decode() for word in await connection.read_response()]
        finally:
            await connection.disconnect(nowait=True)
        return _known(dict(zip(flat[::2], flat[1::2], strict=True)))


def _known(fields: Mapping[str, str]) -> _Known:
    flags = set(fields["flags"].split(","))
    place = Place(fields["ip"], int(fields["port"]))
    return _Known(int(fields["config-epoch"]), place, "master" in flags and not flags & _DOWN)


async def _prove(connection: Connection) -> None:
    """Check the connection: a Sentinel may name a server that has just become a replica, or was one before."""
    await connection.send_command("ROLE")
    role = (await connection.read_response())[0]
    if role != b"master":
        raise ReadOnlyError("the Sentinels name a replica")


def _reasons(answers: Sequence[object]) -> str:
    errors = (error for error in answers if isinstance(error, OSError | RedisError | TimeoutError))
    return "; ".join(sorted({str(error) or type(error).__name__ for error in errors})) or "they have older news"
