"""The calls in the published document, so that a new call is attacked without further work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

JSON: Final = "application/json"
_PLACE: Final = re.compile(r"\{(\w+)\}")

Body = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """A call of the document."""

    method: str
    path: str
    told: Body
    document: Body

    @property
    def name(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def places(self) -> list[str]:
        """The names of the ids in its path."""
        return _PLACE.findall(self.path)

    def parameters(self, place: str) -> list[str]:
        """Names of those in ``query`` or ``header``."""
        found = (resolved(self.document, each) for each in self.told["parameters"])
        return [each["name"] for each in found if each["in"] == place]

    @property
    def bodies(self) -> list[Body]:
        """The examples of JSON bodies, one for each form."""
        content = self.told.get("requestBody", {}).get("content", {})
        return [each["value"] for each in content.get(JSON, {}).get("examples", {}).values()]


def operations(document: Body) -> Iterator[Operation]:
    """Every call, in the order of the document."""
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            yield Operation(method, path, told, document)


def resolved(document: Body, part: Body) -> Body:
    """Return the target of a reference."""
    found = document
    for step in part["$ref"].removeprefix("#/").split("/") if "$ref" in part else ():
        found = found[step]
    return found if "$ref" in part else part
