"""Brings a Redis store of an older program up to the present format.

Redis has no transaction over a whole store. So each step can be done again without harm, and the format is written after
it: one that a crash cut in two is done again at the next opening.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from persistence.redis.address import RedisAddress
from persistence.redis.layout import FORMAT, Keys
from persistence.redis.lease import LEASE_S, Lease
from persistence.redis.link import Link

log = logging.getLogger(__name__)

Step = Callable[[Link, Keys], Awaitable[None]]


async def _to_2(link: Link, keys: Keys) -> None:
    """Rewrite nothing: only must a program of format 1 not serve a store that is half moved in, which it can't see."""


STEPS: Final[Mapping[int, Step]] = {1: _to_2}
"""The steps, by the format that each leaves behind."""


async def migrate(
    link: Link, address: RedisAddress, found: int, *, wanted: int = FORMAT, steps: Mapping[int, Step] = STEPS
) -> None:
    """Bring the store up. Raises ``StoreUnavailable`` while a service is using it, or when Redis can't be reached."""
    keys = Keys(address.prefix)
    lease = Lease(link, address.prefix, address.name, lease_s=LEASE_S)
    await lease.claim()  # a service of the older program must not go on with it
    try:
        for number in range(found, wanted):
            log.info("store %s: from format %d to %d", address.name, number, number + 1)
            await steps[number](link, keys)
            await link.ask(("HSET", keys.meta, "format", number + 1))
    finally:
        await lease.release()
