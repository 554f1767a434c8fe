"""Tests that the house stands as it should, and that a planted violation of each check is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import house

ROOT = Path(__file__).parent.parent

Check = Callable[[Path], list[str]]


@pytest.fixture(scope="module", autouse=True)
def _other_tests_need_no_trees() -> Iterator[None]:
    yield
    house.parsed.cache_clear()


def planted(root: Path, files: dict[str, str]) -> Path:
    """A source tree of these files, each Python one with its docstring unless it brings its own first line."""
    for name, text in {"requirements.in": "aiohttp\n", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if not name.endswith(".py") else f'"""A module."""\n{text}', encoding="utf-8")
    return root


@pytest.mark.parametrize("check", house.CHECKS, ids=lambda check: check.__name__)
def test_our_house_stands(check: Check) -> None:
    assert check(ROOT) == []


@pytest.mark.parametrize("check", house.CHECKS, ids=lambda check: check.__name__)
def test_a_tidy_tree_passes(check: Check, tmp_path: Path) -> None:
    tidy = {
        "run.py": "import api.app\nimport settings\n",
        "settings.py": "import os\nHOST = os.environ.get('HOST')\n",
        "domain/vehicle/fix.py": "from math import cos\nLIMIT = 1\n",
        "persistence/store.py": "from domain.vehicle.fix import LIMIT\n",
        "actors/vehicles/vehicle.py": "from domain import fix\nfrom persistence.store import LIMIT\nfrom . import dice\n",
        "actors/dice.py": "import random\nfrom time import perf_counter\nDICE = random.Random(7)\n",
        "api/app.py": "import aiohttp\nfrom gateway.feed import rows\n\ntry:\n    rows()\nexcept Exception:\n    rows()\n    raise\n",
        "gateway/feed.py": "from domain.vehicle.fix import LIMIT\n\n\ndef rows() -> None: ...\n",
        "sim/truck.py": "from gateway.jt808.codec import frames, messages\nfrom gateway.jt808.codec.frames import escape\n",
        "gateway/jt808/codec/frames.py": "def escape() -> None: ...\n",
        "gateway/jt808/codec/messages.py": "from .frames import escape\n",
        "a.md": "[here](docs/b.md#what-is-here) `domain/vehicle`, `domain/vehicle/fix`, `api/app.py`, `fix.py`",
        "docs/b.md": "# What is here?\n[top](#what-is-here) [there](https://example.org) `actors/dice.Random` `api/app.py:app`",
        "requirements.txt": "aiohttp==1 \\\n    --hash=sha256:00\n",
    }
    assert check(planted(tmp_path, tidy)) == []


VIOLATIONS: list[tuple[Check, str, str]] = [
    (house.uphill_imports, "domain/a.py", "from actors import b"),
    (house.uphill_imports, "domain/a.py", "import persistence.b"),
    (house.uphill_imports, "domain/a.py", "def f() -> None:\n    from actors.b import c"),
    (
        house.uphill_imports,
        "domain/a.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from actors.b import C",
    ),
    (house.uphill_imports, "domain/a.py", "from ..actors import b"),
    (house.uphill_imports, "persistence/a.py", "from actors import b"),
    (house.uphill_imports, "gateway/a.py", "from persistence import sqlite"),
    (house.uphill_imports, "gateway/a.py", "from actors.b import C"),
    (house.uphill_imports, "actors/a.py", "from persistence.sqlite.store import Store"),
    (house.uphill_imports, "actors/a.py", "from gateway import b"),
    (house.uphill_imports, "actors/a.py", "import settings"),
    (house.uphill_imports, "api/a.py", "from gateway.jt808 import frames"),
    (house.uphill_imports, "sim/a.py", "from gateway.jt808.session import Session"),
    (house.uphill_imports, "sim/a.py", "from domain.vehicle.fix import Fix"),
    (house.uphill_imports, "sim/a.py", "import run"),
    (house.uphill_imports, "bench/a.py", "import run"),
    (house.uphill_imports, "settings.py", "import domain.vehicle.fix"),
    (house.uphill_imports, "cellar/a.py", "import math"),
    (house.wing_imports, "actors/system/a.py", "from actors.vehicles.vehicle import VehicleActor"),
    (house.wing_imports, "actors/vehicles/a.py", "import actors.people.person"),
    (house.wing_imports, "gateway/jt808/codec/a.py", "from gateway.jt808.session import Session"),
    (house.wing_imports, "gateway/jt808/codec/a.py", "from gateway import ingest"),
    (house.wing_imports, "api/http/a.py", "from api.sides import driver"),
    (house.wing_imports, "domain/cellar/a.py", "import math"),
    (house.impure_domain, "domain/a.py", "import aiohttp"),
    (house.impure_domain, "domain/a.py", "from time import time"),
    (house.impure_domain, "domain/a.py", "import os.path"),
    (house.undeclared_packages, "api/a.py", "import multidict"),
    (house.dynamic_imports, "actors/a.py", "import importlib\nimportlib.import_module('gateway.feed')"),
    (house.dynamic_imports, "actors/a.py", "from importlib import import_module\nimport_module('gateway.feed')"),
    (house.dynamic_imports, "actors/a.py", "__import__('gateway.feed')"),
    (house.stumbling_docstrings, "cellar/a.py", 'class A:\n    """One of them."""'),
    (house.stumbling_docstrings, "cellar/a.py", 'def f() -> None:\n    """Whether it\n    is so."""'),
    (house.stumbling_docstrings, "cellar/a.py", 'class A:\n    async def f(self) -> None:\n        """What f does."""'),
    (house.stumbling_docstrings, "cellar/a.py", 'class A:\n    x: int\n    """In seconds."""'),
    (house.stumbling_docstrings, "cellar/a.py", 'X = 1\n"""Of the standard."""'),
    (
        house.stumbling_docstrings,
        "tests/a.py",
        'def f() -> None:\n    """Hold it."""\n\n    def g() -> None:\n        """As f."""',
    ),
    (house.vague_names, "api/utils.py", ""),
    (house.vague_names, "api/helper.py", ""),
    (house.vague_names, "common/fix.py", ""),
    (house.vague_names, "services/fix.py", ""),
    (house.vague_names, "actors/manager.py", ""),
    (house.clocks_and_chance, "actors/a.py", "import time\nNOW = time.time()"),
    (house.clocks_and_chance, "actors/a.py", "from time import time\nNOW = time()"),
    (house.clocks_and_chance, "actors/a.py", "import time as t\nREAD = t.monotonic"),
    (house.clocks_and_chance, "domain/a.py", "from datetime import UTC, datetime\nNOW = datetime.now(UTC)"),
    (house.clocks_and_chance, "domain/a.py", "import datetime\nNOW = datetime.datetime.utcnow()"),
    (house.clocks_and_chance, "domain/a.py", "from datetime import date\nNOW = date.today()"),
    (house.clocks_and_chance, "actors/a.py", "import random\nX = random.random()"),
    (house.clocks_and_chance, "actors/a.py", "from random import choice\nX = choice('ab')"),
    (house.clocks_and_chance, "actors/a.py", "import random\nX = random.Random()"),
    (house.clocks_and_chance, "actors/a.py", "from uuid import uuid4\nX = uuid4()"),
    (house.clocks_and_chance, "actors/a.py", "import secrets\nX = secrets.token_hex(8)"),
    (house.environment_readers, "run.py", "import os\nX = os.environ['X']"),
    (house.environment_readers, "api/a.py", "from os import environ\nX = environ.get('X')"),
    (house.environment_readers, "bench/a.py", "from os import getenv\nX = getenv('X')"),
    (house.blanket_handlers, "api/a.py", "try:\n    pass\nexcept Exception:\n    pass"),
    (house.blanket_handlers, "api/a.py", "try:\n    pass\nexcept (ValueError, BaseException) as e:\n    print(e)"),
    (house.blanket_handlers, "api/a.py", "try:\n    pass\nexcept:\n    pass"),
    (house.long_files, "api/a.py", "X = 1\n" * 501),
    (house.long_functions, "tests/a.py", "def f() -> None:\n" + "    print()\n" * 60),
    (house.unfinished_work, "api/a.py", "# TO" + "DO: later"),
    (house.unfinished_work, "docs/a.md", "FIX" + "ME"),
    (house.machine_paths, "api/a.py", "X = '/work/main/data'"),
    (house.machine_paths, "Makefile", "all:\n\tls /root"),
    (house.machine_paths, "api/a.py", "X = '/tmp/x'"),
    (house.machine_paths, ".ci/run", "cd /home/me/clone"),
    (house.missing_paths, "docs/a.md", "`domain/b/c.py`"),
    (house.missing_paths, "docs/a.md", "`domain/c.Rule`"),
    (house.missing_paths, "a.md", "`test_of_nothing.py`"),
    (house.missing_paths, "docs/rules.md", "`domain/c.py:rule`"),
    (house.dead_links, "docs/a.md", "[no](b.md)"),
    (house.dead_links, "docs/a.md", "# Here\n[no](#there)"),
    (house.addresses_in_locks, "requirements.txt", "--index-url https://example.org/simple\n"),
    (house.addresses_in_locks, "web/package-lock.json", '"resolved": "https://example.org/vue.tgz"\n'),
    (house.addresses_in_locks, "web/.npmrc", "registry=https://example.org\n"),
]


@pytest.mark.parametrize(
    "check,name,text",
    VIOLATIONS,
    ids=[f"{check.__name__}-{name}-{number}" for number, (check, name, _) in enumerate(VIOLATIONS)],
)
def test_a_planted_violation_is_found(check: Check, name: str, text: str, tmp_path: Path) -> None:
    # Rooms are known by what stands in them, so each needs a file for an import to be an import of ours.
    empty = {f"{room}/b.py": "" for room in house.WALLS if room != "settings"}
    root = planted(tmp_path, {**empty, "settings.py": "", "run.py": "", name: text})
    assert any(name in finding for finding in check(root))


def test_a_module_without_a_docstring_is_found(tmp_path: Path) -> None:
    root = planted(tmp_path, {"api/a.py": ""})
    (root / "api/b.py").write_text("X = 1\n", encoding="utf-8")
    assert house.missing_docstrings(root) == ["api/b.py: no docstring"]


@pytest.mark.parametrize("name", ["cellar/a.py", "tests/a.py"])
@pytest.mark.parametrize("text", ["Which way?", "Holds a way. Which?", "Which\nway? This one.", "Of a way."])
def test_a_module_that_asks_or_has_no_subject_is_found(name: str, text: str, tmp_path: Path) -> None:
    root = planted(tmp_path, {})
    path = root / name
    path.parent.mkdir()
    path.write_text(f'"""{text}"""\n', encoding="utf-8")
    assert [finding for finding in house.stumbling_docstrings(root) if name in finding]


def test_a_question_within_code_is_no_question(tmp_path: Path) -> None:
    root = planted(tmp_path, {})
    (root / "cellar.py").write_text('"""Answers ``GET /fixes?\nafter=7``.\n\nWhy? Because."""\n', encoding="utf-8")
    assert house.stumbling_docstrings(root) == []


def test_a_handler_that_is_allowed_but_gone_is_found(tmp_path: Path) -> None:
    path = next(iter(house.ALLOWED_BLANKET_HANDLERS))
    assert [finding for finding in house.blanket_handlers(planted(tmp_path, {path: ""})) if path in finding]


def test_what_may_catch_everything_is_there() -> None:
    assert [path for path in house.ALLOWED_BLANKET_HANDLERS if not (ROOT / path).is_file()] == []
