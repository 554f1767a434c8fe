"""R22, R23: the life of a delegation link."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DelegationEnded, DomainError, LinkTaken, NotFound, OwnLink
from domain.identifiers import PlateColor
from domain.people.delegation import (
    Delegation,
    bind_through,
    is_live,
    lapses_at,
    link_state,
    open_link,
    status,
    withdraw,
)
from domain.people.share import Viewer

BEGUN = 1_780_000_000.0
UNTIL = BEGUN + 7 * 86_400
FRESH = Delegation("d1", "driver", "王师傅", "v11", "鄂A11111", PlateColor.YELLOW, BEGUN, lapses_at(BEGUN), "hash")


def holder(account_id: str, at: float = BEGUN + 1) -> Viewer:
    return Viewer(account_id, "家人", at)


OPENED = open_link(FRESH, holder("anna"), ids=("anna",))


def test_r23_it_expires_after_seven_days_at_the_very_second() -> None:
    assert FRESH.expires_at == UNTIL
    assert (status(FRESH, UNTIL - 0.001), status(FRESH, UNTIL)) == ("unopened", "expired")
    for late in (FRESH, OPENED):
        with pytest.raises(DelegationEnded):
            open_link(late, holder("anna", UNTIL), ids=("anna",))
        with pytest.raises(DelegationEnded):
            withdraw(late, now=UNTIL)
    with pytest.raises(DelegationEnded):
        bind_through(OPENED, "b1", ids=("anna",), now=UNTIL)


def test_r23_it_serves_one_person() -> None:
    assert open_link(OPENED, holder("anna", BEGUN + 9), ids=("anna",)) is OPENED
    assert open_link(OPENED, holder("anna-2"), ids=("anna-2", "anna")) is OPENED
    with pytest.raises(LinkTaken):
        open_link(OPENED, holder("ben"), ids=("ben",))
    with pytest.raises(NotFound):
        bind_through(OPENED, "b1", ids=("ben",), now=BEGUN + 2)


def test_r23_it_serves_once() -> None:
    served = bind_through(OPENED, "b1", ids=("anna",), now=BEGUN + 2)
    assert (served.binding_id, status(served, BEGUN + 3)) == ("b1", "bound")
    with pytest.raises(DelegationEnded):
        bind_through(served, "b2", ids=("anna",), now=BEGUN + 3)
    with pytest.raises(DelegationEnded):
        open_link(served, holder("anna"), ids=("anna",))


def test_r22_nobody_binds_through_a_link_that_was_not_opened() -> None:
    with pytest.raises(NotFound):
        bind_through(FRESH, "b1", ids=("anna",), now=BEGUN + 2)


def test_r23_the_driver_withdraws_it_once() -> None:
    withdrawn = withdraw(OPENED, now=BEGUN + 5)
    assert (status(withdrawn, BEGUN + 6), is_live(withdrawn, BEGUN + 6)) == ("withdrawn", False)
    for now in (BEGUN + 6, UNTIL):
        with pytest.raises(DelegationEnded):
            withdraw(withdrawn, now=now)
    with pytest.raises(DelegationEnded):
        bind_through(withdrawn, "b1", ids=("anna",), now=BEGUN + 6)


def test_r23_the_driver_does_not_use_up_the_own_link() -> None:
    with pytest.raises(OwnLink):
        open_link(FRESH, holder("driver"), ids=("driver-2", "driver"))


def test_a_preview_tells_what_an_opening_would_come_to() -> None:
    assert link_state(FRESH, (), BEGUN) == "unopened"
    assert link_state(OPENED, ("anna",), BEGUN) == "yours"
    assert link_state(OPENED, (), BEGUN) == "taken"
    assert link_state(OPENED, ("anna",), UNTIL) == "ended"


@given(
    st.lists(
        st.tuples(st.floats(0, 9 * 86_400), st.sampled_from(["anna", "ben", "withdraw", "bind anna", "bind ben"])),
        max_size=12,
    )
)
def test_r23_it_never_comes_back_and_never_changes_hands(steps: list[tuple[float, str]]) -> None:
    each, was_live = FRESH, True
    for offset, what in sorted(steps):
        now, before = BEGUN + offset, each
        try:
            if what == "withdraw":
                each = withdraw(each, now=now)
            elif what.startswith("bind "):
                each = bind_through(each, f"b{offset}", ids=(what[5:],), now=now)
            else:
                each = open_link(each, holder(what, now), ids=(what,))
        except DomainError:
            assert each is before
        assert was_live or not is_live(each, now)
        assert before.holder is None or each.holder == before.holder
        assert before.binding_id is None or each == before
        was_live = is_live(each, now)


def test_bound_says_more_than_withdrawn_or_expired() -> None:
    assert status(replace(OPENED, binding_id="b1", withdrawn_at=BEGUN), UNTIL) == "bound"
