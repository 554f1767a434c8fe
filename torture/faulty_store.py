"""A store that misbehaves: slow, failing before or after a write, silent for seconds, down; gone with its process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final, TypeVar

from persistence.stats import StoreStats
from persistence.store import Checkpoint, Delete, Document, Page, Put, StoreUnavailable
from torture.memory_store import Disk, MemoryStore

if TYPE_CHECKING:
    from torture.loop import Process

T = TypeVar("T")

AT_ONCE: Final = 0.7
STALL_S: Final = (0.5, 12.0)
"""Seconds of a silence: from shorter than any patience to longer than all."""


@dataclass(slots=True)
class Weather:
    """The disk's behaviour just now; probabilities are of each write (``torn``) or of each call."""

    chance: Random
    slowest_s: float = 0.002
    fails: float = 0.0
    torn: float = 0.0
    """Probability that a write is done and its caller is told that it failed: a time-out."""
    stalls: float = 0.0
    down: bool = False
    tried: Counter[str] = field(default_factory=Counter)
    """Faults so far, by kind."""

    def delay_s(self) -> float:
        """Return a call's delay: often one turn of the loop, else up to the slowest."""
        share = self.chance.random()
        return 0.0 if share < AT_ONCE else share * self.slowest_s

    def clear_up(self) -> None:
        """End all faults from now on."""
        self.slowest_s, self.down = 0.002, False
        self.fails = self.torn = self.stalls = 0.0


class FaultyStore:
    """A ``Store`` that takes its time and fails as the weather has it; a killed process writes nothing any longer."""

    def __init__(self, disk: Disk, weather: Weather, process: Process) -> None:
        self.name = "memory:"
        self._store = MemoryStore(disk)
        self._weather = weather
        self._process = process

    async def _before(self) -> None:
        weather = self._weather
        delay_s = weather.delay_s()
        if weather.stalls and weather.chance.random() < weather.stalls:
            weather.tried["the store stalls"] += 1
            delay_s = weather.chance.uniform(*STALL_S)
        await asyncio.sleep(delay_s)
        if weather.down:
            weather.tried["the store is down"] += 1
            raise StoreUnavailable("the store is down")
        if weather.fails and weather.chance.random() < weather.fails:
            weather.tried["the store fails before it has written"] += 1
            raise StoreUnavailable("the store failed")

    async def _write(self, write: Callable[[], Awaitable[T]], torn: Callable[[], None] = lambda: None) -> T:
        await self._before()
        answer = await write()
        weather = self._weather
        await asyncio.sleep(weather.delay_s())
        if weather.torn and weather.chance.random() < weather.torn:
            weather.tried["the store fails after it has written"] += 1
            torn()
            raise StoreUnavailable("no answer in time")
        return answer

    async def get(self, kind: str, keys: Sequence[str]) -> Mapping[str, Document]:
        """See ``Store.get``."""
        await self._before()
        return await self._store.get(kind, keys)

    async def find(
        self, kind: str, index: str, value: str, *, after: str | None = None, limit: int = 100, descending: bool = False
    ) -> Page:
        """See ``Store.find``."""
        await self._before()
        return await self._store.find(kind, index, value, after=after, limit=limit, descending=descending)

    async def count(self, kind: str, index: str, value: str) -> int:
        """See ``Store.count``."""
        await self._before()
        return await self._store.count(kind, index, value)

    async def index_values(self, kind: str, index: str) -> Sequence[tuple[str, str]]:
        """See ``Store.index_values``."""
        await self._before()
        return await self._store.index_values(kind, index)

    async def commit(self, writes: Sequence[Put | Delete]) -> None:
        """See ``Store.commit``."""
        if writes:
            await self._write(lambda: self._store.commit(writes))

    async def append(self, entry: bytes) -> int:
        """See ``Store.append``."""
        return await self._write(lambda: self._store.append(entry), lambda: self._store.disk.on_torn(entry))

    async def read_log(self, *, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """See ``Store.read_log``."""
        await self._before()
        return await self._store.read_log(after=after, limit=limit)

    async def trim_log(self, *, through: int) -> int:
        """See ``Store.trim_log``."""
        return await self._write(lambda: self._store.trim_log(through=through))

    async def checkpoint(self, checkpoint: Checkpoint) -> None:
        """See ``Store.checkpoint``."""
        await self._write(lambda: self._store.checkpoint(checkpoint))

    async def watermarks(self) -> Mapping[int, int]:
        """See ``Store.watermarks``."""
        await self._before()
        return await self._store.watermarks()

    async def states(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """See ``Store.states``."""
        await self._before()
        return await self._store.states(keys)

    async def hot_states(self, partition: int) -> Sequence[tuple[str, bytes]]:
        """See ``Store.hot_states``."""
        return await self._store.hot_states(partition)

    async def secret(self, name: str) -> bytes:
        """See ``Store.secret``."""
        await self._before()
        return await self._store.secret(name)

    async def serve_alone(self) -> None:
        """See ``Store.serve_alone``."""
        await self._store.serve_alone()

    def stats(self) -> StoreStats:
        """See ``Store.stats``."""
        return self._store.stats()

    async def close(self) -> None:
        """See ``Store.close``."""
        await self._store.close()
