"""Tests that frames survive the wire and back, and that terminals' malformed frames are handled."""

from __future__ import annotations

from functools import reduce
from operator import xor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.jt808.codec.frames import (
    FLAG,
    FrameError,
    FrameReader,
    check_byte,
    decode,
    encode,
    escape,
    phone_bytes,
    sealed,
    unescape,
)

BODY = bytes(range(0x70, 0x90))

versions = st.none() | st.integers(0, 255)
parts = st.none() | st.tuples(st.integers(1, 65535), st.integers(1, 65535))


@given(st.binary(max_size=2100))
def test_the_check_byte_is_the_exclusive_or_of_all(content: bytes) -> None:
    assert check_byte(content) == reduce(xor, content, 0)


@given(st.binary())
def test_escaping_hides_every_flag_and_is_undone(content: bytes) -> None:
    assert FLAG not in escape(content)
    assert unescape(escape(content)) == content


@given(
    message_id=st.integers(0, 0xFFFF).filter(lambda number: number not in (0x5501, 0x5502)),
    body=st.binary(max_size=1023),
    phone=st.from_regex(r"[1-9][0-9]{0,11}", fullmatch=True),
    serial=st.integers(0, 0xFFFF),
    version=versions,
    part=parts,
)
def test_a_frame_comes_back_as_it_was_sent(
    message_id: int, body: bytes, phone: str, serial: int, version: int | None, part: tuple[int, int] | None
) -> None:
    raw = phone_bytes(phone, version)
    sent = encode(message_id, body, phone_raw=raw, serial=serial, protocol_version=version, part=part)
    (piece,) = FrameReader().feed(sent)
    frame = decode(piece)
    assert (frame.message_id, frame.body, frame.phone, frame.serial) == (message_id, body, phone, serial)
    assert (frame.phone_raw, frame.protocol_version, frame.part) == (raw, version, part)
    assert (frame.encryption, frame.deviations) == (0, ())


@given(st.binary(max_size=200))
def test_whatever_lies_between_flags_is_a_frame_or_a_named_error(piece: bytes) -> None:
    try:
        decode(piece)
        kinds = set[str]()
    except FrameError as error:
        kinds = {error.kind}
    assert kinds <= {"bad_checksum", "bad_length"}


def whole(version: int | None = None) -> bytes:
    """An unescaped frame without its flags."""
    raw = phone_bytes("13800001111", version)
    return unescape(encode(0x0200, BODY, phone_raw=raw, serial=7, protocol_version=version)[1:-1])


def resealed(content: bytes) -> bytes:
    """The same header and body with the right check byte, as it comes between flags."""
    return sealed(content[:-1])[1:-1]


def with_attributes(content: bytes, attributes: int) -> bytes:
    return resealed(content[:2] + attributes.to_bytes(2, "big") + content[4:])


def test_a_wrong_check_byte_is_no_frame() -> None:
    content = whole()
    with pytest.raises(FrameError, match="bad_checksum"):
        decode(escape(content[:-1] + bytes((content[-1] ^ 1,))))


def test_a_frame_shorter_than_its_header_is_no_frame() -> None:
    with pytest.raises(FrameError, match="bad_length"):
        decode(bytes(12))
    with pytest.raises(FrameError, match="bad_length"):
        decode(resealed(b"\x02\x00\x40\x20" + bytes(10)))


@pytest.mark.parametrize("version", [None, 1])
def test_a_wrong_version_flag_is_seen_through(version: int | None) -> None:
    content = whole(version)
    frame = decode(with_attributes(content, (len(BODY) | (0x4000 if version is None else 0))))
    assert (frame.body, frame.protocol_version, frame.deviations) == (BODY, version, ("version_flag_wrong",))


@pytest.mark.parametrize("wrong", [-15, -1, 1, 15])
def test_a_wrong_length_is_put_right(wrong: int) -> None:
    frame = decode(with_attributes(whole(), len(BODY) + wrong))
    assert (frame.body, frame.deviations) == (BODY, ("bad_length",))


def test_a_nul_behind_the_check_byte_is_dropped() -> None:
    frame = decode(escape(whole() + b"\0"))
    assert (frame.body, frame.deviations) == (BODY, ("trailing_nul",))


def test_junk_behind_the_check_byte_is_dropped() -> None:
    frame = decode(escape(whole() + b"\x0d\x0b"))
    assert (frame.body, frame.deviations) == (BODY, ("trailing_bytes",))


def test_a_number_that_is_not_bcd_is_kept_as_hex() -> None:
    frame = decode(encode(0x0002, b"", phone_raw=bytes.fromhex("04b6fb4afd9e"), serial=0)[1:-1])
    assert (frame.phone, frame.deviations) == ("4b6fb4afd9e", ("not_bcd_phone",))


def test_encryption_is_told() -> None:
    assert decode(with_attributes(whole(), len(BODY) | 0x0400)).encryption == 1


def test_a_lock_makers_dialect_is_recognised() -> None:
    content = b"\x55\x01\x8c\x05" + bytes.fromhex("858012030003") + b"\x2a" + b"abcde"
    frame = decode(sealed(content)[1:-1])
    assert (frame.phone, frame.serial, frame.deviations) == ("858012030003", 42, ("vendor_dialect",))


def test_what_does_not_fit_a_frame_is_not_written() -> None:
    with pytest.raises(ValueError, match="split"):
        encode(0x0900, bytes(1024), phone_raw=bytes(6), serial=0)
    with pytest.raises(ValueError, match="digits"):
        phone_bytes("1234567890123")


frames = st.binary(min_size=1, max_size=60).map(lambda content: FLAG + escape(content) + FLAG)


@given(st.lists(frames, max_size=8), st.lists(st.integers(1, 12), min_size=1, max_size=40))
def test_however_a_stream_is_cut_the_same_frames_come_out(sent: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(sent)
    reader = FrameReader()
    pieces: list[bytes] = []
    at = 0
    while at < len(stream):
        size = cuts[at % len(cuts)]
        pieces += reader.feed(stream[at : at + size])
        at += size
    assert pieces == [frame[1:-1] for frame in sent]
    assert (reader.pending, reader.noise) == (b"", 0)


def test_frames_may_share_a_flag_and_follow_noise() -> None:
    reader = FrameReader()
    assert reader.feed(b"noise\x7eone\x7etwo\x7e") == [b"one", b"two"]
    assert reader.noise == 5


@pytest.mark.parametrize("size", [1 << 10, 1 << 20])
def test_a_frame_without_end_costs_no_memory_and_the_next_one_is_read(size: int) -> None:
    reader = FrameReader(max_frame_bytes=100)
    reader.feed(FLAG)
    for _ in range(size // 64):
        assert reader.feed(bytes(64)) == []
        assert len(reader.pending) <= 100
    assert reader.oversized == 1
    assert reader.feed(b"\x7egood\x7e") == [b"good"]
    assert reader.noise == size


def test_a_frame_that_is_too_long_is_dropped_in_one_piece_too() -> None:
    reader = FrameReader(max_frame_bytes=100)
    assert reader.feed(FLAG + bytes(101) + FLAG + b"good" + FLAG) == [b"good"]
    assert reader.feed(FLAG + bytes(101) + FLAG + b"good" + FLAG) == [b"good"]
    assert (reader.oversized, reader.noise) == (2, 202)
