"""Terminals' names: what the number field of a frame reads as, leading zeros stripped.

The field is meant for a phone number in BCD (JT/T 808-2019 5.2). Real terminals write other digits there: an IMEI's
last ones, letters A to F, or an IMEI's first 14 as a 48-bit number. A name is therefore hexadecimal, in lower case. An
IMEI in the registry stands for both of its spellings; `865478070102068` is also `4eb6fb4afd9e`.
"""

from __future__ import annotations

import re
from typing import Final

from domain.identifiers import InvalidIdentifier, half_width

_NAME: Final = re.compile("[0-9a-f]{1,20}")
_IMEI_DIGITS: Final = 15
_NUMBER_DIGITS: Final = 14
"""Digits of an IMEI in the 48-bit number: all but the check digit."""
_NUMBER_HEX_DIGITS: Final = 12


def parse_terminal_name(text: str) -> str:
    """Parse up to 20 digits or letters A to F, in any case. Raises ``InvalidIdentifier``."""
    name = "".join(half_width(text).split()).lower() if len(text) <= 64 else ""
    if not _NAME.fullmatch(name):
        raise InvalidIdentifier("终端标识应为报文头中的号码:1 到 20 位数字或字母 A 至 F;也可填 15 位 IMEI")
    return name_of_field(name)


def name_of_field(digits: str) -> str:
    """Return the name that these hexadecimal digits of a number field give: ``0`` for all zeros."""
    return digits.lstrip("0") or digits[:1]


def spellings(name: str) -> tuple[str, ...]:
    """Return the names under which the terminal registered as ``name`` may report, ``name`` first."""
    number = _imei_number(name)
    return (name,) if number is None else (name, f"{number:x}")


def namesakes(name: str) -> tuple[str, ...]:
    """Return other names that could be registered and that frames could spell like this one."""
    others = [spelling for spelling in spellings(name) if spelling != name]
    if len(name) <= _NUMBER_HEX_DIGITS:
        imei = _imei_of(int(name, 16))
        if name in spellings(imei)[1:]:
            others.append(imei)
    return tuple(others)


def _imei_number(name: str) -> int | None:
    """Return the first 14 digits of the IMEI as a number, None for other text.

    A leading zero may have been stripped.
    """
    if not name.isdigit() or not _IMEI_DIGITS - 1 <= len(name) <= _IMEI_DIGITS:
        return None
    digits = name.zfill(_IMEI_DIGITS)
    return int(digits[:_NUMBER_DIGITS]) if digits[-1] == luhn_digit(digits[:_NUMBER_DIGITS]) else None


def _imei_of(number: int) -> str:
    digits = f"{number:0{_NUMBER_DIGITS}d}"
    return name_of_field(digits + luhn_digit(digits))


def luhn_digit(digits: str) -> str:
    """Return the check digit that ISO/IEC 7812-1 puts behind these digits."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[::-2])
    return str(-(doubled + sum(map(int, digits[-2::-2]))) % 10)
