"""Handles tests whose program is not installed. The Makefile's ``tools`` installs the programs."""

from __future__ import annotations

import os
import shutil

import pytest


def needs(program: str, *, package: str = "") -> None:
    """Skips the test without this program; where everything must be tested (``CI=true``), that is a failure."""
    if shutil.which(program) is not None:
        return
    say = f"{program} is missing: install it, for example with `make tools` or `apt-get install {package or program}`"
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(say)
    pytest.skip(say)
