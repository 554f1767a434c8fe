"""The rules of bindings, shares and delegations once more, told naively: plain lists of all that ever was, searched anew.

Written from the rules alone and of nothing of ours but the owners of the test's vehicles, so that it errs differently.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.actors.people_house import OWNERS

CHINA = timedelta(hours=8)


@dataclass
class NaiveBinding:
    id: str
    driver: str
    vehicle: str
    since: float
    delegate: str | None = None
    until: float | None = None
    by: str | None = None


@dataclass
class NaiveShare:
    id: str
    driver: str
    vehicle: str
    binding: str
    since: float
    until: float
    viewer: str | None = None
    ended: str | None = None
    """The reason for an early end."""


@dataclass
class NaiveDelegation:
    id: str
    driver: str
    vehicle: str
    since: float
    holder: str | None = None
    binding: str | None = None
    withdrawn: bool = False


def so_many_months_later(at: float, months: int) -> float:
    """R17: the clock on the wall in China, month for month."""
    day = datetime.fromtimestamp(at, UTC) + CHINA
    wanted = day.day
    for _ in range(months):
        first = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        day = first.replace(day=min(wanted, monthrange(first.year, first.month)[1]))
    return (day - CHINA).timestamp()


def end_of(since: float, duration: str) -> float:
    if duration.endswith("d"):
        return since + int(duration[:-1]) * 86_400
    return so_many_months_later(since, {"1mo": 1, "1y": 12}[duration])


@dataclass
class Naive:
    """Each command answers None when it is done, a number for a cancel, or the name of the refusal."""

    now: float
    bindings: list[NaiveBinding] = field(default_factory=list)
    shares: list[NaiveShare] = field(default_factory=list)
    delegations: list[NaiveDelegation] = field(default_factory=list)

    # -- what holds now ----------------------------------------------------------------------------------------------

    def bound(self, driver: str) -> list[NaiveBinding]:
        return [each for each in self.bindings if each.driver == driver and each.until is None]

    def standing(self, driver: str, binding_id: str) -> NaiveBinding | None:
        return next((each for each in self.bound(driver) if each.id == binding_id), None)

    def lives(self, share: NaiveShare) -> bool:
        return share.ended is None and self.now < share.until

    def why_over(self, share: NaiveShare) -> str | None:
        return None if self.lives(share) else share.ended or "expired"

    def live(self) -> list[NaiveShare]:
        return [each for each in self.shares if self.lives(each)]

    def share_of(self, share_id: str) -> NaiveShare | None:
        return next((each for each in self.shares if each.id == share_id), None)

    def usable(self, delegation: NaiveDelegation) -> bool:
        over = delegation.withdrawn or delegation.binding is not None
        return not over and self.now < delegation.since + 7 * 86_400

    def delegation_of(self, driver: str, delegation_id: str) -> NaiveDelegation | None:
        return next((each for each in self.delegations if each.id == delegation_id and each.driver == driver), None)

    def vehicles_of_the_year(self, driver: str) -> set[str]:
        mine = [each for each in self.bindings if each.driver == driver]
        return {each.vehicle for each in mine if each.until is None or so_many_months_later(each.until, 12) > self.now}

    # -- bindings ----------------------------------------------------------------------------------------------------

    def bind(self, driver: str, vehicle: str, binding_id: str, delegate: str | None = None) -> str | None:
        if any(each.vehicle == vehicle for each in self.bound(driver)):
            return "AlreadyBound"
        if len(self.bound(driver)) == 3:
            return "TooManyBindings"
        if len(self.vehicles_of_the_year(driver) | {vehicle}) > 10:
            return "TooManyIn12Months"
        self.bindings.append(NaiveBinding(binding_id, driver, vehicle, self.now, delegate))
        return None

    def unbind(self, driver: str, binding_id: str, by: str = "driver") -> str | None:
        binding = self.standing(driver, binding_id)
        if binding is None:
            return "NotFound"
        binding.until, binding.by = self.now, by
        for share in self.live():
            if share.binding == binding_id:
                share.ended = "unbound"
        return None

    def unbind_as_owner(self, uscc: str, binding_id: str) -> str | None:
        for binding in self.bindings:
            if binding.id == binding_id and OWNERS.get(binding.vehicle, "uscc-3") == uscc:
                return self.unbind(binding.driver, binding_id, "owner")
        return "NotFound"

    # -- shares ------------------------------------------------------------------------------------------------------

    def share(self, driver: str, binding_id: str, share_id: str, duration: str) -> str | None:
        binding = self.standing(driver, binding_id)
        if binding is None:
            return "NotFound"
        if any(each.driver == driver and each.vehicle != binding.vehicle for each in self.live()):
            return "SharingOtherVehicle"
        if len([each for each in self.live() if each.vehicle == binding.vehicle]) == 3:
            return "TooManyShares"
        until = end_of(self.now, duration)
        self.shares.append(NaiveShare(share_id, driver, binding.vehicle, binding_id, self.now, until))
        return None

    def cancel_all(self, driver: str, binding_id: str) -> str | int:
        if self.standing(driver, binding_id) is None:
            return "NotFound"
        mine = [each for each in self.live() if each.binding == binding_id]
        for share in mine:
            share.ended = "cancelled"
        return len(mine)

    def cancel_one(self, driver: str, share_id: str) -> int:
        for share in self.live():
            if share.id == share_id and share.driver == driver:
                share.ended = "cancelled"
                return 1
        return 0

    def open(self, share_id: str, who: str) -> str | None:
        share = self.share_of(share_id)
        if share is None:
            return "NotFound"
        if not self.lives(share):
            return "ShareEnded"
        if who == share.driver:
            return "OwnLink"
        if share.viewer not in (None, who):
            return "LinkTaken"
        share.viewer = who
        return None

    def view(self, share_id: str, who: str) -> str | None:
        share = self.share_of(share_id)
        if share is None or share.viewer != who:
            return "NotFound"
        return None if self.lives(share) else "ShareEnded"

    # -- delegations -------------------------------------------------------------------------------------------------

    def delegate(self, driver: str, vehicle: str, delegation_id: str) -> str | None:
        if any(each.vehicle == vehicle for each in self.bound(driver)):
            return "AlreadyBound"
        if len([each for each in self.delegations if each.driver == driver and self.usable(each)]) == 10:
            return "TooManyDelegations"
        self.delegations.append(NaiveDelegation(delegation_id, driver, vehicle, self.now))
        return None

    def withdraw(self, driver: str, delegation_id: str) -> str | None:
        delegation = self.delegation_of(driver, delegation_id)
        if delegation is None:
            return "NotFound"
        if not self.usable(delegation):
            return "DelegationEnded"
        delegation.withdrawn = True
        return None

    def open_delegation(self, driver: str, delegation_id: str, who: str) -> str | None:
        delegation = self.delegation_of(driver, delegation_id)
        if delegation is None:
            return "NotFound"
        if not self.usable(delegation):
            return "DelegationEnded"
        if who == driver:
            return "OwnLink"
        if delegation.holder not in (None, who):
            return "LinkTaken"
        delegation.holder = who
        return None

    def bind_delegated(self, driver: str, delegation_id: str, who: str, vehicle: str, binding_id: str) -> str | None:
        delegation = self.delegation_of(driver, delegation_id)
        if delegation is None or delegation.holder != who or delegation.vehicle != vehicle:
            return "NotFound"
        if not self.usable(delegation):
            return "DelegationEnded"
        refusal = self.bind(driver, vehicle, binding_id, delegate=who)
        if refusal is None:
            delegation.binding = binding_id
        return refusal
