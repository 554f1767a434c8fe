"""A process's knowledge of its store, so that a Redis that forgot something is not taken for one that never had it.

Each store has an identity, and counts the groups written to it. A process that was told that group N is done asks no
Redis that knows fewer, or another identity. Such a Redis was emptied, exchanged, or got an older copy of its data back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from persistence.redis.layout import Keys
from persistence.store import StoreUnavailable
from persistence.troubles import Trouble, TroubleState

EMPTIED: Final = Trouble(
    "store_emptied",
    "the Redis holds nothing of this store: it was emptied (FLUSHALL, FLUSHDB), or started without its files. "
    "Give it its data back (its append-only file, a copy), and the service goes on by itself; or end the service and "
    "begin with an empty store by `run.py serve --new`",
)
EXCHANGED: Final = Trouble(
    "store_exchanged",
    "another store lies where this one was: another Redis answers, or its data were exchanged. Bring the former back, and "
    "the service goes on by itself; or end the service and start it on the one that is there",
)
BEHIND: Final = Trouble(
    "store_behind",
    "the Redis knows less than it acknowledged: it came back with an older copy of its data, or without its last second. "
    "Give it the newer data back, and the service goes on by itself; or end the service and start it on what is there: "
    "what was acknowledged since is lost then",
)


class Memory:
    """The identity of the store, and the number of the last group that is known to be done."""

    def __init__(self, keys: Keys, name: str) -> None:
        self.command: Final = ("HMGET", keys.meta, "identity", "written")
        self.identity = b""
        """The store's identity; empty until the store is opened: then any is taken."""
        self.number = 0
        self._name = name
        self._state = TroubleState(name)

    @property
    def trouble(self) -> Trouble | None:
        """Return the trouble as of the last answer."""
        return self._state.now

    def acknowledged(self, number: int) -> None:
        """Note that these groups are done: a Redis that knows fewer has lost some."""
        self.number = max(self.number, number)
        self._state.becomes(None)

    def compare(self, found: Sequence[Any], known: int) -> None:
        """Check an answer to ``command``.

        Raises ``StoreUnavailable`` unless it shows this store and at least ``known`` groups.
        """
        trouble = self._trouble(found, known)
        self._state.becomes(trouble)
        if trouble is not None:
            raise StoreUnavailable(f"store {self._name}: {trouble.sentence}")

    def _trouble(self, found: Sequence[Any], known: int) -> Trouble | None:
        if not self.identity:
            return None
        if not isinstance(found, list) or (found[0] and found[0] != self.identity):
            return EXCHANGED
        if not found[0]:
            return EMPTIED
        return BEHIND if int(found[1] or 0) < known else None
