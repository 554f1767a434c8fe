"""The part of a map that a caller looks at."""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from actors.vehicles.fleet_grid import Box
from domain.errors import InvalidInput

DEFAULT_LIMIT: Final = 1_000
MAX_LIMIT: Final = 2_000
_DEGREES: Final = r"-?\d{1,3}(?:\.\d{1,9})?"
_BOX: Final = re.compile(",".join([f"({_DEGREES})"] * 4))

BoxText = Annotated[str, Meta(max_length=80)]
Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT)]


class Viewport(msgspec.Struct, frozen=True):
    """The query of a map."""

    bbox: BoxText
    """West, south, east, north, in degrees (WGS-84)."""
    limit: Limit = DEFAULT_LIMIT
    """The number of vehicles above which clusters are returned instead."""


def box_of(text: str) -> Box:
    """Parse a box. Raises ``InvalidInput``."""
    found = _BOX.fullmatch(text)
    if found is None:
        raise InvalidInput(("bbox", "应为 西,南,东,北，单位为度"))
    west, south, east, north = (round(float(degrees) * 1e6) for degrees in found.groups())
    if not (-180_000_000 <= west < east <= 180_000_000 and -90_000_000 <= south < north <= 90_000_000):
        raise InvalidInput(("bbox", "应为 西,南,东,北：西小于东，南小于北"))
    return Box(west, south, east, north)
