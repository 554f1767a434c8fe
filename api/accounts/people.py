"""The accounts of natural persons: kept in the store, found by phone, openid or person, never two for one person.

An account is a document. The phone, the openid and the person that lead to it are claims: documents of their own under
keyed hashes, which hold the account's id. All that changes together is one commit that expects every document as it was
read. Two calls in the same millisecond therefore make one account: the slower call reads again.

A registration as a person who already has an account joins that account. The other account is kept as a pointer to it,
so that its sessions go on. Its id is added to ``former_ids``, so that what it held is not lost. An account is only ever
united into one with a registered person, and such an account is never united into another. A pointer therefore takes
one step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Final

from actors.people.audit import audit_document
from actors.system.clock import Clock
from api.accounts.accounts import NaturalAccount
from api.accounts.identity import WechatUser
from api.accounts.remembered import Remembered
from api.http.keyed import Keyed
from api.ports import Registry
from domain.civil_time import china_date, civil_day
from domain.errors import Busy
from domain.people.accounts import Shown, StoredAccount, accounts_to_unite, chosen_account, united_account
from domain.people.audit import Doer, address_masked, audit_record
from domain.registry import RegisteredPerson
from persistence.records import decode, encode
from persistence.store import Put, Store, StoreConflict

KIND: Final = "account"
CLAIMS: Final = ("account.person", "account.openid", "account.phone")
PERSON, OPENID, PHONE = CLAIMS
TRIES: Final = 10
NOBODY: Final = "微信用户"


@dataclass(frozen=True, slots=True)
class _Claim:
    """A claim as read: its account's id, empty where unclaimed, and its document's version."""

    key: str
    holder: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    """Everything that a decision is based on, as read."""

    claims: Mapping[str, _Claim]
    """The claims shown, by kind."""
    accounts: Mapping[str, StoredAccount]
    versions: Mapping[str, int]

    def account(self, account_id: str) -> StoredAccount | None:
        """Return the account that this id means now."""
        account = self.accounts.get(account_id)
        return self.accounts.get(account.united_with) if account is not None and account.united_with else account

    def holder(self, kind: str) -> StoredAccount | None:
        """Return the account that holds this claim."""
        claim = self.claims.get(kind)
        return self.account(claim.holder) if claim is not None else None

    def candidates(self, shown: Shown) -> list[StoredAccount]:
        """Return the accounts that the shown claims lead to, each once, the likelier first."""
        found = (self.holder(PERSON), self.account(shown.account_id), self.holder(OPENID), self.holder(PHONE))
        return list({account.id: account for account in found if account is not None}.values())


@dataclass(frozen=True, slots=True)
class _Decision:
    """The account that results, and what to write for it."""

    account: StoredAccount
    puts: tuple[Put, ...]
    alters: bool
    """Tells whether an existing account differs afterwards."""


class People:
    """Finds and makes the accounts of natural persons. Every method may raise ``StoreUnavailable``."""

    def __init__(self, store: Store, clock: Clock, registry: Registry, revision: Callable[[], str]) -> None:
        """``revision`` changes whenever the registry may have changed."""
        self._store = store
        self._clock = clock
        self._registry = registry
        self._revision = revision
        self._keyed = Keyed(store, "accounts")
        self._remembered: Remembered[NaturalAccount] = Remembered()
        self._alterations = 0

    async def find(self, account_id: str) -> NaturalAccount | None:
        """Return the account that this id means now.

        Reads the store only if the account, the registry or the day has changed.
        """
        now = self._clock.now()
        mark = self._mark(now)
        known = self._remembered.get(account_id, mark)
        if known is not None:
            return known
        stored = await self._stored(account_id)
        if stored is None:
            return None
        person = await self._registry.person_by_key(stored.person_key) if stored.person_key else None
        account = _as_of(stored, person, now)
        self._remembered.keep(account_id, mark, account)
        return account

    @property
    def alterations(self) -> int:
        """Count the changes of known accounts that this process has made."""
        return self._alterations

    async def phone_of(self, account_id: str) -> str:
        """Return the whole phone of the person behind the account (R62): proved last, or the registry's; or empty."""
        stored = await self._stored(account_id)
        if stored is None or not stored.person_key:
            return ""
        if stored.phone and await self._registry.person_key_by_phone(stored.phone) in (None, stored.person_key):
            return stored.phone
        person = await self._registry.person_by_key(stored.person_key)
        return "" if person is None else person.phone

    def at_hand(self, account_id: str) -> NaturalAccount | None:
        """Return the remembered account as ``find`` would; None when it is not remembered."""
        return self._remembered.get(account_id, self._mark(self._clock.now()))

    def _mark(self, now: float) -> tuple[object, ...]:
        """Return the mark of the conditions under which a remembered account is valid."""
        return (self._revision(), civil_day(now), self._alterations)

    async def of_wechat(self, user: WechatUser, *, address: str) -> NaturalAccount:
        """Return the registry's person with this openid, or phone where known; otherwise the openid's own account (R1)."""
        key = await self._registry.person_key_by_openid(user.openid)
        if key is None and user.phone:
            key = await self._registry.person_key_by_phone(user.phone)
        return await self._enter(await self._shown(user.openid, user.phone, key), address)

    async def of_phone(self, phone: str, *, address: str) -> NaturalAccount:
        """Return the person who has this phone, by registry or registration; otherwise the phone's own account (R5)."""
        key = await self._registry.person_key_by_phone(phone)
        return await self._enter(await self._shown("", phone, key), address)

    async def register(
        self, account: NaturalAccount, *, person_key: str, real_name: str, phone: str, address: str
    ) -> NaturalAccount:
        """Make the account this person's (R2).

        Raises ``RealNameMismatch`` when it already belongs to another person.
        """
        person = await self._registry.person_by_key(person_key)
        shown = Shown("", phone, person_key, real_name, account.id, is_driver=_holds_qualification(person))
        return await self._enter(shown, address)

    # -- one decision ------------------------------------------------------------------------------------------------

    async def _shown(self, openid: str, phone: str, person_key: str | None) -> Shown:
        person = await self._registry.person_by_key(person_key) if person_key else None
        if person is None or person_key is None:
            return Shown(openid, phone)
        return Shown(openid, phone, person_key, person.real_name, is_driver=_holds_qualification(person))

    async def _enter(self, shown: Shown, address: str) -> NaturalAccount:
        for _ in range(TRIES):
            decision = self._decide(await self._read(shown), shown, address)
            try:
                await self._store.commit(decision.puts)
            except StoreConflict:  # another commit came first: read again
                continue
            finally:
                self._alterations += decision.alters  # also when the outcome is unknown: a time-out may have committed
            account = await self.find(decision.account.id)
            assert account is not None  # accounts are never deleted
            return account
        raise Busy

    async def _read(self, shown: Shown) -> _Found:
        texts = ((PERSON, shown.person_key), (OPENID, shown.openid), (PHONE, shown.phone))
        claims = {kind: await self._claim(kind, text) for kind, text in texts if text}
        accounts, versions = await self._accounts(
            [shown.account_id, *(claim.holder for claim in claims.values())],
        )
        further, more = await self._accounts([account.united_with for account in accounts.values()])
        return _Found(claims, {**accounts, **further}, {**versions, **more})

    async def _claim(self, kind: str, text: str) -> _Claim:
        key = await self._keyed.of(kind, text)
        document = (await self._store.get(kind, (key,))).get(key)
        return _Claim(key) if document is None else _Claim(key, decode(document.record, str), document.version)

    async def _stored(self, account_id: str) -> StoredAccount | None:
        """Return the account that this id means now."""
        stored = (await self._accounts([account_id]))[0].get(account_id)
        if stored is not None and stored.united_with:
            stored = (await self._accounts([stored.united_with]))[0].get(stored.united_with)
        return stored

    async def _accounts(self, ids: list[str]) -> tuple[Mapping[str, StoredAccount], Mapping[str, int]]:
        """Return the accounts that exist, and their documents' versions."""
        wanted = [account_id for account_id in ids if account_id]
        documents = await self._store.get(KIND, wanted) if wanted else {}
        accounts = {key: decode(document.record, StoredAccount) for key, document in documents.items()}
        return accounts, {key: document.version for key, document in documents.items()}

    def _decide(self, found: _Found, shown: Shown, address: str) -> _Decision:
        """Decide on the account without reading or waiting."""
        now, candidates = self._clock.now(), found.candidates(shown)
        chosen = chosen_account(candidates, shown)
        united = accounts_to_unite(candidates, chosen, shown)
        account = united_account(chosen or StoredAccount(token_hex(8), now), shown, united)
        changed = [] if account == chosen else [account]
        changed += [replace(each, united_with=account.id) for each in united]
        changed += _without_phone(found, account, shown)
        puts = [_put(each, found.versions.get(each.id, 0)) for each in changed]
        puts += _claims(found, account, shown)
        if chosen is not None and (united or account.person_key != chosen.person_key):
            doer = Doer(account.id, "natural", account.real_name, address_masked(address))
            became = [each.id for each in united] or [account.id]
            record = audit_record("registered", doer, at=now, subject=("account", became[0]), accounts=tuple(became))
            puts.append(audit_document(record))
        return _Decision(account, tuple(puts), alters=chosen is not None and bool(changed))


def _holds_qualification(person: RegisteredPerson | None) -> bool:
    return person is not None and person.qualification is not None


def _without_phone(found: _Found, account: StoredAccount, shown: Shown) -> list[StoredAccount]:
    """Return the account of another person that had this phone before, with the phone removed."""
    holder = found.holder(PHONE) if shown.person_key else None
    if holder is None or holder.id == account.id or holder.phone != shown.phone or not holder.phone:
        return []
    return [replace(holder, phone="")]


def _claims(found: _Found, account: StoredAccount, shown: Shown) -> list[Put]:
    """Return the writes that make the shown claims lead to this account.

    A claim that led elsewhere moves to a person only: a phone changes hands.
    """
    puts = []
    for kind, claim in found.claims.items():
        holder = found.account(claim.holder)
        leads_elsewhere = holder is not None and holder.id != account.id
        if holder is None or (leads_elsewhere and shown.person_key):
            puts.append(Put(kind, claim.key, encode(account.id), expected_version=claim.version))
    return puts


def _put(account: StoredAccount, version: int) -> Put:
    return Put(KIND, account.id, encode(account), expected_version=version)


def _as_of(stored: StoredAccount, person: RegisteredPerson | None, now: float) -> NaturalAccount:
    """Build the account: a driver while the registry's qualification is valid (R3), and family always."""
    qualification = person.qualification if person is not None else None
    is_driver = qualification is not None and qualification.valid_until >= china_date(now)
    if not stored.person_key:
        display_name = stored.phone_masked or NOBODY
    else:
        display_name = person.real_name if person is not None else stored.real_name
    return NaturalAccount(
        id=stored.id,
        roles=("driver", "family") if is_driver else ("family",),
        display_name=display_name,
        person_key=stored.person_key or None,
        qualification=qualification,
        former_ids=stored.former_ids,
    )
