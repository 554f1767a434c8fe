"""Reads the addresses that proxies write into their headers."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import Final

_QUOTED: Final = re.compile(r'"([^"]*)"')
_BRACKETED: Final = re.compile(r"\[([^\]]*)\](?::\d{1,5})?", re.ASCII)
_IPV4_WITH_PORT: Final = re.compile(r"([\d.]+):\d{1,5}", re.ASCII)


def address_of(text: str) -> str | None:
    """Return the address in a word of a proxy; None where there is none, as in ``unknown``.

    Takes ``203.0.113.7``, ``203.0.113.7:4711``, ``2001:db8::1``, ``[2001:db8::1]`` and ``[2001:db8::1]:4711``, each
    with or without quotes. An IPv4 address within IPv6 is returned as IPv4.
    """
    word = text.strip()
    if quoted := _QUOTED.fullmatch(word):
        word = quoted[1].strip()
    if found := _BRACKETED.fullmatch(word) or _IPV4_WITH_PORT.fullmatch(word):
        word = found[1]
    try:
        address = ip_address(word.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
