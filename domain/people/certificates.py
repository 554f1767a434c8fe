"""Is a certificate still valid, and whom must we remind (R53)?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Final

EXPIRING_DAYS: Final = 30
CHINA_TIME: Final = timezone(timedelta(hours=8), "Asia/Shanghai")
"""Without summer time since 1991, so no zone database is needed."""


class CertificateKind(StrEnum):
    """What can run out, by the words of the API."""

    QUALIFICATION = "qualification"
    """从业资格证."""
    TRANSPORT = "transport"
    """道路运输证."""
    ANNUAL_REVIEW = "annual_review"
    """The 道路运输证's 年审."""
    OPERATING_LICENCE = "operating_licence"
    """道路运输经营许可证."""


class CertificateState(StrEnum):
    """By the words of the API."""

    VALID = "valid"
    EXPIRING = "expiring"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Validity:
    """How a certificate stands on some day."""

    kind: CertificateKind
    state: CertificateState
    valid_until: date
    """The last valid day."""
    days_left: int
    """0 on the last valid day, negative afterwards."""


def validity(kind: CertificateKind, *, valid_until: date, today: date) -> Validity:
    """``today`` is the date in China; expiring from 30 days before the last valid day, expired from the day after it."""
    days_left = (valid_until - today).days
    if days_left < 0:
        state = CertificateState.EXPIRED
    elif days_left <= EXPIRING_DAYS:
        state = CertificateState.EXPIRING
    else:
        state = CertificateState.VALID
    return Validity(kind, state, valid_until, days_left)


def reminders(last_days: Iterable[tuple[CertificateKind, date | None]], *, today: date) -> tuple[Validity, ...]:
    """What is expiring or expired, the most urgent first; a certificate without a date reminds nobody."""
    standing = {validity(kind, valid_until=day, today=today) for kind, day in last_days if day is not None}
    urgent = [certificate for certificate in standing if certificate.state is not CertificateState.VALID]
    return tuple(sorted(urgent, key=lambda certificate: (certificate.days_left, certificate.kind)))


def china_date(at: float) -> date:
    """The calendar date in China at ``at`` (Unix seconds)."""
    return datetime.fromtimestamp(at, CHINA_TIME).date()
