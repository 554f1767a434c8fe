"""The lease and the fence by which exactly one service at a time writes to a Redis, though any may die or be cut off.

A lease that its holder renews keeps newcomers away. The fence keeps the holder honest. It is a number that each new
holder raises and that every write of a service names. So a service that lost the lease unawares can't write past its
successor. A service whose lease ran out while no other came (Redis was away) takes it up again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from secrets import token_hex
from typing import Final

from persistence.redis.link import Link
from persistence.redis.scripts import CLAIM, RELEASE, RENEW
from persistence.store import StoreUnavailable

log = logging.getLogger(__name__)

LEASE_S: Final = 5.0
"""The longest that a start waits for a service that died without a word."""
RENEWALS_A_LEASE: Final = 5
FORGOTTEN: Final = -1
"""The answer of a Redis that was emptied, or knows less than it did."""
LOOK_S: Final = 0.1
"""Seconds between a newcomer's looks whether the holder lives."""


class Lease:
    """A service's right to serve. Times are real seconds, whatever clock the rules run on."""

    def __init__(self, link: Link, prefix: str, name: str, *, lease_s: float) -> None:
        self._link = link
        self._prefix = prefix
        self._name = name
        self._lease_ms = int(lease_s * 1_000)
        self._renew_s = lease_s / RENEWALS_A_LEASE
        self._id = token_hex(8)
        self._place = f"{socket.gethostname()}, process {os.getpid()}"
        self._renewing: asyncio.Task[None] | None = None

    async def claim(self) -> str:
        """Return the fence to write with.

        Waits for a dead holder's lease; raises ``StoreUnavailable`` when it shows life.
        """
        seen: tuple[bytes, bytes] | None = None
        while True:
            fence, holder, place, beat = await self._link.run(
                CLAIM, [self._prefix], self._id, self._place, self._lease_ms
            )
            if fence:
                self._renewing = asyncio.create_task(self._renew(fence.decode()))
                return str(fence.decode())
            if seen is None:
                log.info("%s was last served by %s: waiting to see whether that one lives", self._name, place.decode())
            elif seen != (holder, beat):
                raise StoreUnavailable(
                    f"store {self._name}: another service is using it ({place.decode()}); "
                    "stop that one, or name another store or ?prefix= with --store"
                )
            seen = (holder, beat)
            await asyncio.sleep(LOOK_S)

    async def release(self) -> None:
        """Let the next service in at once."""
        if self._renewing is None:
            return
        self._renewing.cancel()
        await asyncio.wait([self._renewing])
        try:
            await self._link.run(RELEASE, [self._prefix], self._id)
        except StoreUnavailable:
            pass  # it runs out by itself

    async def _renew(self, fence: str) -> None:
        while True:
            await asyncio.sleep(self._renew_s)
            try:
                held = await self._link.run(RENEW, [self._prefix], self._id, self._place, self._lease_ms, fence)
            except StoreUnavailable as error:
                log.warning("the lease is not renewed for now: %s", error)
                continue
            if held == FORGOTTEN:
                continue  # the writer says so; with the data the fence comes back
            if not held:
                log.critical("store %s: another service has taken it over; this one can no longer write", self._name)
                return
