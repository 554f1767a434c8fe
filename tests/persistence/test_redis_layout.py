"""Tests that the bytes of an index sort in the order of their meaning, for any texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.cursors import Position
from persistence.redis.layout import Keys, bounds, head_bytes, log_id, log_number, member_parts, stem

texts = st.text(st.characters(codec="utf-8") | st.sampled_from("\0\1\2\3"), max_size=4)
triples = st.tuples(texts, texts, texts)


def member(value: str, sort: str, key: str) -> bytes:
    return (stem(value, sort) + key).encode()


def between(ends: tuple[bytes, bytes], found: bytes) -> bool:
    """Compare as ZRANGEBYLEX does: a parenthesis leaves the end out."""
    low, high = ends
    above = found > low[1:] or (low[:1] == b"[" and found == low[1:])
    below = found < high[1:] or (high[:1] == b"[" and found == high[1:])
    return above and below


@given(triples)
def test_a_member_is_taken_apart_as_it_was_put_together(triple: tuple[str, str, str]) -> None:
    value, _, _ = triple
    assert member_parts(member(*triple)) == triple
    assert member(*triple)[: head_bytes(value)] == member(value, "", "")[: head_bytes(value)]


@given(st.lists(triples, max_size=20))
def test_members_stand_in_the_order_of_value_sort_and_key(several: list[tuple[str, str, str]]) -> None:
    assert [member_parts(found) for found in sorted(member(*triple) for triple in several)] == sorted(several)


@given(triples, texts)
def test_the_bounds_of_a_value_hold_its_members_and_no_others(triple: tuple[str, str, str], value: str) -> None:
    assert between(bounds(value, None, descending=False), member(*triple)) == (triple[0] == value)
    assert bounds(value, None, descending=True) == bounds(value, None, descending=False)[::-1]


@given(triples, texts, texts, texts)
def test_a_page_goes_on_right_after_the_last(triple: tuple[str, str, str], value: str, sort: str, key: str) -> None:
    same = triple[0] == value
    after = Position(sort, key)
    upwards, downwards = bounds(value, after, descending=False), bounds(value, after, descending=True)[::-1]
    assert between(upwards, member(*triple)) == (same and triple[1:] > (sort, key))
    assert between(downwards, member(*triple)) == (same and triple[1:] < (sort, key))


def test_a_kind_that_would_run_into_anothers_keys_is_refused() -> None:
    keys = Keys("p")
    with pytest.raises(ValueError):
        keys.documents("a:b")
    for kind, index in (("a", "b:c"), ("a:b", "c")):
        with pytest.raises(ValueError):
            keys.index(kind, index)


def test_a_log_number_is_found_in_its_id() -> None:
    assert log_number(log_id(17).encode()) == 17
