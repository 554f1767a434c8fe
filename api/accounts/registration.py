"""The registration of a natural person (R2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from api.accounts.accounts import AccountView, account_view, natural_of
from api.accounts.people import People
from api.accounts.sign_in import Code
from api.http.calls import Call
from api.http.gates import Gates
from api.ports import Services
from domain.errors import InvalidInput, RealNameMismatch
from domain.identifiers import MAX_INPUT_CHARS, InvalidIdentifier, parse_citizen_id
from domain.names import MAX_NAME_CHARS, parse_person_name


class Registration(msgspec.Struct, frozen=True):
    """A person's real name and citizen ID, and a code of WeChat's ``getPhoneNumber``."""

    real_name: Annotated[str, Meta(min_length=1, max_length=MAX_NAME_CHARS)]
    citizen_id: Annotated[str, Meta(min_length=1, max_length=MAX_INPUT_CHARS)]
    phone_code: Code


class RegistrationDesk:
    """The handler of ``/registration``."""

    def __init__(self, services: Services, *, people: People, gates: Gates) -> None:
        self._services = services
        self._people = people
        self._gates = gates

    async def register(self, call: Call[Registration, None]) -> AccountView:
        """Register the person (R2, R3, R61).

        Check everything else before redeeming the phone's code, which works once.
        """
        account, asked = natural_of(call.account), call.body
        citizen_id = _parsed("citizen_id", parse_citizen_id, asked.citizen_id)
        real_name = _parsed("real_name", parse_person_name, asked.real_name)
        person_key = self._services.registry.person_key(citizen_id)
        async with self._gates.real_name(account.id, call.address):
            if account.person_key not in (None, person_key):
                raise RealNameMismatch
            async with self._gates.code(call.address):
                phone = await self._services.identity.phone(asked.phone_code)
            if not await self._services.real_names.agree(real_name=real_name, citizen_id=citizen_id, phone=phone):
                raise RealNameMismatch
            account = await self._people.register(
                account, person_key=person_key, real_name=real_name, phone=phone, address=call.address
            )
        return account_view(account)


def _parsed(field: str, parse: Callable[[str], str], text: str) -> str:
    try:
        return parse(text)
    except InvalidIdentifier as error:
        raise InvalidInput((field, str(error))) from None
