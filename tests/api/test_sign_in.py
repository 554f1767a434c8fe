"""Does a business get in with the right password only, and out again for good (R1, R4, R61, R62, R64)?"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.audit import AuditRecord
from api.sessions import LIFETIME_S
from persistence.records import decode
from tests.api.conftest import Service, problem

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
    assert me["counts"] == {"vehicles": 3}


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


BAD_BODIES = [
    (b"", "body"),
    (b"{", "body"),
    (b"[]", "body"),
    (b"null", "body"),
    (b'{"kind":"legal"}', "username"),
    (b'{"kind":"nobody","username":"a","password":"b"}', "kind"),
    (b'{"kind":"natural","wechat_code":"sandbox:13800000000","terms_version":"1"}', "kind"),
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
