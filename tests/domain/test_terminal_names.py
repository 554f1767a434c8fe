"""Tests of what terminals may be registered as, and what their frames call them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.identifiers import InvalidIdentifier
from domain.terminal_names import luhn_digit, name_of_field, namesakes, parse_terminal_name, spellings

IMEI = "865478070102068"
IMEI_AS_NUMBER = "4eb6fb4afd9e"
"""The IMEI as the terminal of a published frame writes it."""

imeis = st.integers(10**12, 10**14 - 1).map(lambda number: f"{number:014d}" + luhn_digit(f"{number:014d}"))


@pytest.mark.parametrize(
    "typed, name",
    [
        ("013800000001", "13800000001"),
        (" 13800000001 ", "13800000001"),
        ("13800000001", "13800000001"),
        ("777762f7", "777762f7"),
        ("C28036ABCDEF", "c28036abcdef"),
        ("0000abc", "abc"),
        ("12345678901234562019", "12345678901234562019"),
        ("000000000000", "0"),
        ("0", "0"),
        (IMEI, IMEI),
    ],
)
def test_a_name_is_what_stands_in_the_frame_without_leading_zeros(typed: str, name: str) -> None:
    assert parse_terminal_name(typed) == name


@pytest.mark.parametrize("typed", ["", "1" * 21, "12G4", "13-800", "粤", "0x12", "1" * 10_000, "١٢٣"])
def test_what_can_stand_in_no_frame_is_no_name(typed: str) -> None:
    with pytest.raises(InvalidIdentifier, match="1 到 20 位数字或字母"):
        parse_terminal_name(typed)


def test_an_imei_stands_for_its_number_too() -> None:
    assert spellings(IMEI) == (IMEI, IMEI_AS_NUMBER)


@pytest.mark.parametrize("name", ["865478070102067", "13800000001", IMEI_AS_NUMBER, "0", "1" * 20, "86547807010206"])
def test_what_is_no_imei_is_spelled_in_one_way(name: str) -> None:
    assert spellings(name) == (name,)


def test_an_imei_with_a_leading_zero_is_one_all_the_same() -> None:
    imei = "0123456789012" + "3"
    imei += luhn_digit(imei)
    assert spellings(parse_terminal_name(imei)) == (imei[1:], f"{int(imei[:14]):x}")


@given(imeis)
def test_an_imei_and_its_number_are_namesakes_of_each_other(imei: str) -> None:
    name = parse_terminal_name(imei)
    _, number = spellings(name)
    assert namesakes(name) == (number,)
    assert name in namesakes(number)


@given(st.text("0123456789abcdef", min_size=1, max_size=20).map(name_of_field))
def test_namesakes_are_those_whose_spellings_meet(name: str) -> None:
    for other in namesakes(name):
        assert other != name
        assert {name, *spellings(name)} & {other, *spellings(other)}


def test_a_phone_and_the_imei_whose_number_reads_like_it_are_namesakes() -> None:
    digits = f"{int('13800138000', 16):014d}"
    imei = (digits + luhn_digit(digits)).lstrip("0")
    assert namesakes("13800138000") == (imei,)
