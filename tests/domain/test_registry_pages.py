"""The pages about the registry file, in both languages, say what the import says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

from domain.registry import FORMS, parse_line

DOCS: Final = Path(__file__).parents[2] / "docs"
PAGES: Final = (DOCS / "registry.md", DOCS / "zh" / "registry.md")


def fields_of(page: Path) -> dict[str, str]:
    """Field → what the page says that it must be."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| (.+) \|$", page.read_text("utf-8"), re.MULTILINE)
    return dict(rows)


@pytest.mark.parametrize("page", PAGES, ids=["en", "zh"])
def test_every_line_of_the_example_is_good_and_every_type_has_one(page: Path) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    lines = [json.loads(line) for line in example.splitlines()]
    assert [line["type"] for line in lines] == ["business", "vehicle", "person"]
    for line in lines:
        parse_line(line)


def test_the_page_says_what_an_import_says() -> None:
    said = {field: form for field, form in FORMS.items() if field != "line"}
    assert said.items() <= fields_of(PAGES[0]).items()


def test_both_pages_list_the_same_fields() -> None:
    assert FORMS.keys() - {"line"} <= fields_of(PAGES[1]).keys()
