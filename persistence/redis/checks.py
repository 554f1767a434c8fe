"""Checks of a Redis: whether it keeps what it is given, and whether the keys there are ours to read.

Each connection that writes makes the first ones, so that a promoted replica and a Redis that comes back are asked as
well. A running service repeats them all the time.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from secrets import token_hex
from typing import Any, Final

from redis.asyncio.connection import Connection
from redis.exceptions import ReadOnlyError

from persistence.records import require_format
from persistence.redis.address import NO_AOF, RedisAddress
from persistence.redis.layout import APPLICATION, FORMAT, MOVING_IN, Keys
from persistence.redis.link import Link, Refused, answer_of, packed
from persistence.redis.scripts import FORMAT_OF
from persistence.store import StoreFormatError, StoreUnavailable
from persistence.troubles import Trouble, TroubleState

log = logging.getLogger(__name__)

OLDEST_VERSION: Final = (7, 0)
CONFIGURE: Final = "in its configuration, or at once with `redis-cli config set`"
ASKED: Final = (("INFO",), ("CONFIG", "GET", "appendfsync", "no-appendfsync-on-rewrite"))
IDENTITY_BYTES: Final = 16


class Durability:
    """Tells whether a Redis writes to its disk what it acknowledges, and forgets nothing.

    A lesser promise is told once.
    """

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._state = TroubleState(address.name)
        self._told: set[str] = set()

    @property
    def trouble(self) -> Trouble | None:
        """Return the trouble as of the last answer."""
        return self._state.now

    def refusal(self) -> StoreUnavailable | None:
        """Return the refusal for callers that would write; None while all is well."""
        return None if self.trouble is None else Refused(f"store {self._address.name}: {self.trouble.sentence}")

    async def prove(self, connection: Connection) -> None:
        """Ask on a new connection. Raises ``Refused``, saying what to do, or ``ReadOnlyError`` for a replica."""
        await connection.send_packed_command(b"".join(map(packed, ASKED)), check_health=False)
        self._judge(await connection.read_response(), await answer_of(connection))

    async def ask_again(self, link: Link) -> None:
        """Ask the same through a link, later. Raises ``StoreUnavailable``."""
        (info,) = await link.ask(ASKED[0])
        try:
            (settings,) = await link.ask(ASKED[1])
        except Refused as refused:
            settings = refused
        self._judge(info, settings)

    def _judge(self, info: bytes, settings: Any) -> None:
        server = _facts(info)
        _verify_version(server, self._address)
        if server.get("role", "master") != "master":
            raise ReadOnlyError("it is a replica")
        sentence = _forgets(server) or self._keeps_no_log(server) or self._syncs_too_late(server, settings)
        self._state.becomes(Trouble("store_not_durable", sentence) if sentence else None)
        if refusal := self.refusal():
            raise refusal

    def _keeps_no_log(self, server: Mapping[str, str]) -> str:
        if self._address.allows_no_aof:
            self._warn(f"allow={NO_AOF}: what was acknowledged may be lost with Redis")
            return ""
        if server.get("aof_enabled") != "1":
            return (
                "the Redis keeps no append-only file, so it may lose what was acknowledged: set `appendonly yes` and "
                f"`appendfsync always` {CONFIGURE}; or, if that may be, add allow={NO_AOF} to the URL"
            )
        # Once switched on again, it is durable when everything has been written anew.
        writing = (server.get("aof_rewrite_in_progress"), server.get("aof_rewrite_scheduled"))
        if self.trouble is not None and "1" in writing:
            return "the Redis is still writing its append-only file: wait a moment"
        return ""

    def _syncs_too_late(self, server: Mapping[str, str], settings: Any) -> str:
        if self._address.allows_no_aof:
            return ""
        if isinstance(settings, Exception):
            self._warn(
                "how often it writes to its disk is not known, since this user may not ask: `+config|get` allows it; "
                "see that `appendfsync` is `always`"
            )
            return ""
        words = [word.decode() for word in settings]
        given = dict(zip(words[::2], words[1::2], strict=True))
        if given.get("appendfsync") == "no":
            return (
                "with `appendfsync no` a power cut may take half a minute of what was acknowledged: set "
                f"`appendfsync always` {CONFIGURE}"
            )
        if given.get("appendfsync") != "always" or given.get("no-appendfsync-on-rewrite") == "yes":
            self._warn(
                "a kill of this service or of Redis loses nothing, but a power cut of Redis' machine may take the last "
                "second (or a rewrite's time) of what was acknowledged; `appendfsync always` and "
                "`no-appendfsync-on-rewrite no` keep that, too"
            )
        return ""

    def _warn(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            log.warning("store %s: %s", self._address.name, sentence)


async def verify(
    link: Link,
    address: RedisAddress,
    *,
    to_move_in: bool = False,
    new: bool = False,
    was_served: Callable[[], Awaitable[bool]],
) -> bytes:
    """Return the identity of the store, which is made where there is none.

    A store that is half moved in is refused, unless it is opened
    ``to_move_in``. Where one ``was_served`` before, a missing one is made only if it is ``new`` or ``to_move_in``.
    Raises ``StoreUnavailable`` or ``StoreFormatError``.
    """
    fresh = token_hex(IDENTITY_BYTES)
    found, identity = await link.run(FORMAT_OF, [address.prefix], APPLICATION, FORMAT, fresh, int(new or to_move_in))
    if found == b"none":
        if await was_served():
            raise StoreUnavailable(
                f"store {address.name}: a store was served here before, and the Redis holds nothing of it: it was emptied "
                "(FLUSHALL, FLUSHDB), or started without its files. Give it its data back; --new begins with an empty one"
            )
        found, identity = await link.run(FORMAT_OF, [address.prefix], APPLICATION, FORMAT, fresh, 1)
    _verify_format(address, found.decode())
    if not to_move_in and (await link.ask(("HEXISTS", Keys(address.prefix).meta, MOVING_IN)))[0]:
        raise StoreFormatError(
            f"store {address.name}: moving into it was not finished: run `run.py import --facts FILE` into it again, which "
            "starts over, or choose another ?prefix="
        )
    return bytes(identity)


def _facts(info: bytes) -> Mapping[str, str]:
    lines = (line.partition(":") for line in info.decode().splitlines())
    return {name: value for name, colon, value in lines if colon}


def _forgets(server: Mapping[str, str]) -> str:
    policy = server.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        return ""
    return (
        f"with `maxmemory-policy {policy}` the Redis forgets what it was given when memory is short: set "
        f"`maxmemory-policy noeviction` {CONFIGURE}"
    )


def _verify_version(server: Mapping[str, str], address: RedisAddress) -> None:
    version = server.get("redis_version", "")
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST_VERSION:
        raise Refused(f"store {address.name}: it is Redis {version or '?'}; 7.0 or newer is needed")


def _verify_format(address: RedisAddress, found: str) -> None:
    if not found.isdigit():
        raise StoreFormatError(
            f"store {address.name}: keys that begin with {address.prefix}: are another program's, or damaged: "
            "choose another ?prefix="
        )
    require_format(f"store {address.name}", int(found), FORMAT, otherwise="choose another ?prefix=")
