"""Tests that values survive encoding unchanged, and that newer records are refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.vehicle.fix import Fix
from persistence.records import decode, decode_batch, encode, encode_batch, version_of
from persistence.store import StoreFormatError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Pair(NamedTuple):
    left: int
    right: str | None


@dataclass(frozen=True, slots=True)
class Thing:
    name: str
    colour: Colour
    made_on: date | None
    pairs: tuple[Pair, ...]
    size: float = 1.0


@dataclass(frozen=True, slots=True)
class OldThing:
    name: str
    colour: Colour
    made_on: date | None
    pairs: tuple[Pair, ...]


whole_numbers = st.integers(-(2**63), 2**63 - 1)
things = st.builds(
    Thing,
    name=st.text(),
    colour=st.sampled_from(Colour),
    made_on=st.none() | st.dates(),
    pairs=st.lists(st.builds(Pair, whole_numbers, st.none() | st.text()), max_size=3).map(tuple),
    size=st.floats(allow_nan=False),
)
small = st.integers(-(2**31), 2**31)
fixes = st.lists(
    st.builds(
        Fix,
        terminal=st.text("0123456789", min_size=1, max_size=20),
        fixed_at=small,
        lon_e6=small,
        lat_e6=small,
        altitude_m=small,
        speed_dkmh=small,
        course_deg=small,
        alarms=st.integers(0, (1 << 61) - 1),
        status=st.integers(0, 2**32 - 1),
        flags=st.integers(0, 1),
    ),
    max_size=5,
)


@given(things, st.integers(1, 1000))
def test_a_value_comes_back_as_it_was(thing: Thing, version: int) -> None:
    record = encode(thing, version)
    assert decode(record, Thing, version=version) == thing
    assert version_of(record) == version


@given(st.floats(0, 4e9), fixes)
def test_a_batch_comes_back_as_it_was_with_all_alarm_bits(received_at: float, batch: list[Fix]) -> None:
    assert decode_batch(encode_batch(received_at, batch)) == (received_at, batch)


def test_a_field_that_came_later_takes_its_default() -> None:
    old = encode(OldThing("a", Colour.RED, None, ()))
    assert decode(old, Thing) == Thing("a", Colour.RED, None, (), 1.0)


@pytest.mark.parametrize("newer", [Pair(1, "a"), "of another shape"])
def test_a_newer_record_is_refused_whatever_its_shape(newer: object) -> None:
    with pytest.raises(StoreFormatError, match="newer"):
        decode(encode(newer, 2), Pair)


@pytest.mark.parametrize("broken", [b"", b"\xc1", b"\x90", b"\xa1x", encode("text"), encode(Pair(1, "a"))[:-1]])
def test_what_is_no_record_is_refused(broken: bytes) -> None:
    with pytest.raises(StoreFormatError):
        decode(broken, Pair)
    with pytest.raises(StoreFormatError):
        decode_batch(broken)
