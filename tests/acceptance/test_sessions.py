"""An account sees and ends its sessions, and a new password ends those of a business; on both stores."""

from __future__ import annotations

from tests.acceptance.test_r60_r62_everybody import signs_in_with
from tests.acceptance.world import Caller, World
from tests.api.conftest import business_line

SESSIONS = "/api/v1/sessions"
ELSEWHERE = "127.0.7.7"


async def is_signed_in(caller: Caller) -> bool:
    answer = await caller.get("/api/v1/me")
    return answer.status == 200 or not answer.refused(401, "unauthenticated")


async def test_an_account_sees_and_ends_its_sessions(world: World) -> None:
    first = await world.natural(1, address=ELSEWHERE)
    await world.advance(60)
    second, third = await world.one_click(1), await world.natural(1)
    other = await world.natural(2)
    *_, oldest = (await third.get(SESSIONS)).items
    assert (oldest["kind"], oldest["address_masked"], oldest["current"]) == ("natural", "127.0.7.*", False)
    (await other.delete(f"{SESSIONS}/{oldest['id']}")).refused(404, "not_found")
    (await third.delete(f"{SESSIONS}/{oldest['id']}")).ok(204)
    assert [await is_signed_in(each) for each in (first, second, third, other)] == [False, True, True, True]
    assert (await third.delete(SESSIONS)).ok() == {"ended": 1}
    await world.restart()
    assert [await is_signed_in(each) for each in (first, second, third, other)] == [False, False, True, True]
    (own,) = (await third.get(SESSIONS)).items
    assert own["current"]


async def test_a_new_password_ends_a_businesss_sessions(world: World) -> None:
    owner, other = await world.owner(1), await world.owner(2)
    await world.imports(business_line(1, name="改名运输公司"))
    assert await is_signed_in(owner)
    await world.imports(business_line(1, password="another-right-1"))
    assert not await is_signed_in(owner)
    assert await is_signed_in(other)
    (await signs_in_with(world.nobody(), "right-1")).refused(401, "wrong_credentials")
    (await signs_in_with(world.nobody(), "another-right-1")).ok(201)
