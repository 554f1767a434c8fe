"""Witnesses of a store's failure and return: a driver, a terminal, a platform and an operator."""

from __future__ import annotations

import time
from random import Random
from types import TracebackType
from typing import Final, Self

from sim.registry_lines import business, identity
from tests.e2e.callers import call, feed, own_vehicles, sign_in
from tests.e2e.processes import SEED, Serving, until
from tests.e2e.trucks import Truck, report
from tests.faults.people import Driver

KEY: Final = "feed-key-of-this-test"
FED: Final = 11
SOON_S: Final = 0.2


class Witness:
    """Uses one service; a context manager."""

    def __init__(self, serving: Serving, *, seed: int = 3) -> None:
        self._http = serving.http
        self._truck = Truck(identity(SEED, 10), serving.jt808)
        self._since = int(time.time()) - 200
        self._second = 0
        self.driver = Driver(0, 2, Random(seed))
        self.driver.signs_in(serving.http)
        self._owner = sign_in(serving.http, business(SEED, 0))

    def __enter__(self) -> Self:
        self._truck.__enter__()
        self._truck.signs_on()
        self.is_served()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._truck.__exit__(kind, error, trace)

    def is_served(self) -> None:
        """Check that all users are served, and that doubtful or refused writes are there once sent again."""
        assert until(self._driver_is_answered), "the command is not answered"
        assert self.driver.finds(self._http) == self.driver.facts
        here = report(10, self._since, self._second)
        assert until(lambda: self._truck.hears_of(self._truck.sends(here), within_s=2))
        assert until(lambda: self._feeds() == 200)
        seen = own_vehicles(self._http, self._owner)
        for index in (10, FED):
            last_fix = seen[identity(SEED, index).plate].last_fix
            assert last_fix is not None
            assert last_fix.fixed_at == self._since + self._second

    def moves_on(self) -> bool:
        """The trucks do; whether the feed's row was taken. If not, it is sent again later."""
        self._second += 1
        return self._feeds() == 200

    def is_refused(self) -> None:
        """Check that nothing is acknowledged as safe, while the process still answers for itself."""
        serial = self._truck.sends(report(10, self._since, self._second + 1))
        assert not self.moves_on()
        assert self.driver.doubt is None
        self.driver.acts(self._http)
        assert self.driver.doubt is not None, "a command was answered without the store"
        assert self.driver.refused_until == "2"
        assert not self._truck.hears_of(serial, within_s=SOON_S)
        assert call(self._http, "GET", "/healthz").status == 200
        readiness = call(self._http, "GET", "/readyz")
        assert readiness.status == 503
        assert b"store_" in readiness.body
        assert b'"failing"' in call(self._http, "GET", "/health").body

    def is_ready(self) -> bool:
        return until(lambda: call(self._http, "GET", "/readyz").status == 200)

    def _driver_is_answered(self) -> bool:
        if self.driver.doubt is None:
            self.driver.acts(self._http)
        else:
            self.driver.asks_again(self._http)
        return self.driver.doubt is None

    def _feeds(self) -> int:
        """Feed one row, and return the status."""
        row = report(FED, self._since, self._second).as_row(identity(SEED, FED).phone)
        answer = feed(self._http, KEY, [row])
        assert answer.status == 200 or answer.retry_after is not None
        return answer.status
