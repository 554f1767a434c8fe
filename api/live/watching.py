"""Lets a family member watch live: server-sent events that begin, resume and end with the share (R31-R34)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Final

import msgspec
from aiohttp import web

from actors.people.documents import SHARE
from actors.people.share_link import ViewShare
from actors.shard import Actors
from actors.vehicles.vehicle import KIND as VEHICLE
from actors.vehicles.vehicle import Look, VehicleView
from actors.vehicles.watch import Moved
from api.accounts.accounts import NaturalAccount, natural_of
from api.accounts.session_records import session_key
from api.accounts.sessions import Sessions
from api.http.calls import Call
from api.http.link_tokens import checked_id
from api.live.event_stream import HEARTBEAT, EventStream, Gone, Heart, event
from api.live.resume import Delivered
from api.live.stream import LiveStream
from api.ports import Services
from api.shown.alert_history import AlertHistory, concerns
from api.shown.views import AlertView, LastFix, Sighting, alert_view, last_fix
from domain.errors import Busy, ShareEnded, Unauthenticated
from domain.people.share import EndReason, Share
from domain.vehicle.alerts import Alert
from domain.vehicle.vehicle import heard_at
from persistence.store import StoreError

FULL_RETRY_S: Final = 30.0
COME_LATER: Final = b"retry: 60000\n\n"
"""Sent to a stream that the account's newer stream replaces; otherwise the two would replace each other for ever."""
SLICE_S: Final = 0.002
"""Longest time that one turn of the loop spends sending, so that sockets and timers get their turns between."""
MISSED_AT_ONCE: Final = 16
MAX_MISSED: Final = 500
"""The newest alerts searched by a resume; older ones stand in the list of alerts."""


class Position(LastFix, frozen=True):
    """The vehicle is here now."""

    online: bool


class Presence(msgspec.Struct, frozen=True):
    """The vehicle is online or offline from now on (R32)."""

    online: bool
    last_fix: LastFix | None


class Ended(msgspec.Struct, frozen=True):
    """车辆动态已结束 (R33)."""

    id: str
    reason: EndReason


EVENTS: Final = (("position", Position), ("presence", Presence), ("alert", AlertView), ("ended", Ended))


class LiveDesk:
    """The handler of the live stream, and the keeper of the open streams."""

    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._services = services
        self._sessions = sessions
        self._supervisor: Actors = services.supervisor
        self._clock = services.clock
        self._limits = services.stream_limits
        self._history = AlertHistory(services.store)
        self._heart = Heart(self._limits.heartbeat_s)
        self._open = 0
        self._streams: dict[str, list[LiveStream]] = {}
        """Streams by account, oldest first."""
        self._due: deque[LiveStream] = deque()
        """Streams with news, each once."""
        self._is_telling = False
        self._beaten: list[LiveStream] = []
        self._checking: set[asyncio.Task[None]] = set()
        self._told: tuple[Moved | None, int, bytes] = None, 0, b""
        """The position sent last, its second of our clock, and its encoding, which its other viewers share."""
        self._is_closed = False
        self._all_left: asyncio.Future[None] | None = None
        sessions.on_end = self.session_ended

    def add_to(self, app: web.Application) -> None:
        """Beat while the application runs, and end all streams when it stops: clients reconnect and resume."""

        async def beat(_: web.Application) -> AsyncIterator[None]:
            beating = asyncio.create_task(self._heart.run())
            yield
            for task in (running := [beating, *self._checking]):
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            if self._open:  # no longer than a farewell takes
                self._all_left = asyncio.get_running_loop().create_future()
                await self._all_left

        async def close(_: web.Application) -> None:
            self._is_closed = True
            for streams in list(self._streams.values()):
                for stream in streams:
                    stream.end(None)

        app.cleanup_ctx.append(beat)
        app.on_shutdown.append(close)

    @property
    def open_streams(self) -> int:
        """Count the open streams."""
        return self._open

    async def live(self, call: Call[None, None]) -> web.StreamResponse:
        """Send the current position and presence, then every change. The stream ends at the same moment as the share.

        Resumes by ``Last-Event-ID``: alerts that began or ended meanwhile are sent again. A heartbeat comment comes
        every 15 seconds.
        """
        account, share_id = natural_of(call.account), checked_id(call.http.match_info["id"])
        key = session_key(call.token)
        until = await self._sessions.expiry(key)
        stream = LiveStream(self, share_id, account_id=account.id, session_key=key, session_until=until)
        self._admit(stream)
        try:
            return await self._open_for(stream, account, call.http)
        except BaseException:
            self.leave(stream)
            raise

    def session_ended(self, account_ids: Sequence[str], key: str) -> None:
        """Close a session's streams in the turn in which it ends; a stream may be older than the account's present id."""
        for account_id in account_ids:
            for stream in self._streams.get(account_id, ()):
                if stream.session_key == key:
                    stream.end(None)

    # -- admission -----------------------------------------------------------------------------------------------------

    def _admit(self, stream: LiveStream) -> None:
        if self._is_closed or self._open >= self._limits.streams:
            raise Busy(retry_after_s=FULL_RETRY_S)
        self._open += 1
        streams = self._streams.setdefault(stream.account_id, [])
        streams.append(stream)
        if len(streams) > self._limits.streams_of_account:
            streams.pop(0).end(None, come_later=True)

    def leave(self, stream: LiveStream) -> None:
        """Remove a stream without a client; it hears nothing any longer."""
        self._open -= 1
        streams = self._streams.get(stream.account_id, [])
        if stream in streams:
            streams.remove(stream)
        if not streams:
            self._streams.pop(stream.account_id, None)
        self._heart.remove(stream, stream.heart_part)
        self._supervisor.unwatch(SHARE, stream.share_id, stream.hear)
        if stream.share is not None:
            self._supervisor.unwatch(VEHICLE, stream.share.vehicle_id, stream.hear)
        if self._all_left is not None and not self._open:
            self._all_left.set_result(None)

    def beat(self, stream: LiveStream) -> None:
        """Queue the stream's session for checking; one task checks those whose beats coincide."""
        if self._is_over(stream) or stream.line is None:
            return
        if not stream.line.is_blocked:
            stream.line.send(HEARTBEAT)
        if not stream.is_being_checked:
            stream.is_being_checked = True
            self._beaten.append(stream)
            if len(self._beaten) == 1:
                checking = asyncio.create_task(self._check_beaten())
                self._checking.add(checking)
                checking.add_done_callback(self._checking.discard)

    async def _check_beaten(self) -> None:
        beaten, self._beaten = self._beaten, []
        for stream in beaten:
            if stream.over is None and stream.line is not None:
                await self._still_may(stream)
            stream.is_being_checked = False

    async def _still_may(self, stream: LiveStream) -> None:
        """Tell whether the session goes on, and if so note the watching (R63). A failure of ours ends nothing (R33)."""
        try:
            await self._sessions.find_by_key(stream.session_key)
            self._services.watch_log.note(stream.share_id, self._clock.now())
        except Unauthenticated:
            stream.end(None)
        except (StoreError, Busy):
            pass

    # -- opening -------------------------------------------------------------------------------------------------------

    async def _open_for(self, stream: LiveStream, account: NaturalAccount, request: web.Request) -> web.StreamResponse:
        """Send the head; from then on the stream needs no handler."""
        await self._begin(stream, account, request.headers.get("Last-Event-ID"))
        if stream.over is not None:
            raise ShareEnded if stream.over.reason else Busy
        events = EventStream(request, stalled_s=self._limits.stalled_s)
        try:
            await events.open()
            stream.line = events.hand_over(stream)
        except Gone:
            events.cut()
            self.leave(stream)
            return events.response
        except BaseException:
            events.cut()
            raise
        stream.heart_part = self._heart.add(stream)
        if stream.over is not None:
            self.take_leave(stream)
        self.tell_soon(stream)
        return events.response

    async def _begin(self, stream: LiveStream, account: NaturalAccount, last_event_id: str | None) -> None:
        """Subscribe before reading the state, so that no end or change is missed.

        Raises ``NotFound`` or ``ShareEnded``.
        """
        supervisor = self._supervisor
        await supervisor.watch(SHARE, stream.share_id, stream.hear)
        share = await supervisor.ask(stream.share_id, ViewShare(account.ids))
        stream.share = share
        await supervisor.watch(VEHICLE, share.vehicle_id, stream.hear)
        view = await supervisor.ask(share.vehicle_id, Look())
        told = () if view is None else view.alerts
        delivered = Delivered.parse(last_event_id)
        if delivered is not None:
            alerts = told if delivered.is_told_by(told) else await self._newest(share, view)
            stream.missed = delivered.missed(alert for alert in alerts if concerns(alert, share.created_at))
        stream.delivered = delivered or Delivered.of(told)
        stream.opening = self._first(stream, view)

    async def _newest(self, share: Share, view: VehicleView | None) -> Sequence[Alert]:
        return await self._history.newest(share.vehicle_id, view, limit=MAX_MISSED, since=share.created_at)

    # -- telling -------------------------------------------------------------------------------------------------------

    def tell_soon(self, stream: LiveStream) -> None:
        """Queue the stream to send in its turn, as soon as its client takes anything."""
        if stream.line is None or stream.line.is_blocked or stream.is_due:
            return
        stream.is_due = True
        self._due.append(stream)
        if not self._is_telling:
            self._is_telling = True
            asyncio.get_running_loop().call_soon(self._tell_due)

    def _tell_due(self) -> None:
        due, until = self._due, perf_counter() + SLICE_S
        try:
            while due:
                self._tell(due.popleft())
                if perf_counter() >= until:
                    break
        finally:  # whatever fails, the other streams get their turn
            self._is_telling = bool(due)
            if due:
                asyncio.get_running_loop().call_soon(self._tell_due)

    def _tell(self, stream: LiveStream) -> None:
        """Send everything that the client takes now."""
        stream.is_due, line = False, stream.line
        if line is None:
            return
        try:
            while not (line.is_blocked or self._is_over(stream)):
                chunk = stream.take_opening() or self._missed(stream) or self._news(stream)
                if not chunk:
                    break
                line.send(chunk)
        except BaseException:
            line.cut()
            raise

    def _is_over(self, stream: LiveStream) -> bool:
        share = stream.share
        if stream.over is None and share is not None and self._clock.now() >= share.expires_at:
            stream.end("expired")  # the clock decides, whether or not an actor was woken
        if stream.over is None and self._clock.now() >= stream.session_until:
            stream.end(None)
        return stream.over is not None

    def take_leave(self, stream: LiveStream) -> None:
        """Say farewell in the same turn in which the stream ends (R33)."""
        over, line = stream.over, stream.line
        if over is None or line is None:
            return
        if line.is_blocked:
            line.cut()
            return
        if over.reason is not None:
            line.send(event("ended", Ended(stream.share_id, over.reason)))
        elif over.come_later:
            line.send(COME_LATER)
        line.close()

    # -- encoding ------------------------------------------------------------------------------------------------------

    def _first(self, stream: LiveStream, view: VehicleView | None) -> bytes:
        """Encode the current position and presence, with the id to resume from."""
        event_id = str(stream.delivered)
        if view is None or view.newest is None:
            return event("presence", Presence(online=False, last_fix=None), event_id=event_id)
        stream.fixed_at, stream.online = view.fixed_at, view.online
        presence = Presence(view.online, last_fix(view, self._services.place_of))
        return event("position", self._position(view)) + event("presence", presence, event_id=event_id)

    def _missed(self, stream: LiveStream) -> bytes:
        """Encode the next few alerts from the client's absence."""
        if not stream.missed:
            return b""
        alerts, stream.missed = stream.missed[:MISSED_AT_ONCE], stream.missed[MISSED_AT_ONCE:]
        return b"".join([self._alert(stream, alert) for alert in alerts])

    def _news(self, stream: LiveStream) -> bytes:
        """Take the client's news from the stream, and encode it."""
        moved, presence, alerts = stream.moved, stream.presence, stream.alerts
        stream.moved = stream.presence = None
        chunk = b""
        if moved is not None and self._is_newer(moved, stream):
            stream.fixed_at = moved.fixed_at
            chunk = self._moved(moved)
        if presence is not None and presence.online != stream.online:
            stream.online = presence.online
            seen = last_fix(replace(presence, at=self._clock.now()), self._services.place_of)
            chunk += event("presence", Presence(presence.online, seen))
        if alerts and stream.share is not None:
            stream.alerts = {}
            news = [alert for alert in alerts.values() if concerns(alert, stream.share.created_at)]
            chunk += b"".join([self._alert(stream, alert) for alert in stream.delivered.missed(news)])
        return chunk

    def _moved(self, moved: Moved) -> bytes:
        """Encode a position once for all viewers told in the same second, who come one after the other."""
        now = self._clock.now()
        told, second, chunk = self._told
        if told is not moved or second != int(now):
            chunk = event("position", self._position(replace(moved, at=now)))
            self._told = moved, int(now), chunk
        return chunk

    def _position(self, seen: VehicleView | Moved) -> Position:
        fix = last_fix(seen, self._services.place_of)
        assert fix is not None
        return Position(**msgspec.structs.asdict(fix), online=self._is_online(seen))

    def _is_newer(self, moved: Moved, stream: LiveStream) -> bool:
        """Tell whether the position is newer. An earlier one dated ahead of now by a wrong clock gives way (R50)."""
        told_ahead = stream.fixed_at - moved.at > self._services.fleet.profile.future_s
        return moved.fixed_at > stream.fixed_at or (told_ahead and moved.fixed_at != stream.fixed_at)

    def _is_online(self, seen: Sighting) -> bool:
        profile = self._services.fleet.profile
        return seen.at - heard_at(seen, profile) < profile.offline_after_s

    def _alert(self, stream: LiveStream, alert: Alert) -> bytes:
        """Encode an alert with the id of a client that has it."""
        stream.delivered.note(alert)
        return event("alert", alert_view(alert, self._services.place_of), event_id=str(stream.delivered))
