"""Tests that replay what was found in the field. (The streams lie outside the project; skipped without them.)"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from actors.vehicles.directory import Changes, Directory
from domain.terminal_names import parse_terminal_name
from gateway.jt808.codec import message_ids as ids
from gateway.jt808.codec.frames import Frame, FrameReader, decode, encode
from gateway.jt808.codec.messages import Reply
from gateway.jt808.codec.parameters import decode_parameter_answer
from gateway.jt808.codec.registration import RegistrationAnswer
from gateway.jt808.exchange import Exchange
from gateway.jt808.limits import TerminalLimits
from gateway.jt808.session import Session
from tests.gateway.neighbours import Shelf, Wire, results

FOUND = Path(__file__).parents[2].parent / "shared" / "found" / "jt808.jsonl"
ROWS: dict[str, dict[str, Any]] = (
    {row["name"].split()[0]: row for row in map(json.loads, FOUND.read_text("utf-8").splitlines())}
    if FOUND.exists()
    else {}
)
pytestmark = pytest.mark.skipif(not ROWS, reason=f"no streams in {FOUND}")

NOW = 1_796_127_900.0
"""2026-12-01 20:25:00 in China: half a minute after the newest report."""
OK = ids.RESULT_OK


class Source:
    """A registry of these terminals, a vehicle for each."""

    def __init__(self, names: Sequence[str], *, needs_auth: bool) -> None:
        self._terminals = [(parse_terminal_name(name), f"vehicle of {name}", needs_auth) for name in names]

    async def revision(self) -> str:
        return "0"

    async def directory(self) -> list[tuple[str, str, bool]]:
        return self._terminals

    async def changes(self, after: str) -> Changes:
        raise NotImplementedError


class Replay:
    """A connection to a gateway that has these terminals registered."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.shelf, self.wire = Shelf(), Wire()
        self.exchange = Exchange(
            terminals=directory, ingest=self.shelf, limits=TerminalLimits(), now=lambda: NOW, soon=self.shelf.soon
        )
        self.session = Session(self.exchange, self.wire)

    @classmethod
    async def of(cls, *names: str, needs_auth: bool = False) -> Replay:
        directory = Directory(Source(names, needs_auth=needs_auth), b"secret")
        await directory.load()
        return cls(directory)

    def hears(self, content: bytes) -> list[Frame]:
        """The answers, those too that wait for the store."""
        self.session.receive(content)
        self.shelf.settle()
        return self.wire.said()


def said_to_us(name: str) -> list[bytes]:
    return [bytes.fromhex(line[2:]) for line in ROWS[name]["stream"] if line.startswith("> ")]


def frames(content: bytes) -> list[Frame]:
    return [decode(piece) for piece in FrameReader().feed(content)]


@pytest.mark.parametrize("name", ["F1a", "F1b"])
async def test_thirty_positions_in_three_packets_arrive_and_nothing_is_acknowledged_before(name: str) -> None:
    replay = await Replay.of("13900000001")
    *first, last = said_to_us(name)
    before = [answer for content in first for answer in replay.hears(content)]
    assert [answer for answer in results(before) if answer[1] == ids.LOCATION_BATCH] == []
    after = replay.hears(last)
    assert {result for _, _, result in results(after)} == {OK}
    assert len(after) == 3
    assert not [answer for answer in (*before, *after) if answer.message_id == ids.RESEND_REQUEST]
    fixes = replay.shelf.fixes
    assert len(fixes) == 30
    newest = max(fixes, key=lambda fix: fix.fixed_at)
    assert newest.lat_e6 == 31_002_900
    assert replay.directory.vehicle_of(newest.terminal) == "vehicle of 13900000001"


async def test_two_packets_of_parameters_with_odd_serials_are_one_message() -> None:
    sent = said_to_us("F1d")
    replay = await Replay.of(frames(sent[0])[0].phone)
    said = [answer for content in sent for answer in replay.hears(content)]
    assert results(said) == [(1233, ids.PARAMETER_ANSWER, OK), (1250, ids.PARAMETER_ANSWER, OK)]
    replay.session.sweep(1000.0)
    assert replay.wire.said() == []
    assert replay.exchange.deviations.counts() == {"split_serials": 1}


@pytest.mark.parametrize("name, registered", [("F2a", "777762f7"), ("F2b", "865478070102068")])
async def test_a_terminal_of_an_odd_number_reports_for_its_vehicle(name: str, registered: str) -> None:
    replay = await Replay.of(registered)
    (report,) = said_to_us(name)
    assert [result for _, _, result in results(replay.hears(report))] == [OK]
    (fix,) = replay.shelf.fixes
    assert replay.directory.vehicle_of(fix.terminal) == f"vehicle of {registered}"
    assert (fix.lat_e6, fix.lon_e6) == (31_234_567, 121_345_678)
    assert 0 <= NOW - fix.fixed_at < 60


async def test_a_terminal_that_need_not_authenticate_is_admitted_by_its_registration() -> None:
    replay = await Replay.of("13900000001")
    (answer,) = replay.hears(said_to_us("F3")[0])
    assert RegistrationAnswer.decode(answer.body).result == ids.REGISTERED
    assert replay.session.terminal == "13900000001"


async def test_a_2013_registration_in_a_2019_frame_is_a_registration() -> None:
    replay = await Replay.of("13900000001", needs_auth=True)
    (answer,) = replay.hears(said_to_us("F4a")[0])
    assert answer.message_id == ids.REGISTER_ANSWER
    code = replay.directory.auth_code("13900000001")
    assert RegistrationAnswer.decode(answer.body) == RegistrationAnswer(1, ids.REGISTERED, code)


async def test_two_terminals_on_one_connection_are_both_usable() -> None:
    replay = await Replay.of("13900000001", "13900000002", needs_auth=True)
    codes: dict[str, str] = {}
    for content in said_to_us("F5"):
        (frame,) = frames(content)
        body = codes[frame.phone].encode() if frame.message_id == ids.AUTHENTICATE else frame.body
        (answer,) = replay.hears(encode(frame.message_id, body, phone_raw=frame.phone_raw, serial=frame.serial))
        if frame.message_id == ids.REGISTER:
            codes[frame.phone] = RegistrationAnswer.decode(answer.body).auth_code
        else:
            assert Reply.decode(answer.body) == Reply(frame.serial, frame.message_id, OK)
    assert [fix.terminal for fix in replay.shelf.fixes] == ["13900000001", "13900000002"]


def test_both_values_of_a_repeated_parameter_are_kept() -> None:
    found = decode_parameter_answer(bytes.fromhex(ROWS["F6"]["input_hex"]))
    assert found.items == ((0x40, b"111"), (0x40, b"222"), (1, b"\0\0\0\x1e"))
    assert (found.count, found.leftover) == (3, b"")
