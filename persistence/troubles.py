"""Troubles of a store that last until a person does something about them, and their log."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from threading import Lock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A trouble of a store that does not pass by itself. Neither text holds a path or an address."""

    code: str
    """A reason of ``/readyz`` and ``/health``; begins with ``store_``."""
    sentence: str
    """The sentence to print: what happened, and what to do."""
    refuses: bool = True
    """The store refuses writes because of it."""


class TroubleState:
    """The state of one kind of trouble of a store; logs when it changes. Safe in threads."""

    def __init__(self, name: str) -> None:
        self.now: Trouble | None = None
        self._name = name
        self._change = Lock()

    def becomes(self, trouble: Trouble | None) -> bool:
        """Take in what is wrong now; return True for a trouble that was not there before."""
        with self._change:
            before, self.now = self.now, trouble
        if trouble is None and before is not None:
            log.warning("store %s: %s is over: it goes on", self._name, before.code)
        if trouble is not None and trouble != before:
            log.critical("store %s: writes are no longer acknowledged: %s", self._name, trouble.sentence)
        return trouble is not None and before is None
