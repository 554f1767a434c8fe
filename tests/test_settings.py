"""The limits of the parts follow what the system allows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from settings import Settings, fitted

AS_IT_IS = Settings()


@pytest.mark.parametrize("descriptors", [400, 1_024, 4_096, 20_000, 65_536])
def test_where_there_are_few_descriptors_one_address_takes_a_quarter_of_the_places_at_most(descriptors: int) -> None:
    cut = fitted(AS_IT_IS, descriptors)
    http, terminals = cut.connections, cut.terminals
    assert 1 <= http.connections_of_address <= min(2_000, http.connections // 4)
    assert 1 <= terminals.max_unauthenticated_per_ip <= min(1_000, terminals.max_connections // 4)


def test_where_there_is_room_the_settings_hold() -> None:
    chosen = replace(
        AS_IT_IS,
        terminals=replace(AS_IT_IS.terminals, max_unauthenticated_per_ip=90_000),
        connections=replace(AS_IT_IS.connections, connections_of_address=25_000),
    )
    assert fitted(chosen, 1_048_576) == chosen
