"""Holds every knob in one frozen value; the only reader of the environment."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from ipaddress import ip_address
from typing import Any, Final

from api.http.connections import ConnectionLimits
from api.http.gates import AttemptLimits
from api.http.proxies import networks
from api.live.event_stream import StreamLimits
from api.pages import tile_source
from gateway.ingest import IngestLimits
from gateway.jt808.limits import TerminalLimits

PREFIX: Final = "SHOUWANG_"
MAX_NUMBER: Final = 1e12
PLAIN_NAMES: Final = ("FEED_KEY", "OPS_KEY", "WECHAT_APPID", "WECHAT_SECRET", "WECHAT_API")
"""Secrets and what belongs to them: only ever given by environment, and under these names."""

MIN_KEY_CHARS: Final = 16
_KEY: Final = re.compile(f"[!-~]{{{MIN_KEY_CHARS},}}")
"""Of what a header carries unchanged."""
_PUBLIC_URL: Final = re.compile(r"https?://([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/[\w./~-]*)?", re.ASCII)


RESERVED_DESCRIPTORS: Final = 320
"""For the store, the log, and connections that are let in only to be told that there is no room."""
FEWEST_CONNECTIONS: Final = 80
HTTP_SHARE: Final = 4
"""Every fourth descriptor is for HTTP, where there are too few for all that the settings allow."""

ADDRESS_SHARE: Final = 4
"""One address takes at most every fourth place, where there are fewer than the settings allow."""

log = logging.getLogger(__name__)


class SettingsError(Exception):
    """An environment variable can't be read: says which, and what it should look like."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address to listen at; port 0 is chosen freely."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Settings:
    """Holds every knob; the limits of a part are the part's own. Defaults serve one machine.

    ``knobs`` names the environment variable of each.
    """

    http: str = "127.0.0.1:8080"
    jt808: str = "127.0.0.1:8808"
    store: str = "sqlite:data/shouwang.db"

    public_url: str = ""
    """The address of the service for people, in the links that they send; when empty, ``http://`` and ``http``."""

    terminals: TerminalLimits = field(default_factory=TerminalLimits)
    telemetry: IngestLimits = field(default_factory=IngestLimits)
    checkpoint_s: float = 30.0
    retention_days: float = 7.0
    """Days for which telemetry is kept."""
    passivate_after_s: float = 3600.0

    served_notes: str = "data"
    """The folder that notes which Redis stores were served from here, so that an emptied one is not taken for a new one."""

    drain_s: float = 10.0
    """Seconds that a stopping service waits for what is under way."""

    tiles_url: str = ""
    """The map tiles, with ``{z}``, ``{x}``, ``{y}`` and perhaps ``{1-4}``; when empty, the pages draw a map of their own."""
    tiles_attribution: str = ""
    """The map's owner, as its licence wants it said."""
    tiles_crs: str = "gcj02"
    """The coordinates that fit the tiles: ``gcj02`` or ``wgs84``."""

    attempts: AttemptLimits = field(default_factory=AttemptLimits)
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    streams: StreamLimits = field(default_factory=StreamLimits)

    proxies: int = 0
    """The number of our reverse proxies in front: callers' addresses come from their ``X-Forwarded-For`` then."""
    proxy_networks: str = "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"
    """The networks from which the last proxy connects; ``X-Forwarded-For`` of any other peer is not believed."""

    wechat_appid: str = ""
    """The app whose sign-ins WeChat vouches for; without it and the secret, the sandbox does."""
    wechat_secret: str = field(default="", repr=False)
    wechat_api: str = "https://api.weixin.qq.com"

    feed_key: str = field(default="", repr=False)
    ops_key: str = field(default="", repr=False)


_NESTED: Final[Mapping[str, Mapping[str, str]]] = {
    "terminals": {
        "max_connections": "max_connections",
        "max_connections_per_ip": "max_connections_per_ip",
        "max_unauthenticated_per_ip": "max_unauthenticated_per_ip",
        "idle_timeout_s": "idle_timeout_s",
        "handshake_timeout_s": "handshake_timeout_s",
    },
    "telemetry": {"linger_ms": "linger_ms", "waiting_fixes": "waiting_fixes"},
    "attempts": {f"wrong_{knob.name}": knob.name for knob in fields(AttemptLimits)},
    "connections": {
        "http_connections": "connections",
        "http_connections_per_address": "connections_of_address",
        "http_head_s": "head_s",
        "http_body_s": "body_s",
        "http_idle_s": "idle_s",
        "http_stalled_s": "stalled_s",
    },
    "streams": {"max_streams": "streams"},
}
"""Part → the name of each of its knobs outside → the field. A limit that is not named here is fixed."""


@dataclass(frozen=True, slots=True)
class Knob:
    """A value that the environment can give."""

    variable: str
    value: str | int | float
    part: str
    """The part of the settings that has the field; empty for the settings themselves."""
    field: str
    is_secret: bool = False


def knobs(settings: Settings) -> Iterator[Knob]:
    """Return every knob with its value, in the order of the settings."""
    for each in fields(Settings):
        value = getattr(settings, each.name)
        if each.name in _NESTED:
            for name, inner in _NESTED[each.name].items():
                yield Knob(variable_of(name), getattr(value, inner), each.name, inner)
        else:
            yield Knob(variable_of(each.name), value, "", each.name, is_secret=not each.repr)


def variable_of(name: str) -> str:
    """Return the environment variable of a knob's name outside."""
    return name.upper() if name.upper() in PLAIN_NAMES else PREFIX + name.upper()


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings as the environment has them. Raises ``SettingsError``."""
    environment = os.environ if environment is None else environment
    values: dict[str, dict[str, Any]] = {}
    for knob in knobs(Settings()):
        text = environment.get(knob.variable)
        if text is not None:
            values.setdefault(knob.part, {})[knob.field] = _parse(knob, text)
    chosen, plain = Settings(), values.pop("", {})
    parts = {part: replace(getattr(chosen, part), **changes) for part, changes in values.items()}
    settings = replace(chosen, **plain, **parts)
    _check(settings)
    return settings


def _check(settings: Settings) -> None:
    """Check what no single type says. Raises ``SettingsError``, before anything is opened."""
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
    try:
        networks(settings.proxy_networks)
    except ValueError as error:
        raise SettingsError(f"{PREFIX}PROXY_NETWORKS: {error}") from error
    try:
        tile_source(settings.tiles_url, attribution=settings.tiles_attribution, crs=settings.tiles_crs)
    except ValueError as error:
        raise SettingsError(f"{PREFIX}{error}") from error


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


def _parse(knob: Knob, text: str) -> str | int | float:
    if isinstance(knob.value, str):
        return text
    try:
        value = type(knob.value)(text)
    except ValueError:
        value = -1
    if not 0 <= value < MAX_NUMBER:
        raise SettingsError(f"{knob.variable}={text!r}: a number from 0 to {MAX_NUMBER:,.0f} is needed")
    return value


def address(text: str) -> Address:
    """Reads HOST:PORT (an IPv6 host in brackets). Raises ``SettingsError``."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"{text!r}: HOST:PORT is needed, for example 127.0.0.1:8080")
    return Address(host, int(port))


def fitted(settings: Settings, descriptors: int) -> Settings:
    """No more connections than there are descriptors, in all and by address: a server that can't accept can't even refuse.

    Raises ``SettingsError`` where there are too few to serve anybody.
    """
    room = descriptors - RESERVED_DESCRIPTORS
    if room < FEWEST_CONNECTIONS:
        raise SettingsError(
            f"this process may have {descriptors} open files and sockets, {RESERVED_DESCRIPTORS + FEWEST_CONNECTIONS} are "
            "needed at least: raise the limit, for example with `ulimit -n 65536` or systemd's LimitNOFILE="
        )
    if settings.terminals.max_connections + settings.connections.connections <= room:
        return settings
    http = min(settings.connections.connections, room // HTTP_SHARE)
    terminals_at_most = min(settings.terminals.max_connections, room - http)
    log.warning(
        "this process may have %d open files and sockets: it takes %d terminals and %d HTTP connections at most; "
        "a higher limit (ulimit -n, LimitNOFILE=) carries more",
        descriptors,
        terminals_at_most,
        http,
    )
    return replace(
        settings,
        terminals=replace(
            settings.terminals,
            max_connections=terminals_at_most,
            max_unauthenticated_per_ip=min(
                settings.terminals.max_unauthenticated_per_ip, terminals_at_most // ADDRESS_SHARE
            ),
        ),
        connections=replace(
            settings.connections,
            connections=http,
            connections_of_address=min(settings.connections.connections_of_address, http // ADDRESS_SHARE),
        ),
    )
