"""The figures of a store: how fast it commits, how often it fails, and what is wrong with it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from persistence.troubles import Trouble

RECENT_COMMITS = 1_024


@dataclass(frozen=True, slots=True)
class StoreStats:
    """A store's picture for ``/health`` and ``/metrics``; the times are of the last 1,024 commits, in seconds."""

    commits: int
    """Groups of jobs made durable since the start."""
    jobs: int
    """Appends, commits, trims and checkpoints in these groups."""
    failures: int
    """Groups and reads that ended with ``StoreUnavailable``."""
    queue_depth: int
    last_commit_s: float
    mean_commit_s: float
    p99_commit_s: float
    troubles: tuple[Trouble, ...] = ()
    damage_check: str = "none"
    """The progress of the search for damage: ``none``, ``running``, ``whole``, ``damaged``, ``stopped`` or ``failed``.
    """


class CommitTimes:
    """Counts commits and keeps the newest times; used from one thread only."""

    def __init__(self) -> None:
        self.commits = 0
        self.jobs = 0
        self.failures = 0
        self._recent_s: deque[float] = deque(maxlen=RECENT_COMMITS)

    def committed(self, *, jobs: int, took_s: float) -> None:
        """Note a durable group."""
        self.commits += 1
        self.jobs += jobs
        self._recent_s.append(took_s)

    def failed(self) -> None:
        """Note a group or a read that the store could not do."""
        self.failures += 1

    def stats(self, *, queue_depth: int, troubles: tuple[Trouble, ...] = (), damage_check: str = "none") -> StoreStats:
        """Return the picture at this moment."""
        ordered = sorted(self._recent_s)
        return StoreStats(
            commits=self.commits,
            jobs=self.jobs,
            failures=self.failures,
            queue_depth=queue_depth,
            last_commit_s=self._recent_s[-1] if ordered else 0.0,
            mean_commit_s=sum(ordered) / len(ordered) if ordered else 0.0,
            p99_commit_s=ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] if ordered else 0.0,
            troubles=troubles,
            damage_check=damage_check,
        )
