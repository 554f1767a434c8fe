"""The longest that tests wait for what must come: enough for the slowest machine, since no test waits where all is well."""

from __future__ import annotations

from typing import Final

PATIENCE_S: Final = 100.0
