"""Checks that everything acknowledged is there, once, after the service is killed at any moment under load.

``python -m tests.faults.crashes --rounds 30 --store redis`` plays as many rounds as wanted and tells what was lost.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path
from random import Random
from typing import Final

from api.sides.owner import MAX_ALERTS
from sim.registry_lines import business, identity
from tests.e2e.callers import own_vehicles, sign_in, starts_of_alerts
from tests.e2e.convoy import Convoy, Knowledge
from tests.e2e.processes import SEED, Serving, Yard, write_registry
from tests.faults.feeding import Platform
from tests.faults.people import Driver, People
from tests.patience import PATIENCE_S
from tests.redis_server import RedisServer

FLEET: Final = 80
"""Trucks in the registry: a driver for every tenth."""
TERMINALS: Final = 16
FED: Final = range(20, 36)
DRIVERS: Final = 4
KEY: Final = "feed-key-of-this-test"
PACES: Final = (("5", "30"), ("5", "0.05"), ("40", "30"))
"""Milliseconds that a fix waits for a batch, and seconds between two checkpoints."""
LONGEST_S: Final = 1.0
"""Longest time until a kill at a random moment; every other kill follows an acknowledgement."""


class Crashes:
    """A store, and all its users from kill to kill."""

    def __init__(self, folder: Path, *, redis: RedisServer | None, seed: int) -> None:
        self._yard = Yard(folder, forks=True)
        self._redis = redis
        self._store = self._yard.store_name if redis is None else redis.url()
        self._chance = Random(seed)
        self.convoy = Convoy(TERMINALS, chance=Random(seed + 1))
        self.platform = Platform(KEY, FED, since=int(time.time()) - 300)
        self.people = People([Driver(each, DRIVERS + each, Random(seed + 2 + each)) for each in range(DRIVERS)])
        self.kills_of_redis = 0
        self._owner = ""
        file = write_registry(folder / "registry.jsonl", FLEET)
        assert self._yard.runs("import", str(file), "--store", self._store).status == 0

    def play(self, rounds: int) -> None:
        """Kills the service so many times, and looks after each."""
        try:
            for number in range(rounds):
                serving = self._serves(number)
                self._look(serving)
                self._load_until_killed(serving, number)
            serving = self._serves(rounds)
            self._look(serving)
            assert serving.process.stops().status == 0
        finally:
            self._yard.closes()

    def told(self) -> str:
        """Summarise the acknowledgements."""
        commands = sum(each.commands for each in self.people.drivers)
        doubts = sum(each.repeated for each in self.people.drivers)
        emergencies = sum(len(each.acknowledged_emergencies) for each in self._all_knowledge())
        return (
            f"{self.convoy.acknowledged} reports of terminals, {self.platform.acknowledged} rows of the feed, "
            f"{emergencies} alerts, {commands} commands ({doubts} asked again), Redis killed {self.kills_of_redis} times"
        )

    def _serves(self, number: int) -> Serving:
        linger_ms, checkpoint_s = PACES[number % len(PACES)]
        paces = {"SHOUWANG_LINGER_MS": linger_ms, "SHOUWANG_CHECKPOINT_S": checkpoint_s}
        return self._yard.serves(store=self._store, FEED_KEY=KEY, **paces)

    def _load_until_killed(self, serving: Serving, number: int) -> None:
        others = [threading.Thread(target=self.platform.feeds, args=(serving.http,))]
        others += [
            threading.Thread(target=self.people.act_until_gone, args=(each, serving.http))
            for each in self.people.drivers
        ]
        for thread in others:
            thread.start()
        if number % 2:
            killer = threading.Timer(self._chance.uniform(0.02, LONGEST_S), serving.process.is_killed)
            killer.start()
            self.convoy.drives(serving)
            killer.join()
        else:
            self.convoy.drives_until_killed(serving)
        self._kill_redis_now_and_then(number)
        for thread in others:
            thread.join(PATIENCE_S)

    def _kill_redis_now_and_then(self, number: int) -> None:
        if self._redis is not None and number % 3 == 2:
            self.kills_of_redis += 1
            self._redis.kill()
            self._redis.start()

    # -- looking

    def _look(self, serving: Serving) -> None:
        self._owner = self._owner or sign_in(serving.http, business(SEED, 0))
        seen = own_vehicles(serving.http, self._owner)
        for index, known in [*enumerate(self.convoy.knowledge), *self.platform.knowledge.items()]:
            vehicle = seen[identity(SEED, index).plate]
            told = vehicle.last_fix and (vehicle.last_fix.fixed_at, vehicle.last_fix.place_e6)
            answers = self.platform if index in self.platform.knowledge else self.convoy
            assert told in answers.true_answers(index), f"truck {index}"
            alerts = starts_of_alerts(serving.http, self._owner, vehicle.id, "emergency")
            oldest_told = min(alerts) if len(alerts) == MAX_ALERTS else 0
            due = {at for at in known.acknowledged_emergencies if at >= oldest_told}
            assert due <= set(alerts), f"truck {index}: lost {sorted(due - set(alerts))} of {len(alerts)} told"
            assert set(alerts) <= known.sent_emergencies, f"truck {index}: made up"
            assert len(alerts) == len(set(alerts)), f"truck {index}: an alert twice"
        for each in self.people.drivers:
            each.signs_in(serving.http)
        self.people.are_known(serving.http)

    def _all_knowledge(self) -> list[Knowledge]:
        return [*self.convoy.knowledge, *self.platform.knowledge.values()]


def main(arguments: list[str]) -> int:
    """Plays, and tells; an assertion that fails is the finding."""
    parser = argparse.ArgumentParser(prog="crashes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--store", choices=("sqlite", "redis"), default="sqlite")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        redis = RedisServer(Path(folder) / "redis") if given.store == "redis" else None
        try:
            crashes = Crashes(Path(folder), redis=redis, seed=given.seed)
            crashes.play(given.rounds)
        finally:
            if redis is not None:
                redis.kill()
    print(f"{given.rounds} kills on {given.store}, nothing lost, nothing twice: {crashes.told()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
