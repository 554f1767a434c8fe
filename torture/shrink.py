"""Finds the few steps that are enough to break a play: leaves out ever smaller pieces while the rest still fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from torture.machine import MakeService
from torture.run_seed import Outcome, run_seed
from torture.steps import Step

MAX_TRIES: Final = 400


def shrunk(make: MakeService, failed: Outcome) -> Outcome:
    """Return the shortest failing play that was found."""
    best, tries = failed, 0
    size = max(1, len(best.steps) // 2)
    while tries < MAX_TRIES:
        at, gone = 0, False
        while at < len(best.steps) and tries < MAX_TRIES:
            shorter = _without(best.steps, at, size)
            outcome, tries = run_seed(make, failed.seed, shorter), tries + 1
            if outcome.broken:
                best, gone = outcome, True
            else:
                at += size
        if size == 1 and not gone:
            break
        size = max(1, size // 2)
    return best


def _without(steps: Sequence[Step], at: int, size: int) -> Sequence[Step]:
    return [*steps[:at], *steps[at + size :]]
