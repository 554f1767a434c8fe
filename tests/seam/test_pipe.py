"""Tests that a pipe carries the three verbs, bounded, in order and to a clean end, both ends in one process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from actors.people.share_link import ShareOver, ViewShare
from actors.system.asks import A, Ask
from actors.system.runtime import ActorFailed
from actors.system.supervisor import Unanswered, Watcher
from actors.wire import encode_message
from domain.identifiers import PlateColor
from domain.people.share import Duration, Share
from domain.vehicle.fix import Batch
from domain.vehicle.quality import Outcome
from persistence.store import StoreUnavailable
from tests.seam import pipe as pipes
from tests.seam.host import Host
from tests.seam.pipe import Called, FrameTooLong, Said, pipe_over
from tests.seam.remote import RemoteShard, ShardLost

SHARE = Share("s1", "v1", "plate", PlateColor.YELLOW, "b1", "dan", "Dan", Duration.ONE_MONTH, 1.0, 2.0, "hash")
OVER = ShareOver("s1", "cancelled")


@dataclass
class Gated:
    """A shard that answers when the test says so."""

    begun: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    """The calls received: keys of asks, numbers of batches."""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    answer: Share = SHARE
    watchers: list[tuple[str, Watcher]] = field(default_factory=list)
    folded: list[int] = field(default_factory=list)

    async def ask(self, key: str, message: Ask[A]) -> A:
        self.begun.put_nowait(key)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        self.announce()
        return self.answer  # type: ignore[return-value]  # it is asked for nothing else

    async def route(self, batch: Batch) -> list[Outcome]:
        self.begun.put_nowait(batch.number)
        if batch.number:
            await self.gate.wait()
        self.folded.append(batch.number)
        return []

    async def watch(self, kind: str, key: str, watcher: Watcher) -> bool:
        if key == "down":
            raise StoreUnavailable("it is down")
        if key == "slow":
            self.begun.put_nowait(key)
            await self.gate.wait()
        self.watchers.append((key, watcher))
        return key != "none"

    def unwatch(self, kind: str, key: str, watcher: Watcher) -> None:
        self.watchers = [each for each in self.watchers if each != (key, watcher)]

    def announce(self) -> None:
        for _, watcher in self.watchers:
            watcher(OVER)


@dataclass
class Ends:
    """A parent, and its shard."""

    shard: Gated
    remote: RemoteShard
    serving: asyncio.Task[None]

    def ask(self, key: str) -> asyncio.Task[Any]:
        return asyncio.create_task(self.remote.ask(key, ViewShare(())))

    async def passes(self) -> None:
        """Wait until earlier frames have arrived: batches have a lane of their own, and nothing overtakes in a pipe."""
        await self.remote.route(Batch(0, 0.0, []))


async def ends_of(shard: Gated, **limits: Any) -> Ends:
    hears, says = os.pipe(), os.pipe()
    host = Host(shard, await pipe_over(hears[0], says[1], Called))
    remote = RemoteShard(await pipe_over(says[0], hears[1], Said), **limits)

    async def serve() -> None:
        await host.serve()
        host._pipe.close()

    return Ends(shard, remote, asyncio.create_task(serve()))


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    """Yield both ends, with room for two calls."""
    ends = await ends_of(Gated(), calls=2)
    yield ends
    ends.shard.gate.set()
    await ends.remote.close()
    await ends.serving


def begun(ends: Ends) -> list[Any]:
    return [ends.shard.begun.get_nowait() for _ in range(ends.shard.begun.qsize())]


async def test_calls_beyond_the_bound_wait_and_are_answered_in_their_turn(ends: Ends) -> None:
    asked = [ends.ask(str(number)) for number in range(5)]
    await ends.passes()
    assert begun(ends) == ["0", "1", 0]
    ends.shard.gate.set()
    assert await asyncio.gather(*asked) == [SHARE] * 5
    assert begun(ends) == ["2", "3", "4"]


async def test_whoever_is_cancelled_is_forgotten_at_both_ends_and_makes_room(ends: Ends) -> None:
    asked = [ends.ask(key) for key in "abc"]
    await ends.passes()
    asked[0].cancel()
    asked[2].cancel()
    await ends.shard.cancelled.wait()
    more = ends.ask("d")
    await ends.passes()
    assert begun(ends) == ["a", "b", 0, "d", 0]
    ends.shard.gate.set()
    assert [await asked[1], await more] == [SHARE, SHARE]


async def test_a_batch_goes_on_without_its_caller_and_the_next_one_comes_after_it(ends: Ends) -> None:
    first, second = (asyncio.create_task(ends.remote.route(Batch(number, 0.0, []))) for number in (1, 2))
    assert await ends.shard.begun.get() == 1
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    asked = ends.ask("a")
    assert await ends.shard.begun.get() == "a"
    ends.shard.gate.set()
    await asked
    assert await second == []
    assert ends.shard.folded == [1, 2]


async def test_no_answer_in_time_is_unanswered_and_the_shard_stops_working_at_it() -> None:
    ends = await ends_of(Gated(), answer_s=0.05)
    with pytest.raises(Unanswered) as refused:
        await ends.ask("a")
    assert not isinstance(refused.value, ShardLost)
    await ends.shard.cancelled.wait()
    await ends.remote.close()
    await ends.serving


async def test_what_was_announced_before_an_answer_is_told_before_it(ends: Ends) -> None:
    told: list[object] = []
    assert await ends.remote.watch("share", "s1", told.append)
    ends.shard.gate.set()
    told.append(await ends.ask("s1"))
    assert told == [OVER, SHARE]


async def test_each_watcher_is_told_until_it_watches_no_more(ends: Ends) -> None:
    anna: list[object] = []
    ben: list[object] = []
    for told in (anna, ben, ben):
        assert await ends.remote.watch("share", "s1", told.append)
    ends.remote.unwatch("share", "s1", anna.append)
    ends.remote.unwatch("share", "s1", ben.append)
    ends.remote.unwatch("share", "s1", anna.append)
    await ends.passes()
    assert len(ends.shard.watchers) == 1
    ends.shard.announce()
    await ends.passes()
    assert (anna, ben) == ([], [OVER])


async def test_a_watch_that_comes_to_nothing_leaves_nothing(ends: Ends) -> None:
    heard: list[object] = []
    assert not await ends.remote.watch("share", "none", heard.append)
    with pytest.raises(StoreUnavailable, match="it is down"):
        await ends.remote.watch("share", "down", heard.append)
    given_up = asyncio.create_task(ends.remote.watch("share", "slow", heard.append))
    await ends.shard.begun.get()
    given_up.cancel()
    await ends.passes()
    ends.shard.gate.set()
    await ends.passes()
    assert ends.shard.watchers == []
    assert not ends.remote._watches
    assert not ends.remote._watchers


async def test_closing_answers_what_is_under_way_and_refuses_what_comes_later(ends: Ends) -> None:
    asked = ends.ask("a")
    await ends.passes()
    assert await ends.remote.watch("share", "s1", lambda event: None)
    closing = asyncio.create_task(ends.remote.close())
    await asyncio.sleep(0)
    ends.shard.gate.set()
    assert await asked == SHARE
    await closing
    await ends.serving
    assert ends.shard.watchers == []
    with pytest.raises(ShardLost):
        await ends.ask("b")


async def test_a_frame_that_is_too_long_is_its_own_call_s_matter(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "MAX_FRAME_BYTES", 200)
    ends.shard.gate.set()
    with pytest.raises(FrameTooLong):
        await ends.ask("k" * 200)
    ends.shard.answer = replace(SHARE, driver_name="D" * 200)
    with pytest.raises(ActorFailed):
        await ends.ask("a")
    ends.shard.answer = SHARE
    assert await ends.ask("a") == SHARE


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x00\x00",
        b"\x00\x00\x00\x09\x93",
        b"\x00\x00\x00\x01\xc1",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x02\x91\xa0",
    ],
    ids=["nothing", "half a length", "half a frame", "no MessagePack", "too long", "no kind"],
)
async def test_a_shard_that_ends_or_talks_nonsense_is_lost_to_all_who_wait(said: bytes) -> None:
    hears, says = os.pipe(), os.pipe()
    remote = RemoteShard(await pipe_over(says[0], hears[1], Said), calls=1)
    asked = [asyncio.create_task(remote.ask(key, ViewShare(()))) for key in "abc"]
    await asyncio.sleep(0)
    os.write(says[1], said)
    os.close(says[1])
    assert [type(each) for each in await asyncio.gather(*asked, return_exceptions=True)] == [ShardLost] * 3
    await remote.lost()
    os.close(hears[0])


async def test_a_parent_that_takes_nothing_is_read_no_further() -> None:
    hears, says = os.pipe(), os.pipe()
    shard = Gated()
    shard.gate.set()
    shard.answer = replace(SHARE, driver_name="D" * 10_000)
    serving = asyncio.create_task(Host(shard, await pipe_over(hears[0], says[1], Called)).serve())
    deaf = await pipe_over(os.dup(says[0]), hears[1], Said)
    deaf._reader._transport.pause_reading()  # type: ignore[attr-defined]  # asyncio would read for us
    message = encode_message(ViewShare(()))
    for number in range(1000):
        deaf.send(pipes.Asked(number, "s1", message))
    for _ in range(5000):
        await asyncio.sleep(0)
    assert 5 <= shard.begun.qsize() <= 50
    os.close(says[0])
    deaf._reader._transport.close()  # type: ignore[attr-defined]
    deaf.close()
    with pytest.raises(ConnectionError):
        await serving
