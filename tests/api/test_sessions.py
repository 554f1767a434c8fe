"""A session is found without asking the store, seen and ended by its account, and gone when it is over (R62)."""

from __future__ import annotations

from typing import Any

import pytest

from api.accounts import sessions
from api.accounts.accounts import LegalAccount
from api.accounts.people import People
from api.accounts.sessions import Sessions
from domain.errors import Unauthenticated
from persistence.store import StoreUnavailable
from tests.api.conftest import Service, business_line, citizen_id, mobile, person_line, problem, real_name, uscc

Headers = dict[str, str]
Body = dict[str, Any]


class RefusingStore:
    """A store that can be read only."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, writes: Any) -> None:
        raise StoreUnavailable("it is full")


class CountingStore:
    """A store that counts what is read of it."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def get(self, kind: str, keys: Any) -> Any:
        self.reads += 1
        return await self._store.get(kind, keys)


@pytest.mark.parametrize("who", ["driver", "family", "stranger", "business"])
async def test_an_unchanged_world_costs_no_read_of_the_store(service: Service, who: str) -> None:
    phones = {"driver": mobile(1), "family": mobile(11), "stranger": "13700000001"}
    headers = await (service.sign_in_person(phones[who]) if who in phones else service.sign_in())
    store = CountingStore(service.store)
    await service.restart_with(store=store)
    await service.get("/api/v1/me/certificates", headers)
    assert store.reads > 0
    before = store.reads
    for _ in range(5):
        await service.clock.advance(30)
        await service.get("/api/v1/me/certificates", headers)
    assert store.reads == before


async def test_an_import_is_seen_by_sessions_that_are_under_way(service: Service) -> None:
    headers = await service.sign_in_driver()
    await service.get("/api/v1/me", headers)
    await service.register(person_line(1, real_name="改名"))
    assert (await service.get("/api/v1/me", headers))["display_name"] == "改名"


async def test_one_session_too_many_ends_the_oldest(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_OF_ACCOUNT", 3)
    started = []
    for _ in range(4):
        started.append(await service.sign_in_driver())
        await service.clock.advance(1)
    await problem(await service.client.get("/api/v1/me", headers=started[0]), 401, "unauthenticated")
    for headers in started[1:]:
        await service.get("/api/v1/me", headers)
    other = await service.sign_in_driver(2)
    await service.get("/api/v1/me", other)
    items = (await service.get("/api/v1/me/audit", started[1]))["items"]
    ended = [item for item in items if item["action"] == "signed_out"]
    assert [item["actor"] for item in ended] == [{"kind": "system", "display_name": "平台"}]
    assert ended[0]["subject"] == items[-1]["subject"]


async def test_a_natural_session_ends_after_thirty_days_and_by_signing_out(service: Service) -> None:
    headers, other = await service.sign_in_driver(), await service.sign_in_driver()
    assert (await service.client.delete("/api/v1/sessions/current", headers=other)).status == 204
    await problem(await service.client.get("/api/v1/me", headers=other), 401, "unauthenticated")
    await service.clock.advance(sessions.LIFETIME_S - 1)
    await service.get("/api/v1/me", headers)
    await service.clock.advance(1)
    await problem(await service.client.get("/api/v1/me", headers=headers), 401, "unauthenticated")
    await service.restart()
    await problem(await service.client.get("/api/v1/me", headers=headers), 401, "unauthenticated")


# -- seen and ended by their account ----------------------------------------------------------------------------------


PATH = "/api/v1/sessions"


async def listed(service: Service, headers: Headers) -> list[Body]:
    items: list[Body] = (await service.get(PATH, headers))["items"]
    return items


async def is_over(service: Service, headers: Headers) -> bool:
    response = await service.client.get("/api/v1/me", headers=headers)
    if response.status == 200:
        return False
    await problem(response, 401, "unauthenticated")
    return True


async def test_an_account_sees_its_sessions_newest_first_and_nobody_elses(service: Service) -> None:
    first = await service.sign_in_person(mobile(11))
    await service.clock.advance(60)
    second = await service.one_click(mobile(11))
    await service.sign_in_driver()
    newer, older = await listed(service, second)
    assert (newer["kind"], newer["current"]) == ("one_click", True)
    assert (older["kind"], older["current"]) == ("natural", False)
    assert newer["made_at"] == "2025-10-09T16:54:20+08:00"
    assert older["address_masked"] == "127.0.0.*"
    assert [each["current"] for each in await listed(service, first)] == [False, True]
    (business,) = await listed(service, await service.sign_in())
    assert (business["kind"], business["current"]) == ("legal", True)


async def test_a_session_is_called_as_in_the_audit_record_of_its_beginning(service: Service) -> None:
    headers = await service.sign_in_driver()
    (session,) = await listed(service, headers)
    (record,) = (await service.get("/api/v1/me/audit", headers))["items"]
    assert record["subject"] == {"kind": "session", "id": session["id"]}
    assert headers["Authorization"][-43:] not in str(session)


async def test_when_a_session_was_last_used_is_known_to_five_minutes_and_after_a_restart(service: Service) -> None:
    used, idle = await service.sign_in_driver(), await service.sign_in_driver()
    await service.get("/api/v1/me", used)
    for _ in range(3):
        await service.clock.advance(240)
        await service.get("/api/v1/me", used)
    last = {each["current"]: each["last_used_at"] for each in await listed(service, used)}
    assert last == {True: "2025-10-09T17:01:20+08:00", False: "2025-10-09T16:53:20+08:00"}
    await service.restart()
    last = {each["current"]: each["last_used_at"] for each in await listed(service, idle)}
    assert last == {True: "2025-10-09T17:05:20+08:00", False: "2025-10-09T17:01:20+08:00"}


async def test_a_long_list_of_sessions_comes_in_pages(service: Service) -> None:
    for _ in range(3):
        await service.sign_in_driver()
        await service.clock.advance(1)
    headers = await service.sign_in_driver()
    found, cursor = [], ""
    while cursor is not None:
        page = await service.get(f"{PATH}?limit=3&cursor={cursor}" if cursor else f"{PATH}?limit=3", headers)
        found += page["items"]
        cursor = page["next"]
    assert [each["current"] for each in found] == [True, False, False, False]
    assert len({each["id"] for each in found}) == 4
    await problem(await service.client.get(f"{PATH}?cursor=x", headers=headers), 422, "invalid_input")


async def test_what_can_not_be_used_any_more_is_not_listed(service: Service) -> None:
    await service.sign_in_driver()
    await service.clock.advance(sessions.LIFETIME_S)
    assert [each["current"] for each in await listed(service, await service.sign_in_driver())] == [True]


async def test_a_session_ends_another_and_itself(service: Service) -> None:
    lost, kept = await service.sign_in_driver(), await service.sign_in_driver()
    (wanted,) = [each["id"] for each in await listed(service, kept) if not each["current"]]
    assert (await service.client.delete(f"{PATH}/{wanted}", headers=kept)).status == 204
    assert await is_over(service, lost)
    await problem(await service.client.delete(f"{PATH}/{wanted}", headers=kept), 404, "not_found")
    (own,) = await listed(service, kept)
    newest = (await service.get("/api/v1/me/audit", kept))["items"][0]
    assert (newest["action"], newest["subject"]["id"]) == ("signed_out", wanted)
    assert newest["actor"]["kind"] == "natural"
    await service.restart()
    assert await is_over(service, lost)
    assert (await service.client.delete(f"{PATH}/{own['id']}", headers=kept)).status == 204
    assert await is_over(service, kept)


async def test_nobody_ends_the_session_of_another_account(service: Service) -> None:
    theirs, mine = await service.sign_in_driver(1), await service.sign_in_driver(2)
    (wanted,) = [each["id"] for each in await listed(service, theirs)]
    for unknown in (wanted, "0" * 16, "x", wanted.upper(), wanted[:15], "%00"):
        await problem(await service.client.delete(f"{PATH}/{unknown}", headers=mine), 404, "not_found")
    assert not await is_over(service, theirs)


async def test_all_others_end_and_the_one_that_asks_stays(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "PAGE", 2)
    others = [await service.sign_in_driver() for _ in range(5)]
    asking, stranger = await service.sign_in_driver(), await service.sign_in_driver(2)
    for ended in (5, 0):
        response = await service.client.delete(PATH, headers=asking)
        assert (response.status, await response.json()) == (200, {"ended": ended})
    assert [await is_over(service, each) for each in others] == [True] * 5
    assert not await is_over(service, asking)
    assert not await is_over(service, stranger)
    actions = [each["action"] for each in (await service.get("/api/v1/me/audit", asking))["items"]]
    assert actions.count("signed_out") == 5


async def test_sessions_of_what_the_account_was_before_are_its_own(service: Service) -> None:
    headers, former = await service.sign_in_driver(2), await service.one_click("13700000001")
    body = {"real_name": real_name(2), "citizen_id": citizen_id(2), "phone_code": "sandbox:13700000001"}
    assert (await service.client.post("/api/v1/registration", json=body, headers=former)).status == 200
    assert [each["current"] for each in await listed(service, headers)] == [True, False]
    assert await (await service.client.delete(PATH, headers=headers)).json() == {"ended": 1}
    assert await is_over(service, former)


async def test_a_store_that_is_down_ends_nothing(service: Service) -> None:
    other, asking = await service.sign_in_driver(), await service.sign_in_driver()
    await listed(service, other)
    await service.restart_with(store=RefusingStore(service.store))
    await problem(await service.client.delete(PATH, headers=asking), 503, "unavailable")
    await service.restart_with(store=service.store)
    assert not await is_over(service, other)


# -- ended by a new password ------------------------------------------------------------------------------------------


async def test_a_new_password_ends_the_sessions_of_that_business_only(service: Service) -> None:
    before, other = [await service.sign_in() for _ in range(2)], await service.sign_in(2)
    driver = await service.sign_in_driver()
    await service.register(business_line(1, name="改名运输公司"), business_line(2), person_line(1))
    assert not await is_over(service, other)
    await service.register(business_line(1, password="another-right-1"))
    assert [await is_over(service, each) for each in before] == [True, True]
    assert not await is_over(service, driver)
    response = await service.client.post(PATH, json=service.credentials(password="another-right-1"))
    headers = {"Authorization": f"Bearer {(await response.json())['token']}"}
    assert [each["current"] for each in await listed(service, headers)] == [True]
    told = (await service.get("/api/v1/me/audit", headers))["items"]
    ends = [each for each in told if each["action"] == "signed_out"]
    assert [(each["actor"]["kind"], each["detail"]) for each in ends] == [("system", "密码已更改")] * 2
    await service.restart()
    assert [await is_over(service, each) for each in before] == [True, True]


async def test_the_same_password_again_ends_nothing(service: Service) -> None:
    headers = await service.sign_in()
    hashed = (await service.services.registry.business(uscc(1))).password_hash  # type: ignore[union-attr]
    line = business_line(1, password_argon2=hashed)
    del line["password"]
    await service.register(line)
    assert not await is_over(service, headers)


async def test_a_session_that_begins_with_the_old_password_while_it_changes_is_worth_nothing(service: Service) -> None:
    """The import commits between the check of the password and the session's own commit."""
    business = await service.services.registry.business_by_username("owner1")
    assert business is not None
    await service.register(business_line(1, password="another-right-1"))
    of = Sessions(
        service.store,
        service.clock,
        service.services.registry,
        People(service.store, service.clock, service.services.registry, service.services.registry_revision),
        service.services.registry_revision,
        terms_version=service.services.terms.version,
    )
    started = await of.start(LegalAccount(business), way="legal", address="")
    assert await is_over(service, {"Authorization": f"Bearer {started.token}"})
    with pytest.raises(Unauthenticated):
        await of.find(started.token)
