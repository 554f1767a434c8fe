"""Tests of the conversation with one terminal, whatever it says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.vehicle.fix import FLAG_BACKFILLED
from gateway.jt808.codec import message_ids as ids
from gateway.jt808.codec.frames import MAX_FRAME_BYTES, encode, phone_bytes, sealed, unescape
from gateway.jt808.codec.messages import encode_batch
from gateway.jt808.codec.registration import Edition, RegistrationAnswer
from gateway.jt808.limits import TerminalLimits
from gateway.jt808.session import Session
from tests.gateway.neighbours import (
    MUTE_PHONE,
    NOON,
    OTHER_PHONE,
    PHONE,
    REGISTRATION,
    STRANGER,
    Registry,
    Terminal,
    Wire,
    location,
    results,
)
from tests.gateway.talk import BAD, FAILED, OK, UNSUPPORTED, Talk


def registration_answer(talk: Talk, edition: Edition = Edition.Y2013) -> RegistrationAnswer:
    talk.session.receive(talk.terminal.says(ids.REGISTER, REGISTRATION.encode(edition)))
    (frame,) = talk.wire.said()
    assert frame.message_id == ids.REGISTER_ANSWER
    return RegistrationAnswer.decode(frame.body)


# Who may speak


@pytest.mark.parametrize("version, edition", [(None, Edition.Y2011), (None, Edition.Y2013), (1, Edition.Y2019)])
def test_a_registered_terminal_gets_its_code_and_may_report_with_it(version: int | None, edition: Edition) -> None:
    talk = Talk(version=version)
    assert registration_answer(talk, edition) == RegistrationAnswer(0, 0, f"code-of-{PHONE}")
    assert talk.hears(ids.HEARTBEAT) == [(1, ids.HEARTBEAT, FAILED)]
    talk.session.receive(talk.terminal.authenticates())
    assert results(talk.wire.said()) == [(2, ids.AUTHENTICATE, OK)]
    assert talk.result_of(ids.LOCATION, location()) == OK
    assert [fix.terminal for fix in talk.shelf.fixes] == [PHONE]
    assert talk.exchange.authenticated == 1


@pytest.mark.parametrize("version", [None, 1])
@pytest.mark.parametrize(
    "body",
    [REGISTRATION.encode(edition) for edition in Edition]
    + [REGISTRATION.encode(edition)[:end] for edition, end in zip(Edition, (24, 36, 75), strict=True)]
    + [b"", b"\0", bytes(20), bytes(300)],
    ids=len,
)
def test_nothing_in_a_registration_s_body_is_needed(version: int | None, body: bytes) -> None:
    talk = Talk(version=version)
    talk.session.receive(talk.terminal.says(ids.REGISTER, body))
    (frame,) = talk.wire.said()
    assert frame.message_id == ids.REGISTER_ANSWER
    assert RegistrationAnswer.decode(frame.body) == RegistrationAnswer(0, 0, f"code-of-{PHONE}")


def test_a_registration_of_another_edition_s_sizes_is_counted() -> None:
    talk = Talk(version=1)
    registration_answer(talk, Edition.Y2013)
    assert talk.counted == {"odd_registration": 1}
    registration_answer(talk, Edition.Y2019)
    assert talk.counted == {"odd_registration": 1}


IMEI_AND_SOFTWARE = b"860000000000001" + b"1.0".ljust(20, b"\0")
CODE = f"code-of-{PHONE}".encode()
LENGTH = bytes((len(CODE),))


@pytest.mark.parametrize(
    "body",
    [
        CODE,
        CODE + IMEI_AND_SOFTWARE,
        CODE + b"\0" * 20,
        LENGTH + CODE,
        LENGTH + CODE + b"860000000000001",
        LENGTH + CODE + b"860000000000001" + b"1.0",
        bytes((len(CODE) + 1,)) + CODE + IMEI_AND_SOFTWARE,
        bytes((len(CODE) - 1,)) + CODE + IMEI_AND_SOFTWARE,
        bytes((len(CODE) + 35,)) + CODE + IMEI_AND_SOFTWARE,
        b"\0" + CODE + IMEI_AND_SOFTWARE,
        b"\xff" + CODE + IMEI_AND_SOFTWARE,
        b"\0" + LENGTH + CODE + IMEI_AND_SOFTWARE,
    ],
    ids=bytes.hex,
)
def test_a_right_code_in_an_odd_frame_is_a_right_code_and_counted(body: bytes) -> None:
    talk = Talk(version=1)
    assert talk.result_of(ids.AUTHENTICATE, body) == OK
    assert talk.counted == {"odd_authentication": 1}
    assert talk.result_of(ids.LOCATION, location()) == OK


@pytest.mark.parametrize(
    "version, body", [(None, CODE), (None, CODE + b"\0\0"), (1, LENGTH + CODE + IMEI_AND_SOFTWARE)]
)
def test_a_right_code_in_its_own_frame_is_no_deviation(version: int | None, body: bytes) -> None:
    talk = Talk(version=version)
    assert talk.result_of(ids.AUTHENTICATE, body) == OK
    assert talk.counted == {}


@pytest.mark.parametrize("version", [None, 1])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        CODE[:-1],
        LENGTH + CODE[:-1] + b"x" + IMEI_AND_SOFTWARE,
        bytes((len(CODE) - 1,)) + CODE[:-1] + IMEI_AND_SOFTWARE,
        IMEI_AND_SOFTWARE + CODE,
        bytes(60),
    ],
    ids=bytes.hex,
)
def test_a_wrong_or_shortened_code_opens_nothing_in_any_frame(version: int | None, body: bytes) -> None:
    talk = Talk(version=version)
    assert talk.result_of(ids.AUTHENTICATE, body) == FAILED
    assert talk.counted == {"bad_auth_code": 1}


def test_a_stranger_is_told_that_there_is_no_such_terminal() -> None:
    talk = Talk(STRANGER)
    assert registration_answer(talk) == RegistrationAnswer(0, ids.NO_SUCH_TERMINAL, "")
    assert talk.result_of(ids.AUTHENTICATE, b"code") == FAILED
    assert talk.result_of(ids.LOCATION, location()) == FAILED
    assert talk.shelf.fixes == []
    assert talk.counted == {"unregistered": 3}


@pytest.mark.parametrize("code", ["", "authentication", f"code-of-{OTHER_PHONE}"])
def test_a_code_that_was_never_issued_opens_nothing(code: str) -> None:
    talk = Talk()
    talk.session.receive(talk.terminal.authenticates(code))
    assert results(talk.wire.said()) == [(0, ids.AUTHENTICATE, FAILED)]
    assert talk.result_of(ids.LOCATION, location()) == FAILED
    assert talk.counted == {"bad_auth_code": 1, "unauthenticated": 1}


def test_before_authentication_nothing_is_used_and_only_a_few_things_work() -> None:
    talk = Talk()
    assert talk.result_of(ids.LOCATION, location()) == FAILED
    assert talk.result_of(ids.LOCATION_BATCH, encode_batch([location()], type=1)) == FAILED
    assert talk.result_of(ids.HEARTBEAT) == FAILED
    assert talk.result_of(ids.LOGOUT) == OK
    assert talk.result_of(0x0F00) == UNSUPPORTED
    assert talk.shelf.fixes == []
    for query, answer in ((ids.TIME_QUERY, ids.TIME_ANSWER), (ids.VENDOR_TIME_QUERY, ids.VENDOR_TIME_ANSWER)):
        talk.session.receive(talk.terminal.says(query))
        assert [frame.message_id for frame in talk.wire.said()] == [answer]


def test_a_terminal_that_cannot_authenticate_may_report_at_once() -> None:
    talk = Talk(MUTE_PHONE)
    assert talk.result_of(ids.LOCATION, location()) == OK
    assert (talk.session.terminal, len(talk.shelf.fixes)) == (MUTE_PHONE, 1)


@pytest.mark.parametrize("name", ["0", "777762f7", "4eb6fb4afd9e"])
def test_any_number_that_is_registered_is_a_terminal_s_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = Talk(name)
    assert stranger.result_of(ids.LOCATION, location()) == FAILED
    assert stranger.shelf.fixes == []
    monkeypatch.setattr(Registry, "knows", lambda _, terminal: terminal == name)
    talk = Talk(name)
    assert registration_answer(talk) == RegistrationAnswer(0, 0, f"code-of-{name}")
    assert talk.result_of(ids.AUTHENTICATE, f"code-of-{name}".encode()) == OK
    assert talk.result_of(ids.LOCATION, location()) == OK
    assert [fix.terminal for fix in talk.shelf.fixes] == [name]


def test_one_terminal_may_not_speak_for_another() -> None:
    talk = Talk.authenticated()
    talk.session.receive(Terminal(OTHER_PHONE).reports())
    assert results(talk.wire.said()) == [(0, ids.LOCATION, FAILED)]
    assert talk.shelf.fixes == []


def test_who_has_logged_out_must_authenticate_again() -> None:
    talk = Talk.authenticated()
    assert talk.result_of(ids.LOGOUT) == OK
    assert talk.exchange.authenticated == 0
    assert talk.result_of(ids.LOCATION, location()) == FAILED


def test_a_terminal_that_comes_again_takes_over() -> None:
    talk = Talk.authenticated()
    wire = Wire()
    Session(talk.exchange, wire).receive(talk.terminal.authenticates())
    assert (talk.wire.closed, wire.closed) == (True, False)
    talk.session.lost()
    assert (talk.exchange.takeovers, talk.exchange.authenticated) == (1, 1)


# Acknowledgements


@pytest.mark.parametrize("version", [None, 1, 0x0D])
def test_answers_have_the_terminals_own_layout_version_byte_and_number(version: int | None) -> None:
    talk = Talk.authenticated(version)
    for message_id, body in ((ids.HEARTBEAT, b""), (ids.LOCATION, location())):
        talk.session.receive(talk.terminal.says(message_id, body))
        talk.shelf.settle()
        (frame,) = talk.wire.said()
        assert (frame.phone_raw, frame.protocol_version) == (phone_bytes(PHONE, version), version)
        assert frame.deviations == ()


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.sampled_from([None, 1, 0x7D, 0x7E]))
def test_a_report_is_acknowledged_by_its_serial_whatever_needs_escaping(
    serial: int, ours: int, version: int | None
) -> None:
    talk = Talk.authenticated(version)
    talk.session._serial = ours
    talk.terminal.serial = serial
    talk.session.receive(talk.terminal.reports())
    talk.shelf.settle()
    (frame,) = talk.wire.said()
    assert (results([frame]), frame.serial) == ([(serial, ids.LOCATION, OK)], ours)


def test_a_report_is_acknowledged_when_it_is_durable_and_not_before() -> None:
    talk = Talk.authenticated()
    talk.session.receive(talk.terminal.reports())
    assert talk.wire.said() == []
    talk.shelf.settle(True)
    assert results(talk.wire.said()) == [(1, ids.LOCATION, OK)]


def test_what_could_not_be_stored_is_not_acknowledged() -> None:
    talk = Talk.authenticated()
    talk.session.receive(talk.terminal.reports())
    talk.shelf.settle(False)
    assert talk.wire.said() == []
    assert (talk.exchange.not_stored, talk.exchange.in_flight) == (1, 0)


def test_a_duplicate_is_acknowledged_again() -> None:
    talk = Talk.authenticated()
    report = talk.terminal.reports()
    for _ in range(2):
        talk.session.receive(report)
        talk.shelf.settle()
        assert results(talk.wire.said()) == [(1, ids.LOCATION, OK)]


def test_reports_that_come_together_are_acknowledged_in_one_write() -> None:
    talk = Talk.authenticated()
    talk.session.receive(b"".join(talk.terminal.reports(NOON + second) for second in range(5)))
    talk.shelf.settle()
    assert len(talk.wire.writes) == 1
    assert results(talk.wire.said()) == [(serial, ids.LOCATION, OK) for serial in range(1, 6)]
    assert [fix.fixed_at for fix in talk.shelf.fixes] == [NOON + second for second in range(5)]


def test_a_terminal_that_changes_its_layout_is_answered_in_the_new_one() -> None:
    talk = Talk.authenticated()
    modern = Terminal(PHONE, 1)
    talk.session.receive(talk.terminal.reports() + modern.reports() + modern.reports())
    talk.shelf.settle()
    assert [frame.protocol_version for frame in talk.wire.said()] == [None, 1, 1]


def test_nothing_is_written_to_a_connection_that_has_ended() -> None:
    talk = Talk.authenticated()
    talk.session.receive(talk.terminal.reports())
    talk.session.lost()
    talk.shelf.settle()
    assert talk.wire.said() == []


@pytest.mark.parametrize(
    "message_id", sorted(ids.ACKNOWLEDGED_ONLY - {ids.PARAMETER_ANSWER} - set(range(0xE001, 0xF000)))
)
def test_what_is_of_no_use_is_acknowledged_all_the_same(message_id: int) -> None:
    assert Talk.authenticated().result_of(message_id, b"\x05vendor") == OK


@pytest.mark.parametrize("message_id", sorted(ids.NEVER_ANSWERED))
@pytest.mark.parametrize("body", [b"", b"\0\0\x81\x04\0"])
def test_replies_are_never_answered(message_id: int, body: bytes) -> None:
    assert Talk.authenticated().hears(message_id, body) == []
    assert Talk().hears(message_id, body) == []


def test_an_unknown_message_is_unsupported() -> None:
    talk = Talk.authenticated()
    assert talk.result_of(0x0F00, b"what") == UNSUPPORTED
    assert talk.counted == {"unknown_message": 1}


@pytest.mark.parametrize(
    "message_id, body",
    [
        (ids.LOCATION, bytes(27)),
        (ids.LOCATION_BATCH, b"\0\x01"),
        (ids.LOCATION_BATCH, encode_batch([bytes(20)], type=0)),
        (ids.MEDIA, bytes(10)),
        (ids.PARAMETER_ANSWER, b"\0\0"),
    ],
)
def test_a_body_that_cannot_be_read_is_a_bad_message(message_id: int, body: bytes) -> None:
    talk = Talk.authenticated()
    assert talk.result_of(message_id, body) == BAD
    assert talk.counted["bad_body"] >= 1
    assert talk.shelf.fixes == []


def test_media_are_answered_with_their_id_alone() -> None:
    talk = Talk.authenticated()
    talk.session.receive(talk.terminal.says(ids.MEDIA, b"\0\0\0\x09" + bytes(60)))
    (frame,) = talk.wire.said()
    assert (frame.message_id, frame.body) == (ids.MEDIA_ANSWER, b"\0\0\0\x09")


# Batches


@pytest.mark.parametrize("kind, flags", [(0, 0), (1, FLAG_BACKFILLED)])
def test_a_batch_hands_over_all_its_reports_and_says_which_are_late(kind: int, flags: int) -> None:
    talk = Talk.authenticated()
    bodies = [location(NOON + second) for second in (3, 1, 2, 2)]
    assert talk.result_of(ids.LOCATION_BATCH, encode_batch(bodies, type=kind)) == OK
    assert [(fix.fixed_at - NOON, fix.flags) for fix in talk.shelf.fixes] == [
        (3, flags),
        (1, flags),
        (2, flags),
        (2, flags),
    ]
    assert talk.counted == {}


def test_a_bad_report_in_a_batch_loses_only_itself() -> None:
    talk = Talk.authenticated()
    bodies = [location(NOON), bytes(9), location(NOON + 1)]
    assert talk.result_of(ids.LOCATION_BATCH, encode_batch(bodies, type=1)) == OK
    assert [fix.fixed_at for fix in talk.shelf.fixes] == [NOON, NOON + 1]
    assert talk.counted == {"bad_body": 1}


@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_wrong_count_in_a_batch_loses_nothing(count: int) -> None:
    talk = Talk.authenticated()
    assert talk.result_of(ids.LOCATION_BATCH, encode_batch([location()] * 2, type=1, count=count)) == OK
    assert len(talk.shelf.fixes) == 2
    assert talk.counted == {"batch_count_wrong": 1}


def test_an_empty_batch_is_acknowledged() -> None:
    assert Talk.authenticated().result_of(ids.LOCATION_BATCH, encode_batch([], type=0)) == OK


# What goes wrong on the wire


def whole(talk: Talk, body: bytes) -> bytes:
    return unescape(talk.terminal.says(ids.LOCATION, body)[1:-1])


def test_a_wrong_check_byte_is_dropped_without_an_answer_and_the_stream_goes_on() -> None:
    talk = Talk.authenticated()
    report = bytearray(talk.terminal.reports())
    report[20] ^= 1
    talk.session.receive(bytes(report) + talk.terminal.reports())
    talk.shelf.settle()
    assert results(talk.wire.said()) == [(2, ids.LOCATION, OK)]
    assert talk.counted == {"bad_checksum": 1}


def test_an_encrypted_frame_is_counted_and_refused() -> None:
    talk = Talk.authenticated()
    content = whole(talk, location())
    talk.session.receive(sealed(content[:2] + b"\x04\x1c" + content[4:-1]))
    assert results(talk.wire.said()) == [(1, ids.LOCATION, BAD)]
    assert talk.counted == {"encrypted": 1}


@pytest.mark.parametrize(
    "kind, change",
    [
        ("trailing_nul", lambda frame: frame[:-1] + b"\0\x7e"),
        ("version_flag_wrong", lambda frame: sealed(frame[1:3] + b"\x40" + frame[4:-2])),
        ("bad_length", lambda frame: sealed(frame[1:4] + b"\x1b" + frame[5:-2])),
    ],
)
def test_a_report_in_a_crooked_frame_is_used_and_counted(kind: str, change: object) -> None:
    talk = Talk.authenticated()
    assert callable(change)
    talk.session.receive(change(talk.terminal.reports()))
    talk.shelf.settle()
    assert results(talk.wire.said()) == [(1, ids.LOCATION, OK)]
    assert len(talk.shelf.fixes) == 1
    assert talk.counted == {kind: 1}


@pytest.mark.parametrize(
    "kind, body",
    [
        ("bad_time", location()[:22] + bytes(6)),
        ("field_out_of_range", location()[:20] + b"\x01\x68" + location()[22:]),
        ("odd_item_length", location(items=[(0x31, b"12")])),
        ("leftover_bytes", location() + b"\x14"),
    ],
)
def test_a_report_with_a_crooked_field_is_used_and_counted(kind: str, body: bytes) -> None:
    talk = Talk.authenticated()
    assert talk.result_of(ids.LOCATION, body) == OK
    assert len(talk.shelf.fixes) == 1
    assert talk.counted == {kind: 1}


def test_a_number_that_is_not_bcd_is_a_stranger_until_registered() -> None:
    talk = Talk()
    talk.session.receive(encode(ids.LOCATION, location(), phone_raw=bytes.fromhex("4eb6fb4afd9e"), serial=3))
    assert results(talk.wire.said()) == [(3, ids.LOCATION, FAILED)]
    assert talk.counted == {"not_bcd_phone": 1, "unregistered": 1}


def test_noise_between_frames_is_counted_and_passed_over() -> None:
    talk = Talk()
    talk.session.receive(b"\0\x01\x02" + talk.terminal.authenticates())
    assert results(talk.wire.said()) == [(0, ids.AUTHENTICATE, OK)]
    assert talk.counted == {"noise": 1}


def test_a_frame_of_a_megabyte_is_counted_and_passed_over() -> None:
    talk = Talk.authenticated()
    talk.session.receive(b"\x7e" + bytes(1 << 20) + talk.terminal.reports())
    talk.shelf.settle()
    assert results(talk.wire.said()) == [(1, ids.LOCATION, OK)]
    assert talk.counted == {"oversized": 1}


@pytest.mark.parametrize("words", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\0\x01", b"(013612345678BP05)"])
def test_whoever_speaks_another_protocol_is_hung_up_on(words: bytes) -> None:
    talk = Talk()
    talk.session.receive(words)
    assert talk.wire.closed
    assert talk.counted == {"not_jt808": 1}


BAD_FRAME = b"\x7ebad bad bad bad\x7e"
REFUSED: dict[str, tuple[str, Callable[[Terminal], bytes]]] = {
    "reports of an unregistered terminal": (STRANGER, lambda terminal: terminal.reports()),
    "registrations of an unregistered terminal": (
        STRANGER,
        lambda terminal: terminal.says(ids.REGISTER, REGISTRATION.encode()),
    ),
    "heartbeats without authentication": (PHONE, lambda terminal: terminal.says(ids.HEARTBEAT)),
    "wrong codes": (PHONE, lambda terminal: terminal.authenticates("guess")),
    "unknown messages": (PHONE, lambda terminal: terminal.says(0x0F00)),
    "senseless packets": (PHONE, lambda terminal: terminal.says(ids.REGISTER, part=(2, 3))),
    "wrong check bytes": (PHONE, lambda terminal: BAD_FRAME),
    "frames without end": (PHONE, lambda terminal: b"\x7e" + bytes(MAX_FRAME_BYTES + 1)),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_stranger_is_hung_up_on_after_twenty_refused_frames(kind: str) -> None:
    phone, words = REFUSED[kind]
    talk = Talk(phone)
    for _ in range(TerminalLimits().max_refused_frames - 1):
        talk.session.receive(words(talk.terminal))
    assert not talk.wire.closed
    talk.session.receive(words(talk.terminal))
    assert talk.wire.closed
    assert talk.counted["too_many_refused_frames"] == 1


def test_nothing_behind_the_twentieth_refused_frame_is_taken_in() -> None:
    talk = Talk(STRANGER)
    talk.session.receive(b"".join(talk.terminal.says(ids.HEARTBEAT) for _ in range(1_000)))
    assert len(results(talk.wire.said())) == talk.counted["unregistered"] == TerminalLimits().max_refused_frames


def test_what_a_stranger_may_say_does_not_buy_it_more_refused_frames() -> None:
    talk = Talk(STRANGER)
    for _ in range(TerminalLimits().max_refused_frames):
        talk.session.receive(talk.terminal.says(ids.TIME_QUERY) + talk.terminal.reports())
    assert talk.wire.closed


def test_a_terminal_that_authenticates_at_last_starts_from_nothing() -> None:
    talk = Talk()
    talk.session.receive(BAD_FRAME * (TerminalLimits().max_refused_frames - 1) + talk.terminal.authenticates())
    talk.session.receive(BAD_FRAME * (TerminalLimits().max_refused_frames - 1))
    assert not talk.wire.closed


def test_a_known_terminal_is_hung_up_on_after_twenty_unreadable_frames_in_a_row() -> None:
    talk = Talk.authenticated()
    talk.session.receive(BAD_FRAME * TerminalLimits().max_refused_frames)
    assert talk.wire.closed
    assert talk.counted == {"bad_checksum": 20, "too_many_refused_frames": 1}


@pytest.mark.parametrize("said", ["in one read", "in a read each"])
def test_a_known_terminal_with_a_bad_frame_now_and_then_is_never_hung_up_on(said: str) -> None:
    talk = Talk.authenticated()
    words = [talk.terminal.reports() + BAD_FRAME for _ in range(300)]
    for chunk in [b"".join(words)] if said == "in one read" else words:
        talk.session.receive(chunk)
    talk.shelf.settle()
    assert not talk.wire.closed
    assert len(talk.shelf.fixes) == 300


@pytest.mark.parametrize("words", [lambda terminal: terminal.says(0x0F00), lambda _: Terminal(STRANGER).reports()])
def test_what_a_known_terminal_is_refused_costs_it_nothing(words: Callable[[Terminal], bytes]) -> None:
    """New firmware sends messages that are unknown here; a forwarding platform has terminals that are not registered."""
    talk = Talk.authenticated()
    for _ in range(100):
        talk.session.receive(words(talk.terminal))
    assert not talk.wire.closed


def test_noise_without_end_ends_the_connection() -> None:
    talk = Talk(limits=TerminalLimits(max_noise_bytes=100))
    talk.session.receive(bytes(100))
    assert not talk.wire.closed
    talk.session.receive(bytes(1))
    assert talk.wire.closed


@given(st.lists(st.binary(max_size=80), max_size=10))
def test_no_bytes_break_a_conversation(chunks: list[bytes]) -> None:
    talk = Talk.authenticated()
    for chunk in chunks:
        talk.session.receive(chunk)
    talk.shelf.settle()


@given(st.integers(0, 0xFFFF), st.binary(max_size=60), st.none() | st.tuples(st.integers(0, 4), st.integers(0, 4)))
def test_no_message_breaks_a_conversation(message_id: int, body: bytes, part: tuple[int, int] | None) -> None:
    talk = Talk.authenticated()
    talk.session.receive(talk.terminal.says(message_id, body, part=part))
    talk.shelf.settle()
    talk.wire.said()
    talk.session.receive(talk.terminal.authenticates() + talk.terminal.reports())
    talk.shelf.settle()
    assert results(talk.wire.said())[-1] == (3, ids.LOCATION, OK)


def test_a_deviation_is_logged_once_a_terminal_and_never_with_the_whole_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    talk = Talk.authenticated()
    for _ in range(3):
        talk.hears(0x0F00)
    assert [record.getMessage() for record in caplog.records] == ["terminal 13*******11: unknown_message"]
    assert talk.counted == {"unknown_message": 3}
