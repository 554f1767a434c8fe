"""Tests the order and the rate of vehicles' checkpoints, and which vehicles must stay meanwhile."""

from __future__ import annotations

import pytest

import actors.vehicles.checkpoints
from actors.vehicles.vehicle import KIND
from domain.registry import PARTITIONS, pack_of, partition_of
from persistence.store import Checkpoint
from tests.actors.conftest import T0, House, fix_of


async def test_a_partition_is_written_in_the_order_of_its_packs_over_all_its_commits(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors.vehicles.checkpoints, "MAX_STATES", 3)
    written: list[Checkpoint] = []
    real = house.store.checkpoint

    async def note(checkpoint: Checkpoint) -> None:
        written.append(checkpoint)
        await real(checkpoint)

    monkeypatch.setattr(house.store, "checkpoint", note)
    partition = partition_of("v11")
    neighbours = [f"1{number}" for number in range(3000) if partition_of(f"v1{number}") == partition]
    await house.report(*(fix_of(terminal, T0) for terminal in reversed(neighbours)))
    await house.checkpoints.write(partition)
    keys = [key for checkpoint in written for key, _, _ in checkpoint.states]
    assert len(written) == (len(neighbours) + 2) // 3 > 2
    assert sorted(keys) == sorted(f"v{terminal}" for terminal in neighbours)
    assert keys == sorted(keys, key=pack_of)
    assert [checkpoint.watermark for checkpoint in written[:-1]] == [0] * (len(written) - 1)
    assert written[-1].watermark == house.folded


async def test_a_vehicle_stays_while_its_newest_state_is_on_its_way_to_the_store(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.report(fix_of("11", T0))
    await house.clock.advance(3 * house.fleet.passivate_after_s)
    real = house.store.checkpoint

    async def retire_before(checkpoint: Checkpoint) -> None:
        await house.checkpoints.retire()
        assert list(house.supervisor.actors(KIND)) == ["v11"]
        await real(checkpoint)

    monkeypatch.setattr(house.store, "checkpoint", retire_before)
    await house.checkpoints.write(partition_of("v11"))
    await house.clock.advance(house.fleet.passivate_after_s)
    await house.checkpoints.retire()
    assert house.supervisor.actors(KIND) == {}


def test_a_busy_process_writes_less_often_but_within_four_cycles(house: House) -> None:
    idle_s = house.checkpoints.pause_s(0.0)
    assert idle_s * PARTITIONS == pytest.approx(30.0)
    assert house.checkpoints.pause_s(idle_s / 5) == idle_s
    assert house.checkpoints.pause_s(idle_s / 2) == 2 * idle_s
    assert house.checkpoints.pause_s(60.0) == 4 * idle_s


async def test_r50_no_telemetry_is_forgotten_while_the_clock_is_not_settled(house: House) -> None:
    await house.report(fix_of("11", T0))
    await house.checkpoints.write_all()
    await house.clock.advance(8 * 86_400)
    house.clock.is_settled = False
    await house.checkpoints.trim()
    assert await house.store.read_log(after=0, limit=1)
    house.clock.is_settled = True
    await house.checkpoints.trim()
    assert not await house.store.read_log(after=0, limit=1)
