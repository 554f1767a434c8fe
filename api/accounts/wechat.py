"""The WeChat identity provider: redeems codes over WeChat's documented HTTP interface.

Three calls: ``sns/jscode2session`` (code → openid), ``cgi-bin/stable_token`` (the access token, kept until shortly
before it expires) and ``wxa/business/getuserphonenumber`` (code → phone). All waits use real time, as they guard
sockets. Only WeChat's error numbers are logged, never codes, tokens, keys or addresses that contain them (R62).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, Final, NoReturn, TypeVar

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector
from msgspec import UNSET, UnsetType

from api.accounts.identity import SANDBOX_PREFIX, WechatUser
from domain.errors import CodeRefused, InvalidInput, ProviderUnavailable
from domain.identifiers import InvalidIdentifier, parse_mobile_phone

log = logging.getLogger(__name__)

T = TypeVar("T")

TIMEOUT_S: Final = 5.0
MAX_CALLS: Final = 20
"""Concurrent connections. A call that waits longer than ``TIMEOUT_S`` for one is refused with a time to retry."""
MAX_ANSWER_BYTES: Final = 64 * 1024
RENEW_BEFORE_S: Final = 300.0
"""WeChat issues the next token five minutes before the old one ends; meanwhile both are valid."""
MAX_OPENID_CHARS: Final = 128

REFUSED_CODES: Final = frozenset({40029, 40163, 40226, 41008})
"""Invalid, used before, blocked as a risk, missing."""
STALE_TOKEN: Final = frozenset({40001, 40014, 41001, 42001})
"""The access token is invalid or expired."""
RETRY_AFTER_S: Final[Mapping[int, float]] = {-1: 2.0, 45011: 60.0, 45009: 3600.0}
"""Busy; too often in this minute; too often today. Any other number is a fault for an operator to examine."""
FAULT_RETRY_AFTER_S: Final = 10.0


class Answer(msgspec.Struct):
    """The fields that every answer of WeChat may carry."""

    errcode: int = 0


class SessionAnswer(Answer):
    """The answer with the openid. Its session key is not read."""

    openid: str = ""


class TokenAnswer(Answer):
    """The answer with the access token; ``expires_in`` counts seconds."""

    access_token: str = ""
    expires_in: float = 0.0


class PhoneInfo(msgspec.Struct):
    """The phone without and with its country code. WeChat documents that code as text and sends a number."""

    pure_phone_number: str = msgspec.field(name="purePhoneNumber")
    country_code: str | int = msgspec.field(name="countryCode")


class PhoneAnswer(Answer):
    """The answer with the phone; ``phone_info`` is missing where ``errcode`` is not 0."""

    phone_info: PhoneInfo | UnsetType = UNSET


class WeChat:
    """An ``IdentityProvider`` over WeChat's servers, or over a test server that behaves alike."""

    name: Final = "wechat"
    notice: Final = "微信身份：登录与手机号由微信核验，实名信息以导入的登记数据为准。"

    def __init__(
        self, appid: str, secret: str, *, api: str, timeout_s: float = TIMEOUT_S, now: Callable[[], float] = monotonic
    ) -> None:
        """``api`` is the address of WeChat's servers; ``now`` returns real seconds."""
        self._appid = appid
        self._secret = secret
        self._api = api.rstrip("/")
        self._timeout = ClientTimeout(total=timeout_s)
        self._now = now
        self._client: ClientSession | None = None
        self._token = ""
        self._token_until = float("-inf")
        self._renewing = asyncio.Lock()

    async def wechat_user(self, code: str) -> WechatUser:
        """Return the user with the openid behind a code of ``wx.login``."""
        _refuse_sandbox(code)
        asked = {"appid": self._appid, "secret": self._secret, "js_code": code, "grant_type": "authorization_code"}
        answer = await self._call("GET", "/sns/jscode2session", SessionAnswer, params=asked)
        if answer.errcode:
            _refuse(answer.errcode)
        if not 0 < len(answer.openid) <= MAX_OPENID_CHARS:
            raise _fault("jscode2session without an openid")
        return WechatUser(answer.openid)

    async def phone(self, code: str) -> str:
        """Return the phone behind a code of ``getPhoneNumber``.

        Raises ``InvalidInput`` for another country's number.
        """
        _refuse_sandbox(code)
        token = await self._access_token()
        answer = await self._ask_phone(code, token)
        if answer.errcode in STALE_TOKEN:
            answer = await self._ask_phone(code, await self._access_token(refused=token))
        if answer.errcode:
            _refuse(answer.errcode)
        return _mainland(answer.phone_info)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    # -- calls -------------------------------------------------------------------------------------------------------

    async def _ask_phone(self, code: str, token: str) -> PhoneAnswer:
        path = "/wxa/business/getuserphonenumber"
        return await self._call("POST", path, PhoneAnswer, params={"access_token": token}, json={"code": code})

    async def _access_token(self, *, refused: str = "") -> str:
        """Return a token that is valid as far as known. Concurrent callers share one request."""
        async with self._renewing:
            if self._token == refused or self._now() >= self._token_until:
                await self._renew(refused)
            return self._token

    async def _renew(self, refused: str) -> None:
        began = self._now()
        answer = await self._ask_token(force=False)
        if answer.access_token == refused:  # WeChat returns this token as valid, yet refuses it
            answer = await self._ask_token(force=True)
        self._token = answer.access_token
        self._token_until = began + max(answer.expires_in - RENEW_BEFORE_S, answer.expires_in / 2)

    async def _ask_token(self, *, force: bool) -> TokenAnswer:
        asked = {
            "grant_type": "client_credential",
            "appid": self._appid,
            "secret": self._secret,
            "force_refresh": force,
        }
        answer = await self._call("POST", "/cgi-bin/stable_token", TokenAnswer, json=asked)
        if answer.errcode or not answer.access_token:
            raise _unavailable(answer.errcode)
        return answer

    async def _call(self, method: str, path: str, kind: type[T], **asked: Any) -> T:
        try:
            async with self._open().request(method, self._api + path, allow_redirects=False, **asked) as response:
                raw = await response.content.read(MAX_ANSWER_BYTES)
                while raw and len(raw) < MAX_ANSWER_BYTES and (more := await response.content.read(MAX_ANSWER_BYTES)):
                    raw += more
        except (ClientError, TimeoutError, OSError) as error:
            raise _fault(f"{path}: {type(error).__name__}") from None  # the error's own text may contain the address
        if response.status != 200:
            raise _fault(f"{path}: status {response.status}")
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise _fault(f"{path}: an answer that nobody understands") from None

    def _open(self) -> ClientSession:
        if self._client is None:
            self._client = ClientSession(timeout=self._timeout, connector=TCPConnector(limit=MAX_CALLS))
        return self._client


def _refuse_sandbox(code: str) -> None:
    if code.startswith(SANDBOX_PREFIX):
        raise CodeRefused


def _refuse(errcode: int) -> NoReturn:
    if errcode in REFUSED_CODES:
        raise CodeRefused
    raise _unavailable(errcode)


def _unavailable(errcode: int) -> ProviderUnavailable:
    if errcode not in RETRY_AFTER_S:
        return _fault(f"error {errcode}")
    log.warning("WeChat is busy: error %d", errcode)
    return ProviderUnavailable(retry_after_s=RETRY_AFTER_S[errcode])


def _fault(what: str) -> ProviderUnavailable:
    log.error("WeChat does not serve us: %s", what)
    return ProviderUnavailable(retry_after_s=FAULT_RETRY_AFTER_S)


def _mainland(info: PhoneInfo | UnsetType) -> str:
    if info is UNSET:
        raise _fault("getuserphonenumber without a phone")
    try:
        if str(info.country_code) != "86":
            raise InvalidIdentifier("只支持中国大陆手机号")
        return parse_mobile_phone(info.pure_phone_number)
    except InvalidIdentifier as error:
        raise InvalidInput(("phone_code", str(error))) from None
