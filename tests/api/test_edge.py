"""Every call, however wrong, gets a proper answer, and nothing leaks."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web

import domain.errors
from api.http.problems import HTTP_KINDS, INTERNAL, KINDS, kind_of, response_to
from api.http.proxies import Proxies, networks
from domain.errors import DomainError, InvalidInput
from tests.api.conftest import START, Service, problem

JSON = {"Content-Type": "application/json"}


def descendants(kind: type[Exception]) -> Iterator[type[Exception]]:
    for child in kind.__subclasses__():
        yield child
        yield from descendants(child)


def test_every_refusal_has_its_own_line_in_the_table() -> None:
    ours = [kind for kind in descendants(DomainError) if kind.__module__ == domain.errors.__name__]
    assert len(ours) >= 10
    assert [kind.__name__ for kind in ours if kind not in KINDS] == []


def test_codes_are_stable_words_and_details_are_chinese() -> None:
    for kind in (*KINDS.values(), *HTTP_KINDS.values(), INTERNAL):
        assert kind.code.replace("_", "").isalnum()
        assert kind.code.islower()
        assert any("\u4e00" <= char <= "\u9fff" for char in kind.title)
        assert kind.detail.endswith("。")


def test_what_nobody_foresaw_tells_nothing() -> None:
    response = response_to(RuntimeError("owner1 has the password right-1"))
    assert response.status == 500
    assert b"right-1" not in response.body  # type: ignore[operator]  # a plain response has bytes
    assert kind_of(KeyError("x")) is INTERNAL


async def test_unknown_paths_are_not_found(service: Service) -> None:
    await problem(await service.client.get("/api/v1/nothing"), 404, "not_found")
    await problem(await service.client.post("/api/v1/nothing"), 404, "not_found")


async def test_another_method_is_not_allowed_and_says_which_are(service: Service) -> None:
    response = await service.client.put("/api/v1/terms")
    await problem(response, 405, "method_not_allowed")
    assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize("path", ["/api/v1/terms", "/api/v1/nothing", "/healthz"])
async def test_every_answer_tells_the_services_time_whatever_the_machines_clock_says(
    service: Service, path: str
) -> None:
    await service.clock.advance(86_400)
    response = await service.client.get(path)
    assert response.headers.getall("Date") == [formatdate(START + 86_400, usegmt=True)]


async def test_the_wrong_content_type_is_not_read(service: Service) -> None:
    response = await service.client.post("/api/v1/sessions", data=b"a=b", headers={"Content-Type": "text/plain"})
    await problem(response, 415, "unsupported_media_type")
    await problem(await service.client.post("/api/v1/sessions"), 415, "unsupported_media_type")


async def test_a_body_over_64_kib_is_too_large_whether_it_says_so_or_not(service: Service) -> None:
    big = b'{"x":"' + b"x" * 65_536 + b'"}'

    async def in_chunks() -> Any:
        yield big[:40_000]
        yield big[40_000:]

    for body in (big, in_chunks()):
        await problem(await service.client.post("/api/v1/sessions", data=body, headers=JSON), 413, "payload_too_large")


async def test_a_small_body_that_unpacks_to_a_big_one_is_too_large(service: Service) -> None:
    body = gzip.compress(b" " * 10_000_000)
    assert len(body) < 20_000
    headers = JSON | {"Content-Encoding": "gzip"}
    response = await service.client.post("/api/v1/sessions", data=body, headers=headers)
    await problem(response, 413, "payload_too_large")


async def test_a_body_that_is_not_what_it_says_is_invalid(service: Service) -> None:
    headers = JSON | {"Content-Encoding": "gzip"}
    response = await service.client.post("/api/v1/sessions", data=b"no gzip at all", headers=headers)
    assert response.status in (400, 422)


async def test_every_answer_carries_the_security_headers(service: Service) -> None:
    for path in ("/healthz", "/nothing", "/api/v1/me"):
        headers = (await service.client.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "Python" not in headers["Server"]


async def test_the_access_log_names_the_route_and_no_secret(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    headers = await service.sign_in()
    await service.client.get("/api/v1/me?phone=13800001234", headers=headers)
    await service.client.get("/api/v1/owner/vehicles/0123456789abcdef", headers=headers)
    await service.client.get("/links/some-secret-link")
    logged = caplog.text
    assert "GET /api/v1/me 200" in logged
    assert "GET /api/v1/owner/vehicles/{id} 404" in logged
    assert "unmatched 404" in logged
    for secret in ("13800001234", "right-1", headers["Authorization"][7:], "some-secret-link", "127.0.0.1"):
        assert secret not in logged


@pytest.mark.parametrize(
    "proxies,forwarded,masked",
    [
        (0, "203.0.113.7", "127.0.0.*"),
        (1, "203.0.113.7", "203.0.113.*"),
        (1, "198.51.100.1, 203.0.113.7", "203.0.113.*"),
        (2, "192.0.2.9, 198.51.100.1, 203.0.113.7", "198.51.100.*"),
        (2, "203.0.113.7", "127.0.0.*"),
        (1, "unknown", "127.0.0.*"),
        (1, "203.0.113.7:4711", "203.0.113.*"),
        (1, '"[2001:db8::7]:4711"', "2001:db8:0:*"),
        (1, "198.51.100.1, unknown", "127.0.0.*"),
        (2, "203.0.113.7:4711, unknown", "203.0.113.*"),
        (1, "2001:db8::7", "2001:db8:0:*"),
    ],
)
async def test_only_what_our_own_proxies_say_of_an_address_is_believed(
    service: Service, caplog: pytest.LogCaptureFixture, proxies: int, forwarded: str, masked: str
) -> None:
    caplog.set_level(logging.INFO)
    await service.restart_with(proxies=Proxies(proxies, networks("127.0.0.0/8")))
    await service.client.get("/healthz", headers={"X-Forwarded-For": forwarded})
    assert f" ms {masked} " in caplog.text


async def test_a_bug_is_a_500_with_the_id_that_stands_in_the_log(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    headers = await service.sign_in()
    await service.restart_with(registry=Broken(service.services.registry))
    response = await service.client.get("/api/v1/me", headers=headers)
    body = await problem(response, 500, "internal")
    assert "a secret" not in str(body)
    assert response.headers["X-Request-Id"] in caplog.text
    assert "a secret" in caplog.text


async def test_a_store_that_is_down_is_unavailable_for_now(service: Service) -> None:
    headers = await service.sign_in()
    await service.store.close()
    response = await service.client.get("/api/v1/me", headers=headers)
    await problem(response, 503, "unavailable")
    assert int(response.headers["Retry-After"]) >= 1


class Broken:
    """A registry with a bug."""

    def __init__(self, registry: Any) -> None:
        self._registry = registry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)

    async def business(self, uscc: str) -> None:
        raise RuntimeError("a secret")


def test_a_refusal_of_input_names_its_first_field() -> None:
    response = response_to(InvalidInput(("plate", "格式不正确"), ("vin", "不能缺少")))
    assert "plate" in response.text  # type: ignore[operator]  # a plain response has text
    assert isinstance(response, web.Response)
