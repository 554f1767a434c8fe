"""Turns records of stores of format 1 into the present ones.

Format 1 changed under way without its number being raised: so each is recognised by its shape, and one that has the
present shape stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from domain.identifiers import certificate_number_masked
from domain.vehicle.profile import DEFAULT_PROFILE

VEHICLE: Final = "registry.vehicle"

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder()
_FIELDS_OF_STATE: Final = 20


def batch(entry: bytes) -> bytes:
    """Drop a fourth part, meant for alarm bits above the 63rd: there never were any."""
    parts = _DECODER.decode(entry)
    return _ENCODER.encode(parts[:3]) if len(parts) == 4 else entry


def state(record: bytes, vehicle: bytes | None) -> bytes:
    """Add the speed limit, which a vehicle's state did not have: the registry's held, which ``vehicle`` is the record
    of.
    """
    version, fields = _DECODER.decode(record)
    if len(fields) != _FIELDS_OF_STATE:
        return record
    limit_kmh = _DECODER.decode(vehicle)[1]["speed_limit_kmh"] if vehicle else DEFAULT_PROFILE.speed_limit_kmh
    return _ENCODER.encode((version, [*fields, limit_kmh * 10]))


def _audit(fields: dict[str, Any]) -> None:
    """Let several accounts see a record, not one."""
    if "account_id" in fields:
        fields["account_ids"] = [fields.pop("account_id")]


def _person(fields: dict[str, Any]) -> None:
    """Mask the certificate's number, which was kept whole and in life is the holder's citizen ID."""
    if fields["qualification"]:
        fields["qualification"]["number"] = certificate_number_masked(fields["qualification"]["number"])


_CHANGES: Final[Mapping[str, Callable[[dict[str, Any]], None]]] = {"audit": _audit, "registry.person": _person}


def document(kind: str, record: bytes) -> bytes:
    """Return the present record of a document of this kind."""
    if kind not in _CHANGES:
        return record
    version, fields = _DECODER.decode(record)
    _CHANGES[kind](fields)
    return _ENCODER.encode((version, fields))
