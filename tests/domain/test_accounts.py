"""R1, R2, R5: what is shown leads to one account, a person never has two, and no person becomes another."""

from __future__ import annotations

import pytest

from domain.errors import RealNameMismatch
from domain.people.accounts import (
    MAX_FORMER_IDS,
    Shown,
    StoredAccount,
    accounts_to_unite,
    chosen_account,
    united_account,
)

PHONE = "13800000001"
NEW = StoredAccount("new", 1.0)
OF_ANNA = StoredAccount("anna", 1.0, person_key="a", real_name="安")
OF_BORIS = StoredAccount("boris", 1.0, person_key="b", real_name="包")
ANNA = Shown(phone=PHONE, person_key="a", real_name="安")


def test_r2_a_person_keeps_their_account_and_the_other_one_becomes_it() -> None:
    candidates = [NEW, OF_ANNA]
    assert chosen_account(candidates, ANNA) is OF_ANNA
    assert accounts_to_unite(candidates, OF_ANNA, ANNA) == [NEW]
    assert united_account(OF_ANNA, ANNA, [NEW]).former_ids == ("new",)


def test_r2_a_person_without_an_account_takes_the_free_one() -> None:
    assert chosen_account([OF_BORIS, NEW], ANNA) is NEW
    named = united_account(NEW, ANNA, [])
    assert (named.person_key, named.real_name, named.phone_masked) == ("a", "安", "138****0001")


def test_r2_a_person_never_becomes_another() -> None:
    assert accounts_to_unite([OF_BORIS, NEW], NEW, ANNA) == []
    assert chosen_account([OF_BORIS], ANNA) is None
    with pytest.raises(RealNameMismatch):
        chosen_account([OF_BORIS], Shown(person_key="a", account_id="boris"))


def test_r5_a_phone_alone_leads_to_the_person_before_a_nameless_account_and_unites_nothing() -> None:
    shown = Shown(phone=PHONE)
    assert chosen_account([NEW, OF_ANNA], shown) is OF_ANNA
    assert chosen_account([], shown) is None
    assert accounts_to_unite([NEW, OF_ANNA], OF_ANNA, shown) == []


@pytest.mark.parametrize("is_driver", [True, False])
def test_a_whole_phone_is_kept_of_drivers_only(is_driver: bool) -> None:
    assert united_account(NEW, Shown(phone=PHONE, is_driver=is_driver), []).phone == (PHONE if is_driver else "")


def test_the_oldest_former_ids_are_forgotten() -> None:
    others = [StoredAccount(str(number), 1.0) for number in range(MAX_FORMER_IDS + 1)]
    former = united_account(OF_ANNA, ANNA, others).former_ids
    assert (len(former), former[0], former[-1]) == (MAX_FORMER_IDS, "1", str(MAX_FORMER_IDS))
