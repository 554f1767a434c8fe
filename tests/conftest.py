"""What all tests share: Hypothesis profiles with the same examples everywhere, and no failure because a machine was busy; a Redis;
the names of failing tests as they fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests import failures
from tests.redis_server import RedisServer

pytest_configure = failures.pytest_configure

settings.register_profile("house", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("search", deadline=None, max_examples=2_000)
settings.load_profile("house")


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One for all who take a prefix of their own and let it live."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()
