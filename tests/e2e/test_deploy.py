"""The examples under deploy/ are accepted by the programs that read them, and name only what the service has."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import pytest

from commands.arguments import known_variables
from settings import PLAIN_NAMES
from tests.e2e.processes import RUN, Yard
from tests.patience import PATIENCE_S
from tests.programs import needs

ROOT: Final = RUN.parent
DEPLOY: Final = ROOT / "deploy"
CHECK: Final = Path(sys.executable).parent / "check-jsonschema"
VARIABLE: Final = re.compile(r"\b(SHOUWANG_[A-Z0-9_]+|FEED_KEY|OPS_KEY|WECHAT_[A-Z]+)\b")
METRIC: Final = re.compile(r"\bshouwang_[a-z0-9_]+")
EXAMPLES: Final = sorted(path for path in DEPLOY.rglob("*") if path.is_file())


def accepted(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """The files stand where they would on a server, with our Python as theirs."""
    needs("systemd-analyze", package="systemd")
    installed = tmp_path / "opt/shouwang"
    (installed / ".venv/bin").mkdir(parents=True)
    (installed / ".venv/bin/python").symlink_to(sys.executable)
    units = []
    for unit in DEPLOY.glob("systemd/shouwang*.*"):
        if unit.suffix in (".service", ".timer"):
            text = unit.read_text("utf-8").replace("/opt/shouwang", str(installed))
            units.append(tmp_path / unit.name)
            units[-1].write_text(text, "utf-8")
    assert len(units) == 3
    said = accepted("systemd-analyze", "verify", "--man=no", *units)
    assert not [line for line in said.splitlines() if "shouwang" in line]


def test_systemd_would_find_a_mistake(tmp_path: Path) -> None:
    needs("systemd-analyze", package="systemd")
    wrong = tmp_path / "wrong.service"
    wrong.write_text("[Service]\nExecStart=nowhere\n", "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", wrong], capture_output=True, check=False)
    assert done.returncode


def test_prometheus_accepts_the_scraping_and_the_alerts(tmp_path: Path) -> None:
    needs("promtool", package="prometheus")
    folder = shutil.copytree(DEPLOY / "prometheus", tmp_path / "prometheus")
    (folder / "ops-key").write_text("a-key-of-sixteen-characters")
    accepted("promtool", "check", "config", "prometheus.yml", cwd=folder)
    accepted("promtool", "check", "rules", "shouwang.rules.yml", cwd=folder)


def test_the_alerts_name_metrics_that_there_are(empty_yard: Yard) -> None:
    with urlopen(f"http://{empty_yard.serves().http}/metrics", timeout=PATIENCE_S) as answer:
        there = set(METRIC.findall(answer.read().decode()))
    named = set(METRIC.findall((DEPLOY / "prometheus/shouwang.rules.yml").read_text("utf-8")))
    assert named
    assert named - there == set()


def test_the_compose_file_is_one(tmp_path: Path) -> None:
    check = (CHECK, "--builtin-schema", "vendor.compose-spec")
    compose = DEPLOY / "container/compose.yaml"
    accepted(*check, compose)
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(compose.read_text("utf-8").replace("    ports:", "    prots:"), "utf-8")
    assert subprocess.run([*check, wrong], capture_output=True, check=False).returncode


def test_the_compose_files_variables_stand_in_the_example() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)", (DEPLOY / "container/compose.yaml").read_text("utf-8")))
    example = (DEPLOY / "container/.env.example").read_text("utf-8")
    assert asked == set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_an_example_names_only_settings_that_there_are(example: Path) -> None:
    known = known_variables() | set(PLAIN_NAMES)
    assert set(VARIABLE.findall(example.read_text("utf-8"))) - known == set()


def test_the_image_is_made_of_what_there_is() -> None:
    recipe = (DEPLOY / "container/Dockerfile").read_text("utf-8")
    targets = re.findall(r"^RUN make ([a-z ]+)", recipe, re.MULTILINE)[0].split()
    assert {f"{target}:" for target in targets} <= set(
        re.findall(r"^[a-z]+:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    )
    assert all((ROOT / name).is_file() and name in recipe for name in ("requirements.txt", "run.py"))
