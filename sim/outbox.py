"""The outbox of a terminal: messages to send, in flight, and answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from gateway.jt808.codec.messages import encode_batch
from sim.counts import Counts
from sim.ledger import Ledger, Told
from sim.wire import BACKFILL, BATCH, LOCATION

WINDOW: Final = 16
"""The number of messages that may wait for an answer at a time."""
QUEUE_LIMIT: Final = 64
STORED_LIMIT: Final = 4000
"""Reports that a terminal's memory holds without a network; further ones push out the oldest."""
_BATCH_BODY_BYTES: Final = 1000
_SPLIT_BATCH_REPORTS: Final = 60


@dataclass(slots=True, eq=False)
class Parcel:
    """A message to be sent until it is answered: a body, and the reports in it."""

    message_id: int
    body: bytes
    reports: tuple[Told, ...] = ()
    spoil_checksum: bool = False
    """The first copy is sent unreadable."""
    delivered: bool = False
    """A readable copy has gone out, so that the reports have their place in the order."""
    parts_open: int = 0
    """Packets of it that were sent and not yet answered."""


@dataclass(slots=True, eq=False)
class InFlight:
    """A frame that waits for its answer."""

    parcel: Parcel
    frame: bytes
    sent_at: float
    due_at: float
    wait_s: float
    tries: int = 1


@dataclass(slots=True)
class Stored:
    """A report taken without a network."""

    body: bytes
    told: Told


@dataclass(slots=True)
class Outbox:
    """A terminal's memory, which survives connections and reboots.

    Order is kept throughout. After a broken connection, unanswered messages go first. Reports taken meanwhile follow as
    batches of type 1, and the newest of them as a live report.
    """

    ledger: Ledger
    counts: Counts
    splits: bool
    """Tells whether its batches outgrow a frame."""
    queue: deque[Parcel] = field(default_factory=deque)
    in_flight: dict[int, InFlight] = field(default_factory=dict)
    stored: deque[Stored] = field(default_factory=deque)
    _order: int = 0

    def store(self, body: bytes, told: Told) -> None:
        """Keep a report for later."""
        if len(self.stored) >= STORED_LIMIT:
            self.stored.popleft()
            self.counts.dropped += 1
        else:
            self.counts.stored += 1
        self.stored.append(Stored(body, told))

    def enqueue(self, parcel: Parcel) -> None:
        """Put a message behind those that wait."""
        self.queue.append(parcel)
        self.counts.queued += 1

    def has_room(self) -> bool:
        """Tell whether a new report can go out live; if not, it is stored."""
        return len(self.queue) < QUEUE_LIMIT and not self.stored

    def next_to_send(self) -> Parcel | None:
        """Return the oldest waiting message, if another may be in flight."""
        if not self.queue or len(self.in_flight) >= WINDOW:
            return None
        self.counts.queued -= 1
        return self.queue.popleft()

    def recover(self) -> None:
        """Turn the stored reports into batches, and the newest into a live report."""
        if not self.stored:
            return
        newest = self.stored.pop()
        for batch in self._batches():
            reports = tuple(item.told._replace(backfilled=1) for item in batch)
            self.enqueue(Parcel(BATCH, encode_batch([item.body for item in batch], type=BACKFILL), reports))
        self.counts.stored -= 1
        self.enqueue(Parcel(LOCATION, newest.body, (newest.told,)))

    def _batches(self) -> Iterator[list[Stored]]:
        while self.stored:
            batch: list[Stored] = []
            size = 3
            while self.stored and (
                len(batch) < _SPLIT_BATCH_REPORTS
                if self.splits
                else size + 2 + len(self.stored[0].body) <= _BATCH_BODY_BYTES
            ):
                item = self.stored.popleft()
                size += 2 + len(item.body)
                batch.append(item)
            self.counts.stored -= len(batch)
            yield batch

    def sent(self, serial: int, flight: InFlight) -> None:
        """Note a frame on its way."""
        self.in_flight[serial] = flight
        self.counts.in_flight += 1

    def deliver(self, parcel: Parcel, now: float) -> None:
        """Give a message's reports their place in the order, once a readable copy of it has gone out."""
        if parcel.delivered:
            return
        parcel.delivered = True
        numbered = []
        for told in parcel.reports:
            self._order += 1
            numbered.append(told._replace(order=self._order, received_at=now))
        parcel.reports = tuple(numbered)
        self.counts.sent += len(numbered)

    def answered(self, serial: int, *, ok: bool) -> InFlight | None:
        """Take in an answer; a message's reports count when all of its packets are answered."""
        flight = self.in_flight.pop(serial, None)
        if flight is None:
            return None
        self.counts.in_flight -= 1
        parcel = flight.parcel
        parcel.parts_open -= 1
        if not ok:
            self.counts.refused += len(parcel.reports)
        elif parcel.parts_open <= 0:
            for told in parcel.reports:
                self.ledger.add(told)
            self.counts.acked += len(parcel.reports)
            self.counts.backfilled += sum(told.backfilled for told in parcel.reports)
        return flight

    def connection_lost(self) -> None:
        """Queue everything unanswered first, in its old order, each message once.

        Messages that went out unreadable come last. Whether the others arrived is unknown, so their order must be right
        either way.
        """
        parcels = list(dict.fromkeys(flight.parcel for flight in self.in_flight.values() if flight.parcel.reports))
        parcels.sort(key=lambda parcel: not parcel.delivered)
        self.counts.in_flight -= len(self.in_flight)
        self.in_flight.clear()
        for parcel in reversed(parcels):
            parcel.parts_open = 0
            self.queue.appendleft(parcel)
        self.counts.queued += len(parcels)

    @property
    def unfinished(self) -> int:
        """Count the messages and reports that are not known to have arrived."""
        return len(self.in_flight) + len(self.queue) + len(self.stored)
