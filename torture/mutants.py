"""Rules broken on purpose, one at a time; a play must find each (``run.py torture --mutants``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import actors.people.person
import actors.people.share_link
import actors.people.vehicle_shares
import actors.system.clock
import api.accounts.sessions
import domain.people.delegation
import domain.people.driver
import domain.people.share
import domain.people.shares_of_vehicle
import domain.vehicle.vehicle
from actors.people.deadlines import Deadlines
from actors.people.document_actor import DocumentActor
from actors.people.share_link import ShareLinkActor
from actors.system.supervisor import Supervisor
from actors.vehicles.checkpoints import Checkpointer
from actors.vehicles.recovery import Recovery
from actors.vehicles.timekeeper import Timekeeper
from api.http.calls import new_command
from api.http.idempotency import Idempotency
from api.live.stream import LiveStream
from domain.civil_time import days_later
from domain.people.share import Duration
from domain.vehicle.profile import DEFAULT_PROFILE
from gateway.ingest import Ingest
from persistence.store import StoreError
from torture.machine import MakeService
from torture.run_seed import run_seed

SEEDS: Final = 100

Change = tuple[Any, str, Any]
"""A change: the object, the name in it, and the replacement."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A broken rule."""

    name: str
    changes: Callable[[], Sequence[Change]]
    found_by: int
    """The first seed that finds it, as ``run.py torture --mutants`` told: a test looks there first."""


@contextmanager
def at_large(mutant: Mutant) -> Iterator[None]:
    """Break the rule within the block."""
    changes = mutant.changes()
    kept = [_get(whose, name) for whose, name, _ in changes]
    try:
        for whose, name, instead in changes:
            _set(whose, name, instead)
        yield
    finally:
        for (whose, name, _), before in zip(changes, kept, strict=True):
            _set(whose, name, before)


def caught_at(make: MakeService, mutant: Mutant, seeds: Iterable[int] = range(SEEDS)) -> tuple[int, str] | None:
    """Return the first of these seeds that finds it, and its finding; None when none does."""
    with at_large(mutant):
        for seed in seeds:
            broken = run_seed(make, seed).broken
            if broken:
                return seed, broken
    return None


def _get(whose: Any, name: str) -> Any:
    return whose[name] if isinstance(whose, dict) else getattr(whose, name)


def _set(whose: Any, name: str, instead: Any) -> None:
    if isinstance(whose, dict):
        whose[name] = instead
    elif whose is DEFAULT_PROFILE:
        object.__setattr__(whose, name, instead)
    else:
        setattr(whose, name, instead)


def _nothing(*_: Any, **__: Any) -> None:
    """Do nothing where something should be done."""


# -- how each is broken -----------------------------------------------------------------------------------------------


def _share_without_r19() -> Sequence[Change]:
    def share(
        driver: domain.people.driver.Driver, shared: domain.people.driver.SharedNow, *, now: float
    ) -> domain.people.driver.Driver:
        return replace(driver, shares=(*domain.people.driver.live_shares(driver, now), shared))

    return [(actors.people.person, "share", share)]


def _anybody_opens() -> Sequence[Change]:
    def open_link(
        share: domain.people.share.Share, viewer: domain.people.share.Viewer, *, ids: Any
    ) -> domain.people.share.Share:
        return replace(share, viewer=viewer)

    return [(actors.people.share_link, "open_link", open_link)]


def _clock_unasked() -> Sequence[Change]:
    def end_reason(share: domain.people.share.Share, now: float) -> Any:
        return share.ended.reason if share.ended is not None else None

    return [(actors.people.share_link, "end_reason", end_reason), (domain.people.share, "end_reason", end_reason)]


def _early_acknowledgement() -> Sequence[Change]:
    submit = Ingest.submit

    def at_once(self: Ingest, fixes: Any, done: Callable[[bool], None]) -> None:
        submit(self, fixes, lambda durable: None)
        done(True)

    return [(Ingest, "submit", at_once)]


def _counts_on() -> Sequence[Change]:
    return [(actors.people.vehicle_shares, "_has_ended", lambda link: False)]


def _no_timers() -> Sequence[Change]:
    return [(ShareLinkActor, "arm", _nothing), (Deadlines, "on_wake", _nothing), (Deadlines, "note", _nothing)]


def _no_keys() -> Sequence[Change]:
    async def command(self: Any, request: Any, key: str) -> Any:
        return new_command()

    async def known(self: Any, documents: Any, key: str) -> None:
        return None

    return [(Idempotency, "_command", command), (Idempotency, "_known", known)]


def _owner_spares_shares() -> Sequence[Change]:
    unbind = domain.people.driver.unbind

    def spare(driver: Any, binding_id: str, *, by: Any, now: float) -> Any:
        after, ended, shares = unbind(driver, binding_id, by=by, now=now)
        return (after, ended, ()) if by == "owner" else (after, ended, shares)

    return [(actors.people.person, "unbind", spare)]


def _believes() -> Sequence[Change]:
    write = DocumentActor._write

    async def believe(self: Any, *writes: Any) -> None:
        try:
            await write(self, *writes)
        except StoreError:
            self._certain = True

    return [(DocumentActor, "_write", believe)]


def _never_doubts() -> Sequence[Change]:
    write = DocumentActor._write

    async def trust(self: Any, *writes: Any) -> None:
        try:
            await write(self, *writes)
        except StoreError:
            self._certain = True
            raise

    return [(DocumentActor, "_write", trust)]


def _whoever_came_first() -> Sequence[Change]:
    write = DocumentActor._write

    async def blindly(self: Any, *writes: Any) -> None:
        await write(self, *(replace(each, expected_version=None) for each in writes))

    return [(DocumentActor, "_write", blindly)]


def _month_of_30_days() -> Sequence[Change]:
    return [(domain.people.share._LATER, Duration.ONE_MONTH, partial(days_later, days=30))]


def _watermark_ahead() -> Sequence[Change]:
    capture = Checkpointer._capture

    def ahead(self: Any, partition: int) -> Any:
        captured, more = capture(self, partition)
        captured.watermark += 3
        return captured, more

    return [(Checkpointer, "_capture", ahead)]


def _tail_unread() -> Sequence[Change]:
    async def refold(self: Any, number: int, entry: bytes, watermarks: Mapping[int, int]) -> int:
        return 0

    return [(Recovery, "_refold", refold)]


def _open_for_strangers() -> Sequence[Change]:
    def view(self: Any, share: Any, message: Any) -> Any:
        return share

    return [(ShareLinkActor, "_view", view)]


def _restart_forgets_the_time() -> Sequence[Change]:
    async def resume(self: Any) -> None:
        return None

    return [(Timekeeper, "resume", resume)]


def _doubt_unmarked() -> Sequence[Change]:
    return [(Timekeeper, "mark", lambda self, received_at, fixes: fixes)]


def _inferred_for_ever() -> Sequence[Change]:
    return [(domain.vehicle.vehicle, "_as_of_silence", lambda alert, fixed_at: alert)]


MUTANTS: Final[Sequence[Mutant]] = (
    Mutant("R12: a fourth vehicle is bound", lambda: [(domain.people.driver, "MAX_BINDINGS", 4)], found_by=0),
    Mutant("R13: an eleventh vehicle in 12 months", lambda: [(domain.people.driver, "MAX_VEHICLES", 11)], found_by=3),
    Mutant(
        "R13: a vehicle counts for 11 months only", lambda: [(domain.people.driver, "COUNTED_MONTHS", 11)], found_by=26
    ),
    Mutant("R17: a month has 30 days", _month_of_30_days, found_by=0),
    Mutant("R18: a fourth live share", lambda: [(domain.people.shares_of_vehicle, "MAX_LIVE_SHARES", 4)], found_by=6),
    Mutant("R18: an ended share counts on", _counts_on, found_by=6),
    Mutant("R19: two vehicles are shared at a time", _share_without_r19, found_by=1),
    Mutant("R20: a second person opens the link", _anybody_opens, found_by=1),
    Mutant("R23: a delegation lives 8 days", lambda: [(domain.people.delegation, "LIFETIME_DAYS", 8)], found_by=4),
    Mutant("R32: offline after 700 s", lambda: [(DEFAULT_PROFILE, "offline_after_s", 700)], found_by=0),
    Mutant(
        "R32: what is sent late counts as live", lambda: [(domain.vehicle.vehicle, "FLAG_BACKFILLED", 0)], found_by=10
    ),
    Mutant("R33: anybody may view a share, ended or not", _open_for_strangers, found_by=1),
    Mutant("R33: nobody asks the clock whether a share has expired", _clock_unasked, found_by=4),
    Mutant("R33: a stream does not hear of the end", lambda: [(LiveStream, "end", _nothing)], found_by=2),
    Mutant(
        "R33: a link does not hear that its share was cancelled",
        lambda: [(Supervisor, "outdate", _nothing)],
        found_by=3,
    ),
    Mutant("R41: the owner's unbinding leaves the shares alive", _owner_spares_shares, found_by=6),
    Mutant(
        "R50: the machine's clock is followed wherever it goes",
        lambda: [(actors.system.clock, "STEP_S", 1e12)],
        found_by=2,
    ),
    Mutant("R50: a start in a step goes by the machine's clock", _restart_forgets_the_time, found_by=5),
    Mutant("R50: reports are judged by a clock that was moved", _doubt_unmarked, found_by=7),
    Mutant("R50: a state ahead of now stays", lambda: [(domain.vehicle.vehicle, "_give_way", _nothing)], found_by=66),
    Mutant("R51: acknowledged before it is durable", _early_acknowledgement, found_by=0),
    Mutant("R51: the log's tail is not read after a crash", _tail_unread, found_by=0),
    Mutant("R51: a checkpoint claims more than it holds", _watermark_ahead, found_by=1),
    Mutant("R52: what was inferred goes on through a silence", _inferred_for_ever, found_by=1),
    Mutant("R64: expiries are noted by nobody", _no_timers, found_by=1),
    Mutant("a command does not notice that another came first", _whoever_came_first, found_by=26),
    Mutant("a failed commit is taken for done", _believes, found_by=0),
    Mutant("a commit in doubt is taken for failed", _never_doubts, found_by=48),
    Mutant("a repeated command is done again", _no_keys, found_by=0),
    Mutant("a session lives 31 days", lambda: [(api.accounts.sessions, "LIFETIME_S", 31 * 86_400.0)], found_by=5),
    Mutant("who watched is never forgotten", lambda: [(Supervisor, "unwatch", _nothing)], found_by=2),
)
