"""Browsers get the built pages, and nothing besides."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from api.http.edge import CallFigures, Edge
from api.pages import PageDesk, Pages, tile_source

AMAP = "https://webrd0{1-4}.is.example.cn/tile?x={x}&y={y}&z={z}"


async def client_of(pages: Pages) -> TestClient[Any, Any]:
    app = web.Application(middlewares=[Edge(CallFigures()).around])
    PageDesk(pages).add_to(app)
    client: TestClient[Any, Any] = TestClient(TestServer(app), auto_decompress=False)
    await client.start_server()
    return client


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>pages</title>")
    (folder / "assets" / "index-Ab3.js").write_text("let a = 1")
    (folder / "assets" / "index-Ab3.js.gz").write_bytes(gzip.compress(b"let a = 1"))
    (folder / "manifest.webmanifest").write_text("{}")
    (folder / "secret.txt").write_text("secret")
    (tmp_path / "outside.js").write_text("outside")
    return folder


@pytest_asyncio.fixture
async def client(dist: Path) -> AsyncIterator[TestClient[Any, Any]]:
    client = await client_of(Pages(dist))
    yield client
    await client.close()


@pytest.mark.parametrize("path", ["/", "/s", "/d", "/sign-in", "/family/shares/abc", "/driver", "/owner/x/y", "/ops"])
async def test_every_page_path_gets_the_one_page(client: TestClient[Any, Any], path: str) -> None:
    response = await client.get(path)
    assert response.status == 200
    assert response.content_type == "text/html"
    assert "pages" in await response.text()
    assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/wp-login.php", "/familyx", "/secret.txt", "/index.html"])
async def test_no_other_path_does(client: TestClient[Any, Any], path: str) -> None:
    response = await client.get(path)
    assert response.status == 404
    assert response.content_type == "application/problem+json"


HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize("path", ["/nothing", "/wp-login.php", "/familyx", "/s/abc", "/index.html"])
async def test_a_person_at_an_unknown_address_is_shown_a_page(client: TestClient[Any, Any], path: str) -> None:
    response = await client.get(path, headers=HTML)
    assert (response.status, response.content_type) == (404, "text/html")
    assert "pages" in await response.text()
    assert response.headers["Cache-Control"] == "no-store"
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]
    assert (await client.head(path, headers=HTML)).content_type == "text/html"


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/", "/dev/nothing", "/assets/gone.js"])
async def test_an_unknown_path_of_programs_is_a_problem_to_browsers_too(
    client: TestClient[Any, Any], path: str
) -> None:
    response = await client.get(path, headers=HTML)
    assert (response.status, response.content_type) == (404, "application/problem+json")


async def test_nobody_is_shown_a_page_who_sends_something(client: TestClient[Any, Any]) -> None:
    response = await client.post("/nothing", headers=HTML)
    assert (response.status, response.content_type) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "name", ["..%2f..%2foutside.js", "%2e%2e/secret.txt", "..%5coutside.js", ".hidden.js", "no.js"]
)
async def test_nothing_outside_the_folder_is_served(client: TestClient[Any, Any], name: str) -> None:
    response = await client.get(f"/assets/{name}")
    assert response.status == 404


async def test_what_is_named_by_its_content_is_kept_for_ever(client: TestClient[Any, Any]) -> None:
    response = await client.get("/assets/index-Ab3.js")
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response.content_type == "text/javascript"


async def test_a_browser_that_can_gets_it_compressed(client: TestClient[Any, Any]) -> None:
    plain = await client.get("/assets/index-Ab3.js", headers={"Accept-Encoding": "identity"})
    packed = await client.get("/assets/index-Ab3.js", headers={"Accept-Encoding": "gzip"})
    assert await plain.read() == b"let a = 1"
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(await packed.read()) == b"let a = 1"


async def test_a_page_that_did_not_change_is_not_sent_again(client: TestClient[Any, Any]) -> None:
    first = await client.get("/")
    again = await client.get("/family", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status == 304


async def test_pages_run_no_code_but_our_files(client: TestClient[Any, Any]) -> None:
    policy = (await client.get("/")).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "unsafe" not in policy
    assert "https:" not in policy


async def test_the_manifest_has_its_own_type(client: TestClient[Any, Any]) -> None:
    response = await client.get("/manifest.webmanifest")
    assert response.content_type == "application/manifest+json"


async def test_without_a_build_the_page_says_how_to_make_one(tmp_path: Path) -> None:
    client = await client_of(Pages(tmp_path / "none"))
    response = await client.get("/family")
    assert response.status == 503
    assert "make web" in await response.text()
    await client.close()


async def test_a_configured_tile_source_may_show_its_pictures(dist: Path) -> None:
    tiles = tile_source(AMAP, attribution="© Map", crs="gcj02")
    client = await client_of(Pages(dist, tiles))
    policy = (await client.get("/")).headers["Content-Security-Policy"]
    assert "img-src 'self' data: blob: https://*.is.example.cn;" in policy
    assert "connect-src 'self';" in policy
    await client.close()


def test_no_tile_address_means_our_own_map() -> None:
    assert tile_source("", attribution="", crs="gcj02") is None


@pytest.mark.parametrize(
    "url, crs",
    [
        ("ftp://example.cn/{z}/{x}/{y}", "gcj02"),
        ("https://example.cn/{z}/{x}", "gcj02"),
        ("https://example.cn/{z}/{x}/{y}", "bd09"),
        ("https://a;script-src *.cn/{z}/{x}/{y}", "gcj02"),
    ],
)
def test_a_wrong_tile_address_is_refused(url: str, crs: str) -> None:
    with pytest.raises(ValueError, match="TILES"):
        tile_source(url, attribution="", crs=crs)
