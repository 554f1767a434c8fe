"""Writes checkpoints behind: vehicles that changed, a partition at a time, so that recovery reads a short tail only."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from actors.system.supervisor import Supervisor
from actors.vehicles.limits_seen import LimitsSeen
from actors.vehicles.state import alert_document, to_record
from actors.vehicles.vehicle import KIND, Fleet, VehicleActor
from domain.registry import PARTITIONS, pack_of, partition_of
from domain.vehicle.alerts import Alert
from persistence.records import decode_batch
from persistence.store import Checkpoint, Store, StoreError

log = logging.getLogger(__name__)

MAX_STATES: Final = 500
"""States in one commit; the rest of a larger partition follows in the next."""
PAUSE: Final = 4
"""The pause after a partition, in multiples of its time: checkpoints take a fifth at most, but see ``LONGEST_CYCLES``.
"""
LONGEST_CYCLES: Final = 4
"""The longest round on a busy process, in cycles."""
WRITTEN_AT_ONCE: Final = 32
"""Partitions written at once where all are: a divisor of their number."""


class _Round(NamedTuple):
    """The state of things when a round over all partitions began."""

    folded: int
    limits_told: str | None


@dataclass(slots=True)
class _Capture:
    """A partition's changes between two batches, and what to take back when the store refuses them."""

    partition: int
    watermark: int
    states: list[tuple[str, bytes, bool]] = field(default_factory=list)
    taken: list[VehicleActor] = field(default_factory=list)
    alerts: list[tuple[VehicleActor, dict[str, Alert]]] = field(default_factory=list)

    def take(self, actor: VehicleActor) -> None:
        vehicle = actor.vehicle
        self.states.append((vehicle.key, to_record(vehicle), actor.online))
        self.taken.append(actor)
        if vehicle.unsaved:
            self.alerts.append((actor, dict(vehicle.unsaved)))
        actor.dirty = False

    def checkpoint(self) -> Checkpoint:
        alerts = [alert_document(actor.key, alert) for actor, alerts in self.alerts for alert in alerts.values()]
        return Checkpoint(self.partition, self.watermark, self.states, alerts)

    def saved(self) -> None:
        """Note that alerts that did not change meanwhile are with the store now."""
        for actor, alerts in self.alerts:
            unsaved = actor.vehicle.unsaved or {}
            for alert_id, alert in alerts.items():
                if unsaved.get(alert_id) is alert:
                    del unsaved[alert_id]
            actor.vehicle.unsaved = unsaved or None

    def give_back(self) -> None:
        for actor in self.taken:
            if not actor.dirty:
                actor.mark_dirty()


class Checkpointer:
    """Writes each partition once a cycle; then lets cold vehicles go and forgets telemetry past its time."""

    def __init__(
        self,
        store: Store,
        supervisor: Supervisor,
        fleet: Fleet,
        *,
        folded: Callable[[], int],
        between_batches: asyncio.Lock,
        limits_seen: LimitsSeen | None = None,
        cycle_s: float = 30.0,
        retention_s: float = 7 * 86_400.0,
    ) -> None:
        """Prepare the rounds; ``folded`` tells the newest log number wholly with the actors, ``between_batches`` keeps
        it so.

        ``cycle_s`` is real seconds, and longer while much is to be written (``pause_s``); ``retention_s`` the system
        clock's.
        """
        self._store = store
        self._supervisor = supervisor
        self._fleet = fleet
        self._folded = folded
        self._between_batches = between_batches
        self._limits_seen = limits_seen
        self._cycle_s = cycle_s
        self._retention_s = retention_s
        self._watermarks: dict[int, int] = {}
        self._writing = [0] * PARTITIONS
        """Captures of each partition that are on their way to the store."""
        self._in_order = [0] * PARTITIONS
        """The number of each partition's changed vehicles, the first ones, that stand in the order of their packs.

        The store may keep them so: vehicles written at once then lie on few of its pages.
        """

    async def run(self) -> None:
        """Go round until cancelled; a partition that fails is tried again in the next round."""
        time = asyncio.get_running_loop().time
        while True:
            began, took_s = self._round_begins(), 0.0
            for partition in range(PARTITIONS):
                await asyncio.sleep(self.pause_s(took_s))
                began_s = time()
                await self._try(f"checkpoint of partition {partition}", self.write(partition))
                took_s = time() - began_s
            await self._try("noting the speed limits that were seen", self._round_ends(began))
            await self._try("letting cold vehicles go", self.retire())
            await self._try("forgetting old telemetry", self.trim())
            self._supervisor.forgive()

    def pause_s(self, took_s: float) -> float:
        """Return the seconds until the next partition's turn, after one that took this long.

        A busy process writes less often: several reports of a vehicle then share one checkpoint. The log's tail that
        the next start must read grows with the cycle.
        """
        share_s = self._cycle_s / PARTITIONS
        return min(max(share_s, took_s * PAUSE), share_s * LONGEST_CYCLES)

    async def write_all(self) -> None:
        """Write every partition now: the clean end of a process. Raises ``StoreUnavailable``.

        Several are written at once, so that they share commits.
        """
        began = self._round_begins()
        for first in range(0, PARTITIONS, WRITTEN_AT_ONCE):
            writes = [self.write(partition) for partition in range(first, first + WRITTEN_AT_ONCE)]
            for error in await asyncio.gather(*writes, return_exceptions=True):
                if error is not None:
                    raise error
        await self._round_ends(began)

    async def write_all_and(self, change: Callable[[], None]) -> None:
        """Write everything, then make ``change`` before anything more is folded. Raises ``StoreUnavailable``."""
        await self.write_all()
        async with self._between_batches:
            for partition in range(PARTITIONS):
                await self._write(partition, contextlib.nullcontext())
            change()

    async def write(self, partition: int) -> None:
        """Write one partition's changes and its watermark, if anything happened. Raises ``StoreUnavailable``."""
        await self._write(partition, self._between_batches)

    def _round_begins(self) -> _Round:
        return _Round(self._folded(), self._limits_seen.told() if self._limits_seen else None)

    async def _round_ends(self, began: _Round) -> None:
        """End a round.

        A vehicle that was busy, or a store that failed, holds back a watermark, and with it the note.
        """
        if self._limits_seen is None or began.limits_told is None:
            return
        if all(self._watermarks.get(partition, 0) >= began.folded for partition in range(PARTITIONS)):
            await self._limits_seen.note(began.limits_told)

    async def _write(self, partition: int, between_batches: AbstractAsyncContextManager[None]) -> None:
        more = True
        while more:
            async with between_batches:
                capture, more = self._capture(partition)
            if not capture.taken and capture.watermark <= self._watermarks.get(partition, 0):
                return
            self._writing[partition] += 1
            try:
                await self._store.checkpoint(capture.checkpoint())
            except BaseException:
                capture.give_back()
                raise
            finally:
                self._writing[partition] -= 1
            capture.saved()
            self._watermarks[partition] = capture.watermark

    def _capture(self, partition: int) -> tuple[_Capture, bool]:
        """Capture the changes; tell whether more is left.

        Busy vehicles wait for the next round and hold the watermark back.
        """
        dirty = self._fleet.dirty[partition]
        if not self._in_order[partition]:
            dirty.sort(key=_pack_of)
            self._in_order[partition] = len(dirty)
        take = min(MAX_STATES, self._in_order[partition])
        now, later = dirty[:take], dirty[take:]
        self._in_order[partition] -= take
        capture = _Capture(partition, self._folded())
        busy = []
        for actor in now:
            if actor.is_quiet:
                capture.take(actor)
            elif actor.mailbox_depth or actor.is_suspended:
                busy.append(actor)
            elif not actor.is_stopped:
                capture.take(actor)
        if busy or later:
            capture.watermark = self._watermarks.get(partition, 0)
        self._fleet.dirty[partition] = later + busy
        return capture, bool(later)

    async def _try(self, what: str, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except StoreError as error:
            log.warning("%s waits: %s", what, error)
        except Exception:
            log.exception("%s failed", what)

    async def retire(self) -> None:
        """Let vehicles go that were silent for long, if all of them is stored."""
        retired, self._fleet.retired = self._fleet.retired, []
        for number, actor in enumerate(retired):
            if number % MAX_STATES == 0:
                await asyncio.sleep(0)
            if actor.dirty or actor.online or self._writing[partition_of(actor.key)]:
                continue
            self._supervisor.passivate(KIND, actor.key, actor)

    async def trim(self) -> None:
        """Forget log entries that are older than the retention and that no recovery would need.

        Nothing is forgotten while the clock is not settled (R50).
        """
        if not self._fleet.clock.is_settled:
            return
        needed_after = min(self._watermarks.get(partition, 0) for partition in range(PARTITIONS))
        keep_from = self._fleet.clock.now() - self._retention_s
        first = await self._store.read_log(after=0, limit=1)
        if not first or not needed_after or decode_batch(first[0][1])[0] >= keep_from:
            return
        low, high = first[0][0], needed_after
        while low < high:  # The greatest number whose entry is too old; entries are in the order of their times.
            middle = (low + high + 1) // 2
            entry = await self._store.read_log(after=middle - 1, limit=1)
            if entry and entry[0][0] <= needed_after and decode_batch(entry[0][1])[0] < keep_from:
                low = middle
            else:
                high = middle - 1
        await self._store.trim_log(through=low)


def _pack_of(actor: VehicleActor) -> int:
    return pack_of(actor.vehicle.key)
