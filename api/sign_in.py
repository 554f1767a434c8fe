"""How does an account get in and out, and what does it see of itself?"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from api.accounts import Account, AccountKind, LegalAccount, Role
from api.attempts import Attempts
from api.calls import Call
from api.ports import Services
from api.sessions import Sessions
from api.views import CertificateView, certificate_view, time_text
from domain.certificates import CertificateKind, china_date, validity
from domain.errors import TermsNotAccepted, WrongCredentials
from domain.registry import MAX_NAME_CHARS, MAX_PASSWORD_CHARS

WINDOW_S = 15 * 60.0
WRONG_PASSWORDS = 10
"""Per user name and address within ``WINDOW_S`` (R61)."""
WRONG_BY_ADDRESS = 60
"""Per address, whatever the user names."""


class TermsAnswer(msgspec.Struct, frozen=True):
    """The current service statement."""

    version: str
    text: str


class LegalSignIn(msgspec.Struct, frozen=True):
    """A business signs in (R4)."""

    kind: Literal["legal"]
    username: Annotated[str, Meta(max_length=MAX_NAME_CHARS)]
    password: Annotated[str, Meta(max_length=MAX_PASSWORD_CHARS)]
    terms_version: Annotated[str, Meta(max_length=100)] | None = None


SignIn = LegalSignIn
"""Natural persons' kinds join here as further types, told apart by ``kind``."""


class AccountView(msgspec.Struct, frozen=True):
    """Who is signed in."""

    id: str
    kind: AccountKind
    roles: list[Role]
    registered: bool
    display_name: str


class SignedIn(msgspec.Struct, frozen=True):
    """A new session; the token is told here only."""

    token: str
    expires_at: str
    account: AccountView


class Counts(msgspec.Struct, frozen=True):
    """For a home page."""

    vehicles: int


class Me(msgspec.Struct, frozen=True):
    """The account, its certificates, and counts."""

    id: str
    kind: AccountKind
    roles: list[Role]
    registered: bool
    display_name: str
    certificates: list[CertificateView]
    counts: Counts


class Certificates(msgspec.Struct, frozen=True):
    """All of the account's own."""

    items: list[CertificateView]


class SignInDesk:
    """The handlers of ``/terms``, ``/sessions`` and ``/me``."""

    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._services = services
        self._sessions = sessions
        now = services.clock.now
        self._by_name = Attempts(now, limit=WRONG_PASSWORDS, window_s=WINDOW_S)
        self._by_address = Attempts(now, limit=WRONG_BY_ADDRESS, window_s=WINDOW_S)

    async def terms(self, call: Call[None, None]) -> TermsAnswer:
        """R1."""
        terms = self._services.terms
        return TermsAnswer(terms.version, terms.text)

    async def sign_in(self, call: Call[SignIn, None]) -> SignedIn:
        """R1, R4, R61. Refused by wrong terms before anything is said of the password."""
        if call.body.terms_version != self._services.terms.version:
            raise TermsNotAccepted(self._services.terms.version)
        account = await self._authenticate(call.body.username.strip(), call.body.password, call.address)
        started = await self._sessions.start(account, address=call.address)
        return SignedIn(started.token, time_text(started.session.expires_at), _account_view(account))

    async def sign_out(self, call: Call[None, None]) -> None:
        """The token is worth nothing afterwards."""
        await self._sessions.end(call.token, call.signed_in, address=call.address)

    async def me(self, call: Call[None, None]) -> Me:
        """The home page's."""
        account = call.signed_in
        view = _account_view(account)
        vehicles = await self._services.registry.count_vehicles_of(account.business.uscc)
        return Me(
            view.id, view.kind, view.roles, view.registered, view.display_name, self._papers(account), Counts(vehicles)
        )

    async def certificates(self, call: Call[None, None]) -> Certificates:
        """Those of the account itself, not of its vehicles."""
        return Certificates(self._papers(call.signed_in))

    async def _authenticate(self, username: str, password: str, address: str) -> Account:
        """Every attempt counts until it turns out right, so that many at once gain nothing."""
        by_name = (username, address)
        self._by_name.check(by_name)
        self._by_address.check(address)
        self._by_name.note(by_name)
        self._by_address.note(address)
        try:
            account = await self._verify(username, password)
        except WrongCredentials:
            raise
        except BaseException:
            self._forgive(username, address)
            raise
        self._forgive(username, address)
        return account

    def _forgive(self, username: str, address: str) -> None:
        self._by_name.forgive((username, address))
        self._by_address.forgive(address)

    async def _verify(self, username: str, password: str) -> Account:
        business = None
        if username and username.isprintable():
            business = await self._services.registry.business_by_username(username)
        if not await self._services.passwords.match(business.password_hash if business else None, password):
            raise WrongCredentials
        assert business is not None  # nobody's hash never matches
        return LegalAccount(business)

    def _papers(self, account: Account) -> list[CertificateView]:
        licence = account.business.operating_licence
        if licence is None:
            return []
        today = china_date(self._services.clock.now())
        stands = validity(CertificateKind.OPERATING_LICENCE, valid_until=licence.valid_until, today=today)
        return [certificate_view(licence.number, stands)]


def _account_view(account: Account) -> AccountView:
    return AccountView(
        account.id, account.kind, list(account.roles), registered=True, display_name=account.display_name
    )
