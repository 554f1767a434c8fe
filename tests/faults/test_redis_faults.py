"""What does a running service do while its Redis is frozen, dead, full, a replica, or can't write, and after that?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.processes import Yard, write_registry
from tests.faults.witness import KEY, Witness
from tests.redis_house import RedisHouse
from tests.redis_server import RedisServer

pytestmark = pytest.mark.e2e

FLEET = 30


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    redis = RedisServer(tmp_path_factory.mktemp("redis"))
    yield redis
    redis.kill()


@contextmanager
def served(folder: Path, store: str) -> Iterator[Witness]:
    yard = Yard(folder, forks=True)
    try:
        file = write_registry(folder / "registry.jsonl", FLEET)
        assert yard.runs("import", str(file), "--store", store).status == 0
        serving = yard.serves(store=store, FEED_KEY=KEY)
        with Witness(serving) as witness:
            yield witness
        assert serving.process.stops().status == 0
    finally:
        yard.closes()


@pytest.fixture(scope="module")
def witness(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    """One service through all faults."""
    with served(tmp_path_factory.mktemp("yard"), redis.url()) as witness:
        yield witness


@contextmanager
def frozen(redis: RedisServer) -> Iterator[None]:
    redis.pause()
    yield
    redis.resume()


@contextmanager
def dead(redis: RedisServer) -> Iterator[None]:
    redis.kill()
    yield
    redis.start()


@contextmanager
def full(redis: RedisServer) -> Iterator[None]:
    redis.says("CONFIG", "SET", "maxmemory", "1")
    yield
    redis.says("CONFIG", "SET", "maxmemory", "0")


@contextmanager
def replica(redis: RedisServer) -> Iterator[None]:
    redis.says("REPLICAOF", "127.0.0.1", "1")
    yield
    redis.says("REPLICAOF", "NO", "ONE")


@contextmanager
def unable_to_write(redis: RedisServer) -> Iterator[None]:
    """With `always` it would end itself; with `everysec` it lives, and answers MISCONF."""
    redis.says("CONFIG", "SET", "appendfsync", "everysec")
    redis.may_write(False)
    while not redis.says("SET", "somebody else's", "x").startswith(b"-MISCONF"):
        pass
    yield
    redis.may_write(True)
    redis.says("CONFIG", "SET", "appendfsync", "always")


@pytest.mark.parametrize("fault", [frozen, dead, full, replica, unable_to_write])
def test_r51_while_redis_fails_nothing_is_acknowledged_and_after_that_nothing_is_missing(
    redis: RedisServer, witness: Witness, fault: object
) -> None:
    with fault(redis):  # type: ignore[operator]  # one of those above
        witness.is_refused()
    witness.is_served()


def test_r51_a_fail_over_is_a_pause_for_those_who_use_the_service(tmp_path: Path) -> None:
    """The old primary is frozen, and comes back as one that does not know what happened."""
    house = RedisHouse(tmp_path / "redis", replicas=2)
    try:
        with served(tmp_path, house.url()) as witness:
            house.primary.pause()
            assert not witness.moves_on(), "acknowledged by a primary that does not run"
            witness.is_served()
            house.primary.resume()
            for _ in range(5):
                witness.moves_on()
                witness.is_served()
    finally:
        house.end()
