"""One customer of IPv6 has one count, however many addresses they have."""

from __future__ import annotations

import pytest

from api.http.addresses import network_of


@pytest.mark.parametrize(
    "address,network",
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:aaaa::1", "2001:0db8:0001:0002"),
        ("2001:db8:1:2::ffff%eth0", "2001:0db8:0001:0002"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("", ""),
    ],
)
def test_r61_an_ipv6_customer_has_one_count_for_the_whole_network(address: str, network: str) -> None:
    assert network_of(address) == network
