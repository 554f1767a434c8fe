"""Tests that an account becomes a person's, however the person signed in before (R2, R3, R61, R64)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import ClientResponse

from actors.people.audit import audit_document
from domain.people.accounts import MAX_FORMER_IDS
from domain.people.audit import Doer, audit_record
from persistence.store import Put, StoreConflict
from tests.api.conftest import Service, citizen_id, mobile, person_line, problem, real_name

STRANGER = "13700000001"


def body(number: int = 2, *, phone: str = STRANGER, **changes: object) -> dict[str, object]:
    """Return the form that the person of this number would send."""
    proof = {"real_name": real_name(number), "citizen_id": citizen_id(number), "phone_code": f"sandbox:{phone}"}
    return proof | changes


async def register(service: Service, headers: Mapping[str, str], sent: Mapping[str, object]) -> ClientResponse:
    return await service.client.post("/api/v1/registration", json=sent, headers=headers)


async def registered(service: Service, headers: Mapping[str, str], sent: Mapping[str, object]) -> dict[str, Any]:
    """The account of a registration that succeeds."""
    response = await register(service, headers, sent)
    assert response.status == 200, await response.text()
    account: dict[str, Any] = await response.json()
    return account


async def test_r2_r3_registration_makes_a_driver_at_once_in_the_same_session(service: Service) -> None:
    headers = await service.sign_in_person(STRANGER)
    before = await service.get("/api/v1/me", headers)
    account = await registered(service, headers, body())
    assert account == {
        "id": before["id"],
        "kind": "natural",
        "roles": ["driver", "family"],
        "registered": True,
        "display_name": real_name(2),
    }
    me = await service.get("/api/v1/me", headers)
    assert {name: me[name] for name in account} == account
    assert me["certificates"][0]["kind"] == "qualification"


async def test_r2_a_family_member_registers_without_a_qualification(service: Service) -> None:
    headers = await service.one_click(STRANGER)
    account = await registered(service, headers, body(11))
    assert (account["roles"], account["registered"]) == (["family"], True)


async def test_r2_who_has_registered_comes_back_as_that_person_by_every_way(service: Service) -> None:
    account = await registered(service, await service.sign_in_person(STRANGER), body(2, phone="13700000002"))
    for headers in (
        await service.sign_in_person(STRANGER),
        await service.one_click(STRANGER),
        await service.one_click("13700000002"),
        await service.one_click(mobile(2)),
        await service.sign_in_driver(2),
    ):
        assert await service.account_id(headers) == account["id"]
    await service.restart()
    assert await service.account_id(await service.one_click("13700000002")) == account["id"]


@pytest.mark.parametrize(
    "changes",
    [
        {"real_name": "李四"},
        {"real_name": real_name(3)},
        {"citizen_id": citizen_id(3)},
        {"citizen_id": citizen_id(99)},
        {"real_name": real_name(2)[:-1]},
    ],
)
async def test_r2_name_and_citizen_id_must_be_one_persons_and_nothing_says_which_is_wrong(
    service: Service, changes: dict[str, object]
) -> None:
    headers = await service.sign_in_person(STRANGER)
    found = await problem(await register(service, headers, body() | changes), 422, "real_name_mismatch")
    assert found["detail"] == "姓名与身份证号核验不一致，请核对后重新填写。"
    assert (await service.get("/api/v1/me", headers))["registered"] is False


async def test_r2_small_letters_and_blanks_are_no_mismatch(service: Service) -> None:
    headers = await service.sign_in_person(STRANGER)
    sent = body(real_name=f" {real_name(2)} ", citizen_id=f" {citizen_id(2).lower()} ")
    assert (await registered(service, headers, sent))["registered"] is True


TYPED_NAMES = [
    "阿不都·艾力",
    "阿不都•艾力",
    "阿不都．艾力",
    "阿不都・艾力",
    "阿不都‧艾力",
    "阿不都.艾力",
    "\ufeff阿不都\u200b \u2027\u3000艾\u00ad力\u202c",
]
"""A person's name, as input methods, copied text and other systems write it."""


@pytest.mark.parametrize("imported", TYPED_NAMES[:5])
@pytest.mark.parametrize("typed", TYPED_NAMES)
async def test_r2_a_name_matches_whatever_dot_or_invisible_mark_it_was_typed_with(
    service: Service, imported: str, typed: str
) -> None:
    await service.register(person_line(3, real_name=imported))
    headers = await service.sign_in_person(STRANGER)
    assert (await registered(service, headers, body(3, real_name=typed)))["display_name"] == "阿不都·艾力"


async def test_r2_a_name_is_no_other_for_its_dot(service: Service) -> None:
    await service.register(person_line(3, real_name="阿不都·艾力"))
    headers = await service.sign_in_person(STRANGER)
    for other in ("阿不都艾力", "阿不都·艾", "阿·不都艾力"):
        await problem(await register(service, headers, body(3, real_name=other)), 422, "real_name_mismatch")


async def test_r2_a_character_of_private_use_is_named_as_the_reason(service: Service) -> None:
    headers = await service.sign_in_person(STRANGER)
    found = await problem(await register(service, headers, body(2, real_name="张\ue863明")), 422, "invalid_input")
    assert found["errors"] == [
        {
            "field": "real_name",
            "message": "第 2 个字是输入法自造的字(Unicode 私用区),无法与登记核对,请换一种输入法重新输入这个字",
        }
    ]


async def test_a_phone_code_that_is_refused_registers_nobody(service: Service) -> None:
    headers = await service.sign_in_person(STRANGER)
    await problem(await register(service, headers, body(phone_code="wrong")), 401, "code_refused")
    assert (await service.get("/api/v1/me", headers))["registered"] is False


BAD_FIELDS = [
    ("real_name", ""),
    ("real_name", "  "),
    ("real_name", None),
    ("real_name", 7),
    ("real_name", "名" * 101),
    ("real_name", "张\u0000三"),
    ("real_name", "张\ue863"),
    ("citizen_id", f"{citizen_id(2)[:-1]}\ue000"),
    ("citizen_id", ""),
    ("citizen_id", "420101198001010010"),
    ("citizen_id", "4201011980010100"),
    ("citizen_id", citizen_id(2)[:-1]),
    ("citizen_id", 42),
    ("citizen_id", ["x"]),
    ("citizen_id", "9" * 65),
    ("phone_code", ""),
    ("phone_code", None),
    ("phone_code", "x" * 513),
]


@pytest.mark.parametrize("field,value", BAD_FIELDS, ids=range(len(BAD_FIELDS)))
async def test_a_bad_field_is_named_and_its_value_never_repeated(service: Service, field: str, value: object) -> None:
    headers = await service.sign_in_person(STRANGER)
    response = await register(service, headers, body() | {field: value})
    found = await problem(response, 422, "invalid_input")
    assert [error["field"] for error in found["errors"]] == [field]
    if isinstance(value, str) and len(value) > 3:
        assert value not in await response.text()


@pytest.mark.parametrize("field", ["real_name", "citizen_id", "phone_code"])
async def test_a_missing_field_is_named(service: Service, field: str) -> None:
    sent = body()
    del sent[field]
    found = await problem(await register(service, await service.sign_in_person(STRANGER), sent), 422, "invalid_input")
    assert found["errors"] == [{"field": field, "message": "不能缺少"}]


async def test_registration_needs_a_session(service: Service) -> None:
    await problem(await register(service, {}, body()), 401, "unauthenticated")


async def test_registering_again_as_the_same_person_changes_nothing(service: Service) -> None:
    headers = await service.sign_in_person(STRANGER)
    first = await registered(service, headers, body())
    assert await registered(service, headers, body()) == first
    actions = [item["action"] for item in (await service.get("/api/v1/me/audit", headers))["items"]]
    assert actions == ["registered", "signed_in"]


async def test_nobody_becomes_a_second_person(service: Service) -> None:
    headers = await service.sign_in_driver(1)
    await problem(await register(service, headers, body(2)), 422, "real_name_mismatch")
    assert (await service.get("/api/v1/me", headers))["display_name"] == real_name(1)


async def test_an_account_becomes_the_one_that_its_person_has_already(service: Service) -> None:
    old = await service.account_id(await service.sign_in_driver(2))
    headers, other_session = await service.one_click(STRANGER), await service.one_click(STRANGER)
    former = await service.account_id(headers)
    assert former != old
    assert (await registered(service, headers, body()))["id"] == old
    for session in (headers, other_session, await service.one_click(STRANGER)):
        assert await service.account_id(session) == old
    await service.restart()
    assert await service.account_id(other_session) == old


async def test_what_the_former_account_held_is_the_persons_own(service: Service) -> None:
    driver = await service.sign_in_driver(2)
    headers = await service.one_click(STRANGER)
    former = await service.account_id(headers)
    await service.clock.advance(60)
    await registered(service, headers, body())
    at = service.clock.now() + 60
    doer = Doer("somebody", "natural", "别人")
    opened = audit_record("share_cancelled", doer, at=at, subject=("share", "s1"), accounts=(former,))
    await service.store.commit([audit_document(opened)])
    items = (await service.get("/api/v1/me/audit", driver))["items"]
    assert [item["action"] for item in items] == ["share_cancelled", "registered", "signed_in", "signed_in"]
    assert (await service.get("/api/v1/me/audit", headers))["items"] == items
    pages, cursor = [], ""
    while cursor is not None:
        page = await service.get(f"/api/v1/me/audit?limit=1{cursor and '&cursor='}{cursor}", headers)
        pages += page["items"]
        cursor = page["next"]
    assert pages == items


async def test_a_one_click_account_with_the_same_phone_joins_the_one_that_registers(service: Service) -> None:
    by_phone = await service.one_click("13700000002")
    by_wechat = await service.sign_in_person(STRANGER)
    account = await registered(service, by_wechat, body(phone="13700000002"))
    assert account["id"] == await service.account_id(by_phone)


async def test_a_phone_of_another_persons_account_goes_over_to_who_proved_to_have_it(service: Service) -> None:
    first = await registered(service, await service.sign_in_person(STRANGER), body(1))
    second = await registered(service, await service.sign_in_person("13700000002"), body(2, phone=STRANGER))
    assert first["id"] != second["id"]
    assert await service.account_id(await service.one_click(STRANGER)) == second["id"]
    assert await service.account_id(await service.sign_in_driver(1)) == first["id"]


async def test_two_who_register_as_one_person_in_the_same_millisecond_are_one_account(service: Service) -> None:
    sessions = [await service.one_click(f"1370000000{n}") for n in range(4)]
    accounts = await asyncio.gather(
        *(registered(service, session, body(2, phone=f"1370000000{n}")) for n, session in enumerate(sessions))
    )
    assert len({account["id"] for account in accounts}) == 1
    assert {await service.account_id(session) for session in sessions} == {accounts[0]["id"]}


async def test_two_who_join_an_account_in_the_same_millisecond_both_keep_what_they_held(service: Service) -> None:
    person = await service.sign_in_driver(2)
    sessions = [await service.one_click(f"1370000000{n}") for n in range(4)]
    await asyncio.gather(
        *(registered(service, session, body(2, phone=f"1370000000{n}")) for n, session in enumerate(sessions))
    )
    actions = [item["action"] for item in (await service.get("/api/v1/me/audit", person))["items"]]
    assert sorted(actions) == ["registered"] * 4 + ["signed_in"] * 5


async def test_former_ids_have_a_limit_and_every_session_goes_on(service: Service) -> None:
    person = await service.account_id(await service.sign_in_driver(2))
    sessions = []
    for n in range(MAX_FORMER_IDS + 2):
        sessions.append(await service.one_click(f"137000001{n:02d}"))
        await registered(service, sessions[-1], body(2, phone=f"137000001{n:02d}"))
    assert {await service.account_id(session) for session in sessions} == {person}


async def test_a_store_that_always_conflicts_is_busy_and_not_asked_for_ever(service: Service) -> None:
    headers = await service.sign_in_person(STRANGER)
    await service.restart_with(store=Conflicting(service.store))
    await problem(await register(service, headers, body()), 503, "unavailable")


class Conflicting:
    """A store where another commit on accounts always comes first."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, writes: Any) -> None:
        if any(isinstance(write, Put) and write.kind == "account" for write in writes):
            raise StoreConflict("somebody was faster")
        await self._store.commit(writes)


async def test_r3_an_import_that_takes_the_qualification_away_ends_the_role(service: Service) -> None:
    headers = await service.sign_in_driver(2)
    await service.register(person_line(2, qualified=False))
    me = await service.get("/api/v1/me", headers)
    assert (me["roles"], me["certificates"]) == (["family"], [])


async def test_r61_the_eleventh_wrong_name_is_not_tried_and_a_restart_forgives_nobody(service: Service) -> None:
    headers = await service.sign_in_person(STRANGER)
    for _ in range(10):
        await problem(await register(service, headers, body(real_name="李四")), 422, "real_name_mismatch")
    await service.restart()
    response = await register(service, headers, body())
    await problem(response, 429, "too_many_attempts")
    assert int(response.headers["Retry-After"]) == 3600
    other = await service.sign_in_person("13700000002")
    assert (await registered(service, other, body(3, phone="13700000002")))["registered"]
    await service.clock.advance(3601)
    assert (await registered(service, headers, body()))["registered"]


async def test_r62_neither_citizen_id_nor_phone_of_a_registration_lies_in_the_store_or_the_log(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    await service.register(person_line(20, qualified=False))
    caplog.set_level("DEBUG")
    await registered(service, await service.sign_in_person(STRANGER), body(20))
    await service.stop()
    stored = b"".join(path.read_bytes() for path in service.folder.iterdir())
    for secret in (citizen_id(20), STRANGER):
        assert secret.encode() not in stored
        assert secret not in caplog.text
    await service.start()


async def test_r64_registration_is_on_record(service: Service) -> None:
    headers = await service.sign_in_person(STRANGER)
    account = await registered(service, headers, body())
    newest = (await service.get("/api/v1/me/audit?limit=1", headers))["items"][0]
    assert newest["action"] == "registered"
    assert newest["actor"] == {"kind": "natural", "display_name": real_name(2)}
    assert newest["subject"] == {"kind": "account", "id": account["id"]}
    assert newest["address_masked"] == "127.0.0.*"
