"""A truck's terminal as the service hears it: JT/T 808 over the loop's network, in odd pieces, cut off, sent again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random
from typing import Final

from domain.vehicle.fix import FLAG_BACKFILLED, Fix
from gateway.jt808.codec import message_ids as ids
from gateway.jt808.codec.frames import Frame, FrameReader, decode, encode, phone_bytes
from gateway.jt808.codec.location import encode_location
from gateway.jt808.codec.messages import BATCH_BACKFILL, BATCH_NORMAL, Reply, encode_batch
from gateway.jt808.codec.registration import Authentication, Registration, RegistrationAnswer
from torture import cast
from torture.machine import JT808_PORT
from torture.network import Network, Refused, Wire
from torture.tracks import Track

PATIENCE_S: Final = 3.0
MAX_UNACKNOWLEDGED: Final = 40
START_LON_E6: Final = 114_300_000
LAT_E6: Final = 30_600_000
STATUS: Final = 3


@dataclass(frozen=True, slots=True)
class Sent:
    """Reports that one acknowledgement is due for."""

    bodies: tuple[bytes, ...]
    keys: tuple[tuple[str, int], ...]
    """The keys by which they are found in the log: time and flags, longitude."""
    batch: int | None = None
    """The type of a 0x0704; None: a 0x0200."""


def speed_dkmh(at: int) -> int:
    """Return the speed, which is above the limit for three minutes of every ten.

    So what the platform infers begins and ends, or breaks off in a silence.
    """
    return 1_100 if at % 600 < 180 else 600


class Lost(Exception):
    """An acknowledged report is not in the log."""


class Truck:
    """A truck and its terminal."""

    def __init__(self, number: int, network: Network, track: Track) -> None:
        self.number = number
        self.lon_e6 = START_LON_E6 + number * 1_000_000
        self.clock_offset_s = 0
        self.emergency = False
        self.acknowledged = 0
        self.unacknowledged: dict[int, Sent] = {}
        self._again: list[Sent] = []
        """Reports of connections that ended: to be sent again."""
        self._phone = phone_bytes(cast.terminal(number))
        self._network = network
        self._track = track
        self._wire: Wire | None = None
        self._reader = FrameReader()
        self._read = 0
        self._serial = 0
        self._code: str | None = None
        self._is_live = False

    # -- what it reports

    def measure(self, now: float, *, drives_m: int = 150, late_s: int = 0, backfilled: bool = False) -> Sent:
        """Make a report of this moment, or of ``late_s`` before."""
        self.lon_e6 += drives_m * 10
        fixed_at = int(now) + self.clock_offset_s - late_s
        body = encode_location(
            fixed_at=fixed_at,
            lat_e6=LAT_E6,
            lon_e6=self.lon_e6,
            speed_dkmh=speed_dkmh(fixed_at),
            course_deg=90,
            alarm_word=int(self.emergency),
            status=STATUS,
        )
        flags = FLAG_BACKFILLED if backfilled else 0
        batch = BATCH_BACKFILL if backfilled else None
        return Sent((body,), ((f"{fixed_at}/{flags}", self.lon_e6),), batch)

    def row(self, now: float, *, drives_m: int = 150) -> Fix:
        """Make the same for the feed."""
        self.lon_e6 += drives_m * 10
        fixed_at = int(now) + self.clock_offset_s
        alarms = int(self.emergency)
        return Fix(
            cast.terminal(self.number), fixed_at, self.lon_e6, LAT_E6, 20, speed_dkmh(fixed_at), 90, alarms, STATUS, 0
        )

    # -- its connection

    async def send(self, what: list[Sent], chance: Random) -> None:
        """Connect if need be, send again what has no acknowledgement and then what is new, and wait for a while."""
        waiting, self.unacknowledged = list(self.unacknowledged.values()), {}
        what = [*self._again, *waiting, *what]
        self._again = []
        if not await self._be_live():
            self._keep(what)
            return
        for sent in what:
            self._post(sent, chance)
        await self._until(lambda: not self.unacknowledged)

    def cut(self) -> None:
        """Cut the connection: out of the network, or out of power."""
        if self._wire is not None:
            self._wire.cut()
        self._forget_wire()

    def shout(self, noise: bytes) -> None:
        """Send bytes that no sane terminal sends."""
        if self._wire is not None:
            self._wire.write(noise)

    def _keep(self, what: list[Sent]) -> None:
        self._again = [*self._again, *what][-MAX_UNACKNOWLEDGED:]

    def _forget_wire(self) -> None:
        waiting, self.unacknowledged = list(self.unacknowledged.values()), {}
        self._keep(waiting)
        self._wire, self._is_live, self._read = None, False, 0

    async def _be_live(self) -> bool:
        if self._wire is not None and not self._wire.ended and self._is_live:
            return True
        if self._wire is not None:
            self._forget_wire()
        try:
            self._wire = self._network.connect(JT808_PORT)
        except Refused:
            return False
        self._reader = FrameReader()
        if self._code is None:
            who = Registration(51, 100, "SIM", "TORTURE", "0000001", 2, cast.plate(self.number))
            self._write(ids.REGISTER, who.encode())
            await self._until(lambda: self._code is not None)
        if self._code is not None:
            self._write(ids.AUTHENTICATE, Authentication(self._code).encode(modern=False))
            await self._until(lambda: self._is_live)
        return self._is_live

    def _post(self, sent: Sent, chance: Random) -> None:
        if sent.batch is None and len(sent.bodies) == 1:
            serial = self._write(ids.LOCATION, sent.bodies[0], chance)
        else:
            kind = BATCH_NORMAL if sent.batch is None else sent.batch
            serial = self._write(ids.LOCATION_BATCH, encode_batch(sent.bodies, type=kind), chance)
        self.unacknowledged[serial] = sent

    def _write(self, message_id: int, body: bytes, chance: Random | None = None) -> int:
        serial, self._serial = self._serial, (self._serial + 1) & 0xFFFF
        content = encode(message_id, body, phone_raw=self._phone, serial=serial)
        assert self._wire is not None
        cut_at = chance.randrange(1, len(content)) if chance is not None and chance.random() < 0.3 else 0
        for piece in (content[:cut_at], content[cut_at:]):
            if piece:
                self._wire.write(piece)
        return serial

    # -- what it hears

    async def _until(self, reached: object) -> None:
        assert callable(reached)
        try:
            async with asyncio.timeout(PATIENCE_S):
                self.listen()
                while not reached() and self._wire is not None and not self._wire.ended:
                    await self._wire.more()
                    self.listen()
        except TimeoutError:
            pass

    def listen(self) -> None:
        """Take in what has come. Raises ``Lost``."""
        if self._wire is None:
            return
        received = bytes(self._wire.received)
        for raw in self._reader.feed(received[self._read :]):
            self._hear(decode(raw))
        self._read = len(received)

    def _hear(self, frame: Frame) -> None:
        if frame.message_id == ids.REGISTER_ANSWER:
            self._code = RegistrationAnswer.decode(frame.body).auth_code or None
        elif frame.message_id == ids.PLATFORM_REPLY:
            reply = Reply.decode(frame.body)
            if reply.ack_id == ids.AUTHENTICATE:
                self._is_live = reply.result == 0
            elif reply.result == 0 and reply.ack_id in (ids.LOCATION, ids.LOCATION_BATCH):
                self._hear_acknowledgement(reply.ack_serial)

    def _hear_acknowledgement(self, serial: int) -> None:
        sent = self.unacknowledged.pop(serial, None)
        if sent is None:
            return
        missing = [key for key in sent.keys if key not in self._track.seen]
        if missing:
            raise Lost(f"truck {self.number}: acknowledged, but not in the log: {missing}")
        self.acknowledged += len(sent.keys)
