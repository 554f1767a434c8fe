"""The service statement that every user accepts before sign-in (R1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("terms.zh.txt")
_MARK: Final = "版本："


@dataclass(frozen=True, slots=True)
class Terms:
    """The statement. A user who accepted another version must accept again."""

    version: str
    text: str


def read_terms(path: Path = FILE) -> Terms:
    """Read the statement; its second line names the version. Raises ``ValueError`` when it does not."""
    text = path.read_text(encoding="utf-8").strip()
    lines = text.splitlines()
    if len(lines) < 2 or not lines[1].startswith(_MARK):
        raise ValueError(f"{path.name}: the second line must say {_MARK}...")
    return Terms(lines[1].removeprefix(_MARK).strip(), text)
