"""Measures 10,000 live streams in one process: memory each, time until a position has reached all, processor time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.family import body_of, written
from bench.feed_load import INTERVAL_S, post_all
from bench.feed_load import bodies as feed_bodies
from bench.figures import Figure, emit
from bench.household import move_in, registry
from bench.live_load import Heard
from bench.processes import Load, Server, cpu_s, python, resident_bytes
from bench.subject import Service

TRUCKS: Final = 2_000
EACH: Final = 5
"""Streams of each truck: as many as one account may hold."""
STREAMS: Final = TRUCKS * EACH
WAVES: Final = 3
"""Waves in which all trucks report at once."""
PACE_S: Final = 10
"""Seconds in which every truck reports once, at its usual pace."""
QUIET_S: Final = 15
"""Seconds in which nothing moves: one heartbeat of each stream."""
MAX_BYTES: Final = 4 * 1024
"""The most memory of one stream, with all that it needs."""
ROOM: Final = {"SHOUWANG_HTTP_CONNECTIONS": f"{STREAMS + 1_000}", "SHOUWANG_MAX_CONNECTIONS": "1000"}
"""Gives HTTP most of the descriptors, where they are few."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A server's figures under all streams."""

    bytes_each: float
    quiet_cpu: float
    """The share of a core."""
    waves: list[tuple[Heard, float]]
    """Each with the processor time that it took (s)."""
    paced: tuple[Heard, float] | None


class Listeners(Load):
    """The load of all streams."""

    def __init__(self, server: Server, shares: Path, *, begins_at: int) -> None:
        words = ("--each", str(EACH), "--begins-at", str(begins_at))
        super().__init__(python("-m", "bench.live_load", server.addresses["http"], str(shares), *words), server)

    def round(self, seconds: float) -> tuple[Heard, float]:
        """Make every truck report once. Raises ``RuntimeError`` unless every stream hears of it."""
        answer, spent_s = self.drive(str(seconds))
        heard = Heard(**answer)
        if heard.lost:
            raise RuntimeError(f"{heard.lost} streams were lost")
        return heard, spent_s


def measured(server: Server, shares: Path, *, begins_at: int, is_paced: bool) -> Measured:
    """Open all streams; measure quiet, then waves."""
    before = resident_bytes(server.pid)
    with Listeners(server, shares, begins_at=begins_at) as listeners:
        cpu_before_s = cpu_s(server.pid)
        time.sleep(QUIET_S)
        quiet_cpu = (cpu_s(server.pid) - cpu_before_s) / QUIET_S
        waves = [listeners.round(0) for _ in range(WAVES)]
        paced = listeners.round(PACE_S) if is_paced else None
        return Measured((resident_bytes(server.pid) - before) / STREAMS, quiet_cpu, waves, paced)


def figures(ours: Measured, bare: Measured) -> list[Figure]:
    """Compare the median wave of each."""
    (our_wave, our_s), (bare_wave, bare_s) = middle(ours.waves), middle(bare.waves)
    assert ours.paced is not None
    paced, paced_s = ours.paced
    beside, name = "bare aiohttp streams", f"{STREAMS:,} live streams"
    met = ours.bytes_each <= MAX_BYTES
    return [
        Figure(f"{name}: one", "bytes", ours.bytes_each, bare.bytes_each, beside, f"≤ {MAX_BYTES:,}", met),
        Figure("  nothing moves", "% of a core", 100 * ours.quiet_cpu, 100 * bare.quiet_cpu, f"{beside}, no heartbeat"),
        Figure(f"  all {TRUCKS:,} trucks report at once: median", "ms", our_wave.p50_ms, bare_wave.p50_ms, beside),
        Figure("    p99", "ms", our_wave.p99_ms, bare_wave.p99_ms, beside),
        Figure("    processor time", "µs/event", 1e6 * our_s / STREAMS, 1e6 * bare_s / STREAMS, beside),
        Figure(f"  … each once within {PACE_S} s: median", "ms", paced.p50_ms),
        Figure("    p99", "ms", paced.p99_ms),
        Figure("    processor time", "% of a core", 100 * paced_s / paced.took_s),
    ]


def middle(waves: Sequence[tuple[Heard, float]]) -> tuple[Heard, float]:
    return sorted(waves, key=lambda wave: wave[0].p99_ms)[len(waves) // 2]


def main() -> None:
    begins_at = int(time.time()) - (WAVES + 3) * INTERVAL_S
    with (
        TemporaryDirectory(prefix="bench-") as folder,
        Service(Path(folder) / "live.db", registry(TRUCKS, TRUCKS), ROOM) as service,
    ):
        opened = asyncio.run(move_in(service.addresses["http"], range(TRUCKS)))
        shares = written(opened, Path(folder) / "shares.json")
        post_all(service.addresses["http"], [feed_bodies(range(TRUCKS), range(1), begins_at=begins_at)])
        body = body_of(service, opened[0])
        ours = measured(service, shares, begins_at=begins_at, is_paced=True)
        with Server(python("-m", "bench.bare", body)) as server:
            bare = measured(server, shares, begins_at=begins_at, is_paced=False)
    emit(figures(ours, bare))


if __name__ == "__main__":
    main()
