"""Whose token is this? Sessions: opaque tokens, stored as hashes only, ending after 30 days (R62)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe
from typing import Final

from actors.clock import Clock
from api.accounts import Account, AccountKind, LegalAccount
from api.audit import AuditRecord, address_masked, audit_document, new_audit_id
from api.ports import Registry
from domain.errors import Unauthenticated
from persistence.records import decode, encode
from persistence.store import Delete, IndexEntry, Put, Store

KIND: Final = "session"
BY_ACCOUNT: Final = "account"
BY_EXPIRY: Final = "expiry"
LIFETIME_S: Final = 30 * 86_400.0
TOKEN_BYTES: Final = 32
TOKEN_CHARS: Final = 43
CACHED: Final = 10_000
PURGED_AT_ONCE: Final = 20
"""Expired sessions that each sign-in clears away: more than it adds."""


@dataclass(frozen=True, slots=True)
class Session:
    """What the store keeps under the hash of a token."""

    account_kind: AccountKind
    account_key: str
    started_at: float
    expires_at: float
    """Unix seconds, our clock."""


@dataclass(frozen=True, slots=True)
class Started:
    """A new session with its token, which nobody can be told again."""

    token: str
    session: Session


class Sessions:
    """Starts, finds and ends sessions; every start and end leaves an audit record in the same commit (R64)."""

    def __init__(self, store: Store, clock: Clock, registry: Registry) -> None:
        self._store = store
        self._clock = clock
        self._registry = registry
        self._cache: dict[str, Session] = {}
        """By token hash, the oldest first. All sessions of a store are started and ended by one process."""
        self._ends = 0

    async def start(self, account: Account, *, address: str) -> Started:
        """Raises ``StoreUnavailable``."""
        now = self._clock.now()
        token = token_urlsafe(TOKEN_BYTES)
        key = _hash(token)
        session = Session(account.kind, account.key, now, now + LIFETIME_S)
        entries = (IndexEntry(BY_ACCOUNT, account.id), IndexEntry(BY_EXPIRY, "", f"{session.expires_at:017.6f}"))
        put = Put(KIND, key, encode(session), entries, expected_version=0)
        audit = self._audit(account, "signed_in", key, address)
        await self._store.commit([put, audit, *await self._expired(now)])
        self._remember(key, session)
        return Started(token, session)

    async def find(self, token: str) -> Account:
        """The account behind a token. Raises ``Unauthenticated`` or ``StoreUnavailable``."""
        if len(token) != TOKEN_CHARS or not token.isascii():
            raise Unauthenticated
        key = _hash(token)
        session = self._cache.get(key) or await self._load(key)
        if session is None or session.expires_at <= self._clock.now():
            self._cache.pop(key, None)
            raise Unauthenticated
        business = await self._registry.business(session.account_key)
        if business is None:
            raise Unauthenticated
        return LegalAccount(business)

    async def end(self, token: str, account: Account, *, address: str) -> None:
        """From now on the token is unknown. Raises ``StoreUnavailable``, and the session goes on then."""
        key = _hash(token)
        await self._store.commit([Delete(KIND, key), self._audit(account, "signed_out", key, address)])
        self._ends += 1
        self._cache.pop(key, None)

    async def _load(self, key: str) -> Session | None:
        ends = self._ends
        document = (await self._store.get(KIND, (key,))).get(key)
        if document is None:
            return None
        session = decode(document.record, Session)
        if ends == self._ends:  # Otherwise this very session may have ended while we read.
            self._remember(key, session)
        return session

    async def _expired(self, now: float) -> list[Delete]:
        page = await self._store.find(KIND, BY_EXPIRY, "", limit=PURGED_AT_ONCE)
        return [Delete(KIND, found.key) for found in page.documents if decode(found.record, Session).expires_at <= now]

    def _remember(self, key: str, session: Session) -> None:
        if len(self._cache) >= CACHED:
            del self._cache[next(iter(self._cache))]
        self._cache[key] = session

    def _audit(self, account: Account, action: str, key: str, address: str) -> Put:
        return audit_document(
            AuditRecord(
                id=new_audit_id(),
                at=self._clock.now(),
                account_id=account.id,
                actor_kind=account.kind,
                actor_name=account.display_name,
                action=action,
                subject_kind="session",
                subject_id=key[:16],
                address_masked=address_masked(address),
            )
        )


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()
