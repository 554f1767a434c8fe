"""Tells load balancers, operators and tests whether the service is well."""

from __future__ import annotations

import asyncio
from datetime import datetime
from time import monotonic
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta

from api.http.calls import JSON, Call
from api.http.proxies import ODDITIES, Callers
from api.operations.health import (
    Alive,
    ClockView,
    Component,
    DataQuality,
    DeadLetters,
    DeadLetterView,
    ForwardedView,
    Health,
    LoopView,
    Mailboxes,
    Provider,
    Readiness,
    Status,
    StoreTroubleView,
    StoreView,
    TelemetryView,
    Timekeeping,
    Timers,
)
from api.operations.vitals import Vitals
from api.ports import Services
from api.shown.views import time_text
from domain.civil_time import CHINA_TIME
from domain.vehicle.quality import Outcome
from persistence.store import StoreError

PROBE_S: Final = 2.0
PROBED_FOR_S: Final = 1.0
"""Real seconds for which a probe's answer, or a sample of mailboxes, stays valid."""
LOOKED_AT: Final = 64
"""Vehicles of each partition whose mailboxes are sampled."""
LAST_DEAD_LETTERS: Final = 10
SLOW_LOOP_S: Final = 1.0


class Advance(msgspec.Struct, frozen=True):
    """The time by which to advance the virtual clock."""

    advance_s: Annotated[float, Meta(ge=0, le=10 * 366 * 86_400)]


class OpsDesk:
    """The handlers of the operations calls."""

    def __init__(self, services: Services, vitals: Vitals, callers: Callers) -> None:
        self._services = services
        self._vitals = vitals
        self._callers = callers
        self._probed_at = float("-inf")
        self._store_answers = True
        self._looked_at = float("-inf")
        self._mailboxes = Mailboxes(0, 0)

    async def healthz(self, call: Call[None, None]) -> Alive:
        """Answer: the answer itself shows that the process is alive."""
        return Alive()

    async def readyz(self, call: Call[None, None]) -> Readiness | web.Response:
        """Answer 503 with the reasons while calls should go elsewhere."""
        reasons = await self.reasons()
        readiness = Readiness(not reasons, reasons)
        if not reasons:
            return readiness
        headers = {"Retry-After": "2"}
        return web.Response(body=msgspec.json.encode(readiness), status=503, content_type=JSON, headers=headers)

    async def advance(self, call: Call[Advance, None]) -> ClockView:
        """Advance the clock, on a virtual clock only. Every timer that falls due fires before the answer."""
        assert self._services.advance is not None
        await self._services.advance(call.body.advance_s)
        return self._clock()

    async def reasons(self) -> list[str]:
        """List the reasons why the service is not ready; empty when it is."""
        services, reasons = self._services, []
        if services.is_draining():
            reasons.append("draining")
        reasons += await self._reasons_of_store()
        if not services.feed.room():
            reasons.append("shedding_load")
        if not services.clock.is_settled:
            reasons.append("clock_unsettled")
        return reasons

    async def health(self, call: Call[None, None]) -> Health:
        """Return the operational picture."""
        return await self.picture()

    async def picture(self) -> Health:
        """Build the picture of this moment."""
        services, fleet, vitals = self._services, self._services.fleet, self._vitals
        supervisor, ingest = services.supervisor, services.ingest_stats()
        components = self._components(await self.reasons())
        known = services.known_vehicles()
        return Health(
            status=_worst([component.status for component in components.values()]),
            version=services.version,
            uptime_s=round(vitals.uptime_s, 1),
            clock=self._clock(),
            timekeeping=self._timekeeping(),
            identity_provider=Provider(services.identity.name, services.identity.notice),
            components=components,
            vehicles=known,
            online=fleet.online,
            offline=max(0, known - fleet.online),
            actors=supervisor.census(),
            mailboxes=self.mailboxes(),
            restarts=supervisor.restarts,
            parked=supervisor.parked,
            dead_letters=self._dead_letters(),
            telemetry=self._telemetry(),
            ingest_lag_s=ingest.lag_s,
            timers=self._timers(),
            store=self._store(),
            event_loop=LoopView(vitals.loop_lag_s, vitals.worst_loop_lag_s),
            gateway=dict(services.gateway_stats()),
            data_quality=self.data_quality(),
            forwarded=self._forwarded(),
        )

    def data_quality(self) -> DataQuality:
        """Return the supervision figures; ratios are between 0 and 1."""
        fleet, known = self._services.fleet, self._services.known_vehicles()
        quality = fleet.quality
        return DataQuality(
            online_rate=min(1.0, fleet.online / known) if known else None,
            valid_fix_rate=quality.valid_fix_rate,
            track_completeness=quality.track_completeness,
            drift_rate=quality.drift_rate(fleet.online),
            outcomes={outcome.name.lower(): quality.outcomes[outcome] for outcome in Outcome},
            corrected_clocks=quality.corrected_clocks,
            implausible_alarm_words=quality.implausible_alarm_words,
            speeding_at_standstill=quality.speeding_at_standstill,
            alerts_begun=quality.alerts_begun,
        )

    def mailboxes(self) -> Mailboxes:
        """Sample the mailboxes of some changed vehicles in each partition.

        A ready actor counts as one message at least.
        """
        if monotonic() - self._looked_at >= PROBED_FOR_S:
            dirty = self._services.fleet.dirty
            depths = [actor.mailbox_depth for vehicles in dirty for actor in vehicles[-LOOKED_AT:]]
            backlog = self._services.supervisor.dispatcher.backlog
            self._mailboxes = Mailboxes(max([*depths, min(backlog, 1)]), max(sum(depths), backlog))
            self._looked_at = monotonic()
        return self._mailboxes

    # -- parts -------------------------------------------------------------------------------------------------------

    async def _reasons_of_store(self) -> list[str]:
        """List the store's known troubles, which say more than a refusal or a missing answer."""
        answers = await self._store_is_there()
        if known := [trouble.code for trouble in self._services.store_stats().troubles if trouble.refuses]:
            return known
        reasons = [] if answers else ["store_unreachable"]
        return [*reasons, "store_refuses_writes"] if self._vitals.store_refuses else reasons

    async def _store_is_there(self) -> bool:
        if monotonic() - self._probed_at >= PROBED_FOR_S:
            self._store_answers = await self._probe()
            self._probed_at = monotonic()
        return self._store_answers

    async def _probe(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_S):
                await self._services.store.get("probe", ("probe",))
        except (StoreError, TimeoutError):
            return False
        return True

    def _components(self, reasons: list[str]) -> dict[str, Component]:
        supervisor, vitals = self._services.supervisor, self._vitals
        troubles = self._services.store_stats().troubles
        of_store = [reason for reason in reasons if reason.startswith("store")]
        of_store += [trouble.code for trouble in troubles if not trouble.refuses]
        of_ingest = [reason for reason in reasons if reason == "shedding_load"]
        of_service = [reason for reason in reasons if reason == "draining"]
        of_clock = [reason for reason in reasons if reason == "clock_unsettled"]
        if self._fleet_ahead_s() is not None:
            of_clock.append("fleet_disagrees")
        return {
            "store": Component("failing" if of_store else "ok", of_store),
            "ingest": Component("degraded" if of_ingest else "ok", of_ingest),
            "actors": _component("parked_actors" if supervisor.parked else None),
            "event_loop": _component("slow" if vitals.worst_loop_lag_s > SLOW_LOOP_S else None),
            "service": Component("degraded" if of_service else "ok", of_service),
            "clock": Component("degraded" if of_clock else "ok", of_clock),
        }

    def _forwarded(self) -> ForwardedView:
        oddities = self._callers.oddities
        return ForwardedView(
            self._services.proxies.count, dict(oddities), [ODDITIES[oddity].notice for oddity in oddities]
        )

    def _clock(self) -> ClockView:
        clock = self._services.clock
        # In milliseconds, as simulators set their clocks by it.
        now = datetime.fromtimestamp(clock.now(), CHINA_TIME).isoformat(timespec="milliseconds")
        return ClockView(now, clock.speed, clock.virtual)

    def _timekeeping(self) -> Timekeeping:
        clock = self._services.clock
        return Timekeeping(clock.is_settled, round(clock.machine_ahead_s, 1), self._fleet_ahead_s())

    def _fleet_ahead_s(self) -> int | None:
        fleet = self._services.fleet
        return fleet.time.ahead_s(fleet.online)

    def _dead_letters(self) -> DeadLetters:
        supervisor = self._services.supervisor
        last = list(supervisor.dead_letters)[-LAST_DEAD_LETTERS:]
        # Only the name of a reason's exception is shown: its arguments may hold anything.
        views = [
            DeadLetterView(time_text(each.at), each.actor, each.message, each.reason.partition("(")[0][:80])
            for each in last
        ]
        return DeadLetters(supervisor.dead_letters_total, views)

    def _telemetry(self) -> TelemetryView:
        ingest, feed = self._services.ingest_stats(), self._services.feed
        return TelemetryView(
            fixes_total=ingest.fixes,
            fixes_per_s_10s=round(self._vitals.fixes_per_s(10.0), 1),
            fixes_per_s_60s=round(self._vitals.fixes_per_s(60.0), 1),
            waiting=ingest.waiting,
            conflated=self._services.fleet.conflated,
            refused_batches=ingest.failed_batches,
            unrouted_batches=ingest.unrouted_batches,
            feed_rows=feed.rows,
            feed_stale=feed.stale,
            feed_rejected=dict(feed.rejected),
        )

    def _timers(self) -> Timers:
        agenda = self._services.clock.agenda
        return Timers(agenda.pending, agenda.fired, agenda.lateness_s, agenda.worst_lateness_s)

    def _store(self) -> StoreView:
        stats = self._services.store_stats()
        return StoreView(
            name=self._services.store.name.partition(":")[0],
            commits=stats.commits,
            failures=stats.failures,
            queue_depth=stats.queue_depth,
            last_commit_s=stats.last_commit_s,
            mean_commit_s=stats.mean_commit_s,
            p99_commit_s=stats.p99_commit_s,
            append_s=self._services.ingest_stats().append_s,
            troubles=[StoreTroubleView(trouble.code, trouble.sentence) for trouble in stats.troubles],
            damage_check=stats.damage_check,
        )


def _component(reason: str | None) -> Component:
    return Component("ok", []) if reason is None else Component("degraded", [reason])


def _worst(statuses: list[Status]) -> Status:
    for status in ("failing", "degraded"):
        if status in statuses:
            return status
    return "ok"
