"""What can be wrong with a store until a person does something about it, and the log of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from threading import Lock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something is wrong with a store that does not pass by itself. Neither text holds a path or an address."""

    code: str
    """A reason of ``/readyz`` and ``/health``; begins with ``store_``."""
    sentence: str
    """What happened, and what to do."""
    refuses: bool = True
    """Whether the store refuses writes because of it."""


class TroubleState:
    """One kind of trouble of one store: what is wrong now; logs when that changes. Safe in threads."""

    def __init__(self, name: str) -> None:
        self.now: Trouble | None = None
        self._name = name
        self._change = Lock()

    def becomes(self, trouble: Trouble | None) -> bool:
        """Whether something is wrong that was not wrong before."""
        with self._change:
            before, self.now = self.now, trouble
        if trouble is None and before is not None:
            log.warning("store %s: %s is over: it goes on", self._name, before.code)
        if trouble is not None and trouble != before:
            log.critical("store %s: nothing is acknowledged any more: %s", self._name, trouble.sentence)
        return trouble is not None and before is None
