"""Tests that a whole drive ends with the right verdict."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from sim.main import DIFFERENT, IMPOSSIBLE, OK, SimOptions, run_sim
from sim.registry_lines import identity
from tests.sim.fake_platform import FakePlatform
from tests.sim.fake_service import FakeService, Item, Lie

SEED, VEHICLES, SPEED = 3, 5, 50.0
IN_TIME_S = 50.0
"""A drive of 1.5 s and all around it; a drain alone may take 60."""


@asynccontextmanager
async def service(*, known: int = VEHICLES) -> AsyncIterator[FakeService]:
    platform = FakePlatform()
    await platform.start()
    fake = FakeService(platform, seed=SEED, vehicles=known, speed=SPEED)
    await fake.start()
    try:
        yield fake
    finally:
        await fake.stop()
        await platform.stop()


def options(fake: FakeService, scenario: str = "bad_roads", speedup: float = SPEED) -> SimOptions:
    return SimOptions(
        api=fake.url,
        jt808_port=fake.platform.port,
        vehicles=VEHICLES,
        seed=SEED,
        scenario=scenario,
        speedup=speedup,
        duration_s=1.5,
    )


async def drive(
    fake: FakeService, asked: SimOptions, before_the_end: Callable[[], Awaitable[None]] | None = None
) -> tuple[int, str]:
    said = io.StringIO()
    stop = asyncio.Event()
    if before_the_end is None:
        return await run_sim(asked, stop=stop, console=Console(file=said, width=200)), said.getvalue()
    running = asyncio.create_task(run_sim(asked, stop=stop, console=Console(file=said, width=200)))
    await before_the_end()
    stop.set()
    return await running, said.getvalue()


async def test_a_drive_in_which_all_agrees_ends_with_status_0() -> None:
    async with service() as fake:
        status, said = await drive(fake, options(fake, "everyday"))
        assert (status, "0 differences" in said) == (OK, True), said


async def test_setting_stop_ends_an_endless_drive_and_still_gives_the_verdict() -> None:
    async with service() as fake:

        async def ten_reports() -> None:
            await fake.platform.until(lambda: len(fake.platform.of(0x0200)) >= 10)

        endless = replace(options(fake, "everyday"), duration_s=None)
        status, said = await drive(fake, endless, ten_reports)
        assert status == OK, said
        assert f"{VEHICLES} vehicles" in said


def _other_place(item: Item) -> Item:
    fix = item["last_fix"]
    return item if fix is None else item | {"last_fix": {**fix, "wgs84": [1.0, 2.0]}}  # type: ignore[dict-item]


def _offline(item: Item) -> Item:
    return item | {"online": False}


def _hidden(item: Item) -> Item | None:
    return item if item["last_fix"] is None or item["id"] != "2" else None


def _forgotten(item: Item) -> Item:
    return item | {"last_fix": None, "online": False}


@pytest.mark.parametrize(
    "lie,what",
    [(_other_place, "place"), (_offline, "presence"), (_hidden, "vehicle"), (_forgotten, "last fix")],
)
async def test_a_service_that_tells_something_else_ends_the_drive_with_status_1(lie: Lie, what: str) -> None:
    async with service() as fake:
        fake.lie = lie
        status, said = await drive(fake, options(fake, "everyday"))
        assert status == DIFFERENT
        assert what in said


async def test_a_platform_that_acknowledges_nothing_ends_the_drive_with_status_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sim.main.DRAIN_S", 0.2)
    async with service() as fake:
        fake.platform.answers = lambda frame: frame.message_id != 0x0200
        status, said = await drive(fake, options(fake, "everyday"))
        assert status == DIFFERENT
        assert "never acknowledged" in said


async def test_a_service_of_another_speed_is_refused_in_a_sentence() -> None:
    async with service() as fake:
        status, said = await drive(fake, options(fake, "everyday", speedup=1.0))
        assert status == IMPOSSIBLE
        assert "--speedup 50" in said


async def test_a_service_whose_clock_stands_still_is_refused() -> None:
    async with service() as fake:
        fake.virtual = True
        assert (await drive(fake, options(fake, "everyday")))[0] == IMPOSSIBLE


async def test_an_unknown_scenario_is_named_with_those_that_exist() -> None:
    async with service() as fake:
        status, said = await drive(fake, options(fake, "bad_roads"))
        assert status == IMPOSSIBLE
        assert "'bad_roads'" in said
        assert "everyday" in said


async def test_a_fleet_that_was_not_imported_is_told_how_to_be() -> None:
    async with service(known=3) as fake:
        status, said = await drive(fake, options(fake, "everyday"))
        assert status == IMPOSSIBLE
        assert "run.py import" in said


async def test_no_service_at_all_is_a_sentence_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.owners._TRIES", 1)
    monkeypatch.setattr("sim.owners._RETRY_S", 0.0)
    async with service() as fake:
        asked = options(fake, "everyday")
    status, said = await drive(fake, asked)
    assert status == IMPOSSIBLE
    assert asked.api in said


# -- the registry -----------------------------------------------------------------------------------------------------


async def test_registry_only_writes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "fleet.jsonl"
    status = await run_sim(SimOptions(vehicles=3, seed=SEED, registry=path), console=Console(file=io.StringIO()))
    assert status == OK
    assert identity(SEED, 2).plate in path.read_text("utf-8")


async def test_a_registry_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    said = io.StringIO()
    status = await run_sim(SimOptions(registry=tmp_path / "no" / "such.jsonl"), console=Console(file=said, width=200))
    assert status == IMPOSSIBLE
    assert "cannot write" in said.getvalue()
