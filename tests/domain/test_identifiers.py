"""Good identifiers are taken in one form, and slips of the finger are found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.identifiers import (
    InvalidIdentifier,
    PlateColor,
    certificate_number_masked,
    citizen_id_check_char,
    name_masked,
    parse_certificate_number,
    parse_citizen_id,
    parse_mobile_phone,
    parse_plate,
    parse_plate_color,
    parse_uscc,
    parse_vin,
    phone_masked,
    plate_masked,
    uscc_check_char,
    vin_check_digit_holds,
)

USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
digits = st.text("0123456789")
citizen_bodies = st.builds(
    lambda region, born, order: f"{region}{born:%Y%m%d}{order:03d}",
    st.sampled_from(["110101", "440304", "654301", "820000"]),
    st.dates(date(1900, 1, 1), date(2030, 12, 31)),
    st.integers(0, 999),
)
uscc_bodies = st.builds(
    lambda head, region, tail: head + region + tail,
    st.text(USCC_ALPHABET, min_size=2, max_size=2),
    st.text("0123456789", min_size=6, max_size=6),
    st.text(USCC_ALPHABET, min_size=9, max_size=9),
)


@pytest.mark.parametrize(
    "typed, plate",
    [
        ("粤B12345", "粤B12345"),
        (" 粤b·12345 ", "粤B12345"),
        ("粤B 1234A", "粤B1234A"),
        ("粤Ｂ１２３４５", "粤B12345"),
        ("京A·D12345", "京AD12345"),
        ("粤BDF1234", "粤BDF1234"),
        ("沪A12345D", "沪A12345D"),
        ("冀A1234挂", "冀A1234挂"),
        ("粤Z1234港", "粤Z1234港"),
        ("粤Z1234澳", "粤Z1234澳"),
        ("京A1234学", "京A1234学"),
        ("\ufeff粤B\u200b12345\u200e", "粤B12345"),
        ("粤\u3000B－１２３４５", "粤B12345"),
        ("黑01·12345", "黑0112345"),
        ("黑01-12345", "黑0112345"),
        ("黑 01 12345", "黑0112345"),
        ("黑０１・a１２３４", "黑01A1234"),
        ("苏17•1234挂", "苏171234挂"),
    ],
)
def test_a_plate_has_one_form(typed: str, plate: str) -> None:
    assert parse_plate(typed) == plate
    assert parse_plate(plate) == plate


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "粤",
        "B12345",
        "粤B1234",
        "粤B123456",
        "粤B1234I",
        "粤B1O345",
        "X粤B1234",
        "粤112345",
        "粤B12345挂",
        "粤" * 99,
        "黑01·1234",
        "黑01·123456",
        "黑1·12345",
        "黑0A·12345",
        "01·12345",
    ],
)
def test_what_is_no_plate_is_refused(typed: str) -> None:
    with pytest.raises(InvalidIdentifier):
        parse_plate(typed)


@pytest.mark.parametrize("typed", ["粤B1234I", "粤B1O345", "粤b1o345", "黑01·1234o"])
def test_the_letters_i_and_o_are_named_as_likely_digits(typed: str) -> None:
    with pytest.raises(InvalidIdentifier, match="字母 I 和 O"):
        parse_plate(typed)


def full_width(char: str) -> str:
    return chr(ord(char) + 0xFEE0) if char.isascii() else char


@st.composite
def typed_plates(draw: st.DrawFn) -> tuple[str, str]:
    """A plate, and how it was typed: with dots, blanks and invisible marks, some characters small or in full width."""
    plate = draw(st.sampled_from(["粤B12345", "粤BD12345", "黑0112345", "冀A1234挂"]))
    typed = ""
    for char in plate:
        typed += draw(st.sampled_from(["", "", "", *"·•．・‧∙⋅ \u3000\u200b\u200d\ufeff\u00ad\u2060-"]))
        typed += draw(st.sampled_from([char, char.lower(), full_width(char)]))
    return plate, typed


@given(typed_plates())
def test_a_plate_is_the_same_with_any_dot_width_or_invisible_mark(pair: tuple[str, str]) -> None:
    plate, typed = pair
    assert parse_plate(typed) == plate


INVISIBLE = ["\u200b", "\u200e", "\u202d", "\ufeff", "\u00ad", "\u2060", "\ufe0f", "\u3000", "\u00a0"]


@pytest.mark.parametrize("mark", INVISIBLE, ids=ascii)
def test_an_invisible_mark_in_any_identifier_is_passed_over(mark: str) -> None:
    for parse, typed in (
        (parse_plate, "粤B12345"),
        (parse_vin, "LFWSRXSJ7M1E00001"),
        (parse_citizen_id, "11010519491231002X"),
        (parse_uscc, "91350100M000100Y43"),
        (parse_mobile_phone, "13800138000"),
        (parse_certificate_number, "粤交运管440300012345"),
    ):
        assert parse(mark + typed[:5] + mark + typed[5:] + mark) == typed


@pytest.mark.parametrize("char", ["\ue000", "\ue863", "\uf8ff", "\U000f0000", "\U0010fffd"], ids=ascii)
@pytest.mark.parametrize("parse", [parse_plate, parse_vin, parse_citizen_id, parse_uscc, parse_certificate_number])
def test_a_character_of_private_use_is_named_as_the_reason(parse: Callable[[str], str], char: str) -> None:
    with pytest.raises(InvalidIdentifier, match="第 2 个字是输入法自造的字"):
        parse(f"\u200b粤{char}B12345")


def test_plate_colours_have_the_standards_codes() -> None:
    assert [PlateColor.of_code(code).value for code in (1, 2, 3, 4, 5, 9, 91, 92, 93, 94)] == [
        "blue",
        "yellow",
        "black",
        "white",
        "green",
        "other",
        "farm_yellow",
        "farm_green",
        "yellow_green",
        "gradient_green",
    ]
    assert all(PlateColor.of_code(color.code) is color for color in PlateColor)
    assert parse_plate_color("yellow") is PlateColor.YELLOW
    with pytest.raises(InvalidIdentifier):
        PlateColor.of_code(6)
    with pytest.raises(InvalidIdentifier):
        parse_plate_color("Yellow")


def test_a_vin_is_seventeen_places_without_i_o_q() -> None:
    assert parse_vin(" lfwsrxsj7m1e00001") == "LFWSRXSJ7M1E00001"
    for wrong in ("LFWSRXSJ7M1E0000", "LFWSRXSJ7M1E000011", "IFWSRXSJ7M1E00001", "LFWSRXSJ7M1E0000Q", "车" * 17):
        with pytest.raises(InvalidIdentifier):
            parse_vin(wrong)


def test_the_vins_check_digit_is_known_from_printed_examples() -> None:
    assert vin_check_digit_holds("1M8GDM9AXKP042788")
    assert vin_check_digit_holds("11111111111111111")
    assert not vin_check_digit_holds("1M8GDM9A1KP042788")


def test_a_citizen_id_of_the_standards_example_is_good() -> None:
    assert parse_citizen_id("11010519491231002x") == "11010519491231002X"
    assert parse_citizen_id("440524188001010014") == "440524188001010014"


@given(citizen_bodies)
def test_every_citizen_id_with_its_check_character_is_good(body: str) -> None:
    assert parse_citizen_id(body + citizen_id_check_char(body)) == body + citizen_id_check_char(body)


@given(citizen_bodies, st.integers(0, 16), st.sampled_from("0123456789"))
def test_one_wrong_digit_of_a_citizen_id_is_found(body: str, place: int, digit: str) -> None:
    assume(body[place] != digit)
    with pytest.raises(InvalidIdentifier):
        parse_citizen_id(body[:place] + digit + body[place + 1 :] + citizen_id_check_char(body))


@pytest.mark.parametrize("body", ["44030420230229001", "44030420231301001", "99030419800101001", "44030417000101001"])
def test_a_citizen_id_of_a_day_or_region_that_is_none_is_refused(body: str) -> None:
    with pytest.raises(InvalidIdentifier):
        parse_citizen_id(body + citizen_id_check_char(body))


def test_a_credit_code_from_a_real_register_is_good() -> None:
    assert parse_uscc("91350100m000100y43") == "91350100M000100Y43"


@given(uscc_bodies)
def test_every_credit_code_with_its_check_character_is_good(body: str) -> None:
    assert parse_uscc(body + uscc_check_char(body)) == body + uscc_check_char(body)


@given(uscc_bodies, st.integers(0, 16), st.sampled_from(USCC_ALPHABET))
def test_one_wrong_place_of_a_credit_code_is_found(body: str, place: int, char: str) -> None:
    assume(body[place] != char)
    with pytest.raises(InvalidIdentifier):
        parse_uscc(body[:place] + char + body[place + 1 :] + uscc_check_char(body))


@pytest.mark.parametrize("typed", ["13800138000", "+86 138-0013-8000", " 138 0013 8000 "])
def test_a_phone_has_one_form(typed: str) -> None:
    assert parse_mobile_phone(typed) == "13800138000"


@pytest.mark.parametrize("typed", ["", "12800138000", "1380013800", "138001380001", "+1 13800138000", "١٣٨٠٠١٣٨٠٠٠"])
def test_what_is_no_mobile_phone_is_refused(typed: str) -> None:
    with pytest.raises(InvalidIdentifier):
        parse_mobile_phone(typed)


def test_a_certificate_number_loses_its_blanks() -> None:
    assert parse_certificate_number(" 粤交运管 许可深字 440300012345号 ") == "粤交运管许可深字440300012345号"
    for wrong in ("", "a\x00b", "x" * 41, "<script>"):
        with pytest.raises(InvalidIdentifier):
            parse_certificate_number(wrong)


@pytest.mark.parametrize("parse", [parse_plate, parse_vin, parse_citizen_id, parse_uscc, parse_mobile_phone])
@given(text=st.text(max_size=80))
def test_any_text_is_parsed_to_its_one_form_or_refused(parse: Callable[[str], str], text: str) -> None:
    try:
        parsed = parse(text)
    except InvalidIdentifier:
        return
    assert parse(parsed) == parsed


def test_a_refusal_does_not_repeat_what_is_secret() -> None:
    with pytest.raises(InvalidIdentifier) as refusal:
        parse_citizen_id("440524188001010015")
    assert "4405" not in str(refusal.value)


def test_masks_leave_what_is_needed_to_recognise() -> None:
    assert plate_masked("粤B12345") == "粤B***45"
    assert plate_masked("粤BD12345") == "粤B****45"
    assert name_masked("张三") == "张*"
    assert name_masked("欧阳娜娜") == "欧***"
    assert phone_masked("13800138000") == "138****8000"
    assert certificate_number_masked("440300012345") == "********2345"


@given(st.text(max_size=40))
def test_masks_keep_the_length_and_hide_more_than_nothing(text: str) -> None:
    for masked in (plate_masked(text), phone_masked(text), certificate_number_masked(text), name_masked(text)):
        assert len(masked) == len(text)
    if len(text) > 1:
        assert "*" in name_masked(text)
        assert certificate_number_masked(text).count("*") >= len(text) / 2
