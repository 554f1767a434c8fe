"""Serves browsers the built pages of ``web/dist``, and the configuration that they need."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from api.http.calls import Call

DIST: Final = Path(__file__).parent.parent / "web" / "dist"
PATHS: Final = ("/", "/s", "/d", "/sign-in", "/register", "/account", "/terms", "/family", "/driver", "/owner", "/ops")
"""Paths of the pages' own router; those below a side may have any depth."""
SIDES: Final = ("/account", "/family", "/driver", "/owner", "/ops")
FOR_PROGRAMS: Final = ("/api/", "/dev/")
"""Prefixes below which an unknown path gets a problem, in browsers too."""
FOREVER: Final = "public, max-age=31536000, immutable"
"""The caching of files whose name changes with their content."""
ASK_AGAIN: Final = "no-cache"
TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
"""The served endings and their types; no other file of the folder is served."""
NOT_BUILT: Final = """<!doctype html><html lang="zh-CN"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>平安守望</title>
<h1>平安守望</h1><p>服务正在运行，网页还没有构建。</p>
<p>The service runs; its pages are not built yet. In the project's folder:</p><pre>make web</pre>
<p>然后刷新本页。Then reload. <a href="/docs">接口文档 / API</a></p></html>"""

_NAME: Final = re.compile(r"[\w-][\w.-]*")
_RANGE: Final = re.compile(r"\{\d-\d\}|\{s\}")


class TileSource(msgspec.Struct, frozen=True):
    """The source of map tiles. ``url`` has ``{z}``, ``{x}`` and ``{y}``, and may have ``{1-4}`` in its first label."""

    url: str
    attribution: str
    crs: Literal["gcj02", "wgs84"]

    @property
    def origin(self) -> str:
        """Return the origin as a Content-Security-Policy names it."""
        parts = urlsplit(_RANGE.sub("0", self.url))
        first, *others = (urlsplit(self.url).netloc or "").split(".")
        host = ".".join(["*", *others]) if "{" in first else parts.netloc
        return f"{parts.scheme}://{host}"


def tile_source(url: str, *, attribution: str, crs: str) -> TileSource | None:
    """Return the tile source; None for an empty ``url``. Raises ``ValueError`` with the reason."""
    if not url:
        return None
    parts = urlsplit(_RANGE.sub("0", url))
    if parts.scheme not in ("http", "https") or not re.fullmatch(r"[\w.-]+(:\d+)?", parts.netloc):
        raise ValueError("TILES_URL must be an http or https address")
    if any(mark not in url for mark in ("{x}", "{y}", "{z}")):
        raise ValueError("TILES_URL must have {x}, {y} and {z}")
    if crs not in ("gcj02", "wgs84"):
        raise ValueError("TILES_CRS must be gcj02 or wgs84")
    return TileSource(url, attribution, "gcj02" if crs == "gcj02" else "wgs84")


@dataclass(frozen=True, slots=True)
class Pages:
    """The built pages, and their map's tiles; without tiles they draw their own map."""

    folder: Path = DIST
    tiles: TileSource | None = None

    @property
    def policy(self) -> str:
        """Return the policy: no code or style but our own files, and no other host but the tiles'."""
        tiles = f" {self.tiles.origin}" if self.tiles else ""
        return (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; font-src 'self'; "
            f"img-src 'self' data: blob:{tiles}; manifest-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )


class WebConfig(msgspec.Struct, frozen=True):
    """The configuration that the pages need before sign-in."""

    identity: str
    """``sandbox`` or ``wechat``."""
    tiles: TileSource | None
    version: str


class ConfigDesk:
    """The handler of ``/web-config``."""

    def __init__(self, pages: Pages, *, identity: str, version: str) -> None:
        self._config = WebConfig(identity, pages.tiles, version)

    async def config(self, call: Call[None, None]) -> WebConfig:
        """Return the configuration, to any caller."""
        return self._config


class PageDesk:
    """Serves the pages; their own router decides what a path shows."""

    def __init__(self, pages: Pages) -> None:
        self._folder = pages.folder
        self._policy = pages.policy

    def add_to(self, app: web.Application) -> None:
        """Add the page routes below every other route: they are no calls, and no document lists them."""
        app.middlewares.append(self._around)
        for path in PATHS:
            app.router.add_get(path, self._page)
        for path in SIDES:
            app.router.add_get(f"{path}/{{below:.*}}", self._page)
        app.router.add_get("/assets/{name}", self._asset)
        for name in ("favicon.svg", "icon.svg", "manifest.webmanifest", "early.js"):
            app.router.add_get(f"/{name}", self._plain_file)

    @web.middleware
    async def _around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Show the pages to a browser at an unknown address.

        Their router says so and leads home; the status stays 404.
        """
        if isinstance(request.match_info.http_exception, web.HTTPNotFound) and _is_a_persons(request):
            index = self._found("index.html")
            if index is not None:
                return self._file(index, "no-store", status=404)
        return await handler(request)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        index = self._found("index.html")
        if index is not None:
            return self._file(index, ASK_AGAIN)
        return web.Response(text=NOT_BUILT, status=503, content_type="text/html", headers=self._headers("no-store"))

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        asset = self._found(f"assets/{name}") if _NAME.fullmatch(name) else None
        if asset is None:
            raise web.HTTPNotFound
        return self._file(asset, FOREVER)

    async def _plain_file(self, request: web.Request) -> web.StreamResponse:
        file = self._found(request.path.removeprefix("/"))
        if file is None:
            raise web.HTTPNotFound
        return self._file(file, ASK_AGAIN)

    def _found(self, name: str) -> Path | None:
        path = self._folder / name
        return path if path.suffix in TYPES and path.is_file() else None

    def _file(self, path: Path, cache: str, *, status: int = 200) -> web.FileResponse:
        """Serve the file, or the ``.br`` or ``.gz`` beside it where the browser accepts it."""
        text = path.suffix != ".png"
        content_type = TYPES[path.suffix] + ("; charset=utf-8" if text else "")
        return web.FileResponse(path, status=status, headers=self._headers(cache) | {"Content-Type": content_type})

    def _headers(self, cache: str) -> dict[str, str]:
        return {"Content-Security-Policy": self._policy, "Cache-Control": cache}


def _is_a_persons(request: web.Request) -> bool:
    """Tell whether a browser asks for a page to show; programs get the problem."""
    shows = request.method in ("GET", "HEAD") and "text/html" in request.headers.get("Accept", "")
    return shows and not request.path.startswith(FOR_PROGRAMS)
