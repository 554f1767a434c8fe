"""The keys and index entries under which the registry lies in a store.

A fact that only one registrant can have (a user name, a terminal, a phone number) is a document of its own. This claim
names its holder. So a look-up by it, and its hand-over to another registrant, are reads by key.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import Final, NamedTuple

from domain.registry import Business, RegisteredPerson, RegisteredVehicle
from domain.terminal_names import namesakes
from persistence.records import encode
from persistence.store import IndexEntry, Put

Registrant = Business | RegisteredVehicle | RegisteredPerson

BUSINESS: Final = "registry.business"
VEHICLE: Final = "registry.vehicle"
PERSON: Final = "registry.person"

USERNAME: Final = "registry.username"
TERMINAL: Final = "registry.terminal"
PHONE: Final = "registry.phone"
OPENID: Final = "registry.openid"
HOLDER_KINDS: Final = {USERNAME: BUSINESS, TERMINAL: VEHICLE, PHONE: PERSON, OPENID: PERSON}

REVISION: Final = "registry.revision"
REVISION_KEY: Final = "newest"

ALL: Final = "all"
OWNER: Final = "owner"
REVISED: Final = "revised"
WITH_AUTH: Final = "with_auth"
WITHOUT_AUTH: Final = "without_auth"


class Ref(NamedTuple):
    """The kind and key of a document."""

    kind: str
    key: str


class Claim(NamedTuple):
    """The holder of a unique fact; ``needs_auth`` is the vehicle's, for terminals."""

    holder: str
    needs_auth: bool = True


class KeyedHash:
    """Turns citizen IDs, phone numbers and openids into keys that tell nothing without the store's secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def of(self, text: str) -> str:
        """Return the key as 32 hexadecimal digits."""
        return blake2b(text.encode(), key=self._secret, digest_size=16).hexdigest()


def claims_of(registrant: Registrant, keyed: KeyedHash) -> dict[Ref, Claim]:
    """Return this registrant's claims; the holder's key is filled in by ``ref_of`` or, of persons, the caller."""
    match registrant:
        case Business():
            return {Ref(USERNAME, registrant.username): Claim(registrant.uscc)}
        case RegisteredVehicle(terminal_phone=""):
            return {}
        case RegisteredVehicle():
            return {Ref(TERMINAL, registrant.terminal_phone): Claim(registrant.id, registrant.needs_auth)}
        case RegisteredPerson():
            owned = ((PHONE, registrant.phone), (OPENID, registrant.wechat_openid))
            return {Ref(kind, keyed.of(text)): Claim("") for kind, text in owned if text}


def rivals_of(registrant: Registrant) -> set[Ref]:
    """Return claims that no other registrant may hold: terminals whose frames could not be told apart from its own."""
    match registrant:
        case RegisteredVehicle(terminal_phone=name) if name:
            return {Ref(TERMINAL, namesake) for namesake in namesakes(name)}
        case _:
            return set()


def without(registrant: Registrant, claim_kind: str) -> Registrant:
    """Return the registrant without a claim that another took over."""
    match registrant:
        case RegisteredVehicle():
            return replace(registrant, terminal_phone="")
        case RegisteredPerson():
            return replace(registrant, phone="") if claim_kind == PHONE else replace(registrant, wechat_openid="")
        case Business():  # a user name is never handed over
            return registrant


def put_registrant(ref: Ref, registrant: Registrant, *, revision: int) -> Put:
    """Write the document, findable among all, by its owner and by the revision that wrote it last."""
    plate = registrant.plate if isinstance(registrant, RegisteredVehicle) else ""
    entries = [IndexEntry(ALL, "", plate), IndexEntry(REVISED, str(revision))]
    if isinstance(registrant, RegisteredVehicle):
        entries.append(IndexEntry(OWNER, registrant.owner_uscc, plate))
    return Put(ref.kind, ref.key, encode(registrant), tuple(entries))


def put_claim(ref: Ref, claim: Claim) -> Put:
    """Write the claim; those of terminals carry in their index entry what the directory needs."""
    index = WITH_AUTH if claim.needs_auth else WITHOUT_AUTH
    entries = (IndexEntry(index, claim.holder),) if ref.kind == TERMINAL else ()
    return Put(ref.kind, ref.key, encode(claim), entries)
