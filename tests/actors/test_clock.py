"""Does the clock wake whom it should, when it should, in order?"""

from __future__ import annotations

import asyncio
import time

import pytest

from actors.clock import SLICE, Clock, RealClock, VirtualClock

T0 = 1_780_000_000.0


class Sleeper:
    """Notes when it was woken; may ask to be woken again."""

    def __init__(self, clock: Clock, name: str, woken: list[tuple[str, float]], again_s: float = 0.0) -> None:
        self._clock, self._name, self._woken, self._again_s = clock, name, woken, again_s

    def on_wake(self, now: float) -> None:
        self._woken.append((self._name, now))
        if self._again_s:
            self._clock.wake(self, now + self._again_s)


async def test_the_virtual_clock_stands_still_until_it_is_moved() -> None:
    clock = VirtualClock(T0)
    woken: list[tuple[str, float]] = []
    clock.wake(Sleeper(clock, "a", woken), T0 + 1)
    await asyncio.sleep(0.01)
    assert (clock.now(), woken) == (T0, [])
    await clock.advance(0.5)
    assert (clock.now(), woken) == (T0 + 0.5, [])
    await clock.advance(0.5)
    assert woken == [("a", T0 + 1)]


async def test_timers_on_the_way_fire_in_order_each_at_its_own_time() -> None:
    clock = VirtualClock(T0)
    woken: list[tuple[str, float]] = []
    clock.wake(Sleeper(clock, "late", woken), T0 + 30)
    clock.wake(Sleeper(clock, "ticks", woken, again_s=10), T0 + 10)
    await clock.advance(30)
    assert woken == [("ticks", T0 + 10), ("ticks", T0 + 20), ("late", T0 + 30), ("ticks", T0 + 30)]


async def test_what_a_timer_sets_in_motion_comes_to_rest_before_the_next_fires() -> None:
    log: list[str] = []

    async def settle() -> None:
        await asyncio.sleep(0)
        log.append("rest")

    clock = VirtualClock(T0, settle=settle)
    woken: list[tuple[str, float]] = []
    clock.wake(Sleeper(clock, "a", woken), T0 + 1)
    clock.wake(Sleeper(clock, "b", woken), T0 + 2)
    await clock.advance(5)
    assert len(log) >= 3
    assert clock.agenda.pending == 0


async def test_a_timer_a_year_ahead_is_no_matter() -> None:
    clock = VirtualClock(T0)
    woken: list[tuple[str, float]] = []
    clock.wake(Sleeper(clock, "year", woken), T0 + 366 * 86_400)
    await clock.advance(366 * 86_400)
    assert woken == [("year", T0 + 366 * 86_400)]
    real = RealClock(time.time)
    real.wake(Sleeper(real, "year", woken), real.now() + 366 * 86_400)
    real.close()


async def test_a_virtual_clock_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        await VirtualClock(T0).advance(-1)


async def test_the_real_clock_fires_many_in_slices_and_soon() -> None:
    clock = RealClock(time.time)
    woken: list[tuple[str, float]] = []
    done = asyncio.Event()

    class Last(Sleeper):
        def on_wake(self, now: float) -> None:
            done.set()

    at = clock.now() + 0.02
    for _ in range(3 * SLICE):
        clock.wake(Sleeper(clock, "x", woken), at)
    clock.wake(Last(clock, "last", woken), at + 0.001)
    async with asyncio.timeout(5):
        await done.wait()
    assert len(woken) == 3 * SLICE
    assert all(now >= at for _, now in woken)
    clock.close()


async def test_a_clock_of_speed_sixty_runs_a_minute_a_second() -> None:
    machine = [1000.0]
    clock = RealClock(lambda: machine[0], speed=60)
    machine[0] += 2
    assert clock.now() == 1000 + 120


async def test_a_fast_clock_goes_on_from_where_its_predecessor_ended() -> None:
    machine = [1000.0]
    clock = RealClock(lambda: machine[0], speed=60)
    clock.start_from(9000.0)
    machine[0] += 1
    assert clock.now() == 9060


async def test_one_target_that_throws_silences_no_other_timer() -> None:
    clock = RealClock(time.time)
    woken = asyncio.Event()

    class Broken:
        def on_wake(self, now: float) -> None:
            raise ValueError("a bug")

    class Fine:
        def on_wake(self, now: float) -> None:
            woken.set()

    clock.wake(Broken(), clock.now() + 0.005)
    clock.wake(Fine(), clock.now() + 0.010)
    async with asyncio.timeout(5):
        await woken.wait()
    clock.close()
