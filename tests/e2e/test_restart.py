"""Tests that everything acknowledged is still there after the service has restarted."""

from __future__ import annotations

import signal
import socket
import time

import pytest

from gateway.jt808.codec import message_ids as ids
from sim.registry_lines import business, identity
from tests.e2e.callers import FeedAnswer, bearer, call, feed, own_vehicles, sign_in, starts_of_alerts
from tests.e2e.convoy import Convoy
from tests.e2e.processes import SEED, Yard, address_of, write_registry
from tests.e2e.trucks import Truck, report

pytestmark = pytest.mark.e2e

OWNER = business(SEED, 0)
WHO = identity(SEED, 0)
KEY = "feed-key-of-this-test"
KILLS = 6
PACES = (("5", "30"), ("5", "0.05"), ("40", "30"))
"""Milliseconds that a fix waits for a batch, and seconds between two checkpoints."""


def test_a_clean_stop_keeps_the_fix_the_session_and_the_terminals_code(empty_yard: Yard) -> None:
    yard = empty_yard
    assert yard.imports(write_registry(yard.folder / "registry.jsonl", 2)).status == 0
    first = yard.serves()
    with Truck(WHO, first.jt808) as truck:
        code = truck.signs_on()
        since = int(time.time()) - 2
        assert [truck.reports(report(0, since, second)) for second in range(3)] == [ids.RESULT_OK] * 3
        token = sign_in(first.http, OWNER)
        before = own_vehicles(first.http, token)
        assert before[WHO.plate].online is True
        last_fix = before[WHO.plate].last_fix
        assert last_fix is not None
        assert (last_fix.fixed_at, last_fix.place_e6) == (since + 2, report(0, since, 2).place_e6)
        assert first.process.stops().status == 0
    for address in (first.http, first.jt808):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address_of(address), 5)

    second = yard.serves()
    assert own_vehicles(second.http, token) == before
    with Truck(WHO, second.jt808) as truck:
        assert truck.authenticates(code) == ids.RESULT_OK
        assert truck.reports(report(0, since, 3)) == ids.RESULT_OK
    second.process.is_told(signal.SIGINT)
    assert second.process.ends().status == 0


def test_a_signed_out_session_stays_signed_out_after_a_restart(yard: Yard) -> None:
    first = yard.serves()
    token = sign_in(first.http, OWNER)
    assert call(first.http, "DELETE", "/api/v1/sessions/current", headers=bearer(token)).status == 204
    first.process.is_killed()
    second = yard.serves()
    assert call(second.http, "GET", "/api/v1/owner/vehicles", headers=bearer(token)).status == 401


def test_a_kill_right_after_an_acknowledgement_loses_nothing_that_was_acknowledged(yard: Yard) -> None:
    convoy = Convoy(trucks=20)
    token = ""
    for kill in range(KILLS + 1):
        # Kills must hit checkpoints too, and the time for which fixes wait for company: an early answer would show there.
        linger_ms, checkpoint_s = PACES[kill % len(PACES)]
        serving = yard.serves(SHOUWANG_LINGER_MS=linger_ms, SHOUWANG_CHECKPOINT_S=checkpoint_s)
        token = token or sign_in(serving.http, OWNER)
        seen = own_vehicles(serving.http, token)
        for index, known in enumerate(convoy.knowledge):
            vehicle = seen[identity(SEED, index).plate]
            told = vehicle.last_fix and (vehicle.last_fix.fixed_at, vehicle.last_fix.place_e6)
            assert told in convoy.true_answers(index), f"truck {index}, after kill {kill}"
            alerts = starts_of_alerts(serving.http, token, vehicle.id, "emergency")
            assert known.acknowledged_emergencies <= set(alerts) <= known.sent_emergencies, f"truck {index}"
            assert len(alerts) == len(set(alerts))
        if kill < KILLS:
            convoy.drives_until_killed(serving)
    assert convoy.acknowledged > KILLS * 20


def test_a_kill_right_after_the_feeds_answer_loses_no_row_and_the_batch_again_is_stale(yard: Yard) -> None:
    trucks, seconds = range(20), 5
    since = int(time.time()) - 60
    serving = yard.serves(FEED_KEY=KEY, SHOUWANG_LINGER_MS="40")
    token = sign_in(serving.http, OWNER)
    for batch in range(3):
        span = range(batch * seconds, (batch + 1) * seconds)
        rows = [
            report(index, since, second, emergency=second == span[0]).as_row(identity(SEED, index).phone)
            for second in span
            for index in trucks
        ]
        assert feed(serving.http, KEY, rows).holds(FeedAnswer) == FeedAnswer(len(rows), 0, [])
        serving.process.is_killed()

        serving = yard.serves(FEED_KEY=KEY, SHOUWANG_LINGER_MS="40")
        seen = own_vehicles(serving.http, token)
        for index in trucks:
            vehicle = seen[identity(SEED, index).plate]
            assert vehicle.last_fix is not None
            assert vehicle.last_fix.fixed_at == since + span[-1]
            assert vehicle.last_fix.place_e6 == report(index, since, span[-1]).place_e6
            assert since + span[0] in starts_of_alerts(serving.http, token, vehicle.id, "emergency")
        assert feed(serving.http, KEY, rows).holds(FeedAnswer) == FeedAnswer(0, len(rows), [])
