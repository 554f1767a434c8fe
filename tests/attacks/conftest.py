"""The targets of the attacks: the API tests' service over real HTTP, and the end-to-end tests' processes."""

from __future__ import annotations

import pytest

from tests.api.conftest import service
from tests.e2e.conftest import empty_yard, imported_store, yard

__all__ = ["empty_yard", "imported_store", "service", "yard"]


@pytest.fixture
def forks() -> bool:
    """Start real processes, as refusals at a start can only be seen there."""
    return False
