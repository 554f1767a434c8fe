"""Tests that a body too large, too deep, packed too well or of a false type is refused, at little cost."""

from __future__ import annotations

import gzip
import time
import tracemalloc
import zlib
from collections.abc import Callable
from functools import cache

import msgpack
import pytest

from api.http.calls import JSON, MAX_BODY_BYTES
from gateway.feed import MAX_BYTES
from tests.api.conftest import FEED_KEY, Service
from tests.api.drivers import bind_body, papers

SESSIONS = "/api/v1/sessions"
FEED = "/api/v1/telemetry"
MSGPACK = "application/msgpack"
BOMB_BYTES = 48 << 20
PEAK_BYTES = 8 << 20
"""The most memory while a bomb of 48 MB goes off."""
CPU_S = 2.0


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, 9)


def deflated(content: bytes) -> bytes:
    return zlib.compress(content, 9)


def raw_deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


@cache
def bomb(pack: Callable[[bytes], bytes]) -> bytes:
    """Return a body below the limits that unpacks to far more."""
    packed = pack(bytes(BOMB_BYTES))
    assert len(packed) < MAX_BYTES
    return packed


@pytest.mark.parametrize("path,kind", [(SESSIONS, JSON), (FEED, MSGPACK)])
@pytest.mark.parametrize("encoding,pack", [("gzip", gzipped), ("deflate", deflated), ("deflate", raw_deflated)])
async def test_a_packed_bomb_does_not_go_off(
    service: Service, path: str, kind: str, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    packed = bomb(pack)[: MAX_BYTES if path == FEED else MAX_BODY_BYTES]
    headers = {"Content-Type": kind, "Content-Encoding": encoding, "X-Feed-Key": FEED_KEY}
    tracemalloc.start()
    began = time.process_time()
    try:
        async with service.client.post(path, data=packed, headers=headers) as response:
            assert response.status == 413
            assert (await response.json())["code"] == "payload_too_large"
        assert tracemalloc.get_traced_memory()[1] < PEAK_BYTES
        assert time.process_time() - began < CPU_S
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "identity, gzip", "x", "compress"])
async def test_an_encoding_that_nobody_knows_is_no_way_in(service: Service, encoding: str) -> None:
    twice = gzip.compress(gzip.compress(b" " * 1_000_000))
    headers = {"Content-Type": JSON, "Content-Encoding": encoding}
    async with service.client.post(SESSIONS, data=twice, headers=headers) as response:
        assert response.status in (400, 413, 415, 422)


@pytest.mark.parametrize(
    "body", [b"[" * 60_000, b'{"a":' * 12_000, b"[" * 30_000 + b"]" * 30_000, b'{"token":' + b"[" * 50_000]
)
async def test_what_is_nested_without_end_is_refused_quickly(service: Service, body: bytes) -> None:
    began = time.process_time()
    async with service.client.post("/api/v1/links/preview", data=body, headers={"Content-Type": JSON}) as response:
        assert response.status == 422
        assert (await response.json())["code"] == "invalid_input"
    assert time.process_time() - began < CPU_S


@pytest.mark.parametrize(
    "body", [b"\x91" * (MAX_BYTES - 1), b"\x81\xa1a" * 300_000, msgpack.packb([[[]] * 1000] * 100)]
)
async def test_a_feed_that_is_nested_without_end_is_refused_quickly(service: Service, body: bytes) -> None:
    began = time.process_time()
    response = await service.post_feed(body)
    assert response.status in (200, 422)
    if response.status == 200:
        assert (await response.json())["accepted"] == 0
    assert time.process_time() - began < CPU_S


async def test_numbers_and_strings_without_end_are_refused_quickly(service: Service) -> None:
    """Quadratic parsing would show."""
    driver = await service.sign_in_driver()
    began = time.process_time()
    for value in (
        b"9" * 60_000,
        b"1e" + b"9" * 60_000,
        b"-" * 60_000,
        b'"' + b"\\u0000" * 10_000 + b'"',
        b"0." + b"1" * 60_000,
    ):
        body = b'{"plate":' + value + b"}"
        headers = driver | {"Content-Type": JSON}
        async with service.client.post("/api/v1/driver/bindings", data=body, headers=headers) as response:
            assert response.status == 422
    assert time.process_time() - began < CPU_S


async def test_of_a_key_that_comes_twice_the_last_one_counts_for_all_of_the_service(service: Service) -> None:
    """There is one reader: what is checked is what is used."""
    driver = await service.sign_in_driver()
    wrong, right = papers(2)["vin"], papers(1)["vin"]
    form = bind_body(1)
    pairs = [f'"{name}":"{value}"' for name, value in form.items() if name != "vin"]
    statuses = []
    for first, last in ((right, wrong), (wrong, right)):
        body = "{" + ",".join([*pairs, f'"vin":"{first}"', f'"vin":"{last}"']) + "}"
        headers = driver | {"Content-Type": JSON}
        async with service.client.post("/api/v1/driver/bindings", data=body.encode(), headers=headers) as response:
            statuses.append(response.status)
    assert statuses == [422, 201]


@pytest.mark.parametrize(
    "kind",
    [
        "text/json",
        "application/json; charset=utf-16",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "application/json, text/plain",
        "",
        "*/*",
        "json",
        "a" * 4_000,
    ],
)
async def test_another_content_type_is_not_guessed_at(service: Service, kind: str) -> None:
    """A form of another site could send some of these without asking."""
    async with service.client.post(SESSIONS, data=b"{}", headers={"Content-Type": kind}) as response:
        assert response.status == (422 if kind.startswith("application/json;") else 415)


async def test_an_xml_with_an_entity_is_not_even_read(service: Service) -> None:
    body = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'
    async with service.client.post(SESSIONS, data=body, headers={"Content-Type": "application/xml"}) as response:
        assert response.status == 415
        assert b"root:" not in await response.read()
