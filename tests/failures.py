"""A pytest plugin that names each test that fails in the moment in which it does: a run that is cut off has told them."""

from __future__ import annotations

from typing import Final

import pytest
from _pytest.terminal import TerminalReporter

WHY_CHARS: Final = 160
"""The characters shown of a reason; the whole comes at the end of the run."""


class FailuresAtOnce:
    """Only dots are written else, and the names at the very end."""

    def __init__(self, terminal: TerminalReporter) -> None:
        self._terminal = terminal

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.failed or self._terminal.verbosity > 0:  # A verbose run names each test anyway.
            return
        crash = getattr(report.longrepr, "reprcrash", None)
        why = f": {crash.message.splitlines()[0][:WHY_CHARS]}" if crash is not None and crash.message else ""
        self._terminal.ensure_newline()
        self._terminal.line(f"\nFAILED {report.nodeid} ({report.when}){why}", red=True)
        self._terminal.flush()


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register in the process that has a terminal: in a parallel run, the one above the workers."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailuresAtOnce(terminal))
