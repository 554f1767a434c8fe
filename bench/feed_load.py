"""The load of a feed: a platform that posts each vehicle's next fix, round after round."""

from __future__ import annotations

import argparse
import http.client
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from time import perf_counter, sleep
from typing import Final, Protocol

import msgpack

from bench.load import phone
from bench.subject import FEED_KEY
from domain.vehicle.fix import STATUS_ACC_ON, STATUS_POSITIONED

ROWS: Final = 10_000
"""The most rows of one call: about 400 KB."""
SENDERS: Final = 4
"""Concurrent calls, each for vehicles of its own: a vehicle's fixes come in order."""
INTERVAL_S: Final = 10
MAX_HELD: Final = 5_000_000
"""Fixes packed before the load begins. Further ones would take gigabytes, and are packed during it."""
STEP_E6: Final = 2_000
"""Millionths of a degree of longitude per interval: about 70 km/h."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The load's figures."""

    fixes: int
    took_s: float

    @property
    def rate(self) -> float:
        return self.fixes / self.took_s


class Bodies(Protocol):
    """The bodies that one sender posts, in order."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Drive:
    """A sender's vehicles, which move between rounds.

    They are packed on demand, by another package than the reader's.
    """

    vehicles: range
    rounds: range
    begins_at: int
    interval_s: int = INTERVAL_S

    def __len__(self) -> int:
        return len(self.rounds) * -(-len(self.vehicles) // ROWS)

    def __iter__(self) -> Iterator[bytes]:
        status = STATUS_ACC_ON | STATUS_POSITIONED
        for number in self.rounds:
            driven_s = number * self.interval_s
            fixed_at, lon_e6 = self.begins_at + driven_s, 105_000_000 + driven_s * STEP_E6 // INTERVAL_S
            for first in range(0, len(self.vehicles), ROWS):
                rows = [
                    (phone(vehicle), fixed_at, lon_e6, 30_000_000 + vehicle, 50, 700, 90, 0, status, 0)
                    for vehicle in self.vehicles[first : first + ROWS]
                ]
                yield msgpack.packb(rows)


def bodies(vehicles: range, rounds: range, *, begins_at: int) -> list[bytes]:
    """Pack a whole drive beforehand."""
    return list(Drive(vehicles, rounds, begins_at))


class Sender:
    """A connection that is kept open. Raises ``RuntimeError`` when a fix is not accepted."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=120)

    def post(self, body: bytes) -> None:
        headers = {"Content-Type": "application/msgpack", "X-Feed-Key": FEED_KEY}
        self._connection.request("POST", "/api/v1/telemetry", body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status != 200 or json.loads(answer)["stale"] or json.loads(answer)["rejected"]:
            raise RuntimeError(f"not all was accepted: {response.status} {answer[:500]!r}")


def post_all(address: str, shares: Sequence[Bodies], *, over_s: float = 0.0) -> float:
    """Post each share on its own connection, spread over this many seconds; return the seconds taken."""
    senders = [Sender(address) for _ in shares]
    started = perf_counter()

    def post(number: int, sender: Sender, share: Bodies) -> None:
        for done, body in enumerate(share):
            due_at = started + over_s * (done + number / len(shares)) / len(share)
            sleep(max(0.0, due_at - perf_counter()))
            sender.post(body)

    with ThreadPoolExecutor(len(shares)) as threads:
        list(threads.map(post, range(len(shares)), senders, shares))
    return perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.feed_load", description=__doc__)
    parser.add_argument("target", metavar="HOST:PORT")
    parser.add_argument("--vehicles", type=int, required=True)
    parser.add_argument("--first-round", type=int, default=0)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--begins-at", type=int, required=True, help="time of each vehicle's first fix, Unix seconds")
    parser.add_argument("--rate", type=float, default=0.0, help="fixes per second; default: as fast as they are taken")
    parser.add_argument(
        "--interval", type=int, default=INTERVAL_S, help="seconds between a vehicle's fixes, by their times"
    )
    options = parser.parse_args()
    rounds = range(options.first_round, options.first_round + options.rounds)
    bounds = [options.vehicles * number // SENDERS for number in range(SENDERS + 1)]
    drives = [Drive(range(*share), rounds, options.begins_at, options.interval) for share in pairwise(bounds)]
    fixes = options.vehicles * options.rounds
    shares: list[Bodies] = [*drives] if fixes > MAX_HELD else [list(drive) for drive in drives]
    print("go", flush=True)
    sys.stdin.readline()  # the measuring process says when
    took_s = post_all(options.target, shares, over_s=fixes / options.rate if options.rate else 0.0)
    print(json.dumps(asdict(Taken(fixes, took_s))), flush=True)


if __name__ == "__main__":
    main()
