"""The actor of one share link: an opening is durable before it is answered, and the end cuts the streams."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, assert_never

from actors.people.audit import audit_document
from actors.people.document_actor import DocumentActor, Wake
from actors.people.documents import SHARE, share_document, share_entries
from actors.system.asks import Ask
from domain.errors import NotFound, ShareEnded
from domain.people.audit import PLATFORM, Doer, audit_record
from domain.people.share import EndReason, LinkState, Share, Viewer, end, end_reason, link_state, open_link
from persistence.records import decode
from persistence.store import Document, IndexEntry, Put, Store

LOOK_S: Final = 86_400.0
"""The longest that a link's own timer sleeps: a clock forgets no timer, and would hold a sleeping link for as long."""
ACTIONS: Final[Mapping[EndReason, str]] = {
    "cancelled": "share_cancelled",
    "expired": "share_expired",
    "unbound": "share_ended",
}
"""Maps an end reason to the audit's word for it."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The part of a link that a preview may tell."""

    state: LinkState
    plate: str
    driver_name: str
    is_own: bool = False
    """The account that asks made the link."""
    viewer: Viewer | None = None
    """The person who opened the link, told to its driver only (R63)."""


@dataclass(frozen=True, slots=True)
class PreviewLink(Ask[Preview]):
    """A reader asks what the token stands for, and claims nothing. Answered with a ``Preview``; raises ``NotFound``."""

    kind: ClassVar[str] = SHARE

    token_hash: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenLink(Ask[Share]):
    """An account opens the link (R20). Answered with the share.

    Raises ``NotFound``, ``ShareEnded``, ``OwnLink`` or ``LinkTaken``.
    """

    kind: ClassVar[str] = SHARE

    token_hash: str
    ids: tuple[str, ...]
    """Every account id that the opener ever had, the present one first."""
    doer: Doer


@dataclass(frozen=True, slots=True)
class ViewShare(Ask[Share]):
    """An account asks to watch now. Answered with the share; raises ``NotFound`` or ``ShareEnded`` (R33)."""

    kind: ClassVar[str] = SHARE

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WakeShare(Wake):
    """The share has ended, or may have."""

    kind: ClassVar[str] = SHARE


Message = PreviewLink | OpenLink | ViewShare | WakeShare


@dataclass(frozen=True, slots=True)
class ShareOver:
    """The link shows nothing any longer; told to all that watch it."""

    share_id: str
    reason: EndReason


class ShareLinkActor(DocumentActor["Share | None"]):
    """A share link. Its timer ends it in time, and every question before that is answered by the clock."""

    __slots__ = ()

    kind: ClassVar[str] = SHARE
    wake: ClassVar[Wake] = WakeShare()

    def value_of(self, document: Document | None) -> Share | None:
        return None if document is None else decode(document.record, Share)

    def entries(self, value: Share | None) -> tuple[IndexEntry, ...]:
        assert value is not None
        return share_entries(value)

    def is_look(self, message: Message) -> bool:
        return self.value is None or isinstance(message, ViewShare | PreviewLink)

    def handle(self, message: Message) -> Any:
        share = self.value
        if share is None:
            return self._handle_blank(message)
        match message:
            case ViewShare():
                return self._view(share, message)
            case PreviewLink():
                return self._preview(share, message)
            case OpenLink():
                return self._open(share, message)
            case WakeShare():
                return self._expire(share)
            case _:
                assert_never(message)

    def _handle_blank(self, message: Message) -> None:
        """Answer for a share that does not exist, and go at once: guessed ids must not fill the memory."""
        if not isinstance(message, WakeShare):
            asyncio.get_running_loop().call_soon(self.house.supervisor.passivate, SHARE, self.key, self)
            raise NotFound

    def outdate(self) -> None:
        """Read at once while the link is watched: the person's actor may have ended it and be unable to tell the
        streams.
        """
        super().outdate()
        if self.house.supervisor.is_watched(SHARE, self.key):
            self.wake_at(self.house.clock.now())

    # -- looking -----------------------------------------------------------------------------------------------------

    def _view(self, share: Share, message: ViewShare) -> Share:
        now = self.house.clock.now()
        if share.viewer is None or share.viewer.account_id not in message.ids:
            raise NotFound
        if end_reason(share, now) is not None:
            raise ShareEnded
        self.house.watch_log.note(self.key, now)
        return share

    def _preview(self, share: Share, message: PreviewLink) -> Preview:
        _check_token(share, message.token_hash)
        state, own = link_state(share, message.ids, self.house.clock.now()), share.driver_id in message.ids
        return Preview(state, share.plate, share.driver_name, own, share.viewer if own else None)

    # -- changing ----------------------------------------------------------------------------------------------------

    async def _open(self, share: Share, message: OpenLink) -> Share:
        _check_token(share, message.token_hash)
        now = self.house.clock.now()
        opened = open_link(share, Viewer(message.ids[0], message.doer.display_name, now), ids=message.ids)
        if opened is not share:
            await self.commit(opened, _audit("share_opened", message.doer, opened, now))
        self.house.watch_log.note(self.key, now)
        return opened

    # -- its time ----------------------------------------------------------------------------------------------------

    def arm(self) -> None:
        if self.value is not None and self.value.ended is None:
            self.wake_at(min(self.value.expires_at, self.house.clock.now() + LOOK_S))

    def on_wake(self, now: float) -> None:
        """Cut the streams here and now, even if the mailbox has to wait: for a store, or because this actor failed."""
        share = self.value
        if not self.is_stopped and share is not None and share.ended is None and now >= share.expires_at:
            self._announce("expired")
        super().on_wake(now)

    async def _expire(self, share: Share) -> None:
        """End the share if its time has come, and announce an end that another actor has committed."""
        if share.ended is not None:
            self._announce(share.ended.reason)
            return
        if self.house.clock.now() < share.expires_at:
            self.arm()
            return
        self._announce("expired")
        if not self.house.clock.is_settled:  # R50: a write made now could never be taken back.
            self.come_back()
            return
        ended = end(share, "expired", at=share.expires_at)
        await self.commit(ended, _audit("share_expired", PLATFORM, ended, share.expires_at))

    def _announce(self, reason: EndReason) -> None:
        self.house.supervisor.announce(SHARE, self.key, ShareOver(self.key, reason))


async def ends_of(store: Store, share_ids: Sequence[str], reason: EndReason, doer: Doer, *, at: float) -> list[Put]:
    """Return the writes that end these shares (R15, R21), opened or not. Raises ``StoreError``.

    A share that has ended stays as it is.
    """
    writes = []
    for document in (await store.get(SHARE, share_ids)).values():
        share = decode(document.record, Share)
        ended = end(share, reason, at=at)
        if ended is not share and ended.ended is not None:
            audit = _audit(ACTIONS[ended.ended.reason], doer, ended, ended.ended.at)
            writes += [share_document(ended, version=document.version), audit]
    return writes


def _audit(action: str, doer: Doer, share: Share, at: float) -> Put:
    accounts = (share.driver_id, *((share.viewer.account_id,) if share.viewer else ()))
    record = audit_record(action, doer, at=at, subject=("share", share.id), accounts=accounts, detail=share.plate)
    return audit_document(record)


def _check_token(share: Share, token_hash: str) -> None:
    """Raise ``NotFound`` unless the caller has the link's token."""
    if not hmac.compare_digest(share.token_hash, token_hash):
        raise NotFound
