"""Takes in a platform's batch of MessagePack rows, and gives a verdict for each once the good ones are durable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Annotated, Final, NamedTuple, Protocol

import msgspec
from msgspec import Meta

from domain.errors import Busy, InvalidInput
from domain.terminal_names import name_of_field
from domain.vehicle.fix import Fix
from domain.vehicle.quality import Outcome
from gateway.ingest import NotDurable

MAX_BYTES: Final = 1 << 20
MAX_ROWS: Final = 50_000
"""The most rows of a batch: more than honest ones fit into ``MAX_BYTES``."""
SLICE: Final = 1_000
"""Rows read before the event loop gets its turn: about a millisecond, and some where each is bad."""
MAX_KEY_CHARS: Final = 20
RETRY_AFTER_S: Final = 2.0

MALFORMED: Final = "malformed"
IMPLAUSIBLE: Final = "implausible"
UNKNOWN_VEHICLE: Final = "unknown_vehicle"

REFUSED: Final = {
    Outcome.FUTURE: "future_fix",
    Outcome.TIME_ZONE_FAULT: "time_zone_fault",
    Outcome.NOT_POSITIONED: "not_positioned",
    Outcome.IMPLAUSIBLE: IMPLAUSIBLE,
    Outcome.BAD_TIME: MALFORMED,
    Outcome.UNKNOWN: UNKNOWN_VEHICLE,
}
"""The contract's words for rows that are not accepted; ``STALE`` is counted apart."""

_Word = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]
_Microdegrees = Annotated[int, Meta(ge=-(1 << 31), le=(1 << 31) - 1)]


class _WellFormed(Fix):
    """A row of the right types. Only the bits are held to their ranges, since those above bit 31 are ours."""

    __slots__ = ()
    terminal: Annotated[str, Meta(max_length=MAX_KEY_CHARS)]
    alarms: _Word
    status: _Word
    flags: Annotated[int, Meta(ge=0, le=1)]


class FeedRow(_WellFormed):
    """A row that may be true: the decoder checks the ranges while it reads, at no measurable cost."""

    __slots__ = ()
    fixed_at: Annotated[int, Meta(ge=0, le=1 << 40)]
    lon_e6: _Microdegrees
    lat_e6: _Microdegrees
    altitude_m: Annotated[int, Meta(ge=-500, le=9_000)]
    speed_dkmh: Annotated[int, Meta(ge=0, le=2_500)]
    course_deg: Annotated[int, Meta(ge=0, le=360)]


Batch = Annotated[
    list[FeedRow],
    Meta(
        max_length=MAX_ROWS,
        description="Rows `[vehicle_key, fix_time_unix_s, lon_1e-6, lat_1e-6, altitude_m, speed_0.1kmh, course_deg, alarm_bits, "
        "status_bits, flags]`; the key is the terminal's number as registered, bits are those of JT/T 808 0x0200, flag bit 0 "
        "says back-filled. One bad row never loses the others.",
    ),
]
"""A platform's batch, for the API's description; ``read_rows`` reads it, bad rows and all."""

_ALL_GOOD: Final = msgspec.msgpack.Decoder(list[FeedRow])
_ROWS: Final = msgspec.msgpack.Decoder(list[msgspec.Raw])
_ROW: Final = msgspec.msgpack.Decoder(FeedRow)
_OUT_OF_RANGE: Final = msgspec.msgpack.Decoder(_WellFormed)
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)


class Rejected(msgspec.Struct, frozen=True):
    """A row that was not taken, counted from 0, and the reason."""

    index: int
    code: str


class FeedAnswer(msgspec.Struct, frozen=True):
    """The verdicts: every row of the batch is in one of these fields."""

    accepted: int
    stale: int
    rejected: list[Rejected]


class Rows(NamedTuple):
    """A batch as read: its fixes, the place of each in the batch, and the codes of its bad rows."""

    fixes: Sequence[Fix]
    places: Sequence[int]
    codes: Mapping[int, str]

    @property
    def total(self) -> int:
        """The number of rows in the batch."""
        return len(self.fixes) + len(self.codes)


class Ingest(Protocol):
    """The service that makes fixes durable."""

    async def report(self, fixes: Sequence[Fix]) -> Sequence[Outcome]: ...

    def room(self) -> bool: ...


class Feed:
    """Takes in batches; ``rows`` and ``rejected`` count for ``/health``."""

    def __init__(self, ingest: Ingest, knows: Callable[[str], bool]) -> None:
        """Prepare the feed; ``knows`` tells whether the registry has a terminal, by its name
        (``domain/terminal_names``).
        """
        self.rows = 0
        self.stale = 0
        self.rejected: dict[str, int] = dict.fromkeys((MALFORMED, *REFUSED.values()), 0)
        self._ingest = ingest
        self._knows = knows

    def room(self) -> bool:
        """Tell whether a batch may come in now."""
        return self._ingest.room()

    async def take(self, body: bytes) -> FeedAnswer:
        """Take in a batch; return once all good rows are durable.

        Raises ``InvalidInput`` for a malformed batch, and ``Busy``.
        """
        if not self._ingest.room():
            raise Busy(retry_after_s=RETRY_AFTER_S)
        parts = []
        for part in slices_of(body):
            parts.append(self._sort_out(part))
            await asyncio.sleep(0)  # Reading 10,000 rows takes 15 ms: let others be answered.
        if not self._ingest.room():  # Other batches came in meanwhile.
            raise Busy(retry_after_s=RETRY_AFTER_S)
        rows = _joined(parts)
        answer = _answer(rows.total, await self._report(rows.fixes), rows.places, dict(rows.codes))
        self._count(rows.total, answer)
        return answer

    def _sort_out(self, rows: Rows) -> Rows:
        """Drop the rows of terminals that the registry does not have."""
        knows = self._knows
        if not rows.codes and all(map(knows, map(itemgetter(0), rows.fixes))):
            return rows
        codes = dict(rows.codes)
        fixes: list[Fix] = []
        places: list[int] = []
        for place, fix in zip(rows.places, rows.fixes, strict=True):
            terminal = fix.terminal if knows(fix.terminal) else name_of_field(fix.terminal.lower())
            if knows(terminal):
                fixes.append(fix if terminal == fix.terminal else fix._replace(terminal=terminal))
                places.append(place)
            else:
                codes[place] = UNKNOWN_VEHICLE
        return Rows(fixes, places, codes)

    async def _report(self, fixes: Sequence[Fix]) -> Sequence[Outcome]:
        if not fixes:
            return ()
        try:
            return await self._ingest.report(fixes)
        except NotDurable:
            raise Busy(retry_after_s=RETRY_AFTER_S) from None

    def _count(self, rows: int, answer: FeedAnswer) -> None:
        self.rows += rows
        self.stale += answer.stale
        for rejected in answer.rejected:
            self.rejected[rejected.code] += 1


def read_rows(body: bytes) -> Rows:
    """Sort a batch's rows into fixes and refusals. Raises ``InvalidInput`` for a malformed batch."""
    return _joined(list(slices_of(body)))


def slices_of(body: bytes) -> Iterator[Rows]:
    """Yield the batch in parts. Raises ``InvalidInput`` for a malformed batch, before the first part."""
    raws = _raw_rows(body)
    for start in range(0, len(raws), SLICE):
        yield _read_slice(raws[start : start + SLICE], start)


def _joined(parts: Sequence[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    fixes = [fix for part in parts for fix in part.fixes]
    places = [place for part in parts for place in part.places]
    return Rows(fixes, places, {place: code for part in parts for place, code in part.codes.items()})


def _raw_rows(body: bytes) -> Sequence[msgspec.Raw]:
    try:
        raws = _ROWS.decode(body)
    except RecursionError:
        raise InvalidInput(("body", "嵌套太深")) from None
    except _UNREADABLE:
        raise InvalidInput(("body", "应为一个完整的 MessagePack 数组，其后不得有多余内容")) from None
    if len(raws) > MAX_ROWS:
        raise InvalidInput(("body", f"一次最多 {MAX_ROWS} 行"))
    return raws


def _read_slice(raws: Sequence[msgspec.Raw], start: int) -> Rows:
    """Read a slice: at once where all rows are good, which is several times as fast, else row by row."""
    places = range(start, start + len(raws))
    try:
        fixes = _ALL_GOOD.decode(b"\xdd%b%b" % (len(raws).to_bytes(4, "big"), b"".join(raws)))  # An array 32.
    except _UNREADABLE:
        return _row_by_row(raws, places)
    return Rows(fixes, places, {})


def _row_by_row(raws: Sequence[msgspec.Raw], places: range) -> Rows:
    rows = list(zip(places, map(_row, raws), strict=True))
    good = [(place, row) for place, row in rows if not isinstance(row, str)]
    codes = {place: row for place, row in rows if isinstance(row, str)}
    return Rows([row for _, row in good], [place for place, _ in good], codes)


def _row(raw: msgspec.Raw) -> Fix | str:
    try:
        return _ROW.decode(raw)
    except _UNREADABLE:
        pass
    try:
        _OUT_OF_RANGE.decode(raw)
    except _UNREADABLE:
        return MALFORMED
    return IMPLAUSIBLE


def _answer(rows: int, outcomes: Sequence[Outcome], places: Sequence[int], codes: dict[int, str]) -> FeedAnswer:
    stale = 0
    if not codes and outcomes.count(Outcome.NEWEST) == rows:
        return FeedAnswer(rows, 0, [])
    for place, outcome in zip(places, outcomes, strict=True):
        if outcome is Outcome.NEWEST:
            continue
        if outcome is Outcome.STALE:
            stale += 1
        elif outcome in REFUSED:
            codes[place] = REFUSED[outcome]
    rejected = [Rejected(place, codes[place]) for place in sorted(codes)]
    return FeedAnswer(rows - stale - len(rejected), stale, rejected)
