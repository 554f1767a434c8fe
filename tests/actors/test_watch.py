"""Tests that a vehicle's watchers are told each change once, in time, and across restarts."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from actors.vehicles.vehicle import KIND
from actors.vehicles.watch import AlertChanged, Announcement, Moved, PresenceChanged
from domain.vehicle import alarm_bits as bits
from persistence.records import encode
from tests.actors.conftest import T0, House, fix_of
from tests.actors.test_fleet import batch_of, poison


class Listener:
    """A watcher, and the events that it was told."""

    def __init__(self, house: House, terminal: str = "11") -> None:
        self._house = house
        self.key = f"v{terminal}"
        self.heard: list[object] = []

    def __call__(self, event: object) -> None:
        self.heard.append(event)

    async def begin(self) -> bool:
        return await self._house.supervisor.watch(KIND, self.key, self)

    def end(self) -> None:
        self._house.supervisor.unwatch(KIND, self.key, self)

    async def told(self) -> list[object]:
        """Return the events since the last call, once this turn of the loop is over."""
        await asyncio.sleep(0)
        heard, self.heard = self.heard, []
        return heard


@pytest.fixture
async def listener(house: House) -> Listener:
    """Watches vehicle v11, which has one position."""
    await house.report(fix_of("11", T0))
    listener = Listener(house)
    assert await listener.begin()
    assert await listener.told() == []
    return listener


async def test_r31_a_new_position_is_told_to_all_who_watch_the_vehicle(house: House, listener: Listener) -> None:
    second, other = Listener(house), Listener(house, "12")
    await second.begin()
    await other.begin()
    fix = fix_of("11", T0 + 1, speed_dkmh=700)
    await house.report(fix)
    moved = Moved(at=T0 + 1.0, online=True, newest=fix, fixed_at=T0 + 1, received_at=T0 + 1.0)
    assert await listener.told() == [moved]
    assert await second.told() == [moved]
    assert await other.told() == []


async def test_positions_of_one_turn_are_told_as_one_the_newest(house: House, listener: Listener) -> None:
    await house.clock.advance(60)
    await house.report(*(fix_of("11", T0 + i) for i in range(1, 50)))
    told = await listener.told()
    assert [event.fixed_at for event in told if isinstance(event, Moved)] == [T0 + 49]
    assert len(told) == 1


async def test_what_moves_nothing_is_not_told(house: House, listener: Listener) -> None:
    await house.report(fix_of("11", T0), fix_of("11", T0 - 30), fix_of("11", T0 - 10)._replace(flags=1))
    assert await listener.told() == []


async def test_r32_offline_is_told_at_ten_minutes_sharp_and_online_on_arrival(house: House, listener: Listener) -> None:
    await house.clock.advance(598.9)
    assert await listener.told() == []
    await house.clock.advance(600)
    (offline,) = await listener.told()
    assert isinstance(offline, PresenceChanged)
    assert (offline.at, offline.online, offline.fixed_at) == (T0 + 600.0, False, T0)
    await house.report(fix_of("11", T0 + 1190))
    moved, online = await listener.told()
    assert isinstance(moved, Moved)
    assert isinstance(online, PresenceChanged)
    assert (moved.online, online.online, online.fixed_at) == (True, True, T0 + 1190)


async def test_r34_an_alert_is_told_when_it_begins_and_when_it_ends_and_not_between(
    house: House, listener: Listener
) -> None:
    await house.clock.advance(120)
    for i, alarms in enumerate((bits.EMERGENCY, bits.EMERGENCY, bits.EMERGENCY, 0)):
        await house.report(fix_of("11", T0 + 1 + 30 * i, speed_dkmh=100 * i, alarms=alarms))
        await asyncio.sleep(0)
    told = [event.alert for event in await listener.told() if isinstance(event, AlertChanged)]
    assert [(alert.kind, alert.ended_at) for alert in told] == [("emergency", None), ("emergency", T0 + 91)]
    assert told[0].id == told[1].id


async def test_r52_what_the_platform_inferred_is_told_to_have_ended_in_the_moment_of_going_offline(
    house: House, listener: Listener
) -> None:
    for i in range(2):
        await house.clock.advance(30)
        await house.report(fix_of("11", T0 + 30 + 30 * i, speed_dkmh=1200))
    (begun, *_) = [event.alert for event in await listener.told() if isinstance(event, AlertChanged)]
    assert begun.ongoing
    await house.clock.advance(T0 + 659 - house.clock.now())
    assert await listener.told() == []
    assert [alert.ongoing for alert in (await house.look("11")).alerts] == [True]
    await house.clock.advance(1)
    over, offline = await listener.told()
    assert isinstance(over, AlertChanged)
    assert isinstance(offline, PresenceChanged)
    assert (over.alert.id, over.alert.ended_at) == (begun.id, T0 + 60)
    assert (await house.look("11")).alerts == (over.alert,)
    # A report that was long on its way shows it after all: the same alert goes on.
    await house.report(fix_of("11", T0 + 600, speed_dkmh=1200))
    again, *_ = await listener.told()
    assert isinstance(again, AlertChanged)
    assert (again.alert.id, again.alert.ended_at) == (begun.id, None)


async def test_an_alert_that_began_and_ended_in_one_turn_is_told_as_ended(house: House, listener: Listener) -> None:
    await house.clock.advance(60)
    await house.report(fix_of("11", T0 + 10, alarms=bits.EMERGENCY), fix_of("11", T0 + 20))
    alert, moved = await listener.told()
    assert isinstance(alert, AlertChanged)
    assert alert.alert.ended_at == T0 + 20
    assert isinstance(moved, Moved)


async def test_old_alerts_are_not_told_to_a_new_watcher(house: House) -> None:
    await house.report(fix_of("11", T0, alarms=bits.EMERGENCY))
    listener = Listener(house)
    await listener.begin()
    await house.report(fix_of("11", T0 + 1, alarms=bits.EMERGENCY))
    assert [type(event) for event in await listener.told()] == [Moved]


async def test_watching_ends(house: House, listener: Listener) -> None:
    second = Listener(house)
    await second.begin()
    listener.end()
    listener.end()
    await house.report(fix_of("11", T0 + 1))
    assert await listener.told() == []
    assert len(await second.told()) == 1
    second.end()
    await house.report(fix_of("11", T0 + 2))
    assert house.actor("11").watch is None
    await second.begin()
    assert await second.told() == []  # What came while nobody watched is old.
    await house.report(fix_of("11", T0 + 3))
    assert len(await second.told()) == 1


async def test_an_unknown_vehicle_can_t_be_watched(house: House) -> None:
    listener = Listener(house, "99")
    assert not await listener.begin()
    assert not house.supervisor.is_watched(KIND, "v99")


async def test_watchers_go_on_across_a_restart_and_miss_nothing(house: House, listener: Listener) -> None:
    await house.clock.advance(100)
    before = house.actor("11")
    before.suspend()
    await house.report(fix_of("11", T0 + 50, alarms=bits.EMERGENCY))  # Waits, and is read from the log.
    house.supervisor.failed(before, "a message", RuntimeError("a bug"))
    await house.rest()
    assert house.actor("11") is not before
    assert [type(event) for event in await listener.told()] == [AlertChanged, Moved]
    await house.report(fix_of("11", T0 + 60))
    assert [type(event) for event in await listener.told()] == [AlertChanged, Moved]


async def test_watchers_go_on_after_a_failure(house: House, listener: Listener) -> None:
    await house.clock.advance(100)
    await house.router.route(batch_of(house, poison(fix_of("11", T0 + 30))))
    await house.rest()
    assert house.supervisor.restarts == 1
    await house.report(fix_of("11", T0 + 60))
    assert [type(event) for event in await listener.told()] == [Moved]


async def test_a_watched_vehicle_stays_awake_and_sleeps_when_nobody_watches(house: House, listener: Listener) -> None:
    await house.clock.advance(3 * 3600)
    actor = house.actor("11")
    assert not house.supervisor.passivate(KIND, "v11", actor)
    listener.end()
    assert house.supervisor.passivate(KIND, "v11", actor)


async def test_announcements_are_values_that_messagepack_carries(house: House, listener: Listener) -> None:
    await house.report(fix_of("11", T0 + 1, alarms=bits.EMERGENCY))
    for event in await listener.told():
        carried = msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=type(event))
        assert carried == event
        assert isinstance(event, Announcement)
        assert encode(event)
