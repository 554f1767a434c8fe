"""Tests who gets in, as which account, and out again for good (R1-R5, R61, R62, R64)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientResponse

from api.accounts.identity import Sandbox
from api.accounts.sessions import LIFETIME_S
from domain.people.audit import AuditRecord
from persistence.records import decode
from persistence.store import IndexEntry, Put
from tests.api.conftest import TODAY, Service, citizen_id, mobile, person_line, problem, real_name

DAY_S = 86_400.0


async def sign_in(service: Service, **changes: Any) -> Any:
    return await service.client.post("/api/v1/sessions", json=service.credentials(**changes))


async def test_a_business_signs_in_and_is_who_it_is(service: Service) -> None:
    response = await sign_in(service)
    body = await response.json()
    assert response.status == 201
    assert body["expires_at"] == "2025-11-08T16:53:20+08:00"
    assert body["account"] == {
        "id": body["account"]["id"],
        "kind": "legal",
        "roles": ["owner"],
        "registered": True,
        "display_name": "平安运输1号公司",
    }
    me = await service.get("/api/v1/me", {"Authorization": f"Bearer {body['token']}"})
    assert {name: me[name] for name in body["account"]} == body["account"]
    assert me["counts"] == {"vehicles": 3, "shares_watched": 0}


async def test_a_user_name_typed_in_full_width_or_with_an_invisible_mark_is_the_same(service: Service) -> None:
    for typed in ("ｏｗｎｅｒ１", "\ufeffowner1\u200b", "\u3000owner1 "):
        assert (await sign_in(service, username=typed)).status == 201


async def test_a_business_sees_its_licence_without_its_number(service: Service) -> None:
    body = await service.get("/api/v1/me/certificates", await service.sign_in())
    assert body["items"] == [
        {
            "kind": "operating_licence",
            "number_masked": "********0001",
            "valid_until": "2030-01-01",
            "state": "valid",
            "days_left": 1545,
        }
    ]


@pytest.mark.parametrize("username,password", [("owner1", "wrong"), ("nobody", "right-1"), ("", ""), ("own\0er1", "x")])
async def test_wrong_name_and_wrong_password_are_told_alike(service: Service, username: str, password: str) -> None:
    body = await problem(await sign_in(service, username=username, password=password), 401, "wrong_credentials")
    assert body["detail"] == "用户名或密码不正确。"


async def test_r1_the_current_terms_must_be_accepted(service: Service) -> None:
    await problem(await sign_in(service, terms_version="2020-1"), 403, "terms_not_accepted")
    await problem(await sign_in(service, terms_version=None), 403, "terms_not_accepted")
    body = service.credentials()
    del body["terms_version"]
    await problem(await service.client.post("/api/v1/sessions", json=body), 403, "terms_not_accepted")


async def test_the_terms_are_there_for_everybody(service: Service) -> None:
    terms = await service.get("/api/v1/terms", {})
    assert terms["version"] == service.services.terms.version
    assert terms["version"] in terms["text"]
    assert "服务使用声明" in terms["text"]


async def test_r61_the_eleventh_wrong_password_is_not_even_tried(service: Service) -> None:
    for _ in range(10):
        await problem(await sign_in(service, password="wrong"), 401, "wrong_credentials")
    response = await sign_in(service)
    await problem(response, 429, "too_many_attempts")
    assert int(response.headers["Retry-After"]) == 900
    assert (await sign_in(service, number=2)).status == 201
    await service.clock.advance(901)
    assert (await sign_in(service)).status == 201


async def test_r61_many_guesses_at_once_gain_nothing(service: Service) -> None:
    responses = await asyncio.gather(*(sign_in(service, password=f"wrong{n}") for n in range(25)))
    statuses = [response.status for response in responses]
    assert statuses.count(401) == 10
    assert statuses.count(429) == 15


async def test_r61_right_passwords_are_not_counted(service: Service) -> None:
    for _ in range(12):
        assert (await sign_in(service)).status == 201


async def test_r61_sixty_wrong_passwords_end_an_address_whatever_the_names(service: Service) -> None:
    for guess in range(60):
        await problem(await sign_in(service, username=f"guess{guess}"), 401, "wrong_credentials")
    await problem(await sign_in(service, username="another"), 429, "too_many_attempts")


async def test_sessions_survive_a_restart(service: Service) -> None:
    headers = await service.sign_in()
    await service.restart()
    assert (await service.get("/api/v1/me", headers))["display_name"] == "平安运输1号公司"


async def test_sessions_end_after_thirty_days(service: Service) -> None:
    headers = await service.sign_in()
    await service.clock.advance(30 * DAY_S - 1)
    await service.get("/api/v1/me", headers)
    await service.clock.advance(1)
    await problem(await service.client.get("/api/v1/me", headers=headers), 401, "unauthenticated")


async def test_expired_sessions_leave_the_store(service: Service) -> None:
    await service.sign_in()
    await service.clock.advance(LIFETIME_S + 1)
    await service.sign_in()
    assert await service.store.count("session", "expiry", "") == 1


async def test_a_token_that_was_signed_out_is_worth_nothing(service: Service) -> None:
    headers, other = await service.sign_in(), await service.sign_in()
    assert (await service.client.delete("/api/v1/sessions/current", headers=headers)).status == 204
    await problem(await service.client.get("/api/v1/me", headers=headers), 401, "unauthenticated")
    await problem(await service.client.delete("/api/v1/sessions/current", headers=headers), 401, "unauthenticated")
    await service.get("/api/v1/me", other)
    await service.restart()
    await problem(await service.client.get("/api/v1/me", headers=headers), 401, "unauthenticated")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer x", "Basic b3duZXIx", "Bearer " + "é" * 43, "Bearer " + "A" * 43]
)
async def test_what_is_no_token_is_unauthenticated(service: Service, header: str) -> None:
    await problem(await service.client.get("/api/v1/me", headers={"Authorization": header}), 401, "unauthenticated")


async def test_a_token_in_the_query_is_no_token(service: Service) -> None:
    token = (await service.sign_in())["Authorization"].removeprefix("Bearer ")
    await problem(await service.client.get(f"/api/v1/me?access_token={token}"), 401, "unauthenticated")


async def test_r62_neither_token_nor_password_lies_in_the_store(service: Service) -> None:
    token = (await service.sign_in())["Authorization"].removeprefix("Bearer ")
    await service.stop()
    stored = b"".join(path.read_bytes() for path in service.folder.iterdir())
    assert token.encode() not in stored
    assert b"right-1" not in stored
    await service.start()


async def test_r64_signing_in_and_out_is_on_record(service: Service) -> None:
    headers = await service.sign_in()
    account_id = (await service.get("/api/v1/me", headers))["id"]
    await service.clock.advance(5)
    await service.client.delete("/api/v1/sessions/current", headers=headers)
    page = await service.store.find("audit", "account", account_id, descending=True)
    records = [decode(document.record, AuditRecord) for document in page.documents]
    assert [record.action for record in records] == ["signed_out", "signed_in"]
    assert records[0].at - records[1].at == 5
    assert {record.address_masked for record in records} == {"127.0.0.*"}
    assert records[0].subject_id == records[1].subject_id


def natural(service: Service, code: str, **changes: Any) -> dict[str, Any]:
    return {"kind": "natural", "wechat_code": code, "terms_version": service.services.terms.version} | changes


def one_click(service: Service, code: str, **changes: Any) -> dict[str, Any]:
    return {"kind": "one_click", "phone_code": code, "terms_version": service.services.terms.version} | changes


async def post(service: Service, body: dict[str, Any]) -> ClientResponse:
    return await service.client.post("/api/v1/sessions", json=body)


async def account(service: Service, body: dict[str, Any]) -> dict[str, Any]:
    """The account of a sign-in that succeeds."""
    response = await post(service, body)
    assert response.status == 201, await response.text()
    found: dict[str, Any] = (await response.json())["account"]
    return found


@pytest.mark.parametrize("make", [natural, one_click])
async def test_r1_a_natural_person_must_accept_the_terms_before_any_code_is_redeemed(
    service: Service, make: Callable[..., dict[str, Any]]
) -> None:
    provider = CountingProvider()
    await service.restart_with(identity=provider)
    for version in ("2020-1", None, ""):
        await problem(await post(service, make(service, "x", terms_version=version)), 403, "terms_not_accepted")
    body = make(service, "x")
    del body["terms_version"]
    await problem(await post(service, body), 403, "terms_not_accepted")
    assert provider.asked == 0


class CountingProvider(Sandbox):
    """A sandbox that counts."""

    def __init__(self) -> None:
        self.asked = 0

    async def phone(self, code: str) -> str:
        self.asked += 1
        return await super().phone(code)


async def test_r2_whom_the_registry_does_not_know_is_unregistered(service: Service) -> None:
    found = await account(service, natural(service, "sandbox:13700001234"))
    assert found == {
        "id": found["id"],
        "kind": "natural",
        "roles": ["family"],
        "registered": False,
        "display_name": "137****1234",
    }
    assert len(found["id"]) == 16


async def test_r3_who_holds_a_qualification_is_a_driver_and_everybody_is_family(service: Service) -> None:
    driver = await account(service, natural(service, f"sandbox:{mobile(1)}"))
    assert (driver["roles"], driver["registered"]) == (["driver", "family"], True)
    assert driver["display_name"] == real_name(1)
    member = await account(service, natural(service, f"sandbox:{mobile(11)}"))
    assert (member["roles"], member["registered"]) == (["family"], True)


async def test_r3_a_driver_sees_the_qualification_without_its_number(service: Service) -> None:
    body = await service.get("/api/v1/me/certificates", await service.sign_in_driver())
    [found] = body["items"]
    assert (found["kind"], found["state"], found["days_left"]) == ("qualification", "valid", 500)
    assert found["number_masked"] == "*" * 14 + citizen_id(1)[-4:]


async def test_r3_the_role_ends_with_the_day_after_the_last_valid_one(service: Service) -> None:
    last_day = str(TODAY + timedelta(days=1))
    await service.register(person_line(1, qualification={"number": "4201", "valid_until": last_day}))
    headers = await service.sign_in_driver()
    midnight_s = (24 - 16) * 3600 - 53 * 60 - 20
    for seconds, is_driver in ((0, True), (midnight_s + DAY_S - 1, True), (1, False)):
        await service.clock.advance(seconds)
        assert ("driver" in (await service.get("/api/v1/me", headers))["roles"]) is is_driver
    me = await service.get("/api/v1/me", headers)
    assert me["certificates"][0]["state"] == "expired"
    await service.register(person_line(1))
    assert "driver" in (await service.get("/api/v1/me", headers))["roles"]


async def test_r5_one_click_with_the_phone_of_a_registered_person_is_that_person(service: Service) -> None:
    by_wechat = await account(service, natural(service, f"sandbox:{mobile(1)}"))
    assert await account(service, one_click(service, f"sandbox:{mobile(1)}")) == by_wechat


async def test_r5_one_click_with_an_unknown_phone_is_an_account_of_its_own_and_always_the_same(
    service: Service,
) -> None:
    first = await account(service, one_click(service, "sandbox:13700000001"))
    assert (first["registered"], first["roles"]) == (False, ["family"])
    assert await account(service, one_click(service, "sandbox:+86 137 0000 0001")) == first
    assert (await account(service, one_click(service, "sandbox:13700000002")))["id"] != first["id"]
    await service.restart()
    assert await account(service, one_click(service, "sandbox:13700000001")) == first


async def test_two_sign_ins_in_the_same_millisecond_make_one_account(service: Service) -> None:
    bodies = [
        make(service, f"sandbox:{phone}") for phone in ("13700000001", mobile(2)) for make in (natural, one_click)
    ]
    found = await asyncio.gather(*(account(service, body) for body in bodies * 4))
    by_name: dict[str, set[str]] = {}
    for each in found:
        by_name.setdefault(each["display_name"], set()).add(each["id"])
    assert sorted(map(len, by_name.values())) == [1, 1]


async def test_an_import_makes_an_unregistered_account_the_persons_own_with_the_id_it_had(service: Service) -> None:
    headers = await service.sign_in_person(mobile(5))
    before = await service.get("/api/v1/me", headers)
    assert before["registered"] is False
    await service.register(person_line(5))
    again = await account(service, natural(service, f"sandbox:{mobile(5)}"))
    assert (again["id"], again["registered"], again["roles"]) == (before["id"], True, ["driver", "family"])
    assert (await service.get("/api/v1/me", headers))["registered"] is True


async def test_a_phone_that_changed_hands_leads_to_its_new_holder(service: Service) -> None:
    old = await account(service, one_click(service, f"sandbox:{mobile(1)}"))
    await service.register(person_line(6, phone=mobile(1)))
    new = await account(service, one_click(service, f"sandbox:{mobile(1)}"))
    assert new["display_name"] == real_name(6)
    assert new["id"] != old["id"]


@pytest.mark.parametrize(
    "code",
    ["13700000001", "sandbox:", "sandbox:12345", "sandbox:110", "SANDBOX:13700000001", "sandbox:" + "1" * 300, "\0"],
)
async def test_a_code_that_is_none_is_refused(service: Service, code: str) -> None:
    await problem(await post(service, natural(service, code)), 401, "code_refused")
    await problem(await post(service, one_click(service, code)), 401, "code_refused")


async def test_r61_wrong_codes_end_an_address_and_a_restart_forgives_nobody(service: Service) -> None:
    for _ in range(30):
        await problem(await post(service, natural(service, "wrong")), 401, "code_refused")
        await problem(await post(service, one_click(service, "wrong")), 401, "code_refused")
    await service.restart()
    response = await post(service, one_click(service, "sandbox:13700000001"))
    await problem(response, 429, "too_many_attempts")
    assert int(response.headers["Retry-After"]) == 900
    assert (await sign_in(service)).status == 201, "a password is another kind"
    await service.clock.advance(901)
    await account(service, one_click(service, "sandbox:13700000001"))


async def test_a_business_is_no_natural_person_and_the_reverse(service: Service) -> None:
    business = await service.sign_in()
    body = {"real_name": "张三", "citizen_id": citizen_id(1), "phone_code": "sandbox:13700000001"}
    response = await service.client.post("/api/v1/registration", json=body, headers=business)
    await problem(response, 403, "natural_person_only")
    driver = await service.sign_in_driver()
    await problem(await service.client.get("/api/v1/owner/vehicles", headers=driver), 403, "owner_only")


async def test_a_natural_person_has_counts_of_what_is_bound_and_watched(service: Service) -> None:
    headers = await service.sign_in_driver()
    account_id = await service.account_id(headers)
    await service.store.commit(
        [
            *(Put("binding", key, b"", (IndexEntry("current", account_id),)) for key in "ab"),
            Put("share", "c", b"", (IndexEntry("viewer", account_id),)),
        ]
    )
    assert (await service.get("/api/v1/me", headers))["counts"] == {"vehicles": 2, "shares_watched": 1}


async def test_r62_neither_phone_nor_openid_of_an_account_lies_in_the_store(service: Service) -> None:
    await service.sign_in_person("13700001234")
    await service.one_click("13700005678")
    await service.stop()
    stored = b"".join(path.read_bytes() for path in service.folder.iterdir())
    assert b"13700001234" not in stored
    assert b"13700005678" not in stored
    await service.start()


async def test_r64_an_account_sees_what_it_did_newest_first_a_page_at_a_time(service: Service) -> None:
    headers = other = await service.sign_in_driver()
    for _ in range(4):
        await service.clock.advance(60)
        other = await service.sign_in_driver()
    await service.clock.advance(60)
    await service.client.delete("/api/v1/sessions/current", headers=other)
    await service.sign_in_driver(2)
    whole = await service.get("/api/v1/me/audit", headers)
    assert [item["action"] for item in whole["items"]] == ["signed_out", *["signed_in"] * 5]
    assert whole["next"] is None
    newest = whole["items"][0]
    assert newest == {
        "id": newest["id"],
        "at": "2025-10-09T16:58:20+08:00",
        "actor": {"kind": "natural", "display_name": real_name(1)},
        "action": "signed_out",
        "subject": {"kind": "session", "id": whole["items"][1]["subject"]["id"]},
        "address_masked": "127.0.0.*",
        "detail": "",
    }
    paged, cursor = [], ""
    while cursor is not None:
        page = await service.get(f"/api/v1/me/audit?limit=4{cursor and '&cursor='}{cursor}", headers)
        paged += page["items"]
        cursor = page["next"]
    assert paged == whole["items"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "cursor=x", "cursor=é", "cursor=e30", "cursor=bnVsbA"]
)
async def test_a_bad_query_of_the_audit_list_is_invalid(service: Service, query: str) -> None:
    headers = await service.sign_in_driver()
    await problem(await service.client.get(f"/api/v1/me/audit?{query}", headers=headers), 422, "invalid_input")


async def test_a_cursor_of_another_accounts_list_is_none_of_ours(service: Service) -> None:
    await service.sign_in_driver()
    headers = await service.sign_in_driver()
    cursor = (await service.get("/api/v1/me/audit?limit=1", headers))["next"]
    other = await service.sign_in_driver(2)
    response = await service.client.get(f"/api/v1/me/audit?cursor={cursor}", headers=other)
    await problem(response, 422, "invalid_input")


BAD_BODIES = [
    (b"", "body"),
    (b"{", "body"),
    (b"[]", "body"),
    (b"null", "body"),
    (b'{"kind":"legal"}', "username"),
    (b'{"kind":"nobody","username":"a","password":"b"}', "kind"),
    (b'{"kind":"natural","terms_version":"1"}', "wechat_code"),
    (b'{"kind":"natural","wechat_code":"","terms_version":"1"}', "wechat_code"),
    (b'{"kind":"natural","wechat_code":null}', "wechat_code"),
    (b'{"kind":"natural","wechat_code":"' + b"x" * 513 + b'"}', "wechat_code"),
    (b'{"kind":"one_click","phone_code":["sandbox:13800000000"]}', "phone_code"),
    (b'{"kind":"one_click","wechat_code":"sandbox:13800000000"}', "phone_code"),
    (b'{"kind":null,"phone_code":"sandbox:13800000000"}', "kind"),
    (b'{"username":"a","password":"b"}', "kind"),
    (b'{"kind":"legal","username":null,"password":"b"}', "username"),
    (b'{"kind":"legal","username":1,"password":"b"}', "username"),
    (b'{"kind":"legal","username":"a","password":["b"]}', "password"),
    (b'{"kind":"legal","username":"' + b"a" * 101 + b'","password":"b"}', "username"),
    (b'{"kind":"legal","username":"a","password":"' + b"b" * 201 + b'"}', "password"),
    (b'{"kind":"legal","username":"\\ud800","password":"b"}', "body"),
    (b'{"kind":"legal","username":"\xff","password":"b"}', "body"),
    (b'{"kind":"legal","username":' + b"[" * 30_000 + b"]" * 30_000 + b',"password":"b"}', "username"),
    (b'{"kind":"legal","other":' + b"[" * 30_000 + b"]" * 30_000 + b"}", "body"),
]


@pytest.mark.parametrize("body,field", BAD_BODIES, ids=range(len(BAD_BODIES)))
async def test_a_bad_body_is_refused_with_the_field_that_is_bad(service: Service, body: bytes, field: str) -> None:
    headers = {"Content-Type": "application/json"}
    found = await problem(
        await service.client.post("/api/v1/sessions", data=body, headers=headers), 422, "invalid_input"
    )
    assert [error["field"] for error in found["errors"]] == [field]
    assert all(error["message"] for error in found["errors"])
