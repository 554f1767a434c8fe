"""Reads all that a location report tells beyond the fix: its additional items, one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple

from gateway.jt808.codec.fields import unix_from_bcd6
from gateway.jt808.codec.location import (
    BASIC_BYTES,
    ITEM_ADAS,
    ITEM_BLIND_SPOT,
    ITEM_DRIVER,
    ITEM_TYRES,
    LENGTHS,
    STATUS_SOUTH,
    STATUS_WEST,
)
from gateway.jt808.codec.registration import MessageError

_basic = Struct(">IIIIhHH6s")


class Analog(NamedTuple):
    """Item 0x2B."""

    ad0: int
    ad1: int


class OverspeedArea(NamedTuple):
    """Item 0x11: where a speed limit was passed."""

    type: int
    area: int | None


class AreaCrossing(NamedTuple):
    """Item 0x12: in (0) or out (1) of an area."""

    type: int
    area: int
    direction: int


class SectionTime(NamedTuple):
    """Item 0x13: too short (0) or too long (1) in a section."""

    section: int
    seconds: int
    result: int


class AbnormalDriving(NamedTuple):
    """Item 0x18 with its usual third byte."""

    type: int
    fatigue: int


class CameraEvent(NamedTuple):
    """Items 0x64-0x67: an event of the active-safety system; None where an item has no such field.

    ``own`` are the bytes between the level and the speed: of 0x64 front speed, gap, deviation, sign type, sign value;
    of 0x65 the fatigue degree and four reserved ones.
    """

    alarm_id: int
    state: int
    type: int | None
    level: int | None
    own: bytes
    speed: int
    altitude: int
    lat_e6: int
    lon_e6: int
    time: int | None
    vehicle: int
    label: bytes
    tyres: int | None = None


ItemValue = int | float | bytes | Analog | OverspeedArea | AreaCrossing | SectionTime | AbnormalDriving | CameraEvent


@dataclass(frozen=True, slots=True)
class Location:
    """A 0x0200 body as sent: nothing is clamped. ``lat_e6`` and ``lon_e6`` are signed."""

    alarm: int
    status: int
    lat_e6: int
    lon_e6: int
    altitude_m: int
    speed_dkmh: int
    course_deg: int
    time: int | None
    time_raw: bytes
    items: Mapping[str, ItemValue]
    unknown: tuple[tuple[int, bytes], ...]
    """Items of no standard, or of a length that no standard lists, in the order sent."""
    odd_items: tuple[tuple[int, int], ...]
    """(id, length) of those that are standard but for their length; 0x64-0x67 are also in private use, so never odd."""
    leftover: bytes


def decode_location(body: bytes) -> Location:
    """Decode all that a 0x0200 body says."""
    if len(body) < BASIC_BYTES:
        raise MessageError(f"a location of {len(body)} bytes")
    alarm, status, lat, lon, altitude, speed, course, time = _basic.unpack_from(body)
    items: dict[str, ItemValue] = {}
    unknown: list[tuple[int, bytes]] = []
    at = BASIC_BYTES
    while at + 2 <= len(body) and at + 2 + body[at + 1] <= len(body):
        item, value = body[at], body[at + 2 : at + 2 + body[at + 1]]
        at += 2 + len(value)
        if len(value) in LENGTHS.get(item, ()):
            name, read = _ITEMS[item]
            items[name] = read(value)
        else:
            unknown.append((item, value))
    return Location(
        alarm,
        status,
        -lat if status & STATUS_SOUTH else lat,
        -lon if status & STATUS_WEST else lon,
        altitude,
        speed,
        course,
        unix_from_bcd6(time),
        time,
        items,
        tuple(unknown),
        tuple((item, len(value)) for item, value in unknown if item in LENGTHS and item < ITEM_ADAS),
        body[at:],
    )


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def _tenths(value: bytes) -> float:
    return _number(value) / 10


def _sign_and_magnitude(value: bytes) -> int:
    word = _number(value)
    return -(word & 0x7FFF) if word & 0x8000 else word


def _analog(value: bytes) -> Analog:
    return Analog(_number(value[2:]), _number(value[:2]))


def _overspeed_area(value: bytes) -> OverspeedArea:
    return OverspeedArea(value[0], _number(value[1:]) if len(value) > 1 else None)


def _area_crossing(value: bytes) -> AreaCrossing:
    return AreaCrossing(value[0], _number(value[1:5]), value[5])


def _section_time(value: bytes) -> SectionTime:
    return SectionTime(_number(value[:4]), _number(value[4:6]), value[6])


def _abnormal_driving(value: bytes) -> int | AbnormalDriving:
    word = _number(value[:2])
    return AbnormalDriving(word, value[2]) if len(value) > 2 else word


_camera_head: Final = Struct(">IBBB")
_camera_place: Final = Struct(">BhII6sH")


def _camera(value: bytes) -> CameraEvent:
    alarm_id, state, event, level = _camera_head.unpack_from(value)
    return _event(value, 12, alarm_id, state, event, level, value[7:12], len(value))


def _tyres(value: bytes) -> CameraEvent:
    alarm_id, state = _camera_head.unpack_from(value)[:2]
    count_at = _tyre_count_at(value)
    return _event(value, 5, alarm_id, state, None, None, b"", count_at)._replace(tyres=value[count_at])


def _tyre_count_at(value: bytes) -> int:
    """Find the tyre count: the label before it has 16 bytes, or 40 where the item is long enough and its count says so."""
    is_short = len(value) < 65 or len(value) - 41 in (9 * value[40], 10 * value[40])
    return 40 if is_short else 64


def _blind_spot(value: bytes) -> CameraEvent:
    alarm_id, state, event = _camera_head.unpack_from(value)[:3]
    return _event(value, 6, alarm_id, state, event, None, b"", len(value))


def _event(
    value: bytes, at: int, alarm_id: int, state: int, event: int | None, level: int | None, own: bytes, end: int
) -> CameraEvent:
    speed, altitude, lat, lon, time, vehicle = _camera_place.unpack_from(value, at)
    label = value[at + _camera_place.size : end]
    when = unix_from_bcd6(time)
    return CameraEvent(alarm_id, state, event, level, own, speed, altitude, lat, lon, when, vehicle, label)


_ITEMS: Final[Mapping[int, tuple[str, Callable[[bytes], ItemValue]]]] = {
    0x01: ("mileage_km", _tenths),
    0x02: ("fuel_l", _tenths),
    0x03: ("recorder_speed_kmh", _tenths),
    0x04: ("confirm_event_id", _number),
    0x05: ("tyre_pressure", bytes),
    0x06: ("carriage_temp_c", _sign_and_magnitude),
    0x11: ("overspeed_area", _overspeed_area),
    0x12: ("area_inout", _area_crossing),
    0x13: ("road_section", _section_time),
    0x14: ("video_alarm", _number),
    0x15: ("video_lost", _number),
    0x16: ("video_covered", _number),
    0x17: ("storage_fault", _number),
    0x18: ("driving_behaviour", _abnormal_driving),
    0x25: ("vehicle_signals", _number),
    0x2A: ("io", _number),
    0x2B: ("analog", _analog),
    0x30: ("signal", _number),
    0x31: ("satellites", _number),
    ITEM_ADAS: ("adas", _camera),
    ITEM_DRIVER: ("dsm", _camera),
    ITEM_TYRES: ("tpms", _tyres),
    ITEM_BLIND_SPOT: ("bsd", _blind_spot),
}


def camera_item(item_id: int, event: CameraEvent, *, time_raw: bytes) -> tuple[int, bytes]:
    """Encode an item 0x64, 0x65 or 0x67 as a terminal sends it (``own`` must have 5 bytes, none for 0x67)."""
    head = event.alarm_id.to_bytes(4, "big") + bytes((event.state, event.type or 0))
    if item_id != ITEM_BLIND_SPOT:
        head += bytes((event.level or 0,)) + event.own
    place = _camera_place.pack(event.speed, event.altitude, event.lat_e6, event.lon_e6, time_raw, event.vehicle)
    return item_id, head + place + event.label
