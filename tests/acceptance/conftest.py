"""The people and vehicles of the acceptance tests, and the stores that they run on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from actors.vehicles import registry_follower
from tests.acceptance.world import World
from tests.api.conftest import business_line, citizen_id, person_line, vehicle_line

LOOK_FOR_IMPORTS_S = 0.02
"""Real seconds: a second, as in life, would be most of a test."""


def sqlite_name(request: pytest.FixtureRequest, folder: Path) -> str:
    return f"sqlite:{folder / 'world.db'}"


def redis_name(request: pytest.FixtureRequest, folder: Path) -> str:
    url: str = request.getfixturevalue("shared_redis").url(folder.name)
    return url


STORES: dict[str, Callable[[pytest.FixtureRequest, Path], str]] = {"redis": redis_name, "sqlite": sqlite_name}

PEOPLE = (
    business_line(1),
    business_line(2),
    *(vehicle_line(number) for number in range(1, 13)),
    vehicle_line(21, owner=2),
    *(
        person_line(number, qualification={"number": citizen_id(number), "valid_until": "2040-01-01"})
        for number in range(1, 6)
    ),
    *(person_line(number, qualified=False) for number in (11, 12, 13)),
)
"""Business 1 with trucks 1 to 12, business 2 with truck 21; drivers 1 to 5; 11, 12 and 13 are family only."""


@pytest.fixture(params=sorted(STORES))
def store_name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Yield the name of an empty store."""
    return STORES[request.param](request, tmp_path)


@pytest_asyncio.fixture
async def world(store_name: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A running service that knows these people and vehicles."""
    monkeypatch.setattr(registry_follower, "POLL_S", LOOK_FOR_IMPORTS_S)
    world = World(store_name)
    await world.imports(*PEOPLE)
    try:
        await world.start()
        yield world
    finally:
        await world.stop()
