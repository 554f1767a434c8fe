"""The tests' event loop lets no deadline pass while the machine does something else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.unhurried import UnhurriedLoop


class Machine:
    """Its clock stands still but for what a test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def loop(machine: Machine) -> Iterator[UnhurriedLoop]:
    loop = UnhurriedLoop(machine)
    yield loop
    loop.close()


def test_a_deadline_outlasts_a_machine_that_stops_for_a_minute(machine: Machine, loop: UnhurriedLoop) -> None:
    async def two_turns() -> str:
        async with asyncio.timeout(0.2):
            for _ in range(2):
                machine.now += 60
                await asyncio.sleep(0)
        return "in time"

    assert loop.run_until_complete(two_turns()) == "in time"


def test_waiting_counts_in_full(machine: Machine, loop: UnhurriedLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    def waits(timeout: float | None = None) -> list[object]:
        machine.now += timeout or 0.0
        return []

    monkeypatch.setattr("tests.unhurried.DefaultSelector.select", lambda _, timeout=None: waits(timeout))
    began = loop.time()
    loop.run_until_complete(asyncio.sleep(3600))
    assert 3600 <= loop.time() - began < 3601


async def test_every_test_runs_on_it() -> None:
    assert isinstance(asyncio.get_running_loop(), UnhurriedLoop)
