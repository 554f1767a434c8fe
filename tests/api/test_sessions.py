"""Is a session found without asking the store, and gone when it is over (R62)?"""

from __future__ import annotations

from typing import Any

import pytest

from api import sessions
from tests.api.conftest import Service, mobile, person_line, problem


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
