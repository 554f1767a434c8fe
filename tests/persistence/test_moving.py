"""Tests that everything moves from one store into another, all of it or nothing."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import count as counting
from pathlib import Path
from struct import unpack_from

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.registry import partition_of
from persistence.moving import facts as facts_module
from persistence.moving.facts import Fact
from persistence.moving.facts_file import FILE_FORMAT, MAGIC, Header, tally_of
from persistence.moving.moving import Destination, move_in
from persistence.records import FORMAT
from persistence.store import Checkpoint, Delete, IndexEntry, Put, Store, StoreError, StoreFormatError, StoreUnavailable
from tests.persistence.houses import (
    House,
    RedisHouse,
    SqliteHouse,
    fill,
    holds,
    is_there,
    moves_in,
    moves_out,
    note,
    read,
    states_of,
    write,
)
from tests.redis_server import RedisServer

HouseOf = Callable[[str], House]
_NUMBERS = counting()


def sqlite_houses(request: pytest.FixtureRequest, folder: Path) -> HouseOf:
    return lambda name: SqliteHouse(folder / f"{name}.db")


def redis_houses(request: pytest.FixtureRequest, folder: Path) -> HouseOf:
    server: RedisServer = request.getfixturevalue("shared_redis")
    number = next(_NUMBERS)
    return lambda name: RedisHouse(server.url(f"house-{number}-{name}"))


KINDS = {"redis": redis_houses, "sqlite": sqlite_houses}


@pytest.fixture(params=sorted(KINDS))
def house_of(request: pytest.FixtureRequest, tmp_path: Path) -> HouseOf:
    return KINDS[request.param](request, tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "house.facts"


@pytest.fixture
async def full(tmp_path: Path) -> SqliteHouse:
    house = SqliteHouse(tmp_path / "full.db")
    await fill(house)
    return house


# -- round trips


async def test_sqlite_to_redis_to_sqlite_ends_with_the_same_counts_and_checksum(
    full: SqliteHouse, shared_redis: RedisServer, tmp_path: Path
) -> None:
    redis, back = RedisHouse(shared_redis.url(tmp_path.name)), SqliteHouse(tmp_path / "back.db")
    first = await moves_out(full, tmp_path / "1")
    assert await moves_in(tmp_path / "1", redis) == first
    assert await moves_out(redis, tmp_path / "2") == first
    assert await moves_in(tmp_path / "2", back) == first
    assert await holds(back) == first
    assert first.counts["note"] == 20
    assert first.counts["(vehicle states)"] == 600


async def test_what_moved_in_is_served_as_before(full: SqliteHouse, house_of: HouseOf, file: Path) -> None:
    await moves_out(full, file)
    await moves_in(file, house_of("new"))
    before, after = await full.store(), await house_of("new").store()
    assert await seen(after) == await seen(before)
    await after.serve_alone()
    assert await after.append(b"next") == await before.append(b"next") == 8
    await after.commit([note(3, b"third")])
    assert (await after.get("note", ["键3"]))["键3"].version == 3
    assert await after.count("note", "by_day", "0") == 7
    await before.close()
    await after.close()


async def seen(store: Store) -> Sequence[object]:
    """Return the data that a service reads at its start, and some lists."""
    page = await store.find("note", "all", "", limit=50, descending=True)
    return (
        page.documents,
        [document.key for document in (await store.find("note", "by_day", "1")).documents],
        dict(await store.get("audit", ["a"])),
        sorted(await store.index_values("note", "by_day")),
        dict(await store.watermarks()),
        dict(await store.states([str(number) for number in range(600)])),
        [sorted(await store.hot_states(partition)) for partition in range(3)],
        await store.secret("registry"),
        await store.secret("jt808-auth"),
        await store.read_log(after=4, limit=10),
    )


KEYS = st.text("aZ\0\1\2:键~", min_size=1, max_size=5)
ENTRIES = st.lists(
    st.builds(IndexEntry, st.sampled_from(["i", "j"]), st.text("a\0\1é", max_size=3), st.text("b\0:", max_size=3)),
    max_size=3,
).map(tuple)
PUTS = st.builds(Put, st.sampled_from(["k", "registry.x"]), KEYS, st.binary(max_size=40), ENTRIES)
DELETES = st.builds(Delete, st.sampled_from(["k", "registry.x"]), KEYS)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    writes=st.lists(st.one_of(PUTS, DELETES), min_size=1, max_size=12),
    states=st.dictionaries(KEYS, st.tuples(st.binary(max_size=20), st.booleans()), max_size=5),
    log=st.lists(st.binary(max_size=30), max_size=5),
    trimmed=st.integers(0, 6),
)
async def test_whatever_a_store_holds_has_the_same_checksum_in_both(
    shared_redis: RedisServer,
    tmp_path: Path,
    writes: list[Put | Delete],
    states: dict[str, tuple[bytes, bool]],
    log: list[bytes],
    trimmed: int,
) -> None:
    number = next(_NUMBERS)
    sqlite, back = SqliteHouse(tmp_path / f"{number}.db"), SqliteHouse(tmp_path / f"{number}-back.db")
    redis = RedisHouse(shared_redis.url(f"any-{number}"))
    for house in (sqlite, redis):
        await act(await house.store(), writes, states, log, trimmed)
    there = await holds(sqlite)
    assert there == await holds(redis)
    if there.counts:
        await moves_out(redis, tmp_path / f"{number}")
        assert await moves_in(tmp_path / f"{number}", back) == there


async def act(
    store: Store, writes: list[Put | Delete], states: dict[str, tuple[bytes, bool]], log: list[bytes], trimmed: int
) -> None:
    await store.commit(writes)
    for entry in log:
        await store.append(entry)
    for key, (record, hot) in states.items():
        await store.checkpoint(Checkpoint(partition_of(key), 1, [(key, record, hot)]))
    await store.trim_log(through=trimmed)
    await store.close()


async def test_only_what_no_state_holds_yet_moves_of_the_log(house_of: HouseOf, file: Path) -> None:
    await fill(house_of("old"), log=9, checkpointed=5)
    moved = await moves_out(house_of("old"), file)
    assert moved.counts["(telemetry log entries)"] == 4
    await moves_in(file, house_of("new"))
    store = await house_of("new").store()
    assert [number for number, _ in await store.read_log(after=0, limit=99)] == [6, 7, 8, 9]
    await store.close()


async def test_the_last_entry_moves_although_all_states_hold_it(house_of: HouseOf, file: Path) -> None:
    await fill(house_of("old"), log=3, checkpointed=3)
    assert (await moves_out(house_of("old"), file)).counts["(telemetry log entries)"] == 1


async def test_a_number_of_an_emptied_log_never_comes_again(house_of: HouseOf, file: Path) -> None:
    await fill(house_of("old"), log=6, checkpointed=6)
    store = await house_of("old").store()
    await store.trim_log(through=6)
    await store.close()
    await moves_out(house_of("old"), file)
    await moves_in(file, house_of("new"))
    store = await house_of("new").store()
    assert await store.read_log(after=0, limit=9) == []
    assert await store.append(b"next") == 7
    await store.close()


# -- what is refused, before anything is touched


async def test_a_store_that_holds_anything_is_left_as_it_was(full: SqliteHouse, house_of: HouseOf, file: Path) -> None:
    await moves_out(full, file)
    store = await house_of("lived-in").store()
    await store.secret("registry")
    await store.close()
    before = await holds(house_of("lived-in"))
    with pytest.raises(StoreUnavailable, match="something in it already"):
        await moves_in(file, house_of("lived-in"))
    assert await holds(house_of("lived-in")) == before
    await (await house_of("lived-in").store()).close()


async def test_nobody_moves_into_what_a_service_uses(full: SqliteHouse, house_of: HouseOf, file: Path) -> None:
    await moves_out(full, file)
    store = await house_of("new").store()
    await store.serve_alone()
    with pytest.raises(StoreUnavailable, match="another service"):
        await moves_in(file, house_of("new"))
    await store.close()


async def test_a_redis_that_a_service_uses_is_not_exported(
    shared_redis: RedisServer, file: Path, tmp_path: Path
) -> None:
    house = RedisHouse(shared_redis.url(tmp_path.name))
    await fill(house)
    store = await house.store()
    await store.serve_alone()
    with pytest.raises(StoreUnavailable, match="another service"):
        await moves_out(house, file)
    await store.close()
    assert not is_there(file)


async def test_a_sqlite_store_is_exported_as_it_was_when_the_export_began(full: SqliteHouse, file: Path) -> None:
    before = await holds(full)
    store = await full.store()
    await store.serve_alone()
    source = await full.source()
    await store.commit([note(99)])
    await store.append(b"later")
    chunks = [chunk async for chunk in source.facts()]
    await source.close()
    assert sum(isinstance(fact, facts_module.DocumentFact) for chunk in chunks for fact in chunk) == 22
    await store.close()
    assert await holds(full) != before


async def test_an_import_that_writes_while_a_redis_is_exported_is_noticed(
    shared_redis: RedisServer, tmp_path: Path
) -> None:
    house = RedisHouse(shared_redis.url(tmp_path.name))
    await fill(house)
    store, source = await house.store(), await house.source()

    async def read_on() -> None:
        async for _ in source.facts():
            await store.commit([Put("registry.revision", "newest", b"\x92\x01\x02"), note(next(_NUMBERS) + 1_000)])

    with pytest.raises(StoreUnavailable, match="meanwhile"):
        await read_on()
    await source.close()
    await store.close()


async def test_an_empty_store_has_nothing_to_export(house_of: HouseOf, file: Path) -> None:
    await (await house_of("empty").store()).close()
    with pytest.raises(StoreUnavailable, match="nothing in it"):
        await moves_out(house_of("empty"), file)
    assert not is_there(file)


async def test_a_file_that_is_there_is_not_written_over(full: SqliteHouse, file: Path) -> None:
    write(file, b"a letter")
    with pytest.raises(StoreUnavailable, match="there already"):
        await moves_out(full, file)
    assert read(file) == b"a letter"
    assert sorted(file.parent.glob(".*")) == []


async def test_an_export_is_for_its_user_only(full: SqliteHouse, file: Path) -> None:
    await moves_out(full, file)
    assert os.stat(file).st_mode & 0o077 == 0


@pytest.fixture
async def frames(full: SqliteHouse, file: Path, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The frames of an export in small chunks, each with its length."""
    monkeypatch.setattr(facts_module, "CHUNK_FACTS", 25)
    await moves_out(full, file)
    return list(frames_of(gzip.decompress(read(file))))


def frames_of(content: bytes) -> Iterator[bytes]:
    while content:
        (length,) = unpack_from(">I", content)
        yield content[: 4 + length]
        content = content[4 + length :]


async def test_a_file_torn_at_any_border_is_refused_and_nothing_made(
    frames: list[bytes], tmp_path: Path, file: Path
) -> None:
    assert len(frames) > 30
    house = SqliteHouse(tmp_path / "new.db")
    for end in range(len(frames)):
        write(file, gzip.compress(b"".join(frames[:end])))
        with pytest.raises(StoreFormatError, match="not a whole file"):
            await moves_in(file, house)
    assert not is_there(house.path)


async def test_a_file_torn_anywhere_is_refused(full: SqliteHouse, file: Path) -> None:
    await moves_out(full, file)
    content = read(file)
    for end in range(0, len(content), max(1, len(content) // 200)):
        write(file, content[:end])
        with pytest.raises(StoreFormatError, match="not a whole file"):
            tally_of(file)


async def test_a_part_that_is_missing_doubled_or_changed_is_refused(frames: list[bytes], file: Path) -> None:
    assert len(set(frames)) == len(frames)
    changed = bytearray(frames[5])
    changed[-1] ^= 1
    for others in (frames[:5] + frames[6:], frames[:6] + frames[5:], [*frames[:5], bytes(changed), *frames[6:]]):
        write(file, gzip.compress(b"".join(others)))
        with pytest.raises(StoreFormatError, match="not a whole file"):
            tally_of(file)
    write(file, gzip.compress(b"".join(frames) + b"\0"))
    with pytest.raises(StoreFormatError, match="follows its end"):
        tally_of(file)


@pytest.mark.parametrize(
    "header, said",
    [
        (Header(MAGIC, FILE_FORMAT + 1, FORMAT, 0.0), "newer program"),
        (Header(MAGIC, FILE_FORMAT, FORMAT + 1, 0.0), "newer program"),
        (Header(MAGIC, FILE_FORMAT, FORMAT - 1, 0.0), "the program that exported it"),
        (Header("somebody else's", FILE_FORMAT, FORMAT, 0.0), "not a whole file"),
    ],
    ids=["newer file", "newer facts", "older facts", "another's"],
)
async def test_a_file_of_another_format_is_refused_and_nothing_made(
    frames: list[bytes], file: Path, tmp_path: Path, header: Header, said: str
) -> None:
    packed = msgspec.msgpack.encode(header)
    write(file, gzip.compress(b"".join([len(packed).to_bytes(4, "big") + packed, *frames[1:]])))
    with pytest.raises(StoreFormatError, match=said):
        await moves_in(file, SqliteHouse(tmp_path / "new.db"))
    assert not is_there(tmp_path / "new.db")


@pytest.mark.parametrize("content", [b"", b"a letter", gzip.compress(b"\xff" * 100)], ids=["empty", "text", "gzip"])
def test_what_is_no_file_of_facts_is_refused(file: Path, content: bytes) -> None:
    write(file, content)
    with pytest.raises(StoreFormatError, match="not a whole file"):
        tally_of(file)


# -- a crash in the middle


class Crash(Exception):
    """Ends the process: nothing runs after it."""


class Crashing:
    """A destination whose process ends after so many steps."""

    def __init__(self, inner: Destination, steps: int) -> None:
        self.name = inner.name
        self.facts = inner.facts
        self.close = inner.close
        self._inner = inner
        self._steps = steps

    async def begin(self) -> None:
        await self._inner.begin()
        self._step()

    async def load(self, facts: Sequence[Fact]) -> None:
        await self._inner.load(facts)
        self._step()

    async def reveal(self) -> None:
        self._step()
        await self._inner.reveal()

    def _step(self) -> None:
        self._steps -= 1
        if self._steps <= 0:
            raise Crash


async def crashes(file: Path, house: House, steps: int) -> bool:
    """Tell whether the crash was reached."""
    destination = await house.destination()
    try:
        await move_in(file, Crashing(destination, steps))
    except Crash:
        return True
    finally:
        await destination.close()
    return False


async def test_a_crash_at_any_step_leaves_what_nobody_opens_and_the_next_import_makes_whole(
    full: SqliteHouse, house_of: HouseOf, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts_module, "CHUNK_FACTS", 200)
    moved = await moves_out(full, file)
    house, steps = house_of("new"), counting(1)
    while await crashes(file, house, next(steps)):
        with pytest.raises(StoreFormatError, match="import --facts"):
            await house.store()
        with pytest.raises(StoreError, match="import --facts"):
            await house.source()
    assert next(steps) > 6
    assert await holds(house) == moved
    await (await house.store()).close()


async def test_nothing_of_a_move_that_crashed_is_left_in_the_next_one(
    full: SqliteHouse, house_of: HouseOf, file: Path, tmp_path: Path
) -> None:
    await moves_out(full, file)
    store = await full.store()
    await store.commit([Delete("note", "键7"), Delete("plain", "p")])
    await store.close()
    moved = await moves_out(full, tmp_path / "smaller")
    assert await crashes(file, house_of("new"), 2)
    assert await moves_in(tmp_path / "smaller", house_of("new")) == moved


async def test_a_store_that_somebody_wrote_to_meanwhile_is_not_shown(
    full: SqliteHouse, house_of: HouseOf, file: Path
) -> None:
    await moves_out(full, file)
    intruder = await house_of("new").store()  # open since before the import began
    destination = await house_of("new").destination()

    class Interrupted(Crashing):
        async def load(self, facts: Sequence[Fact]) -> None:
            await super().load(facts)
            await intruder.commit([note(1_234)])

    with pytest.raises(StoreUnavailable, match="does not hold what was written"):
        await move_in(file, Interrupted(destination, 1_000))
    await destination.close()
    await intruder.close()
    with pytest.raises(StoreFormatError, match="import --facts"):
        await house_of("new").store()


def test_every_partition_has_states_in_these_tests() -> None:
    assert sum(len(states_of(partition)) for partition in range(256)) == 600
