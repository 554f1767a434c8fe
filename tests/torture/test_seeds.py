"""Tests that the service holds its rules through some plays, and that each play is repeatable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from run import Service
from torture.run_seed import run_seed
from torture.steps import Step, steps_of

ROOT = Path(__file__).parents[2]
A_CHUNK = 5
CHUNKS = 12
"""Each rule that is broken on purpose is found by a seed below 40 (test_mutants.py); `make torture` plays 10,000."""
TRACE_OF = "import sys; from run import Service; from torture.run_seed import run_seed; print(run_seed(Service, int(sys.argv[1])).trace)"


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_nothing_is_lost_done_twice_or_shown_to_the_wrong_one(chunk: int) -> None:
    broken = {}
    for seed in range(chunk * A_CHUNK, (chunk + 1) * A_CHUNK):
        if said := run_seed(Service, seed).broken:
            broken[seed] = said
    assert not broken


def test_the_same_seed_plays_the_same() -> None:
    first, again, other = run_seed(Service, 7), run_seed(Service, 7), run_seed(Service, 8)
    assert first.trace == again.trace != other.trace
    assert first.tried == again.tried


def test_another_process_with_other_hashes_plays_the_same() -> None:
    traces = {
        subprocess.run(
            [sys.executable, "-c", TRACE_OF, "11"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hashes},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for hashes in ("1", "2")
    }
    assert len(traces) == 1


def test_a_step_is_read_as_it_is_written() -> None:
    for step in steps_of(3):
        assert Step.parse(str(step)) == step
