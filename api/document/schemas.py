"""Describes a call's types to programs: msgspec's JSON Schema 2020-12, explained in Chinese and with examples."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from api.http.fields import FIELDS, Field

Schema = dict[str, Any]
"""A part of the document."""

_REF: Final = "#/components/schemas/"
_INSTANT: Final = re.compile(r"^(time|at|now)$|_at$")
_DAY: Final = re.compile(r"valid_until$|_due$")
_DEPTH: Final = 12
"""Depth limit of an example, should a type ever hold itself."""
_PLAIN: Final[Mapping[str, object]] = {
    "string": "…",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "object": {},
    "array": [],
}
_UNKNOWN: Final = Field("")


class Schemas:
    """The schemas of one document's types; each type is described once."""

    def __init__(self, kinds: Iterable[object]) -> None:
        unique = list(dict.fromkeys(kinds))
        schemas, components = msgspec.json.schema_components(
            unique, schema_hook=_anything, ref_template=f"{_REF}{{name}}"
        )
        self._schemas = dict(zip(unique, schemas, strict=True))
        self._components = {name: _told(component) for name, component in components.items()}

    def components(self) -> dict[str, Schema]:
        """Return the components by name."""
        return self._components

    def schema(self, kind: object) -> Schema:
        """Return the schema of one type, usually a reference."""
        return dict(self._schemas[kind])

    def fields(self, kind: object) -> tuple[dict[str, Schema], list[str]]:
        """Return the fields of a query's type, and the names of the required ones. A null field counts as left out."""
        component = self._resolved(self._schemas[kind])
        return {name: _present(field) for name, field in component["properties"].items()}, component["required"]

    def examples(self, kind: object) -> dict[str, Schema]:
        """Return one example for each form that the type can take."""
        schema = self._schemas[kind]
        ways = schema.get("anyOf", [schema])
        named = {way.get("$ref", _REF + "example").removeprefix(_REF): way for way in ways}
        return {name: {"value": self._example(way, "", _DEPTH)} for name, way in named.items()}

    def _resolved(self, schema: Schema) -> Schema:
        return self._components[schema["$ref"].removeprefix(_REF)] if "$ref" in schema else schema

    def _example(self, schema: Schema, name: str, depth: int) -> object:
        field = FIELDS.get(name or schema.get("$ref", "").removeprefix(_REF), _UNKNOWN)
        schema = self._resolved(schema)
        if depth == 0:
            return None
        match schema:
            case {"enum": choices}:
                return field.example if field.example in choices else choices[0]
            case {"properties": properties}:
                return {name: self._example(each, name, depth - 1) for name, each in properties.items()}
            case {"anyOf": [{"type": "string"}, {"type": "null"}]} if field.example is None:
                return None
            case {"anyOf": [first, *_]}:
                return self._example(first, name, depth - 1)
            case {"prefixItems": items} if not isinstance(field.example, list):
                return [self._example(each, "", depth - 1) for each in items]
            case {"items": dict() as item} if not isinstance(field.example, list):
                return [self._example(item, name, depth - 1)]
            case _:
                return _leaf(schema.get("type", ""), field.example)


def _leaf(kind: str, wanted: object) -> object:
    """Return the table's example, unless the same word means something else here."""
    plain = _PLAIN.get(kind)
    return wanted if type(wanted) is type(plain) else plain


def _anything(kind: type) -> Schema:
    """Describe ``object``: any value."""
    if kind is object:
        return {"description": "Anything."}
    raise NotImplementedError


def _told(component: Schema) -> Schema:
    """Add the descriptions: docstrings count as Markdown, and each field is explained by its name."""
    if "description" in component:
        component["description"] = component["description"].replace("``", "`")
    for name, schema in component.get("properties", {}).items():
        if name in FIELDS:
            schema.setdefault("description", FIELDS[name].told)
        for part in schema.get("anyOf", [schema]):
            if part.get("type") == "string":
                part.update(_format_of(name))
    return component


def _own(part: Schema) -> Schema:
    return {"description": part["description"]} if "description" in part else {}


def _format_of(name: str) -> Schema:
    if _INSTANT.search(name):
        return {"format": "date-time"}
    return {"format": "date"} if _DAY.search(name) else {}


def _present(schema: Schema) -> Schema:
    parts: list[Schema] = [part for part in schema.get("anyOf", []) if part != {"type": "null"}]
    if len(parts) != 1:
        return schema
    return parts[0] | _own(schema)
