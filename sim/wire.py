"""The encoding of a terminal's messages into JT/T 808 bytes."""

from __future__ import annotations

from typing import Final

from gateway.jt808.codec.location import encode_location
from gateway.jt808.codec.registration import Authentication, Edition, Registration
from sim.registry_lines import Identity
from sim.truck import EVENT_NONE, EVENT_SINGLE, Report, Truck

TERMINAL_REPLY: Final = 0x0001
HEARTBEAT: Final = 0x0002
LOGOUT: Final = 0x0003
REGISTER: Final = 0x0100
AUTHENTICATE: Final = 0x0102
LOCATION: Final = 0x0200
BATCH: Final = 0x0704
PLATFORM_REPLY: Final = 0x8001
REGISTER_ANSWER: Final = 0x8100
BACKFILL: Final = 1

_ODOMETER: Final = 0x01
_RECORDER_SPEED: Final = 0x03
_ABNORMAL: Final = 0x18
_SIGNAL: Final = 0x30
_SATELLITES: Final = 0x31
_CAMERA: Final = 0x65
_CAMERA_FATIGUE: Final = 1
_YELLOW: Final = 2
_VENDOR_ITEM: Final = (0xEB, bytes.fromhex("000c00b2898604031020803312340006008900000019"))
_ODD_ITEMS: Final = ((0x17, b"\x01"), (0x2B, bytes(8)), (0x61, b"\x00\x01\x02\x03"), (0x65, b"\x7e\x7d\x00\x01"))
NOISE: Final = b"\x01\x02GET / HTTP/1.1\r\n\r\n"


def registration(who: Identity, truck: Truck) -> bytes:
    """Encode the body of 0x0100."""
    modern = truck.device.protocol_version is not None
    form = Registration(
        province=51,
        city=100,
        maker="SIM",
        model="SHOUWANG-SIM",
        terminal_id=who.phone[-7:],
        plate_color=_YELLOW,
        plate=who.plate,
    )
    return form.encode(Edition.Y2019 if modern else Edition.Y2013)


def authentication(code: str, truck: Truck) -> bytes:
    """Encode the body of 0x0102."""
    modern = truck.device.protocol_version is not None
    return Authentication(code, imei=f"86{truck.index:013d}", software="sim-1").encode(modern=modern)


def location(report: Report, *, clock_offset_s: int, vendor_items: bool, junk_items: bool) -> bytes:
    """Encode the body of 0x0200, by a clock that is this many seconds ahead."""
    items = [
        (_ODOMETER, report.odometer_dkm.to_bytes(4, "big")),
        (_SIGNAL, b"\x1f"),
        (_SATELLITES, b"\x0c" if report.lon_e6 else b"\x00"),
    ]
    if report.speed_dkmh:
        items.append((_RECORDER_SPEED, report.speed_dkmh.to_bytes(2, "big")))
    if report.abnormal:
        items.append((_ABNORMAL, report.abnormal.to_bytes(2, "big") + b"\x32"))
    if report.camera_event != EVENT_NONE:
        items.append((_CAMERA, _camera_item(report)))
    if vendor_items:
        items.append(_VENDOR_ITEM)
    if junk_items:
        items += _ODD_ITEMS
    body = encode_location(
        fixed_at=report.fixed_at + clock_offset_s,
        lat_e6=report.lat_e6,
        lon_e6=report.lon_e6,
        altitude_m=report.altitude_m,
        speed_dkmh=report.speed_dkmh,
        course_deg=report.course_deg,
        alarm_word=report.alarms,
        status=report.status,
        items=items,
    )
    return body + b"\x00" if junk_items else body


def _camera_item(report: Report) -> bytes:
    """Encode item 0x65 (T/JSATL 12): a fatigue that starts, ends, or is told once."""
    state = 0 if report.camera_event == EVENT_SINGLE else report.camera_event
    head = (1).to_bytes(4, "big") + bytes((state, _CAMERA_FATIGUE, 1, 7))
    where = bytes(4) + bytes((report.speed_dkmh // 10,)) + report.altitude_m.to_bytes(2, "big")
    place = report.lat_e6.to_bytes(4, "big") + report.lon_e6.to_bytes(4, "big")
    return (head + where + place).ljust(47, b"\x00")
