"""Failing tests are named while the run goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FAILS_THEN_HANGS = """
import time

def test_that_is_fine(): pass

def test_that_fails():
    assert 1 == 2

def test_that_never_ends():
    time.sleep(1000)
"""


@pytest.mark.parametrize("options", [(), ("-n", "1", "--dist", "worksteal")])
def test_a_run_that_is_cut_off_has_named_what_failed(tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "test_it.py").write_text(FAILS_THEN_HANGS)
    command = [sys.executable, "-m", "pytest", "-p", "tests.failures", "-p", "no:cacheprovider", "-c", "/dev/null"]
    running = subprocess.Popen(
        [*command, "--rootdir", str(tmp_path), *options, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert running.stdout is not None
    try:
        named = next((line for line in running.stdout if line.startswith("FAILED")), "")
        assert running.poll() is None
    finally:
        running.kill()
        running.wait()
        running.stdout.close()
    assert named == "FAILED test_it.py::test_that_fails (call): assert 1 == 2\n"
