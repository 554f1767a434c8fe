"""Holds every document on the disk against the rules' own account of all answers: the disk must be a possible world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from actors.people.documents import BINDING, DELEGATION, SHARE
from domain.people.delegation import Delegation
from domain.people.driver import Binding
from domain.people.share import Share
from persistence.records import decode
from torture.cast import VEHICLES, vehicle_key
from torture.possible import Possible
from torture.rules import Asked, Bound, Shared, World
from torture.watch import Violation

if TYPE_CHECKING:
    from torture.drama import Drama

MONTHS_DIFFER_S: Final = 3 * 86_400
"""The tolerance for months; the durations that can be chosen differ by more."""
_NUMBERS: Final = {vehicle_key(number): number for number in range(VEHICLES)}


def everything(drama: Drama, kind: str, of: type[Any]) -> dict[str, Any]:
    documents = drama.machine.disk.documents.get(kind, {})
    return {key: decode(document.record, of) for key, document in documents.items()}


@dataclass(slots=True)
class _Facts:
    """The disk's facts in the words of the rules, by the service's ids."""

    bindings: dict[str, Bound]
    shares: dict[str, Shared]
    delegations: dict[str, Asked]


def _facts(drama: Drama) -> _Facts:
    who, papers = drama.accounts, drama.cast.papers
    bindings = {
        key: Bound(who[each.driver_id], _NUMBERS[each.vehicle.vehicle_id], each.kind == "delegated",
                   papers[_NUMBERS[each.vehicle.vehicle_id]], each.bound_at, each.unbound_at, each.unbound_by)
        for key, each in everything(drama, BINDING, Binding).items()
    }  # fmt: skip
    shares = {
        key: Shared(each.binding_id, who[each.driver_id], _NUMBERS[each.vehicle_id], each.created_at, each.expires_at,
                    who[each.viewer.account_id] if each.viewer else None, each.ended.reason if each.ended else None)
        for key, each in everything(drama, SHARE, Share).items()
    }  # fmt: skip
    delegations = {
        key: Asked(who[each.driver_id], _NUMBERS[each.vehicle_id], each.created_at, each.expires_at,
                   who[each.holder.account_id] if each.holder else None,
                   "bound" if each.binding_id else "withdrawn" if each.withdrawn_at is not None else "live")
        for key, each in everything(drama, DELEGATION, Delegation).items()
    }  # fmt: skip
    return _Facts(bindings, shares, delegations)


def must_be_possible(drama: Drama) -> None:
    """Check that each acknowledged command is there, and each one without an answer wholly or not at all."""
    facts, now, differences = _facts(drama), drama.now(), ""
    for possible in drama.possible.worlds:
        for each in drama.possible.unfold(possible, now):
            names, difference = _match(drama, each, facts, now)
            if not difference:
                _adopt(drama, each.world, names, facts)
                return
            differences = differences or difference
    raise Violation(f"the disk is no possible world: {differences}")


def _match(drama: Drama, possible: Possible, facts: _Facts, now: float) -> tuple[dict[str, str], str]:
    """Return names of things → ids, and the first thing that does not fit."""
    world, names = possible.world, dict(drama.household.names.ids)
    for kind, ours, theirs in (
        ("binding", world.bindings, facts.bindings),
        ("share", world.shares, facts.shares),
        ("delegation", world.delegations, facts.delegations),
    ):
        left = dict(theirs)
        unnamed = []
        for name, each in ours.items():
            if name not in names:
                unnamed.append((name, each))
            elif not _same(drama, name, each, left.pop(names[name], None), names, now):
                return {}, f"{kind} {name}: {each}, on the disk {theirs.get(names[name])}"
        for name, each in unnamed:
            found = next((key for key, other in left.items() if _same(drama, name, each, other, names, now)), None)
            if found is None:
                return {}, f"{kind} {name}: {each} is not on the disk"
            names[name] = found
            del left[found]
        if left:
            return {}, f"{kind} on the disk that nobody made: {next(iter(left.values()))}"
    return names, ""


def _same(drama: Drama, name: str, ours: Any, theirs: Any, names: dict[str, str], now: float) -> bool:
    is_exact = name not in drama.household.ever_floated
    match ours, theirs:
        case Bound(), Bound():
            same_times = not is_exact or ours.since == theirs.since
            same = (ours.driver, ours.vehicle, ours.delegated) == (theirs.driver, theirs.vehicle, theirs.delegated)
            return same and same_times and ours.by == theirs.by
        case Shared(), Shared():
            same = (names.get(ours.binding), ours.driver, ours.viewer) == (theirs.binding, theirs.driver, theirs.viewer)
            if is_exact:
                same_times = (ours.made_at, ours.ends_at) == (theirs.made_at, theirs.ends_at)
            else:
                same_times = abs((ours.ends_at - ours.made_at) - (theirs.ends_at - theirs.made_at)) <= MONTHS_DIFFER_S
            return same and same_times and _same_end(ours, theirs, now, is_exact=is_exact)
        case Asked(), Asked():
            same = (ours.driver, ours.vehicle, ours.holder) == (theirs.driver, theirs.vehicle, theirs.holder)
            return same and ours.state == theirs.state
        case _:
            return False


def _same_end(ours: Shared, theirs: Shared, now: float, *, is_exact: bool) -> bool:
    if ours.lives(now) != theirs.lives(now):
        return False
    return ours.lives(now) or not is_exact or (ours.over or "expired") == (theirs.over or "expired")


def _adopt(drama: Drama, world: World, names: dict[str, str], facts: _Facts) -> None:
    """Go on with this world alone and the disk's times; no command floats any longer."""
    told = drama.household.names
    told.guessed.update(names.keys() - told.ids.keys())
    told.ids.update(names)
    known = {key: name for name, key in names.items()}
    for name, each in world.bindings.items():
        theirs = facts.bindings[names[name]]
        world.bindings[name] = Bound(each.driver, each.vehicle, each.delegated, each.papers,
                                     theirs.since, theirs.until, theirs.by)  # fmt: skip
    for name in world.shares:
        theirs_too = facts.shares[names[name]]
        over = theirs_too.over if theirs_too.over != "expired" else None
        world.shares[name] = Shared(known[theirs_too.binding], theirs_too.driver, theirs_too.vehicle,
                                    theirs_too.made_at, theirs_too.ends_at, theirs_too.viewer, over)  # fmt: skip
    for name in world.delegations:
        world.delegations[name] = facts.delegations[names[name]]
    drama.possible.worlds = [Possible(world)]
