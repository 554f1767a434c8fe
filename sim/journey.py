"""A truck's journey: its place along the route and its speed at any moment."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

from sim.civil_time import CHINA_S, DAY_S
from sim.habits import Driver
from sim.world import Cover, Route

LONG_REST_S: Final = 1200.0
_NIGHT_SHIFT: Final = 0.4
"""The share of regular sleepers who sleep by day and drive by night."""
_CITY_M: Final = 9000.0
_LAST_STRETCH_M: Final = 1500.0
_KMH: Final = 1 / 3.6


class Motion(NamedTuple):
    """The truth about a truck at one moment."""

    lon: float
    lat: float
    course_deg: float
    speed_kmh: float
    cover: Cover
    ignition_on: bool
    driven_m: float
    """Metres since the journey's start; returns to 0 when the round trip begins again."""


class Stand(NamedTuple):
    """A time without moving, in seconds of the journey."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Style:
    """A driver's style: the numbers behind a kind."""

    driver: Driver
    cruise_kmh: float
    limit_kmh: int


class Journey:
    """An endless round trip, as a function of time: out, unload, back, load, and again.

    Speed is linear between knots, and position is its exact integral. A truck therefore never jumps, whenever it is
    looked at, and a second run of the same seed continues where the truck would be by then.
    """

    __slots__ = ("_at_s", "_driven_m", "_offset_s", "_speeds", "period_s", "route", "stands")

    def __init__(self, route: Route, style: Style, rng: Random) -> None:
        self.route = route
        writer = _Writer(route, style, rng)
        writer.drive_to(route.length_m)
        writer.stand(rng.uniform(2400, 7200))
        writer.drive_to(2 * route.length_m)
        writer.stand(rng.uniform(2400, 7200))
        if writer.keeps_nights:
            writer.stand_until_midnight()
        self._at_s, self._driven_m, self._speeds = writer.at_s, writer.driven_m, writer.speeds
        self.stands = tuple(writer.stands)
        self.period_s = writer.at_s[-1]
        days = max(1, int(self.period_s // DAY_S))
        shift_s = rng.uniform(8, 16) * 3600 if rng.random() < _NIGHT_SHIFT else 0.0
        whole_days_s = rng.randrange(days) * DAY_S + shift_s
        self._offset_s = whole_days_s if writer.keeps_nights else rng.uniform(0, self.period_s)

    def phase_s(self, at: float) -> float:
        """Return the seconds into the round at this Unix time."""
        return (at + CHINA_S + self._offset_s) % self.period_s

    def at(self, at: float) -> Motion:
        """Return the truck's motion at this Unix time."""
        phase = self.phase_s(at)
        after = min(max(bisect_right(self._at_s, phase), 1), len(self._at_s) - 1)
        since, span = phase - self._at_s[after - 1], self._at_s[after] - self._at_s[after - 1]
        speed, gain = self._speeds[after - 1], self._speeds[after] - self._speeds[after - 1]
        share = since / span if span else 0.0
        driven = self._driven_m[after - 1] + since * (speed + gain * share / 2)
        home = driven > self.route.length_m
        along = 2 * self.route.length_m - driven if home else driven
        place = self.route.at(along)
        course = (place.course_deg + 180) % 360 if home else place.course_deg
        cover = self.route.cover_at(along)
        moving = speed + gain * share
        return Motion(place.lon, place.lat, course, moving * 3.6, cover, self._ignition(phase), driven)

    def _ignition(self, phase: float) -> bool:
        """Tell whether the ignition is on; it is off during stands of half an hour and more."""
        index = bisect_right(self.stands, Stand(phase, self.period_s + 1)) - 1
        if index < 0:
            return True
        stand = self.stands[index]
        return phase >= stand.end_s or stand.end_s - stand.start_s < 1800

    def stints(self) -> list[tuple[float, float]]:
        """Return the stints, each from one long rest's end to the next one's start, in seconds of the journey."""
        rests = [stand for stand in self.stands if stand.end_s - stand.start_s >= LONG_REST_S]
        starts = [0.0, *(rest.end_s for rest in rests)]
        return [(start, rest.start_s) for start, rest in zip(starts, rests, strict=False)]


class _Writer:
    """Writes a journey's knots, one stand and one drive after the other."""

    def __init__(self, route: Route, style: Style, rng: Random) -> None:
        self._route = route
        self._style = style
        self._rng = rng
        self.keeps_nights = style.driver in (Driver.CAREFUL, Driver.SPEEDING)
        self.at_s = array("f", [0.0])
        self.driven_m = array("f", [0.0])
        self.speeds = array("f", [0.0])
        self.stands: list[Stand] = []
        if self.keeps_nights:
            self.stand(rng.uniform(5.2, 7.5) * 3600)

    def stand(self, seconds: float) -> None:
        start = self.at_s[-1]
        self._knot(start + seconds, self.driven_m[-1], 0.0)
        self.stands.append(Stand(start, self.at_s[-1]))

    def stand_until_midnight(self) -> None:
        self.stand(DAY_S - self.at_s[-1] % DAY_S)

    def drive_to(self, goal_m: float) -> None:
        """Drive stint after stint, with this driver's stops, to a halt at ``goal_m``."""
        while True:
            until_s = self.at_s[-1] + self._stint_s()
            while self.at_s[-1] < until_s and goal_m - self.driven_m[-1] > _LAST_STRETCH_M:
                self._drive_on(goal_m)
            if goal_m - self.driven_m[-1] <= _LAST_STRETCH_M:
                return self._arrive(goal_m)
            self._change(0.0, self._rng.uniform(50, 90))
            self.stand(self._pause_s())

    def _drive_on(self, goal_m: float) -> None:
        speed, target = self.speeds[-1], self._target_kmh() * _KMH
        seconds = self._rng.uniform(60, 100) if speed == 0 else self._rng.uniform(150, 330)
        room_m = goal_m - self.driven_m[-1] - _LAST_STRETCH_M / 2
        self._change(target, min(seconds, 2 * room_m / (speed + target)))

    def _arrive(self, goal_m: float) -> None:
        """Brake so that the wheels stop exactly at the goal."""
        speed = self.speeds[-1] or 3.0
        left_m = goal_m - self.driven_m[-1]
        self._knot(self.at_s[-1] + 2 * left_m / speed, goal_m, 0.0)

    def _change(self, target: float, seconds: float) -> None:
        driven = self.driven_m[-1] + seconds * (self.speeds[-1] + target) / 2
        self._knot(self.at_s[-1] + seconds, driven, target)

    def _knot(self, at_s: float, driven_m: float, speed: float) -> None:
        self.at_s.append(at_s)
        self.driven_m.append(driven_m)
        self.speeds.append(speed)

    def _target_kmh(self) -> float:
        if self._near_city():
            return self._rng.uniform(48, 66)
        limit = self._style.limit_kmh
        if self._style.driver is Driver.SPEEDING and self._rng.random() < 0.3:
            return limit * self._rng.uniform(1.06, 1.17)
        return min(self._style.cruise_kmh * self._rng.uniform(0.9, 1.07), limit * 0.94)

    def _near_city(self) -> bool:
        length = self._route.length_m
        along = self.driven_m[-1] if self.driven_m[-1] <= length else 2 * length - self.driven_m[-1]
        cities = self._route.cities_m
        after = bisect_right(cities, along)
        return any(abs(cities[i] - along) < _CITY_M for i in (after - 1, after) if 0 <= i < len(cities))

    def _stint_s(self) -> float:
        hours = (4.3, 6.5) if self._style.driver is Driver.OVERLONG else (1.6, 3.4)
        return self._rng.uniform(*hours) * 3600

    def _pause_s(self) -> float:
        """Draw the length of this stop: short at a service area, long for a bed."""
        if self._style.driver is Driver.OVERLONG and self._rng.random() < 0.6:
            return self._rng.uniform(7, 15) * 60
        hour = self.at_s[-1] % DAY_S / 3600
        if self.keeps_nights and (hour > 20.5 or hour < 5):
            return (self._rng.uniform(29, 31) - (hour if hour > 12 else hour + 24)) * 3600
        return self._rng.uniform(23, 50) * 60
