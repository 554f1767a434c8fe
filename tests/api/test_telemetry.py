"""Tests that the feed takes good rows, names bad ones, and announces only durable ones (R50, R51)."""

from __future__ import annotations

import random
from io import BytesIO

import msgpack
import pytest

from persistence.records import decode_batch
from tests.api.conftest import START, Service, phone, problem, row

HOUR = 3600


async def test_each_row_gets_its_own_verdict_and_a_bad_one_loses_no_other(service: Service) -> None:
    answer = await service.report(
        row(1),
        row(1, START + 30),
        row(1, START + 10),
        row(1, START + 30),
        row(1, START + 301 + 30),
        row(2, START + 8 * HOUR),
        row(3, status=1),
        row(3, lon=0, lat=0),
        row(3, lon=181_000_000),
        row(3, speed=2501),
        row(2),
        row(2, START + 10, lat=31_700_000),
        row(9),
        row(1, START - 500, flags=1),
        row(1, START + 40, flags=2),
        "no row",
        row(1, START + 40)[:9],
        row(1, START + 50),
        row(3, at=0),
    )
    codes = [(rejected["index"], rejected["code"]) for rejected in answer["rejected"]]
    assert codes == [
        (4, "future_fix"),
        (5, "time_zone_fault"),
        (6, "not_positioned"),
        (7, "not_positioned"),
        (8, "implausible"),
        (9, "implausible"),
        (11, "implausible"),
        (12, "unknown_vehicle"),
        (14, "malformed"),
        (15, "malformed"),
        (16, "malformed"),
        (18, "malformed"),
    ]
    assert answer["stale"] == 2
    assert answer["accepted"] == 5


@pytest.mark.parametrize(
    "place,value",
    [
        (0, None),
        (0, 13800000001),
        (0, "1" * 21),
        (1, "now"),
        (1, 1.5),
        (1, True),
        (2, None),
        (5, "80"),
        (7, -1),
        (7, 1 << 32),
        (8, 1 << 32),
        (9, -1),
        (9, 4),
        (9, []),
    ],
)
async def test_a_field_of_the_wrong_kind_makes_its_row_malformed(service: Service, place: int, value: object) -> None:
    bad = row(1)
    bad[place] = value
    answer = await service.report(row(2), bad, row(3))
    assert answer == {"accepted": 2, "stale": 0, "rejected": [{"index": 1, "code": "malformed"}]}


@pytest.mark.parametrize(
    "field,value",
    [("at", -1), ("at", 1 << 50), ("lon", 1 << 40), ("altitude", 9001), ("speed", -1), ("course", 361)],
)
async def test_a_number_that_nothing_could_measure_is_implausible(service: Service, field: str, value: int) -> None:
    bad = row(1)
    bad[["key", "at", "lon", "lat", "altitude", "speed", "course"].index(field)] = value
    answer = await service.report(bad)
    assert answer["rejected"] == [{"index": 0, "code": "implausible"}]


async def test_bad_unicode_in_a_key_costs_that_row_only(service: Service) -> None:
    good = msgpack.packb(row(1))
    bad = good.replace(phone(1).encode(), b"\xff" * 11)
    response = await service.post_feed(b"\x92" + bad + good)
    assert await response.json() == {"accepted": 1, "stale": 0, "rejected": [{"index": 0, "code": "malformed"}]}


async def test_leading_zeros_of_a_key_mean_nothing(service: Service) -> None:
    answer = await service.report(row(1, key="0" + phone(1)), row(1, START + 1, key="000000000" + phone(1)))
    assert answer == {"accepted": 2, "stale": 0, "rejected": []}


@pytest.mark.parametrize("key", ["", "0", "000", "\0", "😀", "1 OR 1"])
async def test_an_odd_key_is_an_unknown_vehicle(service: Service, key: str) -> None:
    assert (await service.report(row(1, key=key)))["rejected"] == [{"index": 0, "code": "unknown_vehicle"}]


async def test_an_empty_batch_is_a_batch(service: Service) -> None:
    assert await service.report() == {"accepted": 0, "stale": 0, "rejected": []}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc0",
        b"\x80",
        b"hello",
        b"\x90\x90",
        b"\x92\x90",
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 200_000,
        b"\xc1",
        b"\xdd\x00\x01\x00\x00" + b"\xc0" * 65_536,
    ],
    ids=["empty", "nil", "map", "text", "trailing", "cut", "huge", "deep", "unused", "too many rows"],
)
async def test_what_is_no_batch_is_refused_whole(service: Service, body: bytes) -> None:
    found = await problem(await service.post_feed(body), 422, "invalid_input")
    assert found["errors"][0]["field"] == "body"


async def test_noise_never_breaks_the_feed(service: Service) -> None:
    chance = random.Random(808)
    good = msgpack.packb([row(1), row(2), row(3)])
    for _ in range(300):
        noise = bytearray(good)
        for _ in range(chance.randrange(1, 8)):
            noise[chance.randrange(len(noise))] = chance.randrange(256)
        assert (await service.post_feed(bytes(noise[: chance.randrange(1, len(noise) + 1)]))).status in (200, 422)


async def test_a_batch_over_1_mib_is_too_large(service: Service) -> None:
    assert (await service.post_feed(BytesIO(b"\x91" + b"\xc0" * ((1 << 20) - 1)))).status == 422
    await problem(await service.post_feed(BytesIO(b"\x00" * ((1 << 20) + 1))), 413, "payload_too_large")


async def test_a_large_batch_is_taken_whole(service: Service) -> None:
    answer = await service.report(*(row(1, START + n / 100) for n in range(20_000)))
    assert answer == {"accepted": 200, "stale": 19_800, "rejected": []}


async def test_another_content_type_is_not_read(service: Service) -> None:
    response = await service.post_feed(b"[]", **{"Content-Type": "application/json"})
    await problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("key", ["", "wrong", "feed-key-of-the-test", "é"])
async def test_a_wrong_key_is_refused_before_anything_is_read(service: Service, key: str) -> None:
    response = await service.post_feed(b"", **{"X-Feed-Key": key, "Content-Type": "text/plain"})
    await problem(response, 401, "feed_key_invalid")


async def test_without_a_configured_key_every_call_is_refused_and_told_why(service: Service) -> None:
    await service.restart_with(feed_key="")
    for key in ("", "anything"):
        found = await problem(await service.post_feed(b"", **{"X-Feed-Key": key}), 401, "feed_key_invalid")
        assert "FEED_KEY" in found["detail"]


async def test_r51_what_was_accepted_is_in_the_log(service: Service) -> None:
    await service.report(row(1), row(9), row(2))
    ((_, entry),) = await service.store.read_log(after=0, limit=10)
    received_at, fixes = decode_batch(entry)
    assert received_at == START
    assert [list(fix) for fix in fixes] == [row(1), row(2)]


async def test_r51_what_the_store_does_not_take_is_not_accepted(service: Service) -> None:
    service.appends = False
    response = await service.post_feed(msgpack.packb([row(1)]))
    await problem(response, 503, "unavailable")
    assert int(response.headers["Retry-After"]) >= 1
    service.appends = True
    assert (await service.report(row(1)))["accepted"] == 1


async def test_a_service_with_too_much_under_way_says_so(service: Service) -> None:
    service.ingest.stats.waiting = 100_000
    response = await service.post_feed(msgpack.packb([row(1)]))
    await problem(response, 503, "unavailable")
    assert "Retry-After" in response.headers
    service.ingest.stats.waiting = 0


async def test_what_was_refused_is_counted(service: Service) -> None:
    await service.report(row(1), row(9), "bad", row(2, status=0))
    telemetry = (await service.get("/health", {}))["telemetry"]
    assert telemetry["feed_rows"] == 4
    rejected = {code: count for code, count in telemetry["feed_rejected"].items() if count}
    assert rejected == {"unknown_vehicle": 1, "malformed": 1, "not_positioned": 1}
