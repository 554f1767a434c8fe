"""Replaces what a seed would not repeat, the machine's dice and its stop-watches, while a run lasts."""

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
"""The places where real time is measured: a slice's duration decides, for one, which connection gets the next turn."""
SELDOM_S: Final = 5.0
"""Seconds between two samples of the loop's health: they cost most of a quiet second, and tell nothing here."""


@contextmanager
def repeatable(seed: object, read_time: Callable[[], float]) -> Iterator[None]:
    """Let tokens and ids come from the seed, and stop-watches show the loop's time, within the block."""
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
