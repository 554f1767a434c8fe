"""Gives a repeated request its first answer again, whole (``Idempotency-Key``).

The key belongs to the account, or before sign-in to the address. Only successes (2xx) are kept: after a refusal a
client may correct the cause and send the same again. An answer is kept for 24 hours, sealed under the key that was
presented. The store alone therefore reveals nothing of it, link tokens included. The seal is as strong as the key is
hard to guess, so clients should make keys at random.

A crash may come after a command is committed and before its answer is kept. A command's id, and the secret that link
tokens are made of, therefore derive from the key and the request. A repeat is the same command, which its actor
recognises. A result of more than 24 hours ago no longer answers the call: the call is a new one and gets the next id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from secrets import token_bytes
from typing import Final

import msgspec
from aiohttp import web
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from actors.people.documents import KEY_LIFETIME_S
from api.http.calls import Command
from api.http.keyed import Keyed
from domain.errors import IdempotencyKeyReused, InvalidInput, KeyForgotten
from persistence.records import decode, encode
from persistence.store import Delete, IndexEntry, Put, Store, StoreError, StoreFormatError

log = logging.getLogger(__name__)

HEADER: Final = "Idempotency-Key"
KIND: Final = "idempotency"
BY_EXPIRY: Final = "expiry"
MAX_KEY_CHARS: Final = 255
MAX_NEW_CALLS: Final = 50
"""Number of times that a client may use one key for the same call anew, each over 24 hours after the last."""
PURGED_AT_ONCE: Final = 20
SALT_BYTES: Final = 16
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
COMMAND_ID_BYTES: Final = 8

Work = Callable[[Command], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of a call that make it the same call."""

    scopes: Sequence[str]
    """The owners of the key: the first counts now, the others counted before."""
    method: str
    path: str
    body: object
    """The decoded body: blanks and the order of fields make no difference."""

    @property
    def fingerprint(self) -> bytes:
        text = "\n".join((self.method, self.path)).encode("utf-8", "surrogatepass")
        return blake2b(text + b"\n" + msgspec.json.encode(self.body), digest_size=32).digest()


@dataclass(frozen=True, slots=True)
class Sealed:
    """An answer as stored until ``expires_at`` (Unix seconds)."""

    salt: bytes
    nonce: bytes
    ciphertext: bytes
    expires_at: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The first answer, and the fingerprint of its request."""

    fingerprint: bytes
    status: int
    content_type: str
    charset: str | None
    body: bytes


@dataclass(slots=True)
class _Turn:
    """Serialises the calls with one key."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    calls: int = 0


class Idempotency:
    """Answers repeats; every method may raise ``StoreUnavailable``."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._keyed = Keyed(store, "idempotency")
        self._turns: dict[str, _Turn] = {}
        """Turns by document key, at most one per call in progress."""

    async def answer(self, request: Request, key: str, work: Work) -> web.StreamResponse:
        """Return the first answer, or that of ``work``.

        Raises ``InvalidInput`` for a malformed key, or ``IdempotencyKeyReused``.
        """
        if not 1 <= len(key) <= MAX_KEY_CHARS or not all("!" <= char <= "~" for char in key):
            raise InvalidInput((HEADER, f"应为 1 到 {MAX_KEY_CHARS} 个可见的 ASCII 字符"))
        documents = [await self._keyed.of(scope, key) for scope in request.scopes]
        async with self._turn(documents[0]):
            known = await self._known(documents, key)
            if known is not None:
                return _again(known, request)
            response = await self._newly(request, key, work)
            if isinstance(response, web.Response) and 200 <= response.status < 300:
                await self._keep(documents[0], key, request, response)
            return response

    async def _newly(self, request: Request, key: str, work: Work) -> web.StreamResponse:
        """Return the answer of the first command that is not too old."""
        for age in range(MAX_NEW_CALLS):
            with suppress(KeyForgotten):
                return await work(await self._command(request, key, age))
        raise KeyForgotten

    @asynccontextmanager
    async def _turn(self, document: str) -> AsyncIterator[None]:
        turn = self._turns.setdefault(document, _Turn())
        turn.calls += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.calls -= 1
            if not turn.calls:
                del self._turns[document]

    async def _command(self, request: Request, key: str, age: int) -> Command:
        """Derive the command; ``age`` counts this call's earlier commands that are too old."""
        material = await self._keyed.secret()
        facts = request.scopes[0].encode() + b"\n" + key.encode() + b"\n" + request.fingerprint + b"\n%d" % age
        made = _derived(material, salt=b"", purpose=b"command" + facts, length=COMMAND_ID_BYTES + KEY_BYTES)
        return Command(made[:COMMAND_ID_BYTES].hex(), made[COMMAND_ID_BYTES:])

    async def _known(self, documents: list[str], key: str) -> Answer | None:
        found = await self._store.get(KIND, documents)
        for document in documents:
            if document in found:
                sealed = decode(found[document].record, Sealed)
                if sealed.expires_at > self._now():
                    return _opened(sealed, document, key)
        return None

    async def _keep(self, document: str, key: str, request: Request, response: web.Response) -> None:
        body = response.body
        assert body is None or isinstance(body, bytes | bytearray)  # answers of ours are never streamed from elsewhere
        answer = Answer(
            request.fingerprint, response.status, response.content_type, response.charset, bytes(body or b"")
        )
        now = self._now()
        sealed = _sealed(answer, document, key, expires_at=now + KEY_LIFETIME_S)
        entry = IndexEntry(BY_EXPIRY, "", f"{sealed.expires_at:017.6f}")
        try:
            page = await self._store.find(KIND, BY_EXPIRY, "", limit=PURGED_AT_ONCE)
            old = [found.key for found in page.documents if decode(found.record, Sealed).expires_at <= now]
            purge = [Delete(KIND, each) for each in old if each != document]
            await self._store.commit([*purge, Put(KIND, document, encode(sealed), (entry,))])
        except StoreError as error:  # The command stands, so its answer is given; a repeat is the same command.
            log.warning("an answer is not kept for repeats: %s", error)


def _again(known: Answer, request: Request) -> web.Response:
    if known.fingerprint != request.fingerprint:
        raise IdempotencyKeyReused
    return web.Response(
        body=known.body or None, status=known.status, content_type=known.content_type, charset=known.charset
    )


def _sealed(answer: Answer, document: str, key: str, *, expires_at: float) -> Sealed:
    salt, nonce = token_bytes(SALT_BYTES), token_bytes(NONCE_BYTES)
    ciphertext = _cipher(key, salt).encrypt(nonce, encode(answer), document.encode())
    return Sealed(salt, nonce, ciphertext, expires_at)


def _opened(sealed: Sealed, document: str, key: str) -> Answer:
    try:
        record = _cipher(key, sealed.salt).decrypt(sealed.nonce, sealed.ciphertext, document.encode())
    except InvalidTag as error:
        raise StoreFormatError("a kept answer does not open with its own key") from error
    return decode(record, Answer)


def _cipher(key: str, salt: bytes) -> AESGCM:
    return AESGCM(_derived(key.encode(), salt=salt, purpose=b"kept answer", length=KEY_BYTES))


def _derived(material: bytes, *, salt: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt or None, info=purpose).derive(material)
