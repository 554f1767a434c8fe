"""The cast: a few businesses, trucks, drivers and family members, and the registry's records of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from domain.identifiers import PlateColor, citizen_id_check_char, uscc_check_char
from domain.registry import vehicle_id
from persistence.registry.importing import Passwords, import_lines
from torture.machine import CHEAP
from torture.memory_store import Disk, MemoryStore
from torture.rules import Registry

BUSINESSES: Final = ("owner0", "owner1")
DRIVERS: Final = ("driver0", "driver1", "driver2")
FAMILY: Final = ("family0", "family1", "guest0")
"""The family members; the last has shown a phone and nothing else (R5)."""
PEOPLE: Final = (*DRIVERS, *FAMILY)
EVERYBODY: Final = (*PEOPLE, *BUSINESSES)
VEHICLES: Final = 13
"""The vehicles: more than a driver may bind in 12 months."""
TRUCKS: Final = 4
"""The number of vehicles that drive about."""
FAR: Final = "2099-01-01"
OTHER_PHONE: Final = "13700000000"


def _uscc(number: int) -> str:
    body = f"91420100MA{number:07d}"
    return body + uscc_check_char(body)


def plate(vehicle: int) -> str:
    return f"鄂A{vehicle:05d}"


def vehicle_key(vehicle: int) -> str:
    return vehicle_id(plate(vehicle), PlateColor.YELLOW)


def terminal(vehicle: int) -> str:
    return f"138{vehicle:08d}"


def phone(who: str) -> str:
    return f"139{EVERYBODY.index(who):08d}"


@dataclass(slots=True)
class Cast:
    """The registry as it is now; ``papers`` counts how often a vehicle's were replaced."""

    papers: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(VEHICLES), 0))
    limits: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(VEHICLES), 100))

    @property
    def registry(self) -> Registry:
        owners = {vehicle: BUSINESSES[vehicle % 2] for vehicle in range(VEHICLES)}
        return Registry(owners, dict(self.papers))

    def certificate(self, vehicle: int) -> str:
        return f"42{self.papers[vehicle]:04d}{vehicle:06d}"

    def vin(self, vehicle: int) -> str:
        return f"LZZ5ELND5HD{vehicle:06d}"

    def vehicle_line(self, vehicle: int) -> dict[str, Any]:
        return {
            "type": "vehicle",
            "plate": plate(vehicle),
            "plate_color": "yellow",
            "vin": self.vin(vehicle),
            "transport_cert_no": self.certificate(vehicle),
            "transport_cert_valid_until": FAR,
            "owner_uscc": _uscc(vehicle % 2),
            "terminal_phone": terminal(vehicle),
            "speed_limit_kmh": self.limits[vehicle],
        }

    def lines(self) -> list[dict[str, Any]]:
        businesses = [
            {
                "type": "business",
                "uscc": _uscc(number),
                "name": f"{name}公司",
                "username": name,
                "password": f"pw-{name}",
            }
            | {"operating_licence": {"number": f"4201{number:08d}", "valid_until": FAR}}
            for number, name in enumerate(BUSINESSES)
        ]
        people = [_person(who) for who in PEOPLE]
        return [*businesses, *people, *(self.vehicle_line(vehicle) for vehicle in range(VEHICLES))]


def citizen_id(who: str) -> str:
    body = f"42010119800101{EVERYBODY.index(who):03d}"
    return body + citizen_id_check_char(body)


def real_name(who: str) -> str:
    return f"张{'甲乙丙丁戊己庚辛'[EVERYBODY.index(who)]}"


def _person(who: str) -> dict[str, Any]:
    """Make a person.

    The registry knows the guest under another phone, so only a registration tells who that is (R2).
    """
    qualification = {"number": citizen_id(who), "valid_until": FAR}
    return {
        "type": "person",
        "real_name": real_name(who),
        "citizen_id": citizen_id(who),
        "phone": OTHER_PHONE if who == "guest0" else phone(who),
        "qualification": qualification if who in DRIVERS else None,
    }


async def load(disk: Disk, lines: list[dict[str, Any]]) -> None:
    """Load the registry as ``run.py import`` does beside a running service."""
    passwords = Passwords(CHEAP.hash, lambda known, plain: True)
    report = await import_lines(MemoryStore(disk), [msgspec.json.encode(line) for line in lines], passwords)
    assert not report.bad, report.bad


def sign_in_body(who: str, terms_version: str) -> dict[str, str]:
    """Return the body with which a person signs in."""
    if who in BUSINESSES:
        proof = {"kind": "legal", "username": who, "password": f"pw-{who}"}
    elif who == "guest0":
        proof = {"kind": "one_click", "phone_code": f"sandbox:{phone(who)}"}
    else:
        proof = {"kind": "natural", "wechat_code": f"sandbox:{phone(who)}"}
    return proof | {"terms_version": terms_version}
