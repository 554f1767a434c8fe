"""Pages of lists, including lists whose items stand under several ids of one account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from domain.errors import InvalidInput
from persistence.store import Document, Page, Store

MAX_LIMIT: Final = 200
DEFAULT_LIMIT: Final = 50
MAX_CURSOR_CHARS: Final = 2_000
CURSOR_PATTERN: Final = "^[A-Za-z0-9_.~=-]*$"
"""Cursors need no escaping in an address, so that a long cursor fits."""


class ListQuery(msgspec.Struct, frozen=True):
    """The query of every list."""

    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Annotated[str, Meta(max_length=MAX_CURSOR_CHARS, pattern=CURSOR_PATTERN)] | None = None


def not_a_cursor() -> InvalidInput:
    """Return the refusal of a cursor that no page of this list gave."""
    return InvalidInput(("cursor", "不是本列表的游标"))


async def newest_first(store: Store, kind: str, index: str, values: Sequence[str], query: ListQuery) -> Page:
    """Return a page of the documents of these index values, newest first, one value's after another's.

    An account's own items therefore come before those of its former ids. Raises ``InvalidInput``.
    """
    place, after = _place_of(query.cursor, len(values))
    found: list[Document] = []
    while True:
        page = await _find(store, kind, index, values[place], after, query.limit - len(found))
        found += page.documents
        if page.next is not None:
            return Page(tuple(found), f"{place}.{page.next}")
        place, after = place + 1, None
        if place == len(values):
            return Page(tuple(found), None)
        if len(found) == query.limit:
            return Page(tuple(found), f"{place}.")


async def _find(store: Store, kind: str, index: str, value: str, after: str | None, limit: int) -> Page:
    try:
        return await store.find(kind, index, value, after=after, limit=limit, descending=True)
    except ValueError:
        raise not_a_cursor() from None


def _place_of(cursor: str | None, places: int) -> tuple[int, str | None]:
    """Parse the cursor into the place among the values and the store's own cursor there."""
    if cursor is None:
        return 0, None
    place, dot, after = cursor.partition(".")
    if not dot or not (place.isascii() and place.isdigit()) or len(place) > 3 or int(place) >= places:
        raise not_a_cursor()
    return int(place), after or None
