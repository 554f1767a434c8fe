"""Tests that a service killed under load loses nothing that it acknowledged, on either store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.crashes import Crashes
from tests.redis_server import RedisServer

pytestmark = pytest.mark.e2e

ROUNDS = 2
"""`make crash` plays dozens."""


def test_r51_kills_at_any_moment_lose_nothing_on_the_embedded_store(tmp_path: Path) -> None:
    Crashes(tmp_path, redis=None, seed=1).play(ROUNDS)


def test_r51_kills_at_any_moment_lose_nothing_on_redis(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path / "redis")
    try:
        Crashes(tmp_path, redis=redis, seed=2).play(ROUNDS)
    finally:
        redis.kill()
