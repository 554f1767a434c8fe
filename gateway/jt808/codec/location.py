"""Turns the body of a location report (0x0200) into a fix, with the least work."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from struct import Struct
from typing import Final

from domain.vehicle import alarm_bits
from domain.vehicle.fix import Fix
from gateway.jt808.codec.fields import bcd6_from_unix, unix_from_bcd

BASIC_BYTES: Final = 28
_basic = Struct(">IIIIhHHIBB")
_unpack_basic = _basic.unpack_from
_pack_basic = Struct(">IIIIhHH").pack
_fix: Final = tuple.__new__
"""The bare tuple constructor: a named tuple's own would unpack and pack ten arguments once more."""

STATUS_SOUTH: Final = 1 << 2
STATUS_WEST: Final = 1 << 3
MAX_SPEED_DKMH: Final = 2500
MAX_ALTITUDE_M: Final = 9000
MIN_ALTITUDE_M: Final = -500
MAX_LATITUDE_E6: Final = 90_000_000
MAX_LONGITUDE_E6: Final = 180_000_000

ITEM_ABNORMAL_DRIVING: Final = 0x18
ITEM_ADAS: Final = 0x64
ITEM_DRIVER: Final = 0x65
ITEM_TYRES: Final = 0x66
ITEM_BLIND_SPOT: Final = 0x67

LENGTHS: Final[dict[int, tuple[int, ...]]] = {
    0x01: (4,),
    0x02: (2,),
    0x03: (2,),
    0x04: (2,),
    0x05: (30,),
    0x06: (2,),
    0x11: (1, 5),
    0x12: (6,),
    0x13: (7,),
    0x14: (4,),
    0x15: (4,),
    0x16: (4,),
    0x17: (2,),
    0x18: (2, 3),
    0x25: (4,),
    0x2A: (2,),
    0x2B: (4,),
    0x30: (1,),
    0x31: (1,),
    0x64: (47, 71),
    0x65: (47, 71),
    0x66: tuple(
        length
        for base in (41, 65)
        for size in (9, 10)
        for count in range(21)
        if (length := base + count * size) <= 0xFF
    ),
    0x67: (41, 65),
}
"""Item id → the lengths that the standards list; an item of another length is not trusted."""

_UNLISTED: Final = -1
_TO_LOOK_AT: Final = -2
_ALARM_ITEMS: Final = frozenset({ITEM_ABNORMAL_DRIVING, ITEM_ADAS, ITEM_DRIVER, ITEM_TYRES, ITEM_BLIND_SPOT})


def _only_length(item: int) -> int:
    """Return the one length this item may have, else a mark: not listed, or to be looked at."""
    lengths = LENGTHS.get(item)
    if lengths is None:
        return _UNLISTED
    return _TO_LOOK_AT if item in _ALARM_ITEMS or len(lengths) > 1 else lengths[0]


_ONLY_LENGTHS: Final = tuple(_only_length(item) for item in range(256))

_ADAS_BITS: Final = {
    1: alarm_bits.CAMERA_FORWARD_COLLISION,
    2: alarm_bits.CAMERA_LANE_DEPARTURE,
    3: alarm_bits.CAMERA_TOO_CLOSE,
    4: alarm_bits.CAMERA_PEDESTRIAN,
}
_DRIVER_BITS: Final = {
    1: alarm_bits.CAMERA_FATIGUE,
    2: alarm_bits.CAMERA_PHONE,
    3: alarm_bits.CAMERA_SMOKING,
    4: alarm_bits.CAMERA_DISTRACTED,
    5: alarm_bits.CAMERA_DRIVER_ABNORMAL,
    8: alarm_bits.CAMERA_OVERTIME,
    10: alarm_bits.CAMERA_NO_BELT,
}
_CAMERA_STARTS: Final = 1
_CAMERA_ENDS: Final = 2

Note = Callable[[str], None]
"""A function that takes down one deviation by its name."""


def ignore(_: str) -> None:
    """Ignore a deviation: the ``Note`` of callers that do not count."""


def fix_of(body: bytes, terminal: str, flags: int = 0, note: Note = ignore, at: int = 0, end: int | None = None) -> Fix:
    """Read the fix from a 0x0200 body, from ``at`` on. Raises ``struct.error`` below 28 bytes.

    A field that can't be true is replaced alone, and an item that can't be read is skipped; ``note`` hears of each.
    """
    alarms, status, lat, lon, altitude, speed, course, hour, minute, second = _unpack_basic(body, at)
    fixed_at = unix_from_bcd(hour, minute, second)
    if fixed_at < 0:
        note("bad_time")
        fixed_at = 0
    if (
        course > 359
        or speed > MAX_SPEED_DKMH
        or not MIN_ALTITUDE_M <= altitude <= MAX_ALTITUDE_M
        or lat > MAX_LATITUDE_E6
        or lon > MAX_LONGITUDE_E6
    ):
        note("field_out_of_range")
        altitude, speed, course = _within_range(altitude, speed, course)
    if status & 12:
        lat, lon = _signed(status, lat, lon)
    stop = len(body) if end is None else end
    if stop > at + BASIC_BYTES:
        alarms |= _item_alarms(body, at + BASIC_BYTES, stop, note)
    return _fix(Fix, (terminal, fixed_at, lon, lat, altitude, speed, course, alarms, status, flags))


def _within_range(altitude: int, speed: int, course: int) -> tuple[int, int, int]:
    """Replace impossible values: 0 stands for an unknown one; a course of 360 is north.

    Positions are for the rules to judge.
    """
    return (
        altitude if MIN_ALTITUDE_M <= altitude <= MAX_ALTITUDE_M else 0,
        speed if speed <= MAX_SPEED_DKMH else 0,
        course if course < 360 else 0,
    )


def _signed(status: int, lat: int, lon: int) -> tuple[int, int]:
    return (-lat if status & STATUS_SOUTH else lat), (-lon if status & STATUS_WEST else lon)


def _item_alarms(body: bytes, at: int, stop: int, note: Note) -> int:
    """Return the bits above the alarm word that the additional items between ``at`` and ``stop`` stand for."""
    alarms = 0
    while at + 1 < stop:
        item = body[at]
        size = body[at + 1]
        value_at = at + 2
        at = value_at + size
        if at > stop:
            note("leftover_bytes")
            return alarms
        only_length = _ONLY_LENGTHS[item]
        if size != only_length and only_length != _UNLISTED:
            if only_length == _TO_LOOK_AT and size in LENGTHS[item]:
                alarms |= _item_bits(item, body, value_at)
            else:
                note("odd_item_length")
    if at != stop:
        note("leftover_bytes")
    return alarms


def _item_bits(item: int, body: bytes, at: int) -> int:
    if item == ITEM_ABNORMAL_DRIVING:
        # The word's bits 0-2 are ITEM_FATIGUE, ITEM_PHONE and ITEM_SMOKING in this order.
        return (body[at + 1] & 7) * alarm_bits.ITEM_FATIGUE
    if item == ITEM_DRIVER:
        bit = _DRIVER_BITS.get(body[at + 5], 0)
    elif item == ITEM_ADAS:
        bit = _ADAS_BITS.get(body[at + 5], 0)
    elif item == ITEM_TYRES:
        bit = alarm_bits.TYRE
    elif item == ITEM_BLIND_SPOT:
        bit = alarm_bits.BLIND_SPOT
    else:
        return 0
    state = body[at + 4]
    if state == _CAMERA_ENDS:
        return bit << alarm_bits.LATCH_SHIFT
    return bit | bit << alarm_bits.LATCH_SHIFT if state == _CAMERA_STARTS else bit


def encode_location(
    *,
    fixed_at: int,
    lat_e6: int,
    lon_e6: int,
    altitude_m: int = 0,
    speed_dkmh: int = 0,
    course_deg: int = 0,
    alarm_word: int = 0,
    status: int = 0,
    items: Iterable[tuple[int, bytes]] = (),
) -> bytes:
    """Encode a 0x0200 body as a terminal writes it; the hemispheres go into the status word."""
    if lat_e6 < 0:
        status |= STATUS_SOUTH
    if lon_e6 < 0:
        status |= STATUS_WEST
    basic = _pack_basic(alarm_word, status, abs(lat_e6), abs(lon_e6), altitude_m, speed_dkmh, course_deg)
    return b"".join((basic, bcd6_from_unix(fixed_at), *map(encode_item, items)))


def encode_item(item: tuple[int, bytes]) -> bytes:
    """Encode an additional item: id, length, value."""
    item_id, value = item
    return bytes((item_id, len(value))) + value
