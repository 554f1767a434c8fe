"""The fleet: all terminals of a drive, started at a pace, broken off in storms, drained at the end."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from functools import partial
from math import ceil
from typing import Final

from sim.counts import Counts
from sim.faults import Faults
from sim.lead import INTERVAL_S, Lead
from sim.ledger import Ledger
from sim.registry_lines import identity
from sim.scenarios import Scenario
from sim.service_clock import ServiceClock
from sim.terminal import FIRST_WAIT_S, Link, Terminal
from sim.truck import FATIGUE, Truck
from sim.wheel import Wheel
from sim.world import World

RAMP_PER_S: Final = 250
_RAMP_STEP_S: Final = 0.1
_DRAIN_STEP_S: Final = 0.05
_CONNECTING_LIMIT: Final = 200
_CONNECT_TIMEOUT_S: Final = 10.0
_PORTS_PER_ADDRESS: Final = 20_000
MAX_REPORTS: Final = 40_000_000
"""The limit of all ledgers together; a drive ends before it forgets reports."""
_MIN_LEDGER: Final = 64


class Fleet:
    """The terminals of a drive, with one wheel and one set of figures."""

    def __init__(
        self,
        world: World,
        scenario: Scenario,
        *,
        seed: int,
        vehicles: int,
        interval_s: int,
        clock: ServiceClock,
        address: tuple[str, int],
        first_wait_s: float = FIRST_WAIT_S,
        lead: Lead | None = None,
    ) -> None:
        self.counts = Counts()
        self.terminals: list[Terminal] = []
        self.vehicles = vehicles
        self._world = world
        self._scenario = scenario
        self._seed = seed
        self._interval_s = interval_s
        self._clock = clock
        self._address = address
        self._first_wait_s = first_wait_s
        self._lead = lead
        self._order = _first(lead.truck if lead else 0, vehicles)
        self._wheel = Wheel()
        self._connecting = asyncio.Semaphore(_CONNECTING_LIMIT)
        self._dialling: set[asyncio.Task[None]] = set()
        self._ledger_limit = max(_MIN_LEDGER, MAX_REPORTS // vehicles)
        self._driving = True

    async def ramp(self) -> None:
        """Build and start terminal after terminal, at a pace that lets the machine answer."""
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        self._plan_storms()
        while self._driving and len(self.terminals) < self.vehicles:
            due = min(self.vehicles, int((loop.time() - started_at) * RAMP_PER_S) + 1)
            for turn in range(len(self.terminals), min(due, len(self.terminals) + RAMP_PER_S // 5)):
                self._start(self._order[turn])
            await asyncio.sleep(_RAMP_STEP_S)

    def _start(self, index: int) -> None:
        truck = self._truck(index)
        terminal = Terminal(
            truck,
            identity(self._seed, index),
            Faults(self._scenario.faults, seed=self._seed, index=index),
            wheel=self._wheel,
            clock=self._clock,
            counts=self.counts,
            ledger=Ledger(self._ledger_limit),
            connect=self.dial,
            first_wait_s=self._first_wait_s,
        )
        self.terminals.append(terminal)
        terminal.start()

    def _truck(self, index: int) -> Truck:
        mix, lead = self._scenario.drivers, self._lead
        if lead is None or index != lead.truck:
            return Truck(self._world, seed=self._seed, index=index, mix=mix, period_s=self._interval_s)
        interval_s = min(INTERVAL_S, self._interval_s)
        truck = Truck(self._world, seed=self._seed, index=index, mix=mix, period_s=interval_s)
        truck.alarm(FATIGUE, lead.alarm_from, lead.alarm_until)
        return truck

    @property
    def full(self) -> bool:
        """Tell whether a ledger is full, so that the drive has to end."""
        return any(terminal.ledger.full for terminal in self.terminals)

    def finish(self) -> None:
        """Stop generating reports; those held still go out."""
        self._driving = False
        for terminal in self.terminals:
            terminal.finish()

    async def drain(self, timeout_s: float) -> bool:
        """Wait until every message is answered; False when that takes too long."""
        for _ in range(ceil(timeout_s / _DRAIN_STEP_S)):
            if not self.counts.unfinished:
                return True
            await asyncio.sleep(_DRAIN_STEP_S)
        return not self.counts.unfinished

    async def close(self) -> None:
        """End all connections."""
        self._driving = False
        self._wheel.close()
        for terminal in self.terminals:
            terminal.close()
        for task in list(self._dialling):
            task.cancel()
        await asyncio.gather(*self._dialling, return_exceptions=True)
        await asyncio.sleep(0)

    # Connections

    def dial(self, terminal: Terminal) -> None:
        """Connect a terminal, a limited number at a time; ends in its ``connected`` or ``connect_failed``."""
        task = asyncio.get_running_loop().create_task(self._connect(terminal))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _connect(self, terminal: Terminal) -> None:
        host, port = self._address
        loop = asyncio.get_running_loop()
        async with self._connecting:
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                    await loop.create_connection(
                        partial(Link, terminal), host, port, local_addr=self._local_address(terminal.truck.index)
                    )
            except TimeoutError:
                terminal.connect_failed("connecting took too long")
            except OSError as error:
                terminal.connect_failed(_reason(error))

    def _local_address(self, index: int) -> tuple[str, int] | None:
        """Return a further loopback address for each 20,000 terminals on one machine: ports are few."""
        if not self._address[0].startswith("127.") or self.vehicles <= _PORTS_PER_ADDRESS:
            return None
        return f"127.0.0.{2 + index // _PORTS_PER_ADDRESS}", 0

    # Storms

    def _plan_storms(self) -> None:
        if self._scenario.faults.storm_every_s:
            self._wheel.after(self._scenario.faults.storm_every_s, self._storm)

    def _storm(self) -> None:
        if not self._driving:
            return
        for terminal in self.terminals:
            if terminal.faults.in_storms:
                self.counts.misbehaved["storm"] += 1
                terminal.break_off()
        self._plan_storms()


def _first(index: int, count: int) -> Sequence[int]:
    """Return every number below ``count``, this one first."""
    return [index, *(other for other in range(count) if other != index)]


def _reason(error: OSError) -> str:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "too few file descriptors"
    if error.errno == errno.ECONNREFUSED:
        return "connection refused"
    return f"cannot connect: {error.strerror or error}"
