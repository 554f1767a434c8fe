"""Tests that every rule broken on purpose is found within 100 seeds, and reported in a few steps."""

from __future__ import annotations

import pytest

from run import Service
from torture.mutants import MUTANTS, SEEDS, Mutant, at_large, caught_at
from torture.run_seed import run_seed
from torture.shrink import shrunk


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_rule_is_caught(mutant: Mutant) -> None:
    assert caught_at(Service, mutant, [mutant.found_by, *range(SEEDS)]) is not None


@pytest.mark.slow
def test_a_failing_seed_shrinks_to_a_few_steps_that_fail_again() -> None:
    mutant = next(each for each in MUTANTS if each.name.startswith("R12"))
    found = caught_at(Service, mutant, [mutant.found_by, *range(SEEDS)])
    assert found is not None
    with at_large(mutant):
        failed = run_seed(Service, found[0])
        shortest = shrunk(Service, failed)
        assert run_seed(Service, failed.seed, shortest.steps).broken == shortest.broken != ""
    assert len(shortest.steps) <= 6
    assert not run_seed(Service, failed.seed, shortest.steps).broken
