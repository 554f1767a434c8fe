"""Tests the import of a registry file: beside a running service, with bad lines, or refused."""

from __future__ import annotations

import json

import pytest

from gateway.jt808.codec import message_ids as ids
from sim.registry_lines import Identity, business, identity
from tests.e2e.callers import own_vehicles, sign_in
from tests.e2e.processes import SEED, Yard, until, write_registry
from tests.e2e.trucks import Truck

pytestmark = pytest.mark.e2e


@pytest.fixture
def forks() -> bool:
    """Each is started as a user starts it."""
    return False


CITIZEN_ID = "11010119900307123X"
"""Its check sign is wrong."""


def is_let_in(who: Identity, jt808: str) -> bool:
    """Try a connection of its own: a repeatedly refused one is closed."""
    with Truck(who, jt808) as truck:
        if truck.registers().result != ids.REGISTERED:
            return False
        truck.signs_on()
        return True


def test_a_running_service_takes_in_what_is_imported_beside_it(empty_yard: Yard) -> None:
    yard, newcomer = empty_yard, identity(SEED, 1)
    assert yard.imports(write_registry(yard.folder / "registry.jsonl", 1)).status == 0
    serving = yard.serves()
    with Truck(newcomer, serving.jt808) as truck:
        assert truck.registers().result == ids.NO_SUCH_TERMINAL
    assert yard.imports(write_registry(yard.folder / "registry.jsonl", 2)).status == 0
    assert until(lambda: is_let_in(newcomer, serving.jt808))
    assert newcomer.plate in own_vehicles(serving.http, sign_in(serving.http, business(SEED, 0)))


def test_bad_lines_are_named_and_the_good_ones_loaded(empty_yard: Yard) -> None:
    yard = empty_yard
    file = write_registry(yard.folder / "registry.jsonl", 2)
    owner, first, second, *rest = file.read_bytes().splitlines()
    stranger = {"type": "person", "real_name": "王五", "citizen_id": CITIZEN_ID, "phone": "13900000000"}
    bad = [b"not json", b"\xff\xfe", json.dumps(stranger).encode(), b'{"type":"vehicle"}', b"[]", b"a" * 20_000]
    file.write_bytes(b"\n".join([owner, bad[0], first, *bad[1:], second, *rest]))
    imported = yard.imports(file)
    assert imported.status == 1
    named = [line.split(": ", 2) for line in imported.err.splitlines()]
    assert [where for where, *_ in named] == [f"line {number}" for number in (2, 4, 5, 6, 7, 8)]
    assert all(reason for *_, reason in named)
    assert "6 bad lines" in imported.out
    assert CITIZEN_ID not in imported.said
    assert "13900000000" not in imported.said
    serving = yard.serves()
    seen = own_vehicles(serving.http, sign_in(serving.http, business(SEED, 0)))
    assert set(seen) == {identity(SEED, 0).plate, identity(SEED, 1).plate}


@pytest.mark.parametrize("missing", ["nothing.jsonl", "."], ids=["nowhere", "a folder"])
def test_a_file_that_cannot_be_read_is_a_sentence_and_status_2(empty_yard: Yard, missing: str) -> None:
    imported = empty_yard.runs("import", missing, "--store", empty_yard.store_name)
    assert imported.status == 2
    assert imported.err.startswith(f"run.py: can't read {missing}: ")
    assert "Traceback" not in imported.err
