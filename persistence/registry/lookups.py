"""Looks up businesses, vehicles and persons in the registry, and tells what changed since the last question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from domain.registry import Business, RegisteredPerson, RegisteredVehicle
from persistence.records import decode, encode
from persistence.registry.documents import (
    BUSINESS,
    OPENID,
    OWNER,
    PERSON,
    PHONE,
    REVISED,
    REVISION,
    REVISION_KEY,
    TERMINAL,
    USERNAME,
    VEHICLE,
    WITH_AUTH,
    WITHOUT_AUTH,
    Claim,
    KeyedHash,
)
from persistence.store import Put, Store

MAX_CHANGES: Final = 2_000
"""Vehicles after which an answer of ``changes`` ends, at the next revision's border."""
_PAGE: Final = 500


class Terminal(NamedTuple):
    """A line of the directory."""

    phone: str
    vehicle_id: str
    needs_auth: bool


@dataclass(frozen=True, slots=True)
class VehiclePage:
    """Some vehicles in the order of their plates; ``next`` is the cursor of the next page, None at the end."""

    vehicles: tuple[RegisteredVehicle, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """Vehicles as they are now; ``cursor`` is the next one to ask with, unchanged when all is told."""

    vehicles: tuple[RegisteredVehicle, ...]
    cursor: str


class Registry:
    """Look-ups in the registry that ``importing`` wrote, be it in another process."""

    def __init__(self, store: Store, keyed: KeyedHash) -> None:
        self._store = store
        self._keyed = keyed

    @classmethod
    async def open(cls, store: Store) -> Self:
        """Fetch the secret that the keys of persons are made with."""
        return cls(store, await registry_keys(store))

    async def vehicle(self, vehicle_id: str) -> RegisteredVehicle | None:
        """Return the vehicle of this id (``domain.registry.vehicle_id``)."""
        return (await self.vehicles([vehicle_id])).get(vehicle_id)

    async def vehicles(self, vehicle_ids: Sequence[str]) -> Mapping[str, RegisteredVehicle]:
        """Return the registered ones of these vehicles."""
        documents = await self._store.get(VEHICLE, vehicle_ids)
        return {key: decode(document.record, RegisteredVehicle) for key, document in documents.items()}

    async def speed_limits(self, vehicle_ids: Sequence[str]) -> Mapping[str, int]:
        """Return the limits (km/h) of the registered ones of these vehicles."""
        return {key: vehicle.speed_limit_kmh for key, vehicle in (await self.vehicles(vehicle_ids)).items()}

    async def owner_of(self, vehicle_id: str) -> str | None:
        """Return the credit code of the vehicle's owner, None for a vehicle that is not registered."""
        vehicle = await self.vehicle(vehicle_id)
        return None if vehicle is None else vehicle.owner_uscc

    async def vehicles_of(self, owner_uscc: str, *, after: str | None = None, limit: int = 100) -> VehiclePage:
        """Return a business's vehicles by plate. Raises ``ValueError`` for a cursor that is not of this list."""
        page = await self._store.find(VEHICLE, OWNER, owner_uscc, after=after, limit=limit)
        return VehiclePage(tuple(decode(found.record, RegisteredVehicle) for found in page.documents), page.next)

    async def business(self, uscc: str) -> Business | None:
        """Return the business of this unified social credit code."""
        document = (await self._store.get(BUSINESS, [uscc])).get(uscc)
        return decode(document.record, Business) if document else None

    async def business_by_username(self, username: str) -> Business | None:
        """Return the business that signs in with this user name."""
        holder = await self._holder(USERNAME, username)
        return await self.business(holder) if holder else None

    async def person(self, citizen_id: str) -> RegisteredPerson | None:
        """Return the person with this citizen ID (as parsed)."""
        return await self.person_by_key(self.person_key(citizen_id))

    def person_key(self, citizen_id: str) -> str:
        """Return the key that stands for this citizen ID (as parsed) wherever a person is referred to."""
        return self._keyed.of(citizen_id)

    async def person_key_by_phone(self, phone: str) -> str | None:
        """Return the key of the person for whom this mobile phone (as parsed) is registered."""
        return await self._holder(PHONE, self._keyed.of(phone))

    async def person_key_by_openid(self, openid: str) -> str | None:
        """Return the key of the person for whom this WeChat identity is registered."""
        return await self._holder(OPENID, self._keyed.of(openid))

    async def person_by_key(self, key: str) -> RegisteredPerson | None:
        """Return the person of this key (``person_key``)."""
        document = (await self._store.get(PERSON, [key])).get(key)
        return decode(document.record, RegisteredPerson) if document else None

    async def count_vehicles_of(self, owner_uscc: str) -> int:
        """Return how many vehicles a business has."""
        return await self._store.count(VEHICLE, OWNER, owner_uscc)

    async def directory(self) -> list[Terminal]:
        """Return every terminal that reports for a vehicle; ask for ``revision`` before, and follow ``changes`` from
        there.
        """
        with_auth = await self._store.index_values(TERMINAL, WITH_AUTH)
        terminals = [Terminal(phone, vehicle_id, True) for vehicle_id, phone in with_auth]
        without_auth = await self._store.index_values(TERMINAL, WITHOUT_AUTH)
        terminals.extend(Terminal(phone, vehicle_id, False) for vehicle_id, phone in without_auth)
        return terminals

    async def revision(self) -> str:
        """Return the cursor from which ``changes`` tells all later imports."""
        return str(await newest_revision(self._store))

    async def changes(self, after: str) -> Changes:
        """Return the vehicles that imports wrote since, also those that lost their terminal; ``ValueError`` for a bad
        cursor.
        """
        asked = _revision(after)
        newest = await newest_revision(self._store)
        vehicles: list[RegisteredVehicle] = []
        told = min(asked, newest)
        while told < newest and len(vehicles) < MAX_CHANGES:
            told += 1
            vehicles += await self._revised(told)
        return Changes(tuple(vehicles), str(told))

    async def _revised(self, revision: int) -> list[RegisteredVehicle]:
        vehicles: list[RegisteredVehicle] = []
        after: str | None = None
        while True:
            page = await self._store.find(VEHICLE, REVISED, str(revision), after=after, limit=_PAGE)
            vehicles += [decode(found.record, RegisteredVehicle) for found in page.documents]
            after = page.next
            if after is None:
                return vehicles

    async def _holder(self, kind: str, key: str) -> str | None:
        document = (await self._store.get(kind, [key])).get(key)
        return decode(document.record, Claim).holder if document else None


async def registry_keys(store: Store) -> KeyedHash:
    """Return the secret that makes persons' keys, the same for every process that opens this store."""
    return KeyedHash(await store.secret("registry"))


def next_revision(newest: int) -> Put:
    """Return the write by which a running service learns of a change; it conflicts if another import was faster."""
    return Put(REVISION, REVISION_KEY, encode(newest + 1), expected_version=newest)


async def newest_revision(store: Store) -> int:
    """Return how many commits of imports this store has seen."""
    document = (await store.get(REVISION, [REVISION_KEY])).get(REVISION_KEY)
    return decode(document.record, int) if document else 0


def _revision(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise ValueError("not a cursor of the registry")
    return int(cursor)
