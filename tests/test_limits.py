"""The limits of the parts follow what the system allows."""

from __future__ import annotations

import pytest

import limits
from settings import Settings


@pytest.mark.parametrize("descriptors", [400, 1_024, 4_096, 20_000, 65_536, 1_048_576])
def test_one_address_never_takes_more_than_a_quarter_of_the_places_for_those_without_authentication(
    descriptors: int,
) -> None:
    fitted = limits.fitted(Settings(), descriptors)
    terminals = limits.terminals(fitted)
    assert 1 <= terminals.max_unauthenticated_per_ip <= max(1, terminals.max_connections // 4)
    assert terminals.max_unauthenticated_per_ip <= fitted.max_unauthenticated_per_ip


def test_where_there_is_room_the_setting_holds() -> None:
    assert limits.terminals(Settings(max_unauthenticated_per_ip=50)).max_unauthenticated_per_ip == 50
    assert limits.terminals(Settings()).max_unauthenticated_per_ip == 1_000
