"""Brings names of persons and businesses to one form, however an input method typed them."""

from __future__ import annotations

import re
from typing import Final
from unicodedata import normalize

from domain.identifiers import InvalidIdentifier, check_no_private_use, half_width, without_marks

MAX_NAME_CHARS: Final = 100
DOT: Final = "·"
"""The dot U+00B7, which identity cards print between the parts of a name."""

_ANY_DOT: Final = re.compile(r"\s*[·•‧∙⋅・．.●⸱⸳᛫ㆍ]\s*")
_IDEOGRAPH: Final = f"\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003fffd{DOT}"
_BLANK_BESIDE_IDEOGRAPH: Final = re.compile(rf"(?<=[{_IDEOGRAPH}])\s+|\s+(?=[{_IDEOGRAPH}])")
_BLANKS: Final = re.compile(r"\s+")
_FUTURE_IDEOGRAPHS: Final = range(0x20000, 0x3FFFE)
"""Planes kept for ideographs: rare characters of names that this Python's tables may not know yet."""


def parse_person_name(text: str) -> str:
    """Parse a name such as ``阿不都·艾力``: half width, one kind of dot, and blanks between Latin words only.

    Raises ``InvalidIdentifier``.
    """
    check_no_private_use(text)
    return _checked(_tidy(text))


def parse_business_name(text: str) -> str:
    """Parse the name as it stands on the licence, without marks that show nothing. Raises ``InvalidIdentifier``."""
    check_no_private_use(text)
    return _checked(without_marks(text).strip())


def parse_username(text: str) -> str:
    """Parse a user name; full-width letters of a Chinese keyboard give the same name. Raises ``InvalidIdentifier``."""
    return _checked(half_width(text).strip())


def name_key(text: str) -> str:
    """Return a key that is equal for all ways to type one person's name.

    Takes any text, so also a name that an older version stored.
    """
    return normalize("NFKC", _BLANKS.sub("", _tidy(text)).casefold())


def _tidy(text: str) -> str:
    name = _ANY_DOT.sub(DOT, half_width(text).strip())
    return normalize("NFKC", _BLANKS.sub(" ", _BLANK_BESIDE_IDEOGRAPH.sub("", name)))


def _checked(name: str) -> str:
    if not 0 < len(name) <= MAX_NAME_CHARS or not all(map(_is_shown, name)):
        raise InvalidIdentifier(f"应为 1 到 {MAX_NAME_CHARS} 个字符")
    return name


def _is_shown(char: str) -> bool:
    return char.isprintable() or ord(char) in _FUTURE_IDEOGRAPHS
