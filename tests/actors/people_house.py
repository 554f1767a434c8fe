"""People, businesses, vehicles and share links over a real store, on a virtual clock; and commands to give them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from actors.people.business import UnbindAsOwner
from actors.people.documents import PERSON, SHARE
from actors.people.household import Household
from actors.people.person import (
    Bind,
    BindDelegated,
    CancelShares,
    CreateShare,
    Delegate,
    LookAtDriver,
    OpenDelegation,
    PersonActor,
    PreviewDelegation,
    Unbind,
    WithdrawDelegation,
)
from actors.people.share_link import OpenLink, Preview, PreviewLink, ShareLinkActor, ShareOver, ViewShare
from actors.system import supervisor
from actors.system.asks import A, Ask
from actors.system.clock import VirtualClock
from actors.system.runtime import Actor, ActorFailed, Dispatcher
from actors.system.supervisor import Supervisor
from actors.vehicles.state import VehicleKind
from actors.vehicles.vehicle import KIND as VEHICLE
from actors.vehicles.vehicle import Fleet
from domain.identifiers import PlateColor
from domain.people.audit import Doer
from domain.people.delegation import Delegation
from domain.people.driver import Binding, Driver, VehicleClaim
from domain.people.share import Duration, Share
from domain.vehicle.profile import DEFAULT_PROFILE
from persistence.sqlite import file as sqlite_file
from persistence.sqlite import files as sqlite_files
from persistence.store import Store, StoreError
from tests.faulty_store import Fault, FaultyStore

T0 = 1_780_000_000.0
DAY = 86_400.0
OWNERS = {"v1": "uscc-1", "v2": "uscc-1", "v3": "uscc-2", "v4": "uscc-2"}
"""Vehicle → its owner, for all registered vehicles; ``v5`` and further ones have no owner."""


def doer(account_id: str) -> Doer:
    return Doer(account_id, "natural", f"name of {account_id}", "203.0.113.*")


def owner_doer(uscc: str) -> Doer:
    return Doer(uscc, "legal", f"name of {uscc}")


def claim(vehicle_id: str) -> VehicleClaim:
    return VehicleClaim(vehicle_id, f"plate of {vehicle_id}", PlateColor.YELLOW, "proof")


def dont_wait_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of commits take minutes of fsync, and here no machine loses its power: only actors die."""
    connect = sqlite_file.connect_writer

    def connect_hastily(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("PRAGMA synchronous=OFF")
        return connection

    monkeypatch.setattr(sqlite_files, "connect_writer", connect_hastily)


class Parking:
    """Parks actors of one kind at their first failure, and keeps them so until ``release``."""

    def __init__(self, house: PeopleHouse, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(supervisor, "RESTART_DELAYS_S", ())
        monkeypatch.setattr(supervisor, "PARK_S", 0.0)
        self._house = house
        self._kind = kind
        self._free = asyncio.Event()
        self._parked: set[asyncio.Task[None]] = set()
        self._actors = house.supervisor._kinds[kind]
        house.supervisor._kinds[kind] = self

    async def park(self, key: str) -> None:
        await self._house.supervisor.activate(self._kind, (key,))
        before = set(self._house.supervisor._restarting)
        with pytest.raises(ActorFailed):
            await self._house.actor(self._kind, key).ask("a message that nobody knows")
        self._parked = self._house.supervisor._restarting - before
        assert self._house.actor(self._kind, key).is_suspended

    async def release(self) -> None:
        self._free.set()
        await asyncio.wait(self._parked)
        await self._house.rest()

    async def load(self, keys: Sequence[str]) -> Mapping[str, Actor]:
        return await self._actors.load(keys)

    async def reload(self, key: str) -> Actor:
        await self._free.wait()
        return await self._actors.reload(key)


class Killed(Exception):
    """The store killed the process in the middle of it."""


class PeopleHouse:
    """A process. ``successor`` is the next one on the same store."""

    def __init__(self, store: Store, at: float = T0) -> None:
        self.store = store if isinstance(store, FaultyStore) else FaultyStore(store)
        self.clock = VirtualClock(at, settle=self.rest)
        self.dispatcher = Dispatcher()
        self.gone: set[str] = set()
        """Vehicles that the registry does not know any more."""
        fleet = Fleet(self.clock, DEFAULT_PROFILE)
        vehicles = VehicleKind(
            self.store, self.dispatcher, fleet, limits_of=self._limits_of, vehicle_of=lambda terminal: None
        )
        self.supervisor = Supervisor(self.dispatcher, self.clock, {VEHICLE: vehicles}, answer_s=2.0)
        self.household = Household(self.dispatcher, self.clock, self.store, self.supervisor, owner_of=self._owner_of)

    async def _limits_of(self, keys: Sequence[str]) -> Mapping[str, int]:
        return {key: 100 for key in keys if key.startswith("v") and key not in self.gone}

    async def _owner_of(self, vehicle_id: str) -> str | None:
        return None if vehicle_id in self.gone else OWNERS.get(vehicle_id, "uscc-3")

    # -- a process's life --------------------------------------------------------------------------------------------

    async def rest(self) -> None:
        await asyncio.sleep(0)  # What the clock wakes at once comes by the event loop.
        await self.supervisor.rest()

    async def successor(self, *, after_s: float = 0.0, fault: Fault | None = None, at: int = 1) -> PeopleHouse:
        """Stop this process and recover the next. Raises ``Killed``, or the error of a fault."""
        await self.die()
        store = FaultyStore(self.store.store)
        store.written = self.store.written
        house = PeopleHouse(store, self.clock.now() + after_s)
        house.gone = self.gone
        if fault is not None:
            store.plan(fault, at)
        try:
            await house.survive(house.household.recover())
            await house.survive(house.rest())
        except (Killed, StoreError):
            await house.die()
            raise
        return house

    async def die(self) -> None:
        self.store.killed.set()
        self.dispatcher.on_failure = lambda actor, message, error: None
        under_way = list(self.dispatcher._under_way.values())
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self.supervisor.stop()

    async def survive(self, command: Awaitable[Any]) -> Any:
        """Return the command's result. Raises ``Killed`` when the store killed the process first."""
        task = asyncio.ensure_future(command)
        killed = asyncio.ensure_future(self.store.killed.wait())
        await asyncio.wait((task, killed), return_when=asyncio.FIRST_COMPLETED)
        killed.cancel()
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise Killed

    # -- commands ----------------------------------------------------------------------------------------------------

    async def person(self, driver: str, message: Ask[A]) -> A:
        return await self.supervisor.ask(driver, message)

    async def link(self, share_id: str, message: Ask[A]) -> A:
        return await self.supervisor.ask(share_id, message)

    async def bind(self, driver: str, vehicle_id: str, binding_id: str, *, again: bool = False) -> Binding:
        return await self.person(driver, Bind(binding_id, claim(vehicle_id), doer(driver), again))

    async def unbind(self, driver: str, binding_id: str) -> Binding:
        return await self.person(driver, Unbind(binding_id, "driver", doer(driver)))

    async def unbind_as_owner(self, uscc: str, binding_id: str) -> Binding:
        message = UnbindAsOwner(binding_id, owner_doer(uscc))
        return await self.supervisor.ask(uscc, message)

    async def share(
        self, driver: str, binding_id: str, share_id: str, duration: Duration = Duration.THREE_DAYS
    ) -> Share:
        command = CreateShare(share_id, binding_id, duration, f"hash of {share_id}", doer(driver))
        return await self.person(driver, command)

    async def cancel(self, driver: str, *, binding_id: str | None = None, share_id: str | None = None) -> int:
        return await self.person(driver, CancelShares(doer(driver), binding_id, share_id))

    async def open(self, share_id: str, viewer: str, *, token_hash: str | None = None) -> Share:
        return await self.link(share_id, OpenLink(token_hash or f"hash of {share_id}", (viewer,), doer(viewer)))

    async def view(self, share_id: str, viewer: str) -> Share:
        return await self.link(share_id, ViewShare((viewer,)))

    async def preview(self, share_id: str, *viewers: str) -> Preview:
        return await self.link(share_id, PreviewLink(f"hash of {share_id}", viewers))

    async def delegate(self, driver: str, vehicle_id: str, delegation_id: str) -> Delegation:
        command = Delegate(
            delegation_id,
            vehicle_id,
            f"plate of {vehicle_id}",
            PlateColor.YELLOW,
            f"hash of {delegation_id}",
            doer(driver),
        )
        return await self.person(driver, command)

    async def withdraw(self, driver: str, delegation_id: str) -> None:
        await self.person(driver, WithdrawDelegation(delegation_id, doer(driver)))

    async def preview_delegation(self, driver: str, delegation_id: str, *viewers: str) -> Preview:
        command = PreviewDelegation(delegation_id, f"hash of {delegation_id}", viewers)
        return await self.person(driver, command)

    async def open_delegation(self, driver: str, delegation_id: str, holder: str) -> Delegation:
        command = OpenDelegation(delegation_id, f"hash of {delegation_id}", (holder,), doer(holder))
        return await self.person(driver, command)

    async def bind_delegated(
        self, driver: str, delegation_id: str, holder: str, vehicle_id: str, binding_id: str
    ) -> Binding:
        command = BindDelegated(delegation_id, binding_id, claim(vehicle_id), (holder,), doer(holder))
        return await self.person(driver, command)

    async def driver(self, driver: str) -> Driver:
        return await self.person(driver, LookAtDriver())

    # -- looking inside ----------------------------------------------------------------------------------------------

    def actor(self, kind: str, key: str) -> Actor:
        return self.supervisor.actors(kind)[key]

    def person_actor(self, driver: str) -> PersonActor:
        actor = self.actor(PERSON, driver)
        assert isinstance(actor, PersonActor)
        return actor

    def link_actor(self, share_id: str) -> ShareLinkActor:
        actor = self.actor(SHARE, share_id)
        assert isinstance(actor, ShareLinkActor)
        return actor

    async def watch(self, share_id: str) -> list[ShareOver]:
        """Return a list that collects the link's announcements from now on."""
        told: list[ShareOver] = []

        def watcher(event: object) -> None:
            assert isinstance(event, ShareOver)
            told.append(event)

        assert await self.supervisor.watch(SHARE, share_id, watcher)
        return told
