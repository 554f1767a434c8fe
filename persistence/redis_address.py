"""Which Redis is meant, and how is it spoken to without its password ever being printed?"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

DEFAULT_PORT: Final = 6379
DEFAULT_PREFIX: Final = "shouwang"
NO_AOF: Final = "no-aof"
CLIENT_NAME: Final = "shouwang"
SHAPE: Final = "redis://[USER:PASSWORD@]HOST[:PORT][/DB][?prefix=NAME], or rediss:// for TLS (&ca=, &cert=, &key= FILE)"

_SCHEMES: Final = ("redis", "rediss")
_PREFIX: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PARAMETERS: Final = {"prefix", "allow", "ca", "cert", "key"}


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """One database of one Redis, and the prefix below which all keys of ours stand."""

    host: str
    port: int = DEFAULT_PORT
    database: int = 0
    prefix: str = DEFAULT_PREFIX
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    allows_no_aof: bool = False
    """Somebody has said that what is acknowledged may be lost with the Redis process."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a URL of the ``SHAPE``. Raises ``ValueError``, whose text never holds the password."""
        try:
            parts = urlsplit(text)
            port = parts.port or DEFAULT_PORT
            database = int(parts.path.strip("/") or 0)
            pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        except ValueError:
            raise _not_an_address() from None  # the parser's own text may quote a part of the password
        if parts.scheme not in _SCHEMES or not parts.hostname or database < 0 or parts.fragment:
            raise _not_an_address()
        return cls(host=parts.hostname, port=port, database=database, **_credentials(parts), **_options(pairs))

    @property
    def name(self) -> str:
        """What may be printed."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "rediss" if self.tls else "redis"
        prefix = "" if self.prefix == DEFAULT_PREFIX else f"?prefix={self.prefix}"
        return f"{scheme}://{host}:{self.port}/{self.database}{prefix}"

    def connection(self) -> Connection:
        """A connection that connects on first use, waits without limit (its user has one) and never repeats by itself."""
        kind, options = (SSLConnection, self._tls_options()) if self.tls else (Connection, {})
        return kind(
            host=self.host,
            port=self.port,
            db=self.database,
            username=self.username,
            password=self.password,
            client_name=CLIENT_NAME,
            protocol=2,  # no push messages between the answers
            socket_timeout=None,
            socket_connect_timeout=None,
            retry=Retry(NoBackoff(), 0),
            **options,
        )

    def _tls_options(self) -> dict[str, Any]:
        return {"ssl_ca_certs": self.ca_file, "ssl_certfile": self.cert_file, "ssl_keyfile": self.key_file}


def _credentials(parts: SplitResult) -> dict[str, Any]:
    return {
        "tls": parts.scheme == "rediss",
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
    }


def _options(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    given = dict(pairs)
    if unknown := sorted(given.keys() - _PARAMETERS):
        raise ValueError(f"{', '.join(unknown)}: a Redis store's URL has no such parameter; {SHAPE}")
    if given.get("allow", NO_AOF) != NO_AOF:
        raise ValueError(f"allow={NO_AOF} is all that can be allowed")
    prefix = given.get("prefix", DEFAULT_PREFIX)
    if not _PREFIX.fullmatch(prefix):
        raise ValueError("prefix: up to 64 letters, digits, dots, dashes and underscores are needed")
    return {
        "prefix": prefix,
        "allows_no_aof": "allow" in given,
        "ca_file": given.get("ca"),
        "cert_file": given.get("cert"),
        "key_file": given.get("key"),
    }


def _not_an_address() -> ValueError:
    return ValueError(f"{SHAPE} is needed; write special characters of a password as %XX")
