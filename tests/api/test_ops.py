"""Tests that operators see the service's health, and never a person, a plate or a place."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.system.supervisor import DeadLetter
from api.operations.vitals import LAG_BOUNDS_S, Vitals
from domain.vehicle.fix import Fix
from gateway.ingest import IngestStats
from persistence.stats import StoreStats
from tests.api.conftest import START, Service, phone, plate, problem, row

OPS = {"X-Ops-Key": "ops-key"}


async def test_healthz_answers_as_long_as_the_loop_turns(service: Service) -> None:
    assert await service.get("/healthz", {}) == {"status": "ok"}


async def test_readyz_is_ready_when_nothing_speaks_against_it(service: Service) -> None:
    assert await service.get("/readyz", {}) == {"ready": True, "reasons": []}


async def not_ready(service: Service) -> list[str]:
    response = await service.client.get("/readyz")
    body = await response.json()
    assert (response.status, body["ready"]) == (503, False)
    assert response.headers["Retry-After"]
    reasons: list[str] = body["reasons"]
    return reasons


async def test_readyz_says_draining(service: Service) -> None:
    await service.restart_with(is_draining=lambda: True)
    assert await not_ready(service) == ["draining"]
    assert (await service.client.get("/healthz")).status == 200


async def test_readyz_says_when_load_is_shed(service: Service) -> None:
    service.ingest.stats.waiting = 100_000
    assert await not_ready(service) == ["shedding_load"]
    service.ingest.stats.waiting = 0


async def test_readyz_says_when_the_store_is_gone(service: Service) -> None:
    await service.store.close()
    assert await not_ready(service) == ["store_unreachable"]
    health = await service.get("/health", {})
    assert health["status"] == "failing"
    assert health["components"]["store"] == {"status": "failing", "reasons": ["store_unreachable"]}


async def test_r50_readyz_and_health_say_that_our_clock_is_not_settled(service: Service) -> None:
    service.clock.is_settled, service.clock.machine_ahead_s = False, 28_800.04
    assert await not_ready(service) == ["clock_unsettled"]
    health = await service.get("/health", {})
    assert (health["status"], health["components"]["clock"]) == (
        "degraded",
        {"status": "degraded", "reasons": ["clock_unsettled"]},
    )
    assert health["timekeeping"] == {"settled": False, "machine_ahead_s": 28_800.0, "fleet_ahead_s": None}


async def test_r50_health_says_by_how_much_the_fleet_disagrees_with_our_clock(service: Service) -> None:
    fixes = [Fix(str(number), int(START) - 3600, 0, 0, 0, 0, 0, 0, 3, 0) for number in range(5)]
    service.fleet.time.mark(fixes, START, machine_ahead_s=0.0, online=5)
    health = await service.get("/health", {})
    assert health["components"]["clock"] == {"status": "degraded", "reasons": ["fleet_disagrees"]}
    assert health["timekeeping"]["fleet_ahead_s"] == -3600
    assert (await service.client.get("/readyz")).status == 200


async def test_health_is_the_operational_picture(service: Service) -> None:
    await service.report(row(1), row(2), row(3, status=0), row(1, START + 10, alarms=0xFFFFFFFF))
    health = await service.get("/health", {})
    assert health["status"] == "ok"
    assert health["clock"] == {"now": "2025-10-09T16:53:20.000+08:00", "speed": 1.0, "virtual": True}
    assert health["identity_provider"]["name"] == "sandbox"
    assert (health["vehicles"], health["online"], health["offline"]) == (4, 2, 2)
    assert health["actors"]["vehicle"] == 3
    assert health["mailboxes"] == {"depth_max": 0, "depth_total": 0}
    assert health["telemetry"]["fixes_total"] == 4
    assert health["timers"]["pending"] >= 3
    assert health["store"]["commits"] > 0
    assert health["gateway"] == {"connections": 2, "frames_total": 9, "deviations": {"bad_checksum": 3}}
    quality = health["data_quality"]
    assert quality["online_rate"] == 0.5
    assert quality["valid_fix_rate"] == 0.75
    assert quality["outcomes"]["newest"] == 3
    assert quality["outcomes"]["not_positioned"] == 1
    assert quality["implausible_alarm_words"] == 1
    assert set(health["components"]) == {"store", "ingest", "actors", "event_loop", "service", "clock"}


async def test_what_fails_is_in_the_picture_without_its_facts(service: Service) -> None:
    service.supervisor.dead_letters.append(DeadLetter(START, "vehicle:0a", "Report", f"KeyError('{plate(1)}')"))
    service.supervisor.dead_letters_total += 1
    letters = (await service.get("/health", {}))["dead_letters"]
    assert letters["total"] == 1
    assert letters["last"] == [
        {"at": "2025-10-09T16:53:20+08:00", "actor": "vehicle:0a", "message": "Report", "reason": "KeyError"}
    ]


async def test_neither_health_nor_metrics_names_a_person_a_plate_or_a_place(service: Service) -> None:
    await service.sign_in()
    await service.report(row(1), row(2, status=0), row(9))
    for path in ("/health", "/metrics"):
        text = await (await service.client.get(path)).text()
        for secret in (plate(1), phone(1), phone(9), "owner1", "平安运输", "武汉", "114.4", str(service.folder)):
            assert secret not in text


async def test_with_an_ops_key_the_picture_needs_it(service: Service) -> None:
    await service.restart_with(ops_key="ops-key")
    for path in ("/health", "/metrics"):
        await problem(await service.client.get(path), 401, "ops_key_invalid")
        await problem(await service.client.get(path, headers={"X-Ops-Key": "wrong"}), 401, "ops_key_invalid")
        assert (await service.client.get(path, headers=OPS)).status == 200
    assert (await service.client.get("/healthz")).status == 200
    assert (await service.client.get("/readyz")).status == 200


async def test_metrics_are_prometheus_text(service: Service) -> None:
    await service.report(row(1), row(9))
    await service.client.get("/nothing/at/all")
    response = await service.client.get("/metrics")
    lines = (await response.text()).splitlines()
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "shouwang_fixes_total 1.0" in lines
    assert 'shouwang_actors{kind="vehicle"} 1.0' in lines
    assert 'shouwang_feed_rejected_rows_total{code="unknown_vehicle"} 1.0' in lines
    assert 'shouwang_fix_outcomes_total{outcome="newest"} 1.0' in lines
    assert 'shouwang_gateway_deviations{kind="bad_checksum"} 3.0' in lines
    assert "shouwang_gateway_connections 2.0" in lines
    assert "shouwang_gateway_frames_total 9.0" in lines
    posted = 'shouwang_http_request_seconds_count{method="POST",route="/api/v1/telemetry",status="200"} 1.0'
    assert posted in lines
    assert 'shouwang_http_request_seconds_count{method="",route="unmatched",status="404"} 1.0' in lines
    assert any(line.startswith("shouwang_event_loop_lag_seconds ") for line in lines)
    assert any(line.startswith('shouwang_event_loop_delay_seconds_bucket{le="0.05"} ') for line in lines)


# -- the virtual clock ------------------------------------------------------------------------------------------------


async def test_the_virtual_clock_moves_when_told_and_timers_fire_before_the_answer(service: Service) -> None:
    await service.report(row(1))
    response = await service.client.post("/dev/clock", json={"advance_s": 600})
    assert (response.status, (await response.json())["now"]) == (200, "2025-10-09T17:03:20.000+08:00")
    health = await service.get("/health", {})
    assert health["online"] == 0
    assert health["timers"]["fired"] >= 1


@pytest.mark.parametrize("advance_s", [-1, None, "60", True, 1e300, [], {}])
async def test_a_clock_moves_forward_by_a_number_only(service: Service, advance_s: Any) -> None:
    response = await service.client.post("/dev/clock", json={"advance_s": advance_s})
    assert [error["field"] for error in (await problem(response, 422, "invalid_input"))["errors"]] == ["advance_s"]
    assert service.clock.now() == START


async def test_a_real_clock_has_no_such_path(service: Service) -> None:
    await service.restart_with(advance=None)
    await problem(await service.client.post("/dev/clock", json={"advance_s": 1}), 404, "not_found")


# -- vitals -----------------------------------------------------------------------------------------------------------


def no_store(failures: int = 0) -> StoreStats:
    return StoreStats(0, 0, failures, 0, 0.0, 0.0, 0.0)


def test_rates_are_those_of_their_windows() -> None:
    stats = IngestStats()
    vitals = Vitals(lambda: stats, no_store)
    assert vitals.fixes_per_s(10.0) == 0.0
    for second in range(61):
        stats.fixes = second * 10 if second <= 50 else 500 + (second - 50) * 100
        vitals.note(float(second), lag_s=0.0)
    assert vitals.fixes_per_s(10.0) == 100.0
    assert vitals.fixes_per_s(60.0) == 25.0


def test_a_store_that_refused_a_write_is_remembered_for_ten_seconds() -> None:
    stats = IngestStats()
    vitals = Vitals(lambda: stats, no_store)
    vitals.note(0.0, lag_s=0.0)
    stats.failed_batches = 1
    vitals.note(1.0, lag_s=0.0)
    assert vitals.store_refuses
    vitals.note(11.0, lag_s=0.0)
    assert not vitals.store_refuses


def test_a_store_that_fails_only_commands_is_noticed_too() -> None:
    failures = 0
    vitals = Vitals(IngestStats, lambda: no_store(failures))
    vitals.note(0.0, lag_s=0.0)
    failures = 1
    vitals.note(0.5, lag_s=0.0)
    assert not vitals.store_refuses
    vitals.note(1.0, lag_s=0.0)
    assert vitals.store_refuses
    vitals.note(11.0, lag_s=0.0)
    assert not vitals.store_refuses


def test_every_delay_of_the_loop_is_counted_under_its_bound() -> None:
    vitals = Vitals(IngestStats, no_store)
    for tick, lag_s in enumerate((0.0, 0.05, 0.051, 5.0)):
        vitals.note(float(tick), lag_s=lag_s)
    counted = dict(zip((*LAG_BOUNDS_S, float("inf")), vitals.lags, strict=True))
    assert {bound: count for bound, count in counted.items() if count} == {0.001: 1, 0.05: 1, 0.1: 1, float("inf"): 1}
    assert vitals.lag_sum_s == pytest.approx(5.101)


def test_the_worst_lag_stays_in_sight_for_a_minute() -> None:
    vitals = Vitals(IngestStats, no_store)
    vitals.note(0.0, lag_s=0.5)
    for tick in range(1, 100):
        vitals.note(tick / 10, lag_s=0.001)
    assert (vitals.loop_lag_s, vitals.worst_loop_lag_s) == (0.001, 0.5)
    for tick in range(100, 800):
        vitals.note(tick / 10, lag_s=0.001)
    assert vitals.worst_loop_lag_s == 0.001


async def test_the_loop_is_measured_while_the_application_runs() -> None:
    measured = asyncio.Event()
    calls = 0

    def stats() -> IngestStats:
        nonlocal calls
        calls += 1
        if calls == 3:
            measured.set()
        return IngestStats()

    measuring = asyncio.create_task(Vitals(stats, no_store).run())
    await measured.wait()
    assert not measuring.done()
    measuring.cancel()
