"""Tests that a service short of descriptors says so, serves the connections it has, and does not spin."""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.jt808.codec import message_ids as ids
from sim.registry_lines import identity
from tests.e2e.callers import Answer, call
from tests.e2e.processes import SEED, Yard, address_of, until
from tests.e2e.trucks import Truck, report
from tests.patience import PATIENCE_S
from tests.programs import needs

pytestmark = pytest.mark.e2e

DESCRIPTORS = 480
CROWD = 600
"""Connections at each port; all fit into the kernel's queue, none into the service."""
LOOK_S = 2.0


@pytest.fixture
def many_sockets_of_ours() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], min(4 * CROWD, before[1])), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def few_descriptors(count: int) -> tuple[str, ...]:
    needs("prlimit", package="util-linux")
    return ("prlimit", f"--nofile={count}:{count}")


def seconds_of_cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_refused(answer: Answer | None) -> bool:
    return answer is not None and answer.status == 503 and answer.retry_after is not None


def tried(http: str) -> Answer | None:
    """Return the answer; None when the connection is not accepted."""
    try:
        return call(http, "GET", "/healthz")
    except (ConnectionError, TimeoutError):
        return None


@pytest.mark.usefixtures("many_sockets_of_ours")
def test_a_crowd_beyond_the_descriptors_is_refused_and_when_it_leaves_all_are_served(yard: Yard) -> None:
    serving = yard.serves(below=few_descriptors(DESCRIPTORS))
    since = int(time.time()) - 100
    with Truck(identity(SEED, 0), serving.jt808) as honest:
        honest.signs_on()
        with ExitStack() as crowd:
            for address in (serving.jt808, serving.http):
                for _ in range(CROWD):
                    crowd.enter_context(socket.create_connection(address_of(address), PATIENCE_S))
            assert until(lambda: is_refused(tried(serving.http)))
            used_s, began = seconds_of_cpu(serving.process.pid), time.monotonic()
            for second in range(20):
                assert honest.reports(report(0, since, second)) == ids.RESULT_OK
                assert is_refused(tried(serving.http))
            until(lambda: False, within_s=LOOK_S)
            spent = (seconds_of_cpu(serving.process.pid) - used_s) / (time.monotonic() - began)
            assert spent < 0.5, "it spins"
            open_now = len(os.listdir(f"/proc/{serving.process.pid}/fd"))
            assert open_now < DESCRIPTORS
        assert until(lambda: (answer := tried(serving.http)) is not None and answer.status == 200)
        with Truck(identity(SEED, 1), serving.jt808) as newcomer:
            newcomer.signs_on()
            assert newcomer.reports(report(1, since, 0)) == ids.RESULT_OK
        assert honest.reports(report(0, since, 21)) == ids.RESULT_OK
    ended = serving.process.stops()
    assert ended.status == 0
    assert "ulimit -n" in ended.err, "it did not say that it can carry few"
    assert len(ended.err.splitlines()) < 300
    assert "Traceback" not in ended.said
    assert "traceback" not in ended.said


def test_descriptors_that_run_out_all_the_same_are_waited_for_and_do_not_make_it_spin(yard: Yard) -> None:
    """The descriptors are taken away while it runs, which no limit of ours can know."""
    serving = yard.serves()
    pid, since = serving.process.pid, int(time.time()) - 100
    with Truck(identity(SEED, 0), serving.jt808) as honest:
        honest.signs_on()
        honest.reports(report(0, since, 0))
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")), before[1]))
        used_s = seconds_of_cpu(pid)
        with ExitStack() as crowd:
            for _ in range(50):
                crowd.enter_context(socket.create_connection(address_of(serving.jt808), PATIENCE_S))
            for second in range(1, 20):
                assert honest.reports(report(0, since, second)) == ids.RESULT_OK
                until(lambda: False, within_s=LOOK_S / 10)
            assert seconds_of_cpu(pid) - used_s < LOOK_S, "it spins"
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            with Truck(identity(SEED, 1), serving.jt808) as newcomer:
                newcomer.signs_on()
                assert newcomer.reports(report(1, since, 0)) == ids.RESULT_OK
    ended = serving.process.stops()
    assert ended.status == 0
    assert len(ended.err.splitlines()) < 300


def test_too_few_descriptors_to_serve_anybody_are_refused_at_the_start(yard: Yard) -> None:
    ended = yard.runs("serve", "--store", yard.store_name, below=few_descriptors(256))
    assert ended.status == 2
    assert ended.err.splitlines()[-1].startswith("run.py: this process may have 256 open files")
    assert "LimitNOFILE" in ended.err
