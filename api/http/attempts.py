"""Counts wrong attempts (R61) in the store, so that a restart forgives none.

Only wrong attempts count. Each takes its place before its outcome is known, so that many at once gain nothing.
``api.http.gates`` says what is counted for whom.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from api.http.keyed import Keyed
from domain.errors import DomainError, TooManyAttempts
from persistence.records import decode, encode
from persistence.store import Delete, IndexEntry, Put, Store, StoreError

log = logging.getLogger(__name__)

KIND: Final = "attempts"
BY_EXPIRY: Final = "expiry"
MAX_KEYS: Final = 20_000
"""Counters in memory; for any other the store is read."""
PURGED_AT_ONCE: Final = 20
WHILE_UNDER_WAY_S: Final = 1.0
"""Time to wait when attempts in progress take up the whole allowance."""

Who = tuple[str, ...]
"""The parts that a count is keyed by, for example a user name and an address."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A count as stored: the times of wrong attempts (Unix seconds), and when the last of them is forgotten."""

    times: tuple[float, ...]
    expires_at: float


@dataclass(slots=True)
class _Counter:
    """A count in memory; ``lock`` is held while the store is read or written for it."""

    times: deque[float]
    under_way: int = 0
    """Attempts whose outcome is unknown so far."""
    holders: int = 0
    """Calls that still need it."""
    is_read: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Counted(NamedTuple):
    """A count of an attempt: its key, and whether it may refuse."""

    attempts: Attempts
    who: Who
    refuses: bool = True


class Attempts:
    """Wrong attempts of one kind, counted by key within a sliding window."""

    def __init__(
        self,
        store: Store,
        now: Callable[[], float],
        keyed: Keyed,
        *,
        name: str,
        limit: int,
        window_s: float,
        outlives_store: bool = False,
        max_keys: int = MAX_KEYS,
    ) -> None:
        """``name`` separates the counts of different limits; ``now`` tells Unix seconds of the system's clock.

        ``outlives_store``: count in memory alone while the store cannot be read, instead of raising
        ``StoreUnavailable``.
        """
        self._store = store
        self._now = now
        self._keyed = keyed
        self._name = name
        self._limit = max(1, limit)
        self._window_s = window_s
        self._outlives_store = outlives_store
        self._max_keys = max_keys
        self._counters: dict[Who, _Counter] = {}
        """Ordered by last use, the latest at the end."""

    def of(self, *who: str, refuses: bool = True) -> Counted:
        """Return the count that an attempt is made against."""
        return Counted(self, who, refuses)

    async def take(self, counted: Counted) -> None:
        """Take a place, to be given up by ``end``. Raises ``TooManyAttempts`` or ``StoreUnavailable``."""
        counter = self._counter(counted.who)
        counter.holders += 1
        try:
            await self._read(counted.who, counter)
            if counted.refuses:
                self._check(counter)
        except BaseException:
            counter.holders -= 1
            raise
        counter.under_way += 1

    def end(self, counted: Counted, *, was_wrong: bool) -> None:
        """Note the outcome; the caller saves a wrong attempt."""
        counter = self._counters[counted.who]
        counter.under_way -= 1
        if was_wrong:
            counter.times.append(self._now())
        else:
            counter.holders -= 1

    async def save(self, counted: Counted) -> None:
        """Make a wrong attempt outlast the process. While the store is down, it counts in memory only."""
        counter = self._counters[counted.who]
        try:
            async with counter.lock:
                await self._write(counted.who, counter)
        except StoreError as error:
            log.warning("a wrong attempt is counted until the next start only: %s", error)
        finally:
            counter.holders -= 1

    def _check(self, counter: _Counter) -> None:
        now, times = self._now(), counter.times
        # A time a whole window ahead came from a wrong clock of ours.
        while times and not -self._window_s < times[0] - now <= self._window_s:
            times.popleft()
        if len(times) >= self._limit:
            raise TooManyAttempts(retry_after_s=times[0] + self._window_s - now)
        if len(times) + counter.under_way >= self._limit:
            raise TooManyAttempts(retry_after_s=WHILE_UNDER_WAY_S)

    def _counter(self, who: Who) -> _Counter:
        counter = self._counters.pop(who, None)
        if counter is None:
            self._make_room()
            counter = _Counter(deque(maxlen=self._limit))
        self._counters[who] = counter
        return counter

    def _make_room(self) -> None:
        """Forget the counter unused for longest, unless a call still needs it."""
        if len(self._counters) >= self._max_keys:
            idle = (who for who, counter in self._counters.items() if not counter.holders)
            if (oldest := next(idle, None)) is not None:
                del self._counters[oldest]

    async def _read(self, who: Who, counter: _Counter) -> None:
        if counter.is_read:
            return
        async with counter.lock:
            if not counter.is_read:
                try:
                    counter.times.extend(await self._kept(who))
                except StoreError:
                    if not self._outlives_store:
                        raise
                counter.is_read = True  # even after a failed read: otherwise each call would wait for the store again

    async def _kept(self, who: Who) -> tuple[float, ...]:
        key = await self._key(who)
        document = (await self._store.get(KIND, (key,))).get(key)
        return decode(document.record, Kept).times if document is not None else ()

    async def _write(self, who: Who, counter: _Counter) -> None:
        key = await self._key(who)
        purge = await self._expired(key)
        if not counter.times:  # their window ended before they were written
            return
        kept = Kept(tuple(counter.times), counter.times[-1] + self._window_s)
        entry = IndexEntry(BY_EXPIRY, "", f"{kept.expires_at:017.6f}")
        await self._store.commit([*purge, Put(KIND, key, encode(kept), (entry,))])

    async def _key(self, who: Who) -> str:
        return await self._keyed.of(self._name, *who)

    async def _expired(self, but: str) -> list[Delete]:
        now = self._now()
        page = await self._store.find(KIND, BY_EXPIRY, "", limit=PURGED_AT_ONCE)
        old = (found.key for found in page.documents if decode(found.record, Kept).expires_at <= now)
        return [Delete(KIND, key) for key in old if key != but]


@asynccontextmanager
async def attempt(counts: Sequence[Counted], *, wrong: tuple[type[DomainError], ...]) -> AsyncIterator[None]:
    """Count the body as one attempt in each of ``counts`` if it raises one of ``wrong``.

    Raises ``TooManyAttempts`` before the body runs when any count is used up, or ``StoreUnavailable``.
    """
    taken: list[Counted] = []
    was_wrong = False
    try:
        for counted in counts:
            await counted.attempts.take(counted)
            taken.append(counted)
        yield
    except wrong:
        was_wrong = True
        raise
    finally:
        for counted in taken:
            counted.attempts.end(counted, was_wrong=was_wrong)
        if was_wrong:
            await asyncio.gather(*(counted.attempts.save(counted) for counted in taken))


@asynccontextmanager
async def wrong_attempt(counts: Sequence[Counted], *, wrong: tuple[type[DomainError], ...]) -> AsyncIterator[None]:
    """Count as ``attempt`` does, but only after the body, so that a right attempt is never refused.

    Use it only for secrets that cannot be guessed: a used-up count does not keep the body from running.
    """
    try:
        yield
    except wrong:
        async with attempt(counts, wrong=wrong):
            raise
