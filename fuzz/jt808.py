"""The target of terminals: no byte stream may break a conversation, or make it keep or send more than it may."""

from __future__ import annotations

from typing import Final

from domain.vehicle.fix import Fix
from gateway.jt808.codec import message_ids as ids
from gateway.jt808.codec.frames import FLAG, Frame, FrameError, decode, escape, sealed, unescape
from gateway.jt808.codec.location import encode_item, encode_location
from gateway.jt808.codec.messages import Message, encode_batch, parse
from gateway.jt808.codec.parameters import encode_parameter_answer
from gateway.jt808.codec.registration import Authentication, MessageError, Registration
from gateway.jt808.exchange import Exchange
from gateway.jt808.limits import TerminalLimits
from gateway.jt808.session import Session
from persistence.records import decode_batch
from persistence.records import encode_batch as encode_fixes
from tests.gateway.neighbours import NOON, NOW, PHONE, REGISTRATION, Registry, Shelf, Terminal, Wire

LIMITS: Final = TerminalLimits(max_unfinished_bytes=4_096, max_unfinished_messages=2)
SHORTEST: Final = 13
MOST_SAID: Final = 40
"""Largest ratio of bytes answered to bytes received: a request for missing packets names many at once."""


def try_one(stream: bytes) -> None:
    """Try the stream as it came, with every check byte corrected, and also with every length corrected."""
    for variant in (stream, resealed(stream, refit=False), resealed(stream, refit=True)):
        for piece in variant.split(FLAG):
            read(piece)
        converse(variant)


def read(piece: bytes) -> tuple[Frame, Message] | None:
    """Decode a frame and its message, where there is one. Wrong input raises the decoder's own errors."""
    try:
        frame = decode(piece)
        return frame, parse(frame)
    except (FrameError, MessageError):
        return None


def resealed(stream: bytes, *, refit: bool) -> bytes:
    """Correct the frames' check bytes, and optionally their lengths, so that the hostile part is within."""
    return FLAG.join(_resealed(piece, refit=refit) for piece in stream.split(FLAG))


def _resealed(piece: bytes, *, refit: bool) -> bytes:
    content = unescape(piece)
    if len(content) < SHORTEST:
        return piece
    if refit:
        attributes = int.from_bytes(content[2:4], "big")
        header = (17 if attributes & 0x4000 else 12) + (4 if attributes & 0x2000 else 0)
        length = max(0, min(len(content) - header - 1, 1023))
        content = content[:2] + (attributes & ~0x03FF | length).to_bytes(2, "big") + content[4:]
    return sealed(content[:-1])[1:-1]


def converse(stream: bytes) -> None:
    """Send the stream in two pieces after authentication, then a report in a conversation of its own."""
    shelf, wire, terminal = Shelf(), Wire(), Terminal()
    exchange = Exchange(terminals=Registry(), ingest=shelf, limits=LIMITS, now=lambda: NOW, soon=shelf.soon)
    session = Session(exchange, wire)
    session.receive(terminal.authenticates())
    middle = len(stream) // 2
    for chunk in (stream[:middle], stream[middle:]):
        session.receive(chunk)
        shelf.settle()
        check_memory(session)
    session.sweep(exchange.tick + 2 * LIMITS.split_patience_s)
    said = sum(map(len, wire.writes))
    assert said <= MOST_SAID * (len(stream) + 100), f"{said} bytes for {len(stream)}"
    wire.said()  # raises for a frame that is not ours
    check_fixes(shelf.fixes)
    other = Session(exchange, neighbour := Wire())
    other.receive(Terminal().authenticates() + Terminal(serial=1).reports())
    shelf.settle()
    assert neighbour.said(), "a neighbour is not answered any more"


def check_memory(session: Session) -> None:
    """Check that the session keeps nothing beyond its limits."""
    assert len(session._reader.pending) <= LIMITS.max_frame_bytes
    for packets in (session._strangers_packets, *(seat.packets for seat in session.seats())):
        if packets is not None:
            assert len(packets) <= LIMITS.max_unfinished_messages
            assert packets.size <= LIMITS.max_unfinished_bytes
            for joined in packets._joined:
                assert len(joined.copies) <= LIMITS.max_unfinished_bytes // 16


def check_fixes(fixes: list[Fix]) -> None:
    """Check that the fixes can be stored, and come back unchanged."""
    if fixes:
        assert decode_batch(encode_fixes(NOW, fixes)) == (NOW, fixes)


# -- the corpus's first inputs -----------------------------------------------------------------------------------------


def seeds() -> dict[str, bytes]:
    """Return the first inputs by name: real conversations, made by our own encoder."""
    old, new = Terminal(), Terminal(protocol_version=1)
    location = encode_location(fixed_at=NOON, lat_e6=30_123_456, lon_e6=-120_654_321, speed_dkmh=623, status=3)
    items = ((0x01, bytes(4)), (0x18, b"\0\1\5"), (0x2B, bytes(4)), (0x66, bytes(40) + b"\1" + bytes(10)))
    camera = [(item, bytes(5) + b"\1" + bytes(41)) for item in (0x64, 0x65)]
    rich = encode_location(fixed_at=NOON + 9, lat_e6=1, lon_e6=1, alarm_word=7, items=(*items, *camera))
    batch = encode_batch([location, rich], type=1)
    code = Authentication(f"code-of-{PHONE}", "860000000000001", "1.0")
    return {
        "registers-2013": old.says(ids.REGISTER, REGISTRATION.encode()),
        "registers-2019": new.says(ids.REGISTER, Registration(1, 2, "m", "t", "i", 2, "粤B12345").encode()),
        "authenticates-2019": new.says(ids.AUTHENTICATE, code.encode(modern=True)),
        "reports": b"".join(old.reports(NOON + second) for second in range(4)),
        "reports-2019": new.reports(),
        "items": old.says(ids.LOCATION, rich),
        "tyres-that-do-not-count": old.says(ids.LOCATION, location + encode_item((0x66, bytes(50)))),
        "batch": old.says(ids.LOCATION_BATCH, batch),
        "batch-split": b"".join(old.splits(ids.LOCATION_BATCH, batch, 3)),
        "packets-missing": b"".join(old.splits(ids.LOCATION_BATCH, batch, 4)[2:]),
        "more-than-may-be-kept": b"".join(old.splits(ids.LOCATION_BATCH, bytes(9_000), 12)[:-1]),
        "the-last-of-many-packets": old.says(ids.LOCATION_BATCH, b"x", part=(64, 64)),
        "media": old.says(ids.MEDIA, bytes(range(36))),
        "media-split": b"".join(old.splits(ids.MEDIA, bytes(range(100)), 2)),
        "parameters": old.says(ids.PARAMETER_ANSWER, encode_parameter_answer(0, [(1, b"\0\0\0\1"), (0x13, b"host")])),
        "attributes": old.says(ids.ATTRIBUTE_ANSWER, bytes(2 + 5 + 20 + 7 + 10) + b"\1h\1f\0\0"),
        "card": old.says(ids.DRIVER_CARD, b"\1" + location[-6:] + b"\0\2ab" + bytes(20) + b"\2cd" + bytes(24)),
        "answers": old.says(ids.TERMINAL_REPLY, bytes(5)) + old.says(ids.LOCATION_ANSWER, bytes(2) + location),
        "small-talk": b"".join(map(old.says, (ids.HEARTBEAT, ids.TIME_QUERY, ids.VENDOR_TIME_QUERY, ids.LOGOUT))),
        "escapes": old.says(ids.TRANSPARENT, b"\x7e\x7d\x7d\x01\x7e\x7d\x02" * 9),
        "lock": sealed(b"\x55\x01\x8c\x05" + bytes(6) + b"\x2aabcde"),
        "junk": b"noise" + old.reports()[:-1] + b"\x0d\x0b\x7e" + FLAG * 5 + escape(b"\x7e" * 20) + b"GET / HTTP/1.1",
    }
