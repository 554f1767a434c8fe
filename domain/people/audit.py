"""The record of changes: the account that made each, what it did, when, and from which address (R64)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2s
from ipaddress import IPv6Address, ip_address
from typing import Final, Literal

DoerKind = Literal["natural", "legal", "system"]


@dataclass(frozen=True, slots=True)
class Doer:
    """The author of a change: an account, from an address; or the platform itself."""

    account_id: str
    kind: DoerKind
    display_name: str
    address_masked: str = ""


PLATFORM: Final = Doer("", "system", "平台")
"""The platform, which acts when a time has come."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """A change; ``account_ids`` are the accounts whose own lists show it, newest first."""

    id: str
    at: float
    """The time of the change: Unix seconds, our clock."""
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
    """Record that ``doer`` did ``action`` to ``subject`` (kind, id); ``doer`` and ``accounts`` see it.

    The id follows from the facts: recording the same change again gives the same record.
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
    """Mask as ``203.0.113.*``; of an IPv6 address the first three groups stay, which name the network."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "*"
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if isinstance(parsed, IPv6Address):
        return ":".join(f"{int(group, 16):x}" for group in parsed.exploded.split(":")[:3]) + ":*"
    return f"{str(parsed).rpartition('.')[0]}.*"
