"""Has somebody guessed too often (R61)? Wrong attempts, counted in the store, so that a restart forgives nobody.

Only wrong attempts count, but each takes its place before its outcome is known, so that many at once gain nothing.

Nobody can lock a stranger out for long: what is counted by account only its own holder can use up; what is counted by
user name is counted together with the address it was tried from, so that a stranger elsewhere does not keep the business
from signing in; and an address is free again after 15 minutes. Many people behind one address (carrier NAT) share its 60
wrong attempts in 15 minutes, but their right ones are never counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Final

from api.keyed import Keyed
from domain.errors import (
    CodeRefused,
    DomainError,
    NotFound,
    RealNameMismatch,
    TooManyAttempts,
    VehicleMismatch,
    WrongCredentials,
)
from persistence.records import decode, encode
from persistence.store import Delete, IndexEntry, Put, Store, StoreError

log = logging.getLogger(__name__)

KIND: Final = "attempts"
BY_EXPIRY: Final = "expiry"
MAX_KEYS: Final = 20_000
"""Counters in memory; of others the store is asked."""
PURGED_AT_ONCE: Final = 20
HOUR_S: Final = 3600.0
QUARTER_S: Final = 900.0
WHILE_UNDER_WAY_S: Final = 1.0
"""When to come again if attempts whose outcome is not known yet take up all that is allowed."""
IPV6_SITE_BITS: Final = 64
"""One customer has at least so large a network: within it an address costs nothing."""


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """How many wrong attempts are allowed."""

    bind_data: int = 10
    """By account, in an hour; real names that are none are counted alike, beside them."""
    passwords: int = 10
    """By user name and address, in 15 minutes."""
    by_address: int = 60
    """Passwords, codes, real names and unknown link tokens together, in 15 minutes."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store keeps: the times of wrong attempts (Unix seconds), and when the last of them is forgotten."""

    times: tuple[float, ...]
    expires_at: float


@dataclass(slots=True)
class _Counter:
    """What is known of one key; ``lock`` is held while the store is read or written for it."""

    times: deque[float]
    under_way: int = 0
    """Attempts whose outcome is not known."""
    holders: int = 0
    """Calls that still need it."""
    is_read: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Attempts:
    """Wrong attempts by whoever they are counted for, within a sliding window."""

    def __init__(
        self,
        store: Store,
        now: Callable[[], float],
        keyed: Keyed,
        *,
        name: str,
        limit: int,
        window_s: float,
        max_keys: int = MAX_KEYS,
    ) -> None:
        """``name`` keeps apart what different limits count; ``now`` tells Unix seconds of the system's clock."""
        self._store = store
        self._now = now
        self._keyed = keyed
        self._name = name
        self._limit = max(1, limit)
        self._window_s = window_s
        self._max_keys = max_keys
        self._counters: dict[str, _Counter] = {}
        """By keyed hash, the one that was used last at the end."""

    async def take(self, *who: str) -> str:
        """Takes a place, to be given up by ``end``. Raises ``TooManyAttempts`` or ``StoreUnavailable``."""
        key = await self._keyed.of(self._name, *who)
        counter = self._counter(key)
        counter.holders += 1
        try:
            await self._read(key, counter)
            self._check(counter)
        except BaseException:
            counter.holders -= 1
            raise
        counter.under_way += 1
        return key

    def end(self, key: str, *, was_wrong: bool) -> None:
        """The outcome is known; a wrong attempt is to be saved."""
        counter = self._counters[key]
        counter.under_way -= 1
        if was_wrong:
            counter.times.append(self._now())
        else:
            counter.holders -= 1

    async def save(self, key: str) -> None:
        """Makes a wrong attempt outlast the process; when the store is down, it counts in memory only."""
        counter = self._counters[key]
        try:
            async with counter.lock:
                await self._write(key, counter)
        except StoreError as error:
            log.warning("a wrong attempt is counted until the next start only: %s", error)
        finally:
            counter.holders -= 1

    def _check(self, counter: _Counter) -> None:
        now, times = self._now(), counter.times
        while times and times[0] <= now - self._window_s:
            times.popleft()
        if len(times) >= self._limit:
            raise TooManyAttempts(retry_after_s=times[0] + self._window_s - now)
        if len(times) + counter.under_way >= self._limit:
            raise TooManyAttempts(retry_after_s=WHILE_UNDER_WAY_S)

    def _counter(self, key: str) -> _Counter:
        counter = self._counters.pop(key, None)
        if counter is None:
            self._make_room()
            counter = _Counter(deque(maxlen=self._limit))
        self._counters[key] = counter
        return counter

    def _make_room(self) -> None:
        """Forgets the counter that was used least lately, but none that a call still needs."""
        if len(self._counters) >= self._max_keys:
            idle = (key for key, counter in self._counters.items() if not counter.holders)
            if (oldest := next(idle, None)) is not None:
                del self._counters[oldest]

    async def _read(self, key: str, counter: _Counter) -> None:
        if counter.is_read:
            return
        async with counter.lock:
            if not counter.is_read:
                document = (await self._store.get(KIND, (key,))).get(key)
                kept = decode(document.record, Kept).times if document is not None else ()
                counter.times.extend(kept)
                counter.is_read = True

    async def _write(self, key: str, counter: _Counter) -> None:
        purge = await self._expired(key)
        if not counter.times:  # Their time was over before we came to write them.
            return
        kept = Kept(tuple(counter.times), counter.times[-1] + self._window_s)
        entry = IndexEntry(BY_EXPIRY, "", f"{kept.expires_at:017.6f}")
        await self._store.commit([*purge, Put(KIND, key, encode(kept), (entry,))])

    async def _expired(self, but: str) -> list[Delete]:
        now = self._now()
        page = await self._store.find(KIND, BY_EXPIRY, "", limit=PURGED_AT_ONCE)
        old = (found.key for found in page.documents if decode(found.record, Kept).expires_at <= now)
        return [Delete(KIND, key) for key in old if key != but]


Counted = tuple[Attempts, tuple[str, ...]]
"""A count, and for whom."""


@asynccontextmanager
async def attempt(counts: Sequence[Counted], *, wrong: tuple[type[DomainError], ...]) -> AsyncIterator[None]:
    """Counts the body as one attempt in each of ``counts`` if it raises one of ``wrong``.

    Raises ``TooManyAttempts`` before the body is entered when any of them is used up, or ``StoreUnavailable``.
    """
    taken: list[tuple[Attempts, str]] = []
    was_wrong = False
    try:
        for attempts, who in counts:
            taken.append((attempts, await attempts.take(*who)))
        yield
    except wrong:
        was_wrong = True
        raise
    finally:
        for attempts, key in taken:
            attempts.end(key, was_wrong=was_wrong)
        if was_wrong:
            await asyncio.gather(*(attempts.save(key) for attempts, key in taken))


Gate = AbstractAsyncContextManager[None]


class Gates:
    """Every gate that a guess has to pass; ``async with gates.code(address): ...`` around what finds out."""

    def __init__(self, store: Store, now: Callable[[], float], limits: AttemptLimits) -> None:
        keyed = Keyed(store, "attempts")

        def counting(name: str, limit: int, window_s: float) -> Attempts:
            return Attempts(store, now, keyed, name=name, limit=limit, window_s=window_s)

        self._bind_data = counting("bind_data", limits.bind_data, HOUR_S)
        self._real_names = counting("real_names", limits.bind_data, HOUR_S)
        self._passwords = counting("passwords", limits.passwords, QUARTER_S)
        self._by_address = counting("by_address", limits.by_address, QUARTER_S)

    def password(self, username: str, address: str) -> Gate:
        """Around the check of a password; counts ``WrongCredentials``."""
        by_name = (self._passwords, (username, network_of(address)))
        return attempt([by_name, self._from(address)], wrong=(WrongCredentials,))

    def code(self, address: str) -> Gate:
        """Around the redeeming of a WeChat or phone code; counts ``CodeRefused``."""
        return attempt([self._from(address)], wrong=(CodeRefused,))

    def real_name(self, account_id: str, address: str) -> Gate:
        """Around a registration; counts ``RealNameMismatch`` and ``CodeRefused``."""
        by_account = (self._real_names, (account_id,))
        return attempt([by_account, self._from(address)], wrong=(RealNameMismatch, CodeRefused))

    def link_token(self, address: str) -> Gate:
        """Around the look-up of a link token; counts ``NotFound``."""
        return attempt([self._from(address)], wrong=(NotFound,))

    def bind_data(self, account_id: str) -> Gate:
        """Around a binding's check against the registry; counts ``VehicleMismatch``."""
        return attempt([(self._bind_data, (account_id,))], wrong=(VehicleMismatch,))

    def _from(self, address: str) -> Counted:
        return (self._by_address, (network_of(address),))


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the network that one customer has of IPv6."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return parsed.exploded[: IPV6_SITE_BITS // 4 + IPV6_SITE_BITS // 16 - 1]
