"""Which reports has the service acknowledged, and in which order did it get them?"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

_row: Final = Struct("<QdqiiHIBBIB")
BYTES_PER_REPORT: Final = _row.size


class Told(NamedTuple):
    """One acknowledged report, as it stood on the wire."""

    order: int
    """Counts the terminal's sendings; of one sent again, the first that could be read."""
    received_at: float
    """When it was sent, by the service's clock as the simulator knows it."""
    fixed_at: int
    lon_e6: int
    lat_e6: int
    speed_dkmh: int
    alarms: int
    camera_event: int
    abnormal: int
    status: int
    backfilled: int


class Ledger:
    """One vehicle's acknowledged reports, packed small; ``limit`` bounds them, and what is beyond sets ``full``."""

    __slots__ = ("_limit", "_rows", "full")

    def __init__(self, limit: int) -> None:
        self._rows = bytearray()
        self._limit = limit
        self.full = False

    def add(self, told: Told) -> None:
        """Notes one acknowledgement."""
        if len(self) >= self._limit:
            self.full = True
            return
        self._rows += _row.pack(*told)

    def __len__(self) -> int:
        return len(self._rows) // _row.size

    def reports(self) -> list[Told]:
        """Everything acknowledged, in the order in which it reached the service."""
        return sorted(Told(*row) for row in _row.iter_unpack(self._rows))
