"""Who called, when proxies of ours stand in front? They say so in ``X-Forwarded-For``, and nobody else is believed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

Network = IPv4Network | IPv6Network
_IPV4_MAPPED: Final = "::ffff:"


def networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks (``10.0.0.0/8``), separated by commas. Raises ``ValueError``."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


@dataclass(frozen=True, slots=True)
class Proxies:
    """How many stand one behind the other, and where the last of them, which connects to us, may be."""

    count: int = 0
    networks: tuple[Network, ...] = field(default=())

    def has(self, peer: str) -> bool:
        """Whether who connects from here is one of ours."""
        if not self.count:
            return False
        try:
            address = ip_address(peer.removeprefix(_IPV4_MAPPED).partition("%")[0])
        except ValueError:
            return False
        return any(address in network for network in self.networks)

    def caller(self, peer: str, forwarded: Iterable[str]) -> str:
        """Each proxy appends whom it saw; what stands further left anybody may have written."""
        if not self.has(peer):
            return peer
        hops = ",".join(forwarded).split(",")
        try:
            return str(ip_address(hops[-self.count].strip()))
        except (IndexError, ValueError):
            return peer
