"""A caller's address is the one that our own proxies wrote, in any form, and oddities of it are reported."""

from __future__ import annotations

import logging

import pytest
from multidict import CIMultiDict

from api.http.proxies import ODDITIES, Callers, Proxies, networks
from tests.api.conftest import Service

PROXY = "10.0.0.2"
OURS = networks("10.0.0.0/8, ::1/128")


def caller(forwarded: str, *, count: int = 1) -> str:
    return Callers(Proxies(count, OURS)).address(PROXY, CIMultiDict({"X-Forwarded-For": forwarded}))


@pytest.mark.parametrize(
    "forwarded,address",
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ('"203.0.113.7:4711"', "203.0.113.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ('"[2001:DB8::7]:4711"', "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:4711", "203.0.113.7"),
        ("198.51.100.1:1,  203.0.113.7:4711 ", "203.0.113.7"),
        ('"198.51.100.1, 203.0.113.7', "203.0.113.7"),
        ("unknown", PROXY),
        ("_hidden", PROXY),
        ("", PROXY),
        (",", PROXY),
        ("203.0.113.7,", PROXY),
        ("203.0.113.7:", PROXY),
        ("203.0.113.7:port", PROXY),
        ("203.0.113.7:123456", PROXY),
        ("203.0.113.7 198.51.100.1", PROXY),
        ("[203.0.113.7", PROXY),
        ('"203.0.113.7', PROXY),
        ("[2001:db8::7]4711", PROXY),
        ("for=203.0.113.7", PROXY),
        ("203.0.113.٧", PROXY),
        ("3405803783", PROXY),
    ],
)
def test_an_address_is_read_in_every_form_that_proxies_write(forwarded: str, address: str) -> None:
    assert caller(forwarded) == address


def test_the_word_of_the_outermost_proxy_counts_and_nothing_left_of_it() -> None:
    assert caller("192.0.2.1, 203.0.113.7:4711, unknown", count=2) == "203.0.113.7"
    assert caller("203.0.113.7", count=2) == PROXY


@pytest.mark.parametrize(
    "count,peer,headers,oddity",
    [
        (0, PROXY, {"X-Forwarded-For": "203.0.113.7"}, "unexpected"),
        (0, PROXY, {"Forwarded": "for=203.0.113.7"}, "unexpected"),
        (0, PROXY, {"X-Real-IP": "203.0.113.7"}, "unexpected"),
        (1, "100.64.0.2", {"x-forwarded-for": "203.0.113.7"}, "unknown_proxy"),
        (1, PROXY, {"X-Forwarded-For": "unknown"}, "unreadable"),
        (2, PROXY, {"X-Forwarded-For": "203.0.113.7"}, "unreadable"),
        (1, PROXY, {}, "missing"),
        (1, PROXY, {"Forwarded": "for=203.0.113.7"}, "missing"),
    ],
)
def test_what_is_odd_is_counted_and_logged_once(
    caplog: pytest.LogCaptureFixture, count: int, peer: str, headers: dict[str, str], oddity: str
) -> None:
    callers = Callers(Proxies(count, OURS))
    for _ in range(3):
        assert callers.address(peer, CIMultiDict(headers)) == peer
    assert dict(callers.oddities) == {oddity: 3}
    assert [record.message for record in caplog.records] == [ODDITIES[oddity].warning]
    assert "203.0.113" not in caplog.text


@pytest.mark.parametrize("count,headers", [(0, {}), (1, {"X-Forwarded-For": "203.0.113.7"})])
def test_what_is_as_it_should_be_is_not_told(
    caplog: pytest.LogCaptureFixture, count: int, headers: dict[str, str]
) -> None:
    callers = Callers(Proxies(count, OURS))
    callers.address(PROXY, CIMultiDict(headers))
    callers.address("203.0.113.9", CIMultiDict())
    assert not callers.oddities
    assert not caplog.records


async def test_the_operators_see_it_in_the_picture(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert (await service.get("/health", {}))["forwarded"] == {"proxies": 0, "oddities": {}, "notices": []}
    picture = await service.get("/health", {"X-Forwarded-For": "203.0.113.7"})
    assert picture["forwarded"] == {
        "proxies": 0,
        "oddities": {"unexpected": 1},
        "notices": [ODDITIES["unexpected"].notice],
    }
    assert picture["status"] == "ok", "anybody may write a header"
    await service.restart_with(proxies=Proxies(1, networks("127.0.0.0/8")))
    picture = await service.get("/health", {"X-Forwarded-For": "unknown"})
    assert picture["forwarded"]["oddities"] == {"unreadable": 1}
    told = [record.message for record in caplog.records if record.name == "api.http.proxies"]
    assert told == [ODDITIES["unexpected"].warning, ODDITIES["unreadable"].warning]
