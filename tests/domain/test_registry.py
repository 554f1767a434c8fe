"""Tests that a registry line is read as it is meant, or refused with its field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date

import pytest

from domain.identifiers import PlateColor, citizen_id_check_char, uscc_check_char
from domain.registry import (
    PACKS_A_PARTITION,
    PARTITIONS,
    BusinessLine,
    OperatingLicence,
    PersonLine,
    Qualification,
    RegisteredVehicle,
    RegistryLineError,
    pack_of,
    parse_line,
    partition_of,
    vehicle_id,
)

USCC = "9144030071526726X" + uscc_check_char("9144030071526726X")
CITIZEN_ID = "44030419800101001" + citizen_id_check_char("44030419800101001")
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzYWx0$" + "A" * 43
BUSINESS = {
    "type": "business",
    "uscc": USCC,
    "name": "顺达物流",
    "username": "shunda",
    "password_argon2": HASH,
    "operating_licence": {"number": "440300001234", "valid_until": "2027-05-01"},
}
VEHICLE = {
    "type": "vehicle",
    "plate": "粤b·12345",
    "plate_color": "yellow",
    "vin": "LFWSRXSJ7M1E00001",
    "transport_cert_no": "440300012345",
    "transport_cert_valid_until": "2027-01-01",
    "annual_review_due": "2026-12-31",
    "owner_uscc": USCC,
    "terminal_phone": "013800000001",
    "speed_limit_kmh": 80,
}
PERSON = {
    "type": "person",
    "real_name": "张三",
    "citizen_id": CITIZEN_ID,
    "phone": "13800138000",
    "wechat_openid": "o-1",
    "qualification": {"number": "4403001980", "valid_until": "2028-02-29"},
}


def test_a_vehicle_is_read_with_its_values_in_their_one_form() -> None:
    assert parse_line(VEHICLE) == RegisteredVehicle(
        plate="粤B12345",
        plate_color=PlateColor.YELLOW,
        vin="LFWSRXSJ7M1E00001",
        transport_cert_no="440300012345",
        transport_cert_valid_until=date(2027, 1, 1),
        annual_review_due=date(2026, 12, 31),
        owner_uscc=USCC,
        terminal_phone="13800000001",
        speed_limit_kmh=80,
        needs_auth=True,
    )


def test_what_may_be_missing_has_its_default() -> None:
    left_out = {"terminal_phone", "speed_limit_kmh", "annual_review_due"}
    for line in (
        {field: value for field, value in VEHICLE.items() if field not in left_out},
        VEHICLE | dict.fromkeys(left_out),
    ):
        vehicle = parse_line(line)
        assert isinstance(vehicle, RegisteredVehicle)
        assert (vehicle.terminal_phone, vehicle.speed_limit_kmh, vehicle.annual_review_due) == ("", 100, None)


def test_a_terminal_that_can_not_authenticate_is_marked() -> None:
    vehicle = parse_line(VEHICLE | {"terminal_auth": "none"})
    assert isinstance(vehicle, RegisteredVehicle)
    assert not vehicle.needs_auth


def test_a_business_has_a_hash_or_a_password_to_hash() -> None:
    hashed = parse_line(BUSINESS)
    assert isinstance(hashed, BusinessLine)
    assert (hashed.business.password_hash, hashed.plain_password) == (HASH, "")
    assert hashed.business.operating_licence == OperatingLicence("440300001234", date(2027, 5, 1))
    plain = parse_line(BUSINESS | {"password_argon2": None, "password": " 口令 "})
    assert isinstance(plain, BusinessLine)
    assert (plain.business.password_hash, plain.plain_password) == ("", " 口令 ")


def test_a_person_may_have_no_qualification_and_no_openid() -> None:
    driver = parse_line(PERSON)
    assert isinstance(driver, PersonLine)
    assert driver.citizen_id == CITIZEN_ID
    assert driver.person.qualification == Qualification("******1980", date(2028, 2, 29))
    other = parse_line(PERSON | {"qualification": None, "wechat_openid": None})
    assert isinstance(other, PersonLine)
    assert (other.person.qualification, other.person.wechat_openid) == (None, "")


@pytest.mark.parametrize("field, line", [("real_name", PERSON), ("name", BUSINESS), ("plate", VEHICLE)])
def test_a_character_of_private_use_is_named_as_the_reason(field: str, line: Mapping[str, object]) -> None:
    with pytest.raises(RegistryLineError, match=f"^{field}: character 2 is of Unicode's private use area"):
        parse_line({**line, field: "粤\ue863"})


def test_a_farm_plate_and_a_dotted_name_are_stored_in_their_one_form() -> None:
    vehicle, person = parse_line(VEHICLE | {"plate": "黑01·12345"}), parse_line(PERSON | {"real_name": "阿不都．艾力"})
    assert isinstance(vehicle, RegisteredVehicle)
    assert isinstance(person, PersonLine)
    assert (vehicle.plate, person.person.real_name) == ("黑0112345", "阿不都·艾力")


@pytest.mark.parametrize(
    "line, field",
    [
        ([], "line"),
        (None, "line"),
        ({}, "type"),
        ({"type": 5}, "type"),
        ({"type": "ship"}, "type"),
        (VEHICLE | {"plate": "粤B1"}, "plate"),
        (VEHICLE | {"plate": ["粤B12345"]}, "plate"),
        (VEHICLE | {"plate": "\ud800"}, "plate"),
        (VEHICLE | {"plate_color": "purple"}, "plate_color"),
        (VEHICLE | {"vin": None}, "vin"),
        (VEHICLE | {"transport_cert_no": ""}, "transport_cert_no"),
        (VEHICLE | {"transport_cert_valid_until": "2027-02-30"}, "transport_cert_valid_until"),
        (VEHICLE | {"transport_cert_valid_until": "20270201"}, "transport_cert_valid_until"),
        (VEHICLE | {"owner_uscc": USCC[:-1] + "!"}, "owner_uscc"),
        (VEHICLE | {"terminal_phone": "1" * 21}, "terminal_phone"),
        (VEHICLE | {"terminal_phone": "13800000G01"}, "terminal_phone"),
        (VEHICLE | {"terminal_phone": 13800000001}, "terminal_phone"),
        (VEHICLE | {"speed_limit_kmh": 0}, "speed_limit_kmh"),
        (VEHICLE | {"speed_limit_kmh": True}, "speed_limit_kmh"),
        (VEHICLE | {"speed_limit_kmh": "80"}, "speed_limit_kmh"),
        (VEHICLE | {"terminal_auth": "maybe"}, "terminal_auth"),
        (BUSINESS | {"password": "x"}, "password"),
        (BUSINESS | {"password_argon2": None}, "password"),
        (BUSINESS | {"password_argon2": "$argon2i$v=19$m=1"}, "password_argon2"),
        (BUSINESS | {"operating_licence": "440300001234"}, "operating_licence"),
        (BUSINESS | {"operating_licence": {"number": "1"}}, "operating_licence.valid_until"),
        (BUSINESS | {"name": "x" * 101}, "name"),
        (PERSON | {"citizen_id": "440304198001010011"}, "citizen_id"),
        (PERSON | {"phone": "110"}, "phone"),
        (PERSON | {"real_name": "张\x00三"}, "real_name"),
        (PERSON | {"qualification": {"valid_until": "2028-02-29"}}, "qualification.number"),
    ],
)
def test_a_bad_line_is_refused_with_its_field(line: object, field: str) -> None:
    with pytest.raises(RegistryLineError) as refusal:
        parse_line(line)
    assert refusal.value.field == field


def test_a_refusal_does_not_repeat_what_is_secret() -> None:
    with pytest.raises(RegistryLineError) as refusal:
        parse_line(PERSON | {"citizen_id": "440304198001010011"})
    assert "440304198001010011" not in str(refusal.value)


def test_vehicle_ids_and_partitions_are_the_same_for_ever() -> None:
    assert vehicle_id("粤B12345", PlateColor.YELLOW) == "a8de7007bd26f03d"
    assert vehicle_id("粤B12345", PlateColor.BLUE) != vehicle_id("粤B12345", PlateColor.YELLOW)
    assert partition_of("0123456789abcdef") == 51


def test_a_pack_is_the_same_for_ever_and_within_its_partition() -> None:
    assert pack_of("0123456789abcdef") == 51 * PACKS_A_PARTITION + 240
    assert {
        pack_of(f"{number:016x}") // PACKS_A_PARTITION == partition_of(f"{number:016x}") for number in range(999)
    } == {True}


def test_partitions_are_filled_evenly() -> None:
    filled = Counter(partition_of(f"{number:016x}") for number in range(PARTITIONS * 100))
    assert len(filled) == PARTITIONS
    assert max(filled.values()) < 200
