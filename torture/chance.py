"""What would a seed not repeat? The machine's dice and its stop-watches; both are the run's own while it lasts."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, Final

import actors.system.runtime
import api.http.edge
import api.operations.vitals
import gateway.ingest

_STOP_WATCHES: Final[tuple[tuple[Any, str], ...]] = (
    (actors.system.runtime, "perf_counter"),
    (gateway.ingest, "perf_counter"),
    (api.http.edge, "perf_counter"),
    (api.operations.vitals, "monotonic"),
)
"""Where real time is measured: how long a slice of work took decides, for one, who gets the next turn."""
SELDOM_S: Final = 5.0
"""Between two samples of the loop's health: they cost most of a quiet second, and tell nothing here."""


@contextmanager
def repeatable(seed: object, read_time: Callable[[], float]) -> Iterator[None]:
    """Within, tokens and ids come from the seed, and stop-watches show the loop's time."""
    dice = secrets._sysrand  # type: ignore[attr-defined]  # the one place that all secrets come from
    tick_s = api.operations.vitals.TICK_S
    api.operations.vitals.TICK_S = SELDOM_S  # type: ignore[misc]  # for this run only
    watches = [getattr(module, name) for module, name in _STOP_WATCHES]
    secrets._sysrand = Random(f"secrets/{seed}")  # type: ignore[attr-defined]
    for module, name in _STOP_WATCHES:
        setattr(module, name, read_time)
    try:
        yield
    finally:
        api.operations.vitals.TICK_S = tick_s  # type: ignore[misc]
        secrets._sysrand = dice  # type: ignore[attr-defined]
        for (module, name), watch in zip(_STOP_WATCHES, watches, strict=True):
            setattr(module, name, watch)
