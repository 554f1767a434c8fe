"""People who repeat their calls while a service is killed, and remember what it must know afterwards.

Each change leaves facts: pairs of an action and the id of what was changed, as the audit list tells them. Whoever acts
knows which facts were acknowledged, and of at most one command not whether it was done: its answer never came.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from random import Random
from threading import Event
from typing import Any, Final

from sim.registry_lines import Person, driver, identity
from tests.e2e.callers import Answer, Terms, bearer, call
from tests.e2e.processes import SEED, until

DRIVER: Final = "/api/v1/driver"
MOST_LIVE: Final = 2
ENDED: Final = ("share_cancelled", "share_ended")
BOUND: Final = ("bound", "rebound")
MADE: Final = "new"
"""Stands for the id of what a command makes whose answer did not come."""

Fact = tuple[str, str]
Gone = (ConnectionError, HTTPException, TimeoutError)
"""The errors that a caller sees when the service is killed."""


@dataclass(frozen=True)
class Command:
    """A call, and the facts that it makes true."""

    method: str
    path: str
    body: Mapping[str, str] | None
    facts: frozenset[Fact]
    by_viewer: bool = False
    key: str = ""

    def made(self, answer: Answer) -> frozenset[Fact]:
        """Its facts, now that the id is known."""
        made = json.loads(answer.body).get("id", "") if answer.body else ""
        return frozenset((action, made if subject == MADE else subject) for action, subject in self.facts)


class Driver:
    """A driver with one truck, and a family member who opens the links. Both act through ``acts``, step by step."""

    def __init__(self, number: int, viewer: int, chance: Random) -> None:
        self.facts: set[Fact] = set()
        self.doubt: Command | None = None
        self.commands = 0
        self.repeated = 0
        self.refused_until: str | None = None
        """The time to retry, as the last refusal said."""
        self._number = number
        self._truck = identity(SEED, number)
        self._people = (driver(SEED, number), driver(SEED, viewer))
        self._tokens = ("", "")
        self._links: dict[str, str] = {}
        """Tokens of shares, by their ids."""
        self._chance = chance

    def signs_in(self, http: str) -> None:
        """Both, once: their sessions outlive the service."""
        if not self._tokens[0]:
            self._tokens = (_signed_in(http, self._people[0]), _signed_in(http, self._people[1]))

    # -- acting

    def acts(self, http: str) -> None:
        """Give a command. If no answer comes, raises one of ``Gone``, and the command is in doubt."""
        command = self._next()
        self.doubt = command
        self._hear(command, self._send(http, command))

    def asks_again(self, http: str) -> None:
        """Repeat the command in doubt until it is answered, which settles the doubt."""
        if self.doubt is not None:
            self.repeated += 1
            self._hear(self.doubt, self._send(http, self.doubt), again=True)

    def is_sure(self, http: str) -> bool:
        """Check the facts, after settling any doubt."""
        self.asks_again(http)
        return self.doubt is None

    def _hear(self, command: Command, answer: Answer, *, again: bool = False) -> None:
        if answer.status == 503:
            self.refused_until = answer.retry_after
            return  # perhaps done all the same: in doubt until it is asked again
        gone = again and command.method == "DELETE" and answer.status == 404
        assert answer.status < 300 or gone, (command, answer)
        facts = command.made(answer)
        self.facts |= facts
        for action, subject in facts:
            if action == "shared":
                self._links[subject] = json.loads(answer.body)["token"]
        self.commands += 1
        self.doubt = None

    def _send(self, http: str, command: Command) -> Answer:
        headers = {**bearer(self._tokens[command.by_viewer]), "Content-Type": "application/json"}
        if command.key:
            headers["Idempotency-Key"] = command.key
        body = None if command.body is None else json.dumps(command.body).encode()
        return call(http, command.method, command.path, body=body, headers=headers)

    def _next(self) -> Command:
        bindings = standing(self.facts)
        if not bindings:
            return self._binds()
        (binding,) = bindings
        live = sorted(id for id, status in shares(self.facts).items() if status in ("unopened", "open"))
        unopened = [id for id in live if ("share_opened", id) not in self.facts]
        choices = [self._unbinds(binding, live)] + [self._cancels(id) for id in live] * 4
        choices += [self._opens(id) for id in unopened] * 4
        choices += [self._shares(binding)] * 8 * (len(live) < MOST_LIVE)
        return self._chance.choice(choices)

    def _binds(self) -> Command:
        truck = self._truck
        papers = {"transport_cert_no": truck.transport_cert_no, "vin": truck.vin}
        form = {"plate": truck.plate, "plate_color": truck.plate_color, **papers}
        return Command("POST", f"{DRIVER}/bindings", form, frozenset({("bound", MADE)}), key=self._key())

    def _unbinds(self, binding: str, live: list[str]) -> Command:
        ended = {("share_ended", id) for id in live}
        return Command("DELETE", f"{DRIVER}/bindings/{binding}", None, frozenset({("unbound", binding), *ended}))

    def _shares(self, binding: str) -> Command:
        path = f"{DRIVER}/bindings/{binding}/shares"
        return Command("POST", path, {"duration": "7d"}, frozenset({("shared", MADE)}), key=self._key())

    def _cancels(self, share: str) -> Command:
        return Command("DELETE", f"{DRIVER}/shares/{share}", None, frozenset({("share_cancelled", share)}))

    def _opens(self, share: str) -> Command:
        opened = frozenset({("share_opened", share)})
        return Command("POST", "/api/v1/links/open", {"token": self._links[share]}, opened, by_viewer=True)

    def _key(self) -> str:
        return f"{self._number}-{self._chance.getrandbits(96):x}"

    # -- looking

    def finds(self, http: str) -> frozenset[Fact]:
        """Return the facts that the service tells; check that each is told once, and that its lists follow from them."""
        told = Counter(
            (item["action"], item["subject"]["id"])
            for item in self._items(http, "/api/v1/me/audit")
            if item["subject"]["kind"] in ("binding", "share")
        )
        assert max(told.values(), default=1) == 1, f"done twice: {told.most_common(3)}"
        facts = frozenset(told)
        listed = {item["id"]: item["status"] for item in self._items(http, f"{DRIVER}/shares")}
        assert listed == shares(facts), f"driver {self._number}"
        assert {item["id"] for item in self._items(http, f"{DRIVER}/vehicles")} == standing(facts)
        held = {item["id"] for item in self._items(http, "/api/v1/family/shares", by_viewer=True)}
        live = {id for id, status in shares(facts).items() if status == "open"}
        assert live <= held <= {id for action, id in facts if action == "share_opened"}
        return facts

    def is_known(self, http: str) -> None:
        """Check the acknowledged facts: beside them stand none, or all those of the command in doubt."""
        found = self.finds(http)
        assert self.facts <= found, f"lost: {self.facts - found}"
        more = found - self.facts
        expected = self.doubt.facts if self.doubt is not None else frozenset()
        named = {(action, subject if (action, subject) in expected else MADE) for action, subject in more}
        assert not more or (named == expected and len(more) == len(expected)), f"half done: {more} of {expected}"

    def _items(self, http: str, path: str, *, by_viewer: bool = False) -> Iterator[Any]:
        after = ""
        while True:
            answer = call(http, "GET", f"{path}?limit=200{after}", headers=bearer(self._tokens[by_viewer]))
            page = json.loads(answer.body)
            assert answer.status == 200, page
            yield from page["items"]
            if page["next"] is None:
                return
            after = f"&cursor={page['next']}"


def standing(facts: set[Fact] | frozenset[Fact]) -> set[str]:
    """The bindings that hold."""
    return {id for action, id in facts if action in BOUND and ("unbound", id) not in facts}


def shares(facts: set[Fact] | frozenset[Fact]) -> dict[str, str]:
    """Return the shares with their status."""
    return {id: _status(facts, id) for action, id in facts if action == "shared"}


def _status(facts: set[Fact] | frozenset[Fact], share: str) -> str:
    if ("share_cancelled", share) in facts:
        return "cancelled"
    if ("share_ended", share) in facts:
        return "ended"
    return "open" if ("share_opened", share) in facts else "unopened"


def _signed_in(http: str, who: Person) -> str:
    version = call(http, "GET", "/api/v1/terms").holds(Terms).version
    form = {"kind": "natural", "wechat_code": f"sandbox:{who.phone}", "terms_version": version}
    answer = call(
        http, "POST", "/api/v1/sessions", body=json.dumps(form).encode(), headers={"Content-Type": "application/json"}
    )
    assert answer.status == 201, answer
    return str(json.loads(answer.body)["token"])


@dataclass
class People:
    """Some drivers who act at the same time."""

    drivers: list[Driver] = field(default_factory=list)

    def act_until_gone(self, driver: Driver, http: str) -> None:
        """Let a driver act in a thread of its own until the service is gone."""
        try:
            self.act_until(driver, http, Event())
        except Gone:
            return

    def act_until(self, driver: Driver, http: str, over: Event) -> None:
        """The same, while the service lasts."""
        while not over.is_set():
            driver.asks_again(http)
            if driver.doubt is None:
                driver.acts(http)

    def are_known(self, http: str) -> None:
        """Each fact that was acknowledged; then there is no doubt left, and still nothing else."""
        for each in self.drivers:
            each.is_known(http)
            assert until(partial(each.is_sure, http))
            assert each.finds(http) == each.facts
