"""A loop of the drama for one test."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Any, TypeVar

from torture.loop import VirtualLoop

T = TypeVar("T")


def play(main: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run ``main`` on a loop of its own, and return its result."""
    with closing(VirtualLoop()) as loop:
        loop.set_exception_handler(lambda _, context: None)
        result: T = loop.run(main(loop))
        return result
