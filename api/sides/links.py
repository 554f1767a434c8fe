"""The calls of a link's recipient: a preview claims nothing, opening claims it for one person (R20, R23, R33)."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from actors.people.documents import DELEGATION
from actors.people.person import OpenDelegation, PreviewDelegation
from actors.people.share_link import OpenLink, Preview, PreviewLink
from api.accounts.accounts import NaturalAccount, natural_of
from api.http.calls import Call
from api.http.gates import Gates
from api.http.link_tokens import LinkKind, LinkToken, read_token
from api.ports import Services
from api.shown.share_view import ShareView, ShareViews
from api.shown.views import time_text
from domain.errors import NotFound
from domain.identifiers import PlateColor, name_masked, plate_masked
from domain.people.delegation import Delegation
from domain.people.share import LinkState, Share
from persistence.records import decode

MAX_TOKEN_CHARS: Final = 200


class LinkRequest(msgspec.Struct, frozen=True):
    """A link's token, in the body because paths and queries are logged.

    The client removes text that a chat appended to it.
    """

    token: Annotated[str, Meta(max_length=MAX_TOKEN_CHARS)]


class LinkViewer(msgspec.Struct, frozen=True):
    """The one person who opened a link (R63)."""

    display_name: str
    opened_at: str


class LinkPreview(msgspec.Struct, frozen=True):
    """The part of a link that its recipient may know before opening it."""

    kind: LinkKind
    plate_masked: str
    driver_name_masked: str
    state: LinkState
    own: bool
    viewer: LinkViewer | None
    """Shown only to the driver who made the link (``own``)."""


class OpenedDelegation(msgspec.Struct, frozen=True):
    """The vehicle that the family member is asked to bind, and the driver who asks."""

    id: str
    plate: str
    plate_color: PlateColor
    driver_name_masked: str


class LinksDesk:
    """The handlers of ``/links``."""

    def __init__(self, services: Services, gates: Gates, views: ShareViews) -> None:
        self._services = services
        self._gates = gates
        self._views = views

    async def preview(self, call: Call[LinkRequest, None]) -> LinkPreview:
        """Describe a link without claiming it, and without sign-in.

        A signed-in caller learns whether the link is theirs. Guessing is counted (R61).
        """
        ids = () if call.account is None else call.account.ids
        link = read_token(call.body.token)
        async with self._gates.link_token(call.address):
            preview = await self._preview(link, ids)
        return _preview_view(link.kind, preview)

    async def open(self, call: Call[LinkRequest, None]) -> ShareView | OpenedDelegation:
        """Open a link: the first account to do so owns it, and may come back (R20, R23). Guessing is counted (R61)."""
        account = natural_of(call.account)
        link = read_token(call.body.token)
        async with self._gates.link_token(call.address):
            opened = await self._open(link, account, call)
        if isinstance(opened, Share):
            return self._views.compose(await self._views.look(opened))
        return OpenedDelegation(opened.id, opened.plate, opened.plate_color, name_masked(opened.driver_name))

    async def _preview(self, link: LinkToken, ids: tuple[str, ...]) -> Preview:
        ask = self._services.supervisor.ask
        if link.kind == "share":
            return await ask(link.id, PreviewLink(link.hash, ids))
        return await ask(await self._delegator(link.id), PreviewDelegation(link.id, link.hash, ids))

    async def _open(
        self, link: LinkToken, account: NaturalAccount, call: Call[LinkRequest, None]
    ) -> Share | Delegation:
        ask = self._services.supervisor.ask
        if link.kind == "share":
            return await ask(link.id, OpenLink(link.hash, account.ids, call.doer))
        command = OpenDelegation(link.id, link.hash, account.ids, call.doer)
        return await ask(await self._delegator(link.id), command)

    async def _delegator(self, delegation_id: str) -> str:
        """Return the driver who made the delegation. Raises ``NotFound``."""
        document = (await self._services.store.get(DELEGATION, (delegation_id,))).get(delegation_id)
        if document is None:
            raise NotFound
        return decode(document.record, Delegation).driver_id


def _preview_view(kind: LinkKind, preview: Preview) -> LinkPreview:
    viewer = preview.viewer
    return LinkPreview(
        kind=kind,
        plate_masked=plate_masked(preview.plate),
        driver_name_masked=name_masked(preview.driver_name),
        state=preview.state,
        own=preview.is_own,
        viewer=None if viewer is None else LinkViewer(viewer.display_name, time_text(viewer.opened_at)),
    )
