"""The protocols of identity providers, and the sandbox provider that answers without WeChat."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final, Protocol

from domain.errors import CodeRefused
from domain.identifiers import InvalidIdentifier, parse_mobile_phone
from domain.names import name_key
from domain.registry import RegisteredPerson

SANDBOX_PREFIX: Final = "sandbox:"


@dataclass(frozen=True, slots=True)
class WechatUser:
    """The user behind a WeChat code."""

    openid: str
    phone: str = ""
    """The phone number; only the sandbox knows it at this point."""


class RealNames(Protocol):
    """Tells whether a citizen ID belongs to a person of this name. A deployment may bring a provider of its own."""

    async def agree(self, *, real_name: str, citizen_id: str, phone: str) -> bool:
        """Tell whether name and ID match; ``citizen_id`` and ``phone`` as parsed.

        Raises ``ProviderUnavailable`` or ``StoreUnavailable``.
        """
        ...


class IdentityProvider(Protocol):
    """Redeems the codes that clients get from WeChat. Raises ``CodeRefused`` or ``ProviderUnavailable``."""

    @property
    def name(self) -> str:
        """``sandbox`` or ``wechat``."""
        ...

    @property
    def notice(self) -> str:
        """The notice that operators and pages show about this provider."""
        ...

    async def wechat_user(self, code: str) -> WechatUser: ...

    async def phone(self, code: str) -> str:
        """Return the mainland mobile number behind the code, as parsed."""
        ...

    async def close(self) -> None: ...


class Sandbox:
    """Accepts ``sandbox:<phone>`` from any caller: for demonstrations and tests, never for real users."""

    name: Final = "sandbox"
    notice: Final = "沙箱身份：未接入微信，实名信息以导入的登记数据为准，仅供演示和测试。"

    async def wechat_user(self, code: str) -> WechatUser:
        phone = await self.phone(code)
        return WechatUser(f"sandbox-{phone}", phone)

    async def phone(self, code: str) -> str:
        if not code.startswith(SANDBOX_PREFIX):
            raise CodeRefused
        try:
            return parse_mobile_phone(code.removeprefix(SANDBOX_PREFIX))
        except InvalidIdentifier:
            raise CodeRefused from None

    async def close(self) -> None:
        """Release nothing: the sandbox holds no resources."""


class PersonLookUp(Protocol):
    """The part of the registry that real names are checked with."""

    def person_key(self, citizen_id: str) -> str: ...

    async def person_by_key(self, key: str) -> RegisteredPerson | None: ...


class RegistryRealNames:
    """Checks real names against the imported transport registry, the authority where no other provider is wired."""

    def __init__(self, registry: PersonLookUp) -> None:
        self._registry = registry

    async def agree(self, *, real_name: str, citizen_id: str, phone: str) -> bool:
        """Compare the names regardless of how they were typed.

        The phone is ignored: it may have changed since the import.
        """
        person = await self._registry.person_by_key(self._registry.person_key(citizen_id))
        if person is None:
            return False
        return hmac.compare_digest(name_key(person.real_name).encode(), name_key(real_name).encode())
