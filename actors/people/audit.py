"""Turns an audit record (R64) into a document, which is committed together with the change itself."""

from __future__ import annotations

from itertools import count
from typing import Final

from domain.people.audit import AuditRecord
from persistence.records import encode
from persistence.store import IndexEntry, Put

KIND: Final = "audit"
BY_ACCOUNT: Final = "account"
_MADE: Final = count()
"""A counter: of changes at the same instant (a virtual clock stands still), the later is the newer."""


def audit_document(record: AuditRecord) -> Put:
    """Return the document, found by each account that is to see it, in the order of time."""
    sort = f"{record.at:017.6f}{next(_MADE):012d}"
    entries = tuple(IndexEntry(BY_ACCOUNT, account_id, sort) for account_id in record.account_ids)
    return Put(KIND, record.id, encode(record), entries)
