"""Announcements to viewers of a vehicle: its newest position, its presence, alerts that begin or end, each once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from actors.system.clock import Clock
from actors.system.runtime import Board
from domain.vehicle.alerts import Alert
from domain.vehicle.fix import Fix
from domain.vehicle.profile import Profile
from domain.vehicle.vehicle import Vehicle, alerts_of, is_online


@dataclass(frozen=True, slots=True)
class Moved:
    """There is a newer position. Fields as in ``VehicleView``."""

    at: float
    online: bool
    newest: Fix
    fixed_at: int
    received_at: float


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """The vehicle is online again, or offline from now on (R32). Fields as in ``VehicleView``."""

    at: float
    online: bool
    newest: Fix | None
    fixed_at: int
    received_at: float


@dataclass(frozen=True, slots=True)
class AlertChanged:
    """An alert began, ended, or goes on after all: a late report showed it (the same id again)."""

    alert: Alert


Announcement = Moved | PresenceChanged | AlertChanged


class VehicleWatch:
    """Remembers what was told last; a vehicle has one only while it is watched."""

    __slots__ = (
        "_board",
        "_clock",
        "_ends",
        "_fixed_at",
        "_is_due",
        "_kind",
        "_online",
        "_profile",
        "_seen",
        "_vehicle",
    )

    def __init__(self, board: Board, kind: str, vehicle: Vehicle, clock: Clock, profile: Profile) -> None:
        """Tell changes from now on; ``kind`` is the actor's."""
        self._board = board
        self._kind = kind
        self._clock = clock
        self._profile = profile
        self._is_due = False
        self.follow(vehicle)
        self._fixed_at = vehicle.fixed_at
        self._online = is_online(vehicle, clock.now(), profile)
        self._seen = (vehicle.ongoing, vehicle.recent, self._online)
        self._ends = {alert.id: alert.ended_at for alert in alerts_of(vehicle, online=self._online)}
        """Maps the id of each alert that was told to its end; as few as a vehicle keeps at hand."""

    def follow(self, vehicle: Vehicle) -> None:
        """Follow the same vehicle, restarted: changes made meanwhile are told at the next look."""
        self._vehicle = vehicle

    def look_soon(self) -> bool:
        """Look at the end of this turn of the loop, once, however often it is asked.

        False when it is no longer watched.
        """
        if not self._board.is_watched(self._kind, self._vehicle.key):
            return False
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self.look)
        return True

    def look(self) -> None:
        """Tell all changes since the last look."""
        self._is_due = False
        vehicle, now = self._vehicle, self._clock.now()
        newest, online = vehicle.newest, is_online(vehicle, now, self._profile)
        self._look_at_alerts(online=online)
        if vehicle.fixed_at != self._fixed_at and newest is not None:
            self._fixed_at = vehicle.fixed_at
            self._tell(Moved(now, online, newest, vehicle.fixed_at, vehicle.received_at))
        if online != self._online:
            self._online = online
            self._tell(PresenceChanged(now, online, newest, vehicle.fixed_at, vehicle.received_at))

    def _look_at_alerts(self, *, online: bool) -> None:
        vehicle = self._vehicle
        ongoing, recent, was_online = self._seen
        if vehicle.ongoing is ongoing and vehicle.recent is recent and online is was_online:
            return
        told, alerts = self._ends, alerts_of(vehicle, online=online)
        self._ends = {alert.id: alert.ended_at for alert in alerts}
        self._seen = (vehicle.ongoing, vehicle.recent, online)
        for alert in reversed(alerts):
            if alert.id not in told or told[alert.id] != alert.ended_at:
                self._tell(AlertChanged(alert))

    def _tell(self, event: Announcement) -> None:
        self._board.announce(self._kind, self._vehicle.key, event)
