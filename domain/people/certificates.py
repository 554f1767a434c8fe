"""The validity of certificates, and the reminders before they run out (R53)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

EXPIRING_DAYS: Final = 30


class CertificateKind(StrEnum):
    """Certificates that run out, named as in the API."""

    QUALIFICATION = "qualification"
    """从业资格证."""
    TRANSPORT = "transport"
    """道路运输证."""
    ANNUAL_REVIEW = "annual_review"
    """The 道路运输证's 年审."""
    OPERATING_LICENCE = "operating_licence"
    """道路运输经营许可证."""


class CertificateState(StrEnum):
    """States of a certificate, named as in the API."""

    VALID = "valid"
    EXPIRING = "expiring"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Validity:
    """A certificate's state on a given day."""

    kind: CertificateKind
    state: CertificateState
    valid_until: date
    """The last valid day."""
    days_left: int
    """0 on the last valid day, negative afterwards."""


def validity(kind: CertificateKind, *, valid_until: date, today: date) -> Validity:
    """Judge a date as of ``today`` in China.

    A certificate is expiring from 30 days before its last valid day, and expired from the day after it.
    """
    days_left = (valid_until - today).days
    if days_left < 0:
        state = CertificateState.EXPIRED
    elif days_left <= EXPIRING_DAYS:
        state = CertificateState.EXPIRING
    else:
        state = CertificateState.VALID
    return Validity(kind, state, valid_until, days_left)


def reminders(last_days: Iterable[tuple[CertificateKind, date | None]], *, today: date) -> tuple[Validity, ...]:
    """List what is expiring or expired, the most urgent first; a certificate without a date gives no reminder."""
    standing = {validity(kind, valid_until=day, today=today) for kind, day in last_days if day is not None}
    urgent = [certificate for certificate in standing if certificate.state is not CertificateState.VALID]
    return tuple(sorted(urgent, key=lambda certificate: (certificate.days_left, certificate.kind)))
