"""Tests that the transport registry would take the fleet's lines."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sim.registry_lines import businesses, identity, lines, write

VIN_DIGITS = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", "12345678123457923456789", strict=True))
CITIZEN_CHECKS = "10X98765432"


def vin_check(vin: str) -> str:
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    total = sum(int(VIN_DIGITS.get(sign, sign)) * weight for sign, weight in zip(vin, weights, strict=True))
    return "X" if total % 11 == 10 else str(total % 11)


def mod_31(code: str) -> int:
    signs = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    return sum(signs.index(sign) * pow(3, place, 31) for place, sign in enumerate(code[:17])) + signs.index(code[17])


@given(st.integers(0, 10**9), st.integers(0, 20_000))
def test_a_vin_has_seventeen_signs_and_the_right_check_digit(seed: int, index: int) -> None:
    vin = identity(seed, index).vin
    assert len(vin) == 17
    assert vin[8] == vin_check(vin)


def test_a_known_vin_has_its_known_check_digit() -> None:
    assert vin_check("1M8GDM9AXKP042788") == "X"


@given(st.integers(0, 10**9))
def test_every_business_has_a_valid_social_credit_code(seed: int) -> None:
    for owner in businesses(seed, 1000):
        assert len(owner.uscc) == 18
        assert mod_31(owner.uscc) % 31 == 0


def test_every_citizen_id_has_the_right_check_sign() -> None:
    people = [json.loads(line) for line in lines(1, 500, year=2026) if '"person"' in line]
    assert len(people) == 51  # the last one is at home
    assert [person["qualification"] is None for person in people] == [False] * 50 + [True]
    for person in people:
        number = person["citizen_id"]
        total = sum(int(sign) * pow(2, 17 - place, 11) for place, sign in enumerate(number[:17]))
        assert CITIZEN_CHECKS[total % 11] == number[17]


def test_ten_thousand_vehicles_share_nothing() -> None:
    fleet = [identity(9, index) for index in range(10_000)]
    for part in ("plate", "vin", "transport_cert_no", "phone"):
        assert len({getattr(who, part) for who in fleet}) == len(fleet)


def test_two_hundred_vehicles_have_one_owner(tmp_path: Path) -> None:
    count = write(tmp_path / "fleet.jsonl", seed=1, vehicles=401, year=2026)
    entries = [json.loads(line) for line in (tmp_path / "fleet.jsonl").read_text("utf-8").splitlines()]
    assert count == len(entries)
    owners = [entry["owner_uscc"] for entry in entries if entry["type"] == "vehicle"]
    assert [owners.count(entry["uscc"]) for entry in entries if entry["type"] == "business"] == [200, 200, 1]


def test_a_greater_fleet_of_the_same_seed_begins_with_the_smaller_one() -> None:
    assert list(lines(4, 30, year=2026))[1:31] == list(lines(4, 60, year=2026))[1:31]
