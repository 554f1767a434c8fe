"""Makes one hostile input from another, without coverage: it works wherever Python does, and repeats by seed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

LONGEST: Final = 8_192
TELLING: Final = (0x00, 0x01, 0x7D, 0x7E, 0x7F, 0x80, 0xC1, 0xDC, 0xDD, 0xDF, 0xFE, 0xFF)
"""Bytes that mean something in one of the formats, or lie at an edge."""
SLOW_S: Final = 5.0
"""Longer than any input may take, on the slowest machine."""


def mutated(corpus: Sequence[bytes], seed: int) -> Iterator[bytes]:
    """Yield inputs without end, the same for the same seed."""
    dice = random.Random(seed)
    while True:
        content = bytearray(dice.choice(corpus))
        for _ in range(dice.choice((1, 1, 2, 4, 8, 16))):
            _change(content, corpus, dice)
        yield bytes(content[:LONGEST])


def _change(content: bytearray, corpus: Sequence[bytes], dice: random.Random) -> None:
    at = dice.randrange(len(content) + 1)
    end = min(len(content), at + dice.choice((1, 1, 2, 4, 8, 64)))
    match dice.randrange(6):
        case 0:
            content[at:end] = bytes(byte ^ 1 << dice.randrange(8) for byte in content[at:end])
        case 1:
            content[at:end] = bytes(dice.choice(TELLING) for _ in content[at:end])
        case 2:
            del content[at:end]
        case 3:
            content[at:at] = content[at:end] * dice.choice((1, 2, 30))
        case 4:
            content[at:at] = dice.randbytes(dice.choice((1, 2, 4, 16)))
        case _:
            other = dice.choice(corpus)
            start = dice.randrange(len(other) + 1)
            content[at:end] = other[start : start + dice.choice((4, 16, 200))]


class TooSlow(AssertionError):
    """An input took longer than any may."""


def tried(try_one: Callable[[bytes], None], content: bytes) -> None:
    """Try an input. Raises its error, or ``TooSlow``."""
    began = time.process_time()
    try_one(content)
    if time.process_time() - began > SLOW_S:
        raise TooSlow
