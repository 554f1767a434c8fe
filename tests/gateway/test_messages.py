"""Tests that messages survive encoding and decoding, and that broken ones raise errors of ours."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.jt808.codec import message_ids as ids
from gateway.jt808.codec.fields import bcd6_from_unix, plate_text, text, unix_from_bcd6
from gateway.jt808.codec.frames import Frame
from gateway.jt808.codec.messages import (
    LocationBatch,
    Reply,
    decode_resend_request,
    encode_batch,
    media_answer,
    parse,
    resend_request,
    split_body,
    time_answer,
    vendor_time_answer,
)
from gateway.jt808.codec.parameters import (
    Item,
    Parameters,
    decode_parameter_answer,
    encode_parameter_answer,
)
from gateway.jt808.codec.registration import (
    Attributes,
    Authentication,
    DriverCard,
    Edition,
    MessageError,
    Registration,
    RegistrationAnswer,
)

words = st.integers(0, 0xFFFF)
names = st.text("ABCXYZ0189-", max_size=5)
LAST_INSTANT = int(datetime(2099, 12, 31, 15, 59, 59, tzinfo=UTC).timestamp())
FIRST_INSTANT = int(datetime(1999, 12, 31, 16, tzinfo=UTC).timestamp())


@given(st.integers(FIRST_INSTANT, LAST_INSTANT))
def test_a_bcd_time_is_chinas_and_comes_back(at: int) -> None:
    assert unix_from_bcd6(bcd6_from_unix(at)) == at


@pytest.mark.parametrize(
    "raw", ["000000000000", "210032010400", "a94506ee34ba", "260230120000", "260101240000", "260101006000"]
)
def test_what_is_no_time_is_none(raw: str) -> None:
    assert unix_from_bcd6(bytes.fromhex(raw)) is None


def test_the_time_answers_are_utc() -> None:
    at = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC).timestamp()
    assert time_answer(at).hex() == "260304050607"
    assert vendor_time_answer(at) == bytes((0x07, 0xEA, 3, 4, 5, 6, 7, 0))


@pytest.mark.parametrize("edition", Edition)
@given(province=words, city=words, maker=names, model=names, terminal_id=names, colour=st.integers(0, 255))
def test_a_registration_of_each_edition_comes_back(
    edition: Edition, province: int, city: int, maker: str, model: str, terminal_id: str, colour: int
) -> None:
    sent = Registration(province, city, maker, model, terminal_id, colour, "粤B12345")
    assert Registration.decode(sent.encode(edition), modern=edition is Edition.Y2019) == sent


@pytest.mark.parametrize(
    "raw, plate",
    [
        ("粤B12345".encode("gbk"), "粤B12345"),
        ("粤B12345".encode(), "粤B12345"),
        (b"\0\0 \0", ""),
        (b"\0LVIN1 ", "LVIN1"),
    ],
)
def test_plates_are_gbk_or_utf8_and_stripped_at_both_ends(raw: bytes, plate: str) -> None:
    assert plate_text(raw) == plate


@given(st.binary(max_size=40))
def test_any_bytes_are_some_text(raw: bytes) -> None:
    assert isinstance(text(raw), str)
    assert isinstance(plate_text(raw), str)


@pytest.mark.parametrize("modern", [False, True])
def test_an_authentication_comes_back(modern: bool) -> None:
    sent = Authentication("code", "860000000000001", "1.2") if modern else Authentication("code")
    assert Authentication.decode(sent.encode(modern=modern), modern=modern) == sent


def test_a_bare_code_in_the_2019_layout_is_still_the_code() -> None:
    assert Authentication.decode(b"code", modern=True).auth_code == "code"
    assert Authentication.decode(b"\x04code", modern=True).auth_code == "code"


def test_a_registration_answer_comes_back() -> None:
    sent = RegistrationAnswer(513, 0, "code")
    assert RegistrationAnswer.decode(sent.encode()) == sent


@given(words, words, st.integers(0, 4))
def test_a_reply_comes_back(serial: int, message_id: int, result: int) -> None:
    sent = Reply(serial, message_id, result)
    assert Reply.decode(sent.encode() + b"vendor") == sent


parameters = st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=20)), max_size=20).map(tuple)


@given(parameters, words)
def test_parameters_come_back_though_an_id_is_repeated(items: tuple[Item, ...], serial: int) -> None:
    answer = decode_parameter_answer(encode_parameter_answer(serial, items))
    assert (answer.items, answer.ack_serial, answer.count, answer.leftover) == (items, serial, len(items), b"")


def test_a_parameter_longer_than_the_body_is_left_over() -> None:
    found = decode_parameter_answer(encode_parameter_answer(7, [(1, b"\0\0\0\x0a"), (0x13, b"host")])[:-1])
    assert found == Parameters(7, ((1, b"\0\0\0\x0a"),), 2, bytes.fromhex("00000013 04") + b"hos")


@given(st.lists(st.binary(max_size=60), max_size=6), st.integers(0, 1), words)
def test_a_batch_is_read_to_its_end_whatever_its_count_says(bodies: list[bytes], kind: int, count: int) -> None:
    batch = LocationBatch.decode(encode_batch(bodies, type=kind, count=count))
    assert (batch.count, batch.type, batch.bodies, batch.leftover) == (count, kind, tuple(bodies), b"")
    assert LocationBatch.decode(batch.encode()) == batch


def test_a_last_report_that_is_cut_off_is_left_over() -> None:
    body = encode_batch([b"first", b"second"], type=1)
    assert LocationBatch.decode(body[:-1]).bodies == (b"first",)
    assert LocationBatch.decode(body[:-1]).leftover == b"\0\x06secon"


@pytest.mark.parametrize("modern", [False, True])
def test_a_resend_request_comes_back(modern: bool) -> None:
    assert decode_resend_request(resend_request(77, [2, 5], modern=modern), modern=modern) == (77, (2, 5))


def test_media_are_answered_with_their_id() -> None:
    assert media_answer(b"\0\0\x01\x02" + bytes(40)) == b"\0\0\x01\x02"


def test_attributes_of_either_edition_are_read_by_the_sizes_that_fit() -> None:
    old = b"\0\x05" + b"MAKER" + b"MODEL".ljust(20, b"\0") + b"ID00001" + bytes(10) + b"\x02hw\x02fw\x03\x04"
    new = b"\0\x05" + b"MAKER".ljust(11, b"\0") + b"MODEL".ljust(30, b"\0") + b"ID00001".ljust(30, b"\0")
    for body in (old, new + bytes(10) + b"\x02hw\x02fw\x03\x04"):
        found = Attributes.decode(body)
        assert (found.maker, found.model, found.terminal_id) == ("MAKER", "MODEL", "ID00001")
        assert (found.hardware, found.firmware, found.gnss, found.comm) == ("hw", "fw", 3, 4)


def test_a_drivers_card_is_read_as_far_as_it_goes() -> None:
    time = bytes.fromhex("260617171000")
    name = "测试".encode("gbk")
    licence = b"A1234".ljust(20, b"*")
    card = b"\x01" + time + b"\0" + bytes((len(name),)) + name + licence + b"\x02GA" + bytes.fromhex("20301020")
    found = DriverCard.decode(card)
    assert (found.name, found.agency, found.expires, found.identity) == ("测试", "GA", "20301020", None)
    assert DriverCard.decode(b"\x02" + time).result is None
    assert DriverCard.decode(b"\x01" + time + b"\x03").result == 3


def test_a_long_body_is_split_without_loss() -> None:
    assert b"".join(split_body(bytes(range(256)) * 9, 1000)) == bytes(range(256)) * 9


@pytest.mark.parametrize("modern", [False, True])
@given(message_id=st.sampled_from(sorted(ids.SUPPORTED)), body=st.binary(max_size=120))
def test_any_body_is_a_message_or_an_error_of_ours(modern: bool, message_id: int, body: bytes) -> None:
    frame = Frame(message_id, 0, body, "1", bytes(6), 1 if modern else None)
    try:
        parse(frame)
    except MessageError:
        return
