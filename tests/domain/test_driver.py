"""R11-R16, R19, R22: the limits on a driver's bindings and shares."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.civil_time import CHINA_TIME
from domain.errors import (
    AlreadyBound,
    DomainError,
    NotFound,
    SharingOtherVehicle,
    TooManyBindings,
    TooManyDelegations,
    TooManyIn12Months,
    VehicleMismatch,
)
from domain.identifiers import PlateColor
from domain.people.delegation import Delegation, lapses_at
from domain.people.driver import (
    Binding,
    Driver,
    SharedNow,
    VehicleClaim,
    bind,
    claim,
    claim_again,
    counted,
    delegate,
    live_shares,
    share,
    stop_sharing,
    unbind,
)
from domain.registry import RegisteredVehicle

T0 = datetime(2026, 6, 15, 8, 0, tzinfo=CHINA_TIME).timestamp()
DAY = 86_400.0
TRUCK = RegisteredVehicle(
    plate="鄂A12345",
    plate_color=PlateColor.YELLOW,
    vin="LGAX4B347J1002345",
    transport_cert_no="420100012345",
    transport_cert_valid_until=date(2027, 1, 1),
    annual_review_due=None,
    owner_uscc="91420100MA4KXXXX1X",
    terminal_phone="13900000001",
)


def vehicle(name: str) -> VehicleClaim:
    return VehicleClaim(name, f"鄂A{name}", PlateColor.YELLOW, "proof")


def binding(name: str, *, at: float = T0, number: int = 0) -> Binding:
    return Binding(f"b-{name}-{number}", "driver", "王师傅", vehicle(name), "self", at)


def driver_with(*names: str, at: float = T0) -> Driver:
    driver = Driver("driver")
    for name in names:
        driver = bind(driver, binding(name, at=at))
    return driver


def worn(count: int, *, at: float = T0) -> Driver:
    """Has bound and let go so many vehicles: u0, u1, … each a second after the one before."""
    driver = Driver("driver")
    for number in range(count):
        driver = bind(driver, binding(f"u{number}", at=at))
        driver, _, _ = unbind(driver, f"b-u{number}-0", by="driver", now=at + number)
    return driver


def a_delegation(name: str, *, vehicle_id: str = "v1", at: float = T0) -> Delegation:
    return Delegation(name, "driver", "王师傅", vehicle_id, "鄂A1", PlateColor.YELLOW, at, lapses_at(at), "hash")


# -- the registry ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "registered,cert_no,vin",
    [
        (None, TRUCK.transport_cert_no, TRUCK.vin),
        (TRUCK, "420100099999", TRUCK.vin),
        (TRUCK, TRUCK.transport_cert_no, "LGAX4B347J1009999"),
        (TRUCK, "", ""),
    ],
)
def test_r11_a_mismatch_never_says_what_did_not_match(
    registered: RegisteredVehicle | None, cert_no: str, vin: str
) -> None:
    with pytest.raises(VehicleMismatch) as refused:
        claim(registered, transport_cert_no=cert_no, vin=vin)
    assert refused.value.args == ()


def test_r16_the_registrys_record_must_still_match() -> None:
    claimed = claim(TRUCK, transport_cert_no=TRUCK.transport_cert_no, vin=TRUCK.vin)
    before = replace(binding("x"), vehicle=claimed)
    assert claim_again(before, TRUCK) == claimed
    assert claim_again(before, replace(TRUCK, owner_uscc="another", speed_limit_kmh=80)) == claimed
    for other in (None, replace(TRUCK, vin="LGAX4B347J1009999"), replace(TRUCK, transport_cert_no="4")):
        with pytest.raises(VehicleMismatch):
            claim_again(before, other)


# -- bindings --------------------------------------------------------------------------------------------------------


def test_r12_a_fourth_vehicle_is_refused_until_one_is_unbound() -> None:
    driver = driver_with("v1", "v2", "v3")
    with pytest.raises(TooManyBindings) as refused:
        bind(driver, binding("v4"))
    assert refused.value.limit == 3
    driver, _, _ = unbind(driver, "b-v2-0", by="driver", now=T0 + 1)
    driver = bind(driver, binding("v4", at=T0 + 1))
    assert [each.vehicle.vehicle_id for each in driver.bindings] == ["v1", "v3", "v4"]


def test_r14_a_vehicle_is_bound_once_at_a_time() -> None:
    for names in (("v1",), ("v1", "v2", "v3")):
        with pytest.raises(AlreadyBound):
            bind(driver_with(*names), binding("v1", number=1))


def test_r13_an_eleventh_vehicle_is_refused_until_the_first_has_been_gone_for_12_months() -> None:
    driver, frees_at = worn(10), datetime(2027, 6, 15, 8, 0, tzinfo=CHINA_TIME).timestamp()
    for now in (T0 + 10, frees_at - 0.001):
        with pytest.raises(TooManyIn12Months) as refused:
            bind(driver, binding("new", at=now))
        assert (refused.value.limit, refused.value.frees_at) == (10, frees_at)
    assert len(counted(bind(driver, binding("new", at=frees_at)), frees_at)) == 10


def test_r13_time_runs_from_the_end_of_a_binding_and_not_from_its_beginning() -> None:
    driver = bind(worn(9), binding("old"))
    years_later = T0 + 3 * 366 * DAY
    assert set(counted(driver, years_later)) == {"old"}
    driver, _, _ = unbind(driver, "b-old-0", by="driver", now=years_later)
    assert set(counted(driver, years_later + 364 * DAY)) == {"old"}


def test_r13_binding_again_a_counted_vehicle_costs_nothing() -> None:
    driver = bind(worn(10), binding("u3", at=T0 + 20, number=1))
    assert len(counted(driver, T0 + 20)) == 10
    driver, _, _ = unbind(driver, "b-u3-1", by="driver", now=T0 + 30)
    assert len(driver.let_go) == 10
    assert counted(driver, T0 + 30)["u3"] > counted(driver, T0 + 30)["u9"]


def test_r13_counts_current_bindings_too() -> None:
    driver = worn(7)
    for number, name in enumerate(("v1", "v2", "v3")):
        driver = bind(driver, binding(name, at=T0 + 10 + number))
    driver, _, _ = unbind(driver, "b-v1-0", by="owner", now=T0 + 20)
    with pytest.raises(TooManyIn12Months):
        bind(driver, binding("new", at=T0 + 20))


def test_r13_leap_day_counts_until_the_last_day_of_february() -> None:
    leap_day = datetime(2028, 2, 29, 12, 0, tzinfo=CHINA_TIME).timestamp()
    driver = worn(1, at=leap_day)
    frees_at = datetime(2029, 2, 28, 12, 0, tzinfo=CHINA_TIME).timestamp()
    assert counted(driver, leap_day) == {"u0": frees_at}
    assert counted(driver, frees_at) == {}


def test_r15_unbinding_ends_its_shares_and_leaves_the_others() -> None:
    driver = driver_with("v1", "v2")
    one, two = (SharedNow(f"s{number}", "b-v1-0", "v1", T0 + DAY) for number in (1, 2))
    driver = share(share(driver, one, now=T0), two, now=T0)
    after, ended, shares = unbind(driver, "b-v1-0", by="owner", now=T0 + 5)
    assert (ended.unbound_at, ended.unbound_by, shares, after.shares) == (T0 + 5, "owner", (one, two), ())
    assert [each.id for each in after.bindings] == ["b-v2-0"]
    _, _, none = unbind(driver, "b-v2-0", by="driver", now=T0 + 5)
    assert none == ()


def test_what_does_not_stand_can_not_be_unbound_or_shared() -> None:
    driver, _, _ = unbind(driver_with("v1"), "b-v1-0", by="driver", now=T0)
    with pytest.raises(NotFound):
        unbind(driver, "b-v1-0", by="driver", now=T0)
    with pytest.raises(NotFound):
        share(driver, SharedNow("s1", "b-v1-0", "v1", T0 + DAY), now=T0)


# -- sharing ---------------------------------------------------------------------------------------------------------


def test_r19_one_vehicle_at_a_time_until_its_shares_are_cancelled_or_expired() -> None:
    driver = share(driver_with("v1", "v2"), SharedNow("s1", "b-v1-0", "v1", T0 + DAY), now=T0)
    other = SharedNow("s2", "b-v2-0", "v2", T0 + 9 * DAY)
    for now in (T0, T0 + DAY - 0.001):
        with pytest.raises(SharingOtherVehicle) as refused:
            share(driver, other, now=now)
        assert refused.value.binding_id == "b-v1-0"
    assert share(driver, other, now=T0 + DAY).shares == (other,)
    assert share(stop_sharing(driver, frozenset({"s1"})), other, now=T0).shares == (other,)


def test_r19_the_same_vehicle_is_shared_again() -> None:
    driver = driver_with("v1")
    for number in range(3):
        driver = share(driver, SharedNow(f"s{number}", "b-v1-0", "v1", T0 + DAY), now=T0)
    assert len(live_shares(driver, T0, "b-v1-0")) == 3
    assert live_shares(driver, T0, "b-other") == ()
    assert live_shares(driver, T0 + DAY) == ()


# -- delegating ------------------------------------------------------------------------------------------------------


def test_r22_what_is_bound_need_not_be_delegated() -> None:
    with pytest.raises(AlreadyBound):
        delegate(driver_with("v1"), a_delegation("d1"), now=T0)


def test_links_to_bind_through_are_limited() -> None:
    driver = Driver("driver")
    for number in range(10):
        driver = delegate(driver, a_delegation(f"d{number}", at=T0 + number), now=T0 + number)
    with pytest.raises(TooManyDelegations) as refused:
        delegate(driver, a_delegation("one too many"), now=T0 + 10)
    assert refused.value.limit == 10
    first_lapses = T0 + 7 * DAY
    after = delegate(driver, a_delegation("d10", at=first_lapses), now=first_lapses)
    assert sum(each.expires_at > first_lapses for each in after.delegations) == 10


# -- whatever the sequence ------------------------------------------------------------------------------------------

steps = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1.0, 30 * DAY, 200 * DAY, 364 * DAY, 366 * DAY]),
        st.sampled_from(["bind", "bind", "unbind", "share", "stop"]),
        st.integers(0, 13),
    ),
    max_size=60,
)


@given(steps)
def test_r12_r13_r19_no_limit_is_ever_exceeded_and_nothing_allowed_is_refused(
    taken: list[tuple[float, str, int]],
) -> None:
    driver, now = Driver("driver"), T0
    stood: list[tuple[str, float, float]] = []  # (vehicle, from, to) of all that ever was bound
    for number, (passed, what, choice) in enumerate(taken):
        now += passed
        name = f"v{choice}"
        year_ago = datetime.fromtimestamp(now, CHINA_TIME)
        year_ago = year_ago.replace(year=year_ago.year - 1, day=min(year_ago.day, 28))
        bound = {each.vehicle.vehicle_id for each in driver.bindings}
        if what == "bind":
            recent = {key for key, _, to in stood if to > year_ago.timestamp() - 4 * DAY} | bound
            before = driver
            try:
                driver = bind(driver, binding(name, at=now, number=number))
            except DomainError:
                pass
            assert (driver is before) or (name not in bound and len(bound) < 3)
            assert (driver is not before) or name in bound or len(bound) == 3 or len(recent) >= 10
        elif what == "unbind" and driver.bindings:
            driver, ended, _ = unbind(driver, driver.bindings[choice % len(bound)].id, by="driver", now=now)
            stood.append((ended.vehicle.vehicle_id, ended.bound_at, now))
        elif what == "share" and driver.bindings:
            chosen = driver.bindings[choice % len(bound)]
            shared = SharedNow(f"s{number}", chosen.id, chosen.vehicle.vehicle_id, now + 31 * DAY)
            others = {each.binding_id for each in live_shares(driver, now)} - {chosen.id}
            if others:
                with pytest.raises(SharingOtherVehicle):
                    share(driver, shared, now=now)
            else:
                driver = share(driver, shared, now=now)
        elif what == "stop":
            driver = stop_sharing(driver, frozenset(each.share_id for each in driver.shares[:1]))
        within_a_year = {key for key, _, to in stood if to > year_ago.timestamp() + 4 * DAY}
        assert len(within_a_year | {each.vehicle.vehicle_id for each in driver.bindings}) <= 10
        assert len(driver.bindings) <= 3
        assert len(driver.let_go) <= 13
        assert len({each.binding_id for each in live_shares(driver, now)}) <= 1
        assert {each.binding_id for each in driver.shares} <= {each.id for each in driver.bindings}
