"""The handlers and types of an account's view of itself."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from actors.people.person import LookAtDriver
from api.accounts.accounts import Account, AccountKind, LegalAccount, NaturalAccount, Role, account_view
from api.accounts.audit_list import AuditList, AuditPage
from api.accounts.people import People
from api.http.calls import Call
from api.http.listing import CURSOR_PATTERN
from api.http.problems import Problem, problem_told
from api.ports import Services
from api.shown.views import CertificateView, certificate_view
from domain.civil_time import china_date
from domain.errors import InvalidInput, TooManyBindings, TooManyIn12Months
from domain.identifiers import phone_masked
from domain.people.certificates import CertificateKind, validity
from domain.people.driver import check_room
from domain.registry import OperatingLicence, Qualification

BINDINGS = ("binding", "current")
"""Kind and index of the current bindings, by the driver's account."""
WATCHED = ("share", "viewer")
"""Kind and index of the shares that an account has opened."""
MAX_LIMIT = 200


class Counts(msgspec.Struct, frozen=True):
    """The counts that a home page shows."""

    vehicles: int
    """A business's own vehicles; for a natural person, the vehicles bound now."""
    shares_watched: int
    """Shares opened by this account, ended ones included."""


class Me(msgspec.Struct, frozen=True):
    """The account, its certificates, and counts."""

    id: str
    kind: AccountKind
    roles: list[Role]
    registered: bool
    display_name: str
    phone_masked: str | None
    """The phone that is registered for this person."""
    certificates: list[CertificateView]
    counts: Counts
    bind_refusal: Problem | None
    """The refusal that a driver's next binding would meet now (R12, R13)."""


class Certificates(msgspec.Struct, frozen=True):
    """The account's certificates, on one page."""

    items: list[CertificateView]
    next: None = None


class AuditQuery(msgspec.Struct, frozen=True):
    """The query for a page of the account's audit records."""

    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = 50
    cursor: Annotated[str, Meta(max_length=8_000, pattern=CURSOR_PATTERN)] | None = None


class MeDesk:
    """The handlers of ``/me``."""

    def __init__(self, services: Services, people: People) -> None:
        self._services = services
        self._people = people
        self._audit = AuditList(services.store)

    async def me(self, call: Call[None, None]) -> Me:
        """Return the account's home page."""
        account = call.signed_in
        view = account_view(account)
        return Me(
            id=view.id,
            kind=view.kind,
            roles=view.roles,
            registered=view.registered,
            display_name=view.display_name,
            phone_masked=await self._phone_masked(account),
            certificates=self._papers(account),
            counts=await self._counts(account),
            bind_refusal=await self._bind_refusal(account),
        )

    async def certificates(self, call: Call[None, None]) -> Certificates:
        """List the certificates of the account itself, not those of its vehicles."""
        return Certificates(self._papers(call.signed_in))

    async def audit(self, call: Call[None, AuditQuery]) -> AuditPage:
        """List what the account did, and what others did to its vehicles and shares; newest first (R64)."""
        try:
            return await self._audit.page(call.signed_in.ids, limit=call.query.limit, cursor=call.query.cursor)
        except ValueError:
            raise InvalidInput(("cursor", "不是本列表的游标")) from None

    async def _counts(self, account: Account) -> Counts:
        if isinstance(account, LegalAccount):
            return Counts(await self._services.registry.count_vehicles_of(account.business.uscc), 0)
        store = self._services.store
        watched = [await store.count(*WATCHED, account_id) for account_id in account.ids]
        return Counts(await store.count(*BINDINGS, account.id), sum(watched))

    async def _phone_masked(self, account: Account) -> str | None:
        phone = "" if isinstance(account, LegalAccount) else await self._people.phone_of(account.id)
        return phone_masked(phone) or None

    async def _bind_refusal(self, account: Account) -> Problem | None:
        if "driver" not in account.roles:
            return None
        driver = await self._services.supervisor.ask(account.id, LookAtDriver())
        try:
            check_room(driver, None, now=self._services.clock.now())
        except (TooManyBindings, TooManyIn12Months) as refusal:
            return problem_told(refusal)
        return None

    def _papers(self, account: Account) -> list[CertificateView]:
        match account:
            case LegalAccount(business=business):
                return self._paper(CertificateKind.OPERATING_LICENCE, business.operating_licence)
            case NaturalAccount():
                return self._paper(CertificateKind.QUALIFICATION, account.qualification)

    def _paper(self, kind: CertificateKind, paper: OperatingLicence | Qualification | None) -> list[CertificateView]:
        if paper is None:
            return []
        stands = validity(kind, valid_until=paper.valid_until, today=china_date(self._services.clock.now()))
        return [certificate_view(paper.number, stands)]
