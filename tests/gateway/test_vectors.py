"""Tests all published frames and streams. (Their files lie outside the project; skipped without them.)"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from domain.civil_time import CHINA_TIME
from gateway.jt808.codec import message_ids as ids
from gateway.jt808.codec.frames import Frame, FrameError, FrameReader, check_byte, decode, escape, unescape
from gateway.jt808.codec.location_details import CameraEvent, ItemValue, Location
from gateway.jt808.codec.messages import LocationAnswer, LocationBatch, Reply, Transparent, parse
from gateway.jt808.codec.parameters import Parameters
from gateway.jt808.codec.registration import (
    Attributes,
    Authentication,
    DriverCard,
    MessageError,
    Registration,
    RegistrationAnswer,
)
from gateway.jt808.exchange import Exchange
from gateway.jt808.limits import TerminalLimits
from gateway.jt808.session import Session
from tests.gateway.neighbours import NOW, Registry, Shelf, Wire, results

Row = dict[str, Any]

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def rows(name: str) -> list[Row]:
    path = DATA / name
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


FRAMES = rows("jt808_frames.jsonl")
STREAMS = rows("jt808_streams.jsonl")
pytestmark = pytest.mark.skipif(not FRAMES, reason=f"no vectors in {DATA}")


def raw(row: Row) -> bytes:
    return bytes.fromhex(row.get("wire") or row["hex"])[1:-1]


def repaired(content: bytes) -> bytes:
    """The same frame with the right check byte: what its fields say can be read all the same."""
    body = unescape(content)[:-1]
    return escape(body + bytes((check_byte(body),)))


def iso(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, CHINA_TIME).isoformat()


def as_expected_item(name: str, value: ItemValue) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, CameraEvent):
        return camera(name, value)
    return value._asdict() if isinstance(value, tuple) else value


def camera(name: str, event: CameraEvent) -> Row:
    found: Row = {
        "alarm_id": event.alarm_id,
        "state": event.state,
        "type": event.type,
        "level": event.level,
        "tyres": event.tyres,
        "speed": event.speed,
        "altitude": event.altitude,
        "latitude": event.lat_e6 / 1e6,
        "longitude": event.lon_e6 / 1e6,
        "time": iso(event.time),
        "vehicle": event.vehicle,
        "label": event.label.hex(),
    }
    if name == "adas":
        found |= zip(("front_speed", "front_gap", "deviation", "sign", "sign_value"), event.own, strict=True)
    if name == "dsm":
        found["fatigue"] = event.own[0]
    return {key: value for key, value in found.items() if value is not None}


def location(found: Location) -> Row:
    row: Row = {
        "alarm": found.alarm,
        "status": found.status,
        "latitude": found.lat_e6 / 1e6,
        "longitude": found.lon_e6 / 1e6,
        "altitude": found.altitude_m,
        "speed_kmh": found.speed_dkmh / 10,
        "course": found.course_deg,
        "time": iso(found.time),
        "acc": bool(found.status & 1),
        "fix": bool(found.status & 2),
        "sos": bool(found.alarm & 1),
        "overspeed": bool(found.alarm & 2),
        "fatigue": bool(found.alarm & 4),
    }
    if found.time is None:
        row["time_raw"] = found.time_raw.hex()
    optional: Row = {
        "extras": {name: as_expected_item(name, value) for name, value in found.items.items()},
        "unknown": [[f"{item:02x}", value.hex()] for item, value in found.unknown],
        "odd_items": [list(odd) for odd in found.odd_items],
        "leftover": found.leftover.hex(),
    }
    return row | {key: value for key, value in optional.items() if value}


def parameters(found: Parameters) -> Row:
    row: Row = {"count": found.count, "params": {f"{key:04x}": value.hex() for key, value in found.items}}
    if found.leftover:
        row["leftover"] = found.leftover.hex()
    return row | {"ack_serial": found.ack_serial}


def present(found: object) -> Row:
    values = {name: getattr(found, name) for name in type(found).__dataclass_fields__}  # type: ignore[attr-defined]
    return {name: value for name, value in values.items() if value is not None}


def fields_of(frame: Frame) -> Row:
    """Return the decoded fields, in the words of the vectors."""
    match parse(frame):
        case Location() as found:
            return location(found)
        case LocationAnswer() as answer:
            return {"ack_serial": answer.ack_serial} | location(answer.location)
        case LocationBatch() as batch:
            items = [location(parse_location(body, frame)) for body in batch.bodies]
            left = {"leftover": batch.leftover.hex()} if batch.leftover else {}
            return {"count": batch.count, "type": batch.type, "items": items} | left
        case Parameters() as found:
            return parameters(found)
        case DriverCard() as card:
            return present(card) | {"time": iso(card.time)}
        case Registration() | RegistrationAnswer() | Authentication() | Attributes() as found:
            return present(found)
        case Transparent(kind, content):
            return {"type": kind, "content": content.hex()}
        case Reply() as reply:
            return reply._asdict()
        case _:
            return {}


def parse_location(body: bytes, frame: Frame) -> Location:
    found = parse(frame._replace(message_id=0x0200, body=body))
    assert isinstance(found, Location)
    return found


def header_of(frame: Frame) -> Row:
    row: Row = {"phone": frame.phone, "serial": frame.serial}
    if frame.protocol_version is not None:
        row["proto_ver"] = frame.protocol_version
    if frame.part:
        row |= {"total": frame.part[0], "index": frame.part[1], "fragment": True}
    return row


def read(row: Row) -> tuple[Frame, Row]:
    content = raw(row)
    if "bad_checksum" in row["tags"]:
        with pytest.raises(FrameError, match="bad_checksum"):
            decode(content)
        content = repaired(content)
    frame = decode(content)
    return frame, header_of(frame)


FAIR = [pytest.param(row, id=f"{number}-{row['kind']}") for number, row in enumerate(FRAMES) if row["kind"] != "none"]


OF_OTHER_PLATFORMS = "0x8103"
"""A command that we do not send; nothing of it but the head is read."""


@pytest.mark.parametrize("row", FAIR)
def test_a_published_frame_reads_as_published(row: Row) -> None:
    frame, found = read(row)
    assert f"0x{frame.message_id:04x}" == row["kind"]
    if "body_unreadable" in row["tags"]:
        with pytest.raises(MessageError):
            parse(frame)
    elif not frame.part:
        found |= fields_of(frame)
    if row["kind"] == OF_OTHER_PLATFORMS:
        assert found.items() <= row["expect"].items()
    else:
        assert found == row["expect"]


NAMED = {"version_flag_wrong": "version_flag_wrong", "trailing_bytes": "trailing_nul", "phone_not_bcd": "not_bcd_phone"}


@pytest.mark.parametrize("row", FAIR)
def test_what_is_wrong_with_a_published_frame_is_named(row: Row) -> None:
    frame, _ = read(row)
    named = {NAMED[tag] for tag in row["tags"] if tag in NAMED}
    assert named == {kind for kind in frame.deviations if kind in NAMED.values()}
    assert (frame.encryption != 0) == ("encrypted" in row["tags"])


def test_what_is_not_jt808_yields_no_frame() -> None:
    (row,) = (row for row in FRAMES if row["kind"] == "none")
    reader = FrameReader()
    assert reader.feed(bytes.fromhex(row["hex"])) == []
    assert reader.noise == len(row["hex"]) // 2


class EverybodyIsWelcome(Registry):
    """Each published terminal is registered, and none has to authenticate."""

    def knows(self, terminal: str) -> bool:
        return bool(terminal)

    def needs_auth(self, terminal: str) -> bool:
        return False


def result_deserved(row: Row, frame: Frame) -> int | None:
    """Return the result of the 0x8001; None where there is none."""
    if "bad_checksum" in row["tags"] or frame.message_id in ids.NEVER_ANSWERED:
        return None
    if frame.message_id not in ids.SUPPORTED:
        return ids.RESULT_UNSUPPORTED
    if frame.encryption:
        return ids.RESULT_BAD_MESSAGE
    if frame.message_id in ids.BEFORE_AUTHENTICATION - {ids.AUTHENTICATE, ids.LOGOUT} and not frame.part:
        return None
    return None if frame.message_id == ids.MEDIA and not frame.part else ids.RESULT_OK


@pytest.mark.parametrize("row", [row for row in FAIR if row.values[0]["direction"] == "up"])  # type: ignore[index]
def test_a_published_frame_gets_the_answer_it_deserves(row: Row) -> None:
    frame, _ = read(row)
    shelf, wire = Shelf(), Wire()
    exchange = Exchange(
        terminals=EverybodyIsWelcome(), ingest=shelf, limits=TerminalLimits(), now=lambda: NOW, soon=shelf.soon
    )
    Session(exchange, wire).receive(b"\x7e" + raw(row) + b"\x7e")
    shelf.settle()
    said = wire.said()
    deserved = result_deserved(row, frame)
    expected = [] if deserved is None else [(frame.serial, frame.message_id, deserved)]
    assert results(said) == expected
    assert all(answer.phone_raw == frame.phone_raw for answer in said)
    reported = len(row["expect"].get("items", [0])) if frame.message_id in (ids.LOCATION, ids.LOCATION_BATCH) else 0
    assert len(shelf.fixes) == (reported if deserved == ids.RESULT_OK else 0)
    assert counted_kinds(row) <= exchange.deviations.counts().keys()


def counted_kinds(row: Row) -> set[str]:
    """Return the error kinds; further faults of a frame that fails its check are unknowable."""
    if "bad_checksum" in row["tags"]:
        return {"bad_checksum"}
    return {kind for tag, kind in (NAMED | {"encrypted": "encrypted"}).items() if tag in row["tags"]}


@pytest.mark.parametrize("row", STREAMS, ids=[row["name"] for row in STREAMS])
def test_a_published_stream_is_cut_as_published(row: Row) -> None:
    reader = FrameReader()
    pieces = [piece for chunk in row["chunks"] for piece in reader.feed(bytes.fromhex(chunk))]
    assert [f"7e{piece.hex()}7e" for piece in pieces] == row["frames"]
    assert [is_valid(piece) for piece in pieces] == row["valid"]
    assert (reader.pending.hex(), reader.noise) == (row["pending"], row["noise"])


def is_valid(piece: bytes) -> bool:
    try:
        decode(piece)
    except FrameError:
        return False
    return True
