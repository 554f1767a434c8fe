"""Which alerts has a vehicle had? What the store keeps and what its actor has not saved yet, as one list (R34)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from actors.vehicles.state import ALERT_KIND, BY_VEHICLE
from actors.vehicles.vehicle import VehicleView
from api.http.listing import ListQuery, not_a_cursor
from domain.vehicle.alerts import Alert
from persistence.records import decode
from persistence.store import Document, Store

SCANNED_AT_ONCE: Final = 1_000
"""Alerts that one page looks at; it may come out short, and ``next`` goes on."""
LONGEST_S: Final = 30 * 86_400
"""An alert that ended and lasted longer than this before ``since`` is not looked for."""
_MAX_ID_CHARS: Final = 64


class Key(NamedTuple):
    """An alert's place in the list."""

    started_at: int
    id: str


@dataclass(frozen=True, slots=True)
class AlertPage:
    """Newest first; ``next`` is the cursor of what follows, None at the end."""

    alerts: list[Alert]
    next: str | None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page ended: after ``shown``, and no document before ``after`` is needed any more."""

    shown: Key | None = None
    after: str | None = None


def concerns(alert: Alert, since: float) -> bool:
    """Whether it began after ``since`` (Unix seconds) or was running then."""
    return alert.started_at >= since or alert.ended_at is None or alert.ended_at > since


class _Read:
    """How far the store was read."""

    def __init__(self, after: str | None) -> None:
        self.after = after
        self.is_all = False
        self.scanned = 0
        self.lowest: Key | None = None
        """Down to here all is known."""
        self._ends: list[tuple[Key, str]] = []
        """Of each page: its last alert, and the cursor of what follows."""
        self._began = after

    def note(self, documents: Sequence[Document], following: str | None, *, horizon: float) -> None:
        """One more page; before ``horizon`` nothing is looked for."""
        self.scanned += len(documents)
        self.after = following
        if following is None or not documents:
            self.is_all = True
            return
        self.lowest = _key(decode(documents[-1].record, Alert))
        self.is_all = self.lowest.started_at < horizon
        self._ends.append((self.lowest, following))

    def known(self, alerts: Iterable[Alert]) -> list[Alert]:
        """Newest first, without those below which the store may have others in between."""
        lowest = None if self.is_all else self.lowest
        return sorted((each for each in alerts if lowest is None or _key(each) >= lowest), key=_key, reverse=True)

    def cursor(self, shown: Key) -> str:
        """Goes on below ``shown``, from the first page that has anything there."""
        after = self._began
        for lowest, following in self._ends:
            if lowest >= shown:
                after = following
        return f"{shown.started_at}.{shown.id}.{after or ''}"


class AlertHistory:
    """Reads for whoever may see a vehicle. What a view holds must be asked for before: so that nothing is missed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def newest(self, vehicle_id: str, view: VehicleView | None, *, limit: int, since: float = 0.0) -> list[Alert]:
        """Of an alert that both know, the actor's version is the newer. Raises ``StoreUnavailable``."""
        return (await self.page(vehicle_id, view, ListQuery(limit), since=since)).alerts

    async def page(self, vehicle_id: str, view: VehicleView | None, query: ListQuery, *, since: float) -> AlertPage:
        """Those that concern who looks ``since`` then. Raises ``InvalidInput`` for a cursor that is not of this list, or
        ``StoreUnavailable``.
        """
        place = _read_cursor(query.cursor)
        live = {} if view is None else {alert.id: alert for alert in view.alerts}
        found = {key: alert for key, alert in live.items() if _is_wanted(alert, place.shown, since)}
        read = _Read(place.after)
        while True:
            documents, following = await self._find(vehicle_id, read.after, query.limit)
            found |= _wanted_of(documents, live, place.shown, since)
            read.note(documents, following, horizon=since - LONGEST_S)
            known = read.known(found.values())
            if read.is_all or len(known) >= query.limit or read.scanned >= SCANNED_AT_ONCE:
                break
        shown = known[: query.limit]
        if read.is_all and len(known) <= query.limit:
            return AlertPage(shown, None)
        ends = [read.lowest if len(known) < query.limit else _key(shown[-1]), place.shown]
        return AlertPage(shown, read.cursor(min(key for key in ends if key is not None)))

    async def _find(self, vehicle_id: str, after: str | None, limit: int) -> tuple[Sequence[Document], str | None]:
        try:
            page = await self._store.find(ALERT_KIND, BY_VEHICLE, vehicle_id, after=after, limit=limit, descending=True)
        except ValueError:
            raise not_a_cursor() from None
        return page.documents, page.next


def _wanted_of(
    documents: Sequence[Document], live: Mapping[str, Alert], shown: Key | None, since: float
) -> dict[str, Alert]:
    alerts = (live.get(document.key) or decode(document.record, Alert) for document in documents)
    return {alert.id: alert for alert in alerts if _is_wanted(alert, shown, since)}


def _is_wanted(alert: Alert, shown: Key | None, since: float) -> bool:
    return concerns(alert, since) and (shown is None or _key(alert) < shown)


def _key(alert: Alert) -> Key:
    return Key(alert.started_at, alert.id)


def _read_cursor(cursor: str | None) -> _Place:
    if cursor is None:
        return _Place()
    parts = cursor.split(".")
    if len(parts) != 3:
        raise not_a_cursor()
    started_at, alert_id, after = parts
    if not (started_at.isascii() and started_at.isdigit() and len(started_at) <= 12 and len(alert_id) <= _MAX_ID_CHARS):
        raise not_a_cursor()
    return _Place(Key(int(started_at), alert_id), after or None)
