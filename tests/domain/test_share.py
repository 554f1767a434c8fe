"""R17, R20, R21, R33: the life of a share link."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.civil_time import CHINA_TIME
from domain.errors import DomainError, LinkTaken, OwnLink, ShareEnded
from domain.identifiers import PlateColor
from domain.people.share import (
    Duration,
    EndReason,
    Share,
    Viewer,
    end,
    end_reason,
    expires_at,
    link_state,
    open_link,
    status,
)

BEGUN = datetime(2026, 1, 31, 8, 0, tzinfo=CHINA_TIME).timestamp()
UNTIL = BEGUN + 3 * 86_400


def a_share() -> Share:
    return Share(
        "s1", "v11", "鄂A11111", PlateColor.YELLOW, "b1", "driver", "王师傅", Duration.THREE_DAYS, BEGUN, UNTIL, "hash"
    )


def viewer(account_id: str, at: float = BEGUN + 1) -> Viewer:
    return Viewer(account_id, "家人", at)


def opened(account_id: str = "anna") -> Share:
    return open_link(a_share(), viewer(account_id), ids=(account_id,))


@pytest.mark.parametrize(
    "duration,end_text",
    [
        ("3d", "2026-02-03 08:00"),
        ("7d", "2026-02-07 08:00"),
        ("1mo", "2026-02-28 08:00"),
        ("1y", "2027-01-31 08:00"),
    ],
)
def test_r17_four_durations_from_creation_on(duration: str, end_text: str) -> None:
    until = datetime.fromtimestamp(expires_at(BEGUN, Duration(duration)), CHINA_TIME)
    assert until.strftime("%Y-%m-%d %H:%M") == end_text


def test_r17_there_is_no_fifth_duration() -> None:
    assert {duration.value for duration in Duration} == {"3d", "7d", "1mo", "1y"}
    with pytest.raises(ValueError):
        Duration("2d")


def test_r20_the_first_to_open_owns_it_and_may_come_back() -> None:
    taken = opened("anna")
    assert taken.viewer == viewer("anna")
    assert open_link(taken, viewer("anna", BEGUN + 50), ids=("anna",)) is taken
    with pytest.raises(LinkTaken):
        open_link(taken, viewer("ben"), ids=("ben",))


def test_r20_who_changed_accounts_is_the_same_person() -> None:
    taken = opened("anna")
    assert open_link(taken, viewer("anna-2"), ids=("anna-2", "anna")) is taken
    assert link_state(taken, ("anna-2", "anna"), BEGUN + 2) == "yours"


def test_r20_the_driver_does_not_use_up_the_own_link() -> None:
    for share in (a_share(), opened()):
        with pytest.raises(OwnLink):
            open_link(share, viewer("driver"), ids=("driver",))
    with pytest.raises(OwnLink):
        open_link(a_share(), viewer("driver-2"), ids=("driver-2", "driver"))


def test_r33_a_taken_link_that_has_ended_is_ended_for_everybody() -> None:
    over = end(opened("anna"), "cancelled", at=BEGUN + 10)
    for account_id in ("anna", "ben", "driver"):
        with pytest.raises(ShareEnded):
            open_link(over, viewer(account_id, BEGUN + 11), ids=(account_id,))


def test_r17_at_its_last_second_a_share_is_over() -> None:
    before = UNTIL - 0.001
    assert (end_reason(a_share(), before), end_reason(a_share(), UNTIL)) == (None, "expired")
    assert open_link(a_share(), viewer("anna", before), ids=("anna",)).viewer is not None
    with pytest.raises(ShareEnded):
        open_link(a_share(), viewer("anna", UNTIL), ids=("anna",))


def test_a_preview_tells_what_an_opening_would_come_to() -> None:
    assert link_state(a_share(), ("anna",), BEGUN) == "unopened"
    assert link_state(opened("anna"), ("anna",), BEGUN) == "yours"
    assert link_state(opened("anna"), ("ben",), BEGUN) == "taken"
    assert link_state(opened("anna"), (), BEGUN) == "taken"
    assert link_state(opened("anna"), ("anna",), UNTIL) == "ended"


@pytest.mark.parametrize("reason,word", [("cancelled", "cancelled"), ("expired", "expired"), ("unbound", "ended")])
def test_the_words_of_the_api(reason: EndReason, word: str) -> None:
    assert (status(a_share(), BEGUN), status(opened(), BEGUN)) == ("unopened", "open")
    assert status(end(opened(), reason, at=BEGUN + 5), BEGUN + 6) == word
    assert status(opened(), UNTIL) == "expired"


def test_r21_what_expired_first_was_not_cancelled() -> None:
    over = end(a_share(), "cancelled", at=UNTIL)
    assert over.ended is not None
    assert (over.ended.at, over.ended.reason) == (UNTIL, "expired")


reasons = st.sampled_from(["cancelled", "expired", "unbound"])
steps = st.lists(
    st.tuples(st.floats(0, 5 * 86_400), st.one_of(st.sampled_from(["anna", "ben", "driver"]), reasons)), max_size=12
)


@given(steps)
def test_a_share_never_reopens_and_never_changes_hands(taken: list[tuple[float, str]]) -> None:
    share, over, holder = a_share(), None, None
    for offset, what in sorted(taken):
        now = BEGUN + offset
        if what in ("anna", "ben", "driver"):
            try:
                share = open_link(share, viewer(what, now), ids=(what,))
            except DomainError:
                pass
        else:
            share = end(share, what if what != "expired" or now >= UNTIL else "cancelled", at=now)  # type: ignore[arg-type]
        assert over is None or end_reason(share, now) == over
        assert holder is None or (share.viewer is not None and share.viewer.account_id == holder)
        over = end_reason(share, now)
        holder = share.viewer.account_id if share.viewer else None
        assert holder != "driver"
        assert (over is None) == (link_state(share, (), now) in ("unopened", "taken"))
