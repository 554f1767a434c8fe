"""Routes fixes to their vehicles' actors: takes a durable batch, and returns an outcome for each fix."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from actors.system.runtime import MailboxFull
from actors.system.supervisor import Supervisor
from actors.vehicles.vehicle import KIND, Fleet, Report, VehicleActor
from domain.vehicle.fix import Batch, Fix
from domain.vehicle.quality import Outcome

SLICE: Final = 256
"""Fixes routed before the event loop gets its turn: under two milliseconds."""


@dataclass(slots=True)
class _Progress:
    """The progress of a batch."""

    number: int
    outcomes: list[Outcome] = field(default_factory=list)
    """Outcomes of the slices that are done."""
    slice: list[Outcome] = field(default_factory=list)
    """Outcomes of the slice under way."""
    lost: list[int] = field(default_factory=list)
    """The slice's rows whose vehicles are not awake yet."""


class Router:
    """Goes from a terminal's number through the directory and the index of the living to its vehicle's actor."""

    def __init__(self, supervisor: Supervisor, fleet: Fleet, vehicle_of: Callable[[str], str | None]) -> None:
        """Prepare the router; ``vehicle_of`` tells the vehicle id of a terminal, None when the registry has none."""
        self._supervisor = supervisor
        self._fleet = fleet
        self._vehicle_of = vehicle_of
        self._progress: _Progress | None = None

    async def route(self, batch: Batch) -> list[Outcome]:
        """Hand over each fix in order; the outcomes stand in the same order.

        Raises ``StoreUnavailable`` when a vehicle can't be loaded; routed again, the batch goes on where it stopped.
        """
        if self._progress is None or self._progress.number != batch.number:
            self._progress = _Progress(batch.number)
        progress = self._progress
        for start in range(len(progress.outcomes), len(batch.fixes), SLICE):
            if start:
                await asyncio.sleep(0)
            fixes = batch.fixes[start : start + SLICE]
            if not progress.lost:
                progress.slice = [Outcome.UNKNOWN] * len(fixes)
                progress.lost = self._hand_over(fixes, range(len(fixes)), batch, progress.slice)
            if progress.lost:
                await self._find([fixes[row][0] for row in progress.lost])
                self._hand_over(fixes, progress.lost, batch, progress.slice)
                progress.lost = []
            progress.outcomes += progress.slice
        self._progress = None
        self._count(progress.outcomes)
        return progress.outcomes

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        """Count outcomes. Nearly always one look is enough, since nearly all are the newest, which is counted first."""
        counts, left = self._fleet.quality.outcomes, len(outcomes)
        for outcome in Outcome:
            if not left:
                return
            found = outcomes.count(outcome)
            counts[outcome] += found
            left -= found

    def _hand_over(self, fixes: Sequence[Fix], rows: Sequence[int], batch: Batch, outcomes: list[Outcome]) -> list[int]:
        """Fill in the outcomes of these rows; return the rows whose vehicles are not awake, or not known.

        Two look-ups a fix: a table from terminals to actors would spare one, and weigh 100 bytes on each vehicle.
        """
        received_at, number, vehicle_of = batch.received_at, batch.number, self._vehicle_of
        living = cast(dict[str | None, VehicleActor], self._supervisor.actors(KIND))
        lost: list[int] = []
        for row in rows:
            fix = fixes[row]
            actor = living.get(vehicle_of(fix[0]))
            if actor is None:
                lost.append(row)
                continue
            try:
                outcome = actor.take(fix, received_at, number)
            except MailboxFull:
                # Waiting reports may not be dropped for this one; the log has them all, so the actor reads it again.
                self._supervisor.overflowed(actor)
                outcome = Outcome.QUEUED
            except Exception as error:
                self._supervisor.failed(actor, Report(fix, received_at, number), error)
                outcome = Outcome.QUEUED
            if outcome is None:
                lost.append(row)
            else:
                outcomes[row] = outcome
        return lost

    async def _find(self, lost: Sequence[str]) -> None:
        """Make sure that each terminal's vehicle is awake."""
        keys = [key for terminal in lost if (key := self._vehicle_of(terminal)) is not None]
        await self._supervisor.activate(KIND, keys)
