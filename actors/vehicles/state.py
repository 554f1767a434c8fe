"""A vehicle's way back: its state to and from the store's records, and the folding of the log's tail."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from actors.system.runtime import Actor, Dispatcher
from actors.vehicles.vehicle import KIND, Fleet, VehicleActor
from domain.registry import partition_of
from domain.vehicle.alerts import Alert
from domain.vehicle.fix import Fix
from domain.vehicle.terminal_clock import HOUR_S, TerminalClock
from domain.vehicle.vehicle import Suspect, Vehicle, shared
from persistence.records import decode, decode_batch, encode
from persistence.store import IndexEntry, Put, Store, StoreFormatError

log = logging.getLogger(__name__)

ALERT_KIND: Final = "alert"
BY_VEHICLE: Final = "vehicle"
LOG_PAGE: Final = 50
LOAD_PAGE: Final = 250


class VehicleRecord(NamedTuple):
    """The store's record of a vehicle, version 1; unsaved alerts go beside it. Up to ``suspect`` as in ``Vehicle``."""

    newest: Fix | None
    fixed_at: int
    received_at: float
    reported_at: int
    terminal_clock: TerminalClock | None
    computes_speeding: bool
    latched: int
    held: int
    driving_s: int
    rest_s: int
    day: int
    day_distance_m: float
    day_driving_s: int
    day_longest_s: int
    day_alerts: int
    ongoing: tuple[Alert, ...]
    recent: tuple[Alert, ...]
    suspect: Suspect | None
    backfilled: tuple[int, ...]
    applied: int
    limit_dkmh: int
    """The limit when the state was folded: the log's tail is folded with it, too."""


def to_record(vehicle: Vehicle) -> bytes:
    """Make the fields of a ``VehicleRecord``; a bare tuple takes half the time, and a checkpoint writes millions."""
    return encode(
        (
            vehicle.newest,
            vehicle.fixed_at,
            vehicle.received_at,
            vehicle.reported_at,
            vehicle.terminal_clock,
            vehicle.computes_speeding,
            vehicle.latched,
            vehicle.held,
            vehicle.driving_s,
            vehicle.rest_s,
            vehicle.day,
            vehicle.day_distance_m,
            vehicle.day_driving_s,
            vehicle.day_longest_s,
            vehicle.day_alerts,
            vehicle.ongoing,
            vehicle.recent,
            vehicle.suspect,
            tuple(vehicle.backfilled or ()),
            vehicle.applied,
            vehicle.limit_dkmh,
        )
    )


def from_record(key: str, record: bytes) -> Vehicle:
    """Make the vehicle as it was checkpointed. Raises ``StoreFormatError``."""
    fields: tuple[Any, ...] = decode(record, VehicleRecord)
    *state, backfilled, applied, limit_dkmh = fields  # The rest is in the vehicle's own order: a start makes millions.
    vehicle = Vehicle(key, shared(limit_dkmh), *state)
    vehicle.backfilled = dict.fromkeys(backfilled) if backfilled else None
    if vehicle.terminal_clock is not None and vehicle.terminal_clock.offset_s % HOUR_S:
        _unlearn(vehicle, vehicle.terminal_clock.offset_s)
    vehicle.applied, vehicle.day, vehicle.received_at = (
        shared(applied),
        shared(vehicle.day),
        shared(vehicle.received_at),
    )
    return vehicle


def _unlearn(vehicle: Vehicle, offset_s: int) -> None:
    """Unlearn an earlier version's offset of quarter hours: the terminal's own times hold again, or it would fall back."""
    vehicle.terminal_clock = None
    vehicle.fixed_at += offset_s
    vehicle.reported_at += offset_s


def alert_document(vehicle_key: str, alert: Alert) -> Put:
    """Return an alert's document, found by its vehicle in the order of its start."""
    entry = IndexEntry(BY_VEHICLE, vehicle_key, f"{alert.started_at:012d}{alert.id}")
    return Put(ALERT_KIND, alert.id, encode(alert), (entry,))


class VehicleKind:
    """Brings vehicles to life for the supervisor."""

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatcher,
        fleet: Fleet,
        *,
        limits_of: Callable[[Sequence[str]], Awaitable[Mapping[str, int]]],
        vehicle_of: Callable[[str], str | None],
    ) -> None:
        """Prepare the kind; ``limits_of`` tells the speed limits (km/h) of registered ones among these vehicles."""
        self.replaying = False
        """True while the log's tail is read: speed limits stay as they were then; afterwards the registry's hold."""
        self.changed_limits: dict[str, int] = {}
        """The registry's limits (km/h) of vehicles that came to life meanwhile with another."""
        self._store = store
        self._dispatcher = dispatcher
        self._fleet = fleet
        self._limits_of = limits_of
        self._vehicle_of = vehicle_of

    async def load(self, keys: Sequence[str]) -> Mapping[str, Actor]:
        actors: dict[str, Actor] = {}
        for start in range(0, len(keys), LOAD_PAGE):  # Each page is a turn of the event loop: milliseconds.
            page = keys[start : start + LOAD_PAGE]
            limits = await self._limits_of(page)
            records = await self._store.states(list(limits))
            for key in page:  # The key as asked for: the directory's own string, not one more for each vehicle.
                if key in limits:
                    actors[key] = self.actor(key, records.get(key), limits[key])
        return actors

    async def reload(self, key: str) -> Actor:
        limits = await self._limits_of((key,))
        records = await self._store.states((key,))
        limit_kmh = limits.get(key, self._fleet.profile.speed_limit_kmh)
        vehicle = self._vehicle(key, records.get(key), limit_kmh)
        actor = VehicleActor(self._dispatcher, self._fleet, vehicle, online=True)
        watermarks = await self._store.watermarks()
        after = max(vehicle.applied, watermarks.get(partition_of(key), 0))
        while page := await self._store.read_log(after=after, limit=LOG_PAGE):
            for number, entry in page:
                await asyncio.sleep(0)
                received_at, fixes = decode_batch(entry)
                for fix in fixes:
                    if self._vehicle_of(fix.terminal) == key:
                        refold(actor, fix, received_at, number)
            after = page[-1][0]
        actor.caught_up = after
        actor.obey(limit_kmh)
        return actor

    def actor(self, key: str, record: bytes | None, limit_kmh: int | None, *, online: bool = False) -> VehicleActor:
        """Make an actor around a stored state; ``online`` is what was announced last.

        ``limit_kmh`` is the registry's, None: as the state has it. A state that can't be read makes a suspended actor, so
        that it is not overwritten and its neighbours are served.
        """
        try:
            vehicle = self._vehicle(key, record, limit_kmh)
        except StoreFormatError:
            log.exception("%s:%s can't be read and waits", KIND, key)
            actor = VehicleActor(self._dispatcher, self._fleet, Vehicle(key))
            actor.suspend()
            return actor
        if vehicle.newest is not None and (known := self._vehicle_of(vehicle.newest.terminal)) == key:
            vehicle.key = known or key  # The directory's own string, and not one more for each vehicle.
        actor = VehicleActor(self._dispatcher, self._fleet, vehicle, online=online)
        if limit_kmh is not None and vehicle.limit_dkmh != limit_kmh * 10:
            if self.replaying:
                self.changed_limits[vehicle.key] = limit_kmh
            else:
                actor.obey(limit_kmh)
        return actor

    def _vehicle(self, key: str, record: bytes | None, limit_kmh: int | None) -> Vehicle:
        if record is not None:
            return from_record(key, record)
        return Vehicle(key, shared((limit_kmh or self._fleet.profile.speed_limit_kmh) * 10))


def refold(actor: VehicleActor, fix: Fix, received_at: float, number: int) -> None:
    """Fold a fix of the log again. One that throws did so before, became a dead letter then, and is passed over."""
    try:
        actor.take(fix, received_at, number)
    except Exception:
        log.exception("%s: a logged fix can't be folded and is passed over", actor.actor_urn)
