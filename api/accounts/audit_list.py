"""The list of audit records that an account sees (R64): newest first, merged over all the ids that the account has had."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from actors.people.audit import BY_ACCOUNT, KIND
from api.shown.views import time_text
from domain.people.audit import AuditRecord, DoerKind
from persistence.records import decode
from persistence.store import Page, Store


class ActorView(msgspec.Struct, frozen=True):
    """The actor of a change."""

    kind: DoerKind
    display_name: str


class SubjectView(msgspec.Struct, frozen=True):
    """The object of a change."""

    kind: str
    id: str


class AuditView(msgspec.Struct, frozen=True):
    """An audited change."""

    id: str
    at: str
    actor: ActorView
    action: str
    subject: SubjectView
    address_masked: str
    detail: str


class AuditPage(msgspec.Struct, frozen=True):
    """A page of records, newest first."""

    items: list[AuditView]
    next: str | None


Cursors = Mapping[str, str | None]
"""Maps an account id to the cursor of its part: None at the beginning. An id whose part is finished is missing."""


@dataclass(slots=True)
class _Part:
    """The next records of one id, and how many of them the page took."""

    page: Page
    records: list[AuditRecord]
    taken: int = 0

    @property
    def head(self) -> AuditRecord | None:
        return self.records[self.taken] if self.taken < len(self.records) else None


class AuditList:
    """Reads the parts side by side and merges them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, ids: Sequence[str], *, limit: int, cursor: str | None) -> AuditPage:
        """Return one page. Raises ``ValueError`` for a cursor of another list, or ``StoreUnavailable``."""
        cursors = dict.fromkeys(ids) if cursor is None else _read_cursor(cursor, ids)
        parts = {account_id: await self._part(account_id, after, limit) for account_id, after in cursors.items()}
        items = _merged(list(parts.values()), limit)
        rest = {account_id: await self._rest(account_id, part, cursors) for account_id, part in parts.items()}
        left = {account_id: after for account_id, (goes_on, after) in rest.items() if goes_on}
        return AuditPage([_view(record) for record in items], _write_cursor(left) if left else None)

    async def _part(self, account_id: str, after: str | None, limit: int) -> _Part:
        page = await self._find(account_id, after, limit)
        return _Part(page, [decode(found.record, AuditRecord) for found in page.documents])

    async def _rest(self, account_id: str, part: _Part, cursors: Cursors) -> tuple[bool, str | None]:
        """Tell whether records follow those taken, and return the cursor to continue from."""
        if part.taken == len(part.records):
            return part.page.next is not None, part.page.next
        if part.taken == 0:
            return True, cursors[account_id]
        return True, (await self._find(account_id, cursors[account_id], part.taken)).next

    async def _find(self, account_id: str, after: str | None, limit: int) -> Page:
        return await self._store.find(KIND, BY_ACCOUNT, account_id, after=after, limit=limit, descending=True)


def _merged(parts: Sequence[_Part], limit: int) -> list[AuditRecord]:
    """Merge the parts' records, newest first. A record that stands in several parts appears once."""
    items: dict[str, AuditRecord] = {}
    while heads := [(head.at, -place) for place, part in enumerate(parts) if (head := part.head) is not None]:
        part = parts[-max(heads)[1]]
        assert part.head is not None
        if len(items) == limit and part.head.id not in items:
            break
        items[part.head.id] = part.head
        part.taken += 1
    return list(items.values())


def _view(record: AuditRecord) -> AuditView:
    return AuditView(
        id=record.id,
        at=time_text(record.at),
        actor=ActorView(record.actor_kind, record.actor_name),
        action=record.action,
        subject=SubjectView(record.subject_kind, record.subject_id),
        address_masked=record.address_masked,
        detail=record.detail,
    )


def _write_cursor(cursors: Cursors) -> str:
    return urlsafe_b64encode(msgspec.json.encode(cursors)).rstrip(b"=").decode()


def _read_cursor(cursor: str, ids: Sequence[str]) -> Cursors:
    """Decode a cursor. Raises ``ValueError`` unless every id in it is this account's; the store checks its own cursors."""
    if not cursor.isascii():
        raise ValueError("not a cursor of ours")
    try:
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        cursors = msgspec.json.decode(raw, type=dict[str, str | None])
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ValueError("not a cursor of ours") from error
    if not cursors or not cursors.keys() <= set(ids):
        raise ValueError("a cursor of another list")
    return cursors
