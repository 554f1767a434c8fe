"""The limits of the parts follow what the system allows."""

from __future__ import annotations

import pytest

import limits
from settings import Settings


@pytest.mark.parametrize("descriptors", [400, 1_024, 4_096, 20_000, 65_536])
def test_where_there_are_few_descriptors_one_address_takes_a_quarter_of_the_places_at_most(descriptors: int) -> None:
    fitted = limits.fitted(Settings(), descriptors)
    http, terminals = limits.connections(fitted), limits.terminals(fitted)
    assert 1 <= http.connections_of_address <= min(2_000, http.connections // 4)
    assert 1 <= terminals.max_unauthenticated_per_ip <= min(1_000, terminals.max_connections // 4)


def test_where_there_is_room_the_settings_hold() -> None:
    chosen = Settings(max_unauthenticated_per_ip=90_000, http_connections_per_address=25_000)
    fitted = limits.fitted(chosen, 1_048_576)
    assert limits.terminals(fitted).max_unauthenticated_per_ip == 90_000
    assert limits.connections(fitted).connections_of_address == 25_000
