"""A truck's terminal: its measurements and reports at any moment."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, radians, sin
from random import Random
from typing import Final, NamedTuple

from sim.habits import DEFAULT_LIMIT_KMH, Device, DriverMix, FatigueCarrier, device, limit_kmh
from sim.journey import Journey, Motion, Style
from sim.world import Cover, Route, World, altitude_m

ACC_ON: Final = 1 << 0
POSITIONED: Final = 1 << 1
_GPS_AND_BEIDOU: Final = 3 << 18
_DOOR_LOCKED: Final = 1 << 12

EMERGENCY: Final = 1 << 0
SPEEDING: Final = 1 << 1
FATIGUE: Final = 1 << 2
DANGEROUS_DRIVING: Final = 1 << 3
SPEEDING_WARNING: Final = 1 << 13
FATIGUE_WARNING: Final = 1 << 14
DAY_EXCEEDED: Final = 1 << 18
COLLISION: Final = 1 << 29

EVENT_NONE: Final = 0
EVENT_START: Final = 1
EVENT_END: Final = 2
EVENT_SINGLE: Final = 3
"""A camera's event without duration (item 0x65, state 0)."""

_MICRODEGREES_PER_METRE: Final = 8.99
_MASK: Final = (1 << 64) - 1


class Report(NamedTuple):
    """A location report before the terminal's clock and faults affect it."""

    fixed_at: int
    lon_e6: int
    lat_e6: int
    altitude_m: int
    speed_dkmh: int
    course_deg: int
    alarms: int
    """The JT/T 808 alarm word."""
    status: int
    camera_event: int
    """The fatigue state of item 0x65: one of the ``EVENT_`` numbers."""
    abnormal: int
    """The word of item 0x18, 0 for no item."""
    odometer_dkm: int
    reachable: bool
    """Tells whether the network is reachable."""


class Spell(NamedTuple):
    """A time during which a condition holds, in seconds of the journey."""

    start_s: float
    end_s: float
    alarms: int
    camera: bool = False
    abnormal: int = 0


class Truck:
    """A truck's life, a function of (seed, index, time)."""

    __slots__ = ("_key", "_spells", "device", "driver", "index", "journey", "limit_kmh", "period_s")

    def __init__(self, world: World, *, seed: int, index: int, mix: DriverMix, period_s: int) -> None:
        rng = Random(f"{seed}/truck/{index}")
        self.index = index
        self.period_s = period_s
        self.device: Device = device(seed, index)
        self.limit_kmh = limit_kmh(seed, index) or DEFAULT_LIMIT_KMH
        self.driver = mix.pick(rng.random())
        cruise = min(rng.uniform(76, 88), self.limit_kmh * 0.88)
        self.journey = Journey(_pick_route(world, rng), Style(self.driver, cruise, self.limit_kmh), rng)
        self._spells = _spells(self.journey, self.device, rng)
        self._key = rng.getrandbits(64)

    def next_due(self, at: float) -> int:
        """Return the first second after ``at`` in which a report falls due; the grid depends on the truck alone."""
        return int(at) - (int(at) - self._key) % self.period_s + self.period_s

    def alarm(self, alarms: int, since: float, until: float) -> None:
        """Let the terminal set these alarm bits between two Unix times, besides those of its own life."""
        start_s = self.journey.phase_s(since)
        self._spells = tuple(sorted([*self._spells, Spell(start_s, start_s + until - since, alarms)]))

    def report(self, at: int) -> Report:
        """Return the report of this second."""
        motion = self.journey.at(at)
        blind = motion.cover in (Cover.SHORT_TUNNEL, Cover.TUNNEL)
        noise = _scrambled(self._key ^ at)
        speed_dkmh = 0 if blind else self._speed_dkmh(motion, at, noise)
        lon_e6, lat_e6 = self._position(motion, noise, blind=blind)
        alarms, camera, abnormal = self._conditions(at)
        return Report(
            at,
            lon_e6,
            lat_e6,
            0 if blind else altitude_m(motion.lon, motion.lat) + (noise >> 40 & 7),
            speed_dkmh,
            int(motion.course_deg) % 360,
            alarms | self._speeding(speed_dkmh),
            _status(motion, blind=blind),
            camera,
            abnormal,
            int(motion.driven_m / 100),
            motion.cover in (Cover.OPEN, Cover.SHORT_TUNNEL),
        )

    def _speed_dkmh(self, motion: Motion, at: int, noise: int) -> int:
        if motion.speed_kmh < 1:
            return 0
        sway = 2.2 * sin(at / 41 + self.index) if motion.speed_kmh > 30 else 0.0
        return max(0, round((motion.speed_kmh + sway) * 10) + (noise >> 32 & 7) - 3)

    def _position(self, motion: Motion, noise: int, *, blind: bool) -> tuple[int, int]:
        """Return a position within some metres; without satellites (0,0) on some terminals."""
        if blind and self.device.zeroes_without_fix:
            return 0, 0
        east_m, north_m = (noise & 0xFF) / 32 - 4, (noise >> 8 & 0xFF) / 32 - 4
        shrink = cos(radians(motion.lat))
        lon_e6 = motion.lon * 1e6 + east_m * _MICRODEGREES_PER_METRE / shrink
        return round(lon_e6), round(motion.lat * 1e6 + north_m * _MICRODEGREES_PER_METRE)

    def _speeding(self, speed_dkmh: int) -> int:
        if not self.device.computes_speeding:
            return 0
        if speed_dkmh > self.limit_kmh * 10:
            return SPEEDING
        near = self.device.warns_of_speeding and speed_dkmh > self.limit_kmh * 10 - 50
        return SPEEDING_WARNING if near else 0

    def _conditions(self, at: int) -> tuple[int, int, int]:
        """Return (alarm bits, camera event, abnormal driving) of the spells that touch the time since the last report."""
        phase = self.journey.phase_s(at)
        before = phase - self.period_s
        alarms = abnormal = 0
        event = EVENT_NONE
        for spell in self._spells:
            if spell.start_s > phase:
                break
            if spell.end_s > phase:
                alarms |= spell.alarms
                abnormal |= spell.abnormal
            if spell.camera:
                event = _camera_event(spell, before, phase) or event
        return alarms, event, abnormal


def _camera_event(spell: Spell, before: float, phase: float) -> int:
    starts, ends = before < spell.start_s <= phase, before < spell.end_s <= phase
    if starts and ends:
        return EVENT_SINGLE
    return EVENT_START if starts else EVENT_END if ends else EVENT_NONE


def _status(motion: Motion, *, blind: bool) -> int:
    status = ACC_ON if motion.ignition_on else _DOOR_LOCKED
    return status if blind else status | POSITIONED | _GPS_AND_BEIDOU


def _scrambled(value: int) -> int:
    """Return 64 bits that look random and depend on ``value`` alone (splitmix64)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & _MASK
    return value ^ value >> 31


def _pick_route(world: World, rng: Random) -> Route:
    """Draw a route between two cities at a truckable distance; the longest found when ten tries find none."""
    best: Route | None = None
    for _ in range(10):
        origin, destination = rng.sample(range(len(world.cities)), 2)
        route = world.route(origin, destination)
        if route and 250_000 < route.length_m < 1_600_000:
            return route
        if route and (best is None or route.length_m > best.length_m):
            best = route
    if best is None:
        raise ValueError("the map has too few roads to send a truck anywhere")
    return best


def _spells(journey: Journey, fitted: Device, rng: Random) -> Sequence[Spell]:
    """Return every condition of one round, in order of its start."""
    spells = [spell for stint in journey.stints() for spell in _tiredness(stint, fitted)]
    if fitted.fatigue is FatigueCarrier.CAMERA:
        spells += [_lasting(rng, journey, (3, 150), 0, camera=True) for _ in range(int(journey.period_s / 9000))]
    for chance, alarms, lengths_s in (
        (0.30, DANGEROUS_DRIVING, (20, 120)),
        (0.03, EMERGENCY, (20, 60)),
        (0.01, COLLISION, (10, 40)),
        (0.06, DAY_EXCEEDED, (1800, 7200)),
        (0.04, 1 << rng.randint(4, 12), (600, 14_400)),
        (0.05, 1 << rng.choice((23, 24, 25)), (120, 900)),
        (0.05, 1 << rng.randint(15, 17), (60, 600)),
    ):
        if rng.random() < chance:
            spells.append(_lasting(rng, journey, lengths_s, alarms))
    return tuple(sorted(_apart(spells)))


def _tiredness(stint: tuple[float, float], fitted: Device) -> list[Spell]:
    """Return the spells of a terminal that counts the hours, in a drive of over four hours."""
    start_s, end_s = stint[0] + 4 * 3600, stint[1]
    if end_s <= start_s:
        return []
    if fitted.fatigue is FatigueCarrier.ALARM_BIT:
        return [Spell(start_s - 1800, start_s, FATIGUE_WARNING), Spell(start_s, end_s, FATIGUE)]
    if fitted.fatigue is FatigueCarrier.ITEM_18:
        return [Spell(start_s, end_s, 0, abnormal=1)]
    return [Spell(start_s, end_s, 0, camera=True)] if fitted.fatigue is FatigueCarrier.CAMERA else []


def _lasting(rng: Random, journey: Journey, lengths_s: tuple[int, int], alarms: int, *, camera: bool = False) -> Spell:
    start_s = rng.uniform(0, journey.period_s - lengths_s[1] - 400)
    return Spell(start_s, start_s + rng.uniform(*lengths_s), alarms, camera=camera)


def _apart(spells: list[Spell]) -> list[Spell]:
    """Drop camera spells that run into each other: one camera, one event at a time."""
    kept: list[Spell] = []
    free_s = 0.0
    for spell in sorted(spells):
        if spell.camera and spell.start_s < free_s:
            continue
        if spell.camera:
            free_s = spell.end_s + 600
        kept.append(spell)
    return kept
