"""Cleans up after a play: the coroutines of killed processes go quietly."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from torture.run_seed import unfinished_goes_quietly


@pytest.fixture(scope="module", autouse=True)
def _what_other_tests_need_is_not_looked_at() -> Iterator[None]:
    """Else a look for what a play has left would be longer than the play."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _nothing_is_left_for_other_tests() -> Iterator[None]:
    yield
    with unfinished_goes_quietly():
        gc.collect()
