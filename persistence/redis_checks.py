"""Is this a Redis that keeps what it was given, and are the keys there ours to read?"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Final

from persistence.redis_address import NO_AOF, RedisAddress
from persistence.redis_layout import APPLICATION, FORMAT, MOVING_IN, Keys
from persistence.redis_link import Link
from persistence.redis_scripts import FORMAT_OF
from persistence.redis_steps import STEPS, migrate
from persistence.store import StoreFormatError, StoreUnavailable

log = logging.getLogger(__name__)

OLDEST_VERSION: Final = (7, 0)
CONFIGURE: Final = "in its configuration, or at once with `redis-cli config set`"


async def verify(link: Link, address: RedisAddress, *, to_move_in: bool = False) -> None:
    """Raises ``StoreUnavailable`` or ``StoreFormatError``, saying what to do; a lesser promise is a warning in the log.

    A store of an older format is brought up to ours. One that is half moved in is refused, unless it is opened
    ``to_move_in``.
    """
    server = await _server(link)
    _verify_version(server, address)
    _verify_memory(server, address)
    if address.allows_no_aof:
        log.warning("store %s: allow=%s: what was acknowledged may be lost with Redis", address.name, NO_AOF)
    elif server.get("aof_enabled") != "1":
        raise StoreUnavailable(
            f"store {address.name}: it keeps no append-only file, so it may lose what was acknowledged: set "
            f"`appendonly yes` and `appendfsync always` {CONFIGURE}; or, if that may be, add allow={NO_AOF} to the URL"
        )
    else:
        await _verify_fsync(link, address)
    await _verify_format(link, address)
    if not to_move_in and (await link.ask(("HEXISTS", Keys(address.prefix).meta, MOVING_IN)))[0]:
        raise StoreFormatError(
            f"store {address.name}: moving into it was not finished: run `run.py import --facts FILE` into it again, which "
            "starts over, or choose another ?prefix="
        )


async def _server(link: Link) -> Mapping[str, str]:
    answers = await link.ask(("INFO",))
    lines = (line.partition(":") for line in answers[0].decode().splitlines())
    return {name: value for name, colon, value in lines if colon}


def _verify_version(server: Mapping[str, str], address: RedisAddress) -> None:
    version = server.get("redis_version", "")
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST_VERSION:
        raise StoreUnavailable(f"store {address.name}: it is Redis {version or '?'}; 7.0 or newer is needed")
    if server.get("role", "master") != "master":
        raise StoreUnavailable(f"store {address.name}: it is a replica and can't be written to: name the primary")


def _verify_memory(server: Mapping[str, str], address: RedisAddress) -> None:
    policy = server.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise StoreUnavailable(
            f"store {address.name}: with `maxmemory-policy {policy}` it forgets what it was given when memory is short: "
            f"set `maxmemory-policy noeviction` {CONFIGURE}"
        )


async def _verify_fsync(link: Link, address: RedisAddress) -> None:
    try:
        (flat,) = await link.ask(("CONFIG", "GET", "appendfsync", "no-appendfsync-on-rewrite"))
    except StoreUnavailable as error:
        log.warning("how often it writes to its disk is not known: %s", error)
        return
    words = [word.decode() for word in flat]
    given = dict(zip(words[::2], words[1::2], strict=True))
    if given.get("appendfsync") == "no":
        raise StoreUnavailable(
            f"store {address.name}: with `appendfsync no` a power cut may take half a minute of what was acknowledged: "
            f"set `appendfsync always` {CONFIGURE}"
        )
    if given.get("appendfsync") != "always" or given.get("no-appendfsync-on-rewrite") == "yes":
        log.warning(
            "store %s: a kill of this service or of Redis loses nothing, but a power cut of Redis' machine may take the "
            "last second (or a rewrite's time) of what was acknowledged; `appendfsync always` and "
            "`no-appendfsync-on-rewrite no` keep that, too",
            address.name,
        )


async def _verify_format(link: Link, address: RedisAddress) -> None:
    found = (await link.run(FORMAT_OF, [address.prefix], APPLICATION, FORMAT)).decode()
    if not found.isdigit():
        raise StoreFormatError(
            f"store {address.name}: keys that begin with {address.prefix}: are another program's, or damaged: "
            "choose another ?prefix="
        )
    if int(found) > FORMAT:
        raise StoreFormatError(
            f"store {address.name} has format {found}, this program knows {FORMAT}: start the newer program, "
            "or choose another ?prefix="
        )
    if int(found) < FORMAT and int(found) not in STEPS:
        raise StoreFormatError(
            f"store {address.name} has format {found}, older than any that this program reads ({FORMAT}): "
            "restore a newer backup, or choose another ?prefix="
        )
    if int(found) < FORMAT:
        await migrate(link, address, int(found))
