"""Settles, at a start, commands that an older program left half done.

Until a command became one commit, a share and its end took several. Between them the person's document noted what was left to do.
Such a note may stand in a store that was last served by that program.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from actors.people.documents import PERSON, SHARE
from actors.people.person import Person
from actors.people.share_link import ends_of
from domain.people.audit import Doer
from domain.people.driver import Driver
from domain.people.share import EndReason
from persistence.records import decode, encode
from persistence.store import Delete, Document, Put, Store, StoreFormatError

log = logging.getLogger(__name__)

PENDING: Final = "pending"
"""The index of persons with a note."""
PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Pending:
    """A share that was begun and not yet told to any caller (``grant``), or whose end was decided (``end``)."""

    kind: Literal["grant", "end"]
    share_id: str
    vehicle_id: str
    doer: Doer
    reason: EndReason = "cancelled"


@dataclass(frozen=True, slots=True)
class NotedPerson:
    """A person as the older program kept it."""

    driver: Driver
    pending: tuple[Pending, ...] = ()


async def settle_interrupted(store: Store, *, now: float) -> None:
    """Undo shares that were begun and finish ends that were decided, a commit for each person. Raises ``StoreError``.

    A person or share that can't be read stays as it is, and is tried again at the next start.
    """
    after: str | None = None
    while True:
        page = await store.find(PERSON, PENDING, "", after=after, limit=PAGE)
        for document in page.documents:
            try:
                await store.commit(await _settled(store, document, now))
            except StoreFormatError as error:
                log.error("a person's interrupted command can't be settled: %s", error)
        after = page.next
        if after is None:
            return


async def _settled(store: Store, document: Document, now: float) -> Sequence[Put | Delete]:
    noted = decode(document.record, NotedPerson)
    person = Put(PERSON, document.key, encode(Person(noted.driver)), expected_version=document.version)
    writes: list[Put | Delete] = [person]
    for each in noted.pending:
        if each.kind == "grant":
            writes.append(Delete(SHARE, each.share_id))
        else:
            writes += await ends_of(store, (each.share_id,), each.reason, each.doer, at=now)
    return writes
