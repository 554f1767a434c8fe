"""Evidence that a store was served from a Redis, which is still there when the Redis was emptied.

FLUSHALL leaves functions in place, and they are copied and logged like data. So a library without use, named after the
store, stands for it in the Redis. A Redis that lost its files has lost that too: so the name is also noted on this
machine.
"""

from __future__ import annotations

import logging
import os
from hashlib import sha256
from pathlib import Path
from typing import Final

from persistence.redis.address import RedisAddress
from persistence.redis.link import Link, Refused

log = logging.getLogger(__name__)

FILE: Final = "served-redis"
MOST_NOTED: Final = 16
"""The most notes of a machine: it serves few stores, and a port tried long ago may be another Redis' by now."""


class Served:
    """The evidence of one store."""

    def __init__(self, address: RedisAddress, *, notes: Path | None = None) -> None:
        """Prepare the evidence; ``notes`` is the folder of this machine's notes, if there are any."""
        self._name = address.name
        self._library = f"shouwang_{sha256(f'{address.database}:{address.prefix}'.encode()).hexdigest()[:16]}"
        self._file = notes / FILE if notes is not None else None

    async def is_noted(self, link: Link) -> bool:
        """Tell whether a service ever served the store. Raises ``StoreUnavailable``."""
        return self._name in self._noted() or await self._is_marked(link)

    async def note(self, link: Link) -> None:
        """Note that it is served. A note that can't be written is told in the log. Raises ``StoreUnavailable``."""
        self._note_here()
        try:
            if not await self._is_marked(link):
                function = f"redis.register_function('{self._library}', function() return 1 end)"
                await link.ask(("FUNCTION", "LOAD", f"#!lua name={self._library}\n{function}"))
        except Refused as refused:
            log.warning("an emptied Redis could not be told from a new one by a service elsewhere: %s", refused)

    async def _is_marked(self, link: Link) -> bool:
        try:
            (libraries,) = await link.ask(("FUNCTION", "LIST", "LIBRARYNAME", self._library))
        except Refused:
            return False
        return bool(libraries)

    def _noted(self) -> list[str]:
        if self._file is None or not self._file.exists():
            return []
        return self._file.read_text("utf-8").splitlines()

    def _note_here(self) -> None:
        noted = self._noted()
        if self._file is None or self._name in noted:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._file.with_suffix(f".{os.getpid()}")
            fresh.write_text("".join(f"{name}\n" for name in [*noted, self._name][-MOST_NOTED:]), "utf-8")
            fresh.replace(self._file)
        except OSError as error:
            log.warning("%s can't be written (%s): an emptied Redis may be taken for a new one", self._file, error)
