"""Which problem (RFC 9457) does a refusal or a failure become? One table; every code is stable, every detail Chinese (R60)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import Final

import msgspec
from aiohttp import web
from pykka import ActorDeadError

from actors.runtime import MailboxFull
from actors.supervisor import Unanswered
from domain.errors import (
    Busy,
    FeedKeyInvalid,
    InvalidInput,
    NotFound,
    OpsKeyInvalid,
    OwnerOnly,
    TermsNotAccepted,
    TooManyAttempts,
    Unauthenticated,
    WrongCredentials,
)
from persistence.store import StoreConflict, StoreUnavailable

CONTENT_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 2


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem; ``detail`` is what a person reads when the facts of the refusal say nothing better."""

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
    FeedKeyInvalid: Kind(401, "feed_key_invalid", "上报密钥无效", "X-Feed-Key 缺失或不正确。"),
    OpsKeyInvalid: Kind(401, "ops_key_invalid", "运维密钥无效", "X-Ops-Key 缺失或不正确。"),
    Busy: _UNAVAILABLE,
    StoreUnavailable: _UNAVAILABLE,
    StoreConflict: _UNAVAILABLE,
    Unanswered: _UNAVAILABLE,
    MailboxFull: _UNAVAILABLE,
    ActorDeadError: _UNAVAILABLE,
}
"""By exception; a subclass has its parent's unless it has its own. Anything else is a bug: ``INTERNAL``."""

INTERNAL: Final = Kind(500, "internal", "系统错误", "系统出错了，请稍后再试；如需帮助，请提供请求编号。")

HTTP_KINDS: Final[Mapping[int, Kind]] = {
    404: KINDS[NotFound],
    405: Kind(405, "method_not_allowed", "不支持的请求方法", "此地址不支持这种请求方法。"),
    408: Kind(408, "request_timeout", "上传超时", "内容没有在规定时间内传完，请重试。"),
    413: Kind(413, "payload_too_large", "内容太大", "提交的内容超过大小限制。"),
    415: Kind(415, "unsupported_media_type", "不支持的内容类型", "请按接口说明设置 Content-Type。"),
}
"""By status, for what aiohttp and the reading of bodies refuse."""


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field."""

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


def kind_of(error: Exception) -> Kind:
    """The table's line for this exception."""
    for ancestor in type(error).__mro__:
        if ancestor in KINDS:
            return KINDS[ancestor]
    return INTERNAL


def response_to(error: Exception) -> web.Response:
    """The answer to a refusal, or to a failure of which nothing may be told."""
    kind = kind_of(error)
    errors = [FieldError(*each) for each in error.errors] if isinstance(error, InvalidInput) else msgspec.UNSET
    headers = {}
    if kind.status in (429, 503):
        headers["Retry-After"] = str(_retry_after_s(error))
    if kind.status == 401:
        headers["WWW-Authenticate"] = _scheme(error)
    return _response(kind, _detail(error, kind), errors, headers)


def response_to_http(error: web.HTTPException) -> web.Response:
    """aiohttp's own refusal, in our form."""
    known = HTTP_KINDS.get(error.status)
    kind = known or Kind(error.status, f"http_{error.status}", HTTPStatus(error.status).phrase, "请求无法处理。")
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return _response(kind, kind.detail, msgspec.UNSET, headers)


def _response(
    kind: Kind, detail: str, errors: list[FieldError] | msgspec.UnsetType, headers: Mapping[str, str]
) -> web.Response:
    problem = Problem(f"urn:shouwang:problem:{kind.code}", kind.title, kind.status, detail, kind.code, errors)
    body = msgspec.json.encode(problem)
    return web.Response(body=body, status=kind.status, headers=headers, content_type=CONTENT_TYPE)


def _detail(error: Exception, kind: Kind) -> str:
    match error:
        case InvalidInput(errors=[(field, message), *_]):
            return f"提交的内容有误：{field} {message}。"
        case TooManyAttempts(retry_after_s=seconds):
            return f"尝试次数过多，请在 {ceil(seconds / 60)} 分钟后再试。"
        case FeedKeyInvalid(configured=False):
            return "本服务没有设置上报密钥，因此不接受上报：请设置环境变量 FEED_KEY 后重新启动。"
        case _:
            return kind.detail


def _retry_after_s(error: Exception) -> int:
    if isinstance(error, TooManyAttempts | Busy):
        return max(1, ceil(error.retry_after_s))
    return RETRY_AFTER_S


def _scheme(error: Exception) -> str:
    match error:
        case FeedKeyInvalid():
            return "X-Feed-Key"
        case OpsKeyInvalid():
            return "X-Ops-Key"
        case _:
            return "Bearer"
