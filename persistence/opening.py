"""Opens the store that a name means, and does for the command line what is not serving: move, back up, restore."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from persistence.moving import moving
from persistence.moving.facts import Tally
from persistence.moving.moving import Destination, Source
from persistence.sqlite import backup as sqlite_backup
from persistence.sqlite.claim import is_served, refuse_strange_files
from persistence.sqlite.moving import SqliteDestination, SqliteSource
from persistence.sqlite.store import SqliteStore
from persistence.store import NoSuchStore, Store, without_password

if TYPE_CHECKING:
    from persistence.redis.address import RedisAddress

log = logging.getLogger(__name__)

Held = TypeVar("Held", bound=Source)

_REDIS: Final = ("redis", "rediss", "redis+sentinel", "rediss+sentinel")


async def open_store(name: str, *, new: bool = False, notes: Path | None = None) -> Store:
    """Open the store of this name. A missing one is made where none was served before, or if it is to be ``new``.

    ``notes`` is the folder that notes which Redis stores were served from this machine. Raises ``StoreError``.
    """
    place = _place(name)
    if isinstance(place, Path):
        refuse_strange_files(place)
        return await SqliteStore.open(place, new=new)
    from persistence.redis.store import RedisStore

    return await RedisStore.open(place, new=new, notes=notes)


async def export(name: str, file: Path) -> str:
    """Export everything that a store holds into a new file; return what to print, as the other commands do."""
    place = _place(name)
    if isinstance(place, Path) and is_served(place):
        log.warning("a service is using sqlite:%s: what it takes in from now on is not exported", place)
    async with _closing(await _source(place)) as source:
        tally = await moving.move_out(source, file, now=time.time())
        return _told(tally, f"exported {source.name} to {file}")


async def import_facts(name: str, file: Path) -> str:
    """Import all of an exported file into an empty store."""
    async with _closing(await _destination(_place(name))) as destination:
        tally = await moving.move_in(file, destination)
        return _told(tally, f"imported {file} into {destination.name}")


async def back_up(name: str, file: Path) -> str:
    """Copy an embedded store, while its service runs."""
    refuse_strange_files(_file(name))
    tally = await sqlite_backup.backup(_file(name), file)
    return _told(tally, f"backed up {name} to {file}; it is whole")


async def restore(name: str, file: Path) -> str:
    """Restore an embedded store from its backup, where there is none."""
    tally = sqlite_backup.restore(file, _file(name))
    return _told(tally, f"restored {file} to {name}; it is whole")


COMMANDS: Final[Mapping[str, Callable[[str, Path], Coroutine[None, None, str]]]] = {
    "export": export,
    "backup": back_up,
    "restore": restore,
}


def _place(name: str) -> Path | RedisAddress:
    kind, _, where = name.partition(":")
    if kind == "sqlite" and where:
        return Path(where)
    if kind not in _REDIS:
        raise NoSuchStore(
            f"--store {without_password(name)}: sqlite:PATH or redis://HOST:PORT/DB is needed, "
            "for example sqlite:data/shouwang.db"
        )
    from persistence.redis.address import RedisAddress

    try:
        return RedisAddress.parse(name)
    except ValueError as error:
        raise NoSuchStore(f"--store {without_password(name)}: {error}") from None


def _file(name: str) -> Path:
    place = _place(name)
    if isinstance(place, Path):
        return place
    raise NoSuchStore(f"--store {place.name}: a Redis is backed up by its own means: see docs/operations.md")


async def _source(place: Path | RedisAddress) -> Source:
    if isinstance(place, Path):
        refuse_strange_files(place)
        return SqliteSource.open(place)
    from persistence.redis.moving import RedisSource

    return await RedisSource.open(place)


async def _destination(place: Path | RedisAddress) -> Destination:
    if isinstance(place, Path):
        refuse_strange_files(place)
        return SqliteDestination(place)
    from persistence.redis.moving import RedisDestination

    return await RedisDestination.open(place)


@asynccontextmanager
async def _closing(held: Held) -> AsyncIterator[Held]:
    try:
        yield held
    finally:
        await held.close()


def _told(tally: Tally, done: str) -> str:
    width = max(map(len, tally.counts), default=0)
    counts = [f"{kind:<{width}}  {number:>10,}" for kind, number in sorted(tally.counts.items())]
    return "\n".join([*counts, f"checksum {tally.checksum}", done])
