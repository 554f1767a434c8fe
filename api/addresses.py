"""Reads addresses of the internet, and says which of them are one customer's."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import Final

IPV6_SITE_BITS: Final = 64
"""One customer has at least so large a network: within it an address costs nothing."""


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the network that one customer has of IPv6."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return parsed.exploded[: IPV6_SITE_BITS // 4 + IPV6_SITE_BITS // 16 - 1]
