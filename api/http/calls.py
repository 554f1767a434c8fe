"""The types of a call and of a route, and the bounded, typed reading of body and query, with errors in Chinese."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from secrets import token_bytes, token_hex
from types import UnionType
from typing import Any, Final, Generic, TypeVar

import msgspec
from aiohttp import web

from api.accounts.accounts import Account, doer_of
from domain.errors import InvalidInput, Unauthenticated
from domain.people.audit import Doer

B = TypeVar("B")
Q = TypeVar("Q")

JSON: Final = "application/json"
MAX_BODY_BYTES: Final = 64 * 1024


class Auth(Enum):
    """The credentials that a call must show."""

    NOTHING = "nothing"
    OPTIONAL = "optional"
    """A session, if the call shows one."""
    SESSION = "session"
    NATURAL = "natural"
    """A session of a natural person."""
    REGISTERED = "registered"
    """A session of a registered natural person (R5)."""
    DRIVER = "driver"
    """A session of a driver (R3)."""
    OWNER = "owner"
    """A session of a business (R4)."""
    FEED_KEY = "feed_key"
    OPS_KEY = "ops_key"
    """The operators' key, where one is configured."""


@dataclass(frozen=True, slots=True)
class Command:
    """The identity of a command, the same when it is repeated with its ``Idempotency-Key``, even after a crash."""

    id: str
    """16 hexadecimal digits."""
    secret: bytes = field(repr=False)
    """32 bytes, from which link tokens are made."""


NO_COMMAND: Final = Command("", b"")
"""The command of a call that creates nothing; drawing random bytes has a cost."""


def new_command() -> Command:
    """Return the command of a call without a key, which cannot be repeated."""
    return Command(token_hex(8), token_bytes(32))


@dataclass(frozen=True, slots=True)
class Call(Generic[B, Q]):
    """An authenticated call, with its body and query decoded."""

    http: web.Request
    body: B
    query: Q
    account: Account | None
    token: str = field(repr=False)
    command: Command = field(default_factory=new_command)

    @property
    def command_id(self) -> str:
        """Return the command's id, by which a repeat is recognised."""
        return self.command.id

    @property
    def command_secret(self) -> bytes:
        """Return the command's secret, the same for each repeat and known to no other caller."""
        return self.command.secret

    @property
    def doer(self) -> Doer:
        """Return the caller for the audit record (R64). Only routes that require a session may use it."""
        return doer_of(self.signed_in, self.address)

    @property
    def address(self) -> str:
        """Return the caller's address."""
        return self.http.remote or ""

    @property
    def signed_in(self) -> Account:
        """Return the calling account. Only routes that require a session may use it."""
        if self.account is None:
            raise Unauthenticated
        return self.account


Handler = Callable[[Call[Any, Any]], Awaitable[object]]
"""Returns a value of the route's ``answer`` type, None for 204, or a response of its own."""


@dataclass(frozen=True, slots=True)
class Route:
    """An entry of the route table: everything that serving and describing a call needs."""

    method: str
    path: str
    handler: Handler
    summary: str
    auth: Auth = Auth.NOTHING
    body: type | UnionType | None = None
    """The type that the body decodes to; ``bytes`` is handed over unchanged."""
    query: type[msgspec.Struct] | None = None
    answer: type | None = None
    status: int = 200
    content_type: str = JSON
    """The body's content type."""
    max_bytes: int = MAX_BODY_BYTES
    idempotent: bool = False
    """Tells whether ``Idempotency-Key`` is heeded: on every POST that creates something."""
    refusals: tuple[type[Exception], ...] = ()
    """The handler's own refusals; those of ``auth``, ``body``, ``query`` and ``path`` need not be listed."""
    form: object = None
    """The type that describes a ``bytes`` body."""
    media_type: str = JSON
    """The answer's media type."""
    others: tuple[tuple[int, type], ...] = ()
    """Answers of another status, and their types."""
    events: tuple[tuple[str, type], ...] = ()
    """The names and data types of server-sent events, where the answer is a stream."""
    etag: bool = False
    """Tells whether the answer has an ``ETag``, so that ``If-None-Match`` may be answered with 304."""


ROUTES: Final = web.AppKey("routes", tuple[Route, ...])
"""The route table of an application, to generate documents from."""


async def read_body(request: web.Request, route: Route, *, timeout_s: float) -> object:
    """Read the body as the route wants it, within a time-out (real seconds: this guards a socket).

    Raises ``InvalidInput``, or aiohttp's 408, 413 and 415.
    """
    if route.body is None:
        return None
    if request.content_type != route.content_type:
        raise web.HTTPUnsupportedMediaType
    raw = await _read(request, route.max_bytes, timeout_s)
    return raw if route.body is bytes else decode_json(raw, route.body)


async def _read(request: web.Request, max_bytes: int, timeout_s: float) -> bytes:
    if (request.content_length or 0) > max_bytes:
        raise web.HTTPRequestEntityTooLarge(max_bytes, request.content_length or 0)
    chunks = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.content.iter_any():
                chunks += chunk
                if len(chunks) > max_bytes:  # A compressed or chunked body may not declare its length.
                    raise web.HTTPRequestEntityTooLarge(max_bytes, len(chunks))
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except (web.RequestPayloadError, ConnectionError):
        raise InvalidInput(("body", "没有传完整")) from None
    return bytes(chunks)


def decode_json(raw: bytes, kind: type | UnionType) -> object:
    """Decode a value of this type. Raises ``InvalidInput``."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise InvalidInput(_field_error(str(error), "body")) from None
    except RecursionError:
        raise InvalidInput(("body", "嵌套太深")) from None
    except (msgspec.DecodeError, UnicodeError):
        raise InvalidInput(("body", "不是完整的 JSON")) from None


def read_query(request: web.Request, kind: type[msgspec.Struct] | None) -> object:
    """Decode the query as the route wants it; unknown parameters are ignored. Raises ``InvalidInput``."""
    if kind is None:
        return None
    try:
        return msgspec.convert(dict(request.query), kind, strict=False)
    except (msgspec.ValidationError, UnicodeError) as error:
        raise InvalidInput(_field_error(str(error), "query")) from None


_MISSING: Final = re.compile(r"missing required field `([^`]+)`")
_PATH: Final = re.compile(r" - at (?:`key` in )?`\$\.?([^`]*)`$")
_MESSAGES: Final = (
    (re.compile("missing required field"), "不能缺少"),
    (re.compile(r"`object` of length <= (\d+)"), "不能超过 {0} 项"),
    (re.compile(r"of length <= (\d+)"), "不能超过 {0} 个字符"),
    (re.compile(r"of length >= (\d+)"), "不能少于 {0} 个字符"),
    (re.compile(r"(?:Expected `(?:int|float)` |value )>= ([\d.]+)"), "不能小于 {0}"),
    (re.compile(r"(?:Expected `(?:int|float)` |value )<= ([\d.]+)"), "不能大于 {0}"),
    (re.compile(r"Invalid enum value|Invalid value"), "不在可选范围内"),
    (re.compile("matching regex"), "格式不正确"),
    (re.compile("Expected `str"), "应为字符串"),
    (re.compile("Expected `int"), "应为整数"),
    (re.compile("Expected `float"), "应为数字"),
    (re.compile("Expected `bool"), "应为 true 或 false"),
    (re.compile("Expected `object`"), "应为对象"),
    (re.compile("Expected `array`"), "应为数组"),
)


def _field_error(text: str, whole: str) -> tuple[str, str]:
    """Translate msgspec's English sentence into (field, Chinese sentence); values are never repeated."""
    path = _PATH.search(text)
    field = path[1] if path else ""
    if missing := _MISSING.search(text):
        field = f"{field}.{missing[1]}" if field else missing[1]
    for pattern, message in _MESSAGES:
        if found := pattern.search(text):
            return field or whole, message.format(*found.groups())
    return field or whole, "格式不正确"
