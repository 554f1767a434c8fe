"""R40 and R41: a business sees its trucks, and unbinds drivers."""

from __future__ import annotations

import asyncio

import pytest

from tests.acceptance.deeds import (
    BINDINGS,
    CURRENT,
    DRIVER,
    HISTORY,
    OWNER,
    binds,
    had,
    looks,
    one,
    opens,
    shares,
    tries_to_share,
    unbinds,
    watched,
)
from tests.acceptance.world import Answer, Body, Caller, World
from tests.api.conftest import TODAY, plate, vehicle_line

BOUND = f"{OWNER}/vehicles?list=bound"
ALL = f"{OWNER}/vehicles?list=all"
NOBODYS = "0" * 16


async def vehicle_of(owner: Caller, number: int) -> Body:
    """The item of truck ``number`` in the owner's list."""
    (found,) = [each for each in (await owner.get(ALL)).items if each["plate"] == plate(number)]
    return found


async def page_of(owner: Caller, number: int) -> Body:
    return (await owner.get(f"{OWNER}/vehicles/{(await vehicle_of(owner, number))['id']}")).ok()


async def unbinds_as_owner(owner: Caller, binding: str) -> Answer:
    return await owner.delete(f"{OWNER}/bindings/{binding}")


# -- R40 ---------------------------------------------------------------------------------------------------------------


async def test_r40_two_lists_bound_vehicles_and_all_own_ones(world: World) -> None:
    owner, driver, other = await world.owner(), await world.natural(1), await world.natural(2)
    assert (await owner.get(BOUND)).items == []
    await binds(driver, 1)
    await binds(other, 1)
    await binds(other, 2)
    await had(driver, 3)
    assert {each["plate"]: each["bindings_count"] for each in (await owner.get(BOUND)).items} == {
        plate(1): 2,
        plate(2): 1,
    }
    listed = {each["plate"]: each["bindings_count"] for each in (await owner.get(ALL)).items}
    assert listed == {plate(number): {1: 2, 2: 1}.get(number, 0) for number in range(1, 13)}
    await world.restart()
    assert {each["plate"] for each in (await owner.get(BOUND)).items} == {plate(1), plate(2)}


async def test_r40_nobody_elses_vehicles_ever(world: World) -> None:
    owner, other, driver = await world.owner(1), await world.owner(2), await world.natural(1)
    await binds(driver, 21)
    await binds(driver, 1)
    assert [each["plate"] for each in (await other.get(BOUND)).items] == [plate(21)]
    assert [each["plate"] for each in (await owner.get(BOUND)).items] == [plate(1)]
    theirs = (await vehicle_of(other, 21))["id"]
    (await owner.get(f"{OWNER}/vehicles/{theirs}")).refused(404, "not_found")
    (await owner.get(f"{OWNER}/vehicles/{NOBODYS}")).refused(404, "not_found")


async def test_r40_each_line_tells_where_the_truck_is_and_what_runs_out(world: World) -> None:
    owner = await world.owner()
    await world.reports(1)
    line = await vehicle_of(owner, 1)
    assert (line["online"], line["last_fix"]["wgs84"]) == (True, [114.4, 30.7])
    assert [each["kind"] for each in line["certificate_reminders"]] == ["annual_review"]
    silent = await vehicle_of(owner, 2)
    assert (silent["online"], silent["last_fix"], silent["certificate_reminders"]) == (False, None, [])


async def test_r40_the_lists_come_in_pages(world: World) -> None:
    owner, driver = await world.owner(), await world.natural(1)
    for number in (1, 7, 12):
        await binds(driver, number)
    for path, wanted in ((ALL, 12), (BOUND, 3)):
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = (await owner.get(f"{path}&limit=2" + (f"&cursor={cursor}" if cursor else ""))).ok()
            found += [each["plate"] for each in page["items"]]
            cursor = page["next"]
        assert len(found) == len(set(found)) == wanted


async def test_r40_there_is_no_third_list(world: World) -> None:
    owner = await world.owner()
    (await owner.get(f"{OWNER}/vehicles?list=history")).refused(422, "invalid_input")


# -- R41 ---------------------------------------------------------------------------------------------------------------


async def test_r41_a_vehicles_page_shows_its_data_and_who_has_bound_it(world: World) -> None:
    owner, driver, other = await world.owner(), await world.natural(1), await world.natural(2)
    await world.reports(1)
    first = await binds(driver, 1)
    await world.advance(1)
    second = await binds(other, 1)
    page = await page_of(owner, 1)
    assert (page["plate"], page["plate_color"]) == (plate(1), "yellow")
    assert page["last_fix"]["wgs84"] == [114.4, 30.7]
    assert [(each["id"], each["driver_name_masked"], each["kind"]) for each in page["bindings"]] == [
        (first, "张**", "self"),
        (second, "张**", "self"),
    ]
    assert page["bindings"][0]["bound_at"] == "2025-10-09T16:53:20+08:00"
    assert driver.account["display_name"] not in str(page)


async def test_r41_unbinding_by_the_owner_enters_history_as_such_and_ends_the_shares(world: World) -> None:
    seen, owner = await watched(world), await world.owner()
    other = await world.natural(2)
    kept = await binds(other, 1)
    unopened = await shares(seen.driver, seen.binding)
    await world.advance(60)
    (await unbinds_as_owner(owner, seen.binding)).ok(204)
    for _ in range(2):
        assert (await seen.driver.get(CURRENT)).items == []
        past = await one(seen.driver, HISTORY, seen.binding)
        assert (past["unbound_by"], past["unbound_at"]) == ("owner", "2025-10-09T16:54:20+08:00")
        (await looks(seen.viewer, seen.id)).refused(410, "share_ended")
        (await opens(await world.natural(12), unopened["token"])).refused(410, "share_ended")
        statuses = [each["status"] for each in (await seen.driver.get(f"{DRIVER}/shares")).items]
        assert statuses == ["ended", "ended"]
        assert [each["id"] for each in (await page_of(owner, 1))["bindings"]] == [kept]
        assert (await vehicle_of(owner, 1))["bindings_count"] == 1
        (await tries_to_share(seen.driver, seen.binding)).refused(404, "not_found")
        await world.restart()


async def test_r41_an_owner_unbinds_from_own_vehicles_only(world: World) -> None:
    owner, driver = await world.owner(2), await world.natural(1)
    binding = await binds(driver, 1)
    (await unbinds_as_owner(owner, binding)).refused(404, "not_found")
    (await unbinds_as_owner(owner, NOBODYS)).refused(404, "not_found")
    assert [each["id"] for each in (await driver.get(CURRENT)).items] == [binding]


async def test_r41_what_has_been_unbound_already_is_not_found(world: World) -> None:
    owner, driver = await world.owner(), await world.natural(1)
    binding = await binds(driver, 1)
    (await unbinds_as_owner(owner, binding)).ok(204)
    (await unbinds_as_owner(owner, binding)).refused(404, "not_found")
    (await driver.delete(f"{BINDINGS}/{binding}")).refused(404, "not_found")
    other = await binds(driver, 2)
    await unbinds(driver, other)
    (await unbinds_as_owner(owner, other)).refused(404, "not_found")
    assert (await one(driver, HISTORY, other))["unbound_by"] == "driver"


async def test_r41_owner_and_driver_unbinding_in_the_same_moment_is_one_of_the_two(world: World) -> None:
    owner, driver = await world.owner(), await world.natural(1)
    for _ in range(8):
        binding = await binds(driver, 1)
        answers = await asyncio.gather(unbinds_as_owner(owner, binding), driver.delete(f"{BINDINGS}/{binding}"))
        assert sorted(answer.status for answer in answers) == [204, 404]
        unbinder = "owner" if answers[0].status == 204 else "driver"
        assert (await one(driver, f"{HISTORY}&limit=200", binding))["unbound_by"] == unbinder


async def test_r41_a_sold_trucks_new_owner_unbinds_and_the_old_one_does_not(world: World) -> None:
    seller, buyer, driver = await world.owner(1), await world.owner(2), await world.natural(1)
    binding = await binds(driver, 5)
    await world.imports(vehicle_line(5, owner=2))
    (await unbinds_as_owner(seller, binding)).refused(404, "not_found")
    (await unbinds_as_owner(buyer, binding)).ok(204)


@pytest.mark.parametrize("unbinder", ["driver", "owner"])
async def test_r41_an_unbinding_frees_a_place_of_the_driver(world: World, unbinder: str) -> None:
    owner, driver = await world.owner(), await world.natural(1)
    first, *_ = [await binds(driver, number) for number in (1, 2, 3)]
    if unbinder == "owner":
        (await unbinds_as_owner(owner, first)).ok(204)
    else:
        await unbinds(driver, first)
    await binds(driver, 4)


async def test_r41_the_owner_sees_what_runs_out_of_the_vehicle_and_the_licence(world: World) -> None:
    owner = await world.owner()
    await world.imports(vehicle_line(2, transport_cert_valid_until=str(TODAY)))
    assert [
        (each["kind"], each["state"], each["days_left"]) for each in (await page_of(owner, 2))["certificate_reminders"]
    ] == [("transport", "expiring", 0)]
