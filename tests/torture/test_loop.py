"""Tests that the drama's loop has no time, sockets, threads or chance of its own."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from time import monotonic

import pytest

from tests.torture.playing import play
from torture.loop import PROCESS, Deadlock, Process, VirtualLoop


async def _idle(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return asyncio.get_running_loop().time()


def test_idle_time_takes_no_time() -> None:
    began = monotonic()
    assert play(lambda loop: _idle(86_400.0)) == 1_000.0 + 86_400.0
    assert monotonic() - began < 10


def test_timers_of_one_moment_fire_in_their_order() -> None:
    fired: list[int] = []

    async def main(loop: VirtualLoop) -> None:
        for number in (3, 1, 2):
            loop.call_later(number, fired.append, number)
        await asyncio.sleep(4)

    play(main)
    assert fired == [1, 2, 3]


def test_whoever_waits_for_nobody_is_noticed() -> None:
    async def main(loop: VirtualLoop) -> None:
        await loop.create_future()

    with pytest.raises(Deadlock):
        play(main)


def test_what_threads_do_is_done_at_once_and_its_failure_is_the_askers() -> None:
    async def main(loop: VirtualLoop) -> int:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return await asyncio.to_thread(lambda: 7)

    assert play(main) == 7


@pytest.mark.parametrize("fuse", [0, 1, 5])
def test_a_killed_process_takes_no_further_step_wherever_it_stands(fuse: int) -> None:
    lived: list[int] = []

    async def live() -> None:
        for number in range(100):
            lived.append(number)
            await asyncio.sleep(0.1)

    async def main(loop: VirtualLoop) -> bool:
        process = Process(lambda: None)
        process.fuse = fuse
        context = copy_context()
        context.run(PROCESS.set, process)
        task = loop.create_task(live(), context=context)
        await asyncio.sleep(60)
        task.get_coro().close()
        return process.alive

    assert play(main) is False
    assert len(lived) <= fuse
