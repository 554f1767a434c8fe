"""The set-up of all tests: a Redis, the names of failing tests as they fail, and an event loop that the machine does not hurry.

Hypothesis profiles have the same examples everywhere, and fail no test because a machine was busy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest
from hypothesis import settings

from tests import failures
from tests.redis_server import RedisServer
from tests.unhurried import UnhurriedLoop

pytest_configure = failures.pytest_configure

settings.register_profile("house", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("search", deadline=None, max_examples=2_000)
settings.load_profile("house")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], UnhurriedLoop]]:
    """Return the event loop that runs every coroutine test."""
    return {"unhurried": UnhurriedLoop}


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Yield a Redis for all tests that take a prefix of their own and do not stop it."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()
