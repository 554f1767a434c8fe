"""An event loop on virtual time for the drama: no sockets, no threads, the same order for the same seed.

Processes live on it as groups of callbacks. A context variable says to which process a callback belongs. A process that
was killed is never called again, wherever it stood.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, Final

from torture.network import Network

MAX_CALLBACKS: Final = 3_000_000
"""The most callbacks of a run: after more, something goes round for ever."""


class Deadlock(Exception):
    """No callback will ever run again, but something still waits."""


class NeverEnds(Exception):
    """Callbacks follow each other without end."""


class Process:
    """A life of the service: its callbacks run until it is killed; ``fuse`` callbacks from now it kills itself."""

    def __init__(self, on_killed: Callable[[], None]) -> None:
        self.alive = True
        self.fuse: int | None = None
        self._on_killed = on_killed

    def kill(self) -> None:
        if self.alive:
            self.alive = False
            self._on_killed()


PROCESS: Final[ContextVar[Process | None]] = ContextVar("process", default=None)
"""The process of the running callback; None: the world outside."""


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop that never sleeps: when no callback is ready, its time jumps to the next timer."""

    _ready: Any
    _scheduled: Any
    _timer_cancelled_count: int

    def __init__(self, start: float = 1_000.0) -> None:
        super().__init__()
        self._now = start
        self.callbacks = 0
        self.network = Network(self)

    def time(self) -> float:
        return self._now

    def _process_events(self, event_list: Any) -> None:
        """Do nothing: no events come from outside."""

    def _write_to_self(self) -> None:
        """Do nothing: the loop never sleeps."""

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled
        if not ready:
            self._sleep()
        while scheduled and scheduled[0]._when <= self._now:
            timer = heapq.heappop(scheduled)
            timer._scheduled = False
            if timer._cancelled:
                self._timer_cancelled_count -= 1
            else:
                ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                self._run(handle)
        if self.callbacks > MAX_CALLBACKS:
            self.callbacks = 0
            raise NeverEnds(f"{MAX_CALLBACKS} callbacks and no end")

    def _sleep(self) -> None:
        """Let time jump to the next timer of a living process."""
        scheduled = self._scheduled
        while scheduled and (scheduled[0]._cancelled or not _lives(scheduled[0])):
            timer = heapq.heappop(scheduled)
            timer._scheduled = False
            self._timer_cancelled_count -= timer._cancelled
        if scheduled:
            self._now = max(self._now, scheduled[0]._when)
        elif not self._stopping:
            raise Deadlock("everybody waits")

    def _run(self, handle: Any) -> None:
        process = handle._context.get(PROCESS)
        if process is not None:
            if not process.alive:
                return
            if process.fuse is not None:
                process.fuse -= 1
                if process.fuse < 0:
                    process.kill()
                    return
        self.callbacks += 1
        handle._run()

    _stopping: bool

    # -- calls that would leave the loop -----------------------------------------------------------------------------

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """Call ``func`` at once, where real loops use a thread."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # goes to the awaiting caller, as from a thread
            future.set_exception(error)
        return future

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        """Listen in the loop's own network."""
        return self.network.listen(protocol_factory, host, port)

    @property
    def generators(self) -> Iterable[Any]:
        """Return the asynchronous generators that have begun and not ended."""
        return list(self._asyncgens)

    _asyncgens: Any

    def run(self, main: Any) -> Any:
        """Run ``main`` to its end; tasks left then are forgotten."""
        task = self.create_task(main)
        task.add_done_callback(lambda _: self.stop())
        events.set_event_loop(None)
        self.run_forever()
        return task.result()


def _lives(handle: Any) -> bool:
    process = handle._context.get(PROCESS)
    return process is None or process.alive
