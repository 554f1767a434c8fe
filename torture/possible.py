"""The possible worlds after all answers, and after all commands that got none.

A command that got no answer floats. It may have been done, may be done at any moment until the service has come to
rest, or never. So there are several possible worlds, each with the commands that still float in it. An answer must be
explained by one of them, and at rest exactly one must be what the disk says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from torture.caller import Answer
from torture.rules import LOOKS, Judgement, Op, Registry, World, judge, share_ends
from torture.watch import Violation

MAX_WORLDS: Final = 60
MAX_FLOATING: Final = 3
ENDS_SHARES: Final = frozenset({"cancel_all", "unbind", "owner_unbind"})
JUST_BEFORE_S: Final = 0.001

T = TypeVar("T")
Heard = tuple[Op, Answer]


@dataclass(frozen=True, slots=True)
class Floating:
    """A command without an answer, its time of sending, and the registry's records then."""

    op: Op
    at: float
    registry: Registry


@dataclass(slots=True)
class Possible:
    """A possible world."""

    world: World
    floating: tuple[Floating, ...] = ()


class Possibilities:
    """The set of possible worlds; it is never empty."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.worlds = [Possible(World())]

    @property
    def likeliest(self) -> World:
        return self.worlds[0].world

    def exchange(self, one: str, other: str) -> None:
        """Exchange two commands that were taken for each other; ``one`` may have been taken for not done."""
        for world in {id(each.world): each.world for each in self.worlds}.values():
            _exchange(world.bindings, one, other)
            _exchange(world.shares, one, other)
            _exchange(world.delegations, one, other)
            world.shares = {
                name: replace(each, binding={one: other, other: one}.get(each.binding, each.binding))
                for name, each in world.shares.items()
            }

    @property
    def likeliest_floats(self) -> bool:
        """Tell whether any command is without an answer."""
        return bool(self.worlds[0].floating)

    @property
    def is_crowded(self) -> bool:
        """Tell whether there are too many worlds to go on without a rest."""
        return len(self.worlds) > MAX_WORLDS or len(self.worlds[0].floating) >= MAX_FLOATING

    def unanswered(self, op: Op, now: float) -> None:
        """Let a command float from now on."""
        for each in self.worlds:
            each.floating = (*each.floating, Floating(op, now, self.registry))

    def hear(self, heard: Sequence[Heard], now: float) -> None:
        """Take in the answers of commands that were under way together. Raises ``Violation``."""
        explained = [each for possible in self.worlds for each in self._explain(possible, tuple(heard), now)]
        if not explained:
            raise Violation(self._complaint(heard, now))
        if any(answer.is_good and op.kind not in LOOKS for op, answer in heard):
            self.worlds = _distinct(explained)

    def unfold(self, possible: Possible, now: float) -> Iterator[Possible]:
        """Yield the world as it is, and with each floating command done, then or now, in every order."""
        yield possible
        for number, floating in enumerate(possible.floating):
            left = (*possible.floating[:number], *possible.floating[number + 1 :])
            for at in _moments(possible.world, floating, now):
                # A command names the papers that it was sent with: with others it would have been refused.
                judged = judge(possible.world, floating.op, at, floating.registry)
                if not judged.refusals:
                    yield from self.unfold(Possible(judged.after, left), now)
                    if at != floating.at and floating.op.makes in judged.after.shares:
                        yield from self.unfold(Possible(_begun(judged.after, floating), left), now)

    def _explain(self, possible: Possible, heard: tuple[Heard, ...], now: float) -> Iterator[Possible]:
        """Explain the answers in every order; floating commands may have been done before each of them."""
        if not heard:
            yield possible
            return
        for before in self.unfold(possible, now):
            for number, (op, answer) in enumerate(heard):
                judged = judge(before.world, op, now, self.registry)
                if _fits(judged, op, answer):
                    others = heard[:number] + heard[number + 1 :]
                    yield from self._explain(Possible(judged.after, before.floating), others, now)

    def _complaint(self, heard: Sequence[Heard], now: float) -> str:
        lines = []
        for op, answer in heard:
            judged = judge(self.likeliest, op, now, self.registry)
            wanted = " or ".join(sorted(judged.refusals)) or "done"
            got = "done" if answer.is_good else answer.code or str(answer.status)
            lines.append(f"{op}: {got}, but by the rules {wanted}")
        return "no possible world explains " + "; ".join(lines)


def _fits(judged: Judgement, op: Op, answer: Answer) -> bool:
    if not answer.is_good:
        return answer.code in judged.refusals
    if judged.refusals:
        return False
    return op.kind != "cancel_all" or answer.body == {"cancelled": judged.count}


def _moments(world: World, floating: Floating, now: float) -> Sequence[float]:
    """Return when it may have been done: then, now, or, if it ends shares, between ends that came by themselves."""
    ends = {each.ends_at for each in world.shares.values() if floating.at < each.ends_at <= now}
    between = [end - JUST_BEFORE_S for end in sorted(ends)] if floating.op.kind in ENDS_SHARES else []
    return [floating.at, *between] + ([now] if now != floating.at else [])


def _begun(world: World, floating: Floating) -> World:
    """Date a share by when it was asked for, even where its vehicle had room for it only later."""
    begun, name = world.copy(), floating.op.makes
    ends_at = share_ends(floating.at, floating.op.detail)
    begun.shares[name] = replace(begun.shares[name], made_at=floating.at, ends_at=ends_at)
    return begun


def _exchange(things: dict[str, T], one: str, other: str) -> None:
    if other not in things:
        return
    theirs = things.pop(other)
    if one in things:
        things[other] = things[one]
    things[one] = theirs


def _distinct(worlds: Sequence[Possible]) -> list[Possible]:
    found: list[Possible] = []
    for each in worlds:
        if each not in found:
            found.append(each)
    return found
