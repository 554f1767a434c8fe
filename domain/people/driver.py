"""A driver's bindings and their limits, and the one vehicle that a driver may share (R11-R16, R19)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2s
from typing import Final, Literal

from domain.civil_time import months_later
from domain.errors import (
    AlreadyBound,
    NotFound,
    SharingOtherVehicle,
    TooManyBindings,
    TooManyDelegations,
    TooManyIn12Months,
    VehicleMismatch,
)
from domain.identifiers import PlateColor
from domain.people.delegation import Delegation
from domain.registry import RegisteredVehicle

MAX_BINDINGS: Final = 3
MAX_VEHICLES: Final = 10
COUNTED_MONTHS: Final = 12
MAX_DELEGATIONS: Final = 10
"""Usable links of one driver; our own limit."""

BindingKind = Literal["self", "delegated"]
Unbinder = Literal["driver", "owner"]


@dataclass(frozen=True, slots=True)
class VehicleClaim:
    """A registered vehicle that a caller has shown to know: plate, colour, certificate number and VIN agree (R11)."""

    vehicle_id: str
    plate: str
    plate_color: PlateColor
    proof: str
    """The registry's record in short; see ``proof_of``."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A driver and a vehicle. Instants are Unix seconds, our clock."""

    id: str
    driver_id: str
    driver_name: str
    vehicle: VehicleClaim
    kind: BindingKind
    bound_at: float
    delegate_id: str | None = None
    delegate_name: str | None = None
    unbound_at: float | None = None
    unbound_by: Unbinder | None = None


@dataclass(frozen=True, slots=True)
class SharedNow:
    """A share of this driver that lives until ``expires_at`` (Unix seconds), unless it is cancelled before."""

    share_id: str
    binding_id: str
    vehicle_id: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Driver:
    """The facts that decide what a driver may do next."""

    account_id: str
    bindings: tuple[Binding, ...] = ()
    """Bindings that stand now, the oldest first."""
    let_go: tuple[tuple[str, float], ...] = ()
    """Pairs of a vehicle id and when its last binding ended, for vehicles that R13 may still count."""
    shares: tuple[SharedNow, ...] = ()
    delegations: tuple[Delegation, ...] = ()
    """Delegations that a family member may still bind through."""

    def binding(self, binding_id: str) -> Binding:
        """Return a binding that stands now. Raises ``NotFound``."""
        for binding in self.bindings:
            if binding.id == binding_id:
                return binding
        raise NotFound

    def delegation(self, delegation_id: str) -> Delegation | None:
        """Return a delegation that may still live. Raises ``NotFound``."""
        return next((each for each in self.delegations if each.id == delegation_id), None)


def proof_of(vehicle: RegisteredVehicle) -> str:
    """Return what a binding remembers of the registry's record.

    Another VIN or certificate number makes another (R16).
    """
    return blake2s(f"{vehicle.vin}/{vehicle.transport_cert_no}".encode(), digest_size=12).hexdigest()


def claim(vehicle: RegisteredVehicle | None, *, transport_cert_no: str, vin: str) -> VehicleClaim:
    """Check that all facts match one registered vehicle (R11).

    Raises ``VehicleMismatch``, which never says which of them differs.
    """
    if vehicle is None or vehicle.transport_cert_no != transport_cert_no or vehicle.vin != vin:
        raise VehicleMismatch
    return VehicleClaim(vehicle.id, vehicle.plate, vehicle.plate_color, proof_of(vehicle))


def claim_again(binding: Binding, vehicle: RegisteredVehicle | None) -> VehicleClaim:
    """Check that the registry's record is still the one that was bound (R16). Raises ``VehicleMismatch``."""
    if vehicle is None or proof_of(vehicle) != binding.vehicle.proof:
        raise VehicleMismatch
    return binding.vehicle


def counted(driver: Driver, now: float) -> Mapping[str, float]:
    """Map each vehicle that R13 counts to the end of its counting (Unix seconds, infinite while bound)."""
    until = {vehicle_id: months_later(ended_at, COUNTED_MONTHS) for vehicle_id, ended_at in driver.let_go}
    until |= {binding.vehicle.vehicle_id: float("inf") for binding in driver.bindings}
    return {vehicle_id: at for vehicle_id, at in until.items() if at > now}


def bind(driver: Driver, binding: Binding) -> Driver:
    """Bind a vehicle (R12-R14). Raises ``AlreadyBound``, ``TooManyBindings`` or ``TooManyIn12Months``."""
    now, vehicle_id = binding.bound_at, binding.vehicle.vehicle_id
    if has_bound(driver, vehicle_id):
        raise AlreadyBound
    check_room(driver, vehicle_id, now=now)
    counts = counted(driver, now)
    let_go = tuple((key, at) for key, at in driver.let_go if key in counts and key != vehicle_id)
    return replace(driver, bindings=(*driver.bindings, binding), let_go=let_go)


def check_room(driver: Driver, vehicle_id: str | None, *, now: float) -> None:
    """Check R12 and R13 for this vehicle, or (None) for one that does not count yet.

    Raises ``TooManyBindings`` or ``TooManyIn12Months``.
    """
    if len(driver.bindings) >= MAX_BINDINGS:
        raise TooManyBindings(limit=MAX_BINDINGS)
    counts = counted(driver, now)
    if vehicle_id not in counts and len(counts) >= MAX_VEHICLES:
        raise TooManyIn12Months(limit=MAX_VEHICLES, frees_at=min(counts.values()))


def has_bound(driver: Driver, vehicle_id: str) -> bool:
    """Tell whether this vehicle is bound now."""
    return any(binding.vehicle.vehicle_id == vehicle_id for binding in driver.bindings)


def unbind(
    driver: Driver, binding_id: str, *, by: Unbinder, now: float
) -> tuple[Driver, Binding, tuple[SharedNow, ...]]:
    """End a binding (R15); return it as it enters history, and the shares that end with it. Raises ``NotFound``."""
    ended = replace(driver.binding(binding_id), unbound_at=now, unbound_by=by)
    shares = tuple(share for share in driver.shares if share.binding_id == binding_id)
    after = replace(
        driver,
        bindings=tuple(each for each in driver.bindings if each.id != binding_id),
        let_go=(*driver.let_go, (ended.vehicle.vehicle_id, now)),
        shares=tuple(share for share in driver.shares if share.binding_id != binding_id),
    )
    return after, ended, shares


def live_shares(driver: Driver, now: float, binding_id: str | None = None) -> tuple[SharedNow, ...]:
    """Return this driver's live shares, of one binding or of all."""
    return tuple(
        share
        for share in driver.shares
        if share.expires_at > now and (binding_id is None or share.binding_id == binding_id)
    )


def share(driver: Driver, shared: SharedNow, *, now: float) -> Driver:
    """Add a share; a driver shares one vehicle at a time (R19).

    Raises ``NotFound`` without such a binding, ``SharingOtherVehicle``.
    """
    driver.binding(shared.binding_id)
    check_shares_no_other(driver, shared.binding_id, now=now)
    return replace(driver, shares=(*live_shares(driver, now), shared))


def check_shares_no_other(driver: Driver, binding_id: str, *, now: float) -> None:
    """Check that the driver shares no other vehicle (R19). Raises ``SharingOtherVehicle``."""
    for other in live_shares(driver, now):
        if other.binding_id != binding_id:
            raise SharingOtherVehicle(binding_id=other.binding_id)


def stop_sharing(driver: Driver, share_ids: frozenset[str]) -> Driver:
    """Remove these shares: they no longer count (R21)."""
    return replace(driver, shares=tuple(each for each in driver.shares if each.share_id not in share_ids))


def delegate(driver: Driver, delegation: Delegation, *, now: float) -> Driver:
    """Add a delegation (R22).

    Raises ``AlreadyBound``, ``TooManyDelegations``; R12 and R13 are asked when the family member binds.
    """
    if has_bound(driver, delegation.vehicle_id):
        raise AlreadyBound
    if sum(each.expires_at > now for each in driver.delegations) >= MAX_DELEGATIONS:
        raise TooManyDelegations(limit=MAX_DELEGATIONS)
    return replace(driver, delegations=(*driver.delegations, delegation))


def put_delegation(driver: Driver, delegation: Delegation, *, keep: bool) -> Driver:
    """Replace a delegation by its present value; a link that serves no longer is not kept."""
    others = tuple(each for each in driver.delegations if each.id != delegation.id)
    return replace(driver, delegations=(*others, delegation) if keep else others)
