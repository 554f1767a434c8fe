"""R53: expiring and expired certificates, and the reminders of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.civil_time import china_date
from domain.people.certificates import CertificateKind, CertificateState, reminders, validity

LAST_DAY = date(2026, 12, 31)
days = st.dates(date(2000, 1, 1), date(2100, 1, 1))


def state_on(today: date) -> CertificateState:
    return validity(CertificateKind.TRANSPORT, valid_until=LAST_DAY, today=today).state


def test_the_borders_of_r53() -> None:
    assert state_on(date(2026, 11, 30)) is CertificateState.VALID
    assert state_on(date(2026, 12, 1)) is CertificateState.EXPIRING
    assert state_on(date(2026, 12, 31)) is CertificateState.EXPIRING
    assert state_on(date(2027, 1, 1)) is CertificateState.EXPIRED


@given(days, st.integers(-400, 400))
def test_days_left_leads_to_the_last_valid_day(today: date, ahead: int) -> None:
    standing = validity(CertificateKind.TRANSPORT, valid_until=today + timedelta(days=ahead), today=today)
    assert standing.days_left == ahead
    assert (standing.state is CertificateState.EXPIRED) == (ahead < 0)
    assert (standing.state is CertificateState.VALID) == (ahead > 30)


@given(days, days)
def test_a_certificate_never_gets_better_with_time(last_day: date, today: date) -> None:
    order = [CertificateState.VALID, CertificateState.EXPIRING, CertificateState.EXPIRED]
    now = validity(CertificateKind.TRANSPORT, valid_until=last_day, today=today)
    tomorrow = validity(CertificateKind.TRANSPORT, valid_until=last_day, today=today + timedelta(days=1))
    assert order.index(tomorrow.state) - order.index(now.state) in (0, 1)


def test_reminders_leave_out_what_is_valid_and_begin_with_the_most_urgent() -> None:
    today = date(2026, 6, 15)
    told = reminders(
        [
            (CertificateKind.OPERATING_LICENCE, today + timedelta(days=10)),
            (CertificateKind.TRANSPORT, today + timedelta(days=31)),
            (CertificateKind.ANNUAL_REVIEW, None),
            (CertificateKind.QUALIFICATION, today - timedelta(days=1)),
            (CertificateKind.QUALIFICATION, today - timedelta(days=1)),
        ],
        today=today,
    )
    assert [(reminder.kind.value, reminder.state.value, reminder.days_left) for reminder in told] == [
        ("qualification", "expired", -1),
        ("operating_licence", "expiring", 10),
    ]


def test_the_day_changes_at_midnight_in_china() -> None:
    midnight = datetime(2026, 12, 31, 16, 0, tzinfo=UTC).timestamp()
    assert china_date(midnight - 1) == date(2026, 12, 31)
    assert china_date(midnight) == date(2027, 1, 1)
