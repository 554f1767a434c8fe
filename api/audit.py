"""Who did what, when, and from where (R64)?"""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_hex
from typing import Final

from persistence.records import encode
from persistence.store import IndexEntry, Put

KIND: Final = "audit"
BY_ACCOUNT: Final = "account"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One change; ``account_id`` is whose list shows it, newest first."""

    id: str
    at: float
    """Unix seconds, our clock."""
    account_id: str
    actor_kind: str
    actor_name: str
    action: str
    """A past-tense word of the contract."""
    subject_kind: str
    subject_id: str
    address_masked: str
    detail: str = ""


def audit_document(record: AuditRecord) -> Put:
    """To be committed together with the change itself."""
    entry = IndexEntry(BY_ACCOUNT, record.account_id, f"{record.at:017.6f}{record.id}")
    return Put(KIND, record.id, encode(record), (entry,), expected_version=0)


def new_audit_id() -> str:
    """Opaque."""
    return token_hex(10)


def address_masked(address: str) -> str:
    """``203.0.113.*``; of an IPv6 address the first three groups."""
    if ":" in address:
        return ":".join(address.split(":")[:3]) + ":*"
    network, dot, _ = address.rpartition(".")
    return f"{network}.*" if dot else "*"
