"""Real terminals' deviations from the standard: each kind is logged once a terminal, and counted every time."""

from __future__ import annotations

import logging
from time import monotonic
from typing import Final

KINDS: Final = (
    "bad_auth_code",
    "bad_body",
    "bad_checksum",
    "bad_length",
    "bad_split",
    "bad_time",
    "batch_count_wrong",
    "encrypted",
    "field_out_of_range",
    "leftover_bytes",
    "noise",
    "not_bcd_phone",
    "not_jt808",
    "odd_authentication",
    "odd_item_length",
    "odd_registration",
    "oversized",
    "split_given_up",
    "split_over_limit",
    "split_serials",
    "split_timeout",
    "split_unclear",
    "too_many_refused_frames",
    "too_many_terminals",
    "trailing_bytes",
    "trailing_nul",
    "unauthenticated",
    "unknown_message",
    "unregistered",
    "vendor_dialect",
    "version_flag_wrong",
)
_REMEMBERED: Final = 50_000
_FORGOTTEN_AFTER_S: Final = 3600.0
_log: Final = logging.getLogger(__name__)


def masked(terminal: str) -> str:
    """Mask a phone number so that only an operator who knows it already can tell which one it is."""
    shown = min(3, len(terminal) // 4)
    return terminal[:shown] + "*" * (len(terminal) - 2 * shown) + terminal[len(terminal) - shown :]


class Deviations:
    """Counters by kind. The memory of what was logged has a limit, and is emptied once an hour at most.

    So strangers who make up a number for each frame can't fill the log.
    """

    def __init__(self) -> None:
        self._emptied_at = monotonic()
        self._counts = dict.fromkeys(KINDS, 0)
        self._logged: set[tuple[str, str]] = set()

    def note(self, kind: str, terminal: str) -> None:
        """Count a deviation; ``terminal`` is empty for an unknown sender."""
        self._counts[kind] += 1
        if (kind, terminal) in self._logged:
            return
        if len(self._logged) >= _REMEMBERED:
            if monotonic() - self._emptied_at < _FORGOTTEN_AFTER_S:
                return
            self._emptied_at = monotonic()
            self._logged.clear()
        self._logged.add((kind, terminal))
        _log.info("terminal %s: %s", masked(terminal) or "unknown", kind)

    def counts(self) -> dict[str, int]:
        """Return the count of every kind that was seen."""
        return {kind: count for kind, count in self._counts.items() if count}
