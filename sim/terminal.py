"""A terminal's conversation with the platform."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from random import Random
from typing import Final

from gateway.jt808.codec.frames import Frame, FrameError, FrameReader, decode, encode, phone_bytes
from gateway.jt808.codec.messages import Reply, split_body
from gateway.jt808.codec.registration import MessageError, RegistrationAnswer
from sim import wire
from sim.counts import Counts
from sim.faults import Faults, Sending
from sim.ledger import Ledger, Told
from sim.outbox import InFlight, Outbox, Parcel
from sim.registry_lines import Identity
from sim.service_clock import ServiceClock
from sim.truck import POSITIONED, Report, Truck
from sim.wheel import Wheel

FIRST_WAIT_S: Final = 3.0
MAX_TRIES: Final = 4
"""Tries by the standard's T(n+1) = T(n) x (n+1): after 3, 6, 18 seconds, then a last one; then the link is dead."""
BACK_OFF_S: Final = (0.25, 5.0)
"""The first and the longest wait before reconnecting."""
_PART_BYTES: Final = 900
_CHOP_S: Final = 0.15
_LATE_S: Final = 2.0
"""Real seconds by which a report may be late, on a busy machine, before it is left out."""
_ACCEPTED: Final = (0, 4)
"""Results of 0x8001 that count as success: ok, and alarm handled."""


class Phase(Enum):
    """The stage of the conversation."""

    OFF = "off"
    CONNECTING = "connecting"
    REGISTERING = "registering"
    AUTHENTICATING = "authenticating"
    LIVE = "live"


Connect = Callable[["Terminal"], None]
"""Starts connecting a terminal; ends in ``connected`` or ``connect_failed``."""


class Link(asyncio.Protocol):
    """A TCP connection of a terminal; a replaced one has no effect."""

    __slots__ = ("_reader", "_terminal", "transport")

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._reader = FrameReader()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Tell the terminal that the socket is open."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._terminal.connected(self)

    def data_received(self, data: bytes) -> None:
        """Pass on each frame; count everything else."""
        for raw in self._reader.feed(data):
            try:
                self._terminal.received(self, decode(raw))
            except (FrameError, MessageError):
                self._terminal.counts.errors["unreadable answer"] += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the terminal that the socket is closed, by either end."""
        self._terminal.disconnected(self)


class Terminal:
    """A simulated terminal: connects, registers, authenticates, reports, repeats itself, and comes back."""

    def __init__(
        self,
        truck: Truck,
        who: Identity,
        faults: Faults,
        *,
        wheel: Wheel,
        clock: ServiceClock,
        counts: Counts,
        ledger: Ledger,
        connect: Connect,
        first_wait_s: float = FIRST_WAIT_S,
    ) -> None:
        self.truck = truck
        self.who = who
        self.faults = faults
        self.counts = counts
        self.ledger = ledger
        self.phase = Phase.OFF
        self.driving = False
        self._wheel = wheel
        self._clock = clock
        self._connect = connect
        self._first_wait_s = first_wait_s
        self._phone = phone_bytes(who.phone, truck.device.protocol_version)
        self._rng = Random(f"{who.phone}/{truck.index}")
        self.outbox = Outbox(ledger, counts, splits=self._rng.random() < 0.3)
        self._link: Link | None = None
        self._serial = 0
        self._code: str | None = None
        self._failures = 0
        self._shadowed = False
        self._tail = b""
        self._held: Parcel | None = None
        self._checking = False

    # Driving

    def start(self) -> None:
        """Connect, and report from the next due second on."""
        self.driving = True
        self._connect_soon(0.0)
        self._schedule_report(self.truck.next_due(self._clock.now()))

    def finish(self) -> None:
        """Stop reporting; the reports held still go out, wherever the truck is."""
        self.driving = False
        self._release_held()
        self._shadowed = False
        if self.phase is Phase.LIVE:
            self._recover()
        elif self.phase is Phase.OFF:
            self._connect_soon(0.0)

    def close(self) -> None:
        """End the connection, politely where there is one."""
        self.driving = False
        self._shadowed = True
        if self.phase is Phase.LIVE:
            self._write_frame(Parcel(wire.LOGOUT, b""))
        if self._link and self._link.transport:
            self._link.transport.close()

    def break_off(self, *, reboot: bool = False) -> None:
        """Lose the connection at once; a reboot forgets the code and the serial number, not the reports."""
        if reboot:
            self._code = None
            self._serial = 0
        link = self._link
        if link and link.transport:
            link.transport.abort()
            self.disconnected(link)

    def _schedule_report(self, at: int) -> None:
        jitter_s = (self.truck.index * 7919 % 1000) / 1000
        self._wheel.at(self._clock.monotonic_at(at + jitter_s), lambda: self._report_due(at))

    def _report_due(self, at: int) -> None:
        if not self.driving:
            return
        late = self._clock.now() - at > max(3 * self.truck.period_s, _LATE_S * self._clock.speed)
        self._schedule_report(self.truck.next_due(self._clock.now() if late else at))
        if late:
            self.counts.errors["reports skipped, this machine is too slow"] += 1
            return
        report = self.faults.measured(self.truck, at)
        self._notice_network(report.reachable)
        self._take(report)

    def _notice_network(self, reachable: bool) -> None:
        """Take note of the network. On a longer gap half of the trucks lose the connection; the others fall silent."""
        if reachable == (not self._shadowed):
            return
        self._shadowed = not reachable
        if not reachable and self._rng.random() < 0.5:
            self.break_off()
        elif reachable and self.phase is Phase.OFF:
            self._connect_soon(self._rng.uniform(0, 1))
        elif reachable and self.phase is Phase.LIVE:
            self._recover()

    def _take(self, report: Report) -> None:
        going = self.faults.sending(report.fixed_at)
        body = wire.location(
            report,
            clock_offset_s=self.faults.clock_offset_s,
            vendor_items=self.truck.device.vendor_items,
            junk_items=going.junk_items,
        )
        told = _told(report, self.faults.clock_offset_s)
        if self.phase is not Phase.LIVE or self._shadowed or not self.outbox.has_room():
            self._release_held()
            self.outbox.store(body, told)
        else:
            self._post(Parcel(wire.LOCATION, body, (told,)), report, going)
        if going.reboot:
            self.counts.misbehaved["reboot"] += 1
            self.break_off(reboot=True)

    def _post(self, parcel: Parcel, report: Report, going: Sending) -> None:
        """Send a live report, with its sending's faults."""
        positioned = bool(report.status & POSITIONED) and report.lon_e6 != 0
        if going.swapped and positioned and self._held is None:
            self._held = parcel
            self.counts.queued += 1
            return
        if self._held is not None and not positioned:
            self._release_held()
        if going.bad_checksum:
            parcel.spoil_checksum = True
        if going.noise:
            self._misbehave("noise", wire.NOISE)
        chop = going.chopped and not self._tail
        self.outbox.enqueue(parcel)
        self._pump(chop=chop)
        if going.duplicate and self.phase is Phase.LIVE:
            self._repeat(parcel)
        if self._held is not None:
            self.counts.misbehaved["swapped"] += 1
            self._release_held()

    def _release_held(self) -> None:
        """Send the report that was held back to come out of order."""
        if self._held is not None:
            self.counts.queued -= 1
            self.outbox.enqueue(self._held)
            self._held = None
            self._pump()

    def _repeat(self, parcel: Parcel) -> None:
        for flight in self.outbox.in_flight.values():
            if flight.parcel is parcel and parcel.delivered:
                self._misbehave("duplicate", flight.frame)
                return

    def _misbehave(self, kind: str, raw: bytes) -> None:
        self.counts.misbehaved[kind] += 1
        self._write(raw)

    # Sending

    def _recover(self) -> None:
        self.outbox.recover()
        self._pump()

    def _pump(self, *, chop: bool = False) -> None:
        """Send waiting messages, as far as the window allows."""
        while self.phase is Phase.LIVE and not self._shadowed and (parcel := self.outbox.next_to_send()):
            self._dispatch(parcel, chop=chop)
        if self.phase is Phase.LIVE and not self._shadowed and self.outbox.stored and not self.outbox.queue:
            self.outbox.recover()
            self._pump()

    def _dispatch(self, parcel: Parcel, *, chop: bool = False) -> None:
        """Send a message, in as many frames as it needs. Some terminals send heartbeats between two packets."""
        parts = list(split_body(parcel.body, _PART_BYTES)) if len(parcel.body) > 1023 else [parcel.body]
        parcel.parts_open = len(parts)
        for number, part in enumerate(parts, start=1):
            if number > 1 and self.truck.index % 2:
                self._write_frame(Parcel(wire.HEARTBEAT, b""))
            self._write_frame(parcel, part, (len(parts), number) if len(parts) > 1 else None, chop=chop)

    def _write_frame(
        self, parcel: Parcel, body: bytes | None = None, part: tuple[int, int] | None = None, *, chop: bool = False
    ) -> None:
        serial = self._serial
        self._serial = (serial + 1) & 0xFFFF
        frame = encode(
            parcel.message_id,
            parcel.body if body is None else body,
            phone_raw=self._phone,
            serial=serial,
            protocol_version=self.truck.device.protocol_version,
            part=part,
        )
        now = self._wheel.time()
        self.outbox.sent(serial, InFlight(parcel, frame, now, now + self._first_wait_s, self._first_wait_s))
        self._check_later(now + self._first_wait_s)
        if parcel.spoil_checksum:
            parcel.spoil_checksum = False
            self._misbehave("bad checksum", _spoilt(frame))
            return
        self.outbox.deliver(parcel, self._clock.now())
        self._write(frame, chop=chop)

    def _write(self, raw: bytes, *, chop: bool = False) -> None:
        if not (self._link and self._link.transport):
            return
        raw, self._tail = self._tail + raw, b""
        if chop:
            self.counts.misbehaved["chopped"] += 1
            raw, self._tail = raw[:-9], raw[-9:]
            link = self._link
            self._wheel.after(_CHOP_S, lambda: self._write(b"") if link is self._link else None)
        self._link.transport.write(raw)

    def _check_later(self, due: float) -> None:
        if not self._checking:
            self._checking = True
            self._wheel.at(due, self._check_answers)

    def _check_answers(self) -> None:
        """Repeat messages without a timely answer; give the link up when that does not help."""
        self._checking = False
        now = self._wheel.time()
        for flight in self.outbox.in_flight.values():
            if flight.due_at > now or self._shadowed:
                continue
            if flight.tries >= MAX_TRIES:
                self.counts.errors["no answer, link given up"] += 1
                self.break_off()
                return
            self._retransmit(flight, now)
        if self.outbox.in_flight:
            soonest = min(flight.due_at for flight in self.outbox.in_flight.values())
            self._check_later(max(soonest, now + self._first_wait_s / 6))

    def _retransmit(self, flight: InFlight, now: float) -> None:
        flight.tries += 1
        flight.wait_s *= flight.tries
        flight.due_at = now + flight.wait_s
        self.counts.resent += 1
        self.outbox.deliver(flight.parcel, self._clock.now())
        self._write(flight.frame)

    # The connection

    def _connect_soon(self, delay_s: float) -> None:
        if self.phase is Phase.OFF:
            self.phase = Phase.CONNECTING
            self._wheel.after(delay_s, self._connect_now)

    def _connect_now(self) -> None:
        if self._shadowed:
            self.phase = Phase.OFF
        else:
            self._connect(self)

    def connected(self, link: Link) -> None:
        """Register on the new connection, or authenticate with a code that is still known."""
        self.counts.connects += 1
        self._link = link
        if self._code is None:
            self.phase = Phase.REGISTERING
            self._dispatch(Parcel(wire.REGISTER, wire.registration(self.who, self.truck)))
        else:
            self._authenticate(self._code)

    def connect_failed(self, reason: str) -> None:
        """Plan another attempt after a failed connection."""
        self.counts.errors[reason] += 1
        self.phase = Phase.OFF
        self._come_back()

    def disconnected(self, link: Link) -> None:
        """Reconnect after losing the current connection; a replaced one is ignored."""
        if link is not self._link:
            return
        if self.phase is Phase.LIVE:
            self.counts.online -= 1
        self._link = None
        self._tail = b""
        self.phase = Phase.OFF
        self.outbox.connection_lost()
        self._release_held()
        self.counts.reconnects += 1
        self._come_back()

    def _come_back(self) -> None:
        if self._shadowed or not (self.driving or self.outbox.unfinished):
            return
        first, longest = BACK_OFF_S
        wait_s = min(longest, first * 2.0**self._failures)
        self._failures = min(self._failures + 1, 10)
        self._connect_soon(wait_s * self._rng.uniform(0.4, 1.0))

    def _authenticate(self, code: str) -> None:
        self.phase = Phase.AUTHENTICATING
        self._dispatch(Parcel(wire.AUTHENTICATE, wire.authentication(code, self.truck)))

    # Receiving

    def received(self, link: Link, frame: Frame) -> None:
        """Handle a frame from the platform. Raises ``MessageError`` or ``FrameError`` for an invalid one."""
        if link is not self._link:
            return
        if frame.message_id == wire.PLATFORM_REPLY:
            self._acknowledged(Reply.decode(frame.body))
        elif frame.message_id == wire.REGISTER_ANSWER:
            self._registered(RegistrationAnswer.decode(frame.body))
        else:
            self._write_reply(frame)

    def _acknowledged(self, reply: Reply) -> None:
        ok = reply.result in _ACCEPTED
        flight = self.outbox.answered(reply.ack_serial, ok=ok)
        if flight is None:
            return
        if reply.ack_id == wire.AUTHENTICATE:
            self._admitted(ok=ok)
        elif not ok:
            self.counts.errors[f"0x{reply.ack_id:04x} answered with {reply.result}"] += 1
        elif flight.parcel.reports:
            self.counts.latencies.add(self._wheel.time() - flight.sent_at)
            self._pump()

    def _registered(self, answer: RegistrationAnswer) -> None:
        if self.outbox.answered(answer.ack_serial, ok=True) is None:
            return
        if answer.result == 0:
            self._code = answer.auth_code
            self._authenticate(answer.auth_code)
        else:
            self.counts.errors[f"registration answered with {answer.result}"] += 1
            self.break_off()

    def _admitted(self, *, ok: bool) -> None:
        if not ok:
            self.counts.errors["authentication refused"] += 1
            self.break_off(reboot=True)
            return
        self.phase = Phase.LIVE
        self._failures = 0
        self.counts.online += 1
        if not self._shadowed:
            self._write_frame(Parcel(wire.HEARTBEAT, b""))
            self._recover()

    def _write_reply(self, frame: Frame) -> None:
        """Answer a command as unsupported, so that the platform stops asking."""
        reply = Reply(frame.serial, frame.message_id, 3)
        version = self.truck.device.protocol_version
        raw = encode(
            wire.TERMINAL_REPLY, reply.encode(), phone_raw=self._phone, serial=self._serial, protocol_version=version
        )
        self._serial = (self._serial + 1) & 0xFFFF
        self._write(raw)


def _told(report: Report, clock_offset_s: int) -> Told:
    return Told(
        order=0,
        received_at=0.0,
        fixed_at=report.fixed_at + clock_offset_s,
        lon_e6=report.lon_e6,
        lat_e6=report.lat_e6,
        speed_dkmh=report.speed_dkmh,
        alarms=report.alarms,
        camera_event=report.camera_event,
        abnormal=report.abnormal,
        status=report.status,
        backfilled=0,
    )


def _spoilt(frame: bytes) -> bytes:
    """Flip one bit of the frame, without making a flag or an escape."""
    return frame[:3] + bytes((frame[3] ^ 0x20,)) + frame[4:]
