"""The actor of a vehicle: the rules with a mailbox, presence announced in time, and a list of unsaved changes."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any, ClassVar, Final, NamedTuple, assert_never

from actors.system.asks import Ask
from actors.system.clock import Clock
from actors.system.runtime import IDLE, STOPPED, Actor, Board, Dispatcher
from actors.vehicles.watch import VehicleWatch
from domain.registry import PARTITIONS, partition_of
from domain.vehicle.alerts import Alert
from domain.vehicle.fix import Fix
from domain.vehicle.fleet_clock import FleetClock
from domain.vehicle.profile import Profile
from domain.vehicle.quality import Outcome, Quality
from domain.vehicle.vehicle import DrivingToday, Vehicle, accept, alerts_of, driving_today, heard_at, is_online, shared

KIND: Final = "vehicle"
NEVER: Final = float("inf")


class Report(NamedTuple):
    """A durable fix that found its vehicle busy."""

    fix: Fix
    received_at: float
    number: int


@dataclass(frozen=True, slots=True)
class RegistryChanged:
    """The registry says something new of this vehicle."""

    limit_kmh: int


class VehicleView(NamedTuple):
    """A vehicle as it is at ``at`` (Unix seconds, our clock); a tuple, because thousands a second are made."""

    key: str
    at: float
    online: bool
    newest: Fix | None
    fixed_at: int
    """The time of ``newest``, the terminal's clock corrected."""
    received_at: float
    clock_offset_s: int
    """Learned fault of the terminal's clock, already taken off ``fixed_at`` (R50)."""
    alerts: tuple[Alert, ...]
    """Alerts that go on or ended recently, newest first."""
    today: DrivingToday


@dataclass(frozen=True, slots=True)
class Look(Ask[VehicleView | None]):
    """Asks what the vehicle shows now; None for a vehicle that the registry does not know."""

    kind: ClassVar[str] = KIND


Message = Report | Look | RegistryChanged


class Fleet:
    """State shared by all vehicle actors of a process: the clock, the thresholds, the counters, the unsaved vehicles."""

    def __init__(self, clock: Clock, profile: Profile, *, passivate_after_s: float = 3600.0) -> None:
        self.clock = clock
        self.profile = profile
        self.passivate_after_s = passivate_after_s
        self.quality = Quality()
        self.time = FleetClock()
        self.online = 0
        self.announcements = 0
        self.conflated = 0
        self.dirty: list[list[VehicleActor]] = [[] for _ in range(PARTITIONS)]
        """Vehicles that changed since their last checkpoint, by partition."""
        self.retired: list[VehicleActor] = []
        """Cold vehicles that would go; the supervisor takes them."""


class VehicleActor(Actor):
    """A vehicle. Telemetry takes the short way in (``take``); everything else comes through the mailbox."""

    __slots__ = ("armed_for", "caught_up", "dirty", "fleet", "online", "vehicle", "watch")

    mailbox_limit: ClassVar[int] = 256

    def __init__(self, dispatcher: Dispatcher, fleet: Fleet, vehicle: Vehicle, *, online: bool = False) -> None:
        """Prepare the actor; ``online`` is what was announced last. Presence itself is always computed."""
        super().__init__(dispatcher)
        self.fleet = fleet
        self.vehicle = vehicle
        self.online = False
        self.dirty = False
        self.caught_up = 0
        """The log number up to which everything was read from the log; the mailbox's older reports came twice."""
        self.armed_for: float = NEVER
        self.watch: VehicleWatch | None = None
        if online:
            self._arrive()
        if not self.online:
            if online:
                self.mark_dirty()  # The store still calls it hot.
            self._arm_passivation()

    @property
    def key(self) -> str:
        return self.vehicle.key

    @property
    def actor_urn(self) -> str:  # type: ignore[override]  # computed, to spare a string for each of millions
        return f"{KIND}:{self.vehicle.key}"

    def take(self, fix: Fix, received_at: float, number: int) -> Outcome | None:
        """Fold a durable fix in the router's own turn; into the mailbox when the actor is busy. None: it has ended.

        This is the one short cut past the mailbox. A quiet actor has nothing queued, so order is kept. Each fix is
        spared a message object, a list and a turn of the run queue.
        """
        if self._phase != IDLE:
            if self._phase == STOPPED:
                return None
            if not self.dirty:
                self.mark_dirty()  # So that no checkpoint passes over the waiting report.
            self.tell(Report(fix, received_at, number))
            return Outcome.QUEUED
        return self._fold(fix, received_at, number)

    def _fold(self, fix: Fix, received_at: float, number: int) -> Outcome:
        fleet = self.fleet
        outcome = accept(self.vehicle, fix, received_at, fleet.profile, fleet.quality)
        self.vehicle.applied = number
        if not self.dirty:
            self.mark_dirty()
        if not self.online and outcome is Outcome.NEWEST:
            self._arrive()
        if self.watch is not None and not self.watch.look_soon():
            self.watch = None
        return outcome

    def on_receive(self, message: Message) -> Any:
        match message:
            case Report():
                if message.number > self.caught_up:
                    self._fold(message.fix, message.received_at, message.number)
            case Look():
                return self.view()
            case RegistryChanged():
                self.obey(message.limit_kmh)
            case _:
                assert_never(message)

    def conflate(self, messages: list[Any], message: Any) -> bool:
        """Drop the oldest waiting position without an alarm for a newer one (R54)."""
        for at, waiting in enumerate(messages):
            if type(waiting) is Report and not waiting.fix.alarms:
                del messages[at]
                self.fleet.conflated += 1
                return True
        return False

    def suspend(self) -> None:
        super().suspend()
        if not self.dirty:
            self.mark_dirty()

    def hand_over(self, successor: Actor) -> None:
        super().hand_over(successor)
        self.leave()
        if not isinstance(successor, VehicleActor):
            return
        if successor.mailbox_depth and not successor.dirty:
            successor.mark_dirty()
        if self.watch is not None:
            self.watch.follow(successor.vehicle)
            successor.watch, self.watch = self.watch, None

    def be_watched(self, board: Board) -> None:
        if self.watch is None:
            self.watch = VehicleWatch(board, KIND, self.vehicle, self.fleet.clock, self.fleet.profile)
        else:
            self.watch.look_soon()

    def view(self) -> VehicleView:
        vehicle, now = self.vehicle, self.fleet.clock.now()
        clock, online = vehicle.terminal_clock, is_online(vehicle, now, self.fleet.profile)
        return VehicleView(
            key=vehicle.key,
            at=now,
            online=online,
            newest=vehicle.newest,
            fixed_at=vehicle.fixed_at,
            received_at=vehicle.received_at,
            clock_offset_s=clock.offset_s if clock else 0,
            alerts=alerts_of(vehicle, online=online),
            today=driving_today(vehicle, now),
        )

    def obey(self, limit_kmh: int) -> None:
        """Take the registry's speed limit from now on; the stored state is to know it."""
        if self.vehicle.limit_dkmh != limit_kmh * 10:
            self.vehicle.limit_dkmh = shared(limit_kmh * 10)
            if not self.dirty:
                self.mark_dirty()

    def mark_dirty(self) -> None:
        self.dirty = True
        self.fleet.dirty[partition_of(self.vehicle.key)].append(self)

    # -- presence ----------------------------------------------------------------------------------------------------

    def _arrive(self) -> None:
        """Announce online, unless the fix is already too old for it."""
        if not is_online(self.vehicle, self.fleet.clock.now(), self.fleet.profile):
            return
        self.online = True
        self.fleet.online += 1
        self.fleet.announcements += 1
        self._arm_offline()

    def on_wake(self, now: float) -> None:
        """Check presence (R32) at the vehicle's one pending timer; ask for it again when the vehicle moved on."""
        if now < self.armed_for or self._phase == STOPPED:
            return  # An earlier wish, outdated since.
        self.armed_for = NEVER
        vehicle, fleet = self.vehicle, self.fleet
        if is_online(vehicle, now, fleet.profile):
            self._arm_offline()
            return
        if self.online:
            self.leave()
            if not self.dirty:
                self.mark_dirty()  # The store should know that it is cold.
        else:
            fleet.retired.append(self)
        self._arm_passivation()
        if self.watch is not None:
            self.watch.look()

    def on_set_back(self, now: float) -> None:
        self.armed_for = NEVER
        if self._phase == STOPPED:
            return
        if self.online:
            self._arm_offline()
        else:
            self._arm_passivation()

    def leave(self) -> None:
        """Announce offline, once."""
        if self.online:
            self.online = False
            self.fleet.online -= 1
            self.fleet.announcements += 1

    def _arm_offline(self) -> None:
        profile = self.fleet.profile
        self._arm(ceil(heard_at(self.vehicle, profile)) + profile.offline_after_s)

    def _arm_passivation(self) -> None:
        """Ask for the passivation timer, in whole seconds, so that many share one place on the agenda."""
        self._arm(int(self.fleet.clock.now() + self.fleet.passivate_after_s) + 1)

    def _arm(self, at: int) -> None:
        if at < self.armed_for:
            self.armed_for = shared(at)
            self.fleet.clock.wake(self, at)
