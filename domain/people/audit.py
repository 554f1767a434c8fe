"""Who did what, when, and from where (R64)?"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2s
from ipaddress import IPv6Address, ip_address
from typing import Final, Literal

DoerKind = Literal["natural", "legal", "system"]


@dataclass(frozen=True, slots=True)
class Doer:
    """Whoever acts: an account, from an address; or the platform itself."""

    account_id: str
    kind: DoerKind
    display_name: str
    address_masked: str = ""


PLATFORM: Final = Doer("", "system", "平台")
"""Acts when a time has come."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One change; ``account_ids`` are those whose own lists show it, newest first."""

    id: str
    at: float
    """Unix seconds, our clock."""
    account_ids: tuple[str, ...]
    actor_kind: DoerKind
    actor_name: str
    action: str
    """A past-tense word of the contract."""
    subject_kind: str
    subject_id: str
    address_masked: str
    detail: str = ""


def audit_record(
    action: str,
    doer: Doer,
    *,
    at: float,
    subject: tuple[str, str],
    accounts: tuple[str, ...] = (),
    detail: str = "",
) -> AuditRecord:
    """What ``doer`` did to ``subject`` (kind, id); shown to the doer and to ``accounts``.

    The id follows from the facts: the same change recorded again is the same record.
    """
    shown_to = tuple(dict.fromkeys(account for account in (doer.account_id, *accounts) if account))
    facts = f"{action}/{doer.account_id}/{at!r}/{subject[0]}/{subject[1]}"
    return AuditRecord(
        id=blake2s(facts.encode(), digest_size=10).hexdigest(),
        at=at,
        account_ids=shown_to,
        actor_kind=doer.kind,
        actor_name=doer.display_name,
        action=action,
        subject_kind=subject[0],
        subject_id=subject[1],
        address_masked=doer.address_masked,
        detail=detail,
    )


def address_masked(address: str) -> str:
    """``203.0.113.*``; of an IPv6 address the first three groups, that is, whose network it is."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "*"
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if isinstance(parsed, IPv6Address):
        return ":".join(f"{int(group, 16):x}" for group in parsed.exploded.split(":")[:3]) + ":*"
    return f"{str(parsed).rpartition('.')[0]}.*"
