"""Every rule has a test, and the page that says where each rule lives is true."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = ROOT / "docs" / "rules.md"
ACCEPTANCE: Final = ROOT / "tests" / "acceptance"
SPEC: Final = ROOT.parent / "shared" / "spec"
"""The rules themselves, where they are at hand."""

NOT_BUILT: Final = "## Not built yet"
RULE: Final = re.compile(r"^\| (R[0-9]+) \|", re.MULTILINE)
FUNCTION: Final = re.compile(r"`([a-z_0-9/]+\.py):([A-Za-z_.]+)`")
TEST: Final = re.compile(r"`(test_\w+)`")
RULE_OF_TEST: Final = re.compile(r"test_r0*([1-9][0-9]*)_")


def defined(file: Path) -> set[str]:
    """The names of a module's functions and classes; of a class's functions with the class before."""
    return set(_names(ast.parse(file.read_text("utf-8"))))


def _names(node: ast.Module | ast.ClassDef) -> Iterator[str]:
    for each in node.body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield each.name
        if isinstance(each, ast.ClassDef):
            yield from (f"{each.name}.{name}" for name in _names(each))


def acceptance_tests(folder: Path) -> set[str]:
    names = (name for file in folder.glob("test_*.py") for name in defined(file))
    return {name for name in names if name.startswith("test_")}


def rules_of(page: str) -> list[str]:
    return RULE.findall(page)


def not_built(page: str) -> list[str]:
    """The rules that the page admits are missing."""
    return re.findall(r"\bR[0-9]+\b", page.partition(NOT_BUILT)[2])


def rows_of(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| ---")]


def without_a_test(rules: list[str], tests: set[str]) -> list[str]:
    shown = {f"R{match[1]}" for match in map(RULE_OF_TEST.match, tests) if match}
    return [rule for rule in rules if rule not in shown]


def untrue(page: str, root: Path, tests: set[str]) -> list[str]:
    """List a page's names that do not exist, and its rows that name nothing."""
    found = [f"{path}:{name}" for path, name in FUNCTION.findall(page) if not _is_there(root / path, name)]
    found += [name for name in TEST.findall(page) if name not in tests]
    for row in rows_of(page):
        is_rule = RULE.match(row)
        if (is_rule or "`test_" in row) and not TEST.search(row):
            found.append(f"no test: {row}")
        if is_rule and not FUNCTION.search(row):
            found.append(f"no function: {row}")
    return found


def _is_there(file: Path, name: str) -> bool:
    return file.is_file() and name in defined(file)


def test_every_rule_has_a_test_of_its_number() -> None:
    rules = rules_of(PAGE.read_text("utf-8"))
    assert len(rules) == len(set(rules)) > 30
    assert without_a_test(rules, acceptance_tests(ACCEPTANCE)) == []


def test_no_test_is_of_a_rule_that_does_not_exist() -> None:
    rules = set(rules_of(PAGE.read_text("utf-8")))
    numbers = {f"R{match[1]}" for match in map(RULE_OF_TEST.match, acceptance_tests(ACCEPTANCE)) if match}
    assert numbers <= rules


def test_the_page_names_only_what_exists() -> None:
    assert untrue(PAGE.read_text("utf-8"), ROOT, acceptance_tests(ACCEPTANCE)) == []


@pytest.mark.skipif(not (SPEC / "rules.md").is_file(), reason="the rules are not at hand here")
def test_the_page_lists_the_rules_there_are() -> None:
    theirs = rules_of((SPEC / "rules.md").read_text("utf-8"))
    page = PAGE.read_text("utf-8")
    assert sorted(rules_of(page) + not_built(page)) == sorted(theirs)


@pytest.mark.skipif(not (SPEC / "api.md").is_file(), reason="the contract is not at hand here")
def test_the_page_lists_the_settled_readings_there_are() -> None:
    _, _, settled = (SPEC / "api.md").read_text("utf-8").partition("## Settled readings")
    begins = [
        re.split(r"\*\*:|\*\*|:| counts| is ", line[2:].lstrip("*"))[0]
        for line in settled.splitlines()
        if line.startswith("- ")
    ]
    listed = {row.split(" | ")[0].removeprefix("| ") for row in rows_of(PAGE.read_text("utf-8"))}
    assert len(begins) >= 15
    assert [each for each in begins if each not in listed] == []


# -- would we notice? --------------------------------------------------------------------------------------------------


def test_a_rule_that_is_not_built_is_read_from_its_own_section_only() -> None:
    assert not_built("| R1 | x |\nR2") == []
    assert not_built(f"| R1 | x |\n{NOT_BUILT}\n\n- R70 R71: days") == ["R70", "R71"]


def test_a_rule_without_a_test_is_found() -> None:
    assert without_a_test(["R1", "R10"], {"test_r10_x", "test_r100_x", "test_x_r1_y"}) == ["R1"]
    assert without_a_test(["R1"], {"test_r01_x"}) == []


def test_what_a_page_only_claims_is_found(tmp_path: Path) -> None:
    (tmp_path / "domain").mkdir()
    (tmp_path / "domain/a.py").write_text("class A:\n    def b(self) -> None: ...\n", encoding="utf-8")
    good = "| R1 | x | `domain/a.py:A.b` | `test_r1_x` |"
    assert untrue(good, tmp_path, {"test_r1_x"}) == []
    for wrong in ("domain/a.py:A.c", "domain/a.py:b", "domain/b.py:A"):
        assert untrue(good.replace("domain/a.py:A.b", wrong), tmp_path, {"test_r1_x"}) == [wrong]
    assert untrue(good, tmp_path, set()) == ["test_r1_x"]
    assert len(untrue("| R1 | x | | |", tmp_path, set())) == 2
