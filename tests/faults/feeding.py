"""A platform's feed, which remembers the batches that it sends until the service is gone."""

from __future__ import annotations

from functools import partial
from http.client import HTTPException
from typing import Final

from sim.registry_lines import identity
from tests.e2e.callers import FeedAnswer, feed
from tests.e2e.convoy import EMERGENCY_EVERY, FUTURE_S, Knowledge
from tests.e2e.processes import SEED
from tests.e2e.trucks import Report, report

SECONDS_A_BATCH: Final = 2
"""An emergency's report comes with the one after it: were that lost, the next emergency would rightly be the same alert."""


class Platform:
    """Sends each truck's seconds in batches; ``indexes`` are its trucks."""

    def __init__(self, key: str, indexes: range, *, since: int) -> None:
        self.knowledge = {index: Knowledge() for index in indexes}
        self.acknowledged = 0
        self._key = key
        self._since = since

    def true_answers(self, index: int) -> list[tuple[int, tuple[int, int]] | None]:
        return self.knowledge[index].true_answers(partial(self._report, index))

    def feeds(self, http: str) -> None:
        """Feed until the service is gone."""
        try:
            while next(iter(self.knowledge.values())).sent < FUTURE_S:
                self._batch(http)
        except (ConnectionError, HTTPException):
            return

    def _batch(self, http: str) -> None:
        first = next(iter(self.knowledge.values())).sent + 1
        seconds = range(first, first + SECONDS_A_BATCH)
        rows = []
        for index, known in self.knowledge.items():
            reports = [self._report(index, second) for second in seconds]
            known.sent = seconds[-1]
            known.sent_emergencies |= {each.fixed_at for each in reports if each.alarms}
            rows += [each.as_row(identity(SEED, index).phone) for each in reports]
        answer = feed(http, self._key, rows)
        if answer.status == 503:
            return
        assert answer.holds(FeedAnswer) == FeedAnswer(len(rows), 0, [])
        self.acknowledged += len(rows)
        for index, known in self.knowledge.items():
            known.acknowledged = seconds[-1]
            here = (self._report(index, second) for second in seconds)
            known.acknowledged_emergencies |= {each.fixed_at for each in here if each.alarms}

    def _report(self, index: int, second: int) -> Report:
        return report(index, self._since, second, emergency=second % EMERGENCY_EVERY == 0)
