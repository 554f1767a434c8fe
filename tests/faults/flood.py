"""A platform that offers several times what a service carries, as a process of its own, and tells what was acknowledged.

``python -m tests.faults.flood HTTP KEY SINCE SECONDS`` prints one JSON object: see ``Told``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from time import monotonic
from typing import Final

import aiohttp
import msgspec

from domain.vehicle.fix import Fix
from sim.registry_lines import identity
from tests.e2e.processes import SEED
from tests.e2e.trucks import report

FIRST_TRUCK: Final = 100
LANES: Final = 16
TRUCKS_A_LANE: Final = 100
SECONDS_A_BATCH: Final = 12
"""Seconds of each truck of a lane in a batch: 1,200 rows."""
STUTTERING: Final = (0, 1, 2, 3)
"""Trucks whose one position comes with every batch, again and again: more often than a busy vehicle's mailbox holds."""
COPIES: Final = 300
LATEST_S: Final = 1_000
EMERGENCY_EVERY: Final = 10
MEASURED_S: Final = 1.0
MEASURING_LANES: Final = 3
TIMES: Final = 5
"""More than three, since what is offered while it is busy is less than was meant."""
ROUNDS: Final = 6
"""A machine that was busy while it was measured carries more than that: then twice as much is offered."""


class Told(msgspec.Struct):
    """Rows a second that were carried when no more was offered; then what was offered, and what became of it."""

    carried_per_s: float
    offered_per_s: float
    accepted: int
    refused: int
    acknowledged: dict[int, int]
    """The newest second of each truck."""
    emergencies: dict[int, list[int]]
    """Each truck's seconds, those that were acknowledged."""


class Lane:
    """Sends the same batch until it is accepted, then the next: no truck's reports overtake each other."""

    def __init__(self, trucks: range, *, since: int) -> None:
        self.accepted = self.refused = 0
        self.acknowledged = -1
        self.emergencies: list[int] = []
        self.trucks = trucks
        self._since = since
        self._body = b""

    @property
    def rows(self) -> int:
        return len(self.trucks) * SECONDS_A_BATCH + len(STUTTERING) * COPIES

    async def run(self, http: aiohttp.ClientSession, url: str, *, until: float, pause_s: float) -> None:
        """A batch every ``pause_s`` at most, until that time of ``monotonic``."""
        due = monotonic()
        while (due := due + pause_s) < until and monotonic() < until and self.acknowledged < LATEST_S:
            await asyncio.sleep(due - monotonic())
            self._body = self._body or msgspec.msgpack.encode(list(self._batch()))
            async with http.post(url, data=self._body) as answer:
                await answer.read()
            if answer.status == 503:
                self.refused += self.rows
                continue
            answer.raise_for_status()
            self._accepted()

    def _accepted(self) -> None:
        self.accepted += self.rows
        seconds = self._span()
        self.emergencies += [second for second in seconds if second % EMERGENCY_EVERY == 0]
        self.acknowledged = seconds[-1]
        self._body = b""

    def _span(self) -> range:
        return range(self.acknowledged + 1, self.acknowledged + 1 + SECONDS_A_BATCH)

    def _batch(self) -> Iterator[Fix]:
        for second in self._span():
            for index in self.trucks:
                yield self._row(index, second, emergency=second % EMERGENCY_EVERY == 0)
        for index in STUTTERING:
            yield from (self._row(index, 0, emergency=False),) * COPIES

    def _row(self, index: int, second: int, *, emergency: bool) -> Fix:
        return report(index, self._since, second, emergency=emergency).as_row(identity(SEED, index).phone)


async def flood(address: str, key: str, since: int, seconds: float) -> Told:
    """Measures what is carried, then offers ``TIMES`` that."""
    firsts = range(FIRST_TRUCK, FIRST_TRUCK + LANES * TRUCKS_A_LANE, TRUCKS_A_LANE)
    lanes = [Lane(range(first, first + TRUCKS_A_LANE), since=since) for first in firsts]
    headers = {"Content-Type": "application/msgpack", "X-Feed-Key": key}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as http:
        url = f"http://{address}/api/v1/telemetry"
        await _run(lanes[:MEASURING_LANES], http, url, seconds=0.5, pause_s=0.0)  # every vehicle is awake
        before = sum(lane.accepted for lane in lanes)
        await _run(lanes[:MEASURING_LANES], http, url, seconds=MEASURED_S, pause_s=0.0)
        carried_per_s = max(sum(lane.accepted for lane in lanes) - before, lanes[0].rows) / MEASURED_S
        calm = sum(lane.accepted for lane in lanes)
        pause_s = sum(lane.rows for lane in lanes) / (TIMES * carried_per_s)
        accepted = refused = 0
        flooding = monotonic()
        for number in range(ROUNDS):
            await _run(lanes, http, url, seconds=seconds, pause_s=pause_s / 2**number)
            accepted, refused = sum(lane.accepted for lane in lanes) - calm, sum(lane.refused for lane in lanes)
            if refused > accepted:
                break
        seconds = monotonic() - flooding
    return Told(
        carried_per_s=carried_per_s,
        offered_per_s=(accepted + refused) / seconds,
        accepted=accepted,
        refused=refused,
        acknowledged={index: lane.acknowledged for lane in lanes for index in lane.trucks},
        emergencies={index: lane.emergencies for lane in lanes for index in lane.trucks},
    )


async def _run(lanes: list[Lane], http: aiohttp.ClientSession, url: str, *, seconds: float, pause_s: float) -> None:
    until = monotonic() + seconds
    await asyncio.gather(*(lane.run(http, url, until=until, pause_s=pause_s) for lane in lanes))


if __name__ == "__main__":
    http_address, feed_key, since_s, for_s = sys.argv[1:]
    print(msgspec.json.encode(asyncio.run(flood(http_address, feed_key, int(since_s), float(for_s)))).decode())
