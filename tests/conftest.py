"""What do all tests share? Hypothesis profiles: the same examples everywhere, and no failure because a machine was busy; a Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.redis_server import RedisServer

settings.register_profile("house", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("search", deadline=None, max_examples=2_000)
settings.load_profile("house")


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One for all who take a prefix of their own and let it live."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()
