"""The view of a shared vehicle, and the check whether it has changed since the last look (R30, R33).

Many phones ask for the same few facts every 30 seconds. The encoded answer is therefore kept with the inputs that it
was made from. While the inputs are the same, a call with the right ``ETag`` encodes nothing, and any other call only
fills in ``age_s``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from actors.people.share_link import ViewShare
from actors.vehicles.vehicle import Look, VehicleView
from api.accounts.people import People
from api.accounts.remembered import Remembered
from api.ports import Services
from api.shown.alert_history import concerns
from api.shown.views import (
    AlertView,
    DrivingTodayView,
    LastFix,
    PlateView,
    Reminder,
    alert_view,
    driving_today_view,
    last_fix,
    reminder_views,
    time_text,
)
from domain.civil_time import china_date, civil_day
from domain.people.certificates import CertificateKind, reminders
from domain.people.share import Share
from domain.registry import RegisteredVehicle
from domain.vehicle.alerts import Alert
from domain.vehicle.vehicle import DrivingToday

REFRESH_AFTER_S: Final = 30
"""The interval that R31 sets."""
SHOWN_ALERTS: Final = 10
LOOK: Final = Look()
NOTHING_TODAY: Final = DrivingToday(0.0, 0, 0, 0)

Papers = tuple[tuple[CertificateKind, date | None], ...]
"""Certificates and their last valid days."""


class Registered(NamedTuple):
    """The registry's facts on a share's vehicle and its driver."""

    papers: Papers
    phone: str
    """The driver's phone; empty without a driver or without ``call_me``."""


class ShareDriver(msgspec.Struct, frozen=True):
    """The driver who shares, by real name; the phone is included with ``call_me`` only (R62)."""

    display_name: str
    phone: str | None


class ShareView(msgspec.Struct, frozen=True):
    """A vehicle as its share shows it."""

    id: str
    vehicle: PlateView
    driver: ShareDriver
    expires_at: str
    online: bool
    last_fix: LastFix | None
    certificate_reminders: list[Reminder]
    alerts: list[AlertView]
    driving_today: DrivingTodayView
    refresh_after: int = REFRESH_AFTER_S


@dataclass(frozen=True, slots=True)
class Encoded:
    """A share view in JSON except for ``age_s``, and the fingerprint of the rest."""

    etag: str
    """The header's value, with its quotes."""
    head: bytes
    tail: bytes
    """Empty where there is no position; ``head`` is then the whole view."""

    def body(self, view: VehicleView | None) -> bytes:
        """Return the whole view, with the age at the moment of ``view``."""
        if view is None or not self.tail:
            return self.head
        return b"%b%d%b" % (self.head, age_s(view), self.tail)


@dataclass(frozen=True, slots=True)
class Seen:
    """The inputs of a share view, read in this order: the live share first, then its vehicle."""

    share: Share
    view: VehicleView | None
    """The vehicle's view; None for a vehicle that the registry no longer knows."""
    registered: Registered


class ShareViews:
    """Composes share views for those accounts that may see them."""

    def __init__(self, services: Services, people: People) -> None:
        self._services = services
        self._people = people
        self._registered: Remembered[Registered] = Remembered()
        self._reminders: Remembered[list[Reminder]] = Remembered()
        self._encoded: Remembered[Encoded] = Remembered()

    async def see(self, share_id: str, ids: tuple[str, ...]) -> Seen:
        """Read a share's inputs. Raises ``NotFound`` or ``ShareEnded`` (R33), or the error of an unavailable part."""
        share = await self._services.supervisor.ask(share_id, ViewShare(ids))
        return await self.look(share)

    def see_at_once(self, share_id: str, ids: tuple[str, ...]) -> Seen | None:
        """Read as ``see`` does, without waiting; None where a wait would be needed.

        Raises ``NotFound`` or ``ShareEnded``.
        """
        supervisor = self._services.supervisor
        share = supervisor.answer_at_once(share_id, ViewShare(ids))
        if share is None:
            return None
        view = supervisor.answer_at_once(share.vehicle_id, LOOK)
        registered = self._registered.get(share.id, self._mark())
        return None if view is None or registered is None else Seen(share, view, registered)

    async def look(self, share: Share) -> Seen:
        """Read the inputs of a share that this account may see. Raises the error of an unavailable part."""
        view = await self._services.supervisor.ask(share.vehicle_id, LOOK)
        return Seen(share, view, await self._look_up(share))

    def compose(self, seen: Seen) -> ShareView:
        """Compose the view from its inputs, as of now."""
        share, view = seen.share, seen.view
        return ShareView(
            id=share.id,
            vehicle=PlateView(share.plate, share.plate_color),
            driver=ShareDriver(share.driver_name, seen.registered.phone or None),
            expires_at=time_text(share.expires_at),
            online=view is not None and view.online,
            last_fix=None if view is None else last_fix(view, self._services.place_of),
            certificate_reminders=self._reminders_of(seen),
            alerts=[
                alert_view(alert, self._services.place_of)
                for alert in shown_alerts(share, () if view is None else view.alerts)
            ],
            driving_today=driving_today_view(NOTHING_TODAY if view is None else view.today),
        )

    def told(self, seen: Seen, if_none_match: str | None) -> tuple[str, bytes | None]:
        """Return the ``ETag``, and the body unless the client has it."""
        encoded = self.encoded(seen)
        return encoded.etag, None if is_known(if_none_match, encoded.etag) else encoded.body(seen.view)

    def encoded(self, seen: Seen) -> Encoded:
        """Return the view in JSON, encoded again only if any of its inputs has changed."""
        mark = self._made_of(seen)
        known = self._encoded.get(seen.share.id, mark)
        if known is None:
            known = _encode(self.compose(seen))
            self._encoded.keep(seen.share.id, mark, known)
        return known

    def _made_of(self, seen: Seen) -> tuple[object, ...]:
        view, today = seen.view, civil_day(self._services.clock.now())
        if view is None:
            return (seen.share, seen.registered, today)
        told = (view.newest, view.fixed_at, view.received_at, view.online, view.alerts, view.today)
        return (seen.share, seen.registered, today, *told)

    # -- the registry --------------------------------------------------------------------------------------------------

    async def _look_up(self, share: Share) -> Registered:
        """Return the registry's facts, read only when registry or accounts have changed.

        Raises ``StoreUnavailable``.
        """
        mark = self._mark()
        known = self._registered.get(share.id, mark)
        if known is None:
            phone = await self._people.phone_of(share.driver_id) if share.call_me else ""
            known = Registered(await self._read_papers(share), phone)
            self._registered.keep(share.id, mark, known)
        return known

    def _mark(self) -> object:
        return self._services.registry_revision(), self._people.alterations

    async def _read_papers(self, share: Share) -> Papers:
        """Read the papers of the vehicle, its owner and the driver who shares."""
        driver = await self._people.find(share.driver_id)
        qualification = None if driver is None else driver.qualification
        own = (CertificateKind.QUALIFICATION, None if qualification is None else qualification.valid_until)
        vehicle = await self._services.registry.vehicle(share.vehicle_id)
        if vehicle is None:
            return (own,)
        business = await self._services.registry.business(vehicle.owner_uscc)
        licence = None if business is None else business.operating_licence
        last_day = None if licence is None else licence.valid_until
        return (own, *papers_of(vehicle), (CertificateKind.OPERATING_LICENCE, last_day))

    def _reminders_of(self, seen: Seen) -> list[Reminder]:
        today = china_date(self._services.clock.now())
        papers = seen.registered.papers
        known = self._reminders.get(seen.share.id, (papers, today))
        if known is None:
            known = reminder_views(reminders(papers, today=today))
            self._reminders.keep(seen.share.id, (papers, today), known)
        return known


def papers_of(vehicle: RegisteredVehicle) -> Papers:
    """Return the vehicle's own certificates."""
    return (
        (CertificateKind.TRANSPORT, vehicle.transport_cert_valid_until),
        (CertificateKind.ANNUAL_REVIEW, vehicle.annual_review_due),
    )


def shown_alerts(share: Share, alerts: Iterable[Alert]) -> Sequence[Alert]:
    """Return the alerts that began after the share was made or were running then, at most a page's worth.

    ``alerts`` comes newest first, and so does the result.
    """
    return [alert for alert in alerts if concerns(alert, share.created_at)][:SHOWN_ALERTS]


def age_s(view: VehicleView) -> int:
    """Return the newest position's age at the moment of the view."""
    return max(0, int(view.at - view.fixed_at))


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Tell whether the client has this very version (RFC 9110 13.1.2: compared weakly)."""
    if if_none_match is None:
        return False
    if if_none_match in (etag, "*"):
        return True
    return etag in _ETAGS.findall(if_none_match)


_ETAGS: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_AGE: Final = b'"age_s":'
"""Occurs in the view only once: quotes within a text are escaped."""


def _encode(view: ShareView) -> Encoded:
    fix = None if view.last_fix is None else msgspec.structs.replace(view.last_fix, age_s=0)
    body = msgspec.json.encode(msgspec.structs.replace(view, last_fix=fix))
    etag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    if fix is None:
        return Encoded(etag, body, b"")
    before, key, after = body.partition(_AGE)
    return Encoded(etag, before + key, after[1:])
