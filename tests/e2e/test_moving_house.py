"""Everything is there after a backup, a kill and a restore, and after moving to another kind of store."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Self

import pytest

from gateway.jt808.codec import message_ids as ids
from persistence.moving.moving import move_out
from persistence.sqlite.moving import SqliteSource
from persistence.sqlite.store import SqliteStore
from persistence.store import IndexEntry, Put
from sim.household import Household, make_household
from sim.registry_lines import identity
from tests.e2e.callers import bearer, call, own_vehicles, starts_of_alerts
from tests.e2e.processes import SEED, Ended, Yard, until
from tests.e2e.trucks import Report, Truck, report
from tests.patience import PATIENCE_S
from tests.redis_server import RedisServer

pytestmark = pytest.mark.e2e

TRUCKS: Final = 8
EMERGENCY: Final = 2
LONGEST_DRIVE: Final = 3_500
"""Reports; each is a second further of the truck's clock."""
ENOUGH: Final = 40
"""Reports of every truck before a backup begins, and again while it may be running."""
BIG: Final = 30_000
"""Documents: what takes an import some seconds."""
PASSING: Final = ("age_s", "last_watched_at")
"""Fields that depend on the time of asking."""


class Traffic:
    """Trucks that report as fast as they are answered, each in a thread, until they are told to stop or are cut off."""

    def __init__(self, jt808: str, *, after: Traffic | None = None) -> None:
        """``after`` an earlier drive the trucks go on where they were; reports of before would be older than the newest."""
        self.acknowledged: list[int] = list(after.acknowledged) if after else [-1] * TRUCKS
        self._since: int = after._since if after else int(time.time()) - LONGEST_DRIVE
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._drive, args=(index, jt808)) for index in range(TRUCKS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def goes_on(self, reports: int) -> None:
        """Returns when every truck was acknowledged so many more."""
        goal = [number + reports for number in self.acknowledged]
        assert until(lambda: all(a >= b for a, b in zip(self.acknowledged, goal, strict=True))), self.acknowledged

    def report_of(self, index: int, second: int) -> Report:
        return report(index, self._since, second, emergency=second == EMERGENCY)

    def _drive(self, index: int, jt808: str) -> None:
        try:
            with Truck(identity(SEED, index), jt808) as truck:
                truck.signs_on()
                for second in range(self.acknowledged[index] + 1, LONGEST_DRIVE):
                    assert truck.reports(self.report_of(index, second)) == ids.RESULT_OK
                    self.acknowledged[index] = second
                    if self._stopping.is_set():
                        return
        except ConnectionError:
            return


def household_of(http: str) -> Household:
    return asyncio.run(make_household(f"http://{http}", seed=SEED))


def told(http: str, people: Household) -> dict[str, Any]:
    """Return each person's view: bindings, shares, delegations, the shared truck, the audit list."""
    asked = [
        ("driver's vehicles", "/api/v1/driver/vehicles", people.driver_token),
        ("driver's shares", "/api/v1/driver/shares", people.driver_token),
        ("delegations", "/api/v1/driver/delegations", people.driver_token),
        ("driver's audit", "/api/v1/me/audit", people.driver_token),
        ("family's shares", "/api/v1/family/shares", people.family_token),
        ("family's view", f"/api/v1/family/shares/{people.share_id}", people.family_token),
        ("family's audit", "/api/v1/me/audit", people.family_token),
        ("owner's vehicles", "/api/v1/owner/vehicles?limit=200", people.owner_token),
        ("owner's audit", "/api/v1/me/audit", people.owner_token),
    ]
    return {what: lasting(answer(http, path, token)) for what, path, token in asked}


def answer(http: str, path: str, token: str) -> Any:
    answered = call(http, "GET", path, headers=bearer(token))
    assert answered.status == 200, (path, answered)
    return json.loads(answered.body)


def lasting(value: Any) -> Any:
    """Remove the fields that depend on the time of asking."""
    if isinstance(value, dict):
        return {name: lasting(part) for name, part in value.items() if name not in PASSING}
    return [lasting(part) for part in value] if isinstance(value, list) else value


def succeeded(ended: Ended) -> str:
    """The checksum that it told."""
    assert ended.status == 0, ended.said
    return next(line.split()[1] for line in ended.out.splitlines() if line.startswith("checksum "))


def refused(ended: Ended, said: str) -> None:
    assert ended.status == 2, ended.said
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_a_backup_of_a_busy_store_holds_all_that_was_acknowledged_before_it(yard: Yard) -> None:
    backup = yard.folder / "backup.db"
    serving = yard.serves(SHOUWANG_CHECKPOINT_S="0.3")
    people = household_of(serving.http)
    with Traffic(serving.jt808) as traffic:
        traffic.goes_on(ENOUGH)
        before = list(traffic.acknowledged)
        backed_up = succeeded(yard.runs("backup", str(backup), "--store", yard.store_name))
        traffic.goes_on(ENOUGH)
        lists = told(serving.http, people)
        refused(yard.runs("restore", str(backup), "--store", yard.store_name), "another service")
        serving.process.is_killed()
    yard.loses_its_store()
    assert succeeded(yard.runs("restore", str(backup), "--store", yard.store_name)) == backed_up

    again = yard.serves()
    seen = own_vehicles(again.http, people.owner_token)
    for index, second in enumerate(before):
        vehicle = seen[identity(SEED, index).plate]
        assert vehicle.last_fix is not None
        assert vehicle.last_fix.fixed_at >= traffic.report_of(index, second).fixed_at, f"truck {index}"
        assert vehicle.last_fix.fixed_at < traffic.report_of(index, traffic.acknowledged[index]).fixed_at
        starts = starts_of_alerts(again.http, people.owner_token, vehicle.id, "emergency")
        assert starts == [traffic.report_of(index, EMERGENCY).fixed_at]
    after = told(again.http, people)
    for what in lists.keys() - {"family's view", "owner's vehicles", "family's shares", "driver's vehicles"}:
        assert after[what] == lists[what], what


@pytest.fixture
def redis(shared_redis: RedisServer, tmp_path: Path) -> str:
    return shared_redis.url(tmp_path.name)


def test_who_moves_to_redis_and_back_sees_the_same(yard: Yard, redis: str) -> None:
    serving = yard.serves()
    people = household_of(serving.http)
    with Traffic(serving.jt808) as first:
        first.goes_on(ENOUGH)
    before = told(serving.http, people)
    serving.process.is_killed()

    moved = succeeded(yard.runs("export", "1.facts", "--store", yard.store_name))
    assert succeeded(yard.runs("import", "--facts", "1.facts", "--store", redis)) == moved
    assert succeeded(yard.runs("export", "2.facts", "--store", redis)) == moved
    refused(yard.runs("import", "--facts", "1.facts", "--store", redis), "something in it already")
    on_redis = yard.serves(store=redis)
    assert told(on_redis.http, people) == before
    refused(yard.runs("export", "3.facts", "--store", redis), "another service")
    with Traffic(on_redis.jt808, after=first) as second:
        second.goes_on(ENOUGH)
    after = told(on_redis.http, people)
    assert after["family's view"] != before["family's view"]
    assert on_redis.process.stops().status == 0

    moved = succeeded(yard.runs("export", "3.facts", "--store", redis))
    back = f"sqlite:{yard.folder / 'back.db'}"
    assert succeeded(yard.runs("import", "--facts", "3.facts", "--store", back)) == moved
    assert told(yard.serves(store=back).http, people) == after


@pytest.fixture(scope="session")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export that takes some seconds to import."""
    folder = tmp_path_factory.mktemp("big")

    async def make() -> None:
        store = await SqliteStore.open(folder / "big.db")
        for start in range(0, BIG, 5_000):
            numbers = range(start, start + 5_000)
            await store.commit([Put("note", str(n), bytes(100), (IndexEntry("i", str(n % 9)),)) for n in numbers])
        await store.close()
        source = SqliteSource.open(folder / "big.db")
        await move_out(source, folder / "big.facts", now=0.0)
        await source.close()

    asyncio.run(make())
    return folder / "big.facts"


def test_an_import_killed_in_the_middle_is_no_store_until_it_is_done_again(empty_yard: Yard, big: Path) -> None:
    yard = empty_yard
    importing = yard.starts("import", "--facts", str(big), "--store", yard.store_name)
    assert until(lambda: importing.is_over or documents(yard.store) > 1_000)
    importing.is_killed()
    assert 1_000 < documents(yard.store) < BIG
    refused(yard.runs("serve", "--store", yard.store_name), "import --facts")
    refused(yard.runs("export", "half.facts", "--store", yard.store_name), "import --facts")
    assert succeeded(yard.runs("import", "--facts", str(big), "--store", yard.store_name))
    assert documents(yard.store) == BIG
    assert yard.serves().process.stops().status == 0


def documents(path: Path) -> int:
    """Count the documents that another process has committed."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM documents").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
