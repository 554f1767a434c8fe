"""The load of a gateway: thousands of terminals in one process, timed from frame to acknowledgement.

The frames are encoded before the first is sent, and the sockets are driven without an event loop. The load therefore
costs less than the server that it measures. Each connection keeps ``window`` frames unacknowledged and sends one more
for each answer, as the standard's terminals do with a window of 1.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from bench.processes import allow_many_sockets
from domain.vehicle.fix import STATUS_ACC_ON, STATUS_POSITIONED
from gateway.jt808.codec.frames import FLAG, encode, phone_bytes
from gateway.jt808.codec.location import encode_location

LOCATION: Final = 0x0200
FIRST_PHONE: Final = 13_800_000_000
SILENCE_S: Final = 30.0
STEP_E6: Final = 200
"""Millionths of a degree of longitude from one fix to the next, one second later: about 70 km/h."""
READ_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The load's figures."""

    frames: int
    took_s: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        return self.frames / self.took_s


def phone(terminal: int) -> str:
    return str(FIRST_PHONE + terminal)


def frames_of(terminal: int, numbers: range, *, begins_at: int, every_s: int = 1) -> list[bytes]:
    """Encode these fixes of a truck on its way east, one every ``every_s`` from ``begins_at`` (Unix seconds)."""
    phone_raw = phone_bytes(phone(terminal))
    lat_e6 = 30_000_000 + terminal * 100
    frames = []
    for number in numbers:
        body = encode_location(
            fixed_at=begins_at + number * every_s,
            lat_e6=lat_e6,
            lon_e6=105_000_000 + number * every_s * STEP_E6,
            altitude_m=50,
            speed_dkmh=700,
            course_deg=90,
            status=STATUS_ACC_ON | STATUS_POSITIONED,
        )
        frames.append(encode(LOCATION, body, phone_raw=phone_raw, serial=number % 65_536))
    return frames


class Terminal:
    """A connection: its frames to send, and its count of acknowledged ones."""

    def __init__(self, address: tuple[str, int], frames: Sequence[bytes]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.latencies_s: list[float] = []
        self._frames = frames
        self._flags = 0
        self._sent = 0
        self._sent_at: list[float] = []

    def send(self, count: int) -> None:
        """Send the next ``count`` frames, or as many as are left, in one write."""
        batch = self._frames[self._sent : self._sent + count]
        if batch:
            self._sent += len(batch)
            self._sent_at += [time.perf_counter()] * len(batch)
            self.socket.sendall(b"".join(batch))

    def forget_sent(self) -> None:
        """Discard the measurements so far."""
        self.latencies_s.clear()
        self._sent_at.clear()

    def receive(self) -> int:
        """Read, and return the number of frames acknowledged. Raises ``RuntimeError`` when one was refused."""
        data = self.socket.recv(READ_BYTES)
        if not data:
            raise RuntimeError("the server closed a connection")
        if data[-1:] == FLAG and data[-3] != 0 and data[-3] != 0x7D:  # the result stands before the check byte
            raise RuntimeError(f"the server refused a frame: {data.hex()}")
        answers, self._flags = divmod(self._flags + data.count(FLAG), 2)
        now, done = time.perf_counter(), len(self.latencies_s)
        self.latencies_s += [now - at for at in self._sent_at[done : done + answers]]
        return answers


def measured(terminals: Sequence[Terminal], frames: int, took_s: float) -> Acknowledged:
    latencies = sorted(latency for terminal in terminals for latency in terminal.latencies_s)
    return Acknowledged(
        frames, took_s, 1000 * latencies[len(latencies) // 2], 1000 * latencies[len(latencies) * 99 // 100]
    )


def drive(terminals: Sequence[Terminal], frames: int, *, window: int) -> Acknowledged:
    """Send everything, until the last of ``frames`` is acknowledged. Raises ``RuntimeError`` when no answer comes."""
    by_descriptor = {terminal.socket.fileno(): terminal for terminal in terminals}
    poll = select.epoll()
    for descriptor in by_descriptor:
        poll.register(descriptor, select.EPOLLIN)
    started = time.perf_counter()
    for terminal in terminals:
        terminal.send(window)
    left = frames
    while left > 0:
        events = poll.poll(SILENCE_S)
        if not events:
            raise RuntimeError(f"{left} of {frames} frames were not acknowledged within {SILENCE_S:.0f} s")
        for descriptor, _ in events:
            terminal = by_descriptor[descriptor]
            answers = terminal.receive()
            left -= answers
            terminal.send(answers)
    took_s = time.perf_counter() - started
    poll.close()
    return measured(terminals, frames, took_s)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("target", metavar="HOST:PORT")
    parser.add_argument("--connections", type=int, default=2_000)
    parser.add_argument("--frames", type=int, default=200, help="frames per connection")
    parser.add_argument("--skip", type=int, default=0, help="frames of each connection that were sent before")
    parser.add_argument(
        "--begins-at", type=int, required=True, help="time of each connection's first frame, Unix seconds"
    )
    parser.add_argument("--window", type=int, default=1, help="unacknowledged frames per connection")
    options = parser.parse_args()
    allow_many_sockets()
    host, _, port = options.target.rpartition(":")
    numbers = range(options.skip, options.skip + options.frames)
    loads = [frames_of(number, numbers, begins_at=options.begins_at) for number in range(options.connections)]
    terminals = [Terminal((host, int(port)), frames) for frames in loads]
    print("go", flush=True)
    sys.stdin.readline()  # the measuring process says when
    result = drive(terminals, options.connections * options.frames, window=options.window)
    print(json.dumps(asdict(result)), flush=True)


if __name__ == "__main__":
    main()
