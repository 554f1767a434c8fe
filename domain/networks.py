"""The network that counts as one caller, wherever callers are counted by address (R61)."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Final

IPV6_SITE_BITS: Final = 64
"""A customer has a network of at least this size: within it an address costs nothing."""
_SITE_CHARS: Final = IPV6_SITE_BITS // 4 + IPV6_SITE_BITS // 16 - 1


def network_of(address: str) -> str:
    """An IPv4 address, also one within IPv6, or the /64 that a customer has of IPv6; any other text unchanged."""
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(parsed.ipv4_mapped or parsed.exploded[:_SITE_CHARS])
