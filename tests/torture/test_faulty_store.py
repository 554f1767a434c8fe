"""Tests that a store in bad weather fails only in the ways that it should."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from persistence.store import Put, StoreUnavailable
from tests.torture.playing import play
from torture.faulty_store import FaultyStore, Weather
from torture.loop import Process, VirtualLoop
from torture.memory_store import Disk

PUT = Put("note", "a", b"1")


def _store(disk: Disk, **weather: Any) -> FaultyStore:
    return FaultyStore(disk, Weather(Random(1), **weather), Process(lambda: None))


def test_what_fails_before_it_has_written_leaves_nothing() -> None:
    disk = Disk()
    store = _store(disk, fails=1.0)

    async def main(loop: VirtualLoop) -> None:
        with pytest.raises(StoreUnavailable):
            await store.commit([PUT])

    play(main)
    assert disk.documents == {}


def test_what_fails_after_it_has_written_is_there() -> None:
    disk, torn = Disk(), list[bytes]()
    disk.on_torn = torn.append
    store = _store(disk, torn=1.0)

    async def main(loop: VirtualLoop) -> None:
        with pytest.raises(StoreUnavailable):
            await store.commit([PUT])
        with pytest.raises(StoreUnavailable):
            await store.append(b"entry")

    play(main)
    assert disk.documents["note"]["a"].record == b"1"
    assert disk.log == [(1, b"entry")]
    assert torn == [b"entry"]


def test_a_store_that_is_down_does_nothing_until_the_weather_clears_up() -> None:
    disk, weather = Disk(), Weather(Random(1), down=True)
    store = FaultyStore(disk, weather, Process(lambda: None))

    async def main(loop: VirtualLoop) -> None:
        with pytest.raises(StoreUnavailable):
            await store.get("note", ["a"])
        weather.clear_up()
        await store.commit([PUT])

    play(main)
    assert "a" in disk.documents["note"]
