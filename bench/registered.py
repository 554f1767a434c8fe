"""Fills a store with millions of registered vehicles, written directly to save the minutes of an import."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Final

from bench.load import phone
from bench.subject import OWNER, plate, vin
from domain.identifiers import PlateColor
from domain.registry import RegisteredVehicle
from persistence.registry.documents import VEHICLE, Ref, claims_of, put_claim, put_registrant
from persistence.registry.lookups import registry_keys
from persistence.sqlite.file import connect_writer
from persistence.sqlite.store import SqliteStore
from persistence.sqlite.writes import write_documents
from persistence.store import Put

A_COMMIT: Final = 50_000
HASTE: Final = ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "PRAGMA cache_size=-4000000")
"""Keys come in random order, so that every commit touches the whole file; losing the file does not matter."""


def registered(number: int) -> RegisteredVehicle:
    valid = date(2035, 12, 31)
    color, certificate = PlateColor.YELLOW, f"{110_000_000_000 + number}"
    return RegisteredVehicle(
        plate(number), color, vin(number), certificate, valid, valid, OWNER, phone(number), needs_auth=False
    )


async def register(path: Path, vehicles: int) -> list[str]:
    """Write the vehicles; return their keys, by number."""
    store = await SqliteStore.open(path)
    keyed = await registry_keys(store)
    await store.close()
    keys = []
    with closing(connect_writer(path)) as connection:
        for haste in HASTE:
            connection.execute(haste)
        for first in range(0, vehicles, A_COMMIT):
            writes: list[Put] = []
            for number in range(first, min(first + A_COMMIT, vehicles)):
                vehicle = registered(number)
                keys.append(vehicle.id)
                writes.append(put_registrant(Ref(VEHICLE, vehicle.id), vehicle, revision=1))
                writes += [put_claim(ref, claim) for ref, claim in claims_of(vehicle, keyed).items()]
            connection.execute("BEGIN")
            write_documents(writes, connection)
            connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode=WAL")
    return keys
