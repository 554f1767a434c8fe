"""Tests that the decoders of terminals and of the feed survive any input, and keep no more than they may."""

from __future__ import annotations

import logging
import tracemalloc
from itertools import islice
from pathlib import Path

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fuzz
from fuzz import feed, jt808
from fuzz.__main__ import CORPUS, TARGETS, corpus, main
from fuzz.mutate import mutated, tried
from gateway.jt808 import deviations
from gateway.jt808.codec import message_ids as ids
from gateway.jt808.codec.frames import FLAG, encode, phone_bytes
from gateway.jt808.codec.location import LENGTHS, encode_item
from tests.gateway.neighbours import PHONE, Terminal, location
from tests.gateway.talk import Talk

KEPT_BYTES = 256 * 1024
"""The most memory kept after thousands of different frames."""
MUTANTS = 1_500
TRY_ONE = {"jt808": jt808.try_one, "feed": feed.try_one}
SEEDS = {"jt808": jt808.seeds(), "feed": feed.seeds()}
FILES = [
    pytest.param(name, file, id=f"{name}/{file.stem}") for name in TARGETS for file in sorted((CORPUS / name).iterdir())
]


@pytest.mark.parametrize("name,file", FILES)
def test_whatever_was_ever_found_is_survived(name: str, file: Path) -> None:
    TRY_ONE[name](file.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_holds_what_our_encoder_makes(name: str) -> None:
    kept = {file.stem: file.read_bytes() for file in (CORPUS / name).iterdir()}
    assert {title: kept.get(title) for title in SEEDS[name]} == SEEDS[name]


@pytest.mark.parametrize("name", TARGETS)
def test_thousands_of_mutants_are_survived(name: str) -> None:
    for content in islice(mutated(corpus(name), seed=7), MUTANTS):
        tried(TRY_ONE[name], content)


def test_a_decoder_that_fails_is_found_and_its_input_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fragile(content: bytes) -> None:
        assert b"\x7e\x7e" not in content

    monkeypatch.setattr(fuzz.__main__, "FOUND", tmp_path)
    monkeypatch.setattr(jt808, "try_one", fragile)
    with pytest.raises(AssertionError):
        main(["--only", "jt808", "--blind", "--seconds", "30"])
    (found,) = (tmp_path / "jt808").iterdir()
    assert b"\x7e\x7e" in found.read_bytes()
    assert found.name in capsys.readouterr().out


# -- structure: the envelope is right, what is in it is not ------------------------------------------------------------

understood = sorted(ids.SUPPORTED & set(range(0x1000)) | ids.NEVER_ANSWERED)
items = st.tuples(st.sampled_from([*LENGTHS, 0xE1, 0xFF]), st.integers(0, 255)).flatmap(
    lambda item: st.binary(min_size=item[1], max_size=item[1]).map(lambda value: encode_item((item[0], value)))
)
listed_items = st.sampled_from([(item, size) for item, sizes in LENGTHS.items() for size in sizes]).flatmap(
    lambda item: st.binary(min_size=item[1], max_size=item[1]).map(lambda value: encode_item((item[0], value)))
)
reports = st.builds(
    lambda basic, more: basic + b"".join(more),
    st.binary(min_size=28, max_size=28) | st.just(location()),
    st.lists(items | listed_items, max_size=4),
)
batches = st.builds(
    lambda count, kind, bodies, tail: (
        count.to_bytes(2, "big")
        + bytes((kind,))
        + b"".join(len(body).to_bytes(2, "big") + body for body in bodies)
        + tail
    ),
    st.integers(0, 0xFFFF),
    st.integers(0, 255),
    st.lists(reports | st.binary(max_size=40), max_size=3),
    st.binary(max_size=4),
)
frames = st.builds(
    lambda message_id, body, serial, version, part, stranger: encode(
        message_id,
        body[:1023],
        phone_raw=phone_bytes("1" if stranger else PHONE, version),
        serial=serial,
        protocol_version=version,
        part=part,
    ),
    st.sampled_from(understood) | st.integers(0, 0xFFFF),
    reports | batches | st.binary(max_size=200),
    st.integers(0, 0xFFFF),
    st.none() | st.integers(0, 255),
    st.none() | st.tuples(st.integers(0, 70) | st.just(0xFFFF), st.integers(0, 70)),
    st.booleans(),
)


@given(st.lists(frames, min_size=1, max_size=5))
def test_hostile_bodies_in_proper_frames_break_nothing(stream: list[bytes]) -> None:
    jt808.try_one(b"".join(stream))


@given(st.lists(listed_items, min_size=1, max_size=3))
def test_items_of_the_standards_lengths_with_any_content_are_read(values: list[bytes]) -> None:
    assert jt808.read(Terminal().says(ids.LOCATION, location() + b"".join(values))[1:-1]) is not None


@given(st.lists(st.binary(max_size=60) | st.sampled_from([FLAG, b"\x7d", b"\x7d\x02", b"\x7d\x7e"]), max_size=30))
def test_flags_and_escapes_in_any_order_break_nothing(pieces: list[bytes]) -> None:
    jt808.try_one(b"".join(pieces))


plain = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text(max_size=30)
rows = st.recursive(plain | st.binary(max_size=30), lambda inner: st.lists(inner, max_size=11), max_leaves=40)


@given(st.lists(rows, max_size=6), st.integers(0, 300), st.binary(max_size=3))
@settings(max_examples=60)
def test_a_feed_of_any_values_with_a_byte_that_is_wrong_breaks_nothing(
    batch: list[object], at: int, tail: bytes
) -> None:
    body = bytearray(msgpack.packb(batch) + tail)
    body[at % len(body)] ^= 0xFF
    feed.try_one(bytes(body))
    feed.try_one(msgpack.packb(batch))


@pytest.mark.parametrize(
    "head", [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\x7f\xff\xff\xff"]
)
def test_a_length_that_lies_costs_no_memory(head: bytes) -> None:
    """Four billion rows are announced, and none comes."""
    tracemalloc.start()
    try:
        feed.try_one(head)
        feed.try_one(b"\x91" + head)
        assert tracemalloc.get_traced_memory()[1] < KEPT_BYTES
    finally:
        tracemalloc.stop()


def test_strangers_who_make_up_numbers_do_not_fill_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(deviations, "_REMEMBERED", 20)
    talk = Talk.authenticated()
    for number in range(50):
        talk.session.receive(piece_of("strangers, each another", number))
    assert talk.counted["unregistered"] == 450
    assert len(caplog.records) == 20


# -- for hours ---------------------------------------------------------------------------------------------------------

STREAMS = {
    "a frame that never ends": b"\x02" * 400,
    "frames that are too long": b"\x7e" + b"\x02" * 4_000,
    "first packets of messages that never end": b"",
    "strangers, each another": b"",
    "times that were never seen before": b"",
    "registrations": b"",
    "wrong check bytes": b"\x7e" + b"\x02\x00" * 30,
}


def piece_of(kind: str, number: int) -> bytes:
    """The next few hundred bytes of a hostile stream."""
    terminal = Terminal(serial=number * 61 & 0xFFFF)
    match kind:
        case "first packets of messages that never end":
            return terminal.says(ids.LOCATION_BATCH, bytes(900), part=(60, 1 + number % 60))
        case "strangers, each another":
            return b"".join(Terminal(str(10_000_000_000 + 9 * number + each)).reports() for each in range(9))
        case "times that were never seen before":
            moments = (number * 9 + each for each in range(9))
            return b"".join(
                terminal.says(ids.LOCATION, location()[:22] + at.to_bytes(4, "big") + b"\0\0") for at in moments
            )
        case "registrations":
            return terminal.says(ids.REGISTER, number.to_bytes(4, "big") * 20) * 4
        case _:
            return STREAMS[kind]


@pytest.mark.parametrize("kind", STREAMS)
def test_a_conversation_without_end_keeps_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deviations, "_REMEMBERED", 1_000)
    talk = Talk.authenticated()

    def says(count: int, since: int) -> None:
        for number in range(since, since + count):
            talk.session.receive(piece_of(kind, number))
            talk.shelf.settle()
            talk.shelf.fixes.clear()
            talk.wire.writes.clear()

    says(600, 0)  # What is remembered on purpose, up to its limit, is there now.
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        says(600, 600)
        assert tracemalloc.get_traced_memory()[0] - before < KEPT_BYTES
    finally:
        tracemalloc.stop()
