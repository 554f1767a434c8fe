"""What does a play leave behind? Coroutines of killed processes, which go quietly."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from torture.run_seed import unfinished_goes_quietly


@pytest.fixture(autouse=True)
def _nothing_is_left_for_other_tests() -> Iterator[None]:
    yield
    with unfinished_goes_quietly():
        gc.collect()
