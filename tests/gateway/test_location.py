"""Tests that a location report becomes the right fix, whatever is wrong with it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.vehicle import alarm_bits
from domain.vehicle.fix import FLAG_BACKFILLED, Fix
from gateway.jt808.codec.fields import bcd6_from_unix
from gateway.jt808.codec.location import ITEM_ADAS, ITEM_BLIND_SPOT, ITEM_DRIVER, ITEM_TYRES, encode_location, fix_of
from gateway.jt808.codec.location_details import CameraEvent, camera_item, decode_location
from gateway.jt808.codec.registration import MessageError

NOON = 1_790_000_000


def fix_and_deviations(body: bytes) -> tuple[Fix, list[str]]:
    found: list[str] = []
    return fix_of(body, "1", 0, found.append), found


def alarms_of(*items: tuple[int, bytes]) -> tuple[int, list[str]]:
    fix, found = fix_and_deviations(encode_location(fixed_at=NOON, lat_e6=1, lon_e6=1, items=items))
    return fix.alarms, found


@given(
    lat=st.integers(-90_000_000, 90_000_000),
    lon=st.integers(-180_000_000, 180_000_000),
    altitude=st.integers(-500, 9000),
    speed=st.integers(0, 2500),
    course=st.integers(0, 359),
    alarms=st.integers(0, 0xFFFFFFFF),
    status=st.integers(0, 0xFFFFFFFF).map(lambda word: word & ~12),
)
def test_a_report_comes_back_as_it_was_sent(
    lat: int, lon: int, altitude: int, speed: int, course: int, alarms: int, status: int
) -> None:
    body = encode_location(
        fixed_at=NOON,
        lat_e6=lat,
        lon_e6=lon,
        altitude_m=altitude,
        speed_dkmh=speed,
        course_deg=course,
        alarm_word=alarms,
        status=status,
    )
    found: list[str] = []
    fix = fix_of(body, "13800001111", FLAG_BACKFILLED, found.append)
    hemispheres = (4 if lat < 0 else 0) | (8 if lon < 0 else 0)
    assert fix == Fix("13800001111", NOON, lon, lat, altitude, speed, course, alarms, status | hemispheres, 1)
    assert type(fix) is Fix
    assert found == []


@given(st.binary(min_size=28, max_size=120))
def test_no_bytes_lose_the_basic_part(body: bytes) -> None:
    fix, _ = fix_and_deviations(body)
    details = decode_location(body)
    assert (fix.lat_e6, fix.lon_e6, fix.status) == (details.lat_e6, details.lon_e6, details.status)
    assert (fix.fixed_at or None) == details.time
    assert fix.alarms & alarm_bits.WORD == details.alarm


def test_a_report_below_28_bytes_is_none() -> None:
    with pytest.raises(struct.error):
        fix_of(bytes(27), "1")
    with pytest.raises(MessageError):
        decode_location(bytes(27))


@pytest.mark.parametrize("time", ["000000000000", "a94506ee34ba", "260101250000", "260101006000"])
def test_an_unreadable_time_is_named_and_zero(time: str) -> None:
    body = encode_location(fixed_at=NOON, lat_e6=1, lon_e6=1)
    fix, found = fix_and_deviations(body[:22] + bytes.fromhex(time))
    assert (fix.fixed_at, found) == (0, ["bad_time"])


@pytest.mark.parametrize(
    "sent, kept",
    [
        ({"course_deg": 360}, {"course_deg": 0, "speed_dkmh": 700, "altitude_m": 20}),
        ({"course_deg": 1273}, {"course_deg": 0, "speed_dkmh": 700, "altitude_m": 20}),
        ({"speed_dkmh": 21270}, {"course_deg": 90, "speed_dkmh": 0, "altitude_m": 20}),
        ({"altitude_m": 32767}, {"course_deg": 90, "speed_dkmh": 700, "altitude_m": 0}),
        ({"lat_e6": 116_000_000}, {"course_deg": 90, "speed_dkmh": 700, "altitude_m": 20}),
    ],
)
def test_a_field_that_cannot_be_true_is_replaced_alone(sent: dict[str, int], kept: dict[str, int]) -> None:
    fields = {"fixed_at": NOON, "lat_e6": 1, "lon_e6": 1, "course_deg": 90, "speed_dkmh": 700, "altitude_m": 20} | sent
    fix, found = fix_and_deviations(encode_location(**fields, items=()))
    assert {name: getattr(fix, name) for name in kept} == kept
    assert found == ["field_out_of_range"]


@pytest.mark.parametrize(
    "value, bits",
    [
        (b"\0\x01", alarm_bits.ITEM_FATIGUE),
        (b"\0\x02\x50", alarm_bits.ITEM_PHONE),
        (b"\0\x07\0", alarm_bits.ITEM_FATIGUE | alarm_bits.ITEM_PHONE | alarm_bits.ITEM_SMOKING),
        (b"\0\x08", 0),
    ],
)
def test_abnormal_driving_sets_its_bits(value: bytes, bits: int) -> None:
    assert alarms_of((0x18, value)) == (bits, [])


def camera(item: int, *, state: int, kind: int, label: int = 16) -> tuple[int, bytes]:
    own = b"" if item == ITEM_BLIND_SPOT else bytes(5)
    event = CameraEvent(1, state, kind, 1, own, 60, 10, 1, 1, NOON, 0, bytes(label))
    return camera_item(item, event, time_raw=bcd6_from_unix(NOON))


@pytest.mark.parametrize(
    "item, kind, bit",
    [
        (ITEM_ADAS, 1, alarm_bits.CAMERA_FORWARD_COLLISION),
        (ITEM_ADAS, 2, alarm_bits.CAMERA_LANE_DEPARTURE),
        (ITEM_ADAS, 3, alarm_bits.CAMERA_TOO_CLOSE),
        (ITEM_ADAS, 4, alarm_bits.CAMERA_PEDESTRIAN),
        (ITEM_DRIVER, 1, alarm_bits.CAMERA_FATIGUE),
        (ITEM_DRIVER, 2, alarm_bits.CAMERA_PHONE),
        (ITEM_DRIVER, 3, alarm_bits.CAMERA_SMOKING),
        (ITEM_DRIVER, 4, alarm_bits.CAMERA_DISTRACTED),
        (ITEM_DRIVER, 5, alarm_bits.CAMERA_DRIVER_ABNORMAL),
        (ITEM_DRIVER, 8, alarm_bits.CAMERA_OVERTIME),
        (ITEM_DRIVER, 10, alarm_bits.CAMERA_NO_BELT),
        (ITEM_DRIVER, 16, 0),
        (ITEM_BLIND_SPOT, 2, alarm_bits.BLIND_SPOT),
    ],
)
@pytest.mark.parametrize("label", [16, 40])
def test_a_camera_event_sets_its_bit_and_says_whether_it_lasts(item: int, kind: int, bit: int, label: int) -> None:
    assert alarms_of(camera(item, state=0, kind=kind, label=label)) == (bit, [])
    assert alarms_of(camera(item, state=1, kind=kind, label=label)) == (bit | bit << alarm_bits.LATCH_SHIFT, [])
    assert alarms_of(camera(item, state=2, kind=kind, label=label)) == (bit << alarm_bits.LATCH_SHIFT, [])


@pytest.mark.parametrize("size, tyres", [(41, 0), (50, 1), (61, 2), (65, 0), (74, 1)])
def test_tyres_set_their_bit(size: int, tyres: int) -> None:
    value = bytearray(size)
    value[40 if size in (41, 50, 61) else 64] = tyres
    body = encode_location(fixed_at=NOON, lat_e6=1, lon_e6=1, items=[(ITEM_TYRES, bytes(value))])
    assert fix_of(body, "1").alarms == alarm_bits.TYRE
    event = decode_location(body).items["tpms"]
    assert isinstance(event, CameraEvent)
    assert event.tyres == tyres


@pytest.mark.parametrize(
    "item", [(0x64, b"\0\0\0\0"), (0x65, b"\x01"), (0x18, b"\0\x01\0\0"), (0x01, b"\0"), (0x31, b"")]
)
def test_an_item_of_an_unlisted_length_counts_for_nothing(item: tuple[int, bytes]) -> None:
    after = (0x18, b"\0\x01\0")
    assert alarms_of(item, after) == (alarm_bits.ITEM_FATIGUE, ["odd_item_length"])


def test_unknown_items_are_passed_over() -> None:
    assert alarms_of((0xEB, bytes(63)), (0x00, b""), (0x18, b"\0\x02\0")) == (alarm_bits.ITEM_PHONE, [])


@pytest.mark.parametrize("tail", [b"\x14", b"\x14\x77\x7e", b"*M00"])
def test_leftover_bytes_lose_nothing(tail: bytes) -> None:
    body = encode_location(fixed_at=NOON, lat_e6=5, lon_e6=6, items=[(0x18, b"\0\x01\0")]) + tail
    fix, found = fix_and_deviations(body)
    assert (fix.lat_e6, fix.alarms, found) == (5, alarm_bits.ITEM_FATIGUE, ["leftover_bytes"])
    assert decode_location(body).leftover == tail


def test_the_details_are_read_item_by_item() -> None:
    items = [
        (0x01, bytes.fromhex("00000064")),
        (0x06, b"\x80\x05"),
        (0x11, b"\0"),
        (0x2B, b"\0\x02\0\x01"),
        (0x24, b"\0"),
    ]
    details = decode_location(encode_location(fixed_at=NOON, lat_e6=1, lon_e6=1, items=items))
    assert details.items == {"mileage_km": 10.0, "carriage_temp_c": -5, "overspeed_area": (0, None), "analog": (1, 2)}
    assert details.unknown == ((0x24, b"\0"),)
