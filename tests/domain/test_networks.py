"""A customer of IPv6 has one count, however many addresses they have; HTTP and the terminal port count alike."""

from __future__ import annotations

import pytest

from domain.networks import network_of


@pytest.mark.parametrize(
    "address,network",
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:aaaa::1", "2001:0db8:0001:0002"),
        ("2001:db8:1:2::ffff%eth0", "2001:0db8:0001:0002"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("", ""),
        ("a:b", "a:b"),
    ],
)
def test_r61_an_ipv6_customer_has_one_count_for_the_whole_network(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    "one,other",
    [("2001:db8::1", "2001:db8::ffff"), ("192.0.2.1", "::ffff:192.0.2.1"), ("fe80::1%eth0", "fe80::2%eth1")],
)
def test_the_addresses_of_one_customer_are_one(one: str, other: str) -> None:
    assert network_of(one) == network_of(other)
    assert network_of(one) != network_of("2001:db8:0:1::1")
