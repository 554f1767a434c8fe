"""A simulator's report of a drive, for tests."""

from __future__ import annotations

from typing import Any, Final

DRIVE: Final[dict[str, Any]] = {
    "scenario": "dirty",
    "title": "duplicates, reordering, noise",
    "seed": 7,
    "vehicles": 200,
    "speedup": 60.0,
    "online": 198,
    "sent": 12_350,
    "acked": 12_345,
    "resent": 12,
    "reconnects": 3,
    "stored": 40,
    "refused": 0,
    "misbehaved": {"duplicate": 617, "bad checksum": 240, "something new": 1},
    "errors": {"connection refused": 2},
    "elapsed_s": 125.5,
}
