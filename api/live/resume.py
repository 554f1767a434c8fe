"""The alerts that a returning client already has, as told by the id of the last event that it received.

An id has three parts: ``<Unix seconds>-<prefixes of ongoing ones>-<prefixes of ended ones>``. All alerts before those
seconds are known; of later ones, those named. The prefixes of ongoing alerts tell which were still going on. A resume
is therefore exact and needs no memory of ours: it works across a restart of the service.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Self

from domain.vehicle.alerts import Alert
from domain.vehicle.vehicle import RECENT_ALERTS

WINDOW_S: Final = 600
"""Longest time by which a new alert may begin before a known one: with the fix before the one that showed it."""
MAX_ENDED: Final = 24
"""Ended alerts that an id names. Beyond this, all up to the oldest count as known."""
_PREFIX: Final = 8
_MAX_CHARS: Final = 1_000
_LIST: Final = rf"((?:[0-9a-f]{{{_PREFIX}}}(?:\.[0-9a-f]{{{_PREFIX}}})*)?)"
_ID: Final = re.compile(rf"(\d{{1,12}})-{_LIST}-{_LIST}")


class Delivered:
    """The alerts of one vehicle that one client knows."""

    __slots__ = ("_ended", "_known_before", "_ongoing")

    def __init__(self, known_before: int, ongoing: Iterable[str] = (), ended: Iterable[tuple[str, int]] = ()) -> None:
        self._known_before = known_before
        """Alerts that began before this are known (Unix seconds)."""
        self._ongoing = dict.fromkeys(ongoing)
        self._ended = dict(ended)
        """The alerts' beginnings, by prefix."""

    @classmethod
    def of(cls, alerts: Sequence[Alert]) -> Self:
        """Build the state of a client that has been told everything; alerts no longer told count as known."""
        newest = max((alert.started_at for alert in alerts), default=0)
        ongoing = (_prefix(alert) for alert in alerts if alert.ongoing)
        delivered = cls(0, ongoing, ((_prefix(alert), alert.started_at) for alert in alerts if not alert.ongoing))
        delivered._raise(max(newest - WINDOW_S, _all_told_from(alerts)))
        return delivered

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """Parse the ``Last-Event-ID`` of a client; None for an id that no event of ours had."""
        found = _ID.fullmatch(text) if text and len(text) <= _MAX_CHARS else None
        if found is None:
            return None
        before = int(found[1])
        return cls(before, _split(found[2]), ((prefix, before) for prefix in _split(found[3])))

    def is_told_by(self, alerts: Sequence[Alert]) -> bool:
        """Tell whether these alerts include every alert that the client may have missed."""
        told = {_prefix(alert) for alert in alerts}
        return _all_told_from(alerts) <= self._known_before and all(prefix in told for prefix in self._ongoing)

    def missed(self, alerts: Iterable[Alert]) -> list[Alert]:
        """Return the ``alerts`` that the client lacks, or whose end or continuation it lacks; oldest first.

        Learns again when the known ones began, which an id does not say.
        """
        missed = []
        for alert in alerts:
            prefix = _prefix(alert)
            if alert.ongoing:
                if prefix not in self._ongoing:
                    missed.append(alert)
            elif prefix in self._ended:
                self._ended[prefix] = alert.started_at
            elif prefix in self._ongoing or alert.started_at >= self._known_before:
                missed.append(alert)
        return sorted(missed, key=lambda alert: (alert.started_at, alert.id))

    def note(self, alert: Alert) -> None:
        """Note an alert that the client now gets."""
        prefix = _prefix(alert)
        if alert.ongoing:
            self._ongoing[prefix] = None
            self._ended.pop(prefix, None)
        else:
            self._ongoing.pop(prefix, None)
            self._ended[prefix] = alert.started_at
            self._raise(alert.started_at - WINDOW_S)

    def _raise(self, known_before: int) -> None:
        """Raise the bound so that an id names no more than needed and never more than fits."""
        begun = sorted(self._ended.values(), reverse=True)
        if len(begun) > MAX_ENDED:
            known_before = max(known_before, begun[MAX_ENDED] + 1)
        self._known_before = max(self._known_before, known_before)
        self._ended = {each: at for each, at in self._ended.items() if at >= self._known_before}

    def __str__(self) -> str:
        """Return the id to send."""
        return f"{self._known_before}-{'.'.join(self._ongoing)}-{'.'.join(self._ended)}"


def _all_told_from(alerts: Sequence[Alert]) -> int:
    """Return the time (Unix seconds) since which these alerts are complete."""
    ends = [alert.ended_at for alert in alerts if alert.ended_at is not None]
    # Alerts that ended before the first of these also began before it.
    return min(ends) + 1 if len(ends) >= RECENT_ALERTS else 0


def _prefix(alert: Alert) -> str:
    return alert.id[:_PREFIX]


def _split(text: str) -> list[str]:
    return text.split(".") if text else []
