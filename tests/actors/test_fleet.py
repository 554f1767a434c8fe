"""Tests that vehicles announce, fail, recover and sleep as promised, over a real store."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.system.supervisor import RESTART_DELAYS_S, Unanswered
from actors.vehicles.vehicle import KIND, Look, VehicleActor
from domain.registry import partition_of
from domain.vehicle import alarm_bits as bits
from domain.vehicle.fix import Batch, Fix
from domain.vehicle.quality import Outcome
from domain.vehicle.vehicle import accept
from persistence.store import Checkpoint, StoreUnavailable
from tests.actors.conftest import LIMITS, T0, House, fix_of


class Paused:
    """Holds a vehicle's mailbox, as an async handler would."""

    def __init__(self, actor: VehicleActor) -> None:
        self._actor = actor

    def __enter__(self) -> None:
        self._actor.suspend()

    def __exit__(self, *_: object) -> None:
        self._actor.resume()


def poison(fix: Fix) -> Fix:
    """A fix that the log keeps and the rules choke on: no integer can be compared with a text."""
    return fix._replace(alarms="poison")  # type: ignore[arg-type]


# -- routing and presence -------------------------------------------------------------------------------------------


async def test_a_batch_reaches_each_vehicle_and_an_unknown_terminal_none(house: House) -> None:
    outcomes = await house.report(fix_of("11", T0), fix_of("99", T0), fix_of("12", T0), fix_of("11", T0))
    assert outcomes == [Outcome.NEWEST, Outcome.UNKNOWN, Outcome.NEWEST, Outcome.STALE]
    assert (await house.look("12")).fixed_at == T0
    assert await house.supervisor.ask("v99", Look()) is None


async def test_r32_offline_is_announced_at_ten_minutes_and_computed_before_that(house: House) -> None:
    await house.report(fix_of("11", T0))
    await house.clock.advance(300)
    await house.report(fix_of("11", T0 + 300))
    assert house.fleet.online == 1
    await house.clock.advance(598.9)
    assert (house.fleet.online, (await house.look("11")).online) == (1, True)
    await house.clock.advance(0.1)
    assert (house.fleet.online, (await house.look("11")).online) == (0, False)
    await house.clock.advance(60)
    await house.report(fix_of("11", T0 + 961))
    assert house.fleet.online == 1
    assert house.fleet.announcements == 3


async def test_one_vehicle_has_one_timer_however_often_it_reports(house: House) -> None:
    for i in range(50):
        await house.report(fix_of("11", T0 + i))
    assert house.clock.agenda.pending <= 2  # the one armed at activation, the one for offline


async def test_a_busy_vehicle_s_fixes_wait_in_its_mailbox(house: House) -> None:
    await house.report(fix_of("11", T0))
    with Paused(house.actor("11")):
        assert await house.report(fix_of("11", T0 + 30)) == [Outcome.QUEUED]
        assert house.actor("11").vehicle.fixed_at == T0
    await house.rest()
    assert house.actor("11").vehicle.fixed_at == T0 + 30


async def test_r54_positions_are_conflated_when_a_mailbox_is_full_and_alarms_never(house: House) -> None:
    await house.report(fix_of("11", T0))
    actor = house.actor("11")
    limit = VehicleActor.mailbox_limit
    await house.clock.advance(2 * limit)
    with Paused(actor):
        await house.report(fix_of("11", T0 + 1, alarms=bits.EMERGENCY))
        await house.report(*(fix_of("11", T0 + 1 + i) for i in range(1, limit + 20)))
        assert actor.mailbox_depth == limit
    await house.rest()
    assert house.fleet.conflated == 20
    view = await house.look("11")
    assert view.fixed_at == T0 + limit + 20
    assert [alert.started_at for alert in view.alerts] == [T0 + 1]


async def test_r54_what_overflows_with_alarms_alone_is_read_from_the_log(house: House) -> None:
    await house.report(fix_of("11", T0))
    actor = house.actor("11")
    more = VehicleActor.mailbox_limit + 40
    await house.clock.advance(2 * more)
    done = asyncio.Event()
    actor._pause(done.wait(), Look(), None)  # type: ignore[arg-type]  # a handler that takes long
    await house.report(*(fix_of("11", T0 + i, alarms=(bits.EMERGENCY, bits.ROLLOVER)[i % 2]) for i in range(1, more)))
    done.set()
    await house.rest()
    view = await house.look("11")
    assert view.fixed_at == T0 + more - 1
    assert view.today.alert_count == more - 1


# -- failing --------------------------------------------------------------------------------------------------------


async def test_a_poisonous_fix_is_a_dead_letter_and_the_vehicle_goes_on_from_its_stored_state(house: House) -> None:
    await house.report(fix_of("11", T0), fix_of("12", T0))
    before = house.actor("11")
    await house.router.route(batch_of(house, poison(fix_of("11", T0 + 30))))
    with Paused(house.actor("12")):
        pass
    await house.report(fix_of("11", T0 + 60))
    await house.rest()
    assert house.actor("11") is not before
    assert (await house.look("11")).fixed_at == T0 + 60
    assert (house.supervisor.restarts, house.supervisor.dead_letters_total) == (1, 1)
    (letter,) = house.supervisor.dead_letters
    assert (letter.actor, letter.message) == ("vehicle:v11", "Report")
    assert "11" not in letter.reason


async def test_an_actor_that_keeps_failing_is_parked_and_its_neighbours_notice_nothing(house: House) -> None:
    await house.report(fix_of("11", T0), fix_of("12", T0))
    house.supervisor._kinds[KIND] = Broken(house)
    for _ in range(len(RESTART_DELAYS_S) + 1):
        house.supervisor.failed(house.actor("11"), Look(), ValueError("again"))
    assert house.supervisor.parked == 1
    with pytest.raises(Unanswered):
        await house.look("11")
    assert (await house.look("12")).fixed_at == T0
    await house.supervisor.stop()


async def test_a_restart_waits_for_a_store_that_is_away(house: House) -> None:
    await house.report(fix_of("11", T0))
    broken = Broken(house, failures=2)
    house.supervisor._kinds[KIND] = broken
    house.supervisor.failed(house.actor("11"), Look(), ValueError("a bug"))
    await house.rest()
    assert broken.asked == 3
    assert (await house.look("11")).fixed_at == T0


class Broken:
    """A kind whose store is away for some times."""

    def __init__(self, house: House, failures: int = 10_000) -> None:
        self._kind, self._failures, self.asked = house.kind, failures, 0

    async def load(self, keys: Any) -> Any:
        return await self._kind.load(keys)

    async def reload(self, key: str) -> Any:
        self.asked += 1
        if self.asked <= self._failures:
            raise StoreUnavailable("away")
        return await self._kind.reload(key)


def batch_of(house: House, *fixes: Fix) -> Batch:
    return Batch(house.folded, house.clock.now(), fixes)


# -- remembering ----------------------------------------------------------------------------------------------------


async def test_r51_a_crash_loses_no_fix_and_no_alert(house: House) -> None:
    await house.report(fix_of("11", T0, alarms=bits.EMERGENCY), fix_of("12", T0))
    await house.report(fix_of("11", T0 + 1))
    house2, recovered = await house.crashed()
    assert recovered.fixes == 3
    view = await house2.look("11")
    assert (view.fixed_at, view.online) == (T0 + 1, True)
    assert [(alert.kind, alert.started_at, alert.ended_at) for alert in view.alerts] == [("emergency", T0, T0 + 1)]
    assert house2.fleet.online == 2


async def test_r51_a_checkpoint_and_the_tail_make_the_same_vehicle_as_the_whole_log(house: House) -> None:
    fixes = [fix_of("11", T0 + 30 * i, speed_dkmh=800 + i, lon=114_300_000 + 7000 * i) for i in range(40)]
    await house.clock.advance(1200)
    for i, fix in enumerate(fixes):
        await house.report(fix, fix_of("12", T0 + i))
        if i in (7, 20, 21):
            await house.checkpoints.write_all()
    house2, recovered = await house.crashed()
    assert 0 < recovered.fixes < 2 * len(fixes)
    for terminal in ("11", "12"):
        assert house2.actor(terminal).vehicle == house.actor(terminal).vehicle


async def test_after_a_clean_end_nothing_is_folded_again(house: House) -> None:
    await house.report(fix_of("11", T0, alarms=bits.EMERGENCY))
    await house.checkpoints.write_all()
    house2, recovered = await house.crashed()
    assert recovered.fixes == 0
    assert (await house2.look("11")).alerts[0].ongoing


async def test_an_entry_that_holds_two_fixes_of_one_vehicle_is_folded_whole(house: House) -> None:
    await house.report(fix_of("11", T0), fix_of("11", T0 + 1))
    house2, _ = await house.crashed()
    assert (await house2.look("11")).fixed_at == T0 + 1


async def test_a_vehicle_that_went_silent_while_we_were_away_is_announced_offline(house: House) -> None:
    await house.report(fix_of("11", T0))
    await house.checkpoints.write_all()
    house2, _ = await house.crashed(after_s=3600)
    await house2.clock.advance(0)
    assert house2.fleet.online == 0
    assert not (await house2.look("11")).online


async def test_a_busy_vehicle_holds_its_partition_s_watermark_back(house: House) -> None:
    await house.report(fix_of("11", T0))
    with Paused(house.actor("11")):
        await house.report(fix_of("11", T0 + 1))
        await house.checkpoints.write_all()
        house2, _ = await house.crashed()
    assert (await house2.look("11")).fixed_at == T0 + 1


async def test_a_refused_checkpoint_is_made_up_for_by_the_next(house: House) -> None:
    await house.report(fix_of("11", T0, alarms=bits.EMERGENCY))

    async def refuse(checkpoint: Any) -> None:
        raise StoreUnavailable("disk full")

    real = house.store.checkpoint
    house.store.checkpoint = refuse  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        await house.checkpoints.write_all()
    house.store.checkpoint = real  # type: ignore[method-assign]
    await house.checkpoints.write_all()
    page = await house.store.find("alert", "vehicle", "v11")
    assert len(page.documents) == 1
    _, recovered = await house.crashed()
    assert recovered.fixes == 0


async def test_alerts_reach_the_store_with_their_vehicle_s_checkpoint(house: House) -> None:
    await house.clock.advance(100)
    for i in range(6):
        await house.report(fix_of("11", T0 + i, alarms=bits.EMERGENCY if i % 2 else 0))
    await house.checkpoints.write_all()
    page = await house.store.find("alert", "vehicle", "v11", descending=True)
    assert len(page.documents) == 3


async def test_alerts_beyond_the_recent_ones_are_told_before_and_after_the_store_has_them(house: House) -> None:
    await house.clock.advance(100)
    for i in range(60):
        await house.report(fix_of("11", T0 + i, alarms=bits.EMERGENCY if i % 2 else 0))
    assert len((await house.look("11")).alerts) == 30
    await house.checkpoints.write_all()
    assert len((await house.look("11")).alerts) == 11  # one ongoing, ten recent
    page = await house.store.find("alert", "vehicle", "v11", limit=100)
    assert len(page.documents) == 30


# -- cold vehicles --------------------------------------------------------------------------------------------------


async def test_a_cold_vehicle_goes_and_comes_back_whole(house: House) -> None:
    await house.report(fix_of("11", T0, alarms=bits.EMERGENCY))
    before = house.actor("11").vehicle
    await house.clock.advance(600)
    await house.checkpoints.write_all()
    await house.clock.advance(2 * house.fleet.passivate_after_s)
    await house.checkpoints.retire()
    assert house.supervisor.actors(KIND) == {}
    assert await house.report(fix_of("11", T0)) == [Outcome.STALE]
    assert (await house.look("11")).alerts == (*before.ongoing,)


async def test_a_cold_vehicle_that_is_not_stored_yet_stays(house: House) -> None:
    await house.report(fix_of("11", T0))
    await house.clock.advance(3 * house.fleet.passivate_after_s)
    await house.checkpoints.retire()
    assert list(house.supervisor.actors(KIND)) == ["v11"]


async def test_old_telemetry_is_forgotten_once_no_recovery_needs_it(house: House) -> None:
    for i in range(5):
        await house.report(fix_of("11", T0 + i))
        await house.clock.advance(86_400)
    await house.clock.advance(5 * 86_400)
    await house.checkpoints.trim()
    assert len(await house.store.read_log(after=0, limit=10)) == 5
    await house.checkpoints.write_all()
    await house.checkpoints.trim()
    kept = await house.store.read_log(after=0, limit=10)
    assert [number for number, _ in kept] == [4, 5]


# -- the worst moments ----------------------------------------------------------------------------------------------


class Moody:
    """A kind whose ``load`` fails or hangs when told to."""

    def __init__(self, house: House) -> None:
        self._kind = house.kind
        self.held: asyncio.Event | None = None
        self.failures = 0
        house.supervisor._kinds[KIND] = self

    async def load(self, keys: Any) -> Any:
        if self.held is not None:
            await self.held.wait()
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("away")
        return await self._kind.load(keys)

    async def reload(self, key: str) -> Any:
        return await self._kind.reload(key)


async def test_r51_what_waits_for_a_clean_but_busy_vehicle_holds_the_watermark_back(house: House) -> None:
    await house.report(fix_of("11", T0))
    await house.checkpoints.write_all()
    done = asyncio.Event()
    house.actor("11")._pause(done.wait(), Look(), None)  # type: ignore[arg-type]  # a handler that takes long
    assert await house.report(fix_of("11", T0 + 1, alarms=bits.EMERGENCY)) == [Outcome.QUEUED]
    await house.checkpoints.write_all()
    house2, _ = await house.crashed()
    done.set()
    view = await house2.look("11")
    assert (view.fixed_at, len(view.alerts)) == (T0 + 1, 1)


async def test_a_load_that_fails_for_one_asker_is_tried_again_for_the_other(house: House) -> None:
    moody = Moody(house)
    moody.held, moody.failures = asyncio.Event(), 1
    looking = asyncio.create_task(house.look("11"))
    await asyncio.sleep(0)
    reporting = asyncio.create_task(house.report(fix_of("11", T0)))
    while not house.supervisor._loading:  # noqa: ASYNC110 - a few turns of the loop, no time
        await asyncio.sleep(0)
    moody.held.set()
    with pytest.raises(StoreUnavailable):
        await looking
    assert await reporting == [Outcome.NEWEST]


async def test_an_asker_that_goes_away_while_a_vehicle_loads_takes_nobody_along(house: House) -> None:
    moody = Moody(house)
    moody.held = asyncio.Event()
    first = asyncio.create_task(house.look("11"))
    await asyncio.sleep(0)
    second = asyncio.create_task(house.look("11"))
    third = asyncio.create_task(house.look("11"))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    moody.held.set()
    assert (await first).key == (await third).key == "v11"


async def test_a_restarted_vehicle_is_counted_online_once_and_still_announced_offline(house: House) -> None:
    await house.report(fix_of("11", T0))
    for _ in range(3):
        house.supervisor.failed(house.actor("11"), Look(), ValueError("a bug"))
        await house.rest()
    assert (house.supervisor.restarts, house.fleet.online) == (3, 1)
    await house.clock.advance(600)
    assert house.fleet.online == 0


async def test_a_vehicle_that_restarted_meanwhile_is_not_let_go_in_its_predecessor_s_stead(house: House) -> None:
    await house.report(fix_of("11", T0))
    await house.clock.advance(600)
    await house.checkpoints.write_all()
    await house.clock.advance(house.fleet.passivate_after_s)
    old = house.actor("11")
    assert old in house.fleet.retired
    house.supervisor.failed(old, Look(), ValueError("a bug"))
    await house.rest()
    late = int(house.clock.now())
    await house.report(fix_of("11", late))
    await house.checkpoints.retire()
    assert (await house.look("11")).fixed_at == late


async def test_hot_vehicles_that_are_offline_at_the_start_cool_down(house: House) -> None:
    await house.report(fix_of("11", T0))
    await house.checkpoints.write_all()
    house2, _ = await house.crashed(after_s=3600)
    await house2.checkpoints.write_all()
    await house2.clock.advance(2 * house2.fleet.passivate_after_s)
    await house2.checkpoints.retire()
    assert house2.supervisor.actors(KIND) == {}
    _, recovered = await house2.crashed()
    assert recovered.vehicles == 0


async def test_a_vehicle_whose_state_cannot_be_read_waits_and_its_neighbours_are_served(house: House) -> None:
    partition = partition_of("v11")
    await house.store.checkpoint(Checkpoint(partition, 0, [("v11", b"\x92\x02\xc0", False)]))
    outcomes = await house.report(fix_of("11", T0), fix_of("12", T0))
    assert outcomes == [Outcome.QUEUED, Outcome.NEWEST]
    with pytest.raises(Unanswered):
        await house.look("11")
    await house.checkpoints.write_all()
    assert (await house.store.states(["v11"]))["v11"] == b"\x92\x02\xc0"
    assert (await house.store.watermarks()).get(partition, 0) == 0
    await house.supervisor.stop()


async def test_poison_that_comes_again_from_the_mailbox_costs_no_second_restart(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.report(fix_of("11", T0))

    def choking(vehicle: Any, fix: Fix, *rest: Any) -> Outcome:
        if fix.altitude_m == 666:
            raise ValueError("poison")
        return accept(vehicle, fix, *rest)

    with monkeypatch.context() as patched:
        patched.setattr("actors.vehicles.vehicle.accept", choking)
        await house.report(*(fix_of("11", T0 + 1 + i)._replace(altitude_m=666) for i in range(6)), fix_of("11", T0 + 9))
        await house.rest()
    assert (house.supervisor.restarts, house.supervisor.parked) == (1, 0)
    assert (await house.look("11")).fixed_at == T0 + 9


async def test_a_new_speed_limit_does_not_rewrite_what_the_log_s_tail_meant(house: House) -> None:
    await house.clock.advance(100)
    for i in range(3):
        await house.report(fix_of("11", T0 + 30 * i, speed_dkmh=950, lon=114_300_000 + 8000 * i))
    await house.checkpoints.write_all()
    for i in range(3, 6):
        await house.report(fix_of("11", T0 + 30 * i, speed_dkmh=950, lon=114_300_000 + 8000 * i))
    LIMITS["v11"] = 80
    try:
        house2, _ = await house.crashed()
    finally:
        LIMITS.clear()
    assert (await house2.look("11")).alerts == ()
    assert house2.actor("11").vehicle.limit_dkmh == 800


async def test_a_batch_that_is_routed_again_goes_on_where_it_stopped(house: House) -> None:
    await house.report(fix_of("11", T0))
    moody = Moody(house)
    moody.failures = 1
    fixes = [fix_of("11", T0 + 1), fix_of("12", T0), *(fix_of("11", T0 + 2 + i) for i in range(600)), fix_of("13", T0)]
    await house.clock.advance(900)
    batch = Batch(house.folded + 1, house.clock.now(), fixes)
    with pytest.raises(StoreUnavailable):
        await house.router.route(batch)
    moody.failures = 0
    assert await house.router.route(batch) == [Outcome.NEWEST] * len(fixes)
    assert house.fleet.quality.outcomes[Outcome.NEWEST] == len(fixes) + 1
