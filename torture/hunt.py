"""Finds the seed that catches each broken rule (``run.py torture --mutants``)."""

from __future__ import annotations

from torture.machine import MakeService
from torture.mutants import MUTANTS, caught_at


def hunt(make: MakeService) -> int:
    """Print a line for each mutant; the exit status is 1 when one got away."""
    escaped = 0
    for mutant in MUTANTS:
        found = caught_at(make, mutant)
        if found is None:
            escaped += 1
            print(f"   -  {mutant.name}: NOT CAUGHT", flush=True)
        else:
            seed, said = found
            print(f"{seed:>4}  {mutant.name}: {said[:100]}", flush=True)
    print(f"{len(MUTANTS) - escaped} of {len(MUTANTS)} broken rules caught")
    return 1 if escaped else 0
