"""The machine's clock is moved under the real process, and moved back: nothing freezes, nothing ends, nothing is lost (R50)."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.jt808.codec import message_ids as ids
from sim.registry_lines import Person, business, driver, identity
from tests.e2e.callers import Session, Terms, bearer, call, call_json, own_vehicles, sign_in, starts_of_alerts
from tests.e2e.processes import SEED, Serving, Yard, until
from tests.e2e.trucks import Report, Truck, report
from tests.programs import needs

pytestmark = pytest.mark.e2e

PROGRAM: Final = "faketime"
TRUCKS: Final = 3
OWNER: Final = business(SEED, 0)


class Machine:
    """The clock that a process believes in; its steady clock goes on as it is."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "faketime"
        self.shows(0)

    def shows(self, ahead_s: int) -> None:
        self._file.write_text(f"{ahead_s:+d}\n", "ascii")

    def below(self) -> list[str]:
        """Return the command that our command is to be run below."""
        told = subprocess.run([PROGRAM, "-f", "+0", "env"], capture_output=True, text=True, check=True).stdout
        preload = next(line for line in told.splitlines() if line.startswith("LD_PRELOAD="))
        return ["env", preload, f"FAKETIME_TIMESTAMP_FILE={self._file}", "FAKETIME_NO_CACHE=1", "DONT_FAKE_MONOTONIC=1"]


class Family:
    """A three-day share of truck 0, opened by a family member."""

    def __init__(self, http: str) -> None:
        by, self._token = (_signed_in(http, driver(SEED, number)) for number in (0, 1))
        truck = identity(SEED, 0)
        papers = {
            "plate": truck.plate,
            "plate_color": "yellow",
            "transport_cert_no": truck.transport_cert_no,
            "vin": truck.vin,
        }
        binding = _asks(http, "POST", "/api/v1/driver/bindings", by, papers)
        share = _asks(http, "POST", f"/api/v1/driver/bindings/{binding['id']}/shares", by, {"duration": "3d"})
        _asks(http, "POST", "/api/v1/links/open", self._token, {"token": share["token"]})
        self._path = f"/api/v1/family/shares/{share['id']}"

    def sees(self, http: str) -> dict[str, Any]:
        return _asks(http, "GET", self._path, self._token)


def _signed_in(http: str, who: Person) -> str:
    version = call(http, "GET", "/api/v1/terms").holds(Terms).version
    proof = {"wechat_code": f"sandbox:{who.phone}", "phone_code": f"sandbox:{who.phone}"}
    return (
        call_json(http, "/api/v1/sessions", {"kind": "natural", "terms_version": version, **proof}).holds(Session).token
    )


def _asks(http: str, method: str, path: str, token: str, form: Mapping[str, str] | None = None) -> dict[str, Any]:
    body = None if form is None else json.dumps(form).encode()
    answer = call(http, method, path, body=body, headers={**bearer(token), "Content-Type": "application/json"})
    assert 200 <= answer.status < 300, answer
    told: dict[str, Any] = json.loads(answer.body)
    return told


def _reasons(serving: Serving) -> list[str]:
    reasons: list[str] = json.loads(call(serving.http, "GET", "/readyz").body)["reasons"]
    return reasons


def _health(serving: Serving) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(call(serving.http, "GET", "/health").body)
    return told


class Convoy:
    """Trucks whose clocks are right, whatever the service's machine shows."""

    def __init__(self, serving: Serving, lines: ExitStack) -> None:
        """``lines`` hangs up."""
        self.serving = serving
        self._told_at = 0
        self._owner = sign_in(serving.http, OWNER)
        self._trucks = [lines.enter_context(Truck(identity(SEED, number), serving.jt808)) for number in range(TRUCKS)]
        for truck in self._trucks:
            truck.signs_on()

    def report(self, *, emergency: bool = False, shown: bool = True) -> list[Report]:
        """Report from all trucks now, and check that the reports are acknowledged and shown."""
        assert until(lambda: int(time.time()) > self._told_at), "time stands still"
        now = self._told_at = int(time.time())
        told = [report(number, now, 0, emergency=emergency and number == 0) for number in range(TRUCKS)]
        for truck, here in zip(self._trucks, told, strict=True):
            assert truck.reports(here) == ids.RESULT_OK
        seen = own_vehicles(self.serving.http, self._owner)
        for number, here in enumerate(told if shown else ()):
            vehicle = seen[identity(SEED, number).plate]
            assert vehicle.last_fix is not None
            assert (vehicle.online, vehicle.last_fix.fixed_at) == (True, here.fixed_at)
        return told

    def emergencies(self) -> list[int]:
        vehicle = own_vehicles(self.serving.http, self._owner)[identity(SEED, 0).plate]
        return starts_of_alerts(self.serving.http, self._owner, vehicle.id, "emergency")


@pytest.fixture
def lines() -> Iterator[ExitStack]:
    """The trucks' connections."""
    with ExitStack() as lines:
        yield lines


@pytest.mark.parametrize("ahead_s", [8 * 3600, 8 * 86_400, -3600], ids=["8 hours", "8 days", "an hour back"])
def test_r50_a_clock_that_is_moved_and_moved_back_freezes_no_truck_and_ends_no_share(
    yard: Yard, tmp_path: Path, lines: ExitStack, ahead_s: int
) -> None:
    needs(PROGRAM)
    machine = Machine(tmp_path)
    serving = yard.serves(below=machine.below())
    family, convoy = Family(serving.http), Convoy(serving, lines)
    convoy.report()

    machine.shows(ahead_s)
    assert until(lambda: _reasons(serving) == ["clock_unsettled"])
    convoy.report(emergency=True)
    (began,) = convoy.emergencies()
    assert abs(began - time.time()) < 60
    seen = family.sees(serving.http)
    assert seen["online"]
    assert [each["kind"] for each in seen["alerts"]] == ["emergency"]
    told = _health(serving)
    assert abs(told["timekeeping"]["machine_ahead_s"] - ahead_s) < 5
    assert abs(datetime.fromisoformat(told["clock"]["now"]).timestamp() - time.time()) < 5

    serving.process.is_killed()
    serving = yard.serves(below=machine.below())
    assert _reasons(serving) == ["clock_unsettled"]
    assert family.sees(serving.http)["online"]
    convoy = Convoy(serving, lines)
    convoy.report()

    machine.shows(0)
    assert until(lambda: _reasons(serving) == [])
    convoy.report()
    assert convoy.emergencies() == [began]
    assert family.sees(serving.http)["online"]
    assert _health(serving)["data_quality"]["corrected_clocks"] == 0


def test_r50_a_clock_that_was_wrong_from_the_start_on_is_put_right_by_the_fleet(
    yard: Yard, tmp_path: Path, lines: ExitStack
) -> None:
    """Ours is an hour behind; an emergency is shown all the same, and everything is right once the machine is."""
    needs(PROGRAM)
    machine = Machine(tmp_path)
    machine.shows(-3600)
    serving = yard.serves(below=machine.below())
    convoy = Convoy(serving, lines)
    convoy.report(
        emergency=True, shown=False
    )  # The first truck is alone with its time, so it may be the one that is wrong.
    convoy.report()
    (began,) = convoy.emergencies()
    assert _health(serving)["timekeeping"]["fleet_ahead_s"] == 3600
    machine.shows(0)
    assert until(lambda: _reasons(serving) == ["clock_unsettled"])
    convoy.report(shown=False)  # Whose receipt was dated an hour ago counts as online from its next report on.
    assert until(lambda: _reasons(serving) == [])
    convoy.report()
    assert convoy.emergencies() == [began]
    told = _health(serving)
    assert told["timekeeping"] == {"settled": True, "machine_ahead_s": 0.0, "fleet_ahead_s": None}
    assert told["data_quality"]["corrected_clocks"] == 0
