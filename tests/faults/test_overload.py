"""Tests a service at three times its capacity: alerts, commands and acknowledged fixes are kept, and it recovers."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec
import pytest

from gateway.jt808.codec import message_ids as ids
from sim.registry_lines import business, business_of, identity
from tests.e2e.callers import SeenVehicle, call, own_vehicles, sign_in, starts_of_alerts
from tests.e2e.processes import RUN, SEED, Serving, Yard, until, write_registry
from tests.e2e.trucks import Truck, report
from tests.faults.flood import FIRST_TRUCK, LANES, STUTTERING, TRUCKS_A_LANE, Told
from tests.faults.people import Driver, People
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.e2e

KEY = "feed-key-of-this-test"
FLEET = FIRST_TRUCK + LANES * TRUCKS_A_LANE
FLOOD_S = 4.0
WAITING_FIXES = 10_000
MORE_MB = 300
"""Memory growth allowed: pending work is bounded."""
HONEST = 50
LOOKED_AT = range(FIRST_TRUCK, FLEET, 97)
"""Trucks whose alerts are compared; last fixes are compared of all."""


@dataclass
class Lookout:
    """Asks all the time how the service is, in a thread of its own."""

    serving: Serving
    unhealthy: list[int] = field(default_factory=list)
    reasons: set[str] = field(default_factory=set)
    slowest_s: float = 0.0
    memory_mb: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def looks(self) -> None:
        while not self.over.wait(0.03):
            began = time.monotonic()
            status = call(self.serving.http, "GET", "/healthz").status
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            if status != 200:
                self.unhealthy.append(status)
            readiness = call(self.serving.http, "GET", "/readyz")
            if readiness.status != 200:
                self.reasons |= set(msgspec.json.decode(readiness.body)["reasons"])
            self.memory_mb = max(self.memory_mb, memory_mb(self.serving.process.pid))


def memory_mb(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) // 1024


@dataclass
class Honest:
    """A truck that waits for each acknowledgement, as terminals do."""

    serving: Serving
    since: int
    acknowledged: list[int] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def drives(self) -> None:
        with Truck(identity(SEED, HONEST), self.serving.jt808) as truck:
            truck.signs_on()
            second = 0
            while not self.over.is_set() and second < 900:
                assert truck.reports(report(HONEST, self.since, second, emergency=second % 2 == 0)) == ids.RESULT_OK
                self.acknowledged.append(second)
                second += 1


def metric(http: str, name: str) -> float:
    text = call(http, "GET", "/metrics").body.decode()
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"shouwang_{name}"))


def test_r54_three_times_too_much_is_shed_by_the_rules_and_nothing_acknowledged_is_lost(empty_yard: Yard) -> None:
    yard = empty_yard
    assert yard.imports(write_registry(yard.folder / "registry.jsonl", FLEET)).status == 0
    serving = yard.serves(FEED_KEY=KEY, SHOUWANG_WAITING_FIXES=str(WAITING_FIXES))
    since = int(time.time()) - 780
    lookout, honest = Lookout(serving), Honest(serving, since)
    people = People([Driver(index, 10 + index, Random(index)) for index in STUTTERING])
    for each in people.drivers:
        each.signs_in(serving.http)
    threads = [threading.Thread(target=target) for target in (lookout.looks, honest.drives)]
    threads += [
        threading.Thread(target=people.act_until, args=(each, serving.http, honest.over)) for each in people.drivers
    ]
    before_mb = memory_mb(serving.process.pid)
    for thread in threads:
        thread.start()
    command = [sys.executable, "-m", "tests.faults.flood", serving.http, KEY, str(since), str(FLOOD_S)]
    flooded = subprocess.run(command, cwd=RUN.parent, capture_output=True, timeout=10 * PATIENCE_S, check=False)
    honest.over.set()
    recovered = until(lambda: call(serving.http, "GET", "/readyz").status == 200)
    lookout.over.set()
    for thread in threads:
        thread.join()
    assert flooded.returncode == 0, flooded.stderr.decode()
    told = msgspec.json.decode(flooded.stdout, type=Told)

    print(
        f"carried {told.carried_per_s:.0f}/s, offered {told.offered_per_s:.0f}/s, accepted {told.accepted}, refused "
        f"{told.refused}; conflated {metric(serving.http, 'conflated_fixes_total'):.0f}; slowest /healthz "
        f"{lookout.slowest_s:.2f} s; {before_mb} to {lookout.memory_mb} MB; {len(honest.acknowledged)} reports, "
        f"{[each.commands for each in people.drivers]} commands"
    )
    assert told.refused > told.accepted, "it was hardly too much"
    assert recovered
    assert lookout.reasons == {"shedding_load"}
    assert not lookout.unhealthy
    assert lookout.memory_mb < before_mb + MORE_MB
    assert metric(serving.http, 'http_request_seconds_count{method="POST",route="/api/v1/telemetry",status="503"}') > 0
    assert len(honest.acknowledged) > 1
    assert all(each.commands for each in people.drivers)
    people.are_known(serving.http)
    told.acknowledged[HONEST] = honest.acknowledged[-1]
    told.emergencies[HONEST] = [second for second in honest.acknowledged if second % 2 == 0]
    all_is_there(serving, told, since)
    assert serving.process.stops().status == 0


def all_is_there(serving: Serving, told: Told, since: int) -> None:
    seen: dict[str, SeenVehicle] = {}
    tokens = [sign_in(serving.http, business(SEED, number)) for number in range(business_of(FLEET - 1) + 1)]
    for token in tokens:
        seen |= own_vehicles(serving.http, token)
    for index, second in told.acknowledged.items():
        last_fix = seen[identity(SEED, index).plate].last_fix
        assert second < 0 or (last_fix is not None and last_fix.fixed_at == since + second), f"truck {index}"
    for index in (*LOOKED_AT, HONEST):
        vehicle = seen[identity(SEED, index).plate]
        alerts = starts_of_alerts(serving.http, tokens[business_of(index)], vehicle.id, "emergency")
        due = {since + second for second in told.emergencies[index]}
        assert len(alerts) == len(set(alerts))
        assert set(alerts) <= due, f"truck {index}"
        assert set(alerts) == set(sorted(due)[-len(alerts) or len(due) :]), f"truck {index}"
        assert len(alerts) >= min(len(due), 100), f"truck {index}: alerts are lost"
