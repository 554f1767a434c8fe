"""Measures a fix's way from its terminal to a family's stream, in time and cost, beside a bare relay."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.end_to_end_load import Seen
from bench.family import body_of, written
from bench.feed_load import INTERVAL_S, bodies, post_all
from bench.figures import Figure, emit
from bench.household import move_in, registry
from bench.load import phone
from bench.processes import Server, driven, python
from bench.subject import Service
from gateway.jt808.codec.frames import phone_bytes

TRUCKS: Final = 1_000
"""Terminals, each watched by one family on its live stream."""
BEGINS_AGO_S: Final = 600


def measured(server: Server, shares: Path) -> tuple[Seen, float]:
    """Run the load; return its figures, and the server's processor time (µs) per fix."""
    words = (server.addresses["http"], server.addresses["jt808"], str(shares))
    answer, spent_s = driven(python("-m", "bench.end_to_end_load", *words), server)
    seen = Seen(**answer)
    return seen, 1e6 * spent_s / seen.fixes


def relayed(folder: Path, body: str) -> tuple[Seen, float]:
    shares = folder / "relayed.json"
    shares.write_text(json.dumps([[f"/{phone_bytes(phone(truck)).hex()}", ""] for truck in range(TRUCKS)]))
    with Server(python("-m", "bench.relay", body)) as relay:
        return measured(relay, shares)


def main() -> None:
    with (
        TemporaryDirectory(prefix="bench-") as name,
        Service(Path(name) / "end.db", registry(TRUCKS, TRUCKS)) as service,
    ):
        folder = Path(name)
        opened = asyncio.run(move_in(service.addresses["http"], range(TRUCKS)))
        begins_at = int(time.time()) - BEGINS_AGO_S - INTERVAL_S
        post_all(service.addresses["http"], [bodies(range(TRUCKS), range(1), begins_at=begins_at)])
        (ours, our_us), (bare, bare_us) = (
            measured(service, written(opened, folder / "shares.json")),
            relayed(folder, body_of(service, opened[0])),
        )
    beside = "bare relay, stores nothing"
    emit(
        [
            Figure(f"terminal to stream, {TRUCKS:,} trucks: median", "ms", ours.seen_p50_ms, bare.seen_p50_ms, beside),
            Figure("  p99", "ms", ours.seen_p99_ms, bare.seen_p99_ms, beside),
            Figure("  worst", "ms", ours.seen_worst_ms, bare.seen_worst_ms, beside),
            Figure("  acknowledged, p99", "ms", ours.acknowledged_p99_ms, bare.acknowledged_p99_ms, beside),
            Figure("  processor time", "µs/fix", our_us, bare_us, beside),
        ]
    )


if __name__ == "__main__":
    main()
