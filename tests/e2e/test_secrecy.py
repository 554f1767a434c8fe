"""Tests that the service keeps secrets to itself (R62)."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from sim.registry_lines import Identity, business, identity, lines
from tests.e2e.callers import bearer, call, feed, own_vehicles, sign_in, try_to_sign_in
from tests.e2e.processes import SEED, YEAR, Yard
from tests.e2e.trucks import Truck, report

pytestmark = pytest.mark.e2e

OWNER = business(SEED, 0)
KEY, WRONG_KEY = "feed-key-of-this-test", "feed-key-of-somebody-else"
WRONG_PASSWORD = "a-password-from-elsewhere"
STRANGER = Identity("粤B99999", "yellow", "", "", "13999999999")


def citizen_ids() -> list[str]:
    people = (json.loads(line) for line in lines(SEED, 30, year=YEAR))
    return [person["citizen_id"] for person in people if person["type"] == "person"]


def test_nothing_said_by_a_service_holds_a_secret(yard: Yard) -> None:
    serving = yard.serves(FEED_KEY=KEY)
    codes = []
    since = int(time.time()) - 10
    for index in range(3):
        with Truck(identity(SEED, index), serving.jt808) as truck:
            codes.append(truck.signs_on())
            truck.reports(report(index, since, 0, emergency=True))
            truck.reports(report(index, since + 86_400, 0))
    for who in (STRANGER, identity(SEED, 3)):
        with Truck(who, serving.jt808) as truck:
            truck.registers()
            truck.authenticates("a-code-from-elsewhere")
            truck.reports(report(0, since, 1))
    token = sign_in(serving.http, OWNER)
    own_vehicles(serving.http, token)
    assert try_to_sign_in(serving.http, replace(OWNER, password=WRONG_PASSWORD)).status == 401
    assert call(serving.http, "GET", f"/api/v1/owner/vehicles?cursor={token}", headers=bearer(token)).status == 422
    assert call(serving.http, "GET", "/api/v1/me", headers=bearer(token + "x")).status == 401
    assert feed(serving.http, WRONG_KEY, []).status == 401
    assert feed(serving.http, KEY, [report(5, since, 0).as_row(identity(SEED, 5).phone)]).status == 200
    ended = serving.process.stops()
    assert ended.err.strip(), "it logs something, or this test sees nothing"

    phones = [identity(SEED, index).phone for index in range(30)] + [STRANGER.phone]
    secrets = [OWNER.password, WRONG_PASSWORD, token, KEY, WRONG_KEY, "a-code-from-elsewhere", *codes, *phones]
    assert [secret for secret in [*secrets, *citizen_ids()] if secret in ended.said] == []
