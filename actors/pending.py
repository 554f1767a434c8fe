"""What of a person's command is still to be undone or finished with a link and a vehicle, and how?"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from actors.document_actor import DocumentActor
from actors.people import SHARE
from actors.runtime import MailboxFull
from actors.share_link import Discard, EndShare
from actors.supervisor import Supervisor
from actors.vehicle import KIND as VEHICLE
from actors.vehicle_shares import GrantShare, ReleaseShare
from domain.audit import Doer
from domain.errors import Busy, NotFound
from domain.share import EndReason
from persistence.store import StoreError

log = logging.getLogger(__name__)

AnyActor = DocumentActor[Any]


@dataclass(frozen=True, slots=True)
class Pending:
    """A share that is to be undone (``grant``: it was begun), or whose end is to be finished (``end``: it was decided)."""

    kind: Literal["grant", "end"]
    share_id: str
    vehicle_id: str
    doer: Doer
    reason: EndReason = "cancelled"


async def carry_out(actor: AnyActor, pending: Sequence[Pending]) -> tuple[list[Pending], list[Pending]]:
    """Tells all links first, so that none goes on showing anything while a vehicle is slow.

    Returns those whose links could not be told, and all that is left to be done for whatever reason.
    """
    told = [each for each in pending if await _tell_link(actor, each)]
    done = [each for each in told if await _release(actor, each)]
    return [each for each in pending if each not in told], [each for each in pending if each not in done]


async def _tell_link(actor: AnyActor, each: Pending) -> bool:
    message = Discard() if each.kind == "grant" else EndShare(each.reason, each.doer)
    try:
        await actor.consult(SHARE, each.share_id, message)
    except (StoreError, Busy) as error:
        log.warning("%s tells a link later: %r", actor.actor_urn, error)
        return False
    return True


async def _release(actor: AnyActor, each: Pending) -> bool:
    try:
        await ask_vehicle(actor, each.vehicle_id, ReleaseShare(each.share_id))
    except (StoreError, Busy) as error:
        log.warning("%s tells a vehicle later: %r", actor.actor_urn, error)
        return False
    return True


async def ask_vehicle(actor: AnyActor, vehicle_id: str, message: GrantShare | ReleaseShare) -> None:
    """A vehicle that the registry does not know any more can't be shared, and has nothing to release."""
    answer = await actor.consult(VEHICLE, vehicle_id, message)
    if answer is None and isinstance(message, GrantShare):
        raise NotFound


def leave_word(supervisor: Supervisor, ending: Pending) -> None:
    """A link that fell hears of its end before whoever comes next, however soon it is back (R33)."""
    link = supervisor.actors(SHARE).get(ending.share_id)
    if link is not None and link.is_suspended:
        try:
            link.tell(EndShare(ending.reason, ending.doer))
        except MailboxFull:
            log.warning("a link that fell has too much waiting to leave word with it")
