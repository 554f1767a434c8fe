"""The rules of bindings, shares and delegations once more, naively: dictionaries and a clock, no faults."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Final

_CHINA: Final = timezone(timedelta(hours=8))
_DAY_S: Final = 86_400.0
_OK: Final[frozenset[str]] = frozenset()


def months_after(at: float, months: int) -> float:
    """Return the same day and time in China, or that month's last day (R17)."""
    then = datetime.fromtimestamp(at, _CHINA)
    month = then.month - 1 + months
    year, month = then.year + month // 12, month % 12 + 1
    day = min(then.day, monthrange(year, month)[1])
    return then.replace(year=year, month=month, day=day).timestamp()


def share_ends(at: float, duration: str) -> float:
    match duration:
        case "3d":
            return at + 3 * _DAY_S
        case "7d":
            return at + 7 * _DAY_S
        case "1mo":
            return months_after(at, 1)
        case _:
            return months_after(at, 12)


@dataclass(frozen=True, slots=True)
class Bound:
    """A binding."""

    driver: str
    vehicle: int
    delegated: bool
    papers: int
    """The number of the registry's record that it was made from."""
    since: float
    until: float | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Shared:
    """A share."""

    binding: str
    driver: str
    vehicle: int
    made_at: float
    ends_at: float
    viewer: str | None = None
    over: str | None = None
    """The reason of its end, if it ended before its time."""

    def lives(self, now: float) -> bool:
        return self.over is None and now < self.ends_at


@dataclass(frozen=True, slots=True)
class Asked:
    """A delegation."""

    driver: str
    vehicle: int
    made_at: float
    ends_at: float
    holder: str | None = None
    state: str = "live"

    def lives(self, now: float) -> bool:
        return self.state == "live" and now < self.ends_at


@dataclass(frozen=True, slots=True)
class Op:
    """A command or a look. ``makes`` names the thing that it makes, ``of`` its subject."""

    kind: str
    who: str
    makes: str = ""
    of: str = ""
    vehicle: int = -1
    detail: str = ""


@dataclass(slots=True)
class World:
    """The world's facts; entries are never changed in place, so a copy is three dictionaries."""

    bindings: dict[str, Bound] = field(default_factory=dict)
    shares: dict[str, Shared] = field(default_factory=dict)
    delegations: dict[str, Asked] = field(default_factory=dict)

    def copy(self) -> World:
        return World(dict(self.bindings), dict(self.shares), dict(self.delegations))

    def standing(self, driver: str) -> dict[str, Bound]:
        return {name: each for name, each in self.bindings.items() if each.driver == driver and each.until is None}

    def counted(self, driver: str, now: float) -> set[int]:
        """Return the vehicles that R13 counts."""
        return {
            each.vehicle
            for each in self.bindings.values()
            if each.driver == driver and (each.until is None or now < months_after(each.until, 12))
        }

    def live_shares(self, now: float, *, driver: str | None = None, vehicle: int | None = None) -> dict[str, Shared]:
        return {
            name: each
            for name, each in self.shares.items()
            if each.lives(now) and driver in (None, each.driver) and vehicle in (None, each.vehicle)
        }


@dataclass(frozen=True, slots=True)
class Registry:
    """The registry's facts: the owner of each vehicle, and the number of its present papers."""

    owners: Mapping[int, str]
    papers: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The right refusals, of which any may come. Without one it must be done, and ``after`` is the world then."""

    refusals: frozenset[str]
    after: World
    count: int = 0


def judge(world: World, op: Op, now: float, registry: Registry) -> Judgement:
    """Judge ``op`` by the rules; a thing that it has made before is not made again."""
    if op.makes and (op.makes in world.bindings or op.makes in world.shares or op.makes in world.delegations):
        return Judgement(_OK, world)
    after = world.copy()
    judged = _JUDGES[op.kind](after, op, now, registry)
    refusals, count = judged if isinstance(judged, tuple) else (judged, 0)
    return Judgement(refusals, world if refusals else after, count)


def _limits(world: World, driver: str, vehicle: int, now: float) -> set[str]:
    """Apply R12-R14."""
    standing, counted = world.standing(driver), world.counted(driver, now)
    refusals = set()
    if any(each.vehicle == vehicle for each in standing.values()):
        refusals.add("already_bound")
    if len(standing) >= 3:
        refusals.add("too_many_bindings")
    if vehicle not in counted and len(counted) >= 10:
        refusals.add("too_many_in_12_months")
    return refusals


def _bind(world: World, op: Op, now: float, registry: Registry) -> frozenset[str]:
    if op.detail == "wrong":
        return frozenset({"vehicle_mismatch"})
    refusals = _limits(world, op.who, op.vehicle, now)
    world.bindings[op.makes] = Bound(op.who, op.vehicle, False, registry.papers[op.vehicle], now)
    return frozenset(refusals)


def _rebind(world: World, op: Op, now: float, registry: Registry) -> frozenset[str]:
    old = world.bindings.get(op.of)
    if old is None or old.driver != op.who:
        return frozenset({"not_found"})
    if old.papers != registry.papers[old.vehicle]:
        return frozenset({"vehicle_mismatch"})
    refusals = _limits(world, op.who, old.vehicle, now)
    world.bindings[op.makes] = Bound(op.who, old.vehicle, False, old.papers, now)
    return frozenset(refusals)


def _end(world: World, binding: str, by: str, now: float) -> None:
    """Apply R15."""
    world.bindings[binding] = replace(world.bindings[binding], until=now, by=by)
    for name, each in world.live_shares(now).items():
        if each.binding == binding:
            world.shares[name] = replace(each, over="unbound")


def _unbind(world: World, op: Op, now: float, registry: Registry) -> frozenset[str]:
    if op.of not in world.standing(op.who):
        return frozenset({"not_found"})
    _end(world, op.of, "driver", now)
    return _OK


def _owner_unbind(world: World, op: Op, now: float, registry: Registry) -> frozenset[str]:
    binding = world.bindings.get(op.of)
    if binding is None or binding.until is not None or registry.owners[binding.vehicle] != op.who:
        return frozenset({"not_found"})
    _end(world, op.of, "owner", now)
    return _OK


def _share(world: World, op: Op, now: float, registry: Registry) -> frozenset[str]:
    binding = world.standing(op.who).get(op.of)
    if binding is None:
        return frozenset({"not_found"})
    refusals = set()
    if any(each.vehicle != binding.vehicle for each in world.live_shares(now, driver=op.who).values()):
        refusals.add("sharing_other_vehicle")
    if len(world.live_shares(now, vehicle=binding.vehicle)) >= 3:
        refusals.add("too_many_shares")
    world.shares[op.makes] = Shared(op.of, op.who, binding.vehicle, now, share_ends(now, op.detail))
    return frozenset(refusals)


def _cancel_all(world: World, op: Op, now: float, registry: Registry) -> tuple[frozenset[str], int]:
    if op.of not in world.standing(op.who):
        return frozenset({"not_found"}), 0
    live = {name: each for name, each in world.live_shares(now, driver=op.who).items() if each.binding == op.of}
    for name, each in live.items():
        world.shares[name] = replace(each, over="cancelled")
    return _OK, len(live)


def _cancel_one(world: World, op: Op, now: float, registry: Registry) -> frozenset[str]:
    share = world.shares.get(op.of)
    if share is None or share.driver != op.who:
        return frozenset({"not_found"})
    if share.lives(now):
        world.shares[op.of] = replace(share, over="cancelled")
    return _OK


def _delegate(world: World, op: Op, now: float, registry: Registry) -> frozenset[str]:
    refusals = set()
    if any(each.vehicle == op.vehicle for each in world.standing(op.who).values()):
        refusals.add("already_bound")
    if sum(each.driver == op.who and each.lives(now) for each in world.delegations.values()) >= 10:
        refusals.add("too_many_delegations")
    world.delegations[op.makes] = Asked(op.who, op.vehicle, now, now + 7 * _DAY_S)
    return frozenset(refusals)


def _withdraw(world: World, op: Op, now: float, registry: Registry) -> frozenset[str]:
    asked = world.delegations.get(op.of)
    if asked is None or asked.driver != op.who:
        return frozenset({"not_found"})
    if not asked.lives(now):
        return frozenset({"delegation_ended"})
    world.delegations[op.of] = replace(asked, state="withdrawn")
    return _OK


def _open(world: World, op: Op, now: float, registry: Registry) -> frozenset[str]:
    """Apply R20 and R23."""
    link: Shared | Asked | None = world.shares.get(op.of) or world.delegations.get(op.of)
    if link is None:
        return frozenset({"not_found"})
    if not link.lives(now):
        return frozenset({"share_ended" if isinstance(link, Shared) else "delegation_ended"})
    if link.driver == op.who:
        return frozenset({"own_link"})
    has_it = link.viewer if isinstance(link, Shared) else link.holder
    if has_it not in (None, op.who):
        return frozenset({"link_taken"})
    if isinstance(link, Shared):
        world.shares[op.of] = replace(link, viewer=op.who)
    else:
        world.delegations[op.of] = replace(link, holder=op.who)
    return _OK


def _bind_for(world: World, op: Op, now: float, registry: Registry) -> frozenset[str]:
    """Apply R22."""
    asked = world.delegations.get(op.of)
    if asked is None or asked.holder != op.who:
        return frozenset({"not_found"})
    if not asked.lives(now):
        return frozenset({"delegation_ended"})
    if op.detail == "wrong":
        return frozenset({"vehicle_mismatch"})
    refusals = _limits(world, asked.driver, asked.vehicle, now)
    world.bindings[op.makes] = Bound(asked.driver, asked.vehicle, True, registry.papers[asked.vehicle], now)
    world.delegations[op.of] = replace(asked, state="bound")
    return frozenset(refusals)


def _view(world: World, op: Op, now: float, registry: Registry) -> frozenset[str]:
    """Apply R33; another account's share is not found."""
    share = world.shares.get(op.of)
    if share is None or share.viewer != op.who:
        return frozenset({"not_found"})
    return _OK if share.lives(now) else frozenset({"share_ended"})


_JUDGES: Final = {
    "bind": _bind,
    "rebind": _rebind,
    "unbind": _unbind,
    "owner_unbind": _owner_unbind,
    "share": _share,
    "cancel_all": _cancel_all,
    "cancel_one": _cancel_one,
    "delegate": _delegate,
    "withdraw": _withdraw,
    "open": _open,
    "bind_for": _bind_for,
    "view": _view,
}
LOOKS: Final = frozenset({"view"})
"""Kinds of ``Op`` that change nothing."""
