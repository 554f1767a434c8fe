"""Fixtures of the tests that break something: a store with a fleet, and a place to run processes."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import empty_yard, imported_store, yard

__all__ = ["empty_yard", "imported_store", "yard"]


@pytest.fixture
def forks() -> bool:
    """Memory, descriptors and processor time are to be those of a program, with nothing inherited."""
    return False
