"""The transport registry's businesses, vehicles and persons, and how a line of its file is read.

The dataclasses are what we keep. ``parse_line`` reads one line of the registry file. Lines of businesses and persons
carry secrets (a password, a citizen ID) that are kept only as hashes. So secrets stand beside the value, not in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import blake2s
from typing import Final, TypeVar
from zlib import crc32

from domain.identifiers import (
    InvalidIdentifier,
    PlateColor,
    PrivateUseCharacter,
    certificate_number_masked,
    parse_certificate_number,
    parse_citizen_id,
    parse_mobile_phone,
    parse_plate,
    parse_plate_color,
    parse_uscc,
    parse_vin,
)
from domain.names import parse_business_name, parse_person_name, parse_username
from domain.terminal_names import parse_terminal_name

PARTITIONS: Final = 256
PACKS_A_PARTITION: Final = 256
DEFAULT_SPEED_LIMIT_KMH: Final = 100
MAX_SPEED_LIMIT_KMH: Final = 200
MAX_PASSWORD_CHARS: Final = 200

FORMS: Final[Mapping[str, str]] = {
    "line": "a JSON object is needed, in UTF-8 and on one line",
    "type": "business, vehicle or person is needed",
    "uscc": "a unified social credit code is needed: 18 digits and letters, the last of them a check (GB 32100)",
    "owner_uscc": "the owner's unified social credit code is needed: 18 digits and letters, the last of them a check (GB 32100)",
    "name": "a name of 1 to 100 characters is needed",
    "username": "a user name of 1 to 100 characters is needed",
    "password": "either password (up to 200 characters) or password_argon2 is needed, not both",
    "password_argon2": "an argon2id hash in its encoded form is needed ($argon2id$v=19$...)",
    "operating_licence": "an object with number and valid_until is needed, or null",
    "qualification": "an object with number and valid_until is needed, or null",
    "number": "a certificate number is needed: 1 to 40 letters, digits or Chinese characters",
    "valid_until": "a date is needed: YYYY-MM-DD",
    "plate": "a plate like 鄂A12345 is needed; after its first two places it has no letters I and O",
    "plate_color": "one of " + ", ".join(color.value for color in PlateColor) + " is needed (JT/T 415)",
    "vin": "a VIN is needed: 17 digits and letters without I, O and Q",
    "transport_cert_no": "a certificate number is needed: 1 to 40 letters, digits or Chinese characters",
    "transport_cert_valid_until": "a date is needed: YYYY-MM-DD",
    "annual_review_due": "a date is needed: YYYY-MM-DD; or null",
    "terminal_phone": "the number in its frames' heads is needed: 1 to 20 digits or letters A to F, or an IMEI; or null",
    "terminal_auth": "none or required is needed, or nothing",
    "speed_limit_kmh": f"a whole number from 1 to {MAX_SPEED_LIMIT_KMH} is needed, or null",
    "real_name": "a name of 1 to 100 characters is needed",
    "citizen_id": "a citizen ID is needed: 17 digits and a check character (GB 11643)",
    "phone": "a mobile phone's 11 digits are needed",
    "wechat_openid": "a WeChat openid of 1 to 100 characters is needed, or null",
}
"""Fields of a registry line, each with its form as the import says it; ``docs/registry.md`` lists the same."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OperatingLicence:
    """道路运输经营许可证."""

    number: str
    valid_until: date


@dataclass(frozen=True, slots=True)
class Qualification:
    """从业资格证: its holder is a driver (R3)."""

    number: str
    """The number as it may be shown: in life it is the holder's citizen ID, which is not kept."""
    valid_until: date


@dataclass(frozen=True, slots=True)
class Business:
    """业户: signs in with user name and password (R4)."""

    uscc: str
    name: str
    username: str
    password_hash: str
    """The argon2id hash, in its encoded form."""
    operating_licence: OperatingLicence | None


@dataclass(frozen=True, slots=True)
class RegisteredVehicle:
    """A truck, as the registry knows it."""

    plate: str
    plate_color: PlateColor
    vin: str
    transport_cert_no: str
    transport_cert_valid_until: date
    annual_review_due: date | None
    owner_uscc: str
    terminal_phone: str
    """The terminal's name (``terminal_names``); empty without a terminal, or when it went to another truck."""
    speed_limit_kmh: int = DEFAULT_SPEED_LIMIT_KMH
    needs_auth: bool = True
    """The terminal must authenticate (``terminal_auth`` is not ``none``)."""

    @property
    def id(self) -> str:
        """The vehicle's id; see ``vehicle_id``."""
        return vehicle_id(self.plate, self.plate_color)


@dataclass(frozen=True, slots=True)
class RegisteredPerson:
    """A natural person; the citizen ID is not kept, only a keyed hash of it as the key."""

    real_name: str
    phone: str
    """The phone number; empty once it was registered for another person."""
    wechat_openid: str
    qualification: Qualification | None


@dataclass(frozen=True, slots=True)
class BusinessLine:
    """A business and its password: ``plain_password``, or where the line gave the hash, ``business.password_hash``.

    The other is empty.
    """

    business: Business
    plain_password: str


@dataclass(frozen=True, slots=True)
class PersonLine:
    """A person and the citizen ID to be hashed."""

    person: RegisteredPerson
    citizen_id: str


RegistryLine = BusinessLine | RegisteredVehicle | PersonLine


class RegistryLineError(ValueError):
    """A line can't be used: which field, and why; the value is never repeated (R62)."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def vehicle_id(plate: str, plate_color: PlateColor) -> str:
    """Return an opaque id that never changes: 16 hexadecimal digits of plate (as parsed) and colour."""
    return blake2s(f"{plate} {plate_color.value}".encode(), digest_size=8).hexdigest()


def partition_of(actor_key: str) -> int:
    """Return which of the 256 partitions an actor lives in, the same in every later version."""
    return crc32(actor_key.encode()) % PARTITIONS


def pack_of(actor_key: str) -> int:
    """Return which of the 65,536 packs an actor is in, 256 consecutive ones a partition.

    A store may keep a pack together.
    """
    spread = crc32(actor_key.encode())
    return spread % PARTITIONS * PACKS_A_PARTITION + spread // PARTITIONS % PACKS_A_PARTITION


def parse_line(line: object) -> RegistryLine:
    """Read a decoded JSON value. Raises ``RegistryLineError``. Unknown fields are passed over."""
    if not isinstance(line, Mapping):
        raise RegistryLineError("line", FORMS["line"])
    fields = _Fields(line)
    match fields.text("type"):
        case "business":
            return _business(fields)
        case "vehicle":
            return _vehicle(fields)
        case "person":
            return _person(fields)
        case _:
            raise fields.refusal("type")


def _business(fields: _Fields) -> BusinessLine:
    password, password_hash = fields.maybe_text("password"), fields.maybe_text("password_argon2")
    if bool(password) == bool(password_hash) or len(password) > MAX_PASSWORD_CHARS:
        raise fields.refusal("password")
    if password_hash and not _ARGON2.fullmatch(password_hash):
        raise fields.refusal("password_argon2")
    business = Business(
        uscc=fields.parsed("uscc", parse_uscc),
        name=fields.parsed("name", parse_business_name),
        username=fields.parsed("username", parse_username),
        password_hash=password_hash,
        operating_licence=fields.certificate("operating_licence", OperatingLicence),
    )
    return BusinessLine(business, password)


def _vehicle(fields: _Fields) -> RegisteredVehicle:
    terminal_auth = fields.maybe_text("terminal_auth")
    if terminal_auth not in ("", "none", "required"):
        raise fields.refusal("terminal_auth")
    return RegisteredVehicle(
        plate=fields.parsed("plate", parse_plate),
        plate_color=fields.parsed("plate_color", parse_plate_color),
        vin=fields.parsed("vin", parse_vin),
        transport_cert_no=fields.parsed("transport_cert_no", parse_certificate_number),
        transport_cert_valid_until=fields.parsed("transport_cert_valid_until", _day),
        annual_review_due=fields.maybe_parsed("annual_review_due", _day),
        owner_uscc=fields.parsed("owner_uscc", parse_uscc),
        terminal_phone=fields.maybe_parsed("terminal_phone", parse_terminal_name) or "",
        speed_limit_kmh=fields.speed_limit_kmh("speed_limit_kmh"),
        needs_auth=terminal_auth != "none",
    )


def _person(fields: _Fields) -> PersonLine:
    person = RegisteredPerson(
        real_name=fields.parsed("real_name", parse_person_name),
        phone=fields.parsed("phone", parse_mobile_phone),
        wechat_openid=fields.maybe_parsed("wechat_openid", parse_username) or "",
        qualification=fields.certificate("qualification", _qualification),
    )
    return PersonLine(person, fields.parsed("citizen_id", parse_citizen_id))


class _Fields:
    """A line's fields, each read with its name at hand for the refusal."""

    def __init__(self, line: Mapping[object, object], within: str = "") -> None:
        self._line = line
        self._within = within

    def text(self, field: str) -> str:
        text = self.maybe_text(field)
        if not text:
            raise self.refusal(field)
        return text

    def maybe_text(self, field: str) -> str:
        value = self._line.get(field)
        if value is None:
            return ""
        if not isinstance(value, str) or not _is_unicode(value):
            raise self.refusal(field)
        return value

    def parsed(self, field: str, parse: Callable[[str], T]) -> T:
        text = self.text(field)
        try:
            return parse(text)
        except PrivateUseCharacter as error:
            reason = (
                f"character {error.place} is of Unicode's private use area, which each input method fills as it likes"
            )
            raise RegistryLineError(self._within + field, f"{reason}: type it anew") from None
        except ValueError:
            raise self.refusal(field) from None

    def maybe_parsed(self, field: str, parse: Callable[[str], T]) -> T | None:
        return self.parsed(field, parse) if self.maybe_text(field) else None

    def certificate(self, field: str, make: Callable[[str, date], T]) -> T | None:
        value = self._line.get(field)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.refusal(field)
        inner = _Fields(value, f"{field}.")
        return make(inner.parsed("number", parse_certificate_number), inner.parsed("valid_until", _day))

    def speed_limit_kmh(self, field: str) -> int:
        value = self._line.get(field)
        if value is None:
            return DEFAULT_SPEED_LIMIT_KMH
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SPEED_LIMIT_KMH:
            raise self.refusal(field)
        return value

    def refusal(self, field: str) -> RegistryLineError:
        """Return the error for this field, with its place in the line."""
        return RegistryLineError(self._within + field, FORMS[field])


_DAY: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ARGON2: Final = re.compile(
    r"\$argon2id\$v=19\$m=[0-9]{1,8},t=[0-9]{1,3},p=[0-9]{1,3}\$[A-Za-z0-9+/]{11,88}\$[A-Za-z0-9+/]{16,172}"
)


def _qualification(number: str, valid_until: date) -> Qualification:
    return Qualification(certificate_number_masked(number), valid_until)


def _day(text: str) -> date:
    if not _DAY.fullmatch(text):
        raise InvalidIdentifier("日期应写作 YYYY-MM-DD")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidIdentifier("没有这一天") from None


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)
