"""The machine that the service runs on: its disk and its clock outlive every process that is killed on it."""

from __future__ import annotations

import asyncio
from asyncio import events
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
from random import Random
from typing import Any, Final, Protocol

from argon2 import PasswordHasher

from actors.people.household import Household
from actors.system.clock import RealClock, VirtualClock
from actors.system.runtime import Dispatcher
from actors.system.supervisor import Supervisor
from actors.vehicles.checkpoints import Checkpointer
from actors.vehicles.directory import Directory
from actors.vehicles.vehicle import Fleet
from gateway.ingest import Ingest
from gateway.jt808.server import Gateway
from persistence.store import Store, StoreError
from settings import Settings
from torture.faulty_store import FaultyStore, Weather
from torture.loop import PROCESS, Process, VirtualLoop
from torture.memory_store import Disk

FEED_KEY: Final = "feed-key-of-the-drama"
HTTP_PORT: Final = 8080
JT808_PORT: Final = 8808
CHEAP: Final = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
START_PATIENCE_S: Final = 120.0
STOP_PATIENCE_S: Final = 60.0
MAX_FAREWELLS: Final = 100


class Service(Protocol):
    """The part of ``run.Service`` that is looked into; ``async with`` it."""

    clock: RealClock | VirtualClock
    dispatcher: Dispatcher
    supervisor: Supervisor
    fleet: Fleet
    ingest: Ingest
    directory: Directory
    checkpointer: Checkpointer
    household: Household
    gateway: Gateway


class MakeService(Protocol):
    """Makes a service, to be entered."""

    def __call__(
        self,
        settings: Settings,
        *,
        clock_speed: float,
        read_time: Callable[[], float],
        read_steady: Callable[[], float],
        opening: Callable[[str], Coroutine[Any, Any, Store]],
        hasher: PasswordHasher,
    ) -> AbstractAsyncContextManager[Service]: ...


class DidNotStart(Exception):
    """The service can't begin although nothing stands in its way."""


class Machine:
    """Starts, stops and kills the one service process; ``clock`` is what its processes read."""

    def __init__(self, loop: VirtualLoop, make: MakeService, settings: Settings, began_at: float) -> None:
        self.loop = loop
        self.disk = Disk(Random("disk"))
        self.weather = Weather(Random(0))
        self.service: Service | None = None
        """The service, only while it serves."""
        self.starts = 0
        self.kills = 0
        self._make = make
        self._settings = settings
        self._process: Process | None = None
        self._leaving: asyncio.Event | None = None
        self._now = began_at
        self._wrong_by_s = self._wrong_left_s = 0.0
        self._went_wrong_at = began_at
        self._graveyard: set[asyncio.Task[Any]] = set()
        """Tasks of killed processes: kept, or they would be tidied up while the others play."""

    # -- its clock

    def read_time(self) -> float:
        """Return the true time.

        It moves only by the play, so that naive rules know exactly when each thing was done.
        """
        return self._now

    def read_wall(self) -> float:
        """Return the time as the machine's clock shows it to its processes."""
        return self._now + self._wrong_by_s

    def step_clock(self, seconds: float) -> None:
        """Let time pass; a clock that is wrong is put right before it was wrong for too long."""
        if self._wrong_by_s:
            self._wrong_left_s -= seconds
            if self._wrong_left_s < 0:
                self.put_right()
        self._now += seconds

    def put_wrong(self, by_s: float, *, for_s: float) -> None:
        """Move the machine's clock and nothing else."""
        self._wrong_by_s, self._wrong_left_s = by_s, for_s
        self._went_wrong_at = self._now

    def put_right(self) -> None:
        """Set the machine's clock to the true time again."""
        self._wrong_by_s = 0.0

    def is_wrong_since(self, at: float) -> bool:
        """Tell whether the machine's clock is wrong, and was already at ``at``."""
        return bool(self._wrong_by_s) and self._went_wrong_at < at

    # -- its process

    async def start(self) -> None:
        """Start the service; return when it serves, or was killed while it started. Raises ``DidNotStart``."""
        assert self._process is None
        process = self._process = Process(self._killed)
        self.starts += 1
        ready: asyncio.Future[Service | None] = self.loop.create_future()
        self._ready = ready
        context = copy_context()
        context.run(PROCESS.set, process)
        task = self.loop.create_task(self._live(process, ready), context=context)
        task.add_done_callback(self._broke)
        try:
            async with asyncio.timeout(START_PATIENCE_S):
                self.service = await ready
        except TimeoutError:
            raise DidNotStart("it does not start") from None

    async def _live(self, process: Process, ready: asyncio.Future[Service | None]) -> None:
        leaving = self._leaving = asyncio.Event()

        async def opening(name: str) -> Store:
            return FaultyStore(self.disk, self.weather, process)

        try:
            async with self._make(
                self._settings,
                clock_speed=1.0,
                read_time=self.read_wall,
                read_steady=self.read_time,
                opening=opening,
                hasher=CHEAP,
            ) as service:
                ready.set_result(service)
                await leaving.wait()
        except StoreError as error:  # As in life: it says why, and ends.
            if not ready.done():
                ready.set_result(None)
            else:
                raise DidNotStart(str(error)) from error
        process.kill()

    async def stop(self) -> None:
        """Stop the service cleanly; one that takes too long is killed, as any machine does."""
        if self._process is None or self._leaving is None:
            return
        process = self._process
        self._leaving.set()
        until = self.loop.time() + STOP_PATIENCE_S
        while process.alive and self.loop.time() < until:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.05)
        process.kill()

    def kill(self) -> None:
        """Kill the process now, wherever it stands."""
        if self._process is not None:
            self._process.kill()

    def kill_after(self, callbacks: int | None) -> None:
        """Kill the process after this many more turns; None: not at all."""
        if self._process is not None:
            self._process.fuse = callbacks

    def forget(self) -> None:
        """End the rest of all processes quietly, step by step where one would wait for something on its way out."""
        events._set_running_loop(self.loop)
        try:
            for task in [*self._graveyard, *asyncio.all_tasks(self.loop)]:
                task._log_destroy_pending = False  # type: ignore[attr-defined]  # as asyncio does for what it abandons
                _close(task.get_coro())
                del task
            for generator in list(self.loop.generators):  # Closing a coroutine leaves those it waits for as they are.
                if generator.ag_await is not None:
                    _close(generator.ag_await)
            self._graveyard.clear()
        finally:
            events._set_running_loop(None)

    @property
    def is_up(self) -> bool:
        return self.service is not None and self._process is not None and self._process.alive

    def _broke(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and not self._ready.done():
            self._ready.set_exception(error)

    def _killed(self) -> None:
        self.kills += 1
        self._graveyard.update(asyncio.all_tasks(self.loop))
        self.service = self._process = self._leaving = None
        self.disk.server = None
        self.loop.network.reset()
        if not self._ready.done():
            self._ready.set_result(None)

    _ready: asyncio.Future[Service | None]


def _close(coroutine: Any) -> None:
    for _ in range(MAX_FAREWELLS):
        try:
            coroutine.close()
        except RuntimeError:
            continue
        return
