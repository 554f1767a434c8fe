"""R1 to R5: sign-in, and the kinds of account."""

from __future__ import annotations

from datetime import timedelta

import pytest

import run
from api.accounts.terms import Terms
from tests.acceptance.deeds import (
    BINDINGS,
    DAY_S,
    DELEGATIONS,
    DRIVER,
    FAMILY,
    OWNER,
    alerts,
    bind_form,
    binds,
    binds_through,
    delegates,
    looks,
    opens,
    shares,
)
from tests.acceptance.world import Answer, Body, Caller, World
from tests.api.conftest import TODAY, business_line, citizen_id, mobile, person_line, plate, real_name, vehicle_line

SESSIONS = "/api/v1/sessions"
NEWCOMER = 77
"""A phone that is not registered."""
REGISTERED_LATER = 31


def form_of(number: int, **changes: object) -> Body:
    """Return the form that person ``number`` registers with."""
    proof = {
        "real_name": real_name(number),
        "citizen_id": citizen_id(number),
        "phone_code": f"sandbox:{mobile(number)}",
    }
    return proof | changes


async def registers(caller: Caller, number: int, **changes: object) -> Answer:
    return await caller.post("/api/v1/registration", form_of(number, **changes))


# -- R1 ----------------------------------------------------------------------------------------------------------------


async def test_r01_a_natural_person_signs_in_through_wechat_with_the_current_statement(world: World) -> None:
    terms = (await world.nobody().get("/api/v1/terms")).ok()
    assert terms["version"]
    assert "服务使用声明" in terms["text"]
    body = {"kind": "natural", "wechat_code": f"sandbox:{mobile(1)}", "terms_version": terms["version"]}
    session = (await world.nobody().post(SESSIONS, body)).ok(201)
    assert session["account"]["kind"] == "natural"
    assert session["account"]["registered"] is True
    assert session["account"]["display_name"] == real_name(1)
    assert len(session["token"]) >= 22  # 128 bits


@pytest.mark.parametrize(
    "proof",
    [
        {"kind": "natural", "wechat_code": f"sandbox:{mobile(1)}"},
        {"kind": "one_click", "phone_code": f"sandbox:{mobile(1)}"},
        {"kind": "legal", "username": "owner1", "password": "right-1"},
    ],
    ids=lambda proof: str(proof["kind"]),
)
async def test_r01_without_the_current_statement_nobody_gets_in(world: World, proof: Body) -> None:
    for body in (proof, proof | {"terms_version": "1999-01-01"}, proof | {"terms_version": ""}):
        (await world.nobody().post(SESSIONS, body)).refused(403, "terms_not_accepted")


async def test_r01_a_statement_that_changed_must_be_accepted_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, old = await world.natural(1), world.terms_version
    monkeypatch.setattr(run, "read_terms", lambda: Terms("2099-01-01", "服务使用声明，改过的"))
    await world.restart()
    assert world.terms_version == "2099-01-01"
    (await before.get("/api/v1/me")).refused(401, "unauthenticated")
    body = {"kind": "natural", "wechat_code": f"sandbox:{mobile(1)}", "terms_version": old}
    (await world.nobody().post(SESSIONS, body)).refused(403, "terms_not_accepted")
    after = await world.natural(1)
    assert after.account["id"] == before.account["id"]


async def test_r01_a_code_that_the_provider_refuses_is_a_401(world: World) -> None:
    for proof in (
        {"kind": "natural", "wechat_code": "not-a-sandbox-code"},
        {"kind": "natural", "wechat_code": "sandbox:12345"},
        {"kind": "one_click", "phone_code": "sandbox:"},
        {"kind": "one_click", "phone_code": mobile(1)},
    ):
        body = proof | {"terms_version": world.terms_version}
        (await world.nobody().post(SESSIONS, body)).refused(401, "code_refused")


# -- R2 ----------------------------------------------------------------------------------------------------------------


async def test_r02_who_is_not_registered_is_led_to_registration(world: World) -> None:
    newcomer = await world.natural(NEWCOMER)
    assert newcomer.account["registered"] is False
    (await newcomer.get(f"{FAMILY}/shares")).refused(403, "real_name_required")
    await world.imports(person_line(REGISTERED_LATER, qualified=False))
    account = (await registers(newcomer, REGISTERED_LATER)).ok()
    assert account["registered"] is True
    assert account["roles"] == ["family"]
    assert account["display_name"] == real_name(REGISTERED_LATER)
    assert (await newcomer.get(f"{FAMILY}/shares")).items == []


async def test_r02_a_name_is_the_same_with_whatever_dot_or_invisible_mark_it_was_typed(world: World) -> None:
    await world.imports(person_line(REGISTERED_LATER, real_name="阿不都•艾力"))
    newcomer = await world.natural(NEWCOMER)
    for typed in ("阿不都艾力", "阿不·都艾力"):
        (await registers(newcomer, REGISTERED_LATER, real_name=typed)).refused(422, "real_name_mismatch")
    typed = "\ufeff阿不都\u200b．艾\u00ad力\u3000"
    account = (await registers(newcomer, REGISTERED_LATER, real_name=typed)).ok()
    assert account["display_name"] == "阿不都·艾力"


async def test_r02_the_real_name_provider_must_confirm_who_somebody_is(world: World) -> None:
    newcomer = await world.natural(NEWCOMER)
    await world.imports(person_line(REGISTERED_LATER))
    for changes in (
        {"real_name": "王五"},
        {"citizen_id": citizen_id(555)},
        {"citizen_id": citizen_id(2)},
    ):
        (await registers(newcomer, REGISTERED_LATER, **changes)).refused(422, "real_name_mismatch")
    assert (await newcomer.get("/api/v1/me")).ok()["registered"] is False


@pytest.mark.parametrize(
    "wrong",
    [citizen_id(1)[:17] + ("0" if citizen_id(1)[17] != "0" else "1"), "42010119801301001X", "4201", "", "x" * 18],
    ids=["check character", "no such date", "too short", "empty", "letters"],
)
async def test_r02_a_citizen_id_that_breaks_gb_11643_is_refused_before_anybody_is_asked(
    world: World, wrong: str
) -> None:
    newcomer = await world.natural(NEWCOMER)
    problem = (await registers(newcomer, 1, citizen_id=wrong)).refused(422, "invalid_input")
    assert [each["field"] for each in problem["errors"]] == ["citizen_id"]
    assert not wrong or wrong not in str(problem)


async def test_r02_a_phone_code_that_is_refused_registers_nobody(world: World) -> None:
    newcomer = await world.natural(NEWCOMER)
    (await registers(newcomer, 1, phone_code="nonsense")).refused(401, "code_refused")
    assert (await newcomer.get("/api/v1/me")).ok()["registered"] is False


# -- R3 ----------------------------------------------------------------------------------------------------------------


async def test_r03_whose_citizen_id_holds_a_qualification_certificate_is_a_driver_and_family(world: World) -> None:
    driver, family = await world.natural(1), await world.natural(11)
    assert driver.account["roles"] == ["driver", "family"]
    assert family.account["roles"] == ["family"]
    (paper,) = (await driver.get("/api/v1/me/certificates")).ok()["items"]
    assert (paper["kind"], paper["state"], paper["valid_until"]) == ("qualification", "valid", "2040-01-01")
    assert (await family.get("/api/v1/me/certificates")).ok()["items"] == []
    (await family.get(f"{DRIVER}/vehicles")).refused(403, "driver_only")


async def test_r03_registration_makes_a_driver_of_who_holds_the_certificate(world: World) -> None:
    newcomer = await world.natural(NEWCOMER)
    await world.imports(person_line(REGISTERED_LATER))
    assert (await registers(newcomer, REGISTERED_LATER)).ok()["roles"] == ["driver", "family"]
    await binds(newcomer, 1)


async def test_r03_who_gets_the_certificate_later_is_a_driver_from_then_on(world: World) -> None:
    family = await world.natural(11)
    await world.imports(person_line(11, qualified=True))
    assert (await family.get("/api/v1/me")).ok()["roles"] == ["driver", "family"]
    await binds(family, 1)


async def test_r03_an_expired_qualification_leaves_the_driver_role_and_is_shown(world: World) -> None:
    last_day = TODAY + timedelta(days=2)
    await world.imports(person_line(1, qualification={"number": citizen_id(1), "valid_until": str(last_day)}))
    driver = await world.natural(1)
    await world.advance_to(f"{last_day}T23:59:59+08:00")
    assert (await driver.get(f"{DRIVER}/vehicles")).items == []
    await world.advance(1)
    (await driver.get(f"{DRIVER}/vehicles")).refused(403, "driver_only")
    me = (await driver.get("/api/v1/me")).ok()
    assert me["roles"] == ["family"]
    assert [(each["kind"], each["state"], each["days_left"]) for each in me["certificates"]] == [
        ("qualification", "expired", -1)
    ]


# -- R4 ----------------------------------------------------------------------------------------------------------------


async def test_r04_a_business_is_tied_to_its_operating_licence_and_its_vehicles(world: World) -> None:
    owner, other = await world.owner(1), await world.owner(2)
    assert owner.account["kind"] == "legal"
    assert owner.account["roles"] == ["owner"]
    assert owner.account["registered"] is True
    (licence,) = (await owner.get("/api/v1/me/certificates")).ok()["items"]
    assert (licence["kind"], licence["state"], licence["valid_until"]) == ("operating_licence", "valid", "2030-01-01")
    plates = {each["plate"] for each in (await owner.get(f"{OWNER}/vehicles?list=all")).items}
    assert plates == {plate(number) for number in range(1, 13)}
    assert [each["plate"] for each in (await other.get(f"{OWNER}/vehicles?list=all")).items] == [plate(21)]


async def test_r04_an_imported_business_signs_in_without_a_restart_and_a_sold_truck_changes_hands(world: World) -> None:
    await world.imports(business_line(3), vehicle_line(21, owner=3))
    buyer, seller = await world.owner(3), await world.owner(2)
    assert [each["plate"] for each in (await buyer.get(f"{OWNER}/vehicles?list=all")).items] == [plate(21)]
    assert (await seller.get(f"{OWNER}/vehicles?list=all")).items == []


async def test_r04_a_wrong_user_name_and_a_wrong_password_are_told_apart_by_nobody(world: World) -> None:
    body = {"kind": "legal", "terms_version": world.terms_version}
    wrong = [{"username": "owner1", "password": "wrong"}, {"username": "nobody", "password": "right-1"}]
    told = [(await world.nobody().post(SESSIONS, body | each)).refused(401, "wrong_credentials") for each in wrong]
    assert told[0] == told[1]


# -- R5 ----------------------------------------------------------------------------------------------------------------


async def test_r05_one_click_needs_nothing_but_the_phone_and_may_open_and_watch_a_share(world: World) -> None:
    driver, stranger = await world.natural(1), await world.one_click(NEWCOMER)
    assert stranger.account["registered"] is False
    assert stranger.account["roles"] == ["family"]
    await world.reports(1)
    share = await shares(driver, await binds(driver, 1))
    assert (await opens(stranger, share["token"])).ok()["vehicle"]["plate"] == plate(1)
    assert (await looks(stranger, share["id"])).ok()["online"] is True
    assert await alerts(stranger, share["id"]) == []
    async with stranger.watches(share["id"]) as stream:
        await stream.take("position", "presence")


async def test_r05_one_click_may_open_a_delegation_and_bind_through_it(world: World) -> None:
    driver, stranger = await world.natural(1), await world.one_click(NEWCOMER)
    delegation = await delegates(driver, 1)
    assert (await opens(stranger, delegation["token"])).ok()["plate"] == plate(1)
    (await binds_through(stranger, delegation["id"], 1)).ok(201)


async def test_r05_everything_else_of_the_family_side_needs_a_real_name(world: World) -> None:
    stranger = await world.one_click(NEWCOMER)
    (await stranger.get(f"{FAMILY}/shares")).refused(403, "real_name_required")
    (await stranger.get(f"{FAMILY}/delegations")).refused(403, "real_name_required")
    (await stranger.get(f"{DRIVER}/vehicles?list=shared")).refused(403, "driver_only")
    (await stranger.post(BINDINGS, bind_form(1))).refused(403, "driver_only")
    (await stranger.post(DELEGATIONS, {"plate": plate(1), "plate_color": "yellow"})).refused(403, "driver_only")


async def test_r05_one_click_with_the_phone_of_a_registered_person_is_that_person(world: World) -> None:
    through_wechat, by_phone = await world.natural(1), await world.one_click(1)
    assert by_phone.account == through_wechat.account
    assert by_phone.account["roles"] == ["driver", "family"]
    await binds(by_phone, 1)


async def test_r05_what_was_opened_before_registration_is_there_after_it(world: World) -> None:
    driver, stranger = await world.natural(1), await world.one_click(NEWCOMER)
    share = await shares(driver, await binds(driver, 1))
    (await opens(stranger, share["token"])).ok()
    await world.imports(person_line(REGISTERED_LATER, qualified=False))
    (await registers(stranger, REGISTERED_LATER)).ok()
    assert [each["id"] for each in (await stranger.get(f"{FAMILY}/shares")).items] == [share["id"]]
    (await looks(stranger, share["id"])).ok()
    (await opens(stranger, share["token"])).ok()


# -- sessions ----------------------------------------------------------------------------------------------------------


async def test_r01_a_session_lasts_30_days_through_restarts_and_not_a_second_longer(world: World) -> None:
    driver = await world.natural(1)
    await world.advance(15 * DAY_S)
    await world.restart()
    await world.advance(15 * DAY_S - 1)
    (await driver.get("/api/v1/me")).ok()
    await world.advance(1)
    (await driver.get("/api/v1/me")).refused(401, "unauthenticated")


async def test_r01_a_session_that_was_ended_is_over_for_good_and_no_other_is(world: World) -> None:
    one, other = await world.natural(1), await world.natural(1)
    (await one.delete("/api/v1/sessions/current")).ok(204)
    for _ in range(2):
        (await one.get("/api/v1/me")).refused(401, "unauthenticated")
        (await one.delete("/api/v1/sessions/current")).refused(401, "unauthenticated")
        (await other.get("/api/v1/me")).ok()
        await world.restart()
