"""China's civil time for the simulator, which knows nothing of the service's rules."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Final

DAY_S: Final = 86_400
CHINA_S: Final = 8 * 3600
CHINA_TIME: Final = timezone(timedelta(seconds=CHINA_S))
