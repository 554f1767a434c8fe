"""Hostile and broken terminals attack a server until told to stop: deaf, garbled, dripping, endless and flooding ones.

With ``--strangers`` they are unregistered terminals instead: each sends little, and all together much.
"""

from __future__ import annotations

import argparse
import os
import select
import socket
import threading
import time
from dataclasses import dataclass
from random import Random
from typing import Final

from bench.load import frames_of, phone
from bench.processes import allow_many_sockets
from gateway.jt808.codec import message_ids as ids
from gateway.jt808.codec.frames import FLAG, encode, phone_bytes

FIRST_STRANGER: Final = 17_700_000_000
FRAMES: Final = 500
"""Frames that a flooding terminal repeats."""
STRANGERS_BYTES_S: Final = 4_000_000
"""Bytes per second of all strangers, in the smallest frames: a quarter of a million a second, beyond one core."""
TICK_S: Final = 0.05
LEAST_PRIORITY: Final = 19
"""The measuring process must not wait for the processor because of this one."""


@dataclass(slots=True)
class Hostile:
    """A connection that repeats the same bytes, as fast as possible or at its pace, and reconnects when it is ended."""

    address: tuple[str, int]
    words: bytes
    listens: bool = False
    pace_bytes_s: float = 0.0
    """0 means as fast as they are taken."""
    owes_bytes: float = 0.0
    at: int = 0
    sock: socket.socket | None = None

    def connect(self) -> socket.socket:
        self.sock = socket.create_connection(self.address)
        self.sock.setblocking(False)
        self.at = 0
        return self.sock

    def act(self) -> None:
        """Send or read once. Raises ``OSError`` when the server closed the connection."""
        assert self.sock is not None
        try:
            said = self.sock.send(
                self.words[self.at : self.at + int(self.owes_bytes)] if self.pace_bytes_s else self.words[self.at :]
            )
            self.at = (self.at + said) % len(self.words)
            self.owes_bytes -= said
            if self.listens:
                self.sock.recv(65_536)
        except BlockingIOError:
            return


def hostile(address: tuple[str, int], number: int, first_terminal: int) -> Hostile:
    """Make one of the five kinds, chosen by number."""
    begins_at, terminal = int(time.time()) - FRAMES, first_terminal + number
    match number % 5:
        case 0:
            heartbeat = encode(ids.HEARTBEAT, b"", phone_raw=phone_bytes(phone(terminal)), serial=1)
            return Hostile(address, heartbeat * FRAMES)
        case 1:
            return Hostile(address, b"".join(FLAG + Random(part).randbytes(50) for part in range(FRAMES)))
        case 2:
            return Hostile(address, frames_of(terminal, range(1), begins_at=begins_at)[0], pace_bytes_s=1.0)
        case 3:
            return Hostile(address, FLAG + b"0" * 65_536)
        case _:
            return Hostile(address, b"".join(frames_of(terminal, range(FRAMES), begins_at=begins_at)), listens=True)


def stranger(address: tuple[str, int], number: int, of: int) -> Hostile:
    """Make an unregistered terminal that sends heartbeats."""
    heartbeat = encode(ids.HEARTBEAT, b"", phone_raw=phone_bytes(str(FIRST_STRANGER + number)), serial=1)
    return Hostile(address, heartbeat * FRAMES, listens=True, pace_bytes_s=STRANGERS_BYTES_S / of)


def torment(crowd: list[Hostile], stop: threading.Event) -> None:
    poll = select.epoll()
    by_descriptor: dict[int, Hostile] = {}

    def connect(one: Hostile) -> None:
        descriptor = one.connect().fileno()
        by_descriptor[descriptor] = one
        if not one.pace_bytes_s:
            poll.register(descriptor, select.EPOLLOUT)

    for one in crowd:
        connect(one)
    print("ready", flush=True)
    paced = [one for one in crowd if one.pace_bytes_s]
    tick_at = time.monotonic()
    while not stop.is_set():
        ready = [by_descriptor[descriptor] for descriptor, _ in poll.poll(TICK_S)]
        if time.monotonic() >= tick_at:
            tick_at += TICK_S
            for one in paced:
                one.owes_bytes += one.pace_bytes_s * TICK_S
            ready += [one for one in paced if one.owes_bytes >= 1]
        for one in ready:
            try:
                one.act()
            except OSError:
                if one.sock is not None:
                    by_descriptor.pop(one.sock.fileno())
                    one.sock.close()
                connect(one)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__)
    parser.add_argument("target", metavar="HOST:PORT")
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument(
        "--first-terminal", type=int, default=0, help="the first of the registered numbers that they use"
    )
    parser.add_argument("--strangers", action="store_true", help="unregistered terminals instead")
    options = parser.parse_args()
    allow_many_sockets()
    os.nice(LEAST_PRIORITY)
    host, _, port = options.target.rpartition(":")
    address, numbers = (host, int(port)), range(options.connections)
    if options.strangers:
        crowd = [stranger(address, number, options.connections) for number in numbers]
    else:
        crowd = [hostile(address, number, options.first_terminal) for number in numbers]
    stop = threading.Event()
    tormenting = threading.Thread(target=torment, args=(crowd, stop))
    tormenting.start()
    input_ended()
    stop.set()
    tormenting.join()


def input_ended() -> None:
    """Return when the starting process closes our standard input, or is gone."""
    while os.read(0, 4096):
        continue


if __name__ == "__main__":
    main()
