"""The steps of trucks and platforms; each acknowledged report must be kept and shown."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, Final

import msgpack

from torture.caller import call
from torture.cast import BUSINESSES, TRUCKS, vehicle_key
from torture.machine import FEED_KEY
from torture.requests import Request
from torture.truck import Truck
from torture.watch import Violation

if TYPE_CHECKING:
    from torture.drama import Drama

PERIOD_S: Final = 10.0
SHORT_SILENCE_S: Final = 1_000.0
HOUR_S: Final = 3_600
MAX_WRONG_HOURS: Final = 20
BURST: Final = 400
"""Reports of a burst: more than a mailbox holds."""


class FleetPlay:
    """Every step of trucks."""

    def __init__(self, drama: Drama) -> None:
        self.drama = drama
        self.trucks = [
            Truck(number, drama.network, drama.tracks.by_terminal[terminal])
            for number, terminal in enumerate(drama.tracks.by_terminal)
        ]

    @property
    def acknowledged(self) -> int:
        return sum(truck.acknowledged for truck in self.trucks)

    async def step(self, kind: str, a: int, b: int, c: int, chance: Random) -> None:
        truck = self.trucks[a % TRUCKS]
        match kind:
            case "drive":
                await self.drive(truck, 1 + b % 5, chance, again=c % 4 == 0)
            case "alarm":
                truck.emergency = not truck.emergency
                await self.drive(truck, 1 + b % 2, chance)
            case "stale":
                late = truck.measure(self.drama.now(), drives_m=0, late_s=20 + b % 200)
                await truck.send([late], chance)
            case "backfill":
                await self._backfill(truck, 1 + b % 4, chance)
            case "jump_about" if self._would_notice(truck):
                await self._send(truck, [truck.measure(self.drama.now(), drives_m=1_000_000)], chance)
                truck.lon_e6 -= 10_000_000
            case "wrong_clock":
                wrong = truck.clock_offset_s == 0
                truck.clock_offset_s = (b % MAX_WRONG_HOURS - MAX_WRONG_HOURS // 2) * HOUR_S if wrong else 0
                await self.drive(truck, 6, chance, period_s=30.0)
            case "cut_truck":
                self.drama.tried["a terminal's connection is cut"] += 1
                truck.cut()
            case "noise":
                self.drama.tried["a terminal sends nonsense"] += 1
                truck.shout(chance.randbytes(1 + b % 3_000))
            case "look_at_truck":
                await self.look(a % TRUCKS)
            case "feed":
                await self._feed(b, c, chance)
            case _:
                pass

    def _would_notice(self, truck: Truck) -> bool:
        """Tell whether the service would notice a false position.

        After a long silence a truck may be anywhere, and a truck that begins at a wrong place is believed.
        """
        track = self.drama.tracks.of(truck.number)
        return track is not None and track.newest is not None and self.drama.now() - track.fixed_at < SHORT_SILENCE_S

    async def drive(
        self, truck: Truck, reports: int, chance: Random, *, period_s: float = PERIOD_S, again: bool = False
    ) -> None:
        for _ in range(reports):
            await self.drama.advance(period_s)
            sent = truck.measure(self.drama.now())
            await self._send(truck, [sent, sent] if again else [sent], chance)

    async def _backfill(self, truck: Truck, reports: int, chance: Random) -> None:
        stored = [
            truck.measure(self.drama.now(), drives_m=0, late_s=30 * (1 + number), backfilled=True)
            for number in range(reports)
        ]
        await self._send(truck, stored, chance)

    async def _send(self, truck: Truck, what: list[Any], chance: Random) -> None:
        await truck.send(what, chance)
        if truck.unacknowledged and self.drama.is_calm:
            raise Violation(f"truck {truck.number}: no acknowledgement in fine weather")

    # -- platforms ---------------------------------------------------------------------------------------------------

    async def _feed(self, b: int, c: int, chance: Random) -> None:
        """Post a batch of all trucks, or far too much of one; some rows are malformed."""
        await self.drama.advance(PERIOD_S)
        if b % 11 == 0:
            rows = self.burst(c % TRUCKS)
        else:
            rows = [list(truck.row(self.drama.now())) for truck in self.trucks]
        if b % 7 == 0:
            rows.insert(c % len(rows), ["broken", chance.random()])
        await self.post(rows)

    def burst(self, number: int) -> list[list[Any]]:
        """Report more of one truck than its mailbox holds."""
        self.drama.tried["a burst of reports"] += 1
        rows: list[list[Any]] = []
        for _ in range(BURST):
            self.drama.jump(1.0)
            rows.append(list(self.trucks[number].row(self.drama.now(), drives_m=15)))
        return rows

    async def post(self, rows: list[list[Any]]) -> None:
        """Post to the feed; accepted rows must be durable."""
        drama = self.drama
        content: bytes = msgpack.packb(rows)
        headers = {"X-Feed-Key": FEED_KEY, "Content-Type": "application/msgpack"}
        answer = await call(drama.network, "POST", "/api/v1/telemetry", body=content, headers=headers)
        drama.must_answer(answer)
        if not answer.is_good:
            if not answer.tells_nothing or answer.status == 500:
                raise Violation(f"the feed is refused: {answer.status} {answer.code}")
            return
        refused = {each["index"] for each in answer.body["rejected"]}
        for number, row in enumerate(rows):
            if number not in refused and (f"{row[1]}/{row[9]}", row[2]) not in drama.tracks.by_terminal[row[0]].seen:
                raise Violation("the feed's row is accepted, but not in the log")

    # -- views -------------------------------------------------------------------------------------------------------

    async def look(self, number: int) -> None:
        """Look at the owner's page of a truck, to the second (R32)."""
        drama = self.drama
        request = Request("GET", f"/api/v1/owner/vehicles/{vehicle_key(number)}")
        answer = await drama.household.call_as(BUSINESSES[number % 2], request)
        if answer.tells_nothing:
            drama.must_answer(answer)
        elif not answer.is_good:
            raise Violation(f"an owner's vehicle: {answer.status} {answer.code}")
        elif drama.is_folded:
            drama.check_place(number, answer.body)
