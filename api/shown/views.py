"""The views of a vehicle: the actors' values in the words and units of the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from api.shown.alert_titles import title_of
from domain.civil_time import CHINA_TIME
from domain.coordinates import Point, gcj02_from_wgs84
from domain.identifiers import PlateColor, certificate_number_masked
from domain.people.certificates import CertificateKind, CertificateState, Validity
from domain.places import Place
from domain.vehicle.alerts import Alert
from domain.vehicle.fix import Fix
from domain.vehicle.vehicle import DrivingToday

PlaceOf = Callable[[float, float], Place | None]


class PlateView(msgspec.Struct, frozen=True):
    """A vehicle, as people name it."""

    plate: str
    plate_color: PlateColor


class LastFix(msgspec.Struct, frozen=True):
    """The newest accepted live position."""

    time: str
    """The time of the fix, by the terminal's clock as corrected."""
    received_at: str
    age_s: int
    wgs84: tuple[float, float]
    gcj02: tuple[float, float]
    speed_kmh: float
    course_deg: int
    altitude_m: int
    place: str | None


class AlertView(msgspec.Struct, frozen=True):
    """An alert; positions are null when none was known."""

    id: str
    kind: str
    source: Literal["terminal", "platform"]
    title: str
    started_at: str
    ended_at: str | None
    ongoing: bool
    wgs84: tuple[float, float] | None
    gcj02: tuple[float, float] | None
    place: str | None
    speed_kmh: float
    peak_kmh: float
    limit_kmh: int | None


class Reminder(msgspec.Struct, frozen=True):
    """A certificate that is expiring or expired (R53)."""

    kind: CertificateKind
    state: CertificateState
    valid_until: str
    days_left: int


class CertificateView(msgspec.Struct, frozen=True):
    """A certificate of the signed-in account."""

    kind: CertificateKind
    number_masked: str
    valid_until: str
    state: CertificateState
    days_left: int


class DrivingTodayView(msgspec.Struct, frozen=True):
    """The driving since midnight in China."""

    distance_km: float
    driving_s: int
    longest_stint_s: int
    alert_count: int


def time_text(at: float) -> str:
    """Format Unix seconds as RFC 3339, with China's offset."""
    return datetime.fromtimestamp(int(at), CHINA_TIME).isoformat()


class Sighting(Protocol):
    """A vehicle as it was at ``at``: a ``VehicleView``, or an announcement."""

    @property
    def at(self) -> float: ...

    @property
    def newest(self) -> Fix | None: ...

    @property
    def fixed_at(self) -> int: ...

    @property
    def received_at(self) -> float: ...


def last_fix(view: Sighting, place_of: PlaceOf) -> LastFix | None:
    """Build the view of the newest position; its place is the nearest town."""
    fix = view.newest
    if fix is None:
        return None
    at = Point(fix.lon_e6 / 1e6, fix.lat_e6 / 1e6)
    return LastFix(
        time=time_text(view.fixed_at),
        received_at=time_text(view.received_at),
        age_s=max(0, int(view.at - view.fixed_at)),
        wgs84=at,
        gcj02=_gcj02(at),
        speed_kmh=fix.speed_dkmh / 10,
        course_deg=fix.course_deg % 360,
        altitude_m=fix.altitude_m,
        place=_place_in_words(at, place_of),
    )


def _place_in_words(at: Point, place_of: PlaceOf) -> str | None:
    place = place_of(at.lon, at.lat)
    return None if place is None else str(place)


def alert_view(alert: Alert, place_of: PlaceOf) -> AlertView:
    """Build the view of an alert, with its title; its place is the nearest town."""
    at = (
        Point(alert.lon_e6 / 1e6, alert.lat_e6 / 1e6) if alert.lon_e6 is not None and alert.lat_e6 is not None else None
    )
    return AlertView(
        id=alert.id,
        kind=alert.kind,
        source=alert.source,
        title=title_of(alert),
        started_at=time_text(alert.started_at),
        ended_at=None if alert.ended_at is None else time_text(alert.ended_at),
        ongoing=alert.ongoing,
        wgs84=at,
        gcj02=None if at is None else _gcj02(at),
        place=None if at is None else _place_in_words(at, place_of),
        speed_kmh=alert.speed_dkmh / 10,
        peak_kmh=alert.peak_dkmh / 10,
        limit_kmh=alert.limit_kmh,
    )


def reminder_views(certificates: Iterable[Validity]) -> list[Reminder]:
    """Build the reminders, in the order given."""
    return [Reminder(each.kind, each.state, each.valid_until.isoformat(), each.days_left) for each in certificates]


def certificate_view(number: str, certificate: Validity) -> CertificateView:
    """Build a certificate's view, with its number shortened."""
    return CertificateView(
        kind=certificate.kind,
        number_masked=certificate_number_masked(number),
        valid_until=certificate.valid_until.isoformat(),
        state=certificate.state,
        days_left=certificate.days_left,
    )


def driving_today_view(today: DrivingToday) -> DrivingTodayView:
    """Build the view; metres become kilometres."""
    return DrivingTodayView(
        round(today.distance_m / 1000, 1), today.driving_s, today.longest_stint_s, today.alert_count
    )


def _gcj02(at: Point) -> tuple[float, float]:
    point = gcj02_from_wgs84(at.lon, at.lat)
    return round(point.lon, 6), round(point.lat, 6)
