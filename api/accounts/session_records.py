"""What the store keeps of sessions, and what ends them there: the service, an import, or an operator beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

from actors.people.audit import audit_document
from api.accounts.accounts import AccountKind, LegalAccount
from domain.people.audit import PLATFORM, audit_record
from domain.registry import Business
from persistence.records import decode
from persistence.store import Delete, Document, Put, Store

KIND: Final = "session"
USED: Final = "session.used"
"""When each was last used, under the same key."""
BY_ACCOUNT: Final = "account"
BY_EXPIRY: Final = "expiry"
PAGE: Final = 200

Way = Literal["natural", "one_click", "legal"]
"""How somebody signed in."""


@dataclass(frozen=True, slots=True)
class Session:
    """What the store keeps under the hash of a token."""

    account_kind: AccountKind
    account_key: str
    started_at: float
    expires_at: float
    """Unix seconds, our clock."""
    terms_version: str = ""
    """Of the service statement that was accepted for it."""
    way: Way | Literal[""] = ""
    """Empty in sessions of older programs, as what follows."""
    address_masked: str = ""
    password_mark: str = ""
    """Of a business: which password it was started with."""


def session_key(token: str) -> str:
    """What the store knows a token by (R62)."""
    return sha256(token.encode()).hexdigest()


def session_id(key: str) -> str:
    """What a session is called where others may see it: in lists and audit records."""
    return key[:16]


def password_mark(password_hash: str) -> str:
    """Another one for another password; tells nothing of either."""
    return sha256(password_hash.encode()).hexdigest()[:16]


def removed(key: str) -> Iterator[Delete]:
    """All that is kept of a session."""
    yield Delete(KIND, key)
    yield Delete(USED, key)


def ended_by_platform(key: str, account_id: str, *, at: float, detail: str) -> Iterator[Put | Delete]:
    """The end of a session by nobody's own doing, with its audit record (R64)."""
    yield from removed(key)
    record = audit_record(
        "signed_out", PLATFORM, at=at, subject=("session", session_id(key)), accounts=(account_id,), detail=detail
    )
    yield audit_document(record)


async def sessions_of(store: Store, account_id: str) -> AsyncIterator[tuple[Document, Session]]:
    """Every session of an account that the store still has, the oldest first. Raises ``StoreUnavailable``."""
    after: str | None = None
    while True:
        page = await store.find(KIND, BY_ACCOUNT, account_id, after=after, limit=PAGE)
        for document in page.documents:
            yield document, decode(document.record, Session)
        after = page.next
        if after is None:
            return


async def ends_by_password(store: Store, business: Business, *, at: float) -> list[Put | Delete]:
    """What ends the sessions of a business whose password is another one now. Raises ``StoreUnavailable``."""
    return (await ends_of_all(store, business, at=at, detail="密码已更改"))[1]


async def ends_of_all(store: Store, business: Business, *, at: float, detail: str) -> tuple[int, list[Put | Delete]]:
    """How many sessions a business has, and what ends them all at ``at`` (Unix seconds). Raises ``StoreUnavailable``."""
    account_id = LegalAccount(business).id
    keys = [document.key async for document, _ in sessions_of(store, account_id)]
    return len(keys), [write for key in keys for write in ended_by_platform(key, account_id, at=at, detail=detail)]
