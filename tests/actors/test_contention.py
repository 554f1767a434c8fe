"""Commands that meet on one vehicle or one link come out as if one had come after the other, on both stores."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from pathlib import Path
from typing import Any

import pytest

from actors.people.document_actor import MAX_TRIES
from domain.errors import Busy, LinkTaken, NotFound, ShareEnded, TooManyShares
from domain.people.driver import Binding
from domain.people.share import Share
from persistence.redis.address import RedisAddress
from persistence.redis.store import RedisStore
from persistence.sqlite.store import SqliteStore
from persistence.store import Put, StoreConflict
from tests.actors.facts import check
from tests.actors.people_house import PeopleHouse, dont_wait_for_the_disk

DRIVERS = 30


@pytest.fixture(params=["sqlite", "redis"])
async def people(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PeopleHouse]:
    if request.param == "sqlite":
        dont_wait_for_the_disk(monkeypatch)
        house = PeopleHouse(await SqliteStore.open(tmp_path / "store.db"))
    else:
        url = request.getfixturevalue("shared_redis").url(tmp_path.name)
        house = PeopleHouse(await RedisStore.open(RedisAddress.parse(url)))
    await house.household.recover()
    yield house
    await house.die()
    await house.store.close()


async def at_once(commands: Iterable[Awaitable[Any]]) -> list[Any]:
    """Return each command's answer or refusal."""
    return await asyncio.gather(*commands, return_exceptions=True)


def kinds(answers: list[Any]) -> Counter[type]:
    return Counter(map(type, answers))


async def test_r18_of_thirty_drivers_who_share_one_vehicle_at_once_three_do(people: PeopleHouse) -> None:
    for number in range(DRIVERS):
        await people.bind(f"d{number}", "v1", f"b{number}")
    commits = people.store.commits
    answers = await at_once(people.share(f"d{number}", f"b{number}", f"s{number}") for number in range(DRIVERS))
    assert kinds(answers) == {Share: 3, TooManyShares: DRIVERS - 3}
    # In each round one gets through, and whoever looks after the third does not try.
    assert people.store.commits - commits <= 3 * DRIVERS
    await check(people.store, people.clock.now())


async def test_r18_thirty_commands_of_one_driver_at_once_make_three_shares(people: PeopleHouse) -> None:
    await people.bind("dan", "v1", "b1")
    commits = people.store.commits
    answers = await at_once(people.share("dan", "b1", f"s{number}") for number in range(DRIVERS))
    assert kinds(answers) == {Share: 3, TooManyShares: DRIVERS - 3}
    assert people.store.commits - commits == 3  # One after the other, so none conflicts.
    await check(people.store, people.clock.now())


async def test_r20_of_thirty_who_open_while_the_driver_unbinds_one_opens_at_most(people: PeopleHouse) -> None:
    await people.bind("dan", "v1", "b1")
    await people.share("dan", "b1", "s1")
    opens = [people.open("s1", f"viewer-{number}") for number in range(DRIVERS)]
    *answers, unbound = await at_once([*opens, people.unbind("dan", "b1")])
    assert isinstance(unbound, Binding)
    assert kinds(answers)[Share] <= 1
    assert kinds(answers).keys() <= {Share, ShareEnded, LinkTaken}
    with pytest.raises((ShareEnded, NotFound)):
        await people.view("s1", "viewer-0")
    await check(people.store, people.clock.now())


async def test_r41_an_owners_unbinding_and_the_drivers_share_leave_no_live_share(people: PeopleHouse) -> None:
    for number in range(10):
        binding_id = f"b{number}"
        await people.bind("dan", "v1", binding_id)
        shared, unbound = await at_once(
            (people.share("dan", binding_id, f"s{number}"), people.unbind_as_owner("uscc-1", binding_id))
        )
        assert isinstance(shared, Share | NotFound)
        assert isinstance(unbound, Binding)
    facts = await check(people.store, people.clock.now())
    assert all(each.ended is not None for each in facts.shares.values())


async def test_r21_others_who_share_and_cancel_without_pause_hold_up_no_cancel(people: PeopleHouse) -> None:
    async def shares_and_cancels(driver: str) -> list[Any]:
        cancelled = []
        for number in range(10):
            await at_once([people.share(driver, f"b-{driver}", f"{driver}-{number}")])
            cancelled.append(await people.cancel(driver, binding_id=f"b-{driver}"))
        return cancelled

    drivers = [f"d{number}" for number in range(8)]
    for driver in drivers:
        await people.bind(driver, "v1", f"b-{driver}")
    cancelled = await asyncio.gather(*map(shares_and_cancels, drivers))
    facts = await check(people.store, people.clock.now())
    assert all(each.ended is not None for each in facts.shares.values())
    assert sum(map(sum, cancelled)) == len(facts.shares)


async def test_whoever_never_comes_first_is_told_so_after_so_many_tries(people: PeopleHouse) -> None:
    await people.bind("dan", "v1", "b1")
    await people.share("dan", "b1", "s1")
    store, tries = people.store.store, 0

    async def another_comes_first(writes: list[Put]) -> None:
        nonlocal tries
        tries += 1
        raise StoreConflict("another came first")

    commit, store.commit = store.commit, another_comes_first  # type: ignore[method-assign,assignment]
    with pytest.raises(Busy):
        await people.cancel("dan", binding_id="b1")
    with pytest.raises(Busy):
        await people.open("s1", "anna")
    store.commit = commit  # type: ignore[method-assign]
    assert tries == 2 * MAX_TRIES
    await people.open("s1", "anna")
    assert await people.cancel("dan", binding_id="b1") == 1
    await check(people.store, people.clock.now())
