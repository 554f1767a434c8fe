"""The protocols of whatever the HTTP side needs from other rooms; ``run.py`` fills them in."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from actors.people.noted_times import NotedTimes
from actors.system.clock import Clock
from actors.system.supervisor import Supervisor
from actors.vehicles.vehicle import Fleet
from api.accounts.identity import IdentityProvider, RealNames
from api.accounts.passwords import Passwords
from api.accounts.terms import Terms
from api.http.connections import ConnectionLimits
from api.http.gates import AttemptLimits
from api.http.proxies import Proxies
from api.live.event_stream import StreamLimits
from api.pages import Pages
from domain.places import Place
from domain.registry import Business, RegisteredPerson, RegisteredVehicle
from gateway.feed import Feed
from persistence.store import Store


class VehiclePage(Protocol):
    """Some vehicles by plate, and the cursor of the next page."""

    @property
    def vehicles(self) -> Sequence[RegisteredVehicle]: ...

    @property
    def next(self) -> str | None: ...


class Registry(Protocol):
    """The part of the transport registry that the API reads. Every method may raise ``StoreUnavailable``."""

    async def business(self, uscc: str) -> Business | None: ...

    async def business_by_username(self, username: str) -> Business | None: ...

    async def vehicle(self, vehicle_id: str) -> RegisteredVehicle | None: ...

    async def vehicles_of(self, owner_uscc: str, *, after: str | None = None, limit: int = 100) -> VehiclePage:
        """Return a page of a business's vehicles. Raises ``ValueError`` for another list's cursor."""
        ...

    async def count_vehicles_of(self, owner_uscc: str) -> int: ...

    def person_key(self, citizen_id: str) -> str:
        """Return the stand-in for a citizen ID (as parsed), used wherever a person is referred to."""
        ...

    async def person_by_key(self, key: str) -> RegisteredPerson | None: ...

    async def person_key_by_phone(self, phone: str) -> str | None: ...

    async def person_key_by_openid(self, openid: str) -> str | None: ...


class IngestFigures(Protocol):
    """The figures that the API reads of ``gateway.ingest.IngestStats``."""

    @property
    def fixes(self) -> int: ...

    @property
    def batches(self) -> int: ...

    @property
    def failed_batches(self) -> int: ...

    @property
    def unrouted_batches(self) -> int: ...

    @property
    def waiting(self) -> int: ...

    @property
    def append_s(self) -> float: ...

    @property
    def lag_s(self) -> float: ...


class StoreTrouble(Protocol):
    """The fields that the API reads of ``persistence.stats.Trouble``."""

    @property
    def code(self) -> str: ...

    @property
    def sentence(self) -> str: ...

    @property
    def refuses(self) -> bool: ...


class StoreFigures(Protocol):
    """The figures that the API reads of ``persistence.stats.StoreStats``."""

    @property
    def commits(self) -> int: ...

    @property
    def failures(self) -> int: ...

    @property
    def queue_depth(self) -> int: ...

    @property
    def last_commit_s(self) -> float: ...

    @property
    def mean_commit_s(self) -> float: ...

    @property
    def p99_commit_s(self) -> float: ...

    @property
    def troubles(self) -> Sequence[StoreTrouble]:
        """List the store's lasting troubles."""
        ...

    @property
    def damage_check(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Services:
    """The services that the handlers use; ``make_app`` takes nothing else."""

    clock: Clock
    store: Store
    registry: Registry
    supervisor: Supervisor
    fleet: Fleet
    feed: Feed
    passwords: Passwords
    identity: IdentityProvider
    real_names: RealNames
    terms: Terms
    place_of: Callable[[float, float], Place | None]
    """Returns the nearest named place of a longitude and a latitude (``domain.places.Places.nearest``)."""
    ingest_stats: Callable[[], IngestFigures]
    store_stats: Callable[[], StoreFigures]
    gateway_stats: Callable[[], Mapping[str, object]]
    """Plain numbers, texts and mappings of them, copied into ``/health``. Never contains a terminal's number."""
    known_vehicles: Callable[[], int]
    """Returns the number of vehicles with a terminal (``len(directory)``)."""
    registry_revision: Callable[[], str]
    """Returns a value that changes whenever the registry may have (``directory.revision``).

    Called often, so it must be cheap.
    """
    watch_log: NotedTimes
    public_url: Callable[[], str]
    """Returns the address that links begin with, without a trailing slash. It is never taken from a Host header."""
    version: str
    tell_access: Callable[[str], None] = logging.getLogger("api.access").info
    """Takes the lines of the access log: one for each call."""
    pages: Pages = field(default_factory=Pages)
    attempt_limits: AttemptLimits = field(default_factory=AttemptLimits)
    stream_limits: StreamLimits = field(default_factory=StreamLimits)
    proxies: Proxies = field(default_factory=Proxies)
    """Our own proxies in front of the service."""
    connection_limits: ConnectionLimits = field(default_factory=ConnectionLimits)
    feed_key: str = field(default="", repr=False)
    ops_key: str = field(default="", repr=False)
    is_draining: Callable[[], bool] = lambda: False
    advance: Callable[[float], Awaitable[None]] | None = None
    """``VirtualClock.advance``; None on a real clock, and then ``/dev/clock`` does not exist."""
