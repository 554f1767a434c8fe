"""The gates that a guess has to pass (R61): what is counted for whom, each kind with counts of its own.

A count refuses its own kind only. One phone behind a carrier's address, which thousands share, therefore costs its
neighbours nothing but its own kind of mistake. No stranger can be locked out for long. A count by account is used up by
its own holder only. A count by user name and address does not keep the business from signing in elsewhere. The count by
user name alone never refuses an address from which that name signed in lately.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from api.accounts.familiar import FamiliarPlaces
from api.http.attempts import Attempts, attempt, wrong_attempt
from api.http.keyed import Keyed
from domain.errors import (
    CodeRefused,
    FeedKeyInvalid,
    NotFound,
    OpsKeyInvalid,
    RealNameMismatch,
    VehicleMismatch,
    WrongCredentials,
)
from domain.networks import network_of
from persistence.store import Store

HOUR_S: Final = 3600.0
QUARTER_S: Final = 900.0


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """The wrong attempts allowed. Further attempts are refused until the oldest is forgotten."""

    bind_data: int = 10
    """Per account and hour."""
    bind_data_per_address: int = 120
    """Per address and hour."""
    real_names: int = 10
    """Per account and hour."""
    real_names_per_address: int = 60
    """Per address and hour."""
    passwords: int = 10
    """Per user name and address in 15 minutes."""
    passwords_per_address: int = 60
    """Per address in 15 minutes."""
    passwords_per_name: int = 200
    """Per user name and hour, over all addresses."""
    codes_per_address: int = 60
    """Per address in 15 minutes."""
    links_per_address: int = 60
    """Per address in 15 minutes."""
    keys_per_address: int = 60
    """Per address in 15 minutes for the feed's key, and as many for the operators'."""


Gate = AbstractAsyncContextManager[None]


class Gates:
    """Every gate that a guess has to pass. Put ``async with gates.code(address): ...`` around the check."""

    def __init__(self, store: Store, now: Callable[[], float], limits: AttemptLimits) -> None:
        keyed = Keyed(store, "attempts")

        def by_hour(name: str, limit: int) -> Attempts:
            return Attempts(store, now, keyed, name=name, limit=limit, window_s=HOUR_S)

        def by_quarter(name: str, limit: int, *, outlives_store: bool = False) -> Attempts:
            return Attempts(
                store, now, keyed, name=name, limit=limit, window_s=QUARTER_S, outlives_store=outlives_store
            )

        self._familiar = FamiliarPlaces(store, now, keyed)
        self._bind_data = by_hour("bind_data", limits.bind_data)
        self._bind_data_from = by_hour("bind_data/address", limits.bind_data_per_address)
        self._real_names = by_hour("real_names", limits.real_names)
        self._real_names_from = by_hour("real_names/address", limits.real_names_per_address)
        self._names = by_hour("passwords/name", limits.passwords_per_name)
        self._passwords = by_quarter("passwords", limits.passwords)
        self._passwords_from = by_quarter("passwords/address", limits.passwords_per_address)
        self._codes_from = by_quarter("codes/address", limits.codes_per_address)
        self._links_from = by_quarter("link_tokens/address", limits.links_per_address)
        keys = limits.keys_per_address  # operators look while the store is down, too
        self._feed_keys_from = by_quarter("feed_keys/address", keys, outlives_store=True)
        self._ops_keys_from = by_quarter("ops_keys/address", keys, outlives_store=True)

    @asynccontextmanager
    async def password(self, username: str, address: str) -> AsyncIterator[None]:
        """Surround the check of a password; count ``WrongCredentials``. A success makes the address familiar."""
        network = network_of(address)
        is_familiar = await self._familiar.has(username, network)
        counts = (
            self._passwords.of(username, network),
            self._passwords_from.of(network),
            self._names.of(username, refuses=not is_familiar),
        )
        async with attempt(counts, wrong=(WrongCredentials,)):
            yield
        await self._familiar.note(username, network)

    def code(self, address: str) -> Gate:
        """Surround the redeeming of a WeChat or phone code; count ``CodeRefused``."""
        return attempt([self._codes_from.of(network_of(address))], wrong=(CodeRefused,))

    def real_name(self, account_id: str, address: str) -> Gate:
        """Surround a registration; count ``RealNameMismatch``."""
        counts = (self._real_names.of(account_id), self._real_names_from.of(network_of(address)))
        return attempt(counts, wrong=(RealNameMismatch,))

    def link_token(self, address: str) -> Gate:
        """Surround the look-up of a well-formed link token; count ``NotFound``, and never refuse a right one."""
        return wrong_attempt([self._links_from.of(network_of(address))], wrong=(NotFound,))

    def bind_data(self, account_id: str, address: str) -> Gate:
        """Surround a binding's check against the registry; count ``VehicleMismatch``."""
        counts = (self._bind_data.of(account_id), self._bind_data_from.of(network_of(address)))
        return attempt(counts, wrong=(VehicleMismatch,))

    def feed_key(self, address: str) -> Gate:
        """Surround the comparison of a feed key; count ``FeedKeyInvalid``."""
        return attempt([self._feed_keys_from.of(network_of(address))], wrong=(FeedKeyInvalid,))

    def ops_key(self, address: str) -> Gate:
        """Surround the comparison of an operators' key; count ``OpsKeyInvalid``."""
        return attempt([self._ops_keys_from.of(network_of(address))], wrong=(OpsKeyInvalid,))
