"""Tests that garbage at the terminals' port leaves the service alive, and an honest terminal served."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from random import Random

import pytest

from gateway.jt808.codec import message_ids as ids
from sim.registry_lines import Identity, identity
from tests.e2e.callers import call, health
from tests.e2e.processes import SEED, Yard, address_of
from tests.e2e.trucks import Truck, report
from tests.gateway.neighbours import Terminal

pytestmark = pytest.mark.e2e

GARBAGE = {
    "random bytes": Random(1).randbytes(200_000),
    "a frame of 1 MB that never ends": b"\x7e" + b"\x02" * 1_000_000,
    "flags": b"\x7e" * 100_000,
    "a crawler": b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "half a frame": Terminal(identity(SEED, 1).phone).reports()[:20],
    "silence": b"",
}


def test_an_honest_terminal_is_served_beside_garbage(yard: Yard) -> None:
    serving = yard.serves()
    since = int(time.time()) - 60
    with ExitStack() as open_till_the_end:
        honest = open_till_the_end.enter_context(Truck(identity(SEED, 0), serving.jt808))
        honest.signs_on()
        for second, (kind, garbage) in enumerate(GARBAGE.items()):
            connection = socket.create_connection(address_of(serving.jt808), 10)
            open_till_the_end.enter_context(connection)
            try:
                connection.sendall(garbage)
            except ConnectionError:
                assert len(garbage) > 1000, f"hung up on {kind} at once"
            assert honest.reports(report(0, since, second)) == ids.RESULT_OK, kind
        newcomer = open_till_the_end.enter_context(Truck(identity(SEED, 2), serving.jt808, protocol_version=1))
        answer = newcomer.reports(report(2, since, 0))
        assert answer == ids.RESULT_FAILED, "a location before authentication"
    assert call(serving.http, "GET", "/readyz").status == 200
    assert health(serving.http).telemetry.fixes_total == len(GARBAGE)
    ended = serving.process.stops()
    assert ended.status == 0
    assert "Traceback" not in ended.said
    assert "traceback" not in ended.said


def test_a_stranger_is_refused_by_name_of_the_standard_and_never_believed(yard: Yard) -> None:
    serving = yard.serves()
    stranger = Identity("粤B99999", "yellow", "", "", "13999999999")
    with Truck(stranger, serving.jt808) as truck:
        assert truck.registers().result == ids.NO_SUCH_TERMINAL
        assert truck.authenticates("authentication") == ids.RESULT_FAILED
        assert truck.reports(report(0, int(time.time()), 0)) == ids.RESULT_FAILED
    with Truck(identity(SEED, 0), serving.jt808) as truck:
        assert truck.authenticates("never issued") == ids.RESULT_FAILED
        assert truck.reports(report(0, int(time.time()), 0)) == ids.RESULT_FAILED
    assert health(serving.http).telemetry.fixes_total == 0
