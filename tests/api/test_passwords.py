"""Tests that passwords are verified without holding up the loop or revealing which users exist (R61, R62)."""

from __future__ import annotations

import asyncio
import threading
from typing import Literal

import pytest
from argon2 import PasswordHasher

from api.accounts.passwords import AT_ONCE, MAX_WAITING, Passwords
from domain.errors import Busy
from tests.api.conftest import CHEAP


class WatchedHasher(PasswordHasher):
    """Counts concurrent verifications, and holds them all until it is opened."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified: list[str | bytes] = []
        self.most_at_once = 0
        self.gate = threading.Event()
        self._at_once = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        self.verified.append(hash)
        self.gate.wait(10)
        self._at_once -= 1
        return super().verify(hash, password)


async def test_only_the_right_password_matches() -> None:
    passwords = Passwords(CHEAP)
    assert await passwords.match(CHEAP.hash("right"), "right")
    assert not await passwords.match(CHEAP.hash("right"), "wrong")
    assert not await passwords.match("no hash at all", "right")


async def test_nobody_has_no_password_but_is_verified_all_the_same() -> None:
    hasher = WatchedHasher()
    hasher.gate.set()
    passwords = Passwords(hasher)
    passwords._nobody = CHEAP.hash("lucky guess")
    assert not await passwords.match(None, "lucky guess")
    assert hasher.verified == [passwords._nobody]


async def test_few_are_verified_at_once_few_wait_and_the_rest_is_refused() -> None:
    hasher = WatchedHasher()
    passwords, right = Passwords(hasher), CHEAP.hash("right")
    waiting = [asyncio.create_task(passwords.match(right, "right")) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await passwords.match(right, "right")
    hasher.gate.set()
    assert all(await asyncio.gather(*waiting))
    assert hasher.most_at_once <= AT_ONCE
