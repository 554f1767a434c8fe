"""What is one call of the API, and how are its body and query read? Typed, bounded, and refused in Chinese."""

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
    """What a call must show."""

    NOTHING = "nothing"
    OPTIONAL = "optional"
    """A session, if one is shown."""
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
    """Only where one is configured."""


@dataclass(frozen=True, slots=True)
class Command:
    """What makes a command the same one when it is sent again with its ``Idempotency-Key``, even after a crash."""

    id: str
    """16 hexadecimal digits."""
    secret: bytes = field(repr=False)
    """32 bytes, to make link tokens of."""


NO_COMMAND: Final = Command("", b"")
"""Of a call that makes nothing: chance is not free."""


def new_command() -> Command:
    """A command of a call without a key: nobody can send it again."""
    return Command(token_hex(8), token_bytes(32))


@dataclass(frozen=True, slots=True)
class Call(Generic[B, Q]):
    """One call, read and authenticated."""

    http: web.Request
    body: B
    query: Q
    account: Account | None
    token: str = field(repr=False)
    command: Command = field(default_factory=new_command)

    @property
    def command_id(self) -> str:
        """By which a command is known again, so that it is done once."""
        return self.command.id

    @property
    def command_secret(self) -> bytes:
        """The same for the same command, and known to nobody else."""
        return self.command.secret

    @property
    def doer(self) -> Doer:
        """Whoever calls, for the audit record (R64); only routes that ask for a session may use it."""
        return doer_of(self.signed_in, self.address)

    @property
    def address(self) -> str:
        """Where it comes from."""
        return self.http.remote or ""

    @property
    def signed_in(self) -> Account:
        """Whoever calls; only routes that ask for a session may use it."""
        if self.account is None:
            raise Unauthenticated
        return self.account


Handler = Callable[[Call[Any, Any]], Awaitable[object]]
"""Answers with a value of the route's ``answer`` type, None for 204, or a response of its own."""


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the route table: all that serving and describing a call needs."""

    method: str
    path: str
    handler: Handler
    summary: str
    auth: Auth = Auth.NOTHING
    body: type | UnionType | None = None
    """What the body decodes to; ``bytes`` is handed over as it came."""
    query: type[msgspec.Struct] | None = None
    answer: type | None = None
    status: int = 200
    content_type: str = JSON
    """Of the body."""
    max_bytes: int = MAX_BODY_BYTES
    idempotent: bool = False
    """Whether ``Idempotency-Key`` is heeded: on every POST that creates something."""
    refusals: tuple[type[Exception], ...] = ()
    """What the handler itself may refuse; what ``auth``, ``body``, ``query`` and ``path`` may refuse goes without saying."""
    form: object = None
    """Of a ``bytes`` body: the type that describes it."""
    media_type: str = JSON
    """Of the answer."""
    others: tuple[tuple[int, type], ...] = ()
    """Answers of another status, and their types."""
    events: tuple[tuple[str, type], ...] = ()
    """Where the answer is a stream of server-sent events: their names, and the types of what they tell."""
    etag: bool = False
    """Whether the answer has an ``ETag``, so that ``If-None-Match`` may be answered with 304."""


ROUTES: Final = web.AppKey("routes", tuple[Route, ...])
"""The route table of an application, to generate documents from."""


async def read_body(request: web.Request, route: Route, *, timeout_s: float) -> object:
    """The body as the route wants it, if all of it comes in time (real seconds: this guards a socket).

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
                if len(chunks) > max_bytes:  # A compressed or chunked body may say nothing of its length.
                    raise web.HTTPRequestEntityTooLarge(max_bytes, len(chunks))
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except (web.RequestPayloadError, ConnectionError):
        raise InvalidInput(("body", "没有传完整")) from None
    return bytes(chunks)


def decode_json(raw: bytes, kind: type | UnionType) -> object:
    """A value of this type. Raises ``InvalidInput``."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise InvalidInput(_field_error(str(error), "body")) from None
    except RecursionError:
        raise InvalidInput(("body", "嵌套太深")) from None
    except (msgspec.DecodeError, UnicodeError):
        raise InvalidInput(("body", "不是完整的 JSON")) from None


def read_query(request: web.Request, kind: type[msgspec.Struct] | None) -> object:
    """The query as the route wants it; what it does not know is passed over. Raises ``InvalidInput``."""
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
    """msgspec's English sentence as (field, Chinese sentence); values are never repeated."""
    path = _PATH.search(text)
    field = path[1] if path else ""
    if missing := _MISSING.search(text):
        field = f"{field}.{missing[1]}" if field else missing[1]
    for pattern, message in _MESSAGES:
        if found := pattern.search(text):
            return field or whole, message.format(*found.groups())
    return field or whole, "格式不正确"
