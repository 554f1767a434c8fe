"""The fields of JT/T 808: times in BCD, digits, and texts in GBK."""

from __future__ import annotations

from datetime import UTC, datetime, timezone
from typing import Final

from domain.civil_time import CHINA_OFFSET_S, CHINA_TIME

_UNREADABLE: Final = -(1 << 40)
"""The term that an impossible hour, minute or second adds: it makes every sum negative."""
_HOURS_REMEMBERED: Final = 4096

_hours: dict[int, int] = {}
"""``YYMMDDhh`` as four BCD bytes → its first Unix second. A fleet reports in few different hours."""


def _bcd_digits(byte: int) -> int:
    """Return the two digits of a BCD byte, or a number far below zero."""
    tens, units = divmod(byte, 16)
    return tens * 10 + units if tens < 10 and units < 10 else _UNREADABLE


_SECONDS: Final = tuple(value if 0 <= value < 60 else _UNREADABLE for value in map(_bcd_digits, range(256)))
_MINUTES: Final = tuple(value * 60 for value in _SECONDS)


def _hour_start(word: int) -> int:
    """Work one hour out and remember it, an impossible one too; the memory is emptied before it grows too big."""
    year, month, day, hour = (_bcd_digits(byte) for byte in word.to_bytes(4, "big"))
    try:
        start = int(datetime(2000 + year, month, day, hour, tzinfo=UTC).timestamp()) - CHINA_OFFSET_S
    except (ValueError, OverflowError):
        start = _UNREADABLE
    if len(_hours) >= _HOURS_REMEMBERED:
        _hours.clear()
    _hours[word] = start
    return start


def unix_from_bcd(hour_word: int, minute: int, second: int) -> int:
    """Return Unix seconds of ``YYMMDDhh`` (a DWORD), ``mm`` and ``ss``, in China's time; negative if impossible."""
    start = _hours.get(hour_word)
    if start is None:
        start = _hour_start(hour_word)
    return start + _MINUTES[minute] + _SECONDS[second]


def unix_from_bcd6(raw: bytes) -> int | None:
    """Return Unix seconds of a BCD[6] time, or None for an impossible time."""
    at = unix_from_bcd(int.from_bytes(raw[:4], "big"), raw[4], raw[5])
    return at if at >= 0 else None


def bcd6_from_unix(at: float, zone: timezone = CHINA_TIME) -> bytes:
    """Return a BCD[6] time, ``YYMMDDhhmmss``."""
    return bytes.fromhex(datetime.fromtimestamp(int(at), zone).strftime("%y%m%d%H%M%S"))


def text(raw: bytes) -> str:
    """Decode a GBK text without the NULs and blanks around it; unreadable bytes become U+FFFD."""
    return raw.strip(b"\0 ").decode("gbk", "replace")


_PLATE_BEGINS: Final = frozenset("京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼")


def plate_text(raw: bytes) -> str:
    """Decode a plate: GBK, unless it only makes sense as UTF-8."""
    stripped = raw.strip(b"\0 ")
    try:
        modern = stripped.decode("utf-8")
    except UnicodeDecodeError:
        modern = ""
    return modern if modern[:1] in _PLATE_BEGINS and modern else text(stripped)


def padded(value: str, size: int, pad: bytes = b"\0") -> bytes:
    """Encode a GBK text for a field of fixed size, cut or padded on the right."""
    return value.encode("gbk", "replace")[:size].ljust(size, pad)
