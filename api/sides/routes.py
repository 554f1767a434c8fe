"""The part of the route table that drivers, family members and owners use."""

from __future__ import annotations

from typing import Final

from api.http.calls import Auth, Route
from api.http.gates import Gates
from api.http.listing import ListQuery
from api.ports import Services
from api.shown.bindings import BindingView, BindRequest, Papers
from api.shown.share_view import ShareView, ShareViews
from api.sides.driver import BindingItems, BindingPage, DriverDesk, DriverVehicleList
from api.sides.family import AlertItems, FamilyDelegations, FamilyDesk, FamilyShareItems, FamilyShares
from api.sides.links import LinkPreview, LinkRequest, LinksDesk, OpenedDelegation
from api.sides.owner import OwnerDesk, VehicleItems, VehicleList, VehiclePage
from api.sides.sharing import (
    Cancelled,
    DelegationRequest,
    DriverDelegations,
    DriverShares,
    NewDelegation,
    NewShare,
    ShareRequest,
    SharesOfDriver,
    SharingDesk,
)
from domain.errors import (
    AlreadyBound,
    DelegationEnded,
    LinkTaken,
    NotFound,
    OwnLink,
    ShareEnded,
    SharingOtherVehicle,
    TooManyAttempts,
    TooManyBindings,
    TooManyDelegations,
    TooManyIn12Months,
    TooManyShares,
    VehicleMismatch,
)

DRIVER: Final = "/api/v1/driver"
FAMILY: Final = "/api/v1/family"
LINKS: Final = "/api/v1/links"
OWNER: Final = "/api/v1/owner"
_BINDING: Final = (VehicleMismatch, TooManyBindings, TooManyIn12Months, AlreadyBound)


def side_routes(services: Services, *, gates: Gates, views: ShareViews) -> tuple[Route, ...]:
    """List the routes, except for the live stream."""
    shared, shares = FamilyShares(services), SharesOfDriver(services)
    sharing = SharingDesk(services, shares)
    return (
        *_driver(DriverDesk(services, gates, shared=shared, shares=shares)),
        *_shares(sharing),
        *_delegations(sharing),
        *_links(LinksDesk(services, gates, views)),
        *_family(FamilyDesk(services, gates, shares=shared, views=views)),
        *_owner(OwnerDesk(services)),
    )


def _driver(desk: DriverDesk) -> tuple[Route, ...]:
    path, auth = f"{DRIVER}/bindings", Auth.DRIVER
    one = f"{path}/{{id}}"
    return (
        Route(
            "GET",
            f"{DRIVER}/vehicles",
            desk.vehicles,
            "司机的车辆",
            auth=auth,
            query=DriverVehicleList,
            answer=BindingItems,
            others=((200, FamilyShareItems),),
        ),
        Route(
            "POST",
            path,
            desk.bind,
            "绑定车辆",
            auth=auth,
            body=BindRequest,
            answer=BindingView,
            status=201,
            idempotent=True,
            refusals=(*_BINDING, TooManyAttempts),
        ),
        Route("GET", one, desk.binding, "一个绑定的详情", auth=auth, answer=BindingPage),
        Route("DELETE", one, desk.unbind, "解绑", auth=auth, status=204),
        Route(
            "POST",
            f"{one}/rebind",
            desk.rebind,
            "从历史中重新绑定",
            auth=auth,
            answer=BindingView,
            status=201,
            idempotent=True,
            refusals=_BINDING,
        ),
    )


def _shares(desk: SharingDesk) -> tuple[Route, ...]:
    path, of_binding, auth = f"{DRIVER}/shares", f"{DRIVER}/bindings/{{id}}/shares", Auth.DRIVER
    return (
        Route(
            "POST",
            of_binding,
            desk.share,
            "分享车辆动态",
            auth=auth,
            body=ShareRequest,
            answer=NewShare,
            status=201,
            idempotent=True,
            refusals=(TooManyShares, SharingOtherVehicle),
        ),
        Route("DELETE", of_binding, desk.cancel_of_binding, "取消此车的分享", auth=auth, answer=Cancelled),
        Route("GET", path, desk.shares, "司机的分享", auth=auth, query=ListQuery, answer=DriverShares),
        Route("DELETE", f"{path}/{{id}}", desk.cancel, "取消一个分享", auth=auth, status=204),
    )


def _delegations(desk: SharingDesk) -> tuple[Route, ...]:
    path, auth = f"{DRIVER}/delegations", Auth.DRIVER
    return (
        Route(
            "POST",
            path,
            desk.delegate,
            "委托家人绑定",
            auth=auth,
            body=DelegationRequest,
            answer=NewDelegation,
            status=201,
            idempotent=True,
            refusals=(AlreadyBound, TooManyDelegations),
        ),
        Route("GET", path, desk.delegations, "司机的委托", auth=auth, query=ListQuery, answer=DriverDelegations),
        Route(
            "DELETE",
            f"{path}/{{id}}",
            desk.withdraw,
            "撤回委托",
            auth=auth,
            status=204,
            refusals=(DelegationEnded,),
        ),
    )


def _links(desk: LinksDesk) -> tuple[Route, ...]:
    return (
        Route(
            "POST",
            f"{LINKS}/preview",
            desk.preview,
            "预览链接",
            auth=Auth.OPTIONAL,
            body=LinkRequest,
            answer=LinkPreview,
            refusals=(NotFound, TooManyAttempts),
        ),
        Route(
            "POST",
            f"{LINKS}/open",
            desk.open,
            "打开链接",
            auth=Auth.NATURAL,
            body=LinkRequest,
            answer=ShareView,
            others=((200, OpenedDelegation),),
            refusals=(NotFound, TooManyAttempts, LinkTaken, OwnLink, ShareEnded, DelegationEnded),
        ),
    )


def _family(desk: FamilyDesk) -> tuple[Route, ...]:
    shares, delegations = f"{FAMILY}/shares", f"{FAMILY}/delegations"
    one = f"{shares}/{{id}}"
    return (
        Route(
            "GET", shares, desk.shares, "家人看的车辆", auth=Auth.REGISTERED, query=ListQuery, answer=FamilyShareItems
        ),
        Route(
            "GET",
            one,
            desk.share,
            "车辆动态",
            auth=Auth.NATURAL,
            answer=ShareView,
            etag=True,
            refusals=(ShareEnded,),
        ),
        Route(
            "GET",
            f"{one}/alerts",
            desk.alerts,
            "车辆的报警",
            auth=Auth.NATURAL,
            query=ListQuery,
            answer=AlertItems,
            refusals=(ShareEnded,),
        ),
        Route(
            "GET",
            delegations,
            desk.delegations,
            "家人代绑的车辆",
            auth=Auth.REGISTERED,
            query=ListQuery,
            answer=FamilyDelegations,
        ),
        Route(
            "POST",
            f"{delegations}/{{id}}/bind",
            desk.bind,
            "替司机绑定",
            auth=Auth.NATURAL,
            body=Papers,
            answer=BindingView,
            status=201,
            idempotent=True,
            refusals=(*_BINDING, DelegationEnded, TooManyAttempts),
        ),
    )


def _owner(desk: OwnerDesk) -> tuple[Route, ...]:
    path, auth = f"{OWNER}/vehicles", Auth.OWNER
    return (
        Route("GET", path, desk.vehicles, "业户的车辆", auth=auth, query=VehicleList, answer=VehicleItems),
        Route("GET", f"{path}/{{id}}", desk.vehicle, "一辆车的详情", auth=auth, answer=VehiclePage),
        Route("DELETE", f"{OWNER}/bindings/{{id}}", desk.unbind, "解除司机的绑定", auth=auth, status=204),
    )
