"""A convoy of trucks that load a service until it is killed, and remember its acknowledgements."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final

from gateway.jt808.codec import message_ids as ids
from sim.registry_lines import identity
from tests.e2e.processes import SEED, Process, Serving
from tests.e2e.trucks import Report, Truck, report
from tests.patience import PATIENCE_S

EMERGENCY_EVERY: Final = 4
BATCH_EVERY: Final = 3
"""Reports; the others come alone. The gateway takes them in on different ways."""
MOST_ACKNOWLEDGEMENTS: Final = 200
"""The most acknowledgements before a kill."""
FUTURE_S: Final = 500
"""Farthest time ahead of a report; later ones would be refused some day."""


@dataclass
class Knowledge:
    """The reports that a truck has sent, and those acknowledged."""

    sent: int = -1
    """Second of its newest report."""
    acknowledged: int = -1
    sent_emergencies: set[int] = field(default_factory=set)
    acknowledged_emergencies: set[int] = field(default_factory=set)

    def true_answers(self, report_at: Callable[[int], Report]) -> list[tuple[int, tuple[int, int]] | None]:
        """Return the possible last fixes: the newest acknowledged, or any sent after it."""
        reports = map(report_at, range(max(self.acknowledged, 0), self.sent + 1))
        return [*([None] if self.acknowledged < 0 else []), *((each.fixed_at, each.place_e6) for each in reports)]


class Convoy:
    """Trucks that drive in threads of their own; each report comes a second of its own clock after the one before."""

    def __init__(self, trucks: int, *, chance: Random | None = None) -> None:
        self.knowledge = [Knowledge() for _ in range(trucks)]
        self.acknowledged = 0
        self._since = int(time.time()) - 300
        self._codes: dict[int, str] = {}
        self._counting = threading.Lock()
        self._kill_at = 0
        self._service: Process | None = None
        self._chance = chance or Random(20)

    def true_answers(self, index: int) -> list[tuple[int, tuple[int, int]] | None]:
        """See ``Knowledge.true_answers``, of this truck."""
        return self.knowledge[index].true_answers(partial(self._report, index))

    def drives_until_killed(self, serving: Serving) -> None:
        """The kill comes right after an acknowledgement, before anything else happens; after which one is chance."""
        self._service = serving.process
        self._kill_at = self.acknowledged + self._chance.randint(10, MOST_ACKNOWLEDGEMENTS)
        self.drives(serving)
        assert self.acknowledged >= self._kill_at, "hardly anything was acknowledged"
        serving.process.is_killed()

    def drives(self, serving: Serving) -> None:
        """Drive until the service is gone."""
        threads = [
            threading.Thread(target=self._drives, args=(index, serving.jt808)) for index in range(len(self.knowledge))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)

    def _drives(self, index: int, jt808: str) -> None:
        known = self.knowledge[index]
        try:
            with Truck(identity(SEED, index), jt808) as truck:
                if index not in self._codes:
                    self._codes[index] = truck.signs_on()
                else:
                    assert truck.authenticates(self._codes[index]) == ids.RESULT_OK
                while known.sent < FUTURE_S:
                    self._reports(index, truck)
        except ConnectionError:
            return

    def _reports(self, index: int, truck: Truck) -> None:
        known = self.knowledge[index]
        known.sent += 1
        here = self._report(index, known.sent)
        if here.alarms:
            known.sent_emergencies.add(here.fixed_at)
        result = truck.reports_in_a_batch(here) if known.sent % BATCH_EVERY == 0 else truck.reports(here)
        assert result == ids.RESULT_OK
        with self._counting:
            known.acknowledged = known.sent
            if here.alarms:
                known.acknowledged_emergencies.add(here.fixed_at)
            self.acknowledged += 1
            if self.acknowledged == self._kill_at and self._service is not None:
                self._service.is_killed()

    def _report(self, index: int, second: int) -> Report:
        return report(index, self._since, second, emergency=second % EMERGENCY_EVERY == 0)
