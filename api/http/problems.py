"""The table that turns each refusal and failure into a problem (RFC 9457); codes are stable, details Chinese (R60)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil, isfinite
from typing import Final

import msgspec
from aiohttp import web
from pykka import ActorDeadError

from actors.system.runtime import MailboxFull
from actors.system.supervisor import Unanswered
from domain.civil_time import china_date
from domain.errors import (
    AlreadyBound,
    Busy,
    CodeRefused,
    DelegationEnded,
    DomainError,
    DriverOnly,
    FeedKeyInvalid,
    IdempotencyKeyReused,
    InvalidInput,
    KeyForgotten,
    LinkTaken,
    NaturalPersonOnly,
    NotFound,
    OpsKeyInvalid,
    OwnerOnly,
    OwnLink,
    ProviderUnavailable,
    RealNameMismatch,
    RealNameRequired,
    ShareEnded,
    SharingOtherVehicle,
    TermsNotAccepted,
    TooManyAttempts,
    TooManyBindings,
    TooManyDelegations,
    TooManyIn12Months,
    TooManyShares,
    Unauthenticated,
    VehicleMismatch,
    WrongCredentials,
)
from persistence.store import StoreConflict, StoreUnavailable

CONTENT_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 2


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem; ``detail`` is shown to people when the facts of the refusal say nothing more precise."""

    status: int
    code: str
    title: str
    detail: str


_UNAVAILABLE: Final = Kind(503, "unavailable", "暂时不可用", "系统繁忙，请稍后再试。")

KINDS: Final[Mapping[type[Exception], Kind]] = {
    InvalidInput: Kind(422, "invalid_input", "内容有误", "提交的内容有误，请检查后重试。"),
    NotFound: Kind(404, "not_found", "没有找到", "没有找到您要的内容。"),
    TermsNotAccepted: Kind(
        403, "terms_not_accepted", "请先同意服务使用声明", "请阅读并同意最新的服务使用声明后再登录。"
    ),
    WrongCredentials: Kind(401, "wrong_credentials", "登录失败", "用户名或密码不正确。"),
    TooManyAttempts: Kind(429, "too_many_attempts", "尝试次数过多", "尝试次数过多，请稍后再试。"),
    Unauthenticated: Kind(401, "unauthenticated", "请先登录", "尚未登录或登录已过期，请重新登录。"),
    OwnerOnly: Kind(403, "owner_only", "仅限业户", "只有业户账号可以使用此功能。"),
    DriverOnly: Kind(
        403,
        "driver_only",
        "仅限司机",
        "只有持有效从业资格证的司机可以使用此功能；资格信息与实际不符的，请向原发证机关核实。",
    ),
    NaturalPersonOnly: Kind(
        403, "natural_person_only", "仅限自然人", "业户账号不能使用此功能，请用微信以自然人身份登录。"
    ),
    RealNameRequired: Kind(403, "real_name_required", "请先实名注册", "完成实名注册后才能使用此功能。"),
    CodeRefused: Kind(401, "code_refused", "登录凭证无效", "微信登录凭证无效或已过期，请返回重试。"),
    RealNameMismatch: Kind(422, "real_name_mismatch", "实名核验未通过", "姓名与身份证号核验不一致，请核对后重新填写。"),
    IdempotencyKeyReused: Kind(
        422, "idempotency_key_reused", "请求编号重复", "此 Idempotency-Key 已用于另一请求，请换一个新的再提交。"
    ),
    KeyForgotten: Kind(
        422, "idempotency_key_reused", "请求编号重复", "此 Idempotency-Key 用得太久，请换一个新的再提交。"
    ),
    VehicleMismatch: Kind(
        422, "vehicle_mismatch", "车辆信息不一致", "车辆信息与登记不一致，请对照道路运输证和行驶证核对后重试。"
    ),
    TooManyBindings: Kind(
        409, "too_many_bindings", "绑定的车辆已满", "同时最多绑定 3 辆车，请先解绑一辆，再绑定新的车辆。"
    ),
    TooManyIn12Months: Kind(409, "too_many_in_12_months", "一年内绑定过多", "12 个月内最多绑定 10 辆不同的车。"),
    AlreadyBound: Kind(409, "already_bound", "已经绑定", "此车已经绑定，在“我的车辆”中可以看到。"),
    TooManyShares: Kind(
        409, "too_many_shares", "分享已满", "一辆车同时最多有 3 个有效的分享，请先取消一个，或等其中一个到期。"
    ),
    SharingOtherVehicle: Kind(
        409, "sharing_other_vehicle", "正在分享另一辆车", "您正在分享另一辆车，请先取消那辆车的分享，再分享这一辆。"
    ),
    TooManyDelegations: Kind(409, "too_many_delegations", "委托过多", "同时最多有 10 个未完成的委托，请先撤回一个。"),
    LinkTaken: Kind(409, "link_taken", "链接已被使用", "此链接已由他人打开，一个链接只供一人使用，请让司机重新发送。"),
    OwnLink: Kind(409, "own_link", "这是您自己的链接", "这是您自己发出的链接，请转发给家人打开。"),
    ShareEnded: Kind(410, "share_ended", "车辆动态已结束", "车辆动态已结束。"),
    DelegationEnded: Kind(410, "delegation_ended", "委托已结束", "此委托已完成、已撤回或已过期。"),
    FeedKeyInvalid: Kind(401, "feed_key_invalid", "上报密钥无效", "X-Feed-Key 缺失或不正确。"),
    OpsKeyInvalid: Kind(401, "ops_key_invalid", "运维密钥无效", "X-Ops-Key（或 Authorization: Bearer）缺失或不正确。"),
    Busy: _UNAVAILABLE,
    ProviderUnavailable: Kind(
        503, "provider_unavailable", "身份服务暂时不可用", "微信身份服务暂时没有回应，请稍后再试。"
    ),
    StoreUnavailable: _UNAVAILABLE,
    StoreConflict: _UNAVAILABLE,
    Unanswered: _UNAVAILABLE,
    MailboxFull: _UNAVAILABLE,
    ActorDeadError: _UNAVAILABLE,
}
"""The kinds by exception. A subclass inherits its parent's kind. Any other exception is a bug: ``INTERNAL``."""

INTERNAL: Final = Kind(500, "internal", "系统错误", "系统出错了，请稍后再试；如需帮助，请提供请求编号。")

HTTP_KINDS: Final[Mapping[int, Kind]] = {
    400: Kind(400, "bad_request", "无法识别的请求", "收到的不是完整的 HTTP 请求，或请求行、请求头超过 8 KiB。"),
    404: KINDS[NotFound],
    405: Kind(405, "method_not_allowed", "不支持的请求方法", "此地址不支持这种请求方法。"),
    408: Kind(408, "request_timeout", "上传超时", "内容没有在规定时间内传完，请重试。"),
    413: Kind(413, "payload_too_large", "内容太大", "提交的内容超过大小限制。"),
    415: Kind(415, "unsupported_media_type", "不支持的内容类型", "请按接口说明设置 Content-Type。"),
}
"""The kinds by status, for refusals by aiohttp and by the reading of bodies."""


class FieldError(msgspec.Struct, frozen=True):
    """The error in one field."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every refusal."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError] | msgspec.UnsetType = msgspec.UNSET
    binding_id: str | msgspec.UnsetType = msgspec.UNSET
    """The binding that is shared now, with ``sharing_other_vehicle``."""
    frees_on: str | msgspec.UnsetType = msgspec.UNSET
    """The day (YYYY-MM-DD, China) from which another vehicle can be bound, with ``too_many_in_12_months``."""


def kind_of(error: Exception) -> Kind:
    """Return the table's kind for this exception."""
    for ancestor in type(error).__mro__:
        if ancestor in KINDS:
            return KINDS[ancestor]
    return INTERNAL


def problem_of(kind: Kind, detail: str, errors: list[FieldError] | msgspec.UnsetType = msgspec.UNSET) -> Problem:
    """Build the problem of this kind."""
    return Problem(f"urn:shouwang:problem:{kind.code}", kind.title, kind.status, detail, kind.code, errors)


def response_to(error: Exception) -> web.Response:
    """Return the answer to a refusal, or to a failure whose details must not be revealed."""
    kind = kind_of(error)
    errors = [FieldError(*each) for each in error.errors] if isinstance(error, InvalidInput) else msgspec.UNSET
    headers = {}
    if kind.status in (429, 503):
        headers["Retry-After"] = str(_retry_after_s(error))
    if kind.status == 401:
        headers["WWW-Authenticate"] = _scheme(error)
    problem = problem_of(kind, _detail(error, kind), errors)
    return _response(_with_facts(problem, error), headers)


def problem_told(error: DomainError) -> Problem:
    """Return the problem of a refusal that a call would meet, before the call is made."""
    kind = kind_of(error)
    return _with_facts(problem_of(kind, _detail(error, kind)), error)


def _with_facts(problem: Problem, error: Exception) -> Problem:
    """Add the facts that a client needs to help its user."""
    match error:
        case SharingOtherVehicle(binding_id=binding_id):
            return msgspec.structs.replace(problem, binding_id=binding_id)
        case TooManyIn12Months(frees_at=at) if isfinite(at):
            return msgspec.structs.replace(problem, frees_on=str(china_date(at)))
        case _:
            return problem


def response_to_http(error: web.HTTPException) -> web.Response:
    """Return aiohttp's own refusal in our form."""
    known = HTTP_KINDS.get(error.status)
    kind = known or Kind(error.status, f"http_{error.status}", HTTPStatus(error.status).phrase, "请求无法处理。")
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return _response(problem_of(kind, kind.detail), headers)


def response_as(kind: Kind) -> web.Response:
    """Return the answer to input that never became a call."""
    return _response(problem_of(kind, kind.detail), {})


def _response(problem: Problem, headers: Mapping[str, str]) -> web.Response:
    body = msgspec.json.encode(problem)
    return web.Response(body=body, status=problem.status, headers=headers, content_type=CONTENT_TYPE)


def _detail(error: Exception, kind: Kind) -> str:
    match error:
        case InvalidInput(errors=[(field, message), *_]):
            return f"提交的内容有误：{field} {message}。"
        case TooManyAttempts(retry_after_s=seconds):
            return f"尝试次数过多，请在 {ceil(seconds / 60)} 分钟后再试。"
        case TooManyIn12Months(frees_at=at) if isfinite(at):
            return f"{kind.detail}{china_date(at):%Y-%m-%d} 起可以再绑定新的车辆。"
        case FeedKeyInvalid(configured=False):
            return "本服务没有设置上报密钥，因此不接受上报：请设置环境变量 FEED_KEY 后重新启动。"
        case OpsKeyInvalid(configured=False):
            return "本服务没有设置运维密钥，因此不提供此功能：请设置环境变量 OPS_KEY 后重新启动。"
        case _:
            return kind.detail


def _retry_after_s(error: Exception) -> int:
    if isinstance(error, TooManyAttempts | Busy):
        return max(1, ceil(error.retry_after_s))
    return RETRY_AFTER_S


def _scheme(error: Exception) -> str:
    return "X-Feed-Key" if isinstance(error, FeedKeyInvalid) else "Bearer"
