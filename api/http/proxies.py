"""Finds a call's real address behind our own proxies, the only peers whose ``X-Forwarded-For`` is believed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple, Protocol

from api.http.addresses import address_of

log = logging.getLogger(__name__)

Network = IPv4Network | IPv6Network

HEADER: Final = "X-Forwarded-For"
ALIKE: Final = (HEADER, "Forwarded", "X-Real-IP")
"""Headers in which proxies name the forwarded caller; only the first is ever believed."""


class Oddity(NamedTuple):
    """A doubt that a call's headers raise: its wording for the log, and in Chinese for ``/health``."""

    warning: str
    notice: str


ODDITIES: Final[Mapping[str, Oddity]] = {
    "unexpected": Oddity(
        "a call came with X-Forwarded-For or the like, and SHOUWANG_PROXIES is 0: if a proxy of yours wrote it, set "
        "that to the number of proxies in front; until then all its callers count as one address",
        "有请求带着 X-Forwarded-For 之类的标头，而 SHOUWANG_PROXIES 为 0：如果前面有反向代理，请设置它，否则所有人会被当作同一个地址。",
    ),
    "unknown_proxy": Oddity(
        "a call came with X-Forwarded-For or the like from outside SHOUWANG_PROXY_NETWORKS, and is not believed: if a "
        "proxy of yours wrote it, add its network there; until then all its callers count as one address",
        "有请求从 SHOUWANG_PROXY_NETWORKS 以外带着 X-Forwarded-For 之类的标头，未予采信：如果那是自己的反向代理，请把它的网段加进去。",
    ),
    "missing": Oddity(
        "a call came from within SHOUWANG_PROXY_NETWORKS without X-Forwarded-For: it counts as the proxy's own, which "
        "is right for a monitor; if a proxy forwarded it, let the proxy set that header",
        "反向代理所在的网段来过没有 X-Forwarded-For 的请求：如果不是监控程序，请让反向代理写上这个标头。",
    ),
    "unreadable": Oddity(
        "an X-Forwarded-For from within SHOUWANG_PROXY_NETWORKS has no address where the outermost of SHOUWANG_PROXIES "
        "proxies should have written one: such calls count as the proxy's own",
        "反向代理写的 X-Forwarded-For 中读不出地址：请检查 SHOUWANG_PROXIES 的层数和代理的设置。",
    ),
}


def networks(text: str) -> tuple[Network, ...]:
    """Parse addresses and networks (``10.0.0.0/8``), separated by commas. Raises ``ValueError``."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


@dataclass(frozen=True, slots=True)
class Proxies:
    """The number of proxies in a row, and the networks of the last one, which connects to us."""

    count: int = 0
    networks: tuple[Network, ...] = field(default=())

    def has(self, peer: str) -> bool:
        """Tell whether this peer of a connection is a proxy of ours."""
        address = address_of(peer) if self.count else None
        return address is not None and any(ip_address(address) in network for network in self.networks)


class Headers(Protocol):
    """The headers of a call; names are case-insensitive."""

    def __contains__(self, name: object) -> bool: ...

    def getall(self, key: str, default: tuple[()]) -> Iterable[str]: ...


class Callers:
    """Determines each call's address, and counts oddities of the headers that should name it."""

    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies
        self.oddities: Counter[str] = Counter()
        """Calls by oddity; the first of each is logged."""

    def address(self, peer: str, headers: Headers) -> str:
        """Return the address that a call comes from.

        Each proxy appends the address that it saw. Entries further left may be forged.
        """
        if not self._proxies.has(peer):
            if any(name in headers for name in ALIKE):
                self._note("unknown_proxy" if self._proxies.count else "unexpected")
            return peer
        hops = ",".join(headers.getall(HEADER, ())).split(",")
        if hops == [""]:
            self._note("missing")
            return peer
        address = address_of(hops[-self._proxies.count]) if len(hops) >= self._proxies.count else None
        if address is None:
            self._note("unreadable")
            return peer
        return address

    def _note(self, oddity: str) -> None:
        self.oddities[oddity] += 1
        if self.oddities[oddity] == 1:
            log.warning("%s", ODDITIES[oddity].warning)
