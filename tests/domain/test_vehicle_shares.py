"""R18: the limit of a vehicle's live share links."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import TooManyShares
from domain.people.shares_of_vehicle import LiveShare, grant, release

THREE = tuple(LiveShare(f"s{number}", 100.0 + number) for number in range(3))


def test_r18_a_fourth_live_share_is_refused() -> None:
    with pytest.raises(TooManyShares) as refused:
        grant(THREE, LiveShare("s3", 500.0), now=99.0)
    assert refused.value.limit == 3


def test_r18_one_that_expired_counts_no_more_at_its_very_second() -> None:
    with pytest.raises(TooManyShares):
        grant(THREE, LiveShare("s3", 500.0), now=99.999)
    assert grant(THREE, LiveShare("s3", 500.0), now=100.0) == (*THREE[1:], LiveShare("s3", 500.0))


def test_r18_one_that_was_released_counts_no_more() -> None:
    two = release(THREE, "s1", now=0.0)
    assert grant(two, LiveShare("s3", 500.0), now=0.0) == (THREE[0], THREE[2], LiveShare("s3", 500.0))


def test_granting_and_releasing_again_change_nothing() -> None:
    assert set(grant(THREE, THREE[0], now=0.0)) == set(THREE)
    assert release(release(THREE, "s1", now=0.0), "s1", now=0.0) == release(THREE, "s1", now=0.0)
    assert release((), "never", now=0.0) == ()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.booleans()), max_size=40))
def test_r18_never_more_than_three_live_whatever_the_sequence(steps: list[tuple[int, int, bool]]) -> None:
    now, live, expected = 0.0, tuple[LiveShare, ...](), dict[str, float]()
    for passed, number, is_grant in steps:
        now += passed
        expected = {key: until for key, until in expected.items() if until > now}
        share = LiveShare(f"s{number}", now + 1 + number)
        if not is_grant:
            live = release(live, share.share_id, now=now)
            expected.pop(share.share_id, None)
        elif len(expected.keys() - {share.share_id}) < 3:
            live = grant(live, share, now=now)
            expected[share.share_id] = share.expires_at
        else:
            with pytest.raises(TooManyShares):
                grant(live, share, now=now)
        assert {each.share_id: each.expires_at for each in live if each.expires_at > now} == expected
        assert len(live) <= 3
