"""Brings lines of a registry file into the store, the good ones although others are bad."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from domain.registry import (
    FORMS,
    Business,
    BusinessLine,
    PersonLine,
    RegisteredPerson,
    RegisteredVehicle,
    RegistryLine,
    RegistryLineError,
    parse_line,
)
from persistence.records import decode
from persistence.registry.documents import (
    BUSINESS,
    HOLDER_KINDS,
    PERSON,
    USERNAME,
    VEHICLE,
    Claim,
    KeyedHash,
    Ref,
    Registrant,
    claims_of,
    put_claim,
    put_registrant,
    rivals_of,
    without,
)
from persistence.registry.lookups import newest_revision, next_revision, registry_keys
from persistence.store import Delete, Put, Store, StoreConflict, StoreUnavailable

LINES_A_COMMIT: Final = 500
MAX_LINE_BYTES: Final = 16_384
MAX_BAD_LINES_KEPT: Final = 1_000
_MAX_TRIES: Final = 50

Progress = Callable[[int], None]
"""A function that is told how many lines are done."""
EndSessions = Callable[[Business], Awaitable[Sequence[Put | Delete]]]
"""A function that returns further writes when this business's password changes."""


@dataclass(slots=True)
class ImportReport:
    """The result of an import; ``bad`` holds the first 1,000 of the ``bad_count`` bad lines as (number, reason)."""

    loaded: dict[str, int] = field(default_factory=lambda: {"business": 0, "vehicle": 0, "person": 0})
    """Good lines by type, those too that changed nothing."""
    written: int = 0
    """Businesses, vehicles and persons that were new or changed."""
    bad: list[tuple[int, str]] = field(default_factory=list)
    bad_count: int = 0

    def refuse(self, line_no: int, reason: str) -> None:
        """Note a bad line."""
        self.bad_count += 1
        if len(self.bad) < MAX_BAD_LINES_KEPT:
            self.bad.append((line_no, reason))


@dataclass(frozen=True, slots=True)
class Passwords:
    """Turns plain passwords of the file into hashes; both functions are slow, so they are called in a thread."""

    make_hash: Callable[[str], str]
    matches: Callable[[str, str], bool]
    """Tells of (hash, password) whether a business's password is still the same, so that its hash may stay."""


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield a file's lines; of one that is far too long only the beginning, so that memory stays bounded."""
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES + 2):
            yield line
            while not line.endswith(b"\n") and (line := file.readline(MAX_LINE_BYTES)):
                pass


async def _no_sessions(business: Business) -> Sequence[Put | Delete]:
    return ()


async def import_lines(
    store: Store,
    lines: Iterable[str | bytes],
    passwords: Passwords,
    progress: Progress | None = None,
    *,
    end_sessions: EndSessions = _no_sessions,
) -> ImportReport:
    """Load the lines, 500 a commit; a second import updates by key. Raises ``StoreUnavailable`` between commits.

    ``end_sessions`` is asked for each business whose password changes; its writes are in the same commit.
    """
    report = ImportReport()
    keyed = await registry_keys(store)
    numbered = enumerate(lines, 1)
    done = 0
    while chunk := list(islice(numbered, LINES_A_COMMIT)):
        candidates = _candidates(chunk, keyed, report)
        await _import_chunk(store, candidates, passwords, keyed, report, end_sessions=end_sessions)
        done += len(chunk)
        if progress is not None:
            progress(done)
    report.bad.sort()
    return report


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A good line, and the document that it belongs to."""

    line_no: int
    ref: Ref
    registrant: Registrant
    plain_password: str = ""


def _candidates(chunk: list[tuple[int, str | bytes]], keyed: KeyedHash, report: ImportReport) -> list[_Candidate]:
    candidates = []
    for line_no, line in chunk:
        if not line.strip():
            continue
        try:
            candidates.append(_candidate(line_no, parse_line(_json(line, line_no)), keyed))
        except RegistryLineError as error:
            report.refuse(line_no, str(error))
    return candidates


def _json(line: str | bytes, line_no: int) -> object:
    if len(line.rstrip()) > MAX_LINE_BYTES:
        raise RegistryLineError("line", f"it is longer than {MAX_LINE_BYTES} bytes")
    try:
        text = line if isinstance(line, str) else line.decode("utf-8")
        return msgspec.json.decode(text.removeprefix("\ufeff") if line_no == 1 else text)
    except (UnicodeError, msgspec.DecodeError, RecursionError):
        raise RegistryLineError("line", FORMS["line"]) from None


def _candidate(line_no: int, line: RegistryLine, keyed: KeyedHash) -> _Candidate:
    match line:
        case BusinessLine(business, plain_password):
            return _Candidate(line_no, Ref(BUSINESS, business.uscc), business, plain_password)
        case PersonLine(person, citizen_id):
            return _Candidate(line_no, Ref(PERSON, keyed.of(citizen_id)), person)
        case RegisteredVehicle():
            return _Candidate(line_no, Ref(VEHICLE, line.id), line)


async def _import_chunk(
    store: Store,
    candidates: list[_Candidate],
    passwords: Passwords,
    keyed: KeyedHash,
    report: ImportReport,
    *,
    end_sessions: EndSessions,
) -> None:
    for _ in range(_MAX_TRIES):
        revision = await newest_revision(store) + 1
        desk = await _lay_out(store, candidates, keyed)
        refused = await _take_all(desk, candidates, passwords)
        changed, writes = desk.writes(revision)
        for business in desk.with_new_passwords():
            writes += await end_sessions(business)
        if writes:
            try:
                await store.commit([next_revision(revision - 1), *writes])
            except StoreConflict:  # another import was faster: look again at what is there
                continue
        report.written += changed
        _count(candidates, refused, report)
        return
    raise StoreUnavailable("another import is writing all the time: try again when it is done")


def _count(candidates: list[_Candidate], refused: Mapping[int, str], report: ImportReport) -> None:
    for candidate in candidates:
        if candidate.line_no in refused:
            report.refuse(candidate.line_no, refused[candidate.line_no])
        else:
            report.loaded[candidate.ref.kind.removeprefix("registry.")] += 1


async def _take_all(desk: _Desk, candidates: list[_Candidate], passwords: Passwords) -> dict[int, str]:
    """Put each on the desk, in order; return the reasons of those that can't be, by line number."""
    refused = {}
    for candidate in candidates:
        try:
            desk.check(candidate.ref, candidate.registrant)
        except RegistryLineError as error:
            refused[candidate.line_no] = str(error)
            continue
        desk.take(candidate.ref, await _with_hash(candidate, desk.registrants.get(candidate.ref), passwords))
    return refused


async def _with_hash(candidate: _Candidate, known: Registrant | None, passwords: Passwords) -> Registrant:
    plain, business = candidate.plain_password, candidate.registrant
    if not plain or not isinstance(business, Business):
        return business
    if isinstance(known, Business) and await asyncio.to_thread(passwords.matches, known.password_hash, plain):
        return replace(business, password_hash=known.password_hash)
    return replace(business, password_hash=await asyncio.to_thread(passwords.make_hash, plain))


class _Desk:
    """The registrants and claims that a chunk touches, as they are in the store and as they shall be."""

    def __init__(self, keyed: KeyedHash) -> None:
        self.registrants: dict[Ref, Registrant] = {}
        self.claims: dict[Ref, Claim | None] = {}
        self._keyed = keyed
        self._stored: dict[Ref, bytes] = {}

    async def fetch_registrants(self, store: Store, refs: Iterable[Ref]) -> None:
        for ref, record in (await _fetch(store, refs)).items():
            self._stored[ref] = record
            self.registrants[ref] = decode(record, _TYPES[ref.kind])

    async def fetch_claims(self, store: Store, refs: Iterable[Ref]) -> None:
        for ref, record in (await _fetch(store, refs)).items():
            self._stored[ref] = record
            self.claims[ref] = decode(record, Claim)

    def holders(self) -> set[Ref]:
        return {Ref(HOLDER_KINDS[ref.kind], claim.holder) for ref, claim in self.claims.items() if claim is not None}

    def claims_of(self, ref: Ref, registrant: Registrant) -> dict[Ref, Claim]:
        return {of: claim._replace(holder=ref.key) for of, claim in claims_of(registrant, self._keyed).items()}

    def check(self, ref: Ref, registrant: Registrant) -> None:
        for of in self.claims_of(ref, registrant):
            held = self.claims.get(of)
            if of.kind == USERNAME and held is not None and held.holder != ref.key:
                raise RegistryLineError("username", "another business has it")
        for of in rivals_of(registrant):
            held = self.claims.get(of)
            if held is not None and held.holder != ref.key:
                raise RegistryLineError(
                    "terminal_phone", "its frames would look like those of another registered vehicle's terminal"
                )

    def take(self, ref: Ref, registrant: Registrant) -> None:
        wanted = self.claims_of(ref, registrant)
        known = self.registrants.get(ref)
        for given_up in self.claims_of(ref, known).keys() - wanted.keys() if known is not None else ():
            self.claims[given_up] = None
        for of, claim in wanted.items():
            self._take_over(of, ref)
            self.claims[of] = claim
        self.registrants[ref] = registrant

    def _take_over(self, of: Ref, by: Ref) -> None:
        held = self.claims.get(of)
        if held is None or held.holder == by.key:
            return
        loser = Ref(HOLDER_KINDS[of.kind], held.holder)
        if loser in self.registrants:
            self.registrants[loser] = without(self.registrants[loser], of.kind)

    def with_new_passwords(self) -> Iterator[Business]:
        """Return the businesses that were registered before with another password."""
        for ref, registrant in self.registrants.items():
            stored = self._stored.get(ref)
            if stored is None or not isinstance(registrant, Business):
                continue
            if decode(stored, Business).password_hash != registrant.password_hash:
                yield registrant

    def writes(self, revision: int) -> tuple[int, list[Put | Delete]]:
        """Return how many registrants are new or changed, and the writes for it."""
        puts = [put_registrant(ref, registrant, revision=revision) for ref, registrant in self.registrants.items()]
        changed = [put for put in puts if self._stored.get(Ref(put.kind, put.key)) != put.record]
        claimed = [put_claim(ref, claim) for ref, claim in self.claims.items() if claim is not None]
        claims = [put for put in claimed if self._stored.get(Ref(put.kind, put.key)) != put.record]
        gone = [Delete(*ref) for ref, claim in self.claims.items() if claim is None and ref in self._stored]
        return len(changed), [*changed, *claims, *gone]


_TYPES: Final[dict[str, type[Registrant]]] = {
    BUSINESS: Business,
    VEHICLE: RegisteredVehicle,
    PERSON: RegisteredPerson,
}


async def _lay_out(store: Store, candidates: list[_Candidate], keyed: KeyedHash) -> _Desk:
    desk = _Desk(keyed)
    named = {candidate.ref for candidate in candidates}
    await desk.fetch_registrants(store, named)
    concerned = [*((candidate.ref, candidate.registrant) for candidate in candidates), *desk.registrants.items()]
    claims = {of for ref, registrant in concerned for of in desk.claims_of(ref, registrant)}
    rivals = {of for candidate in candidates for of in rivals_of(candidate.registrant)}
    await desk.fetch_claims(store, claims | rivals)
    await desk.fetch_registrants(store, desk.holders() - named)
    return desk


async def _fetch(store: Store, refs: Iterable[Ref]) -> dict[Ref, bytes]:
    keys: dict[str, list[str]] = {}
    for kind, key in refs:
        keys.setdefault(kind, []).append(key)
    return {
        Ref(kind, key): document.record
        for kind, wanted in keys.items()
        for key, document in (await store.get(kind, wanted)).items()
    }
