"""How long tests wait for what must come. Nobody waits where all is well, so it is long enough for the slowest machine."""

from __future__ import annotations

from typing import Final

PATIENCE_S: Final = 100.0
