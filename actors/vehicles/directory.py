"""Tells for which vehicle a terminal reports; it follows the registry's imports while the service runs."""

from __future__ import annotations

import asyncio
import hmac
from base64 import b32encode
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from itertools import islice
from typing import Final, Protocol

from domain.registry import RegisteredVehicle
from domain.terminal_names import spellings

LOOKED_AT_ONCE: Final = 20_000
"""Terminals looked at in a turn: about two milliseconds."""
CODE_BYTES: Final = 10
"""The size of a code, 80 bits: sixteen letters and digits that any terminal can store."""


class Changes(Protocol):
    """Vehicles as the registry has them now, and the cursor to ask with next."""

    @property
    def vehicles(self) -> Sequence[RegisteredVehicle]: ...

    @property
    def cursor(self) -> str: ...


class RegistrySource(Protocol):
    """The part of the registry that a directory is made of."""

    async def revision(self) -> str: ...

    async def directory(self) -> Sequence[tuple[str, str, bool]]:
        """Return (terminal, vehicle id, needs authentication) of all terminals."""
        ...

    async def changes(self, after: str) -> Changes: ...


class Directory:
    """Maps a terminal, under each spelling of its name, to its vehicle, whether it must authenticate, and its code."""

    def __init__(self, source: RegistrySource, secret: bytes) -> None:
        """Prepare the directory; ``secret`` is the store's own.

        Codes are made from it: they need no storage and survive restarts.
        """
        self._source = source
        self._secret = secret
        self._vehicles: dict[str, str] = {}
        self.vehicle_of: Callable[[str], str | None] = self._vehicles.get
        """Returns the vehicle's id, None for a terminal without one; the dict's own method, since every fix asks."""
        self.knows: Callable[[str], bool] = self._vehicles.__contains__
        self._without_auth: set[str] = set()
        self._second_spellings: set[str] = set()
        self._cursor = "0"

    def __len__(self) -> int:
        """Return how many terminals are registered."""
        return len(self._vehicles) - len(self._second_spellings)

    @property
    def revision(self) -> str:
        """The revision up to which imports were seen, of persons and businesses too."""
        return self._cursor

    async def load(self) -> None:
        """Read all terminals. Raises ``StoreUnavailable``."""
        self._cursor = await self._source.revision()
        for terminal, vehicle_id, needs_auth in await self._source.directory():
            self._set(terminal, vehicle_id, needs_auth=needs_auth)

    async def look(self) -> Changes | None:
        """Return what imports have written since the last ``take_in``, None if nothing. Raises ``StoreUnavailable``."""
        changes = await self._source.changes(self._cursor)
        if not changes.vehicles:
            self._cursor = changes.cursor
            return None
        return changes

    async def moving(self, changes: Changes) -> set[str]:
        """Return the terminals that will no longer report for the vehicle for which they report now.

        The terminals are looked at some at a time, so that others have their turns; nothing may be taken in meanwhile.
        """
        names = {vehicle.id: _spellings_of(vehicle) for vehicle in changes.vehicles}
        everybody, leaving = iter(self._vehicles.items()), set[str]()
        while some := tuple(islice(everybody, LOOKED_AT_ONCE)):
            leaving.update(terminal for terminal, key in some if key in names and terminal not in names[key])
            await asyncio.sleep(0)
        taken = {
            terminal
            for vehicle in changes.vehicles
            for terminal in names[vehicle.id]
            if self._vehicles.get(terminal, vehicle.id) != vehicle.id
        }
        return leaving | taken

    def take_in(self, changes: Changes, moving: Iterable[str]) -> None:
        """Follow the registry from now on; ``moving`` is the result of that method."""
        for terminal in moving:
            del self._vehicles[terminal]
            self._without_auth.discard(terminal)
            self._second_spellings.discard(terminal)
        for vehicle in changes.vehicles:
            if vehicle.terminal_phone:
                self._set(vehicle.terminal_phone, vehicle.id, needs_auth=vehicle.needs_auth)
        self._cursor = changes.cursor

    def _set(self, terminal: str, vehicle_id: str, *, needs_auth: bool) -> None:
        self._second_spellings.discard(terminal)
        for spelling in spellings(terminal):
            if spelling != terminal:
                if spelling in self._vehicles and spelling not in self._second_spellings:
                    continue  # Another terminal's name in a store from before imports refused that.
                self._second_spellings.add(spelling)
            self._vehicles[spelling] = vehicle_id
            if needs_auth:
                self._without_auth.discard(spelling)
            else:
                self._without_auth.add(spelling)

    def needs_auth(self, terminal: str) -> bool:
        return terminal not in self._without_auth

    def auth_code(self, terminal: str) -> str:
        """Return the one code that this terminal can have been given at registration."""
        digest = hmac.new(self._secret, f"jt808-auth/{terminal}".encode(), sha256).digest()
        return b32encode(digest[:CODE_BYTES]).decode().lower()


def _spellings_of(vehicle: RegisteredVehicle) -> tuple[str, ...]:
    return spellings(vehicle.terminal_phone) if vehicle.terminal_phone else ()
