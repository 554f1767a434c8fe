"""Holds every knob in one frozen value; the only reader of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from typing import Final

PREFIX: Final = "SHOUWANG_"
MAX_NUMBER: Final = 1e12
PLAIN_NAMES: Final = ("FEED_KEY", "OPS_KEY", "WECHAT_APPID", "WECHAT_SECRET", "WECHAT_API")
"""Secrets and what belongs to them: only ever given by environment, and under these names."""

MIN_KEY_CHARS: Final = 16
_KEY: Final = re.compile(f"[!-~]{{{MIN_KEY_CHARS},}}")
"""Of what a header carries unchanged."""
_PUBLIC_URL: Final = re.compile(r"https?://([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/[\w./~-]*)?", re.ASCII)


class SettingsError(Exception):
    """An environment variable can't be read: says which, and what it should look like."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 is chosen freely."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Settings:
    """Defaults serve one machine; every name is also an environment variable ``SHOUWANG_<NAME>``."""

    http: str = "127.0.0.1:8080"
    jt808: str = "127.0.0.1:8808"
    store: str = "sqlite:data/shouwang.db"

    public_url: str = ""
    """Where people reach the service, for the links that they send; without it, ``http://`` and ``http``."""

    max_connections: int = 100_000
    max_connections_per_ip: int = 100_000
    """Terminals of one operator share addresses (carrier NAT), so the default does not limit; set it where it fits."""
    max_unauthenticated_per_ip: int = 1_000
    """Connections of one address that have not authenticated yet. Further ones wait in line."""
    idle_timeout_s: float = 600.0
    """Three of the longest usual heartbeats: a silent connection is dead then."""
    handshake_timeout_s: float = 30.0

    linger_ms: float = 5.0
    """How long the first fix of a group commit waits for company."""
    waiting_fixes: int = 100_000
    """Fixes on their way to the vehicles; above, sockets stop reading and the feed answers 503."""
    checkpoint_s: float = 30.0
    retention_days: float = 7.0
    """How long telemetry is kept."""
    passivate_after_s: float = 3600.0

    served_notes: str = "data"
    """The folder that notes which Redis stores were served from here, so that an emptied one is not taken for a new one."""

    drain_s: float = 10.0
    """How long a stopping service waits for what is under way."""

    max_streams: int = 20_000
    """Live streams in all; above, the next is told to come again (503)."""

    tiles_url: str = ""
    """Of map tiles, with ``{z}``, ``{x}``, ``{y}`` and perhaps ``{1-4}``; without it the pages draw a map of their own."""
    tiles_attribution: str = ""
    """Whose map it is, as its licence wants it said."""
    tiles_crs: str = "gcj02"
    """``gcj02`` or ``wgs84``: which coordinates fit the tiles."""

    wrong_bind_data: int = 10
    """Wrong vehicle papers of an account in an hour (R61); beyond any of these limits, 429 for this kind of attempt only."""
    wrong_bind_data_per_address: int = 120
    """In an hour; many people may stand behind one address."""
    wrong_real_names: int = 10
    """Wrong real names of an account in an hour."""
    wrong_real_names_per_address: int = 60
    """In an hour."""
    wrong_passwords: int = 10
    """Of a user name at an address in 15 minutes."""
    wrong_passwords_per_address: int = 60
    """In 15 minutes."""
    wrong_passwords_per_name: int = 200
    """Of a user name over all addresses in an hour; an address where it signed in within 30 days is never refused."""
    wrong_codes_per_address: int = 60
    """Refused WeChat and phone codes in 15 minutes."""
    wrong_links_per_address: int = 60
    """Unknown link tokens in 15 minutes; a right one is never refused."""
    wrong_keys_per_address: int = 60
    """Wrong feed keys, and as many wrong operators' keys, in 15 minutes."""

    proxies: int = 0
    """How many reverse proxies of ours stand in front: callers' addresses come from their ``X-Forwarded-For`` then."""
    proxy_networks: str = "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"
    """From where the last of them connects to us: ``X-Forwarded-For`` of anybody else is not believed."""

    http_connections: int = 30_000
    """HTTP connections in all, live streams included; above, 503 and hung up on."""
    http_connections_per_address: int = 2_000
    """The same of one address (an IPv6 customer is one); many phones may stand behind one. Not counted for proxies of ours."""
    http_head_s: float = 20.0
    """So long may the head of a connection's first request take."""
    http_body_s: float = 30.0
    """So long may a request's body take."""
    http_idle_s: float = 75.0
    """After an answer, so long until the next head is there: longer than proxies keep their connections."""
    http_stalled_s: float = 60.0
    """A client that takes nothing of its answer for so long is cut."""

    wechat_appid: str = ""
    """With it and the secret, WeChat says who people are; without both, the sandbox does."""
    wechat_secret: str = field(default="", repr=False)
    wechat_api: str = "https://api.weixin.qq.com"

    feed_key: str = field(default="", repr=False)
    ops_key: str = field(default="", repr=False)


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings as the environment has them. Raises ``SettingsError``."""
    environment = os.environ if environment is None else environment
    values: dict[str, object] = {}
    for knob in fields(Settings):
        name = knob.name.upper()
        text = environment.get(name if name in PLAIN_NAMES else PREFIX + name)
        if text is not None:
            values[knob.name] = _parse(knob.name, text)
    settings = Settings(**values)  # type: ignore[arg-type]  # _parse gives each its field's type
    _check(settings)
    return settings


def _check(settings: Settings) -> None:
    """What no single type says. Raises ``SettingsError``, before anything is opened."""
    if settings.public_url and not _PUBLIC_URL.fullmatch(settings.public_url):
        raise SettingsError(
            f"{PREFIX}PUBLIC_URL={settings.public_url!r}: an address that links can begin with is needed, "
            "for example https://shouwang.example.cn"
        )
    for name, key in (("FEED_KEY", settings.feed_key), ("OPS_KEY", settings.ops_key)):
        if key and not _KEY.fullmatch(key):
            raise SettingsError(
                f"{name}: at least {MIN_KEY_CHARS} characters are needed, of ASCII and without blanks; "
                "`openssl rand -hex 16` makes a good one"
            )
    if bool(settings.wechat_appid) != bool(settings.wechat_secret):
        raise SettingsError("WECHAT_APPID and WECHAT_SECRET are needed both, or neither for the sandbox")


def check_sandbox(settings: Settings, *, is_meant: bool) -> None:
    """Refuse to let anybody on other machines sign in as anybody, unless that is meant. Raises ``SettingsError``."""
    if not (settings.wechat_appid or is_meant or _is_loopback(address(settings.http).host)):
        raise SettingsError(
            f"--http {settings.http} can be reached from other machines, where the sandbox lets anybody sign in as anybody: "
            "set WECHAT_APPID and WECHAT_SECRET, or listen on 127.0.0.1, or say --sandbox (SHOUWANG_SANDBOX=1) if that is meant"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def environment_of_process() -> dict[str, str]:
    """A copy to start another process with."""
    return dict(os.environ)


def _parse(name: str, text: str) -> object:
    default = getattr(Settings(), name)
    if isinstance(default, str):
        return text
    try:
        value = type(default)(text)
    except ValueError:
        value = -1
    if not 0 <= value < MAX_NUMBER:
        raise SettingsError(f"{PREFIX}{name.upper()}={text!r}: a number from 0 to {MAX_NUMBER:,.0f} is needed")
    return value


def address(text: str) -> Address:
    """Reads HOST:PORT (an IPv6 host in brackets). Raises ``SettingsError``."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"{text!r}: HOST:PORT is needed, for example 127.0.0.1:8080")
    return Address(host, int(port))
