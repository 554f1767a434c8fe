"""The feed's target: no body may break the decoder, or make it lose a row silently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgpack

from domain.errors import InvalidInput
from domain.vehicle.fix import Fix
from domain.vehicle.quality import Outcome
from gateway.feed import MAX_ROWS, Feed, FeedAnswer, read_rows
from persistence.records import decode_batch, encode_batch

NOW: Final = 1_790_000_100.0
ROW: Final = ("13800000001", 1_760_000_000, 114_400_000, 30_700_000, 25, 800, 90, 0, 3, 0)


class Taken:
    """The ``Ingest`` of this target: durable at once."""

    def room(self) -> bool:
        return True

    async def report(self, fixes: Sequence[Fix]) -> Sequence[Outcome]:
        assert decode_batch(encode_batch(NOW, fixes)) == (NOW, fixes)
        return [Outcome.NEWEST] * len(fixes)


def try_one(body: bytes) -> None:
    """Check that a body is read or refused as a whole, with every row answered and counted as by another decoder."""
    try:
        rows = read_rows(body)
    except InvalidInput:
        assert not is_batch(body), "a batch is refused as a whole"
        return
    assert rows.total <= MAX_ROWS
    assert sorted([*rows.places, *rows.codes]) == list(range(rows.total))
    answer = answered(body)
    assert answer.accepted + answer.stale + len(answer.rejected) == rows.total


def answered(body: bytes) -> FeedAnswer:
    """Return the feed's answer. Nothing here waits except to yield, so no event loop is needed."""
    taking = Feed(Taken(), lambda terminal: terminal.startswith("1")).take(body)
    try:
        while taking.send(None) is None:
            pass
    except StopIteration as ended:
        answer: FeedAnswer = ended.value
        return answer
    raise AssertionError("the feed waits for something")


def is_batch(body: bytes) -> bool:
    """Tell whether an implementation that shares no code with ours sees an array of few enough arrays of plain values."""
    try:
        rows = msgpack.unpackb(body)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        return False
    if not isinstance(rows, list) or len(rows) > MAX_ROWS:
        return False
    return all(isinstance(row, list) and all(isinstance(each, str | int) for each in row) for row in rows)


def seeds() -> dict[str, bytes]:
    """Return the first inputs by name, packed by the other implementation."""
    odd: list[object] = [
        [*ROW[:5], "800", *ROW[6:]],
        list(ROW[:9]),
        [*ROW, 1],
        {"key": 1},
        None,
        1.5,
        b"x",
        [],
        [[]],
        "x",
    ]
    bounds = [[*ROW[:1], 1 << 40, -(1 << 31), (1 << 31) - 1, -500, 2_500, 360, (1 << 32) - 1, (1 << 32) - 1, 1]]
    bodies = {
        "rows": [ROW] * 3,
        "none": [],
        "odd": odd,
        "bounds": bounds,
        "beyond": [[*ROW[:1], 1 << 63, *ROW[2:]], [*ROW[:7], 1 << 32, 3, 0], ["1" * 21, *ROW[1:]]],
        "object": {"rows": [ROW]},
        "deep": [[[[[[[[]]]]]]]],
    }
    raw = {"cut": msgpack.packb([ROW])[:-1], "long": b"\xdd\xff\xff\xff\xff", "map": b"\xdf\xff\xff\xff\xff\xc0"}
    return {name: msgpack.packb(body) for name, body in bodies.items()} | raw | {"abyss": b"\x91" * 3_000}
