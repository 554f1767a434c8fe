"""Starts, finds and ends sessions: opaque tokens, stored as hashes only.

A session ends by itself after 30 days (R62), or when the service statement changes (R1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Final

from actors.people.audit import audit_document
from actors.people.noted_times import NotedTimes
from actors.system.clock import Clock
from api.accounts.accounts import Account, LegalAccount, NaturalAccount, doer_of
from api.accounts.people import People
from api.accounts.remembered import Remembered
from api.accounts.session_records import (
    BY_ACCOUNT,
    BY_EXPIRY,
    KIND,
    PAGE,
    USED,
    Session,
    Way,
    ended_by_platform,
    password_mark,
    removed,
    session_id,
    session_key,
    sessions_of,
)
from api.http.listing import ListQuery, newest_first
from api.ports import Registry
from domain.errors import Unauthenticated
from domain.people.audit import address_masked, audit_record
from persistence.records import decode, encode
from persistence.store import Delete, IndexEntry, Put, Store

LIFETIME_S: Final = 30 * 86_400.0
MAX_OF_ACCOUNT: Final = 1_000
"""Live sessions of one account; the next sign-in ends the oldest."""
TOKEN_BYTES: Final = 32
TOKEN_CHARS: Final = 43
CACHED: Final = 10_000
BEARER: Final = "Bearer "
PURGED_AT_ONCE: Final = 20
"""Expired and surplus sessions that each sign-in removes: more than it adds."""
USED_EVERY_S: Final = 300.0
"""Precision, in seconds, of the time of last use."""


@dataclass(frozen=True, slots=True)
class Started:
    """A new session with its token, which cannot be read again later."""

    token: str
    session: Session


@dataclass(frozen=True, slots=True)
class SessionPage:
    """A page of an account's sessions by key, and the cursor of the next page."""

    sessions: Sequence[tuple[str, Session]]
    next: str | None


@dataclass(frozen=True, slots=True)
class _Known:
    """A session as read, and the registry's revision then. Another process ends sessions only with a new revision."""

    session: Session
    revision: str


class Sessions:
    """Starts, finds and ends sessions. Every start and end commits an audit record with it (R64)."""

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
        self._cache: dict[str, _Known] = {}
        """Sessions by token hash, oldest first.

        This process alone starts sessions; imports and operators may end businesses'.
        """
        self._ends = 0
        self.uses = NotedTimes(store, USED, every_s=USED_EVERY_S)
        self.on_end: Callable[[Sequence[str], str], None] = lambda account_ids, key: None
        """Called with all ids of the account and the key (``session_key``) of each session that is ended early."""

    async def start(self, account: Account, *, way: Way, address: str) -> Started:
        """Start a session. Raises ``StoreUnavailable``."""
        now, revision = self._clock.now(), self._revision()
        token = token_urlsafe(TOKEN_BYTES)
        key = session_key(token)
        session = Session(
            account_kind=account.kind,
            account_key=account.key,
            started_at=now,
            expires_at=now + LIFETIME_S,
            terms_version=self._terms_version,
            way=way,
            address_masked=address_masked(address),
            password_mark=password_mark(account.business.password_hash) if isinstance(account, LegalAccount) else "",
        )
        started, expires = (f"{at:017.6f}" for at in (session.started_at, session.expires_at))
        entries = (IndexEntry(BY_ACCOUNT, account.id, started), IndexEntry(BY_EXPIRY, "", expires))
        put = Put(KIND, key, encode(session), entries, expected_version=0)
        surplus = await self._surplus(account)
        ends = [each for old in surplus for each in ended_by_platform(old, account.id, at=now, detail="登录过多")]
        expired = await self._expired(now)
        await self._store.commit([put, self._audit(account, "signed_in", key, address), *ends, *expired])
        self._forget(account, surplus)
        self._remember(key, session, revision)
        return Started(token, session)

    async def find(self, token: str) -> Account:
        """Return the account behind a token.

        Raises ``Unauthenticated``, also after the statement has changed, or ``StoreUnavailable``.
        """
        if len(token) != TOKEN_CHARS or not token.isascii():
            raise Unauthenticated
        return await self.find_by_key(session_key(token))

    async def find_by_key(self, key: str) -> Account:
        """Return the account behind a session's key. Raises as ``find``."""
        session = await self._session(key)
        natural = session.account_kind == "natural"
        account = await (self._people.find(session.account_key) if natural else self._business(session.account_key))
        if account is None or not _fits(session, account):
            raise Unauthenticated
        self.uses.note(key, self._clock.now())
        return account

    async def expiry(self, key: str) -> float:
        """Return the session's expiry (Unix seconds). Raises as ``find``."""
        return (await self._session(key)).expires_at

    async def _session(self, key: str) -> Session:
        known = self._cache.get(key)
        if known is not None and known.session.account_kind == "legal" and known.revision != self._revision():
            known = None
        session = known.session if known is not None else await self._load(key)
        if session is None or not self._holds(session):
            self._cache.pop(key, None)
            raise Unauthenticated
        return session

    def at_hand(self, token: str) -> NaturalAccount | None:
        """Return the remembered natural person behind a token; None when the answer is not in memory."""
        if len(token) != TOKEN_CHARS or not token.isascii():
            return None
        key = session_key(token)
        known = self._cache.get(key)
        if known is None or known.session.account_kind != "natural" or not self._holds(known.session):
            return None
        self.uses.note(key, self._clock.now())
        return self._people.at_hand(known.session.account_key)

    def _holds(self, session: Session) -> bool:
        return session.expires_at > self._clock.now() and session.terms_version == self._terms_version

    async def all_of(self, account: Account) -> list[tuple[str, Session]]:
        """Return every session that can use this account now, by key. Raises ``StoreUnavailable``."""
        return [
            (document.key, session)
            for account_id in account.ids
            async for document, session in sessions_of(self._store, account_id)
            if self._holds(session) and _fits(session, account)
        ]

    async def page(self, account: Account, query: ListQuery) -> SessionPage:
        """Return a page of sessions, newest first.

        Raises ``InvalidInput`` for another list's cursor, or ``StoreUnavailable``.
        """
        page = await newest_first(self._store, KIND, BY_ACCOUNT, account.ids, query)
        read = [(document.key, decode(document.record, Session)) for document in page.documents]
        usable = [(key, session) for key, session in read if self._holds(session) and _fits(session, account)]
        return SessionPage(usable, page.next)

    async def end(self, keys: Sequence[str], account: Account, *, address: str) -> None:
        """End the sessions; their tokens become unknown.

        Raises ``StoreUnavailable``, and sessions not yet ended go on.
        """
        for start in range(0, len(keys), PAGE):
            some = keys[start : start + PAGE]
            audit = [self._audit(account, "signed_out", key, address) for key in some]
            await self._store.commit([*(write for key in some for write in removed(key)), *audit])
            self._forget(account, some)

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
        ends, revision = self._ends, self._revision()
        document = (await self._store.get(KIND, (key,))).get(key)
        if document is None:
            self.uses.forget([key])
            return None
        session = decode(document.record, Session)
        if ends == self._ends:  # otherwise this session may have ended during the read
            self._remember(key, session, revision)
        return session

    async def _surplus(self, account: Account) -> list[str]:
        """Return the oldest sessions beyond an account's limit, for the platform to end."""
        too_many = await self._store.count(KIND, BY_ACCOUNT, account.id) + 1 - MAX_OF_ACCOUNT
        if too_many <= 0:
            return []
        page = await self._store.find(KIND, BY_ACCOUNT, account.id, limit=min(too_many, PURGED_AT_ONCE))
        return [document.key for document in page.documents]

    async def _expired(self, now: float) -> list[Delete]:
        if not self._clock.is_settled:
            return []
        page = await self._store.find(KIND, BY_EXPIRY, "", limit=PURGED_AT_ONCE)
        old = (found.key for found in page.documents if decode(found.record, Session).expires_at <= now)
        return [write for key in old for write in removed(key)]

    def _forget(self, account: Account, keys: Sequence[str]) -> None:
        self._ends += len(keys)
        self.uses.forget(keys)
        for key in keys:
            self._cache.pop(key, None)
            self.on_end(account.ids, key)

    def _remember(self, key: str, session: Session, revision: str) -> None:
        self._cache.pop(key, None)
        if len(self._cache) >= CACHED:
            del self._cache[next(iter(self._cache))]
        self._cache[key] = _Known(session, revision)

    def _audit(self, account: Account, action: str, key: str, address: str) -> Put:
        doer = doer_of(account, address)
        return audit_document(audit_record(action, doer, at=self._clock.now(), subject=("session", session_id(key))))


def _fits(session: Session, account: Account) -> bool:
    """Tell whether the account still has the password that started the session."""
    if not isinstance(account, LegalAccount) or not session.password_mark:
        return True
    return session.password_mark == password_mark(account.business.password_hash)


def bearer(headers: Mapping[str, str]) -> str:
    """Return the call's bearer token. Raises ``Unauthenticated``."""
    header = headers.get("Authorization", "")
    if header[: len(BEARER)].lower() != BEARER.lower():
        raise Unauthenticated
    return header[len(BEARER) :].strip()
