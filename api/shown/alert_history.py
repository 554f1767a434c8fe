"""The alerts that a vehicle has had: the stored ones and those that its actor has not saved, as one list (R34)."""

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
"""Alerts that one page examines; the page may come out short, and ``next`` continues."""
LONGEST_S: Final = 30 * 86_400
"""Longest alert that is looked for: a longer one that ended after ``since`` may be missing."""
_MAX_ID_CHARS: Final = 64


class Key(NamedTuple):
    """An alert's place in the list."""

    started_at: int
    id: str


@dataclass(frozen=True, slots=True)
class AlertPage:
    """Alerts, newest first; ``next`` is the cursor of the next page, None at the end."""

    alerts: list[Alert]
    next: str | None


@dataclass(frozen=True, slots=True)
class _Place:
    """The end of a page: ``shown`` was its last alert, and documents before ``after`` are no longer needed."""

    shown: Key | None = None
    after: str | None = None


def concerns(alert: Alert, since: float) -> bool:
    """Tell whether the alert began after ``since`` (Unix seconds) or was running then."""
    return alert.started_at >= since or alert.ended_at is None or alert.ended_at > since


class _Read:
    """The state of reading the store."""

    def __init__(self, after: str | None) -> None:
        self.after = after
        self.is_all = False
        self.scanned = 0
        self.lowest: Key | None = None
        """The lowest place down to which everything is known."""
        self._ends: list[tuple[Key, str]] = []
        """The last alert of each page read, and the next page's cursor."""
        self._began = after

    def note(self, documents: Sequence[Document], following: str | None, *, horizon: float) -> None:
        """Add a page; nothing before ``horizon`` is looked for."""
        self.scanned += len(documents)
        self.after = following
        if following is None or not documents:
            self.is_all = True
            return
        self.lowest = _key(decode(documents[-1].record, Alert))
        self.is_all = self.lowest.started_at < horizon
        self._ends.append((self.lowest, following))

    def known(self, alerts: Iterable[Alert]) -> list[Alert]:
        """Return the known alerts, newest first, down to where the store may have others in between."""
        lowest = None if self.is_all else self.lowest
        return sorted((each for each in alerts if lowest is None or _key(each) >= lowest), key=_key, reverse=True)

    def cursor(self, shown: Key) -> str:
        """Return a cursor that continues below ``shown``, from the first page with anything there."""
        after = self._began
        for lowest, following in self._ends:
            if lowest >= shown:
                after = following
        return f"{shown.started_at}.{shown.id}.{after or ''}"


class AlertHistory:
    """Reads a vehicle's alerts. Ask for the vehicle's view first, so that no alert is missed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def newest(self, vehicle_id: str, view: VehicleView | None, *, limit: int, since: float = 0.0) -> list[Alert]:
        """Return the newest alerts; of two versions the actor's is newer. Raises ``StoreUnavailable``."""
        return (await self.page(vehicle_id, view, ListQuery(limit), since=since)).alerts

    async def page(self, vehicle_id: str, view: VehicleView | None, query: ListQuery, *, since: float) -> AlertPage:
        """Return a page of the alerts that concern a viewer since ``since``.

        Raises ``InvalidInput`` for a cursor of another list, or ``StoreUnavailable``.
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
