"""Fixtures of the tests with processes: a yard, empty or with a store that knows a fleet."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import Yard, write_registry

FLEET: int = 30


@pytest.fixture
def forks() -> bool:
    """Fork processes with everything imported; overruled where a program's own start matters."""
    return True


@pytest.fixture
def empty_yard(tmp_path: Path, forks: bool) -> Iterator[Yard]:
    """No store yet."""
    yard = Yard(tmp_path, forks=forks)
    yield yard
    yard.closes()


@pytest.fixture(scope="session")
def imported_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store into which `run.py import` has loaded the fleet."""
    yard = Yard(tmp_path_factory.mktemp("imported"))
    imported = yard.imports(write_registry(yard.folder / "registry.jsonl", FLEET))
    assert imported.status == 0, imported.said
    return yard.store


@pytest.fixture
def yard(empty_yard: Yard, imported_store: Path) -> Yard:
    """Return a yard whose store knows the fleet's 30 vehicles."""
    shutil.copy(imported_store, empty_yard.store)
    return empty_yard
