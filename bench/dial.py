"""Measures how soon terminals that all dial at the same moment are acknowledged, as after a restart of the server."""

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

from bench.load import frames_of
from bench.processes import allow_many_sockets
from gateway.jt808.codec.frames import FLAG

PATIENCE_S: Final = 120.0
ESCAPE: Final = 0x7D


@dataclass(frozen=True, slots=True)
class Dialled:
    """Seconds from the first call to the last one that was accepted, and to the last one that was acknowledged."""

    terminals: int
    connected_s: float
    acknowledged_s: float
    half_acknowledged_s: float


class Caller:
    """A terminal: dials, reports once, waits for the acknowledgement."""

    __slots__ = ("report", "sock")

    def __init__(self, report: bytes) -> None:
        self.report = report
        self.sock = socket.socket()
        self.sock.setblocking(False)

    def dial(self, address: tuple[str, int]) -> None:
        self.sock.connect_ex(address)

    def say(self) -> None:
        """Send the report. Raises ``OSError`` where the call was refused."""
        if error := self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, "the call was refused")
        self.sock.send(self.report)

    def hears(self) -> bool:
        """Read the answer; tell whether it is complete.

        Raises ``RuntimeError`` when the server closed or refused the report.
        """
        answer = self.sock.recv(4096)
        if answer[-1:] != FLAG or answer[-3] not in (0, ESCAPE):
            raise RuntimeError(f"the server answered {answer.hex() or 'nothing'}")
        return True


def dial(callers: Sequence[Caller], address: tuple[str, int]) -> Dialled:
    """Dial all terminals at once. Raises ``RuntimeError`` when some are not acknowledged in time."""
    by_descriptor = {caller.sock.fileno(): caller for caller in callers}
    poll = select.epoll()
    began = time.perf_counter()
    for descriptor, caller in by_descriptor.items():
        caller.dial(address)
        poll.register(descriptor, select.EPOLLOUT)
    connected_s = acknowledged_s = half_s = 0.0
    connected = acknowledged = 0
    while acknowledged < len(callers):
        for descriptor, events in poll.poll(1.0, len(callers)):
            if events & select.EPOLLOUT:
                by_descriptor[descriptor].say()
                poll.modify(descriptor, select.EPOLLIN)
                connected, connected_s = connected + 1, time.perf_counter() - began
            else:
                by_descriptor[descriptor].hears()
                poll.modify(descriptor, 0)
                acknowledged, acknowledged_s = acknowledged + 1, time.perf_counter() - began
                if acknowledged * 2 <= len(callers):
                    half_s = acknowledged_s
        if time.perf_counter() - began > PATIENCE_S:
            raise RuntimeError(f"connected {connected}, acknowledged {acknowledged} of {len(callers)}")
    return Dialled(len(callers), connected_s, acknowledged_s, half_s)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.dial", description=__doc__)
    parser.add_argument("target", metavar="HOST:PORT")
    parser.add_argument("--terminals", type=int, default=10_000)
    parser.add_argument("--begins-at", type=int, required=True, help="time of the reports, Unix seconds")
    options = parser.parse_args()
    allow_many_sockets()
    host, _, port = options.target.rpartition(":")
    callers = [Caller(frames_of(n, range(1), begins_at=options.begins_at)[0]) for n in range(options.terminals)]
    print("go", flush=True)
    sys.stdin.readline()
    print(json.dumps(asdict(dial(callers, (host, int(port))))), flush=True)


if __name__ == "__main__":
    main()
