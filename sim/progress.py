"""Shows the progress of a drive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from sim.counts import Counts

_REFRESH_S: Final = 0.5
_LINE_EVERY_S: Final = 5.0
_ERRORS_SHOWN: Final = 6


class Progress:
    """A live table on a terminal; elsewhere an occasional plain line."""

    def __init__(self, console: Console, counts: Counts, *, vehicles: int, title: str) -> None:
        self._console = console
        self._counts = counts
        self._vehicles = vehicles
        self._title = title
        self._started_at = monotonic()
        self._rate = Rate()

    async def watch(self, over: Callable[[], bool]) -> None:
        """Show the figures until ``over``."""
        last_line_at = monotonic()
        with self._view() as live:
            while not over():
                await asyncio.sleep(_REFRESH_S)
                self._rate.take(self._counts.acked, monotonic())
                if live is not None:
                    live.update(self.table())
                elif monotonic() - last_line_at >= _LINE_EVERY_S:
                    last_line_at = monotonic()
                    self._console.print(self.line(), highlight=False, soft_wrap=True)

    def _view(self) -> AbstractContextManager[Live | None]:
        if self._console.is_terminal:
            return Live(self.table(), console=self._console, auto_refresh=True, refresh_per_second=2)
        return nullcontext()

    def line(self) -> str:
        """Format the figures in one line."""
        counts = self._counts
        text = (
            f"{monotonic() - self._started_at:5.0f} s  online {counts.online}/{self._vehicles}  sent {counts.sent}  "
            f"acked {counts.acked} ({self._rate.per_s:.0f}/s)  in flight {counts.in_flight}  stored {counts.stored}  "
            f"p50 {self._ms(0.5)}  p99 {self._ms(0.99)}  reconnects {counts.reconnects}  "
            f"errors {counts.errors.total()}"
        )
        return text + "".join(f"  [{name}: {count}]" for name, count in counts.errors.most_common(2)).replace(
            "[", "\\["
        )

    def table(self) -> Table:
        """Format the figures and the errors as a table."""
        counts = self._counts
        table = Table(title=f"{self._title} · {monotonic() - self._started_at:.0f} s", show_header=False)
        for name, value in (
            ("terminals online", f"{counts.online} of {self._vehicles}"),
            ("reports sent", f"{counts.sent}"),
            ("acknowledged", f"{counts.acked}, {self._rate.per_s:.0f}/s; {counts.backfilled} back-filled"),
            ("in flight, queued, stored", f"{counts.in_flight}, {counts.queued}, {counts.stored}"),
            ("time to the answer", f"p50 {self._ms(0.5)}, p99 {self._ms(0.99)}"),
            ("connects, reconnects, resent", f"{counts.connects}, {counts.reconnects}, {counts.resent}"),
            ("misbehaviour", _listed(counts.misbehaved.most_common(_ERRORS_SHOWN))),
            ("errors", _listed(counts.errors.most_common(_ERRORS_SHOWN))),
        ):
            table.add_row(name, value)
        return table

    def _ms(self, share: float) -> str:
        return f"{self._counts.latencies.quantile_s(share) * 1000:.1f} ms"


class Rate:
    """The growth of a count, over about the last five seconds."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []

    def take(self, count: int, at: float) -> None:
        """Take a sample of the count."""
        self._seen = [*self._seen[-10:], (at, count)]

    @property
    def per_s(self) -> float:
        """Return the growth per second."""
        if len(self._seen) < 2:
            return 0.0
        (first_at, first), (last_at, last) = self._seen[0], self._seen[-1]
        return (last - first) / (last_at - first_at) if last_at > first_at else 0.0


def _listed(found: list[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {count}" for name, count in found) or "none"
