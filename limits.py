"""Turns the settings into what each part wants to be told."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

from api.http.connections import ConnectionLimits
from api.http.gates import AttemptLimits
from api.http.proxies import Proxies, networks
from api.pages import TileSource, tile_source
from gateway.jt808.limits import Limits
from settings import Settings, SettingsError

log = logging.getLogger(__name__)

RESERVED_DESCRIPTORS: Final = 320
"""For the store, the log, and connections that are let in only to be told that there is no room."""
FEWEST_CONNECTIONS: Final = 80
HTTP_SHARE: Final = 4
"""Every fourth descriptor is for HTTP, where there are too few for all that the settings allow."""

ADDRESS_SHARE: Final = 4
"""One address takes at most every fourth place, where there are fewer than the settings allow."""


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
    if settings.max_connections + settings.http_connections <= room:
        return settings
    http = min(settings.http_connections, room // HTTP_SHARE)
    terminals_at_most = min(settings.max_connections, room - http)
    log.warning(
        "this process may have %d open files and sockets: it takes %d terminals and %d HTTP connections at most; "
        "a higher limit (ulimit -n, LimitNOFILE=) carries more",
        descriptors,
        terminals_at_most,
        http,
    )
    return replace(
        settings,
        max_connections=terminals_at_most,
        max_unauthenticated_per_ip=min(settings.max_unauthenticated_per_ip, terminals_at_most // ADDRESS_SHARE),
        http_connections=http,
        http_connections_per_address=min(settings.http_connections_per_address, http // ADDRESS_SHARE),
    )


def terminals(settings: Settings) -> Limits:
    """Of the JT/T 808 gateway."""
    return Limits(
        max_connections=settings.max_connections,
        max_connections_per_ip=settings.max_connections_per_ip,
        max_unauthenticated_per_ip=settings.max_unauthenticated_per_ip,
        idle_timeout_s=settings.idle_timeout_s,
        handshake_timeout_s=settings.handshake_timeout_s,
    )


def connections(settings: Settings) -> ConnectionLimits:
    """Of HTTP."""
    return ConnectionLimits(
        connections=settings.http_connections,
        connections_of_address=settings.http_connections_per_address,
        head_s=settings.http_head_s,
        body_s=settings.http_body_s,
        idle_s=settings.http_idle_s,
        stalled_s=settings.http_stalled_s,
    )


def attempts(settings: Settings) -> AttemptLimits:
    """How often a caller may guess wrong (R61)."""
    return AttemptLimits(
        bind_data=settings.wrong_bind_data,
        bind_data_per_address=settings.wrong_bind_data_per_address,
        real_names=settings.wrong_real_names,
        real_names_per_address=settings.wrong_real_names_per_address,
        passwords_per_name=settings.wrong_passwords_per_name,
        passwords=settings.wrong_passwords,
        passwords_per_address=settings.wrong_passwords_per_address,
        codes_per_address=settings.wrong_codes_per_address,
        links_per_address=settings.wrong_links_per_address,
        keys_per_address=settings.wrong_keys_per_address,
    )


def proxies(settings: Settings) -> Proxies:
    """Whose word counts for where a caller is. Raises ``SettingsError``."""
    try:
        return Proxies(settings.proxies, networks(settings.proxy_networks))
    except ValueError as error:
        raise SettingsError(f"SHOUWANG_PROXY_NETWORKS: {error}") from error


def tiles(settings: Settings) -> TileSource | None:
    """Whose map the pages show. Raises ``SettingsError``."""
    try:
        return tile_source(settings.tiles_url, attribution=settings.tiles_attribution, crs=settings.tiles_crs)
    except ValueError as error:
        raise SettingsError(f"SHOUWANG_{error}") from error
