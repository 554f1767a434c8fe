"""A running service while its Redis is frozen, dead, full, a replica, emptied, forgetful or set back, and after that."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.callers import call
from tests.e2e.processes import ANY_PORT, Serving, Yard, until, write_registry
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
    """Yield a service that lives through all faults."""
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
    """Make Redis unable to write. With `always` it would end itself; with `everysec` it answers MISCONF."""
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


# -- emptied, forgetful, set back


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    redis = RedisServer(tmp_path / "redis")
    yield redis
    redis.kill()


@pytest.fixture
def own_yard(tmp_path: Path) -> Iterator[Yard]:
    yard = Yard(tmp_path, forks=True)
    write_registry(tmp_path / "registry.jsonl", FLEET)
    yield yard
    yard.closes()


def serves(yard: Yard, redis: RedisServer) -> Serving:
    """Start the service after an import, as a new user does."""
    imported = yard.runs("import", str(yard.folder / "registry.jsonl"), "--store", redis.url())
    assert imported.status == 0, imported.said
    return yard.serves(store=redis.url(), FEED_KEY=KEY)


def reasons(serving: Serving) -> list[str]:
    found: list[str] = json.loads(call(serving.http, "GET", "/readyz").body)["reasons"]
    return found


def sentences(serving: Serving) -> str:
    """Return the sentences of `/health` on the store."""
    return str(json.loads(call(serving.http, "GET", "/health").body)["store"]["troubles"])


def copies(redis: RedisServer, to: Path) -> Path:
    shutil.copytree(redis.folder / "appendonlydir", to)
    return to


def comes_back_with(redis: RedisServer, copy: Path) -> None:
    redis.kill()
    shutil.rmtree(redis.folder / "appendonlydir")
    shutil.copytree(copy, redis.folder / "appendonlydir")
    redis.start()


def test_r51_a_redis_whose_log_is_switched_off_is_not_written_to_until_it_is_on_again(
    own_yard: Yard, own_redis: RedisServer
) -> None:
    serving = serves(own_yard, own_redis)
    with Witness(serving) as witness:
        own_redis.says("CONFIG", "SET", "appendonly", "no")
        assert until(lambda: reasons(serving) == ["store_not_durable"])
        witness.is_refused()
        assert "appendonly yes" in sentences(serving)
        own_redis.says("CONFIG", "SET", "appendonly", "yes")
        witness.is_served()


def test_r51_a_redis_with_an_older_copy_is_refused_until_it_has_the_newer(
    own_yard: Yard, own_redis: RedisServer, tmp_path: Path
) -> None:
    serving = serves(own_yard, own_redis)
    older = copies(own_redis, tmp_path / "older")
    with Witness(serving) as witness:
        newer = copies(own_redis, tmp_path / "newer")
        comes_back_with(own_redis, older)
        assert until(lambda: reasons(serving) == ["store_behind"])
        witness.is_refused()
        comes_back_with(own_redis, newer)
        witness.is_served()


def test_an_emptied_redis_is_named_and_no_restart_begins_an_empty_store(own_yard: Yard, own_redis: RedisServer) -> None:
    serving = serves(own_yard, own_redis)
    with Witness(serving) as witness:
        own_redis.says("FLUSHALL")
        assert until(lambda: reasons(serving) == ["store_emptied"])
        witness.is_refused()
        assert "FLUSHALL" in sentences(serving)
    serving.process.is_killed()
    where = ("--http", ANY_PORT, "--jt808", ANY_PORT, "--store", own_redis.url())
    for command in (("serve", *where), ("import", str(own_yard.folder / "registry.jsonl"), *where[-2:])):
        refused = own_yard.runs(*command)
        assert refused.status == 2, refused.said
        assert "served here before" in refused.err
        assert "--new" in refused.err
    assert own_redis.says("DBSIZE") == b":0\r\n"
    assert own_yard.serves("--new", store=own_redis.url()).process.stops().status == 0
