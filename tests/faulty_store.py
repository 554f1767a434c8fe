"""A real store that fails, or kills its process, at a commit of the test's choice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from persistence.stats import StoreStats
from persistence.store import Checkpoint, Delete, Document, Page, Put, Store, StoreConflict, StoreUnavailable


class Fault(StrEnum):
    """The effect at the chosen commit; to kill means that nothing of this process ever goes on."""

    KILL_BEFORE = "kill before"
    KILL_AFTER = "kill after"
    FAIL_BEFORE = "fail before"
    FAIL_AFTER = "fail after"
    """The commit is durable, and its answer was lost."""
    CONFLICT = "conflict"
    BREAK_BEFORE = "break before"
    """An unexpected error is raised: a bug, so that the actor starts again."""
    BREAK_AFTER = "break after"
    GO_DOWN = "go down"
    """This and every later call fails, reads too, until ``repair``."""


KILLS = (Fault.KILL_BEFORE, Fault.KILL_AFTER)


@dataclass(frozen=True)
class Plan:
    """The fault comes at the commit with this number, from 1, counted since it was planned."""

    fault: Fault
    at: int


class FaultyStore:
    """See the module; ``commits`` counts those asked for, ``written`` remembers every document that ever was."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.name = store.name
        self.commits = 0
        self.killed = asyncio.Event()
        self.struck = False
        self.down = False
        self.written: set[tuple[str, str]] = set()
        self._plan: Plan | None = None
        self._counted_from = 0

    def plan(self, fault: Fault, at: int) -> None:
        """The one fault to come; replaces one that was planned before."""
        self._plan, self._counted_from, self.struck = Plan(fault, at), self.commits, False

    def forget_plan(self) -> None:
        """Drop faults that have not struck yet."""
        self._plan = None

    def repair(self) -> None:
        """Make the store answer again."""
        self.down = False
        self.forget_plan()

    async def commit(self, writes: Sequence[Put | Delete]) -> None:
        await self._look()
        self.commits += 1
        fault = self._due()
        if fault is not None:
            await self._strike(fault, writes)
            return
        await self._commit(writes)

    def _due(self) -> Fault | None:
        plan = self._plan
        if plan is None or self.commits - self._counted_from != plan.at:
            return None
        self._plan, self.struck = None, True
        return plan.fault

    async def _strike(self, fault: Fault, writes: Sequence[Put | Delete]) -> None:
        if fault in (Fault.KILL_AFTER, Fault.FAIL_AFTER, Fault.BREAK_AFTER):
            await self._commit(writes)
        if fault in KILLS:
            self.killed.set()
            await self._look()
        self.down = fault is Fault.GO_DOWN
        if fault in (Fault.BREAK_BEFORE, Fault.BREAK_AFTER):
            raise RuntimeError(f"planned at commit {self.commits}")
        if fault is Fault.CONFLICT:
            raise StoreConflict(f"planned at commit {self.commits}")
        raise StoreUnavailable(f"planned at commit {self.commits}")

    async def _commit(self, writes: Sequence[Put | Delete]) -> None:
        self.written.update((write.kind, write.key) for write in writes)
        await self.store.commit(writes)

    async def _look(self) -> None:
        if self.killed.is_set():
            await asyncio.get_running_loop().create_future()  # A dead process waits for ever.
        if self.down:
            raise StoreUnavailable("planned to be down")

    # -- what only is passed on ------------------------------------------------------------------------------------

    async def get(self, kind: str, keys: Sequence[str]) -> Mapping[str, Document]:
        await self._look()
        return await self.store.get(kind, keys)

    async def find(
        self, kind: str, index: str, value: str, *, after: str | None = None, limit: int = 100, descending: bool = False
    ) -> Page:
        await self._look()
        return await self.store.find(kind, index, value, after=after, limit=limit, descending=descending)

    async def count(self, kind: str, index: str, value: str) -> int:
        await self._look()
        return await self.store.count(kind, index, value)

    async def index_values(self, kind: str, index: str) -> Iterable[tuple[str, str]]:
        await self._look()
        return await self.store.index_values(kind, index)

    async def append(self, entry: bytes) -> int:
        await self._look()
        return await self.store.append(entry)

    async def read_log(self, *, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        await self._look()
        return await self.store.read_log(after=after, limit=limit)

    async def trim_log(self, *, through: int) -> int:
        await self._look()
        return await self.store.trim_log(through=through)

    async def checkpoint(self, checkpoint: Checkpoint) -> None:
        await self._look()
        await self.store.checkpoint(checkpoint)

    async def watermarks(self) -> Mapping[int, int]:
        await self._look()
        return await self.store.watermarks()

    async def states(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        await self._look()
        return await self.store.states(keys)

    async def hot_states(self, partition: int) -> Sequence[tuple[str, bytes]]:
        await self._look()
        return await self.store.hot_states(partition)

    async def secret(self, name: str) -> bytes:
        await self._look()
        return await self.store.secret(name)

    async def serve_alone(self) -> None:
        await self._look()
        await self.store.serve_alone()

    def stats(self) -> StoreStats:
        return self.store.stats()

    async def close(self) -> None:
        await self.store.close()
