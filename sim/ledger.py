"""The ledger of the reports that the service has acknowledged, in the order in which it received them."""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

_row: Final = Struct("<QdqiiHIBBIB")


class Told(NamedTuple):
    """An acknowledged report, as it stood on the wire."""

    order: int
    """The number of the terminal's sending. For a report sent again, the first readable sending counts."""
    received_at: float
    """The time of sending, by the service's clock as the simulator knows it."""
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
    """A vehicle's acknowledged reports, packed small; beyond ``limit`` none is kept and ``full`` is set."""

    __slots__ = ("_limit", "_rows", "full")

    def __init__(self, limit: int) -> None:
        self._rows = bytearray()
        self._limit = limit
        self.full = False

    def add(self, told: Told) -> None:
        """Note an acknowledgement."""
        if len(self) >= self._limit:
            self.full = True
            return
        self._rows += _row.pack(*told)

    def __len__(self) -> int:
        return len(self._rows) // _row.size

    def reports(self) -> list[Told]:
        """Return the acknowledged reports, in the order in which they reached the service."""
        return sorted(Told(*row) for row in _row.iter_unpack(self._rows))
