"""Tests that an older store is upgraded to the present format with all its content, or left unchanged."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from actors.vehicles.state import VehicleRecord
from domain.identifiers import PlateColor
from domain.people.audit import AuditRecord
from domain.registry import RegisteredPerson, partition_of, vehicle_id
from domain.vehicle.alarm_bits import EMERGENCY
from domain.vehicle.alerts import Alert
from persistence.records import FORMAT, decode, decode_batch
from persistence.redis import steps as redis_steps
from persistence.redis.address import RedisAddress
from persistence.redis.layout import Keys
from persistence.redis.link import Link
from persistence.redis.primary import Primary
from persistence.registry.lookups import Registry
from persistence.sqlite import file as sqlite_file
from persistence.sqlite import steps as sqlite_steps
from persistence.sqlite.claim import PlaceLock
from persistence.sqlite.steps import META
from persistence.sqlite.store import SqliteStore
from persistence.store import Document, StoreUnavailable
from sim.registry_lines import identity
from tests.persistence.houses import RedisHouse, SqliteHouse, fill, holds
from tests.redis_server import RedisServer

OLD_STORES = {number: Path(__file__).with_name(f"format_{number}.sql") for number in (1, 2)}
SEED = 7
FIRST, SECOND, THIRD = (
    vehicle_id(who.plate, PlateColor(who.plate_color)) for who in (identity(SEED, number) for number in range(3))
)


def left_behind(folder: Path, number: int) -> Path:
    """A store of that format as the program of its time left it behind when it was killed."""
    path = folder / "old.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(OLD_STORES[number].read_text("utf-8"))
        connection.execute("PRAGMA journal_mode=WAL")
    return path


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Of format 1."""
    return left_behind(tmp_path, 1)


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [*connection.iterdump(), str(connection.execute("PRAGMA user_version").fetchone())]


@pytest.fixture
async def brought_up(old: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(old)
    yield store
    await store.close()


async def test_the_log_of_a_store_of_format_1_is_read(brought_up: SqliteStore) -> None:
    entries = await brought_up.read_log(after=0, limit=99)
    batches = [decode_batch(entry) for _, entry in entries]
    assert [number for number, _ in entries] == [1, 2, 3, 4, 5, 6, 7]
    assert [fix.terminal for _, [fix] in batches] == [identity(SEED, 0).phone] * 3 + [identity(SEED, 1).phone] * 4
    assert [fix.fixed_at - batches[0][1][0].fixed_at for _, [fix] in batches] == [0, 1, 2, 10, 11, 12, 13]
    assert [bool(fix.alarms & EMERGENCY) for _, [fix] in batches] == [False, True, False, False, False, True, False]


async def test_the_vehicles_of_a_store_of_format_1_come_back_with_the_registrys_limit(brought_up: SqliteStore) -> None:
    registered = await (await Registry.open(brought_up)).vehicles([FIRST, SECOND])
    state = decode((await brought_up.states([FIRST]))[FIRST], VehicleRecord)
    assert state.newest is not None
    assert state.applied == 3
    assert state.limit_dkmh == registered[FIRST].speed_limit_kmh * 10
    assert registered.keys() == {FIRST, SECOND}
    page = await brought_up.find("alert", "vehicle", FIRST)
    assert [decode(found.record, Alert).kind for found in page.documents] == ["emergency"]


async def test_the_audit_of_a_store_of_format_1_is_kept(brought_up: SqliteStore) -> None:
    audit = [decode(found.record, AuditRecord) for found in await every(brought_up, "audit")]
    assert [record.action for record in audit] == ["signed_in", "signed_in"]
    assert all(len(record.account_ids) == 1 for record in audit)
    (account_id,) = {account_id for record in audit for account_id in record.account_ids}
    assert await brought_up.count("audit", "account", account_id) == 2


async def test_a_certificates_number_of_format_1_is_no_longer_kept_whole(brought_up: SqliteStore) -> None:
    persons = [decode(found.record, RegisteredPerson) for found in await every(brought_up, "registry.person")]
    numbers = [person.qualification.number for person in persons if person.qualification is not None]
    assert numbers == ["*" * 14 + "4615"]


async def every(store: SqliteStore, kind: str) -> list[Document]:
    keys = [key for _, key in await store.index_values(kind, "account" if kind == "audit" else "all")]
    return list((await store.get(kind, keys)).values())


def test_records_that_a_store_of_format_1_has_in_the_later_form_stay_as_they_are(old: Path) -> None:
    with closing(sqlite3.connect(old)) as connection:
        sqlite_steps.migrate(connection, 1, 2, sqlite_steps.STEPS)
        before = [*connection.iterdump()]
        connection.execute("DROP TABLE meta")
        sqlite_steps.migrate(connection, 1, 2, sqlite_steps.STEPS)
        assert [*connection.iterdump()] == before


async def test_the_vehicles_of_a_store_of_format_2_come_back_online_and_offline_as_they_were(tmp_path: Path) -> None:
    store = await SqliteStore.open(left_behind(tmp_path, 2))
    states = await store.states([FIRST, SECOND, THIRD])
    drove, silent = (decode(states[key], VehicleRecord) for key in (FIRST, SECOND))
    assert (drove.applied, silent.applied) == (3, 4)
    assert drove.newest is not None
    assert drove.newest.terminal == identity(SEED, 0).phone
    assert THIRD not in states, "it reported after the last checkpoint: the log has it"
    assert await store.hot_states(partition_of(FIRST)) == [(FIRST, states[FIRST])]
    assert list(await store.hot_states(partition_of(SECOND))) == []
    await store.close()


async def test_an_older_store_that_a_service_uses_is_left_as_it_was(old: Path) -> None:
    before = dump(old)
    with PlaceLock(old), pytest.raises(StoreUnavailable, match="another service"):
        await SqliteStore.open(old)
    assert dump(old) == before


@pytest.fixture
def steps_break(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(connection: sqlite3.Connection) -> None:
        connection.execute(META)
        connection.execute("DELETE FROM documents")
        raise sqlite3.OperationalError("disk is full")

    monkeypatch.setitem(sqlite_steps.STEPS, 1, breaks)


@pytest.mark.usefixtures("steps_break")
async def test_a_step_that_fails_leaves_the_older_store_as_it_was(old: Path) -> None:
    before = dump(old)
    with pytest.raises(StoreUnavailable, match="disk is full"):
        await SqliteStore.open(old)
    assert dump(old) == before


def test_steps_are_taken_in_order_and_only_those_that_are_missing() -> None:
    taken: list[int] = []
    steps = {number: lambda _, number=number: taken.append(number) for number in range(1, 6)}
    with closing(sqlite3.connect(":memory:")) as connection:
        sqlite_steps.migrate(connection, 2, 5, steps)
        assert connection.execute("PRAGMA user_version").fetchone() == (5,)
    assert taken == [2, 3, 4]


# -- Redis


async def test_a_redis_of_format_1_is_brought_up_with_all_that_is_in_it(
    shared_redis: RedisServer, tmp_path: Path
) -> None:
    house = RedisHouse(shared_redis.url(tmp_path.name))
    await fill(house)
    before = await holds(house)
    shared_redis.says("HSET", f"{tmp_path.name}:meta", "format", "1")
    await (await house.store()).close()
    assert shared_redis.says("HGET", f"{tmp_path.name}:meta", "format") == b"$1\r\n%d\r\n" % FORMAT
    assert await holds(house) == before


async def test_a_redis_of_an_older_format_that_a_service_uses_is_left_as_it_was(
    shared_redis: RedisServer, tmp_path: Path
) -> None:
    house = RedisHouse(shared_redis.url(tmp_path.name))
    store = await house.store()
    await store.serve_alone()
    shared_redis.says("HSET", f"{tmp_path.name}:meta", "format", "1")
    with pytest.raises(StoreUnavailable, match="another service"):
        await house.store()
    assert shared_redis.says("HGET", f"{tmp_path.name}:meta", "format") == b"$1\r\n1\r\n"
    await store.close()


async def test_a_step_that_a_crash_cut_in_two_is_taken_again(shared_redis: RedisServer, tmp_path: Path) -> None:
    address = RedisAddress.parse(shared_redis.url(tmp_path.name))
    link = Link(Primary(address), address.name, connections=2)
    taken: list[int] = []
    broken = [True]

    async def step(link: Link, keys: Keys) -> None:
        taken.append(len(taken))
        await link.ask(("HSET", keys.secrets, "made", "by a step"))

    async def breaks_once(link: Link, keys: Keys) -> None:
        await step(link, keys)
        if broken:
            broken.clear()
            raise StoreUnavailable("cut")

    steps = {1: step, 2: breaks_once, 3: step}
    with pytest.raises(StoreUnavailable, match="cut"):
        await redis_steps.migrate(link, address, 1, wanted=4, steps=steps)
    (found,) = await link.ask(("HGET", f"{tmp_path.name}:meta", "format"))
    assert int(found) == 2
    await redis_steps.migrate(link, address, int(found), wanted=4, steps=steps)
    assert len(taken) == 4
    assert await link.ask(("HGET", f"{tmp_path.name}:meta", "format")) == [b"4"]
    await link.close()


def test_both_stores_have_a_step_from_each_older_format() -> None:
    assert sorted(redis_steps.STEPS) == list(range(1, FORMAT))
    assert sorted(sqlite_steps.STEPS) == list(range(1, sqlite_file.FORMAT))


async def test_an_older_store_is_exported_in_the_present_format(old: Path) -> None:
    before = await holds(SqliteHouse(old))
    assert before.counts["(telemetry log entries)"] == 4
    assert before.counts["audit"] == 2
