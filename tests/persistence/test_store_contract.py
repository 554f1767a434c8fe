"""Tests that every store keeps the promises of ``persistence.store``."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.registry import PACKS_A_PARTITION, pack_of, partition_of
from persistence.store import Checkpoint, Delete, IndexEntry, Put, Store, StoreConflict, StoreUnavailable


class Place(Protocol):
    async def open(self) -> Store: ...


def note(key: str, record: bytes = b"x", *, sort: str = "", value: str = "v", expected: int | None = None) -> Put:
    return Put("note", key, record, (IndexEntry("i", value, sort),), expected)


async def listed(store: Store, value: str = "v", *, limit: int = 100, descending: bool = False) -> list[str]:
    """Every key of an index value, fetched page by page."""
    keys: list[str] = []
    after: str | None = None
    while True:
        page = await store.find("note", "i", value, after=after, limit=limit, descending=descending)
        assert 0 < len(page.documents) <= limit or not keys
        keys += [document.key for document in page.documents]
        after = page.next
        if after is None:
            return keys


def keys_of_partition(partition: int, how_many: int) -> list[str]:
    found = (key for key in (f"vehicle-{number}" for number in count()) if partition_of(key) == partition)
    return [next(found) for _ in range(how_many)]


def keys_of_pack(pack: int, how_many: int) -> list[str]:
    found = (key for key in (f"vehicle-{number}" for number in count()) if pack_of(key) == pack)
    return [next(found) for _ in range(how_many)]


# -- documents


async def test_a_document_is_read_as_it_was_written_and_counts_its_versions(store: Store) -> None:
    await store.commit([note("a", b"1"), note("b", b"\x00\xff")])
    await store.commit([note("a", b"2")])
    found = await store.get("note", ["a", "b", "missing"])
    assert {key: (document.record, document.version) for key, document in found.items()} == {
        "a": (b"2", 2),
        "b": (b"\x00\xff", 1),
    }


async def test_kinds_do_not_share_keys(store: Store) -> None:
    await store.commit([note("a", b"1"), Put("other", "a", b"2")])
    assert (await store.get("note", ["a"]))["a"].record == b"1"
    assert (await store.get("other", ["a"]))["a"].record == b"2"


async def test_many_keys_are_read_at_once(store: Store) -> None:
    keys = [f"车-{number}-'\"" for number in range(2_500)]
    await store.commit([note(key) for key in keys])
    assert set(await store.get("note", keys)) == set(keys)


async def test_nothing_of_a_commit_stays_when_one_version_is_wrong(store: Store) -> None:
    await store.commit([note("a", b"old", sort="1")])
    with pytest.raises(StoreConflict):
        await store.commit([note("a", b"new", sort="2"), note("b"), note("a", expected=7)])
    assert (await store.get("note", ["a", "b"])).keys() == {"a"}
    assert (await store.get("note", ["a"]))["a"].record == b"old"
    assert await listed(store) == ["a"]


async def test_expecting_version_zero_means_that_it_must_not_exist(store: Store) -> None:
    await store.commit([note("a", b"first", expected=0)])
    with pytest.raises(StoreConflict):
        await store.commit([note("a", b"second", expected=0)])
    await store.commit([note("a", b"second", expected=1)])
    assert (await store.get("note", ["a"]))["a"].record == b"second"


async def test_of_two_writers_at_the_same_version_exactly_one_wins(store: Store) -> None:
    await store.commit([note("a")])
    tries = [store.commit([note("a", str(number).encode(), expected=1)]) for number in range(20)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, StoreConflict) for outcome in outcomes) == 19


async def test_one_conflict_does_not_undo_the_neighbours(store: Store) -> None:
    commits = [store.commit([note(str(number), expected=1 if number == 5 else 0)]) for number in range(10)]
    outcomes = await asyncio.gather(*commits, store.append(b"entry"), return_exceptions=True)
    assert isinstance(outcomes[5], StoreConflict)
    assert await listed(store) == [str(number) for number in range(10) if number != 5]
    assert [entry for _, entry in await store.read_log(after=0, limit=10)] == [b"entry"]


async def test_a_key_that_is_no_unicode_is_refused_alone(store: Store) -> None:
    outcomes = await asyncio.gather(
        store.commit([note("good")]), store.commit([note("fine"), note("\ud800")]), return_exceptions=True
    )
    assert outcomes[0] is None
    assert isinstance(outcomes[1], ValueError)
    assert await listed(store) == ["good"]
    with pytest.raises(ValueError):
        await listed(store, "\ud800")
    assert await store.get("note", ["\ud800"]) == {}


async def test_a_deleted_document_is_gone_from_its_indexes_and_may_come_again(store: Store) -> None:
    await store.commit([note("a")])
    await store.commit([Delete("note", "a"), Delete("note", "never was")])
    assert await store.get("note", ["a"]) == {}
    assert await listed(store) == []
    await store.commit([note("a", expected=0)])
    assert await listed(store) == ["a"]


async def test_an_empty_commit_does_nothing(store: Store) -> None:
    await store.commit([])


# -- indexes


async def test_a_put_replaces_the_index_entries(store: Store) -> None:
    await store.commit([Put("note", "a", b"", (IndexEntry("i", "v"), IndexEntry("j", "w", "s")))])
    await store.commit([Put("note", "a", b"", (IndexEntry("i", "other"),))])
    assert await listed(store, "v") == []
    assert await listed(store, "other") == ["a"]
    assert list(await store.index_values("note", "j")) == []


async def test_counts_and_values_of_an_index(store: Store) -> None:
    await store.commit([note("a", value="x"), note("b", value="x"), note("c", value="y")])
    assert await store.count("note", "i", "x") == 2
    assert await store.count("note", "i", "z") == 0
    assert sorted(await store.index_values("note", "i")) == [("x", "a"), ("x", "b"), ("y", "c")]


async def test_a_page_that_ends_the_list_has_no_next(store: Store) -> None:
    await store.commit([note("a"), note("b")])
    assert (await store.find("note", "i", "v", limit=2)).next is None
    assert (await store.find("note", "i", "v", limit=1)).next is not None
    assert (await store.find("note", "i", "nothing")).documents == ()


async def test_a_cursor_is_url_safe_and_survives_what_changes_around_it(store: Store) -> None:
    await store.commit([note(key, sort="排序/?&" + key) for key in "abcd"])
    cursor = (await store.find("note", "i", "v", limit=2)).next
    assert cursor is not None
    assert all(char.isalnum() or char in "-_" for char in cursor)
    await store.commit([Delete("note", "b"), note("a0", sort="排序/?&a0")])
    assert [document.key for document in (await store.find("note", "i", "v", after=cursor)).documents] == ["c", "d"]


async def test_a_foreign_cursor_is_refused(store: Store) -> None:
    await store.commit([note("a"), note("b")])
    cursor = (await store.find("note", "i", "v", limit=1)).next
    assert cursor is not None
    for foreign in ("", "x", "车", "AAAA", cursor[:-1], cursor + "A", cursor[::-1], "A" * 10_000):
        with pytest.raises(ValueError):
            await store.find("note", "i", "v", after=foreign)
    with pytest.raises(ValueError):
        await store.find("note", "i", "another value", after=cursor)
    with pytest.raises(ValueError):
        await store.find("note", "i", "v", after=cursor, descending=True)


@pytest.mark.parametrize("limit", [0, -1])
async def test_a_page_of_nothing_is_refused(store: Store, limit: int) -> None:
    with pytest.raises(ValueError):
        await store.find("note", "i", "v", limit=limit)


texts = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=6)
fresh_values = count()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sorts=st.dictionaries(texts, texts, max_size=20), limit=st.integers(1, 7), descending=st.booleans())
async def test_pages_list_by_sort_then_key_in_both_directions(
    store: Store, sorts: dict[str, str], limit: int, descending: bool
) -> None:
    value = f"list {next(fresh_values)}"
    await store.commit([note(f"{value} {key}", sort=sort, value=value) for key, sort in sorts.items()])
    in_order = sorted(((sort, f"{value} {key}") for key, sort in sorts.items()), reverse=descending)
    assert await listed(store, value, limit=limit, descending=descending) == [key for _, key in in_order]


# -- the telemetry log


async def test_log_numbers_rise_in_the_order_of_the_appends(store: Store) -> None:
    numbers = await asyncio.gather(*(store.append(str(index).encode()) for index in range(1_200)))
    assert list(numbers) == sorted(set(numbers))
    assert numbers[0] >= 1
    stored = await store.read_log(after=0, limit=2_000)
    assert list(stored) == [(number, str(index).encode()) for index, number in enumerate(numbers)]


async def test_the_log_is_read_from_where_one_was(store: Store) -> None:
    numbers = [await store.append(bytes([index])) for index in range(5)]
    assert [number for number, _ in await store.read_log(after=numbers[1], limit=2)] == numbers[2:4]
    assert list(await store.read_log(after=numbers[-1], limit=2)) == []


async def test_a_number_never_comes_back_after_trimming(place: Place) -> None:
    store = await place.open()
    last = [await store.append(b"x") for _ in range(3)][-1]
    assert await store.trim_log(through=last) == 3
    assert await store.trim_log(through=last) == 0
    await store.close()
    store = await place.open()
    assert list(await store.read_log(after=0, limit=10)) == []
    assert await store.append(b"y") > last


async def test_trimming_leaves_what_is_above(store: Store) -> None:
    numbers = await asyncio.gather(*(store.append(b"x") for _ in range(1_300)))
    assert await store.trim_log(through=numbers[1_249]) == 1_250
    assert [number for number, _ in await store.read_log(after=0, limit=100)] == list(numbers[1_250:])


# -- checkpoints


async def test_a_checkpoint_holds_states_watermark_and_documents(store: Store) -> None:
    first, second, third = keys_of_partition(7, 3)
    await store.checkpoint(Checkpoint(7, 40, [(first, b"1", True), (second, b"2", False)], [note("a")]))
    await store.checkpoint(Checkpoint(7, 41, [(second, b"3", True), (third, b"4", False)]))
    assert await store.watermarks() == {7: 41}
    assert await store.states([first, second, third, "unknown"]) == {first: b"1", second: b"3", third: b"4"}
    assert sorted(await store.hot_states(7)) == sorted([(first, b"1"), (second, b"3")])
    assert list(await store.hot_states(8)) == []
    assert await listed(store) == ["a"]


async def test_nothing_of_a_checkpoint_stays_when_a_document_conflicts(store: Store) -> None:
    key = keys_of_partition(7, 1)[0]
    await store.checkpoint(Checkpoint(7, 1, [(key, b"old", True)]))
    with pytest.raises(StoreConflict):
        await store.checkpoint(Checkpoint(7, 2, [(key, b"new", False)], [note("a"), note("b", expected=3)]))
    assert await store.watermarks() == {7: 1}
    assert await store.hot_states(7) == [(key, b"old")]
    assert await listed(store) == []


async def test_whoever_has_states_has_a_watermark_also_before_the_first_entry(store: Store) -> None:
    """Recovery looks for states only where there is one."""
    await store.checkpoint(Checkpoint(7, 0, [(keys_of_partition(7, 1)[0], b"1", True)]))
    assert await store.watermarks() == {7: 0}


async def test_a_watermark_never_goes_back(store: Store) -> None:
    await store.checkpoint(Checkpoint(3, 10, []))
    await store.checkpoint(Checkpoint(3, 9, []))
    assert await store.watermarks() == {3: 10}


async def test_a_state_of_another_partition_is_refused(store: Store) -> None:
    with pytest.raises(ValueError):
        await store.checkpoint(Checkpoint(8, 1, [(keys_of_partition(7, 1)[0], b"", True)]))


async def test_a_whole_partition_is_checkpointed_and_found_again(store: Store) -> None:
    keys = keys_of_partition(7, 1_000)
    await store.checkpoint(Checkpoint(7, 1, [(key, key.encode(), index % 2 == 0) for index, key in enumerate(keys)]))
    assert await store.states(keys) == {key: key.encode() for key in keys}
    assert {key for key, _ in await store.hot_states(7)} == set(keys[::2])


async def test_states_of_one_pack_change_each_for_itself(store: Store) -> None:
    first, second, third = keys_of_pack(7 * PACKS_A_PARTITION + 1, 3)
    await store.checkpoint(Checkpoint(7, 1, [(first, b"1", True), (second, b"2", True)]))
    await store.checkpoint(Checkpoint(7, 2, [(second, b"3", False), (third, b"4", True)]))
    assert await store.states([third, second, first]) == {first: b"1", second: b"3", third: b"4"}
    assert await store.states([second]) == {second: b"3"}
    assert sorted(await store.hot_states(7)) == sorted([(first, b"1"), (third, b"4")])


# -- secrets, restarts, the end


async def test_a_secret_is_made_once_and_stays(place: Place) -> None:
    store = await place.open()
    first, again, other = await asyncio.gather(store.secret("a"), store.secret("a"), store.secret("b"))
    assert first == again != other
    assert len(first) == 32
    await store.close()
    assert await (await place.open()).secret("a") == first


async def test_everything_survives_a_restart(place: Place) -> None:
    store = await place.open()
    key = keys_of_partition(9, 1)[0]
    await store.commit([note("a", b"1")])
    number = await store.append(b"entry")
    await store.checkpoint(Checkpoint(9, number, [(key, b"state", True)]))
    await store.close()
    store = await place.open()
    assert (await store.get("note", ["a"]))["a"].version == 1
    assert await listed(store) == ["a"]
    assert list(await store.read_log(after=0, limit=9)) == [(number, b"entry")]
    assert await store.watermarks() == {9: number}
    assert list(await store.hot_states(9)) == [(key, b"state")]


async def test_what_one_opened_store_writes_another_reads(place: Place) -> None:
    one, other = await place.open(), await place.open()
    await asyncio.gather(
        *(one.commit([note(f"one {number}")]) for number in range(20)),
        *(other.commit([note(f"other {number}")]) for number in range(20)),
    )
    assert len(await listed(one)) == len(await listed(other)) == 40
    assert await one.append(b"1") < await other.append(b"2") < await one.append(b"3")


async def test_closing_waits_for_what_is_under_way(place: Place) -> None:
    store = await place.open()
    appends = [asyncio.ensure_future(store.append(b"x")) for _ in range(50)]
    await asyncio.sleep(0)  # lets them queue
    await store.close()
    assert len(set(await asyncio.gather(*appends))) == 50


async def test_a_closed_store_says_so(store: Store) -> None:
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.append(b"x")
    with pytest.raises(StoreUnavailable):
        await store.get("note", ["a"])


# -- one service a store


async def test_one_service_at_a_time_and_imports_beside_it(place: Place) -> None:
    serving, other = await place.open(), await place.open()
    await serving.serve_alone()
    with pytest.raises(StoreUnavailable, match="another service"):
        await other.serve_alone()
    await other.commit([note("import", b"1")])
    await serving.close()
    await other.serve_alone()
