"""Who is signed in, and what may they do?"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2s
from typing import ClassVar, Literal

from domain.errors import OwnerOnly, Unauthenticated
from domain.registry import Business

AccountKind = Literal["natural", "legal"]
Role = Literal["driver", "family", "owner"]


@dataclass(frozen=True, slots=True)
class LegalAccount:
    """A business (R4). Natural persons get an account type of their own beside this one."""

    kind: ClassVar[AccountKind] = "legal"
    roles: ClassVar[tuple[Role, ...]] = ("owner",)

    business: Business

    @property
    def key(self) -> str:
        """What the registry knows it by; never leaves the service."""
        return self.business.uscc

    @property
    def id(self) -> str:
        """Opaque, and the same for ever."""
        return account_id(self.kind, self.key)

    @property
    def display_name(self) -> str:
        return self.business.name


Account = LegalAccount


def account_id(kind: AccountKind, key: str) -> str:
    """Sixteen hexadecimal digits."""
    return blake2s(f"{kind}/{key}".encode(), digest_size=8).hexdigest()


def owner_of(account: Account | None) -> Business:
    """The business that is signed in. Raises ``Unauthenticated``, or ``OwnerOnly`` for anybody else."""
    if account is None:
        raise Unauthenticated
    if "owner" not in account.roles:
        raise OwnerOnly
    return account.business
