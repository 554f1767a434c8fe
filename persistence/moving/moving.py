"""Moves everything from one store into another, all of it or nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

from persistence.moving.facts import Fact, Tally
from persistence.moving.facts_file import read_facts, tally_of, write_facts
from persistence.store import StoreUnavailable


class Source(Protocol):
    """A store as it is at one instant. Every method may raise ``StoreError``, saying what to do."""

    name: str

    def facts(self) -> AsyncIterator[list[Fact]]:
        """Yield everything in the store, about a megabyte at a time."""
        ...

    async def close(self) -> None: ...


class Destination(Source, Protocol):
    """A store to move into: it can't be opened from ``begin`` to ``reveal``."""

    async def begin(self) -> None:
        """Mark the store as half moved in. Refuses one that holds anything, unless a move left it behind."""
        ...

    async def load(self, facts: Sequence[Fact]) -> None: ...

    async def reveal(self) -> None:
        """Take the mark away: the store is like any other now."""
        ...


async def move_out(source: Source, file: Path, *, now: float) -> Tally:
    """Write everything into a new file. Raises ``StoreUnavailable`` for a store that holds nothing."""
    return await write_facts(file, _something(source), taken_at=now)


async def move_in(file: Path, destination: Destination) -> Tally:
    """Load the whole file into an empty store. Raises ``StoreError`` when either can't be; the store then stays as it
    was.

    The file is read twice: the store is not touched before all of the file is known to be right. The written facts are
    read back before the store can be opened.
    """
    expected = tally_of(file)
    await destination.begin()
    for chunk in read_facts(file):
        await destination.load(chunk)
    found = await count(destination)
    if found != expected:
        raise StoreUnavailable(
            f"store {destination.name}: it does not hold what was written (checksum {found.checksum}, not "
            f"{expected.checksum}): did another process write to it? Import again"
        )
    await destination.reveal()
    return found


async def count(source: Source) -> Tally:
    """Return the number of facts and their checksum."""
    tally = Tally()
    async for chunk in source.facts():
        tally.add(chunk)
    return tally


async def _something(source: Source) -> AsyncIterator[list[Fact]]:
    chunk = None
    async for chunk in source.facts():
        yield chunk
    if chunk is None:
        raise StoreUnavailable(f"store {source.name}: there is nothing in it to export; is --store the right one?")
