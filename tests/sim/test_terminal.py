"""A terminal's conversation follows JT/T 808, whatever the network does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

from gateway.jt808.codec.frames import Frame
from gateway.jt808.codec.location import fix_of
from gateway.jt808.codec.messages import LocationBatch
from sim.counts import Counts
from sim.faults import FaultRates, Faults
from sim.fleet import Fleet
from sim.habits import DriverMix
from sim.ledger import Ledger
from sim.registry_lines import identity
from sim.scenarios import Scenario
from sim.service_clock import ServiceClock
from sim.terminal import Terminal
from sim.truck import Report, Truck
from sim.wheel import Wheel
from tests.patience import PATIENCE_S
from tests.sim.fake_platform import CODE, FakePlatform
from tests.sim.fakes import NOON, china

HEARTBEAT, REGISTER, AUTHENTICATE, LOCATION, BATCH = 0x0002, 0x0100, 0x0102, 0x0200, 0x0704
FAST = 100.0
"""Speed-up: one report every 0.1 real seconds."""


class ScriptedTruck(Truck):
    """A truck that drives into a dead zone when the test says so."""

    covered = True

    def report(self, at: int) -> Report:
        return super().report(at)._replace(reachable=self.covered)


class Drive:
    """A terminal on its platform."""

    def __init__(self, platform: FakePlatform, rates: FaultRates, *, index: int, first_wait_s: float) -> None:
        self.platform = platform
        self.counts = Counts()
        self.fleet = Fleet(
            china(0.0),
            Scenario("test", "for a test", faults=rates),
            seed=1,
            vehicles=1,
            interval_s=10,
            clock=ServiceClock(NOON, FAST, asyncio.get_running_loop().time),
            address=("127.0.0.1", platform.port),
        )
        self.truck = ScriptedTruck(china(0.0), seed=1, index=index, mix=DriverMix(), period_s=10)
        self.wheel = Wheel()
        self.terminal = Terminal(
            self.truck,
            identity(1, index),
            Faults(rates, seed=1, index=index),
            wheel=self.wheel,
            clock=ServiceClock(NOON, FAST, asyncio.get_running_loop().time),
            counts=self.counts,
            ledger=Ledger(100_000),
            connect=self.fleet.dial,
            first_wait_s=first_wait_s,
        )

    async def until(self, enough: Callable[[], bool]) -> None:
        """Waits for something inside the terminal, looking whenever its wheel turns."""
        async with asyncio.timeout(PATIENCE_S):
            while not enough():
                turned = asyncio.Event()
                self.wheel.after(0.01, turned.set)
                await turned.wait()

    async def stored(self, count: int) -> None:
        await self.until(lambda: self.counts.stored >= count)

    async def finish(self) -> None:
        self.terminal.finish()
        await self.until(lambda: not self.counts.unfinished)


@asynccontextmanager
async def driving(
    platform: FakePlatform, rates: FaultRates | None = None, *, index: int = 0, first_wait_s: float = 3.0
) -> AsyncIterator[Drive]:
    await platform.start()
    drive = Drive(platform, rates or FaultRates(), index=index, first_wait_s=first_wait_s)
    drive.terminal.start()
    try:
        yield drive
    finally:
        drive.terminal.close()
        drive.wheel.close()
        await drive.fleet.close()
        await platform.stop()


def fix_times(frames: list[Frame]) -> list[int]:
    return [fix_of(frame.body, frame.phone).fixed_at for frame in frames]


def live_times(platform: FakePlatform) -> list[int]:
    return fix_times(platform.of(LOCATION))


async def test_it_registers_authenticates_with_the_code_and_reports_every_interval() -> None:
    platform = FakePlatform()
    async with driving(platform) as drive:
        await platform.until(lambda: len(platform.of(LOCATION)) >= 5)
        assert [frame.message_id for frame in platform.frames[:2]] == [REGISTER, AUTHENTICATE]
        assert CODE.encode() in platform.frames[1].body
        assert [frame.serial for frame in platform.frames] == list(range(len(platform.frames)))
        times = live_times(platform)
        assert {b - a for a, b in pairwise(times)} == {10}
        await drive.finish()


async def test_a_2019_terminal_speaks_the_2019_layout() -> None:
    index = next(
        i
        for i in range(50)
        if ScriptedTruck(china(0.0), seed=1, index=i, mix=DriverMix(), period_s=10).device.protocol_version
    )
    platform = FakePlatform()
    async with driving(platform, index=index):
        await platform.until(lambda: len(platform.of(LOCATION)) >= 2)
        assert {frame.protocol_version for frame in platform.frames} == {1}
        assert {frame.phone for frame in platform.frames} == {identity(1, index).phone}


async def test_only_what_was_acknowledged_enters_the_ledger_and_in_the_order_of_arrival() -> None:
    platform = FakePlatform()
    async with driving(platform) as drive:
        await platform.until(lambda: len(platform.of(LOCATION)) >= 5)
        platform.answers = lambda frame: False
        await platform.until(lambda: len(platform.of(LOCATION)) >= 8)
        assert 4 <= len(drive.terminal.ledger) <= 5
        assert [told.fixed_at for told in drive.terminal.ledger.reports()] == live_times(platform)[
            : len(drive.terminal.ledger)
        ]


async def test_what_gets_no_answer_is_sent_again_with_the_same_serial_number_and_content() -> None:
    seen: set[int] = set()

    def second_time(frame: Frame) -> bool:
        if frame.message_id != LOCATION or frame.serial in seen:
            return True
        seen.add(frame.serial)
        return False

    platform = FakePlatform()
    platform.answers = second_time
    async with driving(platform, first_wait_s=0.15) as drive:
        await platform.until(lambda: len(drive.terminal.ledger) >= 5)
        by_serial: dict[int, set[bytes]] = {}
        for frame in platform.of(LOCATION):
            by_serial.setdefault(frame.serial, set()).add(frame.body)
        assert all(len(bodies) == 1 for bodies in by_serial.values())
        assert platform.connections == 1
        assert drive.counts.resent >= 5


async def test_a_link_without_answers_is_given_up_and_everything_goes_out_again_on_the_next() -> None:
    platform = FakePlatform()
    platform.answers = lambda frame: frame.message_id != LOCATION
    async with driving(platform, first_wait_s=0.02) as drive:
        await platform.until(lambda: platform.connections >= 2)
        assert drive.counts.errors["no answer, link given up"] >= 1
        platform.answers = lambda frame: True
        await platform.until(lambda: len(drive.terminal.ledger) >= 5)
        ledger = [told.fixed_at for told in drive.terminal.ledger.reports() if not told.backfilled]
        assert ledger == sorted(set(live_times(platform)))[: len(ledger)]


async def test_after_a_broken_connection_the_unanswered_go_first_then_the_stored_as_backfill_then_the_newest() -> None:
    platform = FakePlatform()
    async with driving(platform) as drive:
        await platform.until(lambda: len(platform.of(LOCATION)) >= 2)
        platform.answers = lambda frame: frame.message_id != LOCATION
        await platform.until(lambda: len(platform.of(LOCATION)) >= 5)
        before = platform.of(LOCATION)
        unanswered = before[-3:]
        # The link breaks, and for a while the platform lets nobody in.
        platform.answers = lambda frame: False
        platform.hang_up()
        await platform.until(
            lambda: platform.connections >= 2 and drive.counts.stored >= 0 and len(platform.frames) > 0
        )
        await drive.stored(3)
        platform.answers = lambda frame: True
        platform.frames.clear()
        platform.hang_up()
        await platform.until(lambda: bool(platform.of(BATCH)) and len(platform.of(LOCATION)) >= 4)
        sent = [frame for frame in platform.frames if frame.message_id in (LOCATION, BATCH)]
        assert [frame.body for frame in sent[:3]] == [frame.body for frame in unanswered]
        batch = LocationBatch.decode(sent[3].body)
        assert batch.backfilled
        assert batch.count == len(batch.bodies) >= 2
        newest = fix_times([sent[4]])[0]
        assert sent[4].message_id == LOCATION
        assert newest > max(fix_of(body, "").fixed_at for body in batch.bodies)
        await drive.finish()
        backfilled = [told for told in drive.terminal.ledger.reports() if told.backfilled]
        assert len(backfilled) == drive.counts.backfilled >= 2


async def test_a_platform_that_is_killed_and_comes_back_gets_every_report() -> None:
    platform = FakePlatform()
    async with driving(platform) as drive:
        await platform.until(lambda: len(platform.of(LOCATION)) >= 3)
        await platform.stop()
        await drive.stored(4)
        await platform.start()
        await platform.until(lambda: len(platform.of(BATCH)) >= 1 and len(platform.of(LOCATION)) >= 6)
        await drive.finish()
        times = [told.fixed_at for told in drive.terminal.ledger.reports()]
        assert times == list(range(times[0], times[0] + 10 * len(times), 10))
        assert drive.counts.unfinished == 0
        assert drive.counts.errors["connection refused"] >= 1


async def test_a_dead_zone_is_filled_in_afterwards() -> None:
    platform = FakePlatform()
    async with driving(platform) as drive:
        await platform.until(lambda: len(platform.of(LOCATION)) >= 2)
        drive.truck.covered = False
        await drive.stored(4)
        assert not platform.of(BATCH)
        drive.truck.covered = True
        await platform.until(lambda: bool(platform.of(BATCH)))
        bodies = LocationBatch.decode(platform.of(BATCH)[0].body).bodies
        assert len(bodies) >= 3
        await drive.finish()
        times = [told.fixed_at for told in drive.terminal.ledger.reports()]
        assert times == list(range(times[0], times[0] + 10 * len(times), 10))


async def test_a_heart_beats_between_the_packets_of_some_terminals() -> None:
    platform = FakePlatform()
    async with driving(platform, index=1) as drive:
        drive.terminal.outbox.splits = True
        await platform.until(lambda: len(platform.of(LOCATION)) >= 1)
        drive.truck.covered = False
        await drive.stored(30)
        drive.truck.covered = True
        await platform.until(lambda: any(frame.part == (2, 2) for frame in platform.of(BATCH)))
        first, last = platform.of(BATCH)[:2]
        assert (first.part, last.part) == ((2, 1), (2, 2))
        assert [frame.serial for frame in platform.of(HEARTBEAT)][-1] == first.serial + 1 == last.serial - 1
        await drive.finish()
        assert drive.counts.acked == drive.counts.sent


async def test_a_drive_that_ends_in_a_dead_zone_still_delivers_everything() -> None:
    platform = FakePlatform()
    async with driving(platform) as drive:
        await platform.until(lambda: len(platform.of(LOCATION)) >= 2)
        drive.truck.covered = False
        await drive.stored(3)
        await drive.finish()
        assert drive.counts.unfinished == 0
        assert drive.counts.acked == drive.counts.sent


async def test_a_reboot_registers_again_and_counts_from_zero() -> None:
    platform = FakePlatform()
    async with driving(platform, FaultRates(reboot=0.3)) as drive:
        await platform.until(lambda: len(platform.of(REGISTER)) >= 3)
        assert {frame.serial for frame in platform.of(REGISTER)} == {0}
        assert drive.counts.misbehaved["reboot"] >= 2


async def test_a_wrong_clock_shows_in_what_is_sent_and_in_the_ledger() -> None:
    platform = FakePlatform()
    async with driving(platform, FaultRates(clock_offsets=((1.0, -7 * 3600),))) as drive:
        await platform.until(lambda: len(drive.terminal.ledger) >= 2)
        told = drive.terminal.ledger.reports()[0]
        assert told.fixed_at == live_times(platform)[0]
        assert -7 * 3600 - 60 < told.fixed_at - told.received_at <= -7 * 3600


async def test_in_the_dirtiest_fleet_the_ledgers_order_is_the_order_of_arrival() -> None:
    platform = FakePlatform()
    await platform.start()
    rates = FaultRates(
        duplicate=0.2, swapped=0.2, bad_checksum=0.1, noise=0.2, chopped=0.3, junk_items=0.3, reboot=0.02, no_fix=0.1
    )
    fleet = Fleet(
        china(6.0),
        Scenario("test", "for a test", faults=rates),
        seed=2,
        vehicles=20,
        interval_s=10,
        clock=ServiceClock(NOON, FAST, asyncio.get_running_loop().time),
        address=("127.0.0.1", platform.port),
        first_wait_s=0.3,
    )
    try:
        await fleet.ramp()
        await platform.until(lambda: len(platform.of(LOCATION)) >= 600)
        fleet.finish()
        assert await fleet.drain(20)
        assert platform.unreadable >= 20
        for terminal in fleet.terminals:
            phone = terminal.who.phone
            arrived = dict.fromkeys(fix_times([frame for frame in platform.of(LOCATION) if frame.phone == phone]))
            assert [told.fixed_at for told in terminal.ledger.reports() if not told.backfilled] == list(arrived)
    finally:
        await fleet.close()
        await platform.stop()
