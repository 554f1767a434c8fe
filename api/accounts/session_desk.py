"""Shows an account its sessions, and ends those that its holder chooses."""

from __future__ import annotations

import msgspec

from api.accounts.session_records import Session, Way, session_id, session_key
from api.accounts.sessions import Sessions
from api.http.calls import Call
from api.http.link_tokens import checked_id
from api.http.listing import ListQuery
from api.shown.views import time_text
from domain.errors import NotFound


class SessionView(msgspec.Struct, frozen=True):
    """A session: how, when and from where it was started."""

    id: str
    kind: Way
    made_at: str
    last_used_at: str
    address_masked: str
    current: bool


class SessionItems(msgspec.Struct, frozen=True):
    """A page of sessions, newest first."""

    items: list[SessionView]
    next: str | None


class SessionsEnded(msgspec.Struct, frozen=True):
    """The number of sessions ended."""

    ended: int


class SessionDesk:
    """The handlers of ``/sessions``, except for signing in."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def list(self, call: Call[None, ListQuery]) -> SessionItems:
        """List the sessions that can use this account now. The time of last use is exact to five minutes."""
        page = await self._sessions.page(call.signed_in, call.query)
        used = await self._sessions.uses.last([key for key, _ in page.sessions])
        current = session_key(call.token)
        items = [
            _view(key, session, used_at=used.get(key, session.started_at), current=key == current)
            for key, session in page.sessions
        ]
        return SessionItems(items, page.next)

    async def sign_out(self, call: Call[None, None]) -> None:
        """End the caller's session. Its token becomes invalid, and its live streams end."""
        await self._sessions.end([session_key(call.token)], call.signed_in, address=call.address)

    async def end(self, call: Call[None, None]) -> None:
        """End one of this account's own sessions. Its live streams end at the same moment."""
        wanted, account = checked_id(call.http.match_info["id"]), call.signed_in
        keys = [key for key, _ in await self._sessions.all_of(account) if session_id(key) == wanted]
        if not keys:
            raise NotFound
        await self._sessions.end(keys, account, address=call.address)

    async def end_others(self, call: Call[None, None]) -> SessionsEnded:
        """End all of this account's sessions except the caller's. Their live streams end at the same moment."""
        account, current = call.signed_in, session_key(call.token)
        keys = [key for key, _ in await self._sessions.all_of(account) if key != current]
        await self._sessions.end(keys, account, address=call.address)
        return SessionsEnded(len(keys))


def _view(key: str, session: Session, *, used_at: float, current: bool) -> SessionView:
    return SessionView(
        id=session_id(key),
        kind=session.way,
        made_at=time_text(session.started_at),
        last_used_at=time_text(max(used_at, session.started_at)),
        address_masked=session.address_masked,
        current=current,
    )
