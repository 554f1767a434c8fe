"""A vehicle's alerts: alarm bits and rules go in, episodes with start, peak and end come out (R34, R50, R52)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2s
from typing import Final, Literal

from domain.vehicle import alarm_bits as bits

Source = Literal["terminal", "platform"]


@dataclass(frozen=True, slots=True)
class Alert:
    """A continuous alarm, however many reports repeated it. Its place is where it began, None if unknown."""

    id: str
    kind: str
    source: Source
    started_at: int
    ended_at: int | None
    lon_e6: int | None
    lat_e6: int | None
    speed_dkmh: int
    peak_dkmh: int
    limit_kmh: int | None

    @property
    def ongoing(self) -> bool:
        return self.ended_at is None


TERMINAL_KINDS: Final[tuple[tuple[str, int], ...]] = (
    ("emergency", bits.EMERGENCY),
    ("speeding", bits.SPEEDING),
    ("fatigue", bits.FATIGUE | bits.ITEM_FATIGUE | bits.CAMERA_FATIGUE),
    ("dangerous_driving", bits.DANGEROUS_DRIVING),
    ("gnss_fault", 1 << 4),
    ("antenna_open", 1 << 5),
    ("antenna_short", 1 << 6),
    ("power_low", 1 << 7),
    ("power_lost", 1 << 8),
    ("display_fault", 1 << 9),
    ("tts_fault", 1 << 10),
    ("camera_fault", 1 << 11),
    ("ic_card_fault", 1 << 12),
    ("speeding_warning", bits.SPEEDING_WARNING),
    ("fatigue_warning", bits.FATIGUE_WARNING),
    # Bits 15-17 mean three different things with three vendors: they raise nothing.
    ("driving_time_exceeded", 1 << 18 | bits.CAMERA_OVERTIME),
    ("parked_too_long", 1 << 19),
    ("area", 1 << 20),
    ("route", 1 << 21),
    ("section_time", 1 << 22),
    ("off_route", 1 << 23),
    ("vss_fault", 1 << 24),
    ("fuel_abnormal", 1 << 25),
    ("stolen", 1 << 26),
    ("illegal_ignition", 1 << 27),
    ("illegal_move", 1 << 28),
    ("collision", bits.COLLISION),
    ("rollover", bits.ROLLOVER),
    ("illegal_door", 1 << 31),
    ("phone_use", bits.ITEM_PHONE | bits.CAMERA_PHONE),
    ("smoking", bits.ITEM_SMOKING | bits.CAMERA_SMOKING),
    ("distracted", bits.CAMERA_DISTRACTED),
    ("driver_abnormal", bits.CAMERA_DRIVER_ABNORMAL),
    ("no_seat_belt", bits.CAMERA_NO_BELT),
    ("forward_collision_warning", bits.CAMERA_FORWARD_COLLISION),
    ("lane_departure", bits.CAMERA_LANE_DEPARTURE),
    ("too_close", bits.CAMERA_TOO_CLOSE),
    ("pedestrian", bits.CAMERA_PEDESTRIAN),
    ("tyre", bits.TYRE),
    ("blind_spot", bits.BLIND_SPOT),
)
"""Alert kind and the bits of ``Fix.alarms`` that carry it; one alert while any of them holds."""

KINDS: Final = tuple(kind for kind, _ in TERMINAL_KINDS)

_IMPLAUSIBLE_BITS: Final = 16
_FIRST_CAMERA_BIT: Final = 1 << 35


def is_plausible(alarms: int) -> bool:
    """Tell whether an alarm word can be true: half of all alarms at once is a broken terminal (``ffffffff``)."""
    return (alarms & bits.WORD).bit_count() < _IMPLAUSIBLE_BITS


def alert_id(vehicle_key: str, kind: str, source: Source, started_at: int) -> str:
    """Return an episode's id, the same however often it is computed again from the log."""
    return blake2s(f"{vehicle_key}/{kind}/{source}/{started_at}".encode(), digest_size=10).hexdigest()


def conditions(alarms: int, speed_dkmh: int, latched: int) -> tuple[int, int]:
    """Return the bits that hold in this report, and the camera's latches after it; ``alarms`` must be plausible.

    Speeding at standstill can't be true and does not hold (R50). A camera that said "start" holds until it says "end".
    """
    if alarms & bits.SPEEDING and not speed_dkmh:
        alarms &= ~bits.SPEEDING
    if not latched and alarms < _FIRST_CAMERA_BIT:
        return alarms, 0
    seen = alarms & bits.CAMERA
    latches = (alarms >> bits.LATCH_SHIFT) & bits.CAMERA
    latched = (latched | latches & seen) & ~(latches & ~seen)
    return alarms & (_FIRST_CAMERA_BIT - 1) | seen | latched, latched
