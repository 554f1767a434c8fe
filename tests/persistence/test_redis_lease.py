"""Tests that exactly one service writes at a time, though holders are killed, frozen and cut off."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from persistence.redis.address import RedisAddress
from persistence.redis.store import RedisStore
from persistence.store import Put, StoreUnavailable
from tests.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
LEASE_S = 1.5
ANSWER_S = 1.0

SERVES = """
import asyncio, os, sys
from persistence.redis.store import RedisStore
from persistence.redis.address import RedisAddress
from persistence.store import StoreUnavailable

async def main():
    store = await RedisStore.open(RedisAddress.parse(sys.argv[1]), lease_s=float(sys.argv[2]))
    await store.serve_alone()
    print("serving", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    try:
        await store.append(b"the old one's")
        print("written", flush=True)
    except StoreUnavailable as error:
        print(error, flush=True)
    os._exit(0)

asyncio.run(main())
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis")
    yield server
    server.kill()


@pytest.fixture
def url(shared_redis: RedisServer, tmp_path: Path) -> str:
    return shared_redis.url(tmp_path.name)


@pytest_asyncio.fixture
async def holder(url: str) -> AsyncIterator[Process]:
    """Another process that serves this store, and writes to it when it gets a line."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVES, url, str(LEASE_S), cwd=ROOT, stdin=PIPE, stdout=PIPE
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"serving\n"
    yield child
    if child.returncode is None:
        child.kill()
    await child.communicate()


class Opener:
    """Opens stores, and closes them when the test is over, however it ended."""

    def __init__(self) -> None:
        self.stores: list[RedisStore] = []

    async def __call__(self, url: str, *, lease_s: float = LEASE_S) -> RedisStore:
        store = await RedisStore.open(RedisAddress.parse(url), answer_s=ANSWER_S, lease_s=lease_s)
        self.stores.append(store)
        return store


@pytest_asyncio.fixture
async def opened() -> AsyncIterator[Opener]:
    opener = Opener()
    yield opener
    await asyncio.gather(*(store.close() for store in opener.stores))


async def renewed(store: RedisStore, server: RedisServer) -> None:
    """Returns when the store's holder has its lease (again)."""
    while server.says("EXISTS", "shouwang:lease") != b":1\r\n":
        await store.watermarks()


async def test_the_next_start_waits_for_the_lease_of_one_that_was_killed(
    opened: Opener, url: str, holder: Process
) -> None:
    store = await opened(url)
    holder.kill()
    await holder.wait()
    began = asyncio.get_running_loop().time()
    await store.serve_alone()
    assert asyncio.get_running_loop().time() - began < 2 * LEASE_S
    await store.append(b"x")


async def test_one_that_was_frozen_past_its_lease_can_not_write_past_its_successor(
    opened: Opener, url: str, holder: Process
) -> None:
    assert holder.stdin is not None
    assert holder.stdout is not None
    store = await opened(url)
    holder.send_signal(signal.SIGSTOP)
    await store.serve_alone()
    number = await store.append(b"the new one's")
    holder.send_signal(signal.SIGCONT)
    holder.stdin.write(b"\n")
    assert b"taken it over" in await holder.stdout.readline()
    assert list(await store.read_log(after=0, limit=9)) == [(number, b"the new one's")]


async def test_one_that_lives_keeps_its_store_and_is_named(opened: Opener, url: str, holder: Process) -> None:
    store = await opened(url)
    with pytest.raises(StoreUnavailable, match=rf"another service.*process {holder.pid}\b"):
        await store.serve_alone()
    await store.commit([Put("note", "an import's", b"")])
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.write(b"\n")
    assert await holder.stdout.readline() == b"written\n"


async def test_a_clean_end_lets_the_next_in_at_once(opened: Opener, url: str) -> None:
    first, second = await opened(url), await opened(url)
    await first.serve_alone()
    await first.close()
    began = asyncio.get_running_loop().time()
    await second.serve_alone()
    assert asyncio.get_running_loop().time() - began < LEASE_S / 2


async def test_of_many_starts_at_once_one_gets_it(opened: Opener, url: str) -> None:
    stores = [await opened(url) for _ in range(5)]
    outcomes = await asyncio.gather(*(store.serve_alone() for store in stores), return_exceptions=True)
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, StoreUnavailable) for outcome in outcomes) == 4


async def test_a_lease_that_ran_out_while_redis_was_away_is_taken_up_again(server: RedisServer, opened: Opener) -> None:
    store, newcomer = await opened(server.url(), lease_s=ANSWER_S / 2), await opened(server.url())
    await store.serve_alone()
    server.pause()
    with pytest.raises(StoreUnavailable):  # which takes longer than the lease
        await store.append(b"lost")
    server.resume()
    await store.append(b"kept")
    await renewed(store, server)
    with pytest.raises(StoreUnavailable, match="another service"):
        await newcomer.serve_alone()
    assert [entry for _, entry in await store.read_log(after=0, limit=9)] == [b"kept"]


async def test_a_lease_survives_a_restart_of_redis(server: RedisServer, opened: Opener) -> None:
    store, newcomer = await opened(server.url()), await opened(server.url())
    await store.serve_alone()
    server.kill()
    server.start()
    await renewed(store, server)
    with pytest.raises(StoreUnavailable, match="another service"):
        await newcomer.serve_alone()
    await store.append(b"x")


async def test_one_that_lost_its_lease_says_so_and_leaves_its_successors_alone(
    server: RedisServer, opened: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = await opened(server.url()), await opened(server.url())
    await first.serve_alone()
    server.says("DEL", "shouwang:lease")
    await second.serve_alone()
    held = server.says("HGET", "shouwang:lease", "id")
    while "taken it over" not in caplog.text:
        await first.watermarks()
    assert server.says("HGET", "shouwang:lease", "id") == held
    with pytest.raises(StoreUnavailable, match="taken it over"):
        await first.commit([Put("note", "a", b"")])
    await second.commit([Put("note", "a", b"", expected_version=0)])
