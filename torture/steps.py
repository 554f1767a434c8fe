"""The steps of a play: plain values from a seed, which make sense also where some of them are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

NUMBERS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Step:
    """A step; ``number`` is its place in the whole play, and stays when others are left out: its chances hang on it.

    ``a``, ``b`` and ``c`` choose persons or things, modulo their number at that moment.
    """

    number: int
    kind: str
    a: int
    b: int
    c: int

    def __str__(self) -> str:
        return f"{self.number}:{self.kind}:{self.a}:{self.b}:{self.c}"

    @classmethod
    def parse(cls, text: str) -> Step:
        """Parse a step. Raises ``ValueError``."""
        number, kind, a, b, c = text.split(":")
        return cls(int(number), kind, int(a), int(b), int(c))


_EVERYDAY: Final[Mapping[str, int]] = {
    "bind": 8,
    "unbind": 4,
    "rebind": 3,
    "churn": 3,
    "share": 10,
    "cancel_all": 3,
    "cancel_one": 3,
    "delegate": 3,
    "withdraw": 1,
    "open": 9,
    "bind_for": 4,
    "view": 8,
    "owner_unbind": 2,
    "repeat": 4,
    "race": 5,
    "stranger": 2,
    "sign_out": 1,
    "register": 1,
    "watch": 4,
    "leave": 1,
    "drive": 12,
    "feed": 4,
    "alarm": 4,
    "stale": 2,
    "backfill": 3,
    "jump_about": 1,
    "wrong_clock": 1,
    "cut_truck": 3,
    "noise": 1,
    "look_at_truck": 6,
    "wait": 6,
    "edge": 7,
    "later": 2,
    "papers": 1,
    "storm": 3,
    "calm": 4,
    "crash": 4,
    "restart": 1,
    "overload": 1,
    "rest": 3,
    "wrong_time": 3,
    "right_time": 1,
}
"""Maps a kind to its frequency, in a play without a theme."""

_THEMES: Final[Sequence[Mapping[str, int]]] = (
    {},
    {},
    {"churn": 60, "later": 0, "edge": 20},
    {"share": 40, "open": 20, "race": 15, "cancel_all": 8, "edge": 12},
    {"drive": 40, "alarm": 15, "backfill": 10, "look_at_truck": 20, "crash": 10, "wrong_clock": 5},
    {"watch": 20, "share": 20, "open": 20, "drive": 20, "edge": 10},
    {"delegate": 20, "bind_for": 25, "open": 20, "withdraw": 5, "edge": 10},
    {"storm": 10, "crash": 15, "repeat": 10, "cut_truck": 10},
    {"wrong_time": 20, "drive": 25, "alarm": 15, "share": 15, "open": 10, "crash": 10, "edge": 10, "wrong_clock": 10},
)
"""The themes, of which a seed has one; its frequencies go before the everyday ones."""

SHORTEST: Final = 40
LONGEST: Final = 120


def steps_of(seed: int) -> list[Step]:
    """Return the whole play of a seed."""
    chance = Random(f"steps/{seed}")
    weights = {**_EVERYDAY, **chance.choice(_THEMES)}
    kinds, often = list(weights), list(weights.values())
    many = chance.randrange(SHORTEST, LONGEST)
    opening = [Step(number, "bind", number, number % 3, 1) for number in range(3)]
    opening += [Step(3, "drive", 0, 2, 0), Step(4, "drive", 1, 2, 0)]
    drawn = chance.choices(kinds, often, k=many)
    return opening + [
        Step(number, kind, chance.randrange(NUMBERS), chance.randrange(NUMBERS), chance.randrange(NUMBERS))
        for number, kind in enumerate(drawn, len(opening))
    ]
