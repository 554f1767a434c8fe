"""The types of the operational picture: plain values without a person, a plate or a place."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["ok", "degraded", "failing"]


class Alive(msgspec.Struct, frozen=True):
    """The process turns its loop."""

    status: Literal["ok"] = "ok"


class Readiness(msgspec.Struct, frozen=True):
    """Tells whether calls should be sent here, and the reasons against it."""

    ready: bool
    reasons: list[str]


class ClockView(msgspec.Struct, frozen=True):
    """The system's one clock."""

    now: str
    speed: float
    virtual: bool


class Timekeeping(msgspec.Struct, frozen=True):
    """The reliability of the system's clock."""

    settled: bool
    """False after a step of the machine's clock: ours goes on, nothing is learned, and no end is committed (R50)."""
    machine_ahead_s: float
    """Seconds by which the machine's clock is ahead of ours, while not settled."""
    fleet_ahead_s: int | None
    """Seconds by which a tenth of the fleet or more is ahead of ours, to five minutes: our clock seems that far behind.
    """


class Provider(msgspec.Struct, frozen=True):
    """The identity provider."""

    name: str
    notice: str


class Component(msgspec.Struct, frozen=True):
    """A part of the service."""

    status: Status
    reasons: list[str]


class Mailboxes(msgspec.Struct, frozen=True):
    """The number of waiting messages, in actors that were active lately."""

    depth_max: int
    depth_total: int


class DeadLetterView(msgspec.Struct, frozen=True):
    """A message that no actor handled; the actor's key is an opaque id."""

    at: str
    actor: str
    message: str
    reason: str


class DeadLetters(msgspec.Struct, frozen=True):
    """The dead letters, newest last."""

    total: int
    last: list[DeadLetterView]


class TelemetryView(msgspec.Struct, frozen=True):
    """Fixes since the start; times in real seconds."""

    fixes_total: int
    fixes_per_s_10s: float
    fixes_per_s_60s: float
    waiting: int
    conflated: int
    refused_batches: int
    unrouted_batches: int
    """Durable, but kept from their vehicles by a bug: the next start reads them."""
    feed_rows: int
    feed_stale: int
    feed_rejected: dict[str, int]


class Timers(msgspec.Struct, frozen=True):
    """Lateness is in seconds of the system's clock."""

    pending: int
    fired: int
    lateness_s: float
    worst_lateness_s: float


class StoreTroubleView(msgspec.Struct, frozen=True):
    """A lasting problem with the store."""

    code: str
    """The code used among the reasons."""
    sentence: str
    """A Chinese sentence on the problem, and what to do."""


class StoreView(msgspec.Struct, frozen=True):
    """The last thousand commits; times in real seconds."""

    name: str
    commits: int
    failures: int
    queue_depth: int
    last_commit_s: float
    mean_commit_s: float
    p99_commit_s: float
    append_s: float
    troubles: list[StoreTroubleView]
    damage_check: str
    """State of the search for damage after the start: none, running, whole, damaged, stopped or failed."""


class LoopView(msgspec.Struct, frozen=True):
    """The event loop's lateness, in real seconds."""

    lag_s: float
    worst_lag_60s_s: float


class DataQuality(msgspec.Struct, frozen=True):
    """The figures of provincial supervision; null while there is no data."""

    online_rate: float | None
    valid_fix_rate: float | None
    track_completeness: float | None
    drift_rate: float | None
    outcomes: dict[str, int]
    corrected_clocks: int
    implausible_alarm_words: int
    speeding_at_standstill: int
    alerts_begun: int


class ForwardedView(msgspec.Struct, frozen=True):
    """Oddities since the start in the headers by which proxies name the forwarded caller."""

    proxies: int
    oddities: dict[str, int]
    notices: list[str]


class Health(msgspec.Struct, frozen=True):
    """The whole operational picture."""

    status: Status
    version: str
    uptime_s: float
    clock: ClockView
    timekeeping: Timekeeping
    identity_provider: Provider
    components: dict[str, Component]
    vehicles: int
    """Vehicles with a terminal, by the registry."""
    online: int
    offline: int
    actors: dict[str, int]
    mailboxes: Mailboxes
    restarts: int
    parked: int
    dead_letters: DeadLetters
    telemetry: TelemetryView
    ingest_lag_s: float
    timers: Timers
    store: StoreView
    event_loop: LoopView
    gateway: dict[str, object]
    data_quality: DataQuality
    forwarded: ForwardedView
