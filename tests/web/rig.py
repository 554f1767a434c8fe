"""The service behind the pages in tests: a real `run.py serve` on a virtual clock, a truck, and an API client."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from math import cos, radians, sin
from pathlib import Path
from typing import Any, Final

import msgspec

from domain.civil_time import CHINA_TIME, china_date
from domain.identifiers import PlateColor
from domain.registry import vehicle_id
from domain.vehicle.fix import STATUS_ACC_ON, STATUS_POSITIONED
from tests.api.conftest import business_line, mobile, person_line, phone, plate, row, vehicle_line
from tests.api.drivers import papers
from tests.e2e.callers import Answer, bearer, call
from tests.e2e.processes import ANY_PORT, Serving, Yard

FEED_KEY: Final = "feed-key-of-the-pages"
OPS_KEY: Final = "ops-key-of-the-pages"
VEHICLES: Final = 12
DRIVERS: Final = range(1, 6)
FAMILY: Final = range(11, 16)
"""Registered, and no drivers."""
STRANGER: Final = 99
"""A phone that is not registered."""
EMERGENCY: Final = 1
SPEEDING: Final = 2
FATIGUE: Final = 4
WUHAN: Final = (114.305, 30.593)
METRES_A_DEGREE: Final = 111_320.0

Body = dict[str, Any]
Session = Mapping[str, Any]
"""A sign-in's answer: token and account."""


IN_10_DAYS = re.compile("还有 (10|9) 天到期")
"""The text on a page; a run may go over midnight."""
IN_20_DAYS = re.compile("还有 (20|19) 天到期")


def registry_lines(today: date) -> list[Mapping[str, object]]:
    """Two businesses (the second owns the last vehicle), vehicles, drivers and family members.

    Vehicle 1's annual review is due in 10 days, and driver 1's qualification ends in 20; all else is valid for long.
    """
    far = str(today + timedelta(days=700))

    def vehicle(number: int) -> Mapping[str, object]:
        due = str(today + timedelta(days=10)) if number == 1 else None
        owner = 2 if number == VEHICLES else 1
        return vehicle_line(number, owner, annual_review_due=due, transport_cert_valid_until=far)

    def person(number: int) -> Mapping[str, object]:
        line = person_line(number, qualified=number in DRIVERS)
        if number not in DRIVERS:
            return line
        until = str(today + timedelta(days=20)) if number == 1 else far
        return line | {"qualification": {"number": line["citizen_id"], "valid_until": until}}

    owners = [business_line(1), business_line(2)]
    return [*owners, *map(vehicle, range(1, VEHICLES + 1)), *map(person, [*DRIVERS, *FAMILY])]


def write_registry(file: Path) -> Path:
    lines = registry_lines(china_date(time.time()))
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return file


@dataclass
class Server:
    """`run.py serve`; its clock begins at the real time and stands still until a test moves it."""

    yard: Yard
    now: int = field(default_factory=lambda: int(time.time()))
    """Unix seconds, of its clock."""
    environment: Mapping[str, str] = field(default_factory=dict)
    _serving: Serving | None = None
    _http: str = ANY_PORT

    @property
    def http(self) -> str:
        return self._http

    @property
    def jt808(self) -> str:
        assert self._serving is not None
        return self._serving.jt808

    @property
    def url(self) -> str:
        return f"http://{self._http}"

    def starts(self) -> None:
        """Start on the same addresses as before, if it ran before."""
        at = date_time(self.now)
        keys = {"FEED_KEY": FEED_KEY, "OPS_KEY": OPS_KEY}
        self._serving = self.yard.serves("--virtual-clock", at, http=self._http, **keys, **self.environment)
        self._http = self._serving.http

    def stops(self) -> None:
        assert self._serving is not None
        self._serving.process.stops()

    def is_killed(self) -> None:
        assert self._serving is not None
        self._serving.process.is_killed()

    def advances(self, seconds: int) -> None:
        """Every timer due on the way has fired when this returns."""
        form = json.dumps({"advance_s": seconds}).encode()
        answer = call(self._http, "POST", "/dev/clock", body=form, headers={"Content-Type": "application/json"})
        assert answer.status == 200, answer
        self.now += seconds


def date_time(at: int) -> str:
    """RFC 3339."""
    return datetime.fromtimestamp(at, CHINA_TIME).isoformat()


class Truck:
    """A vehicle of the registry, told of by a platform's feed."""

    def __init__(self, server: Server, number: int, *, at: tuple[float, float] = WUHAN) -> None:
        """``at``: longitude and latitude."""
        self._server = server
        self.number = number
        self.lon, self.lat = at

    @property
    def plate(self) -> str:
        return plate(self.number)

    @property
    def id(self) -> str:
        """Return the id used in the owner's paths."""
        return self.id_of(self.number)

    @staticmethod
    def id_of(number: int) -> str:
        """Return any vehicle's id."""
        return vehicle_id(plate(number), PlateColor.YELLOW)

    def report(self, *, after_s: int = 10, speed_kmh: float = 80.0, course_deg: int = 90, alarms: int = 0) -> None:
        """Drives on for so long, then tells where it is; the service has it when this returns."""
        self._server.advances(after_s)
        metres = speed_kmh / 3.6 * after_s
        self.lat += metres * cos(radians(course_deg)) / METRES_A_DEGREE
        self.lon += metres * sin(radians(course_deg)) / METRES_A_DEGREE / cos(radians(self.lat))
        self._send(speed_kmh, course_deg, alarms)

    def _send(self, speed_kmh: float, course_deg: int, alarms: int) -> None:
        told = row(
            self.number,
            at=self._server.now,
            lon=round(self.lon * 1e6),
            lat=round(self.lat * 1e6),
            speed=round(speed_kmh * 10),
            course=course_deg,
            alarms=alarms,
            status=STATUS_ACC_ON | STATUS_POSITIONED,
        )
        headers = {"Content-Type": "application/msgpack", "X-Feed-Key": FEED_KEY}
        answer = call(
            self._server.http, "POST", "/api/v1/telemetry", body=msgspec.msgpack.encode([told]), headers=headers
        )
        assert msgspec.json.decode(answer.body).get("accepted") == 1, answer


class Api:
    """The service's own interface, for all that a test needs besides the page it looks at."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._terms = ""

    # -- who calls -----------------------------------------------------------------------------------------------------

    def driver(self, number: int = 1) -> Session:
        return self.signs_in(kind="natural", wechat_code=f"sandbox:{mobile(number)}")

    def family(self, number: int = FAMILY[0]) -> Session:
        """Registered."""
        return self.signs_in(kind="natural", wechat_code=f"sandbox:{mobile(number)}")

    def one_click(self, number: int = STRANGER) -> Session:
        """Sign in by phone only; a stranger's account is not registered."""
        return self.signs_in(kind="one_click", phone_code=f"sandbox:{mobile(number)}")

    def owner(self, number: int = 1) -> Session:
        return self.signs_in(kind="legal", username=f"owner{number}", password=f"right-{number}")

    def signs_in(self, **form: str) -> Session:
        self._terms = self._terms or str(self.get("/api/v1/terms")["version"])
        return self.post("/api/v1/sessions", None, {**form, "terms_version": self._terms})

    # -- calls ---------------------------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, session: Session | None, body: object = None) -> Answer:
        headers = bearer(session["token"]) if session else {}
        if body is None:
            return call(self._server.http, method, path, headers=headers)
        headers |= {"Content-Type": "application/json"}
        return call(self._server.http, method, path, body=json.dumps(body).encode(), headers=headers)

    def get(self, path: str, session: Session | None = None) -> Body:
        return self.ask("GET", path, session).holds(Body)

    def post(self, path: str, session: Session | None, body: object = None) -> Body:
        return self.ask("POST", path, session, body).holds(Body)

    def delete(self, path: str, session: Session) -> None:
        answer = self.ask("DELETE", path, session)
        assert answer.status in (200, 204), answer

    def items(self, path: str, session: Session) -> Sequence[Body]:
        found: Sequence[Body] = self.get(path, session)["items"]
        return found

    # -- what drivers and families do ----------------------------------------------------------------------------------

    def binds(self, session: Session, number: int = 1) -> str:
        """The binding's id."""
        form = {"plate": plate(number), "plate_color": "yellow"} | papers(number)
        return str(self.post("/api/v1/driver/bindings", session, form)["id"])

    def shares(self, session: Session, binding_id: str, duration: str = "3d", **more: object) -> Body:
        """Share, and return the share with ``link`` and ``token``."""
        return self.post(f"/api/v1/driver/bindings/{binding_id}/shares", session, {"duration": duration} | more)

    def shared(self, number: int = 1) -> tuple[Session, Body]:
        """A driver of that number who shares the vehicle of that number."""
        session = self.driver(number)
        return session, self.shares(session, self.binds(session, number))

    def cancels(self, session: Session, share: Body) -> None:
        self.delete(f"/api/v1/driver/shares/{share['id']}", session)

    def delegates(self, session: Session, number: int = 1) -> Body:
        """Delegate, and return the delegation with ``link`` and ``token``."""
        return self.post("/api/v1/driver/delegations", session, {"plate": plate(number), "plate_color": "yellow"})

    def opens(self, session: Session, link: Body) -> Body:
        """Open the link of a share or a delegation, and return its view."""
        return self.post("/api/v1/links/open", session, {"token": link["token"]})

    def preview(self, link: Body, session: Session | None = None) -> Body:
        return self.post("/api/v1/links/preview", session, {"token": link["token"]})


__all__ = [
    "DRIVERS",
    "EMERGENCY",
    "FAMILY",
    "FATIGUE",
    "OPS_KEY",
    "SPEEDING",
    "STRANGER",
    "VEHICLES",
    "Api",
    "Body",
    "Server",
    "Session",
    "Truck",
    "mobile",
    "papers",
    "phone",
    "plate",
    "write_registry",
]
