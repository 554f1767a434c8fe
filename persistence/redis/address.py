"""The address of a Redis, and connections to it; its password is never printed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

DEFAULT_PORT: Final = 6379
DEFAULT_PREFIX: Final = "shouwang"
NO_AOF: Final = "no-aof"
CLIENT_NAME: Final = "shouwang"
SENTINEL_PORT: Final = 26379
SHAPE: Final = (
    "redis://[USER:PASSWORD@]HOST[:PORT][/DB][?prefix=NAME], or rediss:// for TLS (&ca=, &cert=, &key= FILE), or "
    "redis+sentinel://[USER:PASSWORD@]HOST[:PORT],HOST[:PORT],.../MASTER[/DB]"
)

_SENTINEL: Final = ("redis+sentinel", "rediss+sentinel")
SCHEMES: Final = ("redis", "rediss", *_SENTINEL)
_PREFIX: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MASTER: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_REPLICAS: Final = re.compile(r"[0-9]")
_PARAMETERS: Final = {"prefix", "allow", "ca", "cert", "key", "replicas"}


class Place(NamedTuple):
    """A host and port where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A database of a Redis, and the prefix of all our keys there."""

    places: tuple[Place, ...]
    """The Redis itself; with a ``master``, the Sentinels that know where it is."""
    master: str = ""
    replicas: int = 0
    """Replicas that must have a write, besides the primary, before it is acknowledged."""
    database: int = 0
    prefix: str = DEFAULT_PREFIX
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    allows_no_aof: bool = False
    """The operator has said that acknowledged writes may be lost with the Redis process."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL of the ``SHAPE``. Raises ``ValueError``, whose text never holds the password."""
        try:
            parts = urlsplit(text)
            pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
            where = _sentinels(parts) if parts.scheme in _SENTINEL else _redis(parts)
        except ValueError:
            raise _not_an_address() from None  # the parser's own text may quote a part of the password
        if parts.scheme not in SCHEMES or parts.fragment:
            raise _not_an_address()
        replicas = "1" if parts.scheme in _SENTINEL else "0"
        return cls(**where, **_credentials(parts), **_options({"replicas": replicas} | dict(pairs)))

    @property
    def name(self) -> str:
        """Return the address as it may be printed."""
        scheme = ("rediss" if self.tls else "redis") + ("+sentinel" if self.master else "")
        path = f"{self.master}/{self.database}" if self.master else str(self.database)
        prefix = "" if self.prefix == DEFAULT_PREFIX else f"?prefix={self.prefix}"
        return f"{scheme}://{','.join(map(str, self.places))}/{path}{prefix}"

    def connection(self, place: Place) -> Connection:
        """Return a connection that connects on first use, waits without limit (its user has one) and never repeats by
        itself.
        """
        return self._connection(place, db=self.database, username=self.username, password=self.password)

    def connection_to_sentinel(self, place: Place, *, signed_in: bool) -> Connection:
        """Return the same to a Sentinel, ``signed_in`` with the Redis' own user and password."""
        who = {"username": self.username, "password": self.password} if signed_in else {}
        return self._connection(place, **who)

    def _connection(self, place: Place, **who: Any) -> Connection:
        kind, options = (SSLConnection, self._tls_options()) if self.tls else (Connection, {})
        return kind(
            host=place.host,
            port=place.port,
            client_name=CLIENT_NAME,
            protocol=2,  # no push messages between the answers
            socket_timeout=None,
            socket_connect_timeout=None,
            retry=Retry(NoBackoff(), 0),
            **who,
            **options,
        )

    def _tls_options(self) -> dict[str, Any]:
        return {"ssl_ca_certs": self.ca_file, "ssl_certfile": self.cert_file, "ssl_keyfile": self.key_file}


def _redis(parts: SplitResult) -> dict[str, Any]:
    (place,) = _places(parts, DEFAULT_PORT)
    return {"places": (place,), "database": _database(parts.path.strip("/"))}


def _sentinels(parts: SplitResult) -> dict[str, Any]:
    master, _, database = parts.path.strip("/").partition("/")
    if not _MASTER.fullmatch(master):
        raise ValueError
    return {"places": _places(parts, SENTINEL_PORT), "master": master, "database": _database(database)}


def _places(parts: SplitResult, default_port: int) -> tuple[Place, ...]:
    hosts = [urlsplit(f"//{text}") for text in parts.netloc.rpartition("@")[2].split(",")]
    if not all(host.hostname for host in hosts):
        raise ValueError
    return tuple(Place(host.hostname or "", host.port or default_port) for host in hosts)


def _database(text: str) -> int:
    number = int(text or 0)
    if number < 0:
        raise ValueError
    return number


def _credentials(parts: SplitResult) -> dict[str, Any]:
    return {
        "tls": parts.scheme.startswith("rediss"),
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
    }


def _options(given: dict[str, str]) -> dict[str, Any]:
    if unknown := sorted(given.keys() - _PARAMETERS):
        raise ValueError(f"{', '.join(unknown)}: a Redis store's URL has no such parameter; {SHAPE}")
    if given.get("allow", NO_AOF) != NO_AOF:
        raise ValueError(f"allow={NO_AOF} is all that can be allowed")
    prefix = given.get("prefix", DEFAULT_PREFIX)
    if not _PREFIX.fullmatch(prefix):
        raise ValueError("prefix: up to 64 letters, digits, dots, dashes and underscores are needed")
    if not _REPLICAS.fullmatch(given["replicas"]):
        raise ValueError("replicas: a number from 0 to 9 is needed")
    return {
        "prefix": prefix,
        "replicas": int(given["replicas"]),
        "allows_no_aof": "allow" in given,
        "ca_file": given.get("ca"),
        "cert_file": given.get("cert"),
        "key_file": given.get("key"),
    }


def _not_an_address() -> ValueError:
    return ValueError(f"{SHAPE} is needed; write special characters of a password as %XX")
