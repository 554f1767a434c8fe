"""Answers a family's poll in the turn in which it is read, where no wait is needed (R31)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiohttp import HttpVersion11
from aiohttp.http_parser import RawRequestMessage

from api.accounts.accounts import NaturalAccount
from api.accounts.sessions import Sessions, bearer
from api.http.edge import Answered, Edge
from api.http.link_tokens import checked_id
from api.shown.share_view import ShareViews
from api.sides.family import HEAD

ROUTE: Final = "/api/v1/family/shares/{id}"
_BEFORE_ID: Final = ROUTE.removesuffix("{id}")
_UNUSUAL: Final = frozenset(["Expect", "Transfer-Encoding", "Upgrade"])


class PollsAtOnce:
    """The short cut past aiohttp's tasks, routes and requests for polls, which are nearly all calls.

    It saves half of a poll's time, and answers from the same parts as the usual path (``FamilyDesk.share``). Where
    anything is not at hand, not allowed or out of the ordinary, it has changed nothing, and the call takes that path.
    """

    def __init__(self, edge: Edge, sessions: Sessions, views: ShareViews, *, now: Callable[[], float]) -> None:
        """``now``: Unix seconds of the service's clock."""
        self._edge = edge
        self._now = now
        self._sessions = sessions
        self._views = views

    def answer(self, call: RawRequestMessage, peer: str) -> bytes | None:
        """Return the whole answer, or None; the connection stays open. ``call`` has no body."""
        if call.method != "GET" or not call.path.startswith(_BEFORE_ID):
            return None
        if call.version != HttpVersion11 or call.should_close or not _UNUSUAL.isdisjoint(call.headers):
            return None
        return self._edge.at_once(call, ROUTE, peer, self._answer)

    def _answer(self, call: RawRequestMessage, request_id: str) -> Answered | None:
        """Answer the poll. Raises any error that the usual path is to report."""
        share_id = checked_id(call.path[len(_BEFORE_ID) :])
        account = self._sessions.at_hand(bearer(call.headers))
        seen = self._views.see_at_once(share_id, account.ids) if isinstance(account, NaturalAccount) else None
        if seen is None:
            return None
        etag, body = self._views.told(seen, call.headers.get("If-None-Match"))
        status, length = (304, None) if body is None else (200, len(body))
        head = HEAD.of(status, etag=etag, length=length, request_id=request_id, connection="", at=self._now())
        return status, head if body is None else head + body
