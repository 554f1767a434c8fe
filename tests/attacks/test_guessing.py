"""Guessing is hopeless, also by many at once, from many connections, and with a made-up address (R61)."""

from __future__ import annotations

import ast
import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

from api.http.gates import AttemptLimits
from api.http.proxies import Callers, Proxies, networks
from tests.api.conftest import FEED_KEY, Service
from tests.api.drivers import BINDINGS, bind, bind_body, post, preview, share

ROOT = Path(__file__).parents[2]
LIMITS = AttemptLimits()
AT_ONCE = 300


async def at_once(calls: list[Any]) -> Counter[int]:
    """Count the answers by status."""
    responses = await asyncio.gather(*calls)
    found = Counter(response.status for response in responses)
    for response in responses:
        if response.status == 429:
            assert int(response.headers["Retry-After"]) >= 1
        response.close()
    return found


async def test_r61_three_hundred_link_tokens_at_once_are_sixty_guesses(service: Service) -> None:
    statuses = await at_once([preview(service, f"s{number:016x}{'A' * 32}") for number in range(AT_ONCE)])
    assert statuses == {404: LIMITS.links_per_address, 429: AT_ONCE - LIMITS.links_per_address}


async def test_r61_a_token_next_to_a_right_one_is_as_wrong_as_any(service: Service) -> None:
    """The id within a token is no secret: what follows it is, whole."""
    driver = await service.sign_in_driver()
    token = (await share(service, driver, await bind(service, driver)))["token"]
    answers = []
    for wrong in (token[:-1] + ("A" if token[-1] != "A" else "B"), token[:17] + "A" * 32, "d" + token[1:], token[:-1]):
        response = await preview(service, wrong)
        answers.append((response.status, (await response.json())["code"]))
    assert answers == [(404, "not_found")] * 4
    assert (await preview(service, token)).status == 200


async def test_r61_three_hundred_vins_at_once_are_ten_guesses(service: Service) -> None:
    driver = await service.sign_in_driver()
    bodies = [bind_body(1, vin=f"LZZ5ELND5HD{900_000 + number:06d}") for number in range(AT_ONCE)]
    statuses = await at_once([post(service, BINDINGS, driver, body) for body in bodies])
    assert statuses == {422: LIMITS.bind_data, 429: AT_ONCE - LIMITS.bind_data}
    assert (await post(service, BINDINGS, driver, bind_body(1))).status == 429, "the right one is not told apart now"


async def test_r61_passwords_at_once_are_ten_guesses_of_a_name(service: Service) -> None:
    def sign_in(number: int) -> Any:
        return service.client.post("/api/v1/sessions", json=service.credentials(1, password=f"guess-{number}"))

    assert await at_once([sign_in(number) for number in range(60)]) == {401: LIMITS.passwords, 429: 50}


async def test_r61_a_made_up_address_gains_nothing(service: Service) -> None:
    """X-Forwarded-For counts only behind a proxy of ours, and only the part that it wrote."""

    async def guess(number: int, *, proxied: bool) -> int:
        made_up = f"198.51.{number // 250}.{number % 250}" + (", 203.0.113.7" if proxied else "")
        headers = {"X-Forwarded-For": made_up, "X-Real-IP": made_up, "Forwarded": f"for={made_up}"}
        return (await preview(service, f"s{number:016x}{'A' * 32}", headers)).status

    for proxies in (Proxies(), Proxies(1, networks("10.0.0.0/8"))):
        await service.restart_with(proxies=proxies)
        assert {await guess(number, proxied=False) for number in range(30)} == {404}
    assert await guess(61, proxied=False) == 429
    await service.restart_with(proxies=Proxies(1, networks("127.0.0.1/32")))
    assert {await guess(number, proxied=True) for number in range(60)} == {404}
    assert await guess(61, proxied=True) == 429


@pytest.mark.parametrize(
    "peer,is_ours",
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("203.0.113.7", False),
        ("2001:db8::1", False),
        ("", False),
        ("unix:", False),
    ],
)
def test_only_a_peer_within_the_networks_is_a_proxy(peer: str, is_ours: bool) -> None:
    ours = networks("127.0.0.0/8, ::1/128,10.0.0.0/8")
    assert Proxies(1, ours).has(peer) is is_ours
    assert not Proxies(0, ours).has(peer)
    headers = CIMultiDict({"X-Forwarded-For": "192.0.2.1"})
    assert Callers(Proxies(1, ours)).address(peer, headers) == ("192.0.2.1" if is_ours else peer)


async def test_a_key_is_compared_whole_whatever_is_in_it(service: Service) -> None:
    await service.restart_with(ops_key="ops-key-of-the-tests")
    for wrong in ("", "ops-key-of-the-test", "ops-key-of-the-testsx", "OPS-KEY-OF-THE-TESTS", "\udce9", "x" * 4_000):
        headers = {"X-Ops-Key": wrong.encode("utf-8", "surrogateescape").decode("latin-1")}
        assert (await service.client.get("/health", headers=headers)).status == 401
    assert (await service.client.get("/health", headers={"X-Ops-Key": "ops-key-of-the-tests"})).status == 200
    assert (await service.post_feed(b"\x90", **{"X-Feed-Key": FEED_KEY[:-1]})).status == 401


SECRET_NAMES = {"token", "token_hash", "password", "secret", "feed_key", "ops_key", "auth_code", "code", "citizen_id"}
NO_SECRETS = {
    ("api/accounts/wechat.py", "answer.access_token == refused"): "both are WeChat's own words, over TLS",
    ("api/accounts/wechat.py", "self._token == refused"): "the same",
}
"""Comparisons that no caller can time."""


def test_secrets_are_compared_in_constant_time() -> None:
    """A look at the source: what is named like a secret is compared by ``hmac.compare_digest`` alone."""
    found = set()
    for path in (path for room in ("api", "actors", "gateway", "domain") for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Compare) and any(isinstance(each, ast.Eq | ast.NotEq) for each in node.ops):
                names = {name_of(side) for side in (node.left, *node.comparators)}
                if any(name.strip("_") in SECRET_NAMES or name.endswith("_token") for name in names):
                    found.add((path.relative_to(ROOT).as_posix(), ast.unparse(node)))
    assert found == set(NO_SECRETS)


def name_of(node: ast.expr) -> str:
    """The last word of ``a.b.c``."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
