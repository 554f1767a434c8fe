"""The fleet's vehicles, owners and drivers, as lines of the transport registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Final

from sim.habits import limit_kmh

VEHICLES_PER_BUSINESS: Final = 200
VEHICLES_PER_DRIVER: Final = 10
_PLATE_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_PROVINCES: Final = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云陕甘青宁新"
_DIVISIONS: Final = ("110101", "130102", "320102", "330106", "370102", "410105", "430102", "440103", "510104", "610103")
_SURNAMES: Final = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN: Final = "伟强磊军洋勇杰涛明超刚平辉鹏华飞鑫波斌宇"
_TOWNS: Final = ("长河", "北辰", "通达", "顺安", "鸿运", "万里", "远方", "平川", "金桥", "兴隆")
_TRADES: Final = ("物流", "运输", "货运", "供应链")
_MAKERS: Final = ("LFW", "LGA", "LZZ", "LRD", "LGG", "LZG")
_PLATE_SPACE: Final = len(_PLATE_LETTERS) * 100_000
_STRIDE: Final = 1_234_577
"""Prime to the sizes of the spaces it walks through, so that no two vehicles of a fleet meet."""

_VIN_VALUES: Final = dict(
    zip("0123456789ABCDEFGHJKLMNPRSTUVWXYZ", (*range(10), *range(1, 9), *range(1, 6), 7, 9, *range(2, 10)), strict=True)
)
_VIN_WEIGHTS: Final = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_USCC_LETTERS: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_ORGANISATION_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)
_CITIZEN_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@dataclass(frozen=True, slots=True)
class Identity:
    """The identifiers of a vehicle and its terminal; unique within a seed's fleet of up to 2.4 million."""

    plate: str
    plate_color: str
    vin: str
    transport_cert_no: str
    phone: str


@dataclass(frozen=True, slots=True)
class Business:
    """An owner of vehicles, and its credentials."""

    uscc: str
    name: str
    username: str
    password: str


def identity(seed: int, index: int) -> Identity:
    """Return truck ``index`` of this seed's fleet."""
    number = _number(seed, index, _PLATE_SPACE)
    letter, digits = divmod(number, 100_000)
    rng = Random(f"{seed}/identity/{index}")
    province = rng.choice(_PROVINCES)
    return Identity(
        plate=f"{province}{_PLATE_LETTERS[letter]}{digits:05d}",
        plate_color="yellow",
        vin=_vin(rng, number),
        transport_cert_no=f"{_number(seed, index, 10**12):012d}",
        phone=f"14{_number(seed, index, 10**9):09d}",
    )


def business(seed: int, number: int) -> Business:
    """Return owner ``number`` of this seed's fleet; it owns 200 vehicles in a row."""
    rng = Random(f"{seed}/business/{number}")
    name = f"{rng.choice(_TOWNS)}{rng.choice(_TOWNS)}{rng.choice(_TRADES)}有限公司"
    secret = sha256(f"{seed}/password/{number}".encode()).hexdigest()[:12]
    return Business(_uscc(seed, number), name, f"fleet{seed}-owner{number}", f"sandbox-{secret}")


@dataclass(frozen=True, slots=True)
class Person:
    """A natural person, and the phone that signs in with the sandbox."""

    real_name: str
    citizen_id: str
    phone: str


def driver(seed: int, number: int) -> Person:
    """Return driver ``number`` of this seed's fleet, who may bind any truck whose papers are at hand."""
    return _person(f"{seed}/person/{number}", order=_number(seed, number, 500), phone=_number(seed, number, 10**9))


def family_member(seed: int) -> Person:
    """Return the family member, registered and without a qualification."""
    number = _number(seed, 0, 10**8)
    return _person(f"{seed}/family", order=number % 500, phone=5 * 10**8 + number, network="13")


def business_of(index: int) -> int:
    """Return the number of the owner of truck ``index``."""
    return index // VEHICLES_PER_BUSINESS


def businesses(seed: int, vehicles: int) -> list[Business]:
    """List all owners of a fleet of this size."""
    return [business(seed, number) for number in range(business_of(max(vehicles, 1) - 1) + 1)]


def lines(seed: int, vehicles: int, *, year: int) -> Iterator[str]:
    """Yield the registry file's lines: owners, vehicles, a driver for every tenth, and a family member.

    The certificates are valid for years from ``year``.
    """
    for owner in businesses(seed, vehicles):
        yield _line(_business_entry(seed, owner, year))
    for index in range(vehicles):
        yield _line(_vehicle_entry(seed, index, year))
    for number in range(max(1, vehicles // VEHICLES_PER_DRIVER)):
        person = driver(seed, number)
        yield _line(_person_entry(person, _qualification(seed, number, person, year)))
    yield _line(_person_entry(family_member(seed), None))


def write(path: Path, *, seed: int, vehicles: int, year: int) -> int:
    """Write the registry file and return its number of lines. Raises ``OSError``."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for line in lines(seed, vehicles, year=year):
            file.write(line + "\n")
            count += 1
    return count


def _line(entry: dict[str, object]) -> str:
    return json.dumps(entry, ensure_ascii=False)


def _business_entry(seed: int, owner: Business, year: int) -> dict[str, object]:
    rng = Random(f"{seed}/licence/{owner.uscc}")
    return {
        "type": "business",
        "uscc": owner.uscc,
        "name": owner.name,
        "username": owner.username,
        "password": owner.password,
        "operating_licence": {"number": f"{rng.randrange(10**12):012d}", "valid_until": _day(rng, year)},
    }


def _vehicle_entry(seed: int, index: int, year: int) -> dict[str, object]:
    rng = Random(f"{seed}/vehicle/{index}")
    who = identity(seed, index)
    return {
        "type": "vehicle",
        "plate": who.plate,
        "plate_color": who.plate_color,
        "vin": who.vin,
        "transport_cert_no": who.transport_cert_no,
        "transport_cert_valid_until": _day(rng, year),
        "annual_review_due": _day(rng, year),
        "owner_uscc": business(seed, business_of(index)).uscc,
        "terminal_phone": who.phone,
        "speed_limit_kmh": limit_kmh(seed, index),
    }


def _person(source: str, *, order: int, phone: int, network: str = "19") -> Person:
    rng = Random(source)
    citizen_id = _citizen_id(rng, order)
    return Person(
        rng.choice(_SURNAMES) + "".join(rng.sample(_GIVEN, rng.randint(1, 2))), citizen_id, f"{network}{phone:09d}"
    )


def _person_entry(person: Person, qualification: dict[str, object] | None) -> dict[str, object]:
    return {
        "type": "person",
        "real_name": person.real_name,
        "citizen_id": person.citizen_id,
        "phone": person.phone,
        "wechat_openid": f"sandbox-{person.phone}",
        "qualification": qualification,
    }


def _qualification(seed: int, number: int, person: Person, year: int) -> dict[str, object]:
    return {"number": person.citizen_id, "valid_until": _day(Random(f"{seed}/qualification/{number}"), year)}


def _number(seed: int, index: int, space: int) -> int:
    """Return a number below ``space``: different for each index, scattered, and different for another seed."""
    start = int.from_bytes(sha256(str(seed).encode()).digest()[:8], "big")
    return (start + index * _STRIDE) % space


def _day(rng: Random, year: int) -> str:
    return f"{year + rng.randint(1, 4)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def _vin(rng: Random, number: int) -> str:
    """Return 17 characters with GB 16735's check digit in the ninth place."""
    made = rng.choice(_MAKERS) + "".join(rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ0123456789") for _ in range(5))
    plant = "NPRST"[number // 1_000_000] if number < 5_000_000 else "V"
    rest = f"{rng.choice('LMNPRST')}{plant}{number % 1_000_000:06d}"
    total = sum(_VIN_VALUES[sign] * weight for sign, weight in zip(f"{made}0{rest}", _VIN_WEIGHTS, strict=True))
    return f"{made}{'0123456789X'[total % 11]}{rest}"


def _uscc(seed: int, number: int) -> str:
    """Return a unified social credit code (GB 32100), with the organisation's own check character (GB 11714)."""
    organisation = f"{_number(seed, number, 10**8):08d}"
    total = sum(int(sign) * weight for sign, weight in zip(organisation, _ORGANISATION_WEIGHTS, strict=True))
    own_check = "0123456789X0"[(11 - total % 11) % 11]
    code = f"91{_DIVISIONS[number % len(_DIVISIONS)]}{organisation}{own_check}"
    weighted = sum(_USCC_LETTERS.index(sign) * pow(3, place, 31) for place, sign in enumerate(code))
    return code + _USCC_LETTERS[(31 - weighted % 31) % 31]


def _citizen_id(rng: Random, order: int) -> str:
    """Return an identity number with its check character (GB 11643)."""
    born = f"{rng.randint(1965, 1999)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}"
    front = f"{rng.choice(_DIVISIONS)}{born}{2 * order + 1:03d}"
    total = sum(int(sign) * weight for sign, weight in zip(front, _CITIZEN_WEIGHTS, strict=True))
    return front + "10X98765432"[total % 11]
