"""Messages in which a terminal tells of itself: registration, authentication, attributes, the driver's card."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from hmac import compare_digest
from struct import Struct
from typing import Final

from gateway.jt808.codec.fields import padded, plate_text, text, unix_from_bcd6

_REGISTER_2013_BYTES: Final = 37
_IMEI_BYTES: Final = 15
_SOFTWARE_BYTES: Final = 20
_CARD_INSERTED: Final = 1
_words = Struct(">HH")


class MessageError(ValueError):
    """The body can't be what its message id says."""


class Edition(Enum):
    """Editions of the standard; the values are a registration's field sizes: manufacturer, model, terminal id."""

    Y2011 = (5, 8, 7)
    Y2013 = (5, 20, 7)
    Y2019 = (11, 30, 30)


@dataclass(frozen=True, slots=True)
class Registration:
    """0x0100. ``province`` and ``city`` are the first two and the last four digits of GB/T 2260."""

    province: int
    city: int
    maker: str
    model: str
    terminal_id: str
    plate_color: int
    plate: str

    @classmethod
    def decode(cls, body: bytes, *, modern: bool) -> Registration:
        """Decode a registration. ``modern``: the frame had the 2019 layout. 2011 and 2013 differ by length only."""
        if modern:
            edition = Edition.Y2019
        else:
            edition = Edition.Y2013 if len(body) >= _REGISTER_2013_BYTES else Edition.Y2011
        maker_end = 4 + edition.value[0]
        model_end = maker_end + edition.value[1]
        id_end = model_end + edition.value[2]
        if len(body) <= id_end:
            raise MessageError(f"a registration of {len(body)} bytes")
        province, city = _words.unpack_from(body)
        return cls(
            province,
            city,
            maker=text(body[4:maker_end]),
            model=text(body[maker_end:model_end]),
            terminal_id=text(body[model_end:id_end]),
            plate_color=body[id_end],
            plate=plate_text(body[id_end + 1 :]),
        )

    def encode(self, edition: Edition = Edition.Y2013) -> bytes:
        """Encode the body as a terminal of that edition sends it."""
        maker, model, terminal_id = edition.value
        pad = b" " if edition is Edition.Y2011 else b"\0"
        return b"".join(
            (
                _words.pack(self.province, self.city),
                padded(self.maker, maker),
                padded(self.model, model, pad),
                padded(self.terminal_id, terminal_id),
                bytes((self.plate_color,)),
                self.plate.encode("gbk", "replace"),
            )
        )


@dataclass(frozen=True, slots=True)
class Authentication:
    """0x0102; the 2019 edition adds the IMEI and the software version."""

    auth_code: str
    imei: str | None = None
    software: str | None = None

    @classmethod
    def decode(cls, body: bytes, *, modern: bool) -> Authentication:
        """Decode an authentication.

        Some 2019 terminals still send 2013's bare code: a misfit of the new form is read as the old.
        """
        if modern and body:
            code_end = 1 + body[0]
            imei_end = code_end + _IMEI_BYTES
            if imei_end <= len(body):
                software = body[imei_end : imei_end + _SOFTWARE_BYTES]
                return cls(text(body[1:code_end]), text(body[code_end:imei_end]), text(software))
            if code_end == len(body):
                return cls(text(body[1:]))
        return cls(text(body))

    def encode(self, *, modern: bool) -> bytes:
        """Encode the body as a terminal sends it."""
        code = self.auth_code.encode("gbk", "replace")
        if not modern:
            return code
        imei = padded(self.imei or "", _IMEI_BYTES)
        return bytes((len(code),)) + code + imei + padded(self.software or "", _SOFTWARE_BYTES)


def is_well_framed(body: bytes, *, modern: bool) -> bool:
    """Tell whether a 0x0102 body has the sizes of its layout's edition."""
    return not modern or len(body) == 1 + sum(body[:1]) + _IMEI_BYTES + _SOFTWARE_BYTES


def carries_code(body: bytes, code: str) -> bool:
    """Tell whether a 0x0102 body has the code where a slip puts it: without its length, behind a wrong or a wider one.

    The rest behind it is passed over. Such a body proves as much as a right one: it has the whole code.
    """
    wanted = code.encode("gbk", "replace")
    return bool(wanted) and any(compare_digest(body[at : at + len(wanted)], wanted) for at in range(3))


@dataclass(frozen=True, slots=True)
class RegistrationAnswer:
    """The answer 0x8100; it has the code only where ``result`` is 0."""

    ack_serial: int
    result: int
    auth_code: str = ""

    @classmethod
    def decode(cls, body: bytes) -> RegistrationAnswer:
        """Decode the answer as the terminal reads it."""
        if len(body) < 3:
            raise MessageError(f"a registration answer of {len(body)} bytes")
        return cls(_word(body), body[2], text(body[3:]))

    def encode(self) -> bytes:
        """Encode the answer as the platform sends it."""
        return self.ack_serial.to_bytes(2, "big") + bytes((self.result,)) + self.auth_code.encode("gbk", "replace")


@dataclass(frozen=True, slots=True)
class Attributes:
    """0x0107: hardware and software."""

    type: int
    maker_len: int
    maker: str
    model: str
    terminal_id: str
    iccid: str
    hardware: str
    firmware: str
    gnss: int
    comm: int

    @classmethod
    def decode(cls, body: bytes) -> Attributes:
        """Decode attributes. Editions and makers mix the field sizes: the ones that fill the body are right."""
        for sizes in ((5, 20, 7), (5, 30, 30), (11, 30, 30)):
            cut = _cut_attributes(body, *sizes)
            if cut is not None:
                return cut
        raise MessageError(f"attributes of {len(body)} bytes")


def _cut_attributes(body: bytes, maker: int, model: int, terminal_id: int) -> Attributes | None:
    model_at = 2 + maker
    id_at = model_at + model
    iccid_at = id_at + terminal_id
    hardware_at = iccid_at + 11
    if hardware_at > len(body):
        return None
    firmware_at = hardware_at + body[hardware_at - 1] + 1
    if firmware_at > len(body) or firmware_at + body[firmware_at - 1] + 2 != len(body):
        return None
    return Attributes(
        type=_word(body),
        maker_len=maker,
        maker=text(body[2:model_at]),
        model=text(body[model_at:id_at]),
        terminal_id=text(body[id_at:iccid_at]),
        iccid=body[iccid_at : iccid_at + 10].hex(),
        hardware=text(body[hardware_at : firmware_at - 1]),
        firmware=text(body[firmware_at:-2]),
        gnss=body[-2],
        comm=body[-1],
    )


@dataclass(frozen=True, slots=True)
class DriverCard:
    """The message 0x0702: the driver whose card was put in, when it could be read; ``time`` is None where it is
    impossible.
    """

    status: int
    time: int | None
    result: int | None = None
    name: str | None = None
    licence: str | None = None
    agency: str | None = None
    expires: str | None = None
    identity: str | None = None

    @classmethod
    def decode(cls, body: bytes) -> DriverCard:
        """Decode a card's message; a removed card and an unreadable one say no more than the time."""
        if len(body) < 7:
            raise MessageError(f"a driver's card of {len(body)} bytes")
        status, time = body[0], unix_from_bcd6(body[1:7])
        if status != _CARD_INSERTED or len(body) < 8:
            return cls(status, time)
        if body[7] != 0:
            return cls(status, time, result=body[7])
        return _card_details(status, time, body)


def _card_details(status: int, time: int | None, body: bytes) -> DriverCard:
    licence_at = 9 + _byte(body, 8)
    agency_at = licence_at + 21
    expires_at = agency_at + _byte(body, agency_at - 1)
    if len(body) < expires_at + 4:
        raise MessageError("a driver's card that ends early")
    return DriverCard(
        status,
        time,
        result=0,
        name=text(body[9:licence_at]),
        licence=text(body[licence_at : agency_at - 1]),
        agency=text(body[agency_at:expires_at]),
        expires=body[expires_at : expires_at + 4].hex(),
        identity=text(body[expires_at + 4 : expires_at + 24]) or None,
    )


def _byte(body: bytes, at: int) -> int:
    if at >= len(body):
        raise MessageError("a body that ends early")
    return body[at]


def _word(body: bytes) -> int:
    return int.from_bytes(body[:2], "big")
