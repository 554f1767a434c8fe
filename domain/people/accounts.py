"""The rules of who is one person: which account the shown claims lead to, and which accounts become it (R1, R2, R5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from domain.errors import RealNameMismatch
from domain.identifiers import phone_masked

MAX_FORMER_IDS: Final = 20
"""The limit of former ids. Beyond it the oldest are forgotten, with what they held."""


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """An account as stored: without openid or citizen ID, and with the whole phone of drivers only (``call_me``)."""

    id: str
    made_at: float
    phone_masked: str = ""
    person_key: str = ""
    """Empty until registration."""
    real_name: str = ""
    former_ids: tuple[str, ...] = ()
    united_with: str = ""
    """The account that this one was united into; empty for an account of its own."""
    phone: str = ""
    """The phone that a driver proved last; empty once another person has proved it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The identifiers that a caller has proved; empty where none was."""

    openid: str = ""
    phone: str = ""
    person_key: str = ""
    real_name: str = ""
    """The person's name, as registered or confirmed."""
    account_id: str = ""
    """The account that the caller is signed in as."""
    is_driver: bool = False


def chosen_account(candidates: Sequence[StoredAccount], shown: Shown) -> StoredAccount | None:
    """Choose the person's own account before one that can still become it.

    Without a person, an account that has one comes before others. Raises ``RealNameMismatch`` when the caller is signed in
    as another person.
    """
    if not shown.person_key:
        return min(candidates, key=lambda account: not account.person_key, default=None)
    if any(each.id == shown.account_id and each.person_key not in ("", shown.person_key) for each in candidates):
        raise RealNameMismatch
    mine = [each for each in candidates if each.person_key == shown.person_key]
    free = [each for each in candidates if not each.person_key]
    return next(iter((*mine, *free)), None)


def accounts_to_unite(
    candidates: Sequence[StoredAccount], chosen: StoredAccount | None, shown: Shown
) -> list[StoredAccount]:
    """Return the accounts that become the chosen one: a person was shown, and no person stands behind them."""
    return [each for each in candidates if each is not chosen and not each.person_key] if shown.person_key else []


def united_account(account: StoredAccount, shown: Shown, united: Sequence[StoredAccount]) -> StoredAccount:
    """Return the account with the shown claims, and with the ids of the accounts that are united with it."""
    former = dict.fromkeys((*account.former_ids, *(each.id for each in united)))
    return replace(
        account,
        phone_masked=phone_masked(shown.phone) if shown.phone else account.phone_masked,
        person_key=shown.person_key or account.person_key,
        real_name=shown.real_name or account.real_name,
        former_ids=tuple(former)[-MAX_FORMER_IDS:],
        phone=shown.phone if shown.phone and shown.is_driver else account.phone,
    )
