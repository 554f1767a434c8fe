"""The operational picture, in plain values without a person, a plate or a place."""

from __future__ import annotations

from typing import Literal

import msgspec

from api.operations.drive import DriveReport

Status = Literal["ok", "degraded", "failing"]


class Alive(msgspec.Struct, frozen=True):
    """The process turns its loop."""

    status: Literal["ok"] = "ok"


class Readiness(msgspec.Struct, frozen=True):
    """Whether calls should be sent here, and what speaks against it."""

    ready: bool
    reasons: list[str]


class ClockView(msgspec.Struct, frozen=True):
    """The system's one clock."""

    now: str
    speed: float
    virtual: bool


class Timekeeping(msgspec.Struct, frozen=True):
    """How far the system's clock may be relied on."""

    settled: bool
    """False after a step of the machine's clock: ours goes on without it, nothing is learned, and no end is committed (R50)."""
    machine_ahead_s: float
    """How far the machine's clock is ahead of ours, while not settled."""
    fleet_ahead_s: int | None
    """How far a tenth of the fleet or more is ahead of ours, to five minutes: by so much our clock seems to be behind."""


class Provider(msgspec.Struct, frozen=True):
    """Who vouches for people."""

    name: str
    notice: str


class Component(msgspec.Struct, frozen=True):
    """One part of the service."""

    status: Status
    reasons: list[str]


class Mailboxes(msgspec.Struct, frozen=True):
    """How many messages wait, in the actors that had something to do lately."""

    depth_max: int
    depth_total: int


class DeadLetterView(msgspec.Struct, frozen=True):
    """A message that nobody handled; the actor's key is an opaque id."""

    at: str
    actor: str
    message: str
    reason: str


class DeadLetters(msgspec.Struct, frozen=True):
    """The newest last."""

    total: int
    last: list[DeadLetterView]


class TelemetryView(msgspec.Struct, frozen=True):
    """Fixes since the start, and in real seconds."""

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
    """Something is wrong with the store that does not pass by itself."""

    code: str
    """As in the reasons."""
    sentence: str
    """What happened, and what to do."""


class StoreView(msgspec.Struct, frozen=True):
    """Real seconds, of the last thousand commits."""

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
    """How far the search for damage after the start is: none, running, whole, damaged, stopped or failed."""


class LoopView(msgspec.Struct, frozen=True):
    """How late the event loop comes round, in real seconds."""

    lag_s: float
    worst_lag_60s_s: float


class DataQuality(msgspec.Struct, frozen=True):
    """The figures of provincial supervision; null before there is anything to say."""

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
    """What was odd about the headers by which proxies tell of whom they forward a call, since the start."""

    proxies: int
    oddities: dict[str, int]
    notices: list[str]


class Health(msgspec.Struct, frozen=True):
    """All of it."""

    status: Status
    version: str
    uptime_s: float
    clock: ClockView
    timekeeping: Timekeeping
    identity_provider: Provider
    components: dict[str, Component]
    vehicles: int
    """With a terminal, by the registry."""
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
    drive: DriveReport | None
    """What a simulator says that it does; null while none reports."""
