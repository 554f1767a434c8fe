"""Prometheus takes our figures without a complaint, with a header that it can send."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.api.callers import OPS_KEY, furnished
from tests.api.conftest import Service
from tests.api.exposition import faults
from tests.programs import needs

GOOD = "# HELP a_fixes_total Fixes.\n# TYPE a_fixes_total counter\na_fixes_total 1\n"


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[Service]:
    """Yield a service with a bit of everything, so that no family of figures is empty."""
    service = Service(tmp_path)
    await furnished(service)
    yield service
    await service.stop()


async def scraped(service: Service) -> str:
    """Return the figures, asked for as Prometheus does with ``authorization``."""
    await service.client.get("/nothing/at/all")
    response = await service.client.get("/metrics", headers={"Authorization": f"Bearer {OPS_KEY}"})
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return await response.text()


async def test_there_is_nothing_to_complain_of(house: Service) -> None:
    text = await scraped(house)
    assert faults(text) == []
    for name in (
        "shouwang_fixes_total",
        "shouwang_http_request_seconds_count",
        "shouwang_event_loop_delay_seconds_sum",
    ):
        assert f"\n{name}" in text


async def test_prometheus_own_checker_says_the_same(house: Service) -> None:
    needs("promtool", package="prometheus")
    checker = await asyncio.create_subprocess_exec(
        "promtool", "check", "metrics", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = await checker.communicate((await scraped(house)).encode())
    assert (checker.returncode, said) == (0, b"")


@pytest.mark.parametrize(
    "text",
    [
        "# TYPE a_fixes_total counter\na_fixes_total 1\n",
        "# HELP a_depth_total Depth.\n# TYPE a_depth_total gauge\na_depth_total 1\n",
        "# HELP a_lag_ms Lag.\n# TYPE a_lag_ms gauge\na_lag_ms 1\n",
        "# HELP a_gauge Lag.\n# TYPE a_gauge gauge\na_gauge 1\n",
        "# HELP a_Lag Lag.\n# TYPE a_Lag gauge\na_Lag 1\n",
        "# HELP a_lag_count Lag.\n# TYPE a_lag_count gauge\na_lag_count 1\n",
        '# HELP a_lag Lag.\n# TYPE a_lag gauge\na_lag{Kind="x"} 1\n',
        '# HELP a_lag Lag.\n# TYPE a_lag gauge\na_lag{kind="x"} 1\na_lag{kind="x"} 2\n',
    ],
)
def test_a_fault_would_be_found(text: str) -> None:
    assert faults(GOOD) == []
    assert faults(text)


async def test_the_bearer_must_be_the_key_and_x_ops_key_goes_first(service: Service) -> None:
    await service.restart_with(ops_key=OPS_KEY)
    right, wrong = {"Authorization": f"Bearer {OPS_KEY}"}, {"Authorization": "Bearer another-key-of-ops"}
    for path in ("/metrics", "/health"):
        assert (await service.client.get(path, headers=right)).status == 200
        assert (await service.client.get(path, headers={"Authorization": f"bearer  {OPS_KEY}"})).status == 200
        for refused in (
            wrong,
            {"Authorization": f"Basic {OPS_KEY}"},
            {"Authorization": ""},
            right | {"X-Ops-Key": "x"},
        ):
            assert (await service.client.get(path, headers=refused)).status == 401
        assert (await service.client.get(path, headers=wrong | {"X-Ops-Key": OPS_KEY})).status == 200
