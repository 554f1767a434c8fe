"""Reports a drive's figures to operators while it goes on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import msgspec

from sim.counts import Counts
from sim.owners import Service, ServiceError
from sim.scenarios import Scenario

PERIOD_S: Final = 2.0
"""Real seconds between two reports."""
PATIENCE_S: Final = 2.0
"""Real seconds to wait for the service's answer."""
MAX_KINDS: Final = 20
MAX_KIND_CHARS: Final = 60
"""The service's limits on the number of kinds and on the length of a kind."""


class DriveReport(msgspec.Struct, frozen=True):
    """The figures of a drive, as ``PUT /api/v1/ops/drive`` takes them."""

    scenario: str
    title: str
    seed: int
    vehicles: int
    speedup: float
    online: int
    sent: int
    acked: int
    resent: int
    reconnects: int
    stored: int
    refused: int
    misbehaved: dict[str, int]
    errors: dict[str, int]
    elapsed_s: float


def report_of(
    scenario: Scenario, counts: Counts, *, seed: int, vehicles: int, speedup: float, elapsed_s: float
) -> DriveReport:
    """Collect the present figures."""
    return DriveReport(
        scenario=scenario.name,
        title=scenario.title,
        seed=seed,
        vehicles=vehicles,
        speedup=speedup,
        online=counts.online,
        sent=counts.sent,
        acked=counts.acked,
        resent=counts.resent,
        reconnects=counts.reconnects,
        stored=counts.stored,
        refused=counts.refused,
        misbehaved=_most(counts.misbehaved),
        errors=_most(counts.errors),
        elapsed_s=round(elapsed_s, 1),
    )


def _most(counter: Counter[str]) -> dict[str, int]:
    return {kind[:MAX_KIND_CHARS]: count for kind, count in counter.most_common(MAX_KINDS)}


@asynccontextmanager
async def operators_told(service: Service, report: Callable[[], DriveReport]) -> AsyncIterator[None]:
    """Report the drive to operators while the block runs; without their key, do nothing."""
    if not service.has_ops_key:
        yield
        return
    telling = asyncio.create_task(_keep_telling(service, report))
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _keep_telling(service: Service, report: Callable[[], DriveReport]) -> None:
    """Report until cancelled. A failed or refused report is followed by the next: no drive waits for its watchers."""
    while True:
        with suppress(ServiceError, TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await service.tell_drive(msgspec.to_builtins(report()))
        await asyncio.sleep(PERIOD_S)
