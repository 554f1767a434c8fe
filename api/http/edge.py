"""Surrounds every call with a request id, the service's time, problems, security headers, the access log, and figures."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from secrets import token_hex
from time import perf_counter, time
from typing import Final

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage

from api.http.polled import REQUEST_ID, Polled, http_date
from api.http.problems import INTERNAL, kind_of, response_to, response_to_http
from api.http.proxies import Callers, Proxies
from domain.errors import DomainError
from domain.people.audit import address_masked

log = logging.getLogger(__name__)

HEADERS: Final = {
    "Server": "shouwang",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""Headers of answers to programs; a page that a browser shows sets its own."""
UNMATCHED: Final = "unmatched"
ID_OF_REQUEST: Final = web.RequestKey("request_id", str)
"""The request id, for a handler that sends its headers itself."""
TIME_OF_REQUEST: Final = web.RequestKey("time_of_request", float)
"""Unix seconds of the service's clock, for the same handlers."""

Next = Callable[[web.Request], Awaitable[web.StreamResponse]]
Answered = tuple[int, bytes]
"""The status, and the whole answer's bytes."""


@dataclass(slots=True)
class CallFigures:
    """Counts calls by method, route and status. The routes bound its size, however many paths are tried."""

    counts: dict[tuple[str, str, int], int] = field(default_factory=dict)
    seconds: dict[tuple[str, str, int], float] = field(default_factory=dict)

    def note(self, method: str, route: str, status: int, took_s: float) -> None:
        key = (method if route != UNMATCHED else "", route, status)
        self.counts[key] = self.counts.get(key, 0) + 1
        self.seconds[key] = self.seconds.get(key, 0.0) + took_s


class Edge:
    """The outermost layer of the application."""

    def __init__(
        self,
        figures: CallFigures,
        *,
        callers: Callers | None = None,
        tell: Callable[[str], None] = lambda line: None,
        now: Callable[[], float] = time,
    ) -> None:
        """``tell`` takes the lines of the access log.

        ``now`` is the service's clock: ``Date`` tells its time to pages, whose own clock may be wrong.
        """
        self._figures = figures
        self._callers = callers or Callers(Proxies())
        self._tell = tell
        self._now = now
        self._process = token_hex(4)
        self._numbers = count(1)

    @web.middleware
    async def around(self, request: web.Request, handler: Next) -> web.StreamResponse:
        """Handle the call. Turns every error of a call or its handler into a problem."""
        request_id, began = self._next_id(), perf_counter()
        peer = request.remote or ""
        if (caller := self._callers.address(peer, request.headers)) != peer:
            request = request.clone(remote=caller)
        request[ID_OF_REQUEST], request[TIME_OF_REQUEST] = request_id, self._now()
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = response_to_http(error)
        except Exception as error:
            response = self._refusal(error, request_id)
        if isinstance(response, Polled):
            response.request_id, response.at = request_id, self._now()
        elif not response.prepared:
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            response.headers[REQUEST_ID] = request_id
            response.headers["Date"] = http_date(self._now())
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else UNMATCHED
        took_s = perf_counter() - began
        self._note(request.method, route, response.status, took_s, caller, request_id)
        return response

    def at_once(
        self,
        call: RawRequestMessage,
        route: str,
        peer: str,
        answer: Callable[[RawRequestMessage, str], Answered | None],
    ) -> bytes | None:
        """Surround a call that is answered in the turn in which it is read; None where ``answer`` cannot answer it.

        ``answer`` receives the request id. Errors that it raises are left to the usual path, which handles the call
        again.
        """
        request_id, began = self._next_id(), perf_counter()
        try:
            answered = answer(call, request_id)
        except Exception as error:
            if not isinstance(error, DomainError):
                log.error("request %s failed on the short cut, and takes the usual path", request_id, exc_info=error)
            return None
        if answered is None:
            return None
        status, content = answered
        self._note(
            call.method, route, status, perf_counter() - began, self._callers.address(peer, call.headers), request_id
        )
        return content

    def _next_id(self) -> str:
        return f"{self._process}{next(self._numbers):08x}"

    def _refusal(self, error: Exception, request_id: str) -> web.Response:
        if kind_of(error) is INTERNAL:
            log.error("request %s failed", request_id, exc_info=error)
        elif kind_of(error).status == 503:
            log.warning("request %s was refused: %r", request_id, error)
        return response_to(error)

    def _note(self, method: str, route: str, status: int, took_s: float, caller: str, request_id: str) -> None:
        """Log and count the call by its route: a path may hold ids, and a query anything."""
        self._figures.note(method, route, status, took_s)
        self._tell(f"{method} {route} {status} {took_s * 1000:.1f} ms {_masked(caller)} {request_id}")


_masked: Final = lru_cache(maxsize=4096)(address_masked)
