"""The figures that a simulator reports of its drive: bounded, soon forgotten, and no proof of anything."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

SHOWN_S: Final = 15.0
"""Real seconds after the last report, during which the drive counts as going on."""
MAX_KINDS: Final = 20
MAX_KIND_CHARS: Final = 60
MAX_EXACT: Final = 2**53 - 1
"""The largest integer that a browser's numbers hold exactly."""

Number = Annotated[int, Meta(ge=0, le=MAX_EXACT)]
KindCounts = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=MAX_KIND_CHARS)], Number], Meta(max_length=MAX_KINDS)
]


class DriveReport(msgspec.Struct, frozen=True):
    """The state of a simulated drive, by the simulator's own figures."""

    scenario: Annotated[str, Meta(min_length=3, max_length=40, pattern="^[a-z][a-z0-9_]*$")]
    title: Annotated[str, Meta(min_length=3, max_length=120, pattern=r"^[A-Za-z\u4e00-\u9fff][^\x00-\x1f]*$")]
    seed: Annotated[int, Meta(ge=-MAX_EXACT, le=MAX_EXACT)]
    vehicles: Number
    speedup: Annotated[float, Meta(ge=0, le=1e6)]
    online: Number
    """Terminals that are connected and authenticated."""
    sent: Number
    acked: Number
    resent: Number
    reconnects: Number
    stored: Number
    """Reports that wait in terminals without a network."""
    refused: Number
    misbehaved: KindCounts
    """Faults that terminals committed on purpose, by kind."""
    errors: KindCounts
    elapsed_s: Annotated[float, Meta(ge=0, le=1e9)]


class LastDrive:
    """The newest report while it is recent. With several simulators, the latest report wins."""

    def __init__(self) -> None:
        self._report: DriveReport | None = None
        self._at = float("-inf")

    def take(self, report: DriveReport, at: float) -> None:
        """Keep a report; ``at`` is monotonic seconds."""
        self._report, self._at = report, at

    def seen(self, at: float) -> DriveReport | None:
        """Return the report; None when no drive has reported lately."""
        if at - self._at >= SHOWN_S:
            self._report = None
        return self._report
