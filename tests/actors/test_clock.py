"""Tests that the clock wakes its callers in time and in order."""

from __future__ import annotations

import asyncio
import time

import pytest

from actors.system.clock import SLICE, Clock, RealClock, VirtualClock
from tests.patience import PATIENCE_S

T0 = 1_780_000_000.0


class Sleeper:
    """Notes when it was woken; may ask to be woken again."""

    def __init__(self, clock: Clock, name: str, woken: list[tuple[str, float]], again_s: float = 0.0) -> None:
        self._clock, self._name, self._woken, self._again_s = clock, name, woken, again_s

    def on_set_back(self, now: float) -> None:
        self._woken.append((f"{self._name} set back", now))

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
    async with asyncio.timeout(PATIENCE_S):
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

    class Broken(Sleeper):
        def on_wake(self, now: float) -> None:
            raise ValueError("a bug")

    class Fine(Sleeper):
        def on_wake(self, now: float) -> None:
            woken.set()

    clock.wake(Broken(clock, "broken", []), clock.now() + 0.005)
    clock.wake(Fine(clock, "fine", []), clock.now() + 0.010)
    async with asyncio.timeout(PATIENCE_S):
        await woken.wait()
    clock.close()


# -- a machine's clock that is moved (R50) ----------------------------------------------------------------------------


class Machine:
    """A machine with a clock that can be moved, and one that can't."""

    def __init__(self) -> None:
        self.wall_s, self.steady_s = T0, 500.0

    def clock(self, *, speed: float = 1.0) -> RealClock:
        return RealClock(lambda: self.wall_s, steady=lambda: self.steady_s, speed=speed)

    def passes(self, seconds: float) -> None:
        self.wall_s += seconds
        self.steady_s += seconds


@pytest.mark.parametrize("step_s", [-3600.0, 61.0, 8 * 3600.0, 8 * 86_400.0])
async def test_r50_after_a_step_of_the_machine_s_clock_ours_goes_on_without_it(step_s: float) -> None:
    machine = Machine()
    clock = machine.clock()
    assert (clock.now(), clock.is_settled) == (T0, True)
    machine.wall_s += step_s
    machine.passes(95)
    assert (clock.now(), clock.is_settled, clock.machine_ahead_s) == (T0 + 95, False, step_s)
    machine.wall_s -= step_s
    machine.passes(5)
    assert (clock.now(), clock.is_settled, clock.machine_ahead_s) == (T0 + 100, True, 0.0)


async def test_a_correction_of_a_minute_is_no_step_and_followed_at_once() -> None:
    machine = Machine()
    clock = machine.clock()
    for _ in range(5):
        machine.wall_s += 60
        assert (clock.now(), clock.is_settled) == (machine.wall_s, True)


async def test_a_machine_that_is_believed_takes_ours_along() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall_s += 3600
    assert not clock.is_settled
    clock.believe_machine("a test says so")
    assert (clock.now(), clock.is_settled) == (T0 + 3600, True)


async def test_each_further_step_begins_a_new_wait_until_the_machine_runs_evenly() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall_s += 3600
    assert clock.even_s == 0
    machine.passes(500)
    assert clock.even_s == 500
    machine.wall_s += 3600
    assert clock.even_s == 0
    assert clock.now() == T0 + 500


async def test_a_clock_that_is_set_back_lets_everybody_who_waits_ask_anew() -> None:
    machine = Machine()
    clock = machine.clock()
    woken: list[tuple[str, float]] = []
    clock.wake(Sleeper(clock, "a", woken), T0 + 10)
    clock.wake(Sleeper(clock, "b", woken), T0 + 20)
    machine.wall_s -= 3600
    assert not clock.is_settled
    clock.believe_machine("a test says so")
    assert woken == [("a set back", T0 - 3600), ("b set back", T0 - 3600)]
    assert clock.agenda.pending == 0
    clock.close()


async def test_a_fast_clock_does_not_look_at_the_machine_s_clock_again() -> None:
    machine = Machine()
    clock = machine.clock(speed=60)
    machine.wall_s += 86_400
    machine.passes(1)
    assert (clock.now(), clock.is_settled) == (T0 + 60, True)


async def test_a_clock_goes_on_from_where_it_stood_on_this_machine() -> None:
    machine = Machine()
    offset_s = machine.clock().offset_s
    machine.wall_s += 8 * 3600
    machine.passes(30)
    clock = machine.clock()
    clock.resume(offset_s)
    assert (clock.now(), clock.is_settled) == (T0 + 30, False)
