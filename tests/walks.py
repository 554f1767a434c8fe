"""Counts what a call or a frame takes: Python calls of ours, files, moves between files and writes to the store.

``python -m tests.walks`` prints a table; ``docs/notebook/walks.md`` keeps those of before and after a change. Calls are those of the
event loop's thread: the thread that writes to SQLite is not looked at. Each walk is taken several times, and the least counts,
since timers of the service fall into some of them.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, Final

from persistence.opening import open_store
from persistence.store import Delete, Put, Store
from tests.acceptance.conftest import PEOPLE
from tests.acceptance.deeds import binds, looks, opens, shares, unbinds
from tests.acceptance.world import World
from tests.faulty_store import FaultyStore

ROOT: Final = Path(__file__).parent.parent
OUTSIDE: Final = ("tests/", "bench/", ".venv/", "torture/")
TIMES: Final = 5

Step = Callable[[], Awaitable[Any]]


@dataclass(order=True)
class Walk:
    """The cost of a walk."""

    calls: int = 0
    moves: int = 0
    """Calls that lead from one file into another."""
    writes: int = 0
    files: set[str] = field(default_factory=set, compare=False)
    seen: set[FrameType] = field(default_factory=set, compare=False)
    last: str = field(default="", compare=False)

    def look(self, frame: FrameType, event: str, _: object) -> None:
        """Is called at each call of a function, and each time a coroutine goes on, which is no new call."""
        name = frame.f_code.co_filename
        if event != "call" or not name.startswith(f"{ROOT}/") or name[len(str(ROOT)) + 1 :].startswith(OUTSIDE):
            return
        if frame not in self.seen:
            self.seen.add(frame)
            self.calls += 1
        self.moves += name != self.last
        self.files.add(name)
        self.last = name


class Counting(FaultyStore):
    """Counts the writes of a walk."""

    walk = Walk()

    async def commit(self, writes: Sequence[Put | Delete]) -> None:
        self.walk.writes += 1
        await super().commit(writes)

    async def append(self, entry: bytes) -> int:
        self.walk.writes += 1
        return await super().append(entry)


class Counted(World):
    """Its store counts."""

    async def _opening(self, name: str) -> Store:
        return Counting(await open_store(name))


async def walked(step: Step, before: Step | None = None) -> Walk:
    """The least of several; ``before`` is done before each, and not counted."""
    walks = []
    for _ in range(TIMES):
        if before is not None:
            await before()
        walk = Counting.walk = Walk()
        sys.setprofile(walk.look)
        try:
            await step()
        finally:
            sys.setprofile(None)
            Counting.walk = Walk()
        walks.append(walk)
    return min(walks)


async def all_walks(world: World) -> dict[str, Walk]:
    """Return the walks by name."""
    driver, viewer = await world.natural(1), await world.natural(11)
    binding, last = "", {"id": "", "token": ""}

    async def bound() -> None:
        nonlocal binding
        if binding:
            await unbinds(driver, binding)
        binding = await binds(driver, 1)

    async def shared() -> None:
        nonlocal last
        last = await shares(driver, binding)

    async def bound_and_shared() -> None:
        await bound()
        await shared()

    async def bound_and_shared_thrice() -> None:
        await bound()
        for _ in range(3):
            await shared()

    async def unbound() -> None:
        nonlocal binding
        await unbinds(driver, binding)
        binding = ""

    walks: dict[str, Walk] = {}
    async with world.truck(1) as truck:
        await truck.signs_on()
        at = iter(range(int(world.now) - 100, int(world.now)))
        walks["frame → acknowledgement"] = await walked(lambda: truck.reports(next(at)))
    walks["share made"] = await walked(shared, bound)
    walks["link opened"] = await walked(lambda: opens(viewer, last["token"]), bound_and_shared)
    walks["poll"] = await walked(lambda: looks(viewer, last["id"]))
    walks["unbinding with three shares"] = await walked(unbound, bound_and_shared_thrice)
    return walks


async def measured(folder: Path) -> dict[str, Walk]:
    """Measure the walks on a new SQLite store."""
    world = Counted(f"sqlite:{folder / 'walks.db'}")
    await world.imports(*PEOPLE)
    await world.start()
    try:
        return await all_walks(world)
    finally:
        await world.stop()


def table(walks: dict[str, Walk]) -> str:
    """Markdown."""
    lines = [
        f"| {name} | {walk.calls} | {len(walk.files)} | {walk.moves} | {walk.writes} |" for name, walk in walks.items()
    ]
    return "\n".join(["| walk | calls | files | moves | writes |", "| --- | ---: | ---: | ---: | ---: |", *lines])


def main() -> None:
    with TemporaryDirectory() as folder:
        print(table(asyncio.run(measured(Path(folder)))))


if __name__ == "__main__":
    main()
