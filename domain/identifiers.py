"""Parses and masks plates, VINs, citizen IDs, credit codes and phone numbers.

Every ``parse_`` function takes text that a person typed and returns the one form that is stored and compared. It raises
``InvalidIdentifier`` with a Chinese sentence that says what is wrong, and never repeats the value (R62).
"""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum
from typing import Final
from unicodedata import category, normalize

MAX_INPUT_CHARS: Final = 64


class InvalidIdentifier(ValueError):
    """The text is no identifier of this kind; ``str()`` is a Chinese sentence for the person who typed it."""


class PlateColor(StrEnum):
    """Plate colours of JT/T 415, named as in the API."""

    BLUE = "blue"
    YELLOW = "yellow"
    BLACK = "black"
    WHITE = "white"
    GREEN = "green"
    FARM_YELLOW = "farm_yellow"
    FARM_GREEN = "farm_green"
    YELLOW_GREEN = "yellow_green"
    GRADIENT_GREEN = "gradient_green"
    OTHER = "other"

    @property
    def code(self) -> int:
        """The code of JT/T 415, as terminals send it."""
        return _COLOR_CODES[self]

    @classmethod
    def of_code(cls, code: int) -> PlateColor:
        """Return the colour of a JT/T 415 code.

        Raises ``InvalidIdentifier`` for a code that the standard does not know.
        """
        color = _COLORS_BY_CODE.get(code)
        if color is None:
            raise InvalidIdentifier("车牌颜色代码不在 JT/T 415 之列")
        return color


_FILLERS: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
"""Fillers and variation selectors: marks that show nothing and stand outside the category Cf."""
_PRIVATE_USE: Final = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]")


class PrivateUseCharacter(InvalidIdentifier):
    """The text has a private-use character.

    Old input methods put rare characters there, each under a number of its own.
    """

    def __init__(self, place: int) -> None:
        """Note the ``place`` of the character, counted from 1."""
        super().__init__(f"第 {place} 个字是输入法自造的字(Unicode 私用区),无法与登记核对,请换一种输入法重新输入这个字")
        self.place = place


def without_marks(text: str) -> str:
    """Remove marks that show nothing: zero-width ones, byte order marks, soft hyphens, directions."""
    return "".join(char for char in _FILLERS.sub("", text) if category(char) != "Cf")


def half_width(text: str) -> str:
    """Return NFKC of the text ``without_marks``."""
    return normalize("NFKC", without_marks(text))


def check_no_private_use(text: str) -> None:
    """Raise ``PrivateUseCharacter`` for a character that only the font of the person who typed it knows."""
    found = _PRIVATE_USE.search(text)
    if found is not None:
        raise PrivateUseCharacter(place=len(without_marks(text[: found.start()])) + 1)


_COLOR_CODES: Final = {
    PlateColor.BLUE: 1,
    PlateColor.YELLOW: 2,
    PlateColor.BLACK: 3,
    PlateColor.WHITE: 4,
    PlateColor.GREEN: 5,
    PlateColor.FARM_YELLOW: 91,
    PlateColor.FARM_GREEN: 92,
    PlateColor.YELLOW_GREEN: 93,
    PlateColor.GRADIENT_GREEN: 94,
    PlateColor.OTHER: 9,
}
_COLORS_BY_CODE: Final = {code: color for color, code in _COLOR_CODES.items()}

# GA 36: the letters I and O are not used after the second place; trailers, learners, police, Hong Kong, Macao and
# consulates end in a character of their own. New-energy plates have eight places, with the letter third or last.
# NY 345: plates of farm machines have the two digits of a prefecture where the others have a letter.
_PROVINCE: Final = "[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼]"
_PLATE: Final = re.compile(
    f"{_PROVINCE}(?:"
    "[A-HJ-Z](?:[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9挂学警港澳领]|[A-HJK][A-HJ-NP-Z0-9][0-9]{4}|[0-9]{5}[A-HJK])"
    "|[0-9]{2}[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9挂学])"
)
_PLATE_SEPARATORS: Final = re.compile("[-.·•‧∙⋅・●⸱⸳᛫ㆍ‐‑‒–—―−]")
_UNUSED_LETTERS: Final = re.compile(f"{_PROVINCE}.+[IO]")


def parse_plate_color(text: str) -> PlateColor:
    """Parse a colour by the API's words."""
    try:
        return PlateColor(text)
    except ValueError:
        raise InvalidIdentifier("车牌颜色不在可选范围内") from None


def parse_plate(text: str) -> str:
    """Parse a plate such as ``粤B12345``, ``粤BD12345``, ``粤B1234挂``, ``黑0112345``.

    The result has capitals, half width, no separators.
    """
    plate = part_of_plate(text)
    if _PLATE.fullmatch(plate):
        return plate
    if _UNUSED_LETTERS.match(plate):
        raise InvalidIdentifier("车牌号的序号中没有字母 I 和 O,请看是否应为数字 1 和 0")
    raise InvalidIdentifier("车牌号格式不正确")


def part_of_plate(text: str) -> str:
    """Parse any part of a plate into the form in which plates are stored, to search for it."""
    return _PLATE_SEPARATORS.sub("", _tidy(text))


_VIN: Final = re.compile("[A-HJ-NPR-Z0-9]{17}")
_VIN_VALUES: Final = dict(
    zip("0123456789ABCDEFGHJKLMNPRSTUVWXYZ", map(int, "012345678912345678123457923456789"), strict=True)
)
_VIN_WEIGHTS: Final = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_VIN_CHECK_PLACE: Final = 8


def parse_vin(text: str) -> str:
    """Parse seventeen characters without I, O and Q. Many VINs carry no check digit (see ``vin_check_digit_holds``)."""
    vin = _tidy(text)
    if not _VIN.fullmatch(vin):
        raise InvalidIdentifier("车辆识别代号(VIN)应为 17 位字母和数字,且不含 I、O、Q")
    return vin


def vin_check_digit_holds(vin: str) -> bool:
    """Tell whether the ninth place of a parsed VIN is the check digit of GB 16735 (ISO 3779)."""
    total = sum(weight * _VIN_VALUES[char] for weight, char in zip(_VIN_WEIGHTS, vin, strict=True))
    return vin[_VIN_CHECK_PLACE] == "0123456789X"[total % 11]


_CITIZEN_ID: Final = re.compile("[1-9][0-9]{16}[0-9X]")
_CITIZEN_ID_REGIONS: Final = frozenset(
    str(region)
    for first, last in ((11, 15), (21, 23), (31, 37), (41, 46), (50, 54), (61, 65), (71, 71), (81, 83), (91, 91))
    for region in range(first, last + 1)
)
_EARLIEST_BIRTH_YEAR: Final = 1880


def parse_citizen_id(text: str) -> str:
    """Parse eighteen places by GB 11643: region, a date that exists, and the check character."""
    citizen_id = _tidy(text)
    if not _CITIZEN_ID.fullmatch(citizen_id):
        raise InvalidIdentifier("身份证号应为 18 位")
    if citizen_id[:2] not in _CITIZEN_ID_REGIONS:
        raise InvalidIdentifier("身份证号的地区码不正确")
    try:
        born = date.fromisoformat(citizen_id[6:14])
    except ValueError:
        raise InvalidIdentifier("身份证号中的出生日期不正确") from None
    if born.year < _EARLIEST_BIRTH_YEAR:
        raise InvalidIdentifier("身份证号中的出生日期不正确")
    if citizen_id_check_char(citizen_id[:17]) != citizen_id[17]:
        raise InvalidIdentifier("身份证号校验位不正确,请检查是否输错")
    return citizen_id


def citizen_id_check_char(body: str) -> str:
    """Return the check character for the first seventeen digits (ISO 7064 MOD 11-2)."""
    return "10X98765432"[sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(body)) % 11]


_USCC_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_VALUES: Final = {char: value for value, char in enumerate(_USCC_ALPHABET)}
_USCC_WEIGHTS: Final = tuple(pow(3, place, 31) for place in range(17))
_USCC: Final = re.compile(f"[{_USCC_ALPHABET}]{{2}}[0-9]{{6}}[{_USCC_ALPHABET}]{{10}}")


def parse_uscc(text: str) -> str:
    """Parse eighteen places of the unified social credit code, by GB 32100, with its check character."""
    uscc = _tidy(text)
    if not _USCC.fullmatch(uscc):
        raise InvalidIdentifier("统一社会信用代码应为 18 位字母和数字")
    if uscc_check_char(uscc[:17]) != uscc[17]:
        raise InvalidIdentifier("统一社会信用代码校验位不正确,请检查是否输错")
    return uscc


def uscc_check_char(body: str) -> str:
    """Return the check character for the first seventeen places."""
    total = sum(_USCC_VALUES[char] * weight for char, weight in zip(body, _USCC_WEIGHTS, strict=True))
    return _USCC_ALPHABET[-total % 31]


_MOBILE_PHONE: Final = re.compile("1[3-9][0-9]{9}")
_PHONE_NOISE: Final = re.compile("[-‐‑‒–—―−()]")


def parse_mobile_phone(text: str) -> str:
    """Parse eleven digits of the mainland; a leading +86 is taken away."""
    phone = _PHONE_NOISE.sub("", _tidy(text))
    phone = phone.removeprefix("+86") if phone.startswith("+") else phone
    if not _MOBILE_PHONE.fullmatch(phone):
        raise InvalidIdentifier("手机号应为 11 位数字")
    return phone


_CERTIFICATE_NUMBER: Final = re.compile(r"[\w()\-/.]{1,40}")


def parse_certificate_number(text: str) -> str:
    """Parse a number as printed on a certificate; each province has a form of its own."""
    number = _tidy(text)
    if not _CERTIFICATE_NUMBER.fullmatch(number):
        raise InvalidIdentifier("证件号应为 1 到 40 位字母、数字或汉字")
    return number


def plate_masked(plate: str) -> str:
    """Mask as ``粤B***45``: enough for a reader who knows the truck."""
    return _masked(plate, head=2, tail=2)


def name_masked(name: str) -> str:
    """Mask as ``张**``: the first character stays, and the length."""
    return name[:1] + "*" * (len(name) - 1)


def phone_masked(phone: str) -> str:
    """Mask as ``138****5678``."""
    return _masked(phone, head=3, tail=4)


def certificate_number_masked(number: str) -> str:
    """Mask all but the last four places; of short numbers less than half stays."""
    return _masked(number, head=0, tail=min(4, max(0, len(number) - 1) // 2))


def _masked(text: str, *, head: int, tail: int) -> str:
    if len(text) <= head + tail:
        return "*" * len(text)
    return text[:head] + "*" * (len(text) - head - tail) + text[len(text) - tail :]


def _tidy(text: str) -> str:
    """Return the text in half width and capitals, without blanks. A long text is refused before any pattern sees it."""
    if len(text) > MAX_INPUT_CHARS:
        raise InvalidIdentifier("内容太长")
    check_no_private_use(text)
    return "".join(half_width(text).split()).upper()
