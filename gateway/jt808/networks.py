"""The network of a caller, which counts as one address."""

from __future__ import annotations

from ipaddress import IPv6Address


def network_of(ip: str) -> str:
    """Return the IPv4 address, or the /64 that one customer has of IPv6."""
    if ":" not in ip:
        return ip
    parsed = IPv6Address(ip.partition("%")[0])
    return str(parsed.ipv4_mapped or parsed.exploded[:19])
