"""Names are brought to one form, whichever way they were typed, and stay different where persons are different."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.identifiers import InvalidIdentifier
from domain.names import MAX_NAME_CHARS, name_key, parse_business_name, parse_person_name, parse_username

DOTS = "·•．・‧∙⋅･."
MARKS = [
    "",
    "",
    " ",
    "\u3000",
    "\u200b",
    "\u200c",
    "\u200d",
    "\u2060",
    "\ufeff",
    "\u00ad",
    "\u202a",
    "\u202c",
    "\ufe00",
]
parts = st.lists(st.text("阿不都艾力买提古丽江", min_size=1, max_size=5), min_size=1, max_size=3)


@given(parts, st.data())
def test_a_name_is_the_same_with_any_dot_and_any_invisible_mark(parts: list[str], data: st.DataObject) -> None:
    typed = data.draw(st.sampled_from(MARKS))
    for char in "·".join(parts):
        typed += data.draw(st.sampled_from(DOTS)) if char == "·" else char
        typed += data.draw(st.sampled_from(MARKS))
    assert parse_person_name(typed) == "·".join(parts)
    assert name_key(typed) == name_key("·".join(parts))


@given(parts, parts)
def test_two_names_are_not_one_for_being_tidied(one: list[str], other: list[str]) -> None:
    assert (name_key("·".join(one)) == name_key("•".join(other))) == (one == other)


@pytest.mark.parametrize("parse", [parse_person_name, parse_business_name, parse_username])
@given(text=st.text(max_size=40))
def test_any_text_is_a_name_in_its_one_form_or_refused(parse: object, text: str) -> None:
    assert callable(parse)
    name_key(text)
    try:
        name = parse(text)
    except InvalidIdentifier:
        return
    assert parse(name) == name
    assert name.strip() == name


@pytest.mark.parametrize(
    "typed, name",
    [
        (" 张 三 ", "张三"),
        ("张\u3000三", "张三"),
        ("John  Smith", "John Smith"),
        ("Ｊｏｈｎ Smith", "John Smith"),
        ("买买提 . 吐尔逊", "买买提·吐尔逊"),
        ("\U00031350明", "\U00031350明"),
        ("\u9fa6\U0002b820", "\u9fa6\U0002b820"),
    ],
)
def test_a_persons_name_has_one_form(typed: str, name: str) -> None:
    assert parse_person_name(typed) == name


def test_small_and_capital_letters_are_one_name() -> None:
    assert name_key("John Smith") == name_key("JOHNSMITH")


@pytest.mark.parametrize("typed", ["", " ", "\u200b", "·\x00", "张\x07三", "名" * (MAX_NAME_CHARS + 1)], ids=ascii)
def test_what_is_no_name_is_refused(typed: str) -> None:
    with pytest.raises(InvalidIdentifier, match="应为 1 到 100 个字符"):
        parse_person_name(typed)


@pytest.mark.parametrize("parse", [parse_person_name, parse_business_name])
def test_a_character_of_private_use_in_a_name_is_named_as_the_reason(parse: object) -> None:
    assert callable(parse)
    with pytest.raises(InvalidIdentifier, match=r"第 3 个字是输入法自造的字\(Unicode 私用区\)"):
        parse("\ufeff张三\ue863")


def test_a_business_keeps_its_full_width_brackets() -> None:
    assert parse_business_name(" 平安运输（武汉）\u200b有限公司 ") == "平安运输（武汉）有限公司"


def test_a_user_name_may_be_typed_on_a_chinese_keyboard() -> None:
    assert parse_username(" ｏｗｎｅｒ１\u200b") == "owner1"
