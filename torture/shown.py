"""Checks that every list of every account says what is so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from torture.cast import BUSINESSES, DRIVERS, VEHICLES, vehicle_key
from torture.requests import Request
from torture.watch import Violation, demand

if TYPE_CHECKING:
    from torture.drama import Drama

MAX_PAGES: Final = 20


async def lists(drama: Drama) -> None:
    """Check every list of every account."""
    world, names, now = drama.possible.likeliest, drama.household.names.ids, drama.now()
    for driver in DRIVERS:
        standing = {names[name] for name in world.standing(driver)}
        past = {names[name] for name, each in world.bindings.items() if each.driver == driver} - standing
        live = {names[name] for name in world.live_shares(now, driver=driver)}
        await _lists(drama, driver, "/api/v1/driver/vehicles?list=current", standing)
        await _lists(drama, driver, "/api/v1/driver/vehicles?list=history", past)
        shares = await _items(drama, driver, "/api/v1/driver/shares")
        told = {each["id"] for each in shares if each["status"] in ("unopened", "open")}
        demand(told == live, f"{driver}'s list of shares shows {len(told)} live ones of {len(live)}")
    for family in ("family0", "family1", *DRIVERS):
        seen = {names[name] for name, each in world.shares.items() if each.viewer == family}
        await _lists(drama, family, "/api/v1/family/shares", seen)
        held = {names[name] for name, each in world.delegations.items() if each.holder == family}
        await _lists(drama, family, "/api/v1/family/delegations", held)
    for number, business in enumerate(BUSINESSES):
        bound = {vehicle_key(each.vehicle) for each in world.bindings.values() if each.until is None}
        own = {vehicle_key(vehicle) for vehicle in range(VEHICLES) if vehicle % 2 == number}
        await _lists(drama, business, "/api/v1/owner/vehicles?list=bound", bound & own)


async def _lists(drama: Drama, who: str, path: str, expected: set[str]) -> None:
    told = [each["id"] for each in await _items(drama, who, path)]
    demand(len(told) == len(set(told)), f"{path} shows something twice")
    demand(set(told) == expected, f"{path} of {who} shows {len(told)} lines, not {len(expected)}")


async def _items(drama: Drama, who: str, path: str) -> list[Any]:
    items: list[Any] = []
    cursor = ""
    for _ in range(MAX_PAGES):
        answer = await drama.household.call_as(who, Request("GET", path + cursor))
        demand(answer.is_good, f"{path} of {who}: {answer.status} {answer.code}")
        items += answer.body["items"]
        if answer.body["next"] is None:
            return items
        cursor = f"{'&' if '?' in path else '?'}cursor={answer.body['next']}"
    raise Violation(f"{path} never ends")
