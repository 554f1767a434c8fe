"""The sign-in of every kind of account (R1, R4, R5)."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from api.accounts.accounts import Account, AccountView, LegalAccount, NaturalAccount, account_view
from api.accounts.people import People
from api.accounts.session_records import Way
from api.accounts.sessions import Sessions
from api.http.calls import Call
from api.http.gates import Gates
from api.ports import Services
from api.shown.views import time_text
from domain.errors import TermsNotAccepted, WrongCredentials
from domain.identifiers import half_width
from domain.names import MAX_NAME_CHARS
from domain.registry import MAX_PASSWORD_CHARS

MAX_CODE_CHARS = 512
"""WeChat's codes have 32 to about 64 characters."""

Code = Annotated[str, Meta(min_length=1, max_length=MAX_CODE_CHARS)]
TermsVersion = Annotated[str, Meta(max_length=100)]


class TermsAnswer(msgspec.Struct, frozen=True):
    """The current service statement."""

    version: str
    text: str


class LegalSignIn(msgspec.Struct, frozen=True, tag_field="kind", tag="legal"):
    """A business signs in (R4)."""

    way: ClassVar[Way] = "legal"

    username: Annotated[str, Meta(max_length=MAX_NAME_CHARS)]
    password: Annotated[str, Meta(max_length=MAX_PASSWORD_CHARS)]
    terms_version: TermsVersion | None = None


class NaturalSignIn(msgspec.Struct, frozen=True, tag_field="kind", tag="natural"):
    """A natural person signs in through WeChat (R1), with a code of ``wx.login``."""

    way: ClassVar[Way] = "natural"

    wechat_code: Code
    terms_version: TermsVersion | None = None


class OneClickSignIn(msgspec.Struct, frozen=True, tag_field="kind", tag="one_click"):
    """A natural person signs in with a phone number alone (R5), by a code of WeChat's ``getPhoneNumber``."""

    way: ClassVar[Way] = "one_click"

    phone_code: Code
    terms_version: TermsVersion | None = None


SignIn = LegalSignIn | NaturalSignIn | OneClickSignIn


class SignedIn(msgspec.Struct, frozen=True):
    """A new session with its token, which is not shown again."""

    token: str
    expires_at: str
    account: AccountView


class SignInDesk:
    """The handlers of ``/terms`` and ``/sessions``."""

    def __init__(self, services: Services, *, people: People, sessions: Sessions, gates: Gates) -> None:
        self._services = services
        self._people = people
        self._sessions = sessions
        self._gates = gates

    async def terms(self, call: Call[None, None]) -> TermsAnswer:
        """Return the current service statement (R1)."""
        terms = self._services.terms
        return TermsAnswer(terms.version, terms.text)

    async def sign_in(self, call: Call[SignIn, None]) -> SignedIn:
        """Start a session (R1, R4, R5, R61). Check the terms before redeeming a code or testing a password."""
        if call.body.terms_version != self._services.terms.version:
            raise TermsNotAccepted(self._services.terms.version)
        account = await self._authenticated(call.body, call.address)
        started = await self._sessions.start(account, way=call.body.way, address=call.address)
        return SignedIn(started.token, time_text(started.session.expires_at), account_view(account))

    async def _authenticated(self, proof: SignIn, address: str) -> Account:
        match proof:
            case LegalSignIn():
                return await self._business(half_width(proof.username).strip(), proof.password, address)
            case NaturalSignIn():
                return await self._by_wechat(proof.wechat_code, address)
            case OneClickSignIn():
                return await self._by_phone(proof.phone_code, address)

    async def _by_wechat(self, code: str, address: str) -> NaturalAccount:
        async with self._gates.code(address):
            user = await self._services.identity.wechat_user(code)
        return await self._people.of_wechat(user, address=address)

    async def _by_phone(self, code: str, address: str) -> NaturalAccount:
        async with self._gates.code(address):
            phone = await self._services.identity.phone(code)
        return await self._people.of_phone(phone, address=address)

    async def _business(self, username: str, password: str, address: str) -> LegalAccount:
        async with self._gates.password(username, address):
            business = None
            if username and username.isprintable():
                business = await self._services.registry.business_by_username(username)
            if not await self._services.passwords.match(business.password_hash if business else None, password):
                raise WrongCredentials
        assert business is not None  # a missing business's hash never matches
        return LegalAccount(business)
