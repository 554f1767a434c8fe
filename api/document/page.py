"""Serves the OpenAPI document, and a page to read and try the API without internet access."""

from __future__ import annotations

from functools import cache
from hashlib import blake2s
from pathlib import Path
from typing import Final

import msgspec
from aiohttp import ETag, web

from api.document.openapi import document
from api.http.calls import JSON, ROUTES, Call

FOLDER: Final = Path(__file__).with_name("docs")
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class DocumentDesk:
    """The handlers of ``/openapi.json`` and ``/docs``."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._document = b""
        self._etag = ""

    async def openapi(self, call: Call[None, None]) -> web.Response:
        """Return this document. It changes with the service only."""
        if not self._document:
            routes = call.http.app[ROUTES]
            self._document = msgspec.json.encode(document(routes, version=self._version))
            self._etag = blake2s(self._document, digest_size=8).hexdigest()
        known = call.http.if_none_match or ()
        if any(etag.value in (self._etag, "*") for etag in known):
            response = web.Response(status=304)
        else:
            response = web.Response(body=self._document, content_type=JSON, charset="utf-8")
        response.etag = ETag(self._etag)
        response.headers["Cache-Control"] = "no-cache"
        return response

    async def page(self, call: Call[None, None]) -> web.Response:
        """Serve the page. It loads nothing from elsewhere and keeps a typed token in memory only."""
        return _file("docs.html", "text/html")

    async def style(self, call: Call[None, None]) -> web.Response:
        """Serve the style sheet: light and dark, wide and narrow."""
        return _file("docs.css", "text/css")

    async def script(self, call: Call[None, None]) -> web.Response:
        """Serve the script that draws the document and makes the calls."""
        return _file("docs.js", "text/javascript")


@cache
def _read(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def _file(name: str, content_type: str) -> web.Response:
    headers = {"Content-Security-Policy": POLICY}
    return web.Response(body=_read(name), content_type=content_type, charset="utf-8", headers=headers)
