"""Whose token is this? Sessions: opaque tokens, stored as hashes only, ending after 30 days (R62) or with the statement (R1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe
from typing import Final

from actors.audit import audit_document
from actors.clock import Clock
from api.accounts import Account, AccountKind, LegalAccount, NaturalAccount, doer_of
from api.people import People
from api.ports import Registry
from api.remembered import Remembered
from domain.audit import PLATFORM, audit_record
from domain.errors import Unauthenticated
from persistence.records import decode, encode
from persistence.store import Delete, Document, IndexEntry, Put, Store

KIND: Final = "session"
BY_ACCOUNT: Final = "account"
BY_EXPIRY: Final = "expiry"
LIFETIME_S: Final = 30 * 86_400.0
MAX_OF_ACCOUNT: Final = 1_000
"""Live sessions of one account; the next one ends the oldest."""
TOKEN_BYTES: Final = 32
TOKEN_CHARS: Final = 43
CACHED: Final = 10_000
BEARER: Final = "Bearer "
PURGED_AT_ONCE: Final = 20
"""Expired sessions, and those beyond an account's limit, that each sign-in clears away: more than it adds."""


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


@dataclass(frozen=True, slots=True)
class Started:
    """A new session with its token, which nobody can be told again."""

    token: str
    session: Session


class Sessions:
    """Starts, finds and ends sessions; every start and end leaves an audit record in the same commit (R64)."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        registry: Registry,
        people: People,
        revision: Callable[[], str],
        *,
        terms_version: str,
    ) -> None:
        """``revision`` changes whenever the registry may have; ``terms_version`` is the current service statement's."""
        self._store = store
        self._clock = clock
        self._registry = registry
        self._people = people
        self._revision = revision
        self._terms_version = terms_version
        self._businesses: Remembered[LegalAccount] = Remembered()
        self._cache: dict[str, Session] = {}
        """By token hash, the oldest first. All sessions of a store are started and ended by one process."""
        self._ends = 0
        self.on_end: Callable[[str, str], None] = lambda account_id, key: None
        """Is told the account and the key (``session_key``) of each session that is ended before its time."""

    async def start(self, account: Account, *, address: str) -> Started:
        """Raises ``StoreUnavailable``."""
        now = self._clock.now()
        token = token_urlsafe(TOKEN_BYTES)
        key = session_key(token)
        session = Session(account.kind, account.key, now, now + LIFETIME_S, self._terms_version)
        started, expires = (f"{at:017.6f}" for at in (session.started_at, session.expires_at))
        entries = (IndexEntry(BY_ACCOUNT, account.id, started), IndexEntry(BY_EXPIRY, "", expires))
        put = Put(KIND, key, encode(session), entries, expected_version=0)
        surplus = await self._surplus(account)
        writes = [put, self._audit(account, "signed_in", key, address), *surplus, *await self._expired(now)]
        await self._store.commit(writes)
        self._forget(account, [write.key for write in surplus if isinstance(write, Delete)])
        self._remember(key, session)
        return Started(token, session)

    async def find(self, token: str) -> Account:
        """The account behind a token. Raises ``Unauthenticated``, also once the statement has changed, or ``StoreUnavailable``."""
        if len(token) != TOKEN_CHARS or not token.isascii():
            raise Unauthenticated
        return await self.find_by_key(session_key(token))

    async def find_by_key(self, key: str) -> Account:
        """As ``find``, for whoever keeps no token."""
        session = self._cache.get(key) or await self._load(key)
        if session is None or not self._holds(session):
            self._cache.pop(key, None)
            raise Unauthenticated
        natural = session.account_kind == "natural"
        account = await (self._people.find(session.account_key) if natural else self._business(session.account_key))
        if account is None:
            raise Unauthenticated
        return account

    def at_hand(self, token: str) -> NaturalAccount | None:
        """As ``find``, of a natural person, and of what is remembered; None says nothing."""
        if len(token) != TOKEN_CHARS or not token.isascii():
            return None
        session = self._cache.get(session_key(token))
        if session is None or session.account_kind != "natural" or not self._holds(session):
            return None
        return self._people.at_hand(session.account_key)

    def _holds(self, session: Session) -> bool:
        return session.expires_at > self._clock.now() and session.terms_version == self._terms_version

    async def end(self, token: str, account: Account, *, address: str) -> None:
        """From now on the token is unknown. Raises ``StoreUnavailable``, and the session goes on then."""
        key = session_key(token)
        await self._store.commit([Delete(KIND, key), self._audit(account, "signed_out", key, address)])
        self._forget(account, [key])

    async def _business(self, uscc: str) -> LegalAccount | None:
        mark = self._revision()
        known = self._businesses.get(uscc, mark)
        if known is not None:
            return known
        business = await self._registry.business(uscc)
        if business is None:
            return None
        account = LegalAccount(business)
        self._businesses.keep(uscc, mark, account)
        return account

    async def _load(self, key: str) -> Session | None:
        ends = self._ends
        document = (await self._store.get(KIND, (key,))).get(key)
        if document is None:
            return None
        session = decode(document.record, Session)
        if ends == self._ends:  # Otherwise this very session may have ended while we read.
            self._remember(key, session)
        return session

    async def _surplus(self, account: Account) -> list[Put | Delete]:
        """The oldest sessions of an account that has too many, to be ended by the platform."""
        too_many = await self._store.count(KIND, BY_ACCOUNT, account.id) + 1 - MAX_OF_ACCOUNT
        if too_many <= 0:
            return []
        page = await self._store.find(KIND, BY_ACCOUNT, account.id, limit=min(too_many, PURGED_AT_ONCE))
        writes: list[Put | Delete] = []
        for document in page.documents:
            writes += [Delete(KIND, document.key), self._ended_by_platform(account, document)]
        return writes

    def _ended_by_platform(self, account: Account, document: Document) -> Put:
        subject, now = ("session", document.key[:16]), self._clock.now()
        return audit_document(
            audit_record("signed_out", PLATFORM, at=now, subject=subject, accounts=(account.id,), detail="登录过多")
        )

    async def _expired(self, now: float) -> list[Delete]:
        if not self._clock.is_settled:
            return []
        page = await self._store.find(KIND, BY_EXPIRY, "", limit=PURGED_AT_ONCE)
        return [Delete(KIND, found.key) for found in page.documents if decode(found.record, Session).expires_at <= now]

    def _forget(self, account: Account, keys: list[str]) -> None:
        self._ends += len(keys)
        for key in keys:
            self._cache.pop(key, None)
            self.on_end(account.id, key)

    def _remember(self, key: str, session: Session) -> None:
        if len(self._cache) >= CACHED:
            del self._cache[next(iter(self._cache))]
        self._cache[key] = session

    def _audit(self, account: Account, action: str, key: str, address: str) -> Put:
        doer = doer_of(account, address)
        return audit_document(audit_record(action, doer, at=self._clock.now(), subject=("session", key[:16])))


def bearer(headers: Mapping[str, str]) -> str:
    """The token that a call shows. Raises ``Unauthenticated``."""
    header = headers.get("Authorization", "")
    if header[: len(BEARER)].lower() != BEARER.lower():
        raise Unauthenticated
    return header[len(BEARER) :].strip()


def session_key(token: str) -> str:
    """What the store knows a token by (R62)."""
    return sha256(token.encode()).hexdigest()
