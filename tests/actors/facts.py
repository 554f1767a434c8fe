"""The store's facts of people and links, and checks that they agree with each other and with the rules."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from actors.people.audit import BY_ACCOUNT
from actors.people.audit import KIND as AUDIT
from actors.people.documents import (
    BINDING,
    BY_DRIVER,
    BY_HOLDER,
    BY_VEHICLE,
    BY_VIEWER,
    CURRENT,
    DEADLINE,
    DELEGATION,
    HISTORY,
    PERSON,
    SHARE,
)
from actors.people.person import Person
from actors.people.vehicle_shares import KIND as VEHICLE_SHARES
from domain.civil_time import months_later
from domain.people.audit import AuditRecord
from domain.people.delegation import Delegation, is_live
from domain.people.delegation import status as delegation_status
from domain.people.driver import Binding, Driver, live_shares
from domain.people.share import Share, end_reason
from domain.people.shares_of_vehicle import LiveShare
from persistence.records import decode
from persistence.store import Store
from tests.faulty_store import FaultyStore

T = TypeVar("T", Binding, Share, Delegation)
KINDS: dict[str, Any] = {
    PERSON: Person,
    BINDING: Binding,
    SHARE: Share,
    DELEGATION: Delegation,
    VEHICLE_SHARES: tuple[LiveShare, ...],
    AUDIT: AuditRecord,
}


@dataclass
class Facts:
    """Documents by key."""

    persons: dict[str, Person] = field(default_factory=dict)
    bindings: dict[str, Binding] = field(default_factory=dict)
    shares: dict[str, Share] = field(default_factory=dict)
    delegations: dict[str, Delegation] = field(default_factory=dict)
    counted: dict[str, tuple[LiveShare, ...]] = field(default_factory=dict)
    audit: dict[str, AuditRecord] = field(default_factory=dict)

    def of(self, driver: str, values: Iterable[T]) -> list[T]:
        return [each for each in values if each.driver_id == driver]


async def facts_of(store: FaultyStore) -> Facts:
    """Read past all faults. What means nothing is left out: blank persons, vehicles whose shares are all over."""
    keys: dict[str, list[str]] = defaultdict(list)
    for kind, key in sorted(store.written):
        keys[kind].append(key)
    found: dict[str, dict[str, Any]] = {}
    for kind, model in KINDS.items():
        documents = await store.store.get(kind, keys[kind])
        found[kind] = {key: decode(documents[key].record, model) for key in sorted(documents)}
    persons = {key: person for key, person in found[PERSON].items() if person != Person(Driver(key))}
    counted = {key: live for key, live in found[VEHICLE_SHARES].items() if live}
    return Facts(persons, found[BINDING], found[SHARE], found[DELEGATION], counted, found[AUDIT])


async def check(store: FaultyStore, now: float, *, indexes: bool = True) -> Facts:
    """Fails when documents disagree, a rule is broken, or a change has not exactly one audit record."""
    facts = await facts_of(store)
    drivers = {each.driver_id for each in facts.bindings.values()}
    drivers |= {each.driver_id for each in facts.delegations.values()} | set(facts.persons)
    for driver in drivers:
        check_driver(facts, driver, now)
    check_vehicles(facts, now)
    check_audit(facts, now)
    if indexes:
        await check_indexes(facts, store.store, drivers)
    return facts


def check_driver(facts: Facts, key: str, now: float) -> None:
    person = facts.persons.get(key, Person(Driver(key)))
    driver = person.driver
    bindings = facts.of(key, facts.bindings.values())
    standing = [each for each in bindings if each.unbound_at is None]
    assert sorted(driver.bindings, key=lambda each: each.id) == sorted(standing, key=lambda each: each.id)
    assert len(standing) <= 3, "R12"
    assert len({each.vehicle.vehicle_id for each in standing}) == len(standing), "R14"
    within = [each for each in bindings if each.unbound_at is None or months_later(each.unbound_at, 12) > now]
    assert len({each.vehicle.vehicle_id for each in within}) <= 10, "R13"
    live = [each for each in facts.of(key, facts.shares.values()) if end_reason(each, now) is None]
    assert {(each.id, each.binding_id, each.vehicle_id, each.expires_at) for each in live} == {
        (each.share_id, each.binding_id, each.vehicle_id, each.expires_at) for each in live_shares(driver, now)
    }
    assert len({each.vehicle_id for each in live}) <= 1, "R19"
    assert {each.binding_id for each in live} <= {each.id for each in standing}, "R15"
    usable = [each for each in facts.of(key, facts.delegations.values()) if is_live(each, now)]
    assert {each.id: each for each in driver.delegations if is_live(each, now)} == {each.id: each for each in usable}
    for delegation in facts.of(key, facts.delegations.values()):
        if delegation.binding_id is not None:
            binding = facts.bindings[delegation.binding_id]
            assert delegation.holder is not None
            assert (binding.kind, binding.delegate_id) == ("delegated", delegation.holder.account_id)


def check_vehicles(facts: Facts, now: float) -> None:
    live = [each for each in facts.shares.values() if end_reason(each, now) is None]
    counted = {
        (vehicle_id, each.share_id, each.expires_at)
        for vehicle_id, shares in facts.counted.items()
        for each in shares
        if each.share_id in facts.shares and end_reason(facts.shares[each.share_id], now) is None
    }
    assert counted == {(each.vehicle_id, each.id, each.expires_at) for each in live}
    for number in Counter(each.vehicle_id for each in live).values():
        assert number <= 3, "R18"


def check_audit(facts: Facts, now: float) -> None:
    """Every change has left exactly one record, and nothing else has."""
    told = Counter((record.action, record.subject_id) for record in facts.audit.values())
    due: Counter[tuple[str, str]] = Counter()
    for binding in facts.bindings.values():
        due[_how_bound(told, binding), binding.id] += 1
        if binding.unbound_at is not None:
            due["unbound", binding.id] += 1
    for share in facts.shares.values():
        due["shared", share.id] += 1
        if share.viewer is not None:
            due["share_opened", share.id] += 1
        if end_reason(share, now) is not None:
            assert share.ended is not None, "its time was up, and nobody noted it"
            action = {"cancelled": "share_cancelled", "expired": "share_expired", "unbound": "share_ended"}
            due[action[share.ended.reason], share.id] += 1
    for delegation in facts.delegations.values():
        due["delegated", delegation.id] += 1
        if delegation.holder is not None:
            due["delegation_opened", delegation.id] += 1
        ended = delegation_status(delegation, now)
        if ended in ("withdrawn", "expired"):
            due[f"delegation_{ended}", delegation.id] += 1
    assert told == due


def _how_bound(told: Counter[tuple[str, str]], binding: Binding) -> str:
    if binding.kind == "delegated":
        return "delegation_bound"
    return "rebound" if ("rebound", binding.id) in told else "bound"


async def check_indexes(facts: Facts, store: Store, drivers: Iterable[str]) -> None:
    """Every list shows what it should and nothing else."""
    bindings, shares, delegations = facts.bindings.values(), facts.shares.values(), facts.delegations.values()
    due: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    due[SHARE, DEADLINE, ""] = {each.id for each in shares if each.ended is None}
    due[DELEGATION, DEADLINE, ""] = {
        each.id for key, person in facts.persons.items() for each in person.driver.delegations
    }
    for driver in drivers:
        mine = facts.of(driver, bindings)
        due[BINDING, CURRENT, driver] = {each.id for each in mine if each.unbound_at is None}
        due[BINDING, HISTORY, driver] = {each.id for each in mine if each.unbound_at is not None}
        due[SHARE, BY_DRIVER, driver] = {each.id for each in facts.of(driver, shares)}
        due[DELEGATION, BY_DRIVER, driver] = {each.id for each in facts.of(driver, delegations)}
    for binding in bindings:
        due[BINDING, BY_VEHICLE, binding.vehicle.vehicle_id] |= {binding.id} if binding.unbound_at is None else set()
    for share in shares:
        if share.viewer is not None:
            due[SHARE, BY_VIEWER, share.viewer.account_id].add(share.id)
    for delegation in delegations:
        if delegation.holder is not None:
            due[DELEGATION, BY_HOLDER, delegation.holder.account_id].add(delegation.id)
    for record in facts.audit.values():
        for account_id in record.account_ids:
            due[AUDIT, BY_ACCOUNT, account_id].add(record.id)
    for (kind, index, value), keys in due.items():
        page = await store.find(kind, index, value, limit=1_000)
        assert {document.key for document in page.documents} == keys, f"{kind} by {index} {value}"
