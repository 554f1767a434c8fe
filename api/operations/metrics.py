"""The figures of ``/health`` as Prometheus text, without a label that grows with the fleet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from actors.vehicles.vehicle import KIND
from api.http.calls import Call
from api.http.connections import Connections
from api.http.edge import CallFigures
from api.operations.ops import OpsDesk
from api.operations.vitals import LAG_BOUNDS_S, Vitals
from api.ports import Services

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricsDesk:
    """The handler of ``/metrics``, with a registry of its own."""

    def __init__(self, figures: Figures) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(figures)

    async def metrics(self, call: Call[None, None]) -> web.Response:
        """Serve Prometheus' text format."""
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE})


class Figures(Collector):
    """Reads everything at the moment of the scrape."""

    def __init__(
        self,
        services: Services,
        vitals: Vitals,
        figures: CallFigures,
        ops: OpsDesk,
        connections: Connections,
        open_streams: Callable[[], int],
    ) -> None:
        self._services = services
        self._connections = connections
        self._open_streams = open_streams
        self._vitals = vitals
        self._calls = figures
        self._ops = ops

    def describe(self) -> Iterable[Metric]:
        """Describe nothing: otherwise the registry would collect once just to learn the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        yield from self._telemetry()
        yield from self._actors()
        yield from self._store()
        yield from self._quality()
        yield self._http()
        yield from self._sockets()
        yield from self._gateway()

    def _telemetry(self) -> Iterator[Metric]:
        ingest, feed = self._services.ingest_stats(), self._services.feed
        yield _counter("fixes", "Fixes that reached their vehicles.", ingest.fixes)
        yield _counter("ingest_batches", "Durable batches.", ingest.batches)
        yield _counter("ingest_refused_batches", "Batches that the store did not take.", ingest.failed_batches)
        yield _counter(
            "ingest_unrouted_batches", "Durable batches that wait for the next start.", ingest.unrouted_batches
        )
        yield _gauge("ingest_waiting_fixes", "Fixes on their way to the vehicles.", ingest.waiting)
        yield _gauge("ingest_lag_seconds", "From arrival to the vehicle, of the last batch.", ingest.lag_s)
        yield _gauge("ingest_append_seconds", "How long the last batch took to become durable.", ingest.append_s)
        yield _counter("conflated_fixes", "Positions dropped for newer ones.", self._services.fleet.conflated)
        yield _counter("feed_rows", "Rows of the feed.", feed.rows)
        yield _labelled("feed_rejected_rows", "Rows of the feed that were refused.", "code", feed.rejected)

    def _actors(self) -> Iterator[Metric]:
        supervisor, agenda = self._services.supervisor, self._services.clock.agenda
        mailboxes = self._ops.mailboxes()
        actors = GaugeMetricFamily("shouwang_actors", "Living actors.", labels=("kind",))
        actors.add_metric((KIND,), len(supervisor.actors(KIND)))
        yield actors
        yield _gauge("mailbox_depth_max", "The fullest mailbox looked into.", mailboxes.depth_max)
        yield _gauge("mailbox_messages", "Messages waiting, as far as looked into.", mailboxes.depth_total)
        yield _counter("actor_restarts", "Actors started again.", supervisor.restarts)
        yield _gauge("parked_actors", "Actors that failed too often.", supervisor.parked)
        yield _counter("dead_letters", "Messages that nobody handled.", supervisor.dead_letters_total)
        yield _gauge("timers_pending", "Timers that wait.", agenda.pending)
        yield _gauge("timer_lateness_seconds", "Lateness of the last timer, on the system's clock.", agenda.lateness_s)
        settled = int(self._services.clock.is_settled)
        yield _gauge("clock_settled", "0 after a step of the machine's clock.", settled)
        yield _gauge("event_loop_lag_seconds", "How late the loop came round.", self._vitals.loop_lag_s)
        yield _gauge("event_loop_lag_worst_seconds", "The worst of the last 60 s.", self._vitals.worst_loop_lag_s)
        yield self._loop_delays()
        yield _gauge("uptime_seconds", "Since the start.", self._vitals.uptime_s)

    def _loop_delays(self) -> Metric:
        vitals = self._vitals
        bounds = [*map(str, LAG_BOUNDS_S), "+Inf"]
        return HistogramMetricFamily(
            "shouwang_event_loop_delay_seconds",
            "How late the loop came round, looked at ten times a second.",
            buckets=list(zip(bounds, accumulate(vitals.lags), strict=True)),
            sum_value=vitals.lag_sum_s,
        )

    def _store(self) -> Iterator[Metric]:
        stats = self._services.store_stats()
        yield _counter("store_commits", "Commits since the start.", stats.commits)
        yield _counter("store_failures", "Commits and reads that failed.", stats.failures)
        yield _gauge("store_queue_depth", "Writes that wait.", stats.queue_depth)
        yield _gauge("store_commit_seconds_mean", "Of the last thousand commits.", stats.mean_commit_s)
        yield _gauge("store_commit_seconds_p99", "Of the last thousand commits.", stats.p99_commit_s)
        yield _gauge("store_troubles", "What is wrong with it and needs a person: see /health.", len(stats.troubles))

    def _quality(self) -> Iterator[Metric]:
        quality = self._ops.data_quality()
        yield _gauge("vehicles_known", "Vehicles with a terminal.", self._services.known_vehicles())
        yield _gauge("vehicles_online", "Vehicles online.", self._services.fleet.online)
        yield _labelled("fix_outcomes", "What became of fixes.", "outcome", quality.outcomes)
        rates = (
            ("online_rate", quality.online_rate),
            ("valid_fix_rate", quality.valid_fix_rate),
            ("track_completeness", quality.track_completeness),
            ("drift_rate", quality.drift_rate),
        )
        yield from (_gauge(name, "0 to 1.", rate) for name, rate in rates if rate is not None)

    def _http(self) -> Metric:
        calls = SummaryMetricFamily(
            "shouwang_http_request_seconds", "Calls by route.", labels=("method", "route", "status")
        )
        for key, count in self._calls.counts.items():
            method, route, status = key
            calls.add_metric((method, route, str(status)), count, self._calls.seconds[key])
        return calls

    def _sockets(self) -> Iterator[Metric]:
        connections = self._connections
        yield _gauge("http_connections", "Open, live streams included.", connections.open)
        yield _gauge("live_streams", "Families that watch on one.", self._open_streams())
        yield _labelled("http_refused_connections", "That found no room.", "kind", connections.refused)
        yield _counter("http_gave_way_connections", "Without a call, closed for new ones.", connections.gave_way)
        yield _counter("http_silent_connections", "Hung up on: no request came in time.", connections.no_head)

    def _gateway(self) -> Iterator[Metric]:
        """Yield every number of the gateway's figures; a mapping of numbers becomes one metric with a label."""
        for name, value in self._services.gateway_stats().items():
            if isinstance(value, bool):
                continue
            if isinstance(value, int | float):
                family_of = _counter if name.endswith("_total") else _gauge
                yield family_of(f"gateway_{name.removesuffix('_total')}", "See /health.", value)
            elif isinstance(value, dict):
                numbers = {str(kind): count for kind, count in value.items() if isinstance(count, int | float)}
                family = GaugeMetricFamily(f"shouwang_gateway_{name}", "See /health.", labels=("kind",))
                for kind, count in numbers.items():
                    family.add_metric((kind,), count)
                yield family


def _counter(name: str, documentation: str, value: float) -> Metric:
    return CounterMetricFamily(f"shouwang_{name}", documentation, value=value)


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(f"shouwang_{name}", documentation, value=value)


def _labelled(name: str, documentation: str, label: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(f"shouwang_{name}", documentation, labels=(label,))
    for value, count in values.items():
        family.add_metric((value,), count)
    return family
