"""Tests that the naive rules are the guide's."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from torture.caller import Answer
from torture.possible import Possibilities
from torture.rules import Op, Registry, World, judge, months_after, share_ends
from torture.watch import Violation

CHINA = timezone(timedelta(hours=8))
NOW = datetime(2026, 1, 31, 12, tzinfo=CHINA).timestamp()
REGISTRY = Registry(dict.fromkeys(range(20), "owner0"), dict.fromkeys(range(20), 0))
DONE = Answer(201, {})


def bind(vehicle: int, driver: str = "driver0") -> Op:
    return Op("bind", driver, f"b{vehicle}/{driver}", vehicle=vehicle)


def played(*ops: Op, at: float = NOW) -> World:
    world = World()
    for op in ops:
        judged = judge(world, op, at, REGISTRY)
        assert not judged.refusals
        world = judged.after
    return world


def test_r12_a_fourth_vehicle_is_refused() -> None:
    assert judge(played(bind(1), bind(2), bind(3)), bind(4), NOW, REGISTRY).refusals == {"too_many_bindings"}


def test_r13_an_eleventh_vehicle_is_refused_until_12_months_later() -> None:
    world = World()
    for vehicle in range(10):
        world = judge(world, bind(vehicle), NOW, REGISTRY).after
        world = judge(world, Op("unbind", "driver0", of=f"b{vehicle}/driver0"), NOW, REGISTRY).after
    assert judge(world, bind(10), NOW, REGISTRY).refusals == {"too_many_in_12_months"}
    assert not judge(world, bind(10), months_after(NOW, 12), REGISTRY).refusals


def test_r17_a_month_from_the_31st_ends_with_february() -> None:
    assert share_ends(NOW, "1mo") == datetime(2026, 2, 28, 12, tzinfo=CHINA).timestamp()


def test_r18_and_r20() -> None:
    shares = [Op("share", "driver0", f"s{number}", "b1/driver0", detail="3d") for number in range(4)]
    world = played(bind(1), *shares[:3])
    assert judge(world, shares[3], NOW, REGISTRY).refusals == {"too_many_shares"}
    world = judge(world, Op("open", "family0", of="s0"), NOW, REGISTRY).after
    assert judge(world, Op("open", "family1", of="s0"), NOW, REGISTRY).refusals == {"link_taken"}
    assert judge(world, Op("open", "family1", of="s0"), share_ends(NOW, "3d"), REGISTRY).refusals == {"share_ended"}


def test_an_answer_that_no_world_explains_is_a_violation() -> None:
    possible = Possibilities(REGISTRY)
    possible.hear([(bind(1), DONE)], NOW)
    with pytest.raises(Violation):
        possible.hear([(Op("bind", "driver0", "again", vehicle=1), DONE)], NOW)


def test_a_command_without_an_answer_may_have_been_done_or_not() -> None:
    for wanted, told in ((DONE, True), (Answer(409, {}, "already_bound"), False)):
        possible = Possibilities(REGISTRY)
        possible.unanswered(bind(1), NOW)
        possible.hear([(Op("bind", "driver0", "again", vehicle=1), wanted)], NOW)
        assert ("again" in possible.likeliest.bindings) is told


def test_two_who_open_at_once_are_explained_by_either_order_but_not_by_both_succeeding() -> None:
    share = Op("share", "driver0", "s", "b1/driver0", detail="3d")
    first, second = Op("open", "family0", of="s"), Op("open", "family1", of="s")
    possible = Possibilities(REGISTRY)
    for answers in ((DONE, Answer(409, {}, "link_taken")), (Answer(409, {}, "link_taken"), DONE)):
        possible = Possibilities(REGISTRY)
        possible.hear([(bind(1), DONE)], NOW)
        possible.hear([(share, DONE)], NOW)
        possible.hear(list(zip((first, second), answers, strict=True)), NOW)
    with pytest.raises(Violation):
        possible.hear([(first, DONE), (second, DONE)], NOW)
