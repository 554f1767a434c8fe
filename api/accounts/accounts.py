"""The accounts that can be signed in, and the checks of what each kind may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2s
from typing import ClassVar, Literal

import msgspec

from domain.errors import DriverOnly, NaturalPersonOnly, OwnerOnly, RealNameRequired, Unauthenticated
from domain.people.audit import Doer, address_masked
from domain.registry import Business, Qualification

AccountKind = Literal["natural", "legal"]
Role = Literal["driver", "family", "owner"]


@dataclass(frozen=True, slots=True)
class LegalAccount:
    """A business (R4)."""

    kind: ClassVar[AccountKind] = "legal"
    roles: ClassVar[tuple[Role, ...]] = ("owner",)
    registered: ClassVar[bool] = True

    business: Business

    @property
    def key(self) -> str:
        """The name that its sessions are stored under; it never leaves the service."""
        return self.business.uscc

    @property
    def id(self) -> str:
        """Opaque, and never changes."""
        return account_id(self.kind, self.key)

    @property
    def ids(self) -> tuple[str, ...]:
        """Return every id that means this account."""
        return (self.id,)

    @property
    def display_name(self) -> str:
        return self.business.name


@dataclass(frozen=True, slots=True)
class NaturalAccount:
    """A natural person (R1), as the account and the registry are today; neither phone nor citizen ID is in it."""

    kind: ClassVar[AccountKind] = "natural"

    id: str
    """Opaque, and never changes, not even at registration."""
    roles: tuple[Role, ...]
    display_name: str
    """The real name. An unregistered account shows the masked phone, or that it is a WeChat user."""
    person_key: str | None = None
    """The keyed stand-in for the citizen ID (``Registry.person_key``); None until registered."""
    qualification: Qualification | None = field(default=None, repr=False)
    """The qualification as the registry has it, expired or not."""
    former_ids: tuple[str, ...] = ()
    """Ids of accounts that proved to be the same person's. Whatever they hold belongs to this account."""

    @property
    def key(self) -> str:
        """The name that its sessions are stored under."""
        return self.id

    @property
    def ids(self) -> tuple[str, ...]:
        """Return every id that means this account."""
        return (self.id, *self.former_ids)

    @property
    def registered(self) -> bool:
        """Tell whether the account is linked to a registered person (R2)."""
        return self.person_key is not None


Account = LegalAccount | NaturalAccount


class AccountView(msgspec.Struct, frozen=True):
    """The account that is signed in."""

    id: str
    kind: AccountKind
    roles: list[Role]
    registered: bool
    display_name: str


def account_id(kind: AccountKind, key: str) -> str:
    """Return the account's id: sixteen hexadecimal digits."""
    return blake2s(f"{kind}/{key}".encode(), digest_size=8).hexdigest()


def account_view(account: Account) -> AccountView:
    """Describe the account as its own holder sees it."""
    return AccountView(account.id, account.kind, list(account.roles), account.registered, account.display_name)


def doer_of(account: Account, address: str) -> Doer:
    """Return the actor that an audit record names (R64)."""
    return Doer(account.id, account.kind, account.display_name, address_masked(address))


def owner_of(account: Account | None) -> Business:
    """Return the business that is signed in. Raises ``Unauthenticated``, or ``OwnerOnly`` for any other account."""
    match account:
        case None:
            raise Unauthenticated
        case LegalAccount():
            return account.business
        case NaturalAccount():
            raise OwnerOnly


def natural_of(account: Account | None) -> NaturalAccount:
    """Return the signed-in natural person.

    Raises ``Unauthenticated``, or ``NaturalPersonOnly`` for a business.
    """
    match account:
        case None:
            raise Unauthenticated
        case LegalAccount():
            raise NaturalPersonOnly
        case NaturalAccount():
            return account


def registered_of(account: Account | None) -> NaturalAccount:
    """Return the signed-in registered person (R5). Raises as ``natural_of``, or ``RealNameRequired``."""
    person = natural_of(account)
    if not person.registered:
        raise RealNameRequired
    return person


def driver_of(account: Account | None) -> NaturalAccount:
    """Return the signed-in driver (R3). Raises ``Unauthenticated``, or ``DriverOnly`` for any other account."""
    if account is None:
        raise Unauthenticated
    if not isinstance(account, NaturalAccount) or "driver" not in account.roles:
        raise DriverOnly
    return account
