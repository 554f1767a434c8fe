"""The stored form of sessions, and the writes that end them: by the service, an import, or an operator beside it."""

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
"""Kind of the documents that hold each session's last use, under the session's key."""
BY_ACCOUNT: Final = "account"
BY_EXPIRY: Final = "expiry"
PAGE: Final = 200

Way = Literal["natural", "one_click", "legal"]
"""The kind of sign-in that started a session."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session as stored under the hash of its token."""

    account_kind: AccountKind
    account_key: str
    started_at: float
    expires_at: float
    """Unix seconds, our clock."""
    terms_version: str
    """The version of the service statement accepted for it."""
    way: Way
    address_masked: str
    password_mark: str = ""
    """The mark of the password that started a business's session."""


def session_key(token: str) -> str:
    """Return the key that the store knows a token by (R62)."""
    return sha256(token.encode()).hexdigest()


def session_id(key: str) -> str:
    """Return the session's public name, used in lists and audit records."""
    return key[:16]


def password_mark(password_hash: str) -> str:
    """Return a mark that differs between passwords and reveals neither."""
    return sha256(password_hash.encode()).hexdigest()[:16]


def removed(key: str) -> Iterator[Delete]:
    """Yield the deletions of everything stored for a session."""
    yield Delete(KIND, key)
    yield Delete(USED, key)


def ended_by_platform(key: str, account_id: str, *, at: float, detail: str) -> Iterator[Put | Delete]:
    """Yield the writes that end a session on the platform's behalf, with its audit record (R64)."""
    yield from removed(key)
    record = audit_record(
        "signed_out", PLATFORM, at=at, subject=("session", session_id(key)), accounts=(account_id,), detail=detail
    )
    yield audit_document(record)


async def sessions_of(store: Store, account_id: str) -> AsyncIterator[tuple[Document, Session]]:
    """Yield every stored session of an account, oldest first. Raises ``StoreUnavailable``."""
    after: str | None = None
    while True:
        page = await store.find(KIND, BY_ACCOUNT, account_id, after=after, limit=PAGE)
        for document in page.documents:
            yield document, decode(document.record, Session)
        after = page.next
        if after is None:
            return


async def ends_by_password(store: Store, business: Business, *, at: float) -> list[Put | Delete]:
    """Return the writes that end a business's sessions after its password changed. Raises ``StoreUnavailable``."""
    return (await ends_of_all(store, business, at=at, detail="密码已更改"))[1]


async def ends_of_all(store: Store, business: Business, *, at: float, detail: str) -> tuple[int, list[Put | Delete]]:
    """Return the number of a business's sessions, and the writes that end them at ``at`` (Unix seconds).

    Raises ``StoreUnavailable``.
    """
    account_id = LegalAccount(business).id
    keys = [document.key async for document, _ in sessions_of(store, account_id)]
    return len(keys), [write for key in keys for write in ended_by_platform(key, account_id, at=at, detail=detail)]
