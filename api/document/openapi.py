"""Describes our calls to programs as OpenAPI 3.1, from the route table and the types that validate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from api.document.schemas import Schema, Schemas
from api.http.calls import Auth, Route
from api.http.idempotency import MAX_KEY_CHARS
from api.http.problems import CONTENT_TYPE, HTTP_KINDS, KINDS, Kind, Problem, problem_of
from domain.errors import (
    DriverOnly,
    FeedKeyInvalid,
    IdempotencyKeyReused,
    InvalidInput,
    NaturalPersonOnly,
    NotFound,
    OpsKeyInvalid,
    OwnerOnly,
    RealNameRequired,
    TooManyAttempts,
    Unauthenticated,
)
from persistence.store import StoreUnavailable

EVENT_STREAM: Final = "text/event-stream"
_PLACE: Final = re.compile(r"\{(\w+)\}")
_BODY_REFUSALS: Final = (408, 413, 415)

INFO: Final = {
    "title": "平安守望 API",
    "description": (
        "货车在途，家人守望：司机绑定车辆并分享给家人，家人看位置与报警，业户看自己的车队。\n\n"
        "时间为带时区的 RFC 3339；拒绝一律为 `application/problem+json`（RFC 9457），`code` 稳定可供程序判断，`detail` 是给人看的中文。"
        "列表以 `limit`、`cursor` 翻页，`next` 为空即到末尾。未知的标识与别人的标识一样答 404。意外错误答 500 `internal`，并附请求编号。"
        "不成其为 HTTP 的请求（含超过 8 KiB 的请求行或请求头）答 400 `bad_request`，连接已满答 503 `unavailable`。\n\n"
        "*Families watch over truck drivers on the road. Times are RFC 3339, refusals are RFC 9457 problems with a stable "
        "`code`; unknown ids and other people's are both 404; a bug is a 500 `internal` that tells its request id only.*"
    ),
    "license": {"name": "MIT", "identifier": "MIT"},
}

TAGS: Final = {
    "账号": "Accounts: sign-in, registration, sessions",
    "司机": "Drivers: bindings, shares, delegations",
    "家人": "Family: links, shared vehicles",
    "业户": "Owners: the business's vehicles",
    "上报": "Telemetry of other platforms",
    "运维": "Operations and documents",
}
_TAG_BY_PREFIX: Final = {
    "/api/v1/driver": "司机",
    "/api/v1/family": "家人",
    "/api/v1/links": "家人",
    "/api/v1/owner": "业户",
    "/api/v1/telemetry": "上报",
    "/api/v1/ops": "运维",
    "/api/v1/openapi.json": "运维",
    "/api/v1/": "账号",
}
"""Path prefixes and their tags; the first match counts. Other paths belong to operations."""

SECURITY_SCHEMES: Final = {
    "session": {"type": "http", "scheme": "bearer", "description": "登录所得的令牌。The token of a sign-in."},
    "feed_key": {"type": "apiKey", "in": "header", "name": "X-Feed-Key", "description": "上报密钥。`FEED_KEY`."},
    "ops_key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Ops-Key",
        "description": "运维密钥，仅当服务设置了它。`OPS_KEY`, where the service has one.",
    },
    "ops_bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "同一运维密钥，供 Prometheus 等程序使用。The same key, for scrapers that send no other header.",
    },
}

_ANSWER_HEADERS: Final = {
    "X-Request-Id": {"description": "请求编号。Stands in the log, too.", "schema": {"type": "string"}},
    "WWW-Authenticate": {"description": "缺少哪一种凭证。", "schema": {"type": "string"}},
    "Retry-After": {"description": "多少秒后再试。", "schema": {"type": "integer", "minimum": 1}},
    "ETag": {"description": "内容的版本。For `If-None-Match`.", "schema": {"type": "string"}},
}

_CALL_HEADERS: Final = {
    "Idempotency-Key": (
        "重复请求的钥匙：24 小时内以同一钥匙重发，得到第一次的答复。A repeat within 24 h returns the first answer.",
        {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARS, "pattern": "^[!-~]+$"},
    ),
    "If-None-Match": ("上次的 ETag；没有变化则答 304。", {"type": "string"}),
    "Last-Event-ID": ("断线后从这一事件之后续传。Resumes after this event.", {"type": "string"}),
}


@dataclass(frozen=True, slots=True)
class Admission:
    """The credentials that a kind of ``Auth`` accepts, and its refusals."""

    schemes: tuple[str, ...] = ()
    """Alternative schemes; "" stands for no credentials."""
    refusals: tuple[type[Exception], ...] = ()

    @property
    def security(self) -> list[Schema]:
        return [{scheme: []} if scheme else {} for scheme in self.schemes]


ADMISSIONS: Final[Mapping[Auth, Admission]] = {
    Auth.NOTHING: Admission(),
    Auth.OPTIONAL: Admission(("", "session"), (Unauthenticated,)),
    Auth.SESSION: Admission(("session",), (Unauthenticated,)),
    Auth.NATURAL: Admission(("session",), (Unauthenticated, NaturalPersonOnly)),
    Auth.REGISTERED: Admission(("session",), (Unauthenticated, NaturalPersonOnly, RealNameRequired)),
    Auth.DRIVER: Admission(("session",), (Unauthenticated, DriverOnly)),
    Auth.OWNER: Admission(("session",), (Unauthenticated, OwnerOnly)),
    Auth.FEED_KEY: Admission(("feed_key",), (FeedKeyInvalid, TooManyAttempts)),
    Auth.OPS_KEY: Admission(("ops_key", "ops_bearer"), (OpsKeyInvalid, TooManyAttempts)),
}


def document(routes: Sequence[Route], *, version: str) -> Schema:
    """Return the whole document, ready to be encoded."""
    schemas = Schemas(kind for route in routes for kind in _types(route))
    problems = Problems(schemas.schema(Problem))
    paths: dict[str, dict[str, Schema]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas, problems)
    return {
        "openapi": "3.1.0",
        "info": INFO | {"version": version},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas.components(),
            "responses": problems.components,
            "headers": _ANSWER_HEADERS,
            "parameters": {
                name: {"name": name, "in": "header", "description": text, "schema": schema}
                for name, (text, schema) in _CALL_HEADERS.items()
            },
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


class Problems:
    """The error answers, grouped by what they may say, so that each is described once."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self.components: dict[str, Schema] = {}

    def response(self, status: int, kinds: Sequence[Kind]) -> Schema:
        """Return a reference to the answer that may be any of these."""
        name = "-or-".join(kind.code for kind in kinds)
        if name not in self.components:
            self.components[name] = {
                "description": " / ".join(kind.title for kind in kinds),
                "headers": _headers_of(status),
                "content": self.content(kinds),
            }
        return {"$ref": f"#/components/responses/{name}"}

    def content(self, kinds: Sequence[Kind]) -> Schema:
        """Return the content of an answer whose status may also have another meaning."""
        schema = self._schema | {"properties": {"code": {"enum": [kind.code for kind in kinds]}}}
        examples = {kind.code: {"value": msgspec.to_builtins(problem_of(kind, kind.detail))} for kind in kinds}
        return {CONTENT_TYPE: {"schema": schema, "examples": examples}}


def is_stream(route: Route) -> bool:
    """Tell whether the answer is a stream without an end of its own."""
    return bool(route.events) or route.answer is web.StreamResponse


def _types(route: Route) -> Iterable[object]:
    """Yield every type that this route's description needs a schema of."""
    yield Problem
    yield from (kind for kind in (_body_type(route), route.query) if kind is not None)
    yield from (kind for kinds in _answers(route).values() for kind in kinds)
    yield from (kind for _, kind in route.events)


def _body_type(route: Route) -> object:
    return route.form if route.body is bytes else route.body


def _answers(route: Route) -> dict[int, list[object]]:
    """Map each status to the answer's types; the list is empty for an answer that is no value of a type."""
    plain = isinstance(route.answer, type) and issubclass(route.answer, web.StreamResponse)
    answers: dict[int, list[object]] = {route.status: [] if plain or route.answer is None else [route.answer]}
    for status, kind in route.others:
        answers.setdefault(status, []).append(kind)
    return answers


# -- one call ------------------------------------------------------------------------------------------------------------


def _operation(route: Route, schemas: Schemas, problems: Problems) -> Schema:
    operation: Schema = {
        "operationId": _operation_id(route),
        "tags": [tag_of(route.path)],
        "summary": route.summary,
        "description": _description(route),
        "parameters": [*_path_parameters(route), *_query_parameters(route, schemas), *_headers(route)],
        "security": ADMISSIONS[route.auth].security,
        "responses": _responses(route, schemas, problems),
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _body(route, schemas)}
    return operation


def tag_of(path: str) -> str:
    """Return the API's side that this path belongs to."""
    return next((tag for prefix, tag in _TAG_BY_PREFIX.items() if path.startswith(prefix)), "运维")


def _operation_id(route: Route) -> str:
    words = re.findall(r"\w+", route.path.removeprefix("/api/v1"))
    return "_".join((route.method.lower(), *words))


def _description(route: Route) -> str:
    """Return the handler's docstring."""
    lines = (route.handler.__doc__ or "").strip().splitlines()
    return "\n".join(line.strip() for line in lines).replace("``", "`")


def _path_parameters(route: Route) -> Iterable[Schema]:
    schema = {"type": "string", "minLength": 1}
    return (
        {"name": name, "in": "path", "required": True, "description": "不透明的标识。An opaque id.", "schema": schema}
        for name in _PLACE.findall(route.path)
    )


def _query_parameters(route: Route, schemas: Schemas) -> Iterable[Schema]:
    if route.query is None:
        return
    properties, required = schemas.fields(route.query)
    for name, schema in properties.items():
        parameter = {"name": name, "in": "query", "required": name in required, "schema": schema}
        yield parameter | ({"description": schema["description"]} if "description" in schema else {})


def _headers(route: Route) -> Iterable[Schema]:
    wanted = {
        "Idempotency-Key": route.idempotent,
        "If-None-Match": route.etag,
        "Last-Event-ID": is_stream(route),
    }
    return ({"$ref": f"#/components/parameters/{name}"} for name, is_wanted in wanted.items() if is_wanted)


def _body(route: Route, schemas: Schemas) -> Schema:
    kind = _body_type(route)
    return {route.content_type: {} if kind is None else _content([kind], schemas)}


def _content(kinds: Sequence[object], schemas: Schemas) -> Schema:
    """Return the content that may be any of these types."""
    shapes = [schemas.schema(kind) for kind in kinds]
    examples = {name: example for kind in kinds for name, example in schemas.examples(kind).items()}
    return {"schema": shapes[0] if len(shapes) == 1 else {"anyOf": shapes}, "examples": examples}


# -- its answers ---------------------------------------------------------------------------------------------------------


def _responses(route: Route, schemas: Schemas, problems: Problems) -> Schema:
    responses = {str(status): _answer(route, status, kinds, schemas) for status, kinds in _answers(route).items()}
    if route.etag:
        responses["304"] = {"description": "没有变化", "headers": _header_refs("X-Request-Id", "ETag")}
    for status, kinds in sorted(_problems(route).items()):
        if str(status) in responses:
            responses[str(status)]["content"] |= problems.content(kinds)
        else:
            responses[str(status)] = problems.response(status, kinds)
    return responses


def _answer(route: Route, status: int, kinds: Sequence[object], schemas: Schemas) -> Schema:
    answer: Schema = {
        "description": HTTPStatus(status).phrase,
        "headers": _headers_of(status) | _header_refs(*(("ETag",) if route.etag else ())),
    }
    if is_stream(route):
        answer["content"] = {EVENT_STREAM: _events(route, schemas)}
    elif kinds:
        answer["content"] = {route.media_type: _content(kinds, schemas)}
    elif status != 204:
        answer["content"] = {route.media_type: {"schema": {"type": "string"}}}
    return answer


def _events(route: Route, schemas: Schemas) -> Schema:
    """Describe a stream: text to OpenAPI 3.1, with the types of its events beside it."""
    events = {name: schemas.schema(kind) for name, kind in route.events}
    return {"schema": {"type": "string", "description": "Server-sent events."}, "x-events": events}


def _headers_of(status: int) -> Schema:
    further = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}
    return _header_refs("X-Request-Id", *further.get(status, ()))


def _header_refs(*names: str) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _problems(route: Route) -> dict[int, list[Kind]]:
    """Group the route's problems by status, each kind once."""
    refusals: list[type[Exception]] = [*ADMISSIONS[route.auth].refusals, *route.refusals]
    if route.idempotent:
        refusals += [InvalidInput, IdempotencyKeyReused]
    if route.body is not None or route.query is not None:
        refusals.append(InvalidInput)
    if _PLACE.search(route.path):
        refusals.append(NotFound)
    if _needs_the_store(route):
        refusals.append(StoreUnavailable)
    kinds = [KINDS[refusal] for refusal in refusals]
    kinds += [HTTP_KINDS[status] for status in _BODY_REFUSALS if route.body is not None]
    by_status: dict[int, list[Kind]] = {}
    for kind in dict.fromkeys(kinds):
        by_status.setdefault(kind.status, []).append(kind)
    return by_status


def _needs_the_store(route: Route) -> bool:
    return route.body is not None or not {"session", "feed_key"}.isdisjoint(ADMISSIONS[route.auth].schemes)
