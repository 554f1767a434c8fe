"""The right place of each truck: the log folded naively, and once more by the real rules (R32, R50, R51)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from domain.vehicle import vehicle as rules
from domain.vehicle.fix import FLAG_BACKFILLED, FLAG_DOUBTED, STATUS_POSITIONED, Fix, distance_m
from domain.vehicle.profile import DEFAULT_PROFILE
from domain.vehicle.quality import Quality
from domain.vehicle.vehicle import Vehicle
from persistence.records import decode_batch
from torture import cast


@dataclass(slots=True)
class Track:
    """A truck as its reports in the log tell, in their order."""

    folded: Vehicle
    """The vehicle by the rules themselves, nothing left out, nothing twice."""
    newest: Fix | None = None
    fixed_at: int = 0
    received_at: float = 0.0
    reported_at: int = 0
    offset_s: int = 0
    wrong: list[float] = field(default_factory=list)
    """The times at which reports of one wrong clock came, in a row."""
    wrong_by_s: int = 0
    ahead: list[tuple[Fix, float]] = field(default_factory=list)
    """Reports from the future, and when they came: they wait until the terminal's clock is known."""
    was_ahead: bool = False
    """The truck was dated ahead of now once, so the times of its emergencies are not known to the second."""
    emergencies: list[tuple[int, int | None]] = field(default_factory=list)
    """The (from, until) of each emergency."""
    seen: set[tuple[str, int]] = field(default_factory=set)
    """Time and longitude of every report that is durable."""
    is_torn: bool = False
    """A report became durable although the service was told that it is not.

    Until its next start the service does not know it, and may take the same one in later, when the terminal has sent it
    again.
    """

    def is_online(self, now: float) -> bool:
        """Tell whether the truck is online (R32)."""
        heard_at = self.received_at if self.fixed_at - self.received_at > 300 else self.fixed_at
        return self.newest is not None and now - heard_at < 600

    def take(self, fix: Fix, received_at: float) -> None:
        if fix.flags & FLAG_BACKFILLED or fix.fixed_at <= 0:
            return
        doubted = bool(fix.flags & FLAG_DOUBTED)
        if not doubted:
            self._learn(fix.fixed_at - received_at, received_at)
        fixed_at = fix.fixed_at - self.offset_s
        if fixed_at - received_at > 300 and not doubted:
            plain = [place for place, (waiting, _) in enumerate(self.ahead) if not waiting.alarms]
            if len(self.ahead) == 8:
                del self.ahead[plain[0] if plain else 0]
            self.ahead.append((fix, received_at))
            return
        self.was_ahead = self.was_ahead or fixed_at - received_at > 300
        for each, came_at in self.ahead:
            if 0 <= fix.fixed_at - each.fixed_at <= 3600:
                self._hear(each, each.fixed_at - self.offset_s, came_at)
        self.ahead = []
        if self.reported_at - received_at > 300 and -450 < fixed_at - received_at <= 300:
            self._give_way(fixed_at)
        self._hear(fix, fixed_at, received_at)

    def _give_way(self, fixed_at: int) -> None:
        """Redate what lies ahead of now: a wrong clock dated it, and its emergencies."""
        self.reported_at = fixed_at - 1
        if self.fixed_at >= fixed_at:
            self.fixed_at, self.newest = fixed_at - 1, None

    def _hear(self, fix: Fix, fixed_at: int, received_at: float) -> None:
        is_later = fixed_at > self.fixed_at
        if fixed_at > self.reported_at and is_later:
            self.reported_at = fixed_at
            self._hear_emergency(fixed_at, on=bool(fix.alarms & 1))
        if is_later and self._is_plausible(fix, fixed_at):
            self.newest, self.fixed_at, self.received_at = fix, fixed_at, received_at

    def _learn(self, skew_s: float, received_at: float) -> None:
        if -450 < skew_s <= 300:
            self.offset_s, self.wrong, self.wrong_by_s = 0, [], 0
            return
        hours_s = round(skew_s / 3600) * 3600
        if abs(skew_s - hours_s) > 90:
            self.wrong, self.wrong_by_s = [], 0
        elif hours_s != self.wrong_by_s:
            self.wrong, self.wrong_by_s = [received_at], hours_s
        elif received_at > self.wrong[-1]:
            self.wrong.append(received_at)
            if len(self.wrong) >= 4 and received_at - self.wrong[0] >= 90:
                self.offset_s = hours_s

    def _is_plausible(self, fix: Fix, fixed_at: int) -> bool:
        if not fix.status & STATUS_POSITIONED or not (fix.lon_e6 or fix.lat_e6):
            return False
        if self.newest is None:
            return True
        moved_m = distance_m(self.newest.lon_e6, self.newest.lat_e6, fix.lon_e6, fix.lat_e6)
        return moved_m <= 500 + 50 * (fixed_at - self.fixed_at)

    def _hear_emergency(self, at: int, *, on: bool) -> None:
        ongoing = bool(self.emergencies) and self.emergencies[-1][1] is None
        if on and not ongoing:
            self.emergencies.append((at, None))
        elif ongoing and not on:
            self.emergencies[-1] = (self.emergencies[-1][0], at)


class Tracks:
    """The tracks of all trucks; told of every entry of the log as it becomes durable."""

    def __init__(self, is_wrong_since: Callable[[float], bool]) -> None:
        """Prepare the tracks; ``is_wrong_since`` tells whether the machine's clock is wrong, and was already then."""
        self.broken: list[str] = []
        """Violations for the play to raise: here, the service would take them for its own failure."""
        self._is_wrong_since = is_wrong_since
        self.by_terminal: Mapping[str, Track] = {
            cast.terminal(number): Track(Vehicle(cast.vehicle_key(number), 1000)) for number in range(cast.TRUCKS)
        }
        self.entries = 0
        self._quality = Quality()

    def of(self, vehicle: int) -> Track | None:
        return self.by_terminal.get(cast.terminal(vehicle))

    def tear(self, entry: bytes) -> None:
        for fix in decode_batch(entry)[1]:
            self.by_terminal[fix.terminal].is_torn = True

    def _check_doubt(self, fix: Fix, received_at: float) -> None:
        """Check that no report is held against its terminal for disagreeing with our time after a step of the clock
        (R50).
        """
        is_odd = not fix.flags & FLAG_BACKFILLED and not -450 < fix.fixed_at - received_at <= 300
        if is_odd and not fix.flags & FLAG_DOUBTED and self._is_wrong_since(received_at):
            self.broken.append(f"R50: a report of {fix.fixed_at} is judged by a clock that was moved")

    def take(self, number: int, entry: bytes) -> None:
        received_at, fixes = decode_batch(entry)
        self.entries += 1
        for fix in fixes:
            track = self.by_terminal[fix.terminal]
            track.seen.add((f"{fix.fixed_at}/{fix.flags & FLAG_BACKFILLED}", fix.lon_e6))
            self._check_doubt(fix, received_at)
            track.take(fix, received_at)
            rules.accept(track.folded, fix, received_at, DEFAULT_PROFILE, self._quality)
            track.folded.applied = number
