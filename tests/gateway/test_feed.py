"""Tests of the feed: its decoder tells good rows from bad ones, whatever comes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Busy, InvalidInput
from domain.vehicle.fix import Fix
from domain.vehicle.quality import Outcome
from gateway.feed import MAX_ROWS, REFUSED, SLICE, Feed, read_rows
from gateway.ingest import NotDurable

ROW = ("13800000001", 1_760_000_000, 114_400_000, 30_700_000, 25, 800, 90, 0, 3, 0)
words = st.integers(0, 0xFFFF_FFFF)
good_rows = st.tuples(
    st.text("0123456789", min_size=1, max_size=20),
    st.integers(0, 1 << 40),
    st.integers(-180_000_000, 180_000_000),
    st.integers(-90_000_000, 90_000_000),
    st.integers(-500, 9_000),
    st.integers(0, 2_500),
    st.integers(0, 360),
    words,
    words,
    st.integers(0, 1),
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=11) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


class Vehicles:
    """Takes everything in, and answers with the outcomes it was told."""

    def __init__(self, *outcomes: Outcome, durable: bool = True) -> None:
        self.outcomes = list(outcomes)
        self.durable = durable
        self.taken: list[Fix] = []
        self.has_room = True

    def room(self) -> bool:
        return self.has_room

    async def report(self, fixes: Sequence[Fix]) -> Sequence[Outcome]:
        if not self.durable:
            raise NotDurable
        self.taken += fixes
        return self.outcomes or [Outcome.NEWEST] * len(fixes)


def everybody(terminal: str) -> bool:
    return bool(terminal)


@given(st.lists(good_rows, max_size=20))
def test_good_rows_become_the_fixes_they_say(rows: list[tuple[object, ...]]) -> None:
    read = read_rows(msgpack.packb(rows))
    assert [tuple(fix) for fix in read.fixes] == rows
    assert read.codes == {}
    assert all(isinstance(fix, Fix) for fix in read.fixes)


@given(st.lists(good_rows, max_size=5), anything, st.lists(good_rows, max_size=5))
def test_one_odd_row_never_loses_the_others(
    before: list[tuple[object, ...]], odd: object, after: list[tuple[object, ...]]
) -> None:
    read = read_rows(msgpack.packb([*before, odd, *after]))
    kept = [tuple(fix) for place, fix in zip(read.places, read.fixes, strict=True) if place != len(before)]
    assert kept == before + after
    assert read.total == len(before) + 1 + len(after)


@given(st.binary(max_size=200))
def test_noise_is_read_or_refused(noise: bytes) -> None:
    with suppress(InvalidInput):
        read = read_rows(noise)
        assert read.total == len(read.fixes) + len(read.codes)


def test_too_deep_too_many_and_too_short_are_refused() -> None:
    for body in (b"\x91" * 100_000, msgpack.packb([ROW] * (MAX_ROWS + 1)), msgpack.packb([ROW])[:-1], b""):
        with pytest.raises(InvalidInput):
            read_rows(body)


def test_bits_above_the_alarm_word_are_ours_alone() -> None:
    assert read_rows(msgpack.packb([(*ROW[:7], 1 << 32, 3, 0)])).codes == {0: "malformed"}
    assert read_rows(msgpack.packb([(*ROW[:7], 0xFFFF_FFFF, 0xFFFF_FFFF, 1)])).codes == {}


def test_in_a_batch_of_many_slices_every_row_keeps_its_place() -> None:
    bad = {0, SLICE - 1, SLICE, 2 * SLICE + 7}
    rows = [("x",) if place in bad else (*ROW[:4], place % 9_000, *ROW[5:]) for place in range(3 * SLICE + 1)]
    read = read_rows(msgpack.packb(rows))
    assert read.codes == dict.fromkeys(sorted(bad), "malformed")
    assert list(read.places) == [place for place in range(len(rows)) if place not in bad]
    assert [fix.altitude_m for fix in read.fixes] == [place % 9_000 for place in read.places]


async def test_others_get_their_turn_while_a_large_batch_is_read_and_what_they_fill_is_full() -> None:
    vehicles = Vehicles()
    turns: list[int] = []

    async def others() -> None:
        while len(turns) < 3:
            turns.append(len(vehicles.taken))
            await asyncio.sleep(0)
        vehicles.has_room = False

    with pytest.raises(Busy):
        await asyncio.gather(Feed(vehicles, everybody).take(msgpack.packb([ROW] * (SLICE * 6))), others())
    assert turns == [0, 0, 0]


async def test_every_outcome_has_its_place_in_the_answer() -> None:
    outcomes = list(Outcome)
    answer = await Feed(Vehicles(*outcomes), everybody).take(msgpack.packb([ROW] * len(outcomes)))
    codes = {rejected.index: rejected.code for rejected in answer.rejected}
    assert codes == {int(outcome): code for outcome, code in REFUSED.items()}
    assert answer.stale == 1
    assert answer.accepted == 3  # newest, backfilled, queued


async def test_a_contracts_code_stands_for_each_refusal() -> None:
    contract = {
        "malformed",
        "unknown_vehicle",
        "future_fix",
        "time_zone_fault",
        "not_positioned",
        "implausible",
    }
    assert set(Feed(Vehicles(), everybody).rejected) == contract


async def test_a_known_key_is_taken_as_it_is_and_zeros_only_when_that_helps() -> None:
    vehicles = Vehicles()
    feed = Feed(vehicles, {"138": 1, "0139": 1}.__contains__)
    answer = await feed.take(msgpack.packb([(terminal, *ROW[1:]) for terminal in ("138", "00138", "0139", "139")]))
    assert [fix.terminal for fix in vehicles.taken] == ["138", "138", "0139"]
    assert [(each.index, each.code) for each in answer.rejected] == [(3, "unknown_vehicle")]


async def test_a_key_is_a_terminal_s_name_however_it_is_written() -> None:
    vehicles = Vehicles()
    feed = Feed(vehicles, {"777762f7": 1, "0": 2}.__contains__)
    keys = ("777762F7", "0000777762f7", "0", "000000", "", "777762G7")
    answer = await feed.take(msgpack.packb([(key, *ROW[1:]) for key in keys]))
    assert [fix.terminal for fix in vehicles.taken] == ["777762f7", "777762f7", "0", "0"]
    assert [each.index for each in answer.rejected] == [4, 5]


async def test_nothing_is_taken_without_room_and_nothing_accepted_unless_durable() -> None:
    vehicles = Vehicles(durable=False)
    feed = Feed(vehicles, everybody)
    with pytest.raises(Busy):
        await feed.take(msgpack.packb([ROW]))
    vehicles.has_room = False
    with pytest.raises(Busy):
        await feed.take(b"not even looked at")
    assert feed.rows == 0
