"""Tests of registry files: they arrive whole, again and again, while a service is reading."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import pytest_asyncio

from domain.identifiers import PlateColor, citizen_id_check_char, uscc_check_char
from domain.registry import vehicle_id
from persistence.registry.documents import PERSON, PHONE
from persistence.registry.importing import MAX_LINE_BYTES, ImportReport, Passwords, import_lines, read_lines
from persistence.registry.lookups import Registry, Terminal
from persistence.store import Store

USCC = "9144030071526726X" + uscc_check_char("9144030071526726X")
OTHER_USCC = "91110000100000000" + uscc_check_char("91110000100000000")
CITIZEN_ID = "44030419800101001" + citizen_id_check_char("44030419800101001")
OTHER_CITIZEN_ID = "11010119900307123" + citizen_id_check_char("11010119900307123")
IMEI, IMEI_AS_NUMBER = "865478070102068", "4eb6fb4afd9e"
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzYWx0$" + "A" * 43


class CountedPasswords:
    """Hashes by a prefix, and counts."""

    def __init__(self) -> None:
        self.hashed = 0

    def make_hash(self, password: str) -> str:
        self.hashed += 1
        return f"{self.hashed}:{password}"

    def matches(self, password_hash: str, password: str) -> bool:
        return password_hash.endswith(f":{password}")


counted = CountedPasswords()
PASSWORDS = Passwords(counted.make_hash, counted.matches)


def business(uscc: str = USCC, **changes: object) -> str:
    licence = {"number": "440300001234", "valid_until": "2027-05-01"}
    line = {"type": "business", "uscc": uscc, "name": "顺达物流", "username": "shunda", "password_argon2": HASH}
    return json.dumps(line | {"operating_licence": licence} | changes, ensure_ascii=False)


def vehicle(plate: str = "粤B00001", **changes: object) -> str:
    line = {
        "type": "vehicle",
        "plate": plate,
        "plate_color": "yellow",
        "vin": "LFWSRXSJ7M1E00001",
        "transport_cert_no": "440300012345",
        "transport_cert_valid_until": "2027-01-01",
        "annual_review_due": "2026-12-31",
        "owner_uscc": USCC,
        "terminal_phone": "013800000001",
        "speed_limit_kmh": 80,
    }
    return json.dumps(line | changes, ensure_ascii=False)


def person(citizen_id: str = CITIZEN_ID, **changes: object) -> str:
    qualification = {"number": "4403001980", "valid_until": "2028-02-29"}
    line = {"type": "person", "real_name": "张三", "citizen_id": citizen_id, "phone": "13800138000"}
    return json.dumps(line | {"wechat_openid": "o-1", "qualification": qualification} | changes, ensure_ascii=False)


def key(plate: str) -> str:
    return vehicle_id(plate, PlateColor.YELLOW)


@pytest_asyncio.fixture
async def registry(store: Store) -> Registry:
    return await Registry.open(store)


async def load(store: Store, *lines: str | bytes) -> ImportReport:
    return await import_lines(store, lines, PASSWORDS)


async def test_each_type_is_found_by_what_people_know_of_it(store: Store, registry: Registry) -> None:
    report = await load(store, business(), vehicle(), person())
    assert report.loaded == {"business": 1, "vehicle": 1, "person": 1}
    assert (report.written, report.bad) == (3, [])
    truck = await registry.vehicle(key("粤B00001"))
    assert truck is not None
    assert (truck.terminal_phone, truck.speed_limit_kmh, truck.needs_auth) == ("13800000001", 80, True)
    owner = await registry.business_by_username("shunda")
    assert owner is not None
    assert owner == await registry.business(USCC)
    driver = await registry.person(CITIZEN_ID)
    assert driver is not None
    assert driver.real_name == "张三"
    assert await registry.person_key_by_phone("13800138000") == registry.person_key(CITIZEN_ID)
    assert [terminal.vehicle_id for terminal in await registry.directory()] == [key("粤B00001")]


async def test_who_is_not_registered_is_not_found(registry: Registry) -> None:
    assert await registry.vehicle("0" * 16) is None
    assert await registry.business(USCC) is None
    assert await registry.business_by_username("nobody") is None
    assert await registry.person(CITIZEN_ID) is None
    assert await registry.person_key_by_phone("13800138000") is None
    assert await registry.directory() == []


async def test_importing_the_same_again_writes_nothing(store: Store, registry: Registry) -> None:
    lines = (business(), vehicle(), person())
    await load(store, *lines)
    revision = await registry.revision()
    report = await load(store, *lines)
    assert (report.loaded["vehicle"], report.written) == (1, 0)
    assert await registry.revision() == revision


async def test_a_second_import_updates_by_key(store: Store, registry: Registry) -> None:
    await load(store, business(), vehicle(), person())
    await load(store, business(name="新名"), vehicle(speed_limit_kmh=None), person(qualification=None))
    found, truck, driver = await registry.business(USCC), await registry.vehicle(key("粤B00001")), None
    driver = await registry.person(CITIZEN_ID)
    assert found is not None
    assert truck is not None
    assert driver is not None
    assert (found.name, truck.speed_limit_kmh, driver.qualification) == ("新名", 100, None)
    assert await store.count("registry.vehicle", "all", "") == 1


async def test_bad_lines_are_told_by_number_and_the_good_ones_load(store: Store, registry: Registry) -> None:
    report = await load(
        store,
        vehicle("粤B00001", terminal_phone="1"),
        b"\xff\xfe{}",
        '{"type":"vehicle"',
        "[1]",
        "",
        '{"type":"ship"}',
        vehicle(vin="short"),
        "[" * 5_000,
        '{"a":"' + "x" * MAX_LINE_BYTES + '"}',
        vehicle("粤B00002", terminal_phone="2"),
    )
    assert [line_no for line_no, _ in report.bad] == [2, 3, 4, 6, 7, 8, 9]
    reasons = dict(report.bad)
    assert "UTF-8" in reasons[2]
    assert "JSON" in reasons[3]
    assert reasons[6].startswith("type: ")
    assert reasons[7].startswith("vin: ")
    assert report.bad_count == 7
    assert await store.count("registry.vehicle", "all", "") == 2


async def test_a_byte_order_mark_does_no_harm(store: Store) -> None:
    assert (await load(store, b"\xef\xbb\xbf" + vehicle().encode())).bad == []


async def test_a_terminal_goes_to_the_later_line(store: Store, registry: Registry) -> None:
    await load(store, vehicle("粤B00001"))
    await load(store, vehicle("粤B00002"))
    loser = await registry.vehicle(key("粤B00001"))
    assert loser is not None
    assert loser.terminal_phone == ""
    assert await registry.directory() == [Terminal("13800000001", key("粤B00002"), True)]
    await load(store, vehicle("粤B00003"), vehicle("粤B00004"))
    assert await registry.directory() == [Terminal("13800000001", key("粤B00004"), True)]


async def test_a_vehicle_that_changes_its_terminal_frees_the_old_one(store: Store, registry: Registry) -> None:
    await load(store, vehicle())
    await load(store, vehicle(terminal_phone="42", terminal_auth="none"))
    assert await registry.directory() == [Terminal("42", key("粤B00001"), False)]
    await load(store, vehicle(terminal_phone=None))
    assert await registry.directory() == []


@pytest.mark.parametrize("name, directory_name", [("777762F7", "777762f7"), ("000000", "0"), (IMEI, IMEI)])
async def test_a_terminal_may_be_named_by_whatever_its_frames_can_carry(
    store: Store, registry: Registry, name: str, directory_name: str
) -> None:
    report = await load(store, vehicle(terminal_phone=name))
    assert report.bad == []
    assert await registry.directory() == [Terminal(directory_name, key("粤B00001"), True)]


@pytest.mark.parametrize("names", [(IMEI, IMEI_AS_NUMBER), (IMEI_AS_NUMBER, IMEI)])
@pytest.mark.parametrize("in_one_file", [True, False])
async def test_two_names_that_the_same_frame_could_mean_are_refused(
    store: Store, registry: Registry, names: tuple[str, str], in_one_file: bool
) -> None:
    lines = [vehicle(plate, terminal_phone=name) for plate, name in zip(("粤B00001", "粤B00002"), names, strict=True)]
    report = await load(store, *lines) if in_one_file else [await load(store, line) for line in lines][-1]
    assert report.bad == [
        (
            2 if in_one_file else 1,
            "terminal_phone: its frames would look like those of another registered vehicle's terminal",
        )
    ]
    assert await registry.directory() == [Terminal(names[0], key("粤B00001"), True)]


async def test_a_vehicle_may_change_between_two_names_of_the_same_terminal(store: Store, registry: Registry) -> None:
    for name in (IMEI, IMEI_AS_NUMBER, IMEI):
        assert (await load(store, vehicle(terminal_phone=name))).bad == []
        assert await registry.directory() == [Terminal(name, key("粤B00001"), True)]


async def test_terminals_swapped_in_one_file_end_up_swapped(store: Store, registry: Registry) -> None:
    await load(store, vehicle("粤B00001", terminal_phone="1"), vehicle("粤B00002", terminal_phone="2"))
    await load(store, vehicle("粤B00001", terminal_phone="2"), vehicle("粤B00002", terminal_phone="1"))
    assert set(await registry.directory()) == {
        Terminal("2", key("粤B00001"), True),
        Terminal("1", key("粤B00002"), True),
    }
    trucks = await registry.vehicles([key("粤B00001"), key("粤B00002")])
    assert {truck.plate: truck.terminal_phone for truck in trucks.values()} == {"粤B00001": "2", "粤B00002": "1"}


async def test_a_phone_number_goes_to_the_later_person(store: Store, registry: Registry) -> None:
    await load(store, person())
    await load(store, person(OTHER_CITIZEN_ID, real_name="李四", wechat_openid=None))
    first, second = await registry.person(CITIZEN_ID), await registry.person(OTHER_CITIZEN_ID)
    assert await registry.person_key_by_phone("13800138000") == registry.person_key(OTHER_CITIZEN_ID)
    assert first is not None
    assert second is not None
    assert (first.phone, first.wechat_openid, second.real_name) == ("", "o-1", "李四")


async def test_a_user_name_stays_with_the_first_business(store: Store, registry: Registry) -> None:
    report = await load(store, business(), business(OTHER_USCC))
    assert [(line_no, reason.split(":")[0]) for line_no, reason in report.bad] == [(2, "username")]
    assert await registry.business(OTHER_USCC) is None
    report = await load(store, business(username="renamed"), business(OTHER_USCC))
    assert report.bad == []
    found = await registry.business_by_username("shunda")
    assert found is not None
    assert found.uscc == OTHER_USCC


async def test_a_plain_password_is_hashed_once_while_it_stays_the_same(store: Store, registry: Registry) -> None:
    before = counted.hashed
    for password in ("secret", "secret", "new secret"):
        await load(store, business(password_argon2=None, password=password))
    found = await registry.business(USCC)
    assert found is not None
    assert found.password_hash == f"{before + 2}:new secret"
    assert counted.hashed == before + 2


async def test_keys_and_records_do_not_show_citizen_ids(store: Store) -> None:
    await load(store, person())
    assert await store.get(PERSON, [CITIZEN_ID]) == {}
    assert await store.get(PHONE, ["13800138000"]) == {}
    (_, person_key), *_ = await store.index_values(PERSON, "all")
    assert CITIZEN_ID.encode() not in (await store.get(PERSON, [person_key]))[person_key].record


async def test_an_owners_vehicles_come_in_pages_by_plate(store: Store, registry: Registry) -> None:
    plates = [f"粤B{number:05d}" for number in range(7)]
    await load(store, *(vehicle(plate, terminal_phone=None) for plate in reversed(plates)))
    await load(store, vehicle("粤B99999", owner_uscc=OTHER_USCC))
    first = await registry.vehicles_of(USCC, limit=4)
    rest = await registry.vehicles_of(USCC, after=first.next, limit=4)
    assert [truck.plate for truck in first.vehicles + rest.vehicles] == plates
    assert rest.next is None
    assert await registry.count_vehicles_of(USCC) == 7
    with pytest.raises(ValueError):
        await registry.vehicles_of(OTHER_USCC, after=first.next)


async def test_a_vehicle_that_is_sold_changes_its_list(store: Store, registry: Registry) -> None:
    await load(store, vehicle())
    await load(store, vehicle(owner_uscc=OTHER_USCC))
    assert (await registry.vehicles_of(USCC)).vehicles == ()
    assert len((await registry.vehicles_of(OTHER_USCC)).vehicles) == 1


async def test_changes_tell_what_was_written_since_and_who_lost_a_terminal(store: Store, registry: Registry) -> None:
    await load(store, vehicle("粤B00001"), vehicle("粤B00002", terminal_phone=None))
    cursor = await registry.revision()
    assert (await registry.changes(cursor)).vehicles == ()
    await load(store, vehicle("粤B00002", terminal_phone=None), vehicle("粤B00003"))
    changes = await registry.changes(cursor)
    assert {truck.plate: truck.terminal_phone for truck in changes.vehicles} == {
        "粤B00001": "",
        "粤B00003": "13800000001",
    }
    assert (await registry.changes(changes.cursor)).cursor == changes.cursor


async def test_a_cursor_of_changes_that_is_none_is_refused(registry: Registry) -> None:
    for cursor in ("", "x", "-1", "1.0", "٣", "9" * 30):
        with pytest.raises(ValueError):
            await registry.changes(cursor)


async def test_imports_at_once_lose_nothing_and_who_follows_misses_nothing(store: Store, registry: Registry) -> None:
    files = [[vehicle(f"粤B{file}{line:04d}", terminal_phone=None) for line in range(1_200)] for file in range(3)]
    imports = [asyncio.ensure_future(load(store, *lines)) for lines in files]
    cursor, told = "0", set[str]()
    while len(told) < 3_600:
        under_way = not all(done.done() for done in imports)
        changes = await registry.changes(cursor)
        told |= {truck.plate for truck in changes.vehicles}
        assert under_way or changes.cursor != cursor, "all is imported, all is told, and some are missing"
        cursor = changes.cursor
        await asyncio.sleep(0)  # a store in memory answers at once, and the imports want their turn
    assert [(await done).written for done in imports] == [1_200] * 3
    assert await store.count("registry.vehicle", "all", "") == 3_600


async def test_progress_is_told_for_each_commit(store: Store) -> None:
    done: list[int] = []
    lines = [vehicle(f"粤B{number:05d}", terminal_phone=None) for number in range(1_100)]
    await import_lines(store, lines, PASSWORDS, done.append)
    assert done == [500, 1_000, 1_100]


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "registry.jsonl"
    path.write_bytes(b"first\n" + b"x" * 1_000_000 + b"\nlast")
    lines = list(read_lines(path))
    assert [lines[0], lines[2]] == [b"first\n", b"last"]
    assert MAX_LINE_BYTES < len(lines[1]) < 2 * MAX_LINE_BYTES
