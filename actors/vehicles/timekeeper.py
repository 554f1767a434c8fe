"""Keeps the system's clock right over steps of the machine's (R50): by the fleet's word, by patience, and over
restarts.

``RealClock`` sees a step of the machine's clock and goes on without it. This module decides when the machine is
believed after all. Either several vehicles agree with it, or it has run evenly for ten minutes and no vehicle
contradicts it.

A process that starts while the machine's clock is wrong has seen no step. So the store keeps the difference between our
time and a clock that is never set and goes on while the machine runs. On another machine, or after a reboot, the store
still tells at least what time it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from actors.system.clock import STEP_S, RealClock, Step, VirtualClock
from actors.vehicles.recovery import newest_time
from actors.vehicles.vehicle import Fleet
from domain.vehicle.fix import Fix
from persistence.records import decode, encode
from persistence.store import Put, Store, StoreError, StoreFormatError

log = logging.getLogger(__name__)

KIND: Final = "clock"
KEY: Final = "ours"
LOOK_S: Final = 1.0
"""Real seconds between two looks at the machine's clock."""
SAVE_S: Final = 60.0
"""Seconds of our clock between two notes of it in the store."""
LONG_S: Final = 86_400.0
"""The longest pause between two processes that is not told at the start; a longer one may be a wrong clock."""
SETTLES_S: Final = 600.0
"""Seconds of even running after which the machine's clock is believed, unless the fleet contradicts it."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """Our time as a process left it."""

    boot: str
    """The name of the machine since its last start; empty where it can't be told."""
    offset_s: float
    """Our time minus the steady clock of that machine."""
    at: float
    speed: float = 1.0


class Timekeeper:
    """A process's timekeeper; it has nothing to do on a virtual clock, nor on a fast one."""

    def __init__(self, clock: RealClock | VirtualClock, store: Store, fleet: Fleet, *, boot: str) -> None:
        """Prepare the timekeeper; ``boot`` names the machine since its last start, empty where that can't be told."""
        self._clock = clock
        self._store = store
        self._fleet = fleet
        self._boot = boot
        self._step: Step | None = None
        self._saved: Anchor | None = None

    def mark(self, received_at: float, fixes: Sequence[Fix]) -> Sequence[Fix]:
        """Return the fixes as they go into the log, marked if they came while our clock was in doubt."""
        fleet = self._fleet
        if not isinstance(self._clock, RealClock) or self._clock.step is None:
            return fleet.time.mark(fixes, received_at, machine_ahead_s=0.0, online=fleet.online)
        self._notice(self._clock)
        ahead_s = self._clock.machine_ahead_s
        return fleet.time.mark(fixes, received_at, machine_ahead_s=ahead_s, online=fleet.online)

    async def resume(self) -> None:
        """Go on from the time that the process before this one left. Raises ``StoreUnavailable``."""
        clock = self._clock
        if not isinstance(clock, RealClock):
            return
        anchor = await self._anchor()
        if clock.speed == 1 and anchor is not None and anchor.speed == 1:
            self._go_on_from(anchor, clock)
        elif clock.speed == 1 and (newest := await newest_time(self._store) or 0.0) - clock.now() > STEP_S:
            log.warning("the newest report in the store was received %.0f s from now", newest - clock.now())
        self.look()
        await self.save()

    async def run(self) -> None:
        """Look at the clock until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()
            if self.is_due():
                await self.save()

    def look(self) -> None:
        """Notice a step, and decide whether the machine is to be believed."""
        clock, time = self._clock, self._fleet.time
        if not isinstance(clock, RealClock) or clock.is_settled:
            self._step = None
            return
        self._notice(clock)
        says = time.says
        if says == "machine":
            reason = "the fleet agrees with the machine's clock"
        elif says is None and clock.even_s >= SETTLES_S:
            reason = f"the machine's clock has run evenly for {SETTLES_S / 60:.0f} minutes"
        else:
            return
        clock.believe_machine(reason)
        time.begin_anew()

    def _notice(self, clock: RealClock) -> None:
        """Notice a step; after each the fleet is asked anew."""
        if clock.step is not self._step:
            self._step = clock.step
            self._fleet.time.begin_vote()

    # -- over restarts -----------------------------------------------------------------------------------------------

    def is_due(self) -> bool:
        """Tell whether the store's note of our time is to be written again."""
        clock, saved = self._clock, self._saved
        if not isinstance(clock, RealClock):
            return False
        if saved is None:
            return True
        return abs(clock.now() - saved.at) >= SAVE_S * clock.speed or abs(clock.offset_s - saved.offset_s) > LOOK_S

    def _go_on_from(self, anchor: Anchor, clock: RealClock) -> None:
        if self._boot and anchor.boot == self._boot:
            clock.resume(anchor.offset_s)
            return
        passed_s = clock.now() - anchor.at
        if passed_s < -STEP_S:
            clock.resume(clock.offset_s - passed_s)
        elif passed_s > LONG_S:
            log.warning("the service last ran %.0f hours ago, if the machine's clock is right", passed_s / 3600)

    async def _anchor(self) -> Anchor | None:
        document = (await self._store.get(KIND, (KEY,))).get(KEY)
        try:
            return None if document is None else decode(document.record, Anchor)
        except StoreFormatError as error:
            log.error("what time it was can't be read: %s", error)
            return None

    async def save(self) -> None:
        """Note our time in the store; where that fails, later."""
        clock = self._clock
        if not isinstance(clock, RealClock):
            return
        anchor = Anchor(self._boot, clock.offset_s, clock.now(), clock.speed)
        try:
            await self._store.commit([Put(KIND, KEY, encode(anchor))])
            self._saved = anchor
        except StoreError as error:
            log.warning("what time it is is noted later: %s", error)
