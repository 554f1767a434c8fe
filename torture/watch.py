"""Looks at each commit as it becomes durable, and finds what may never be on the disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from actors.people.documents import SHARE
from actors.people.person import Person
from domain.people.audit import AuditRecord
from domain.people.driver import Driver
from domain.people.share import Share
from persistence.records import decode
from persistence.store import Delete, Put
from torture.memory_store import Disk
from torture.rules import months_after, share_ends


class Violation(Exception):
    """A rule is broken."""


def demand(condition: object, broken: str) -> None:
    """Raise ``Violation`` unless it holds."""
    if not condition:
        raise Violation(broken)


class CommitWatch:
    """Holds the rules' limits after every single commit; counts the audit records."""

    def __init__(self, disk: Disk, now: Callable[[], float]) -> None:
        self.audit: Counter[tuple[str, str]] = Counter()
        """Counts records by (action, subject id)."""
        self.commits = 0
        self._disk = disk
        self._now = now
        self._drivers: dict[str, Driver] = {}
        self._shares: dict[str, Share] = {}
        self._records: set[str] = set()
        self._broken: list[str] = []

    def look(self, writes: Sequence[Put | Delete]) -> None:
        """Note a violation; the play raises it: here, the service would take it for its own failure."""
        self.commits += 1
        for write in writes:
            if isinstance(write, Put):
                self._look_at(write)
            else:
                self._hold(write.kind != SHARE, "a share is deleted")

    def check(self) -> None:
        """Raise a noted ``Violation``."""
        if self._broken:
            raise Violation("; ".join(self._broken))

    def _hold(self, condition: bool, broken: str) -> None:
        if not condition:
            self._broken.append(broken)

    def _look_at(self, put: Put) -> None:
        match put.kind:
            case "person":
                self._look_at_driver(decode(put.record, Person).driver)
            case "share":
                self._look_at_share(decode(put.record, Share))
            case "audit":
                self._count(decode(put.record, AuditRecord))
            case _:
                pass

    def _count(self, record: AuditRecord) -> None:
        self._hold(record.id not in self._records, f"the audit record of {record.action} is written twice")
        self._records.add(record.id)
        self.audit[record.action, record.subject_id] += 1

    def _look_at_driver(self, driver: Driver) -> None:
        self._drivers[driver.account_id] = driver
        now = self._now()
        vehicles = [each.vehicle.vehicle_id for each in driver.bindings]
        self._hold(len(vehicles) <= 3, f"R12: {len(vehicles)} vehicles bound")
        self._hold(len(set(vehicles)) == len(vehicles), "R14: one vehicle bound twice by one driver")
        counted = set(vehicles) | {key for key, until in driver.let_go if now < months_after(until, 12)}
        self._hold(len(counted) <= 10, f"R13: {len(counted)} vehicles in 12 months")
        live = [each for each in driver.shares if each.expires_at > now]
        self._hold(len({each.vehicle_id for each in live}) <= 1, "R19: two vehicles shared at a time")
        for vehicle in {each.vehicle_id for each in live}:
            total = sum(
                each.vehicle_id == vehicle and each.expires_at > now
                for other in self._drivers.values()
                for each in other.shares
            )
            self._hold(total <= 3, f"R18: {total} live shares of one vehicle")

    def _look_at_share(self, share: Share) -> None:
        before = self._shares.get(share.id)
        self._shares[share.id] = share
        ends_at = share_ends(share.created_at, share.duration.value)
        self._hold(share.expires_at == ends_at, f"R17: a share of {share.duration} ends at the wrong time")
        if before is None:
            return
        self._hold(before.viewer in (None, share.viewer), "R20: a share has a second viewer")
        self._hold(before.ended in (None, share.ended), "a share that has ended lives again")
        if before.viewer is None and share.viewer is not None:
            # The time now does not count: a decision made in time may wait for a store that stalls.
            self._hold(share.viewer.opened_at < before.expires_at, "a share is opened after its end")
