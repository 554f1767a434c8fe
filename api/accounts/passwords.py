"""Verifies passwords with argon2id: off the event loop, few at a time, and equally slowly when the user does not exist."""

from __future__ import annotations

import asyncio
import logging
from secrets import token_hex
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from domain.errors import Busy

log = logging.getLogger(__name__)

AT_ONCE: Final = 2
"""Each verification takes a tenth of a second of one core and 64 MB."""
MAX_WAITING: Final = 32


class Passwords:
    """Verifies passwords against encoded argon2id hashes."""

    def __init__(self, hasher: PasswordHasher) -> None:
        """Make one hash to compare unknown users with; this takes a tenth of a second."""
        self._hasher = hasher
        self._nobody = hasher.hash(token_hex(16))
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def match(self, password_hash: str | None, password: str) -> bool:
        """Compare a password with a hash; False for None too, after the same time.

        Timing therefore does not tell whether a user exists. Raises ``Busy``.
        """
        if self._waiting >= MAX_WAITING:
            raise Busy
        self._waiting += 1
        try:
            async with self._turn:
                matches = await asyncio.to_thread(self._verify, password_hash or self._nobody, password)
        finally:
            self._waiting -= 1
        return matches and password_hash is not None

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except VerifyMismatchError:
            return False
        except InvalidHashError:
            log.error("a business has a password hash that is none; its import must be repeated")
            return False
