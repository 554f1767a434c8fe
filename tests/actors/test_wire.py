"""Tests that all messages of actors cross to another process unchanged, and that none can be forgotten."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar, assert_type, get_args, get_type_hints

import pytest

import actors
from actors.people.business import UnbindAsOwner
from actors.people.deadlines import DeadlinesActor
from actors.people.document_actor import DocumentActor, Wake
from actors.people.documents import BUSINESS, PERSON, SHARE
from actors.people.person import LookAtDriver, WakePerson
from actors.people.share_link import ShareOver, WakeShare
from actors.system.asks import A, Ask, answer_type
from actors.system.runtime import REFUSALS as ANSWERED_REFUSALS
from actors.system.runtime import Actor, ActorFailed
from actors.system.supervisor import Supervisor
from actors.vehicles.vehicle import KIND as VEHICLE
from actors.vehicles.vehicle import Look, RegistryChanged, Report, VehicleView
from actors.vehicles.watch import Announcement
from actors.wire import (
    ASKS,
    EVENTS,
    REFUSALS,
    Uncrossable,
    decode_answer,
    decode_event,
    decode_message,
    decode_outcomes,
    decode_refusal,
    encode_answer,
    encode_event,
    encode_message,
    encode_refusal,
)
from domain.errors import DomainError, NotFound, TooManyBindings
from domain.vehicle import alarm_bits as bits
from domain.vehicle.fix import Batch, Fix
from domain.vehicle.quality import Outcome
from persistence.sqlite.store import SqliteStore
from persistence.store import StoreError, StoreUnavailable
from tests.actors import people_house
from tests.actors.people_house import T0, PeopleHouse, dont_wait_for_the_disk, owner_doer

T = TypeVar("T")

FOLDER = Path(actors.__file__).parent
FIX = Fix("11", int(T0), 114_300_000, 30_600_000, 30, 700, 90, bits.EMERGENCY, 3, 0)


# -- the tables ------------------------------------------------------------------------------------------------------


def below(kind: type) -> Iterator[type]:
    """Yield all subclasses that the program has."""
    direct: list[type] = kind.__subclasses__()
    for each in direct:
        yield each
        yield from below(each)


def taken_by(kinds: Iterable[type]) -> set[type]:
    """Return the messages that these actors take, by the types that their handlers name."""
    taken: set[type] = set()
    for kind in kinds:
        handler = kind.handle if issubclass(kind, DocumentActor) else kind.on_receive  # type: ignore[attr-defined]
        message = get_type_hints(handler)["message"]
        taken.update(get_args(message) or (message,))
    return taken


def our_actors() -> set[type]:
    for module in pkgutil.walk_packages([str(FOLDER)], "actors."):
        importlib.import_module(module.name)
    ours = {kind for kind in below(Actor) if kind.__module__.startswith("actors.")}
    return ours - {DocumentActor, DeadlinesActor}  # A base; and one that is told nothing but that its time has come.


def test_every_message_that_an_actor_takes_crosses() -> None:
    assert taken_by(our_actors()) - {Report, RegistryChanged} == set(ASKS)  # Those two are told, within a process.


def test_every_ask_crosses_and_says_whom_it_is_for_and_what_it_is_answered_with() -> None:
    asks = {
        getattr(sys.modules[each.__module__], each.__name__) for each in below(Ask)
    }  # A slotted class is made twice.
    assert {each for each in asks if each.__module__.startswith("actors.")} - {Wake} == set(ASKS)
    for each in ASKS:
        assert each.kind in {VEHICLE, PERSON, SHARE, BUSINESS}
        answer_type(each)


def test_every_ask_that_may_go_to_a_key_without_an_actor_says_so() -> None:
    assert [each for each in ASKS if each.kind == VEHICLE and type(None) not in get_args(answer_type(each))] == []


def test_an_ask_that_names_no_answer_is_refused() -> None:
    class Silent(Ask): ...  # type: ignore[type-arg]  # that is what is wrong with it

    with pytest.raises(TypeError, match="Silent"):
        answer_type(Silent)


def test_a_new_message_would_be_missed() -> None:
    class Newcomer(Actor):
        def on_receive(self, message: Look | int) -> None: ...

    Newcomer.on_receive.__annotations__["message"] = Look | int
    assert taken_by({Newcomer}) - set(ASKS) == {int}


def test_every_announcement_crosses() -> None:
    assert set(EVENTS) == {*get_args(Announcement), ShareOver}
    announcing = {
        file.name for file in FOLDER.rglob("*.py") if re.search(r"(visor|board)\.announce\(", file.read_text("utf-8"))
    }
    assert announcing == {"person.py", "share_link.py", "watch.py"}


def test_every_refusal_crosses() -> None:
    refusals = {kind for base in (DomainError, StoreError) for kind in (base, *below(base))}
    missing = {kind for kind in refusals - set(REFUSALS) if kind.__module__.split(".")[0] != "tests"}
    assert all(issubclass(kind, StoreUnavailable) for kind in missing)  # One store's own kinds of it cross as it.


def test_names_tell_all_kinds_apart() -> None:
    for table in ((*ASKS, Batch), EVENTS, REFUSALS):
        assert len({kind.__name__ for kind in table}) == len(table)


# -- refusals --------------------------------------------------------------------------------------------------------

FACTS: dict[Any, Any] = {int: 3, float: float("inf"), str: "b1", bool: False, tuple[str, str]: ("plate", "车牌有误")}


def refusal_of(kind: type[Exception]) -> Exception:
    if not inspect.isfunction(kind.__init__):
        return kind("what happened")
    hints = get_type_hints(kind.__init__)
    places, names = [], {}
    for name, parameter in list(inspect.signature(kind.__init__).parameters.items())[1:]:
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            names[name] = FACTS[hints[name]]
        else:
            places.append(FACTS[hints[name]])
    return kind(*places, **names)


def same_refusal(one: BaseException, other: BaseException) -> bool:
    return (type(one), one.args, vars(one)) == (type(other), other.args, vars(other))


@pytest.mark.parametrize("kind", REFUSALS, ids=lambda kind: kind.__name__)
def test_a_refusal_comes_back_as_what_it_is_with_its_facts(kind: type[Exception]) -> None:
    refusal = refusal_of(kind)
    assert same_refusal(decode_refusal(encode_refusal(refusal)), refusal)


def test_a_bug_crosses_without_what_it_says() -> None:
    encoded = encode_refusal(KeyError("110101199003074514"))
    assert isinstance(decode_refusal(encoded), ActorFailed)
    assert b"110101199003074514" not in encoded


def test_a_refusal_that_only_one_store_knows_crosses_as_its_parent() -> None:
    class Sulking(StoreUnavailable): ...

    assert type(decode_refusal(encode_refusal(Sulking("later")))) is StoreUnavailable


# -- what does not cross ---------------------------------------------------------------------------------------------


def test_nothing_else_crosses() -> None:
    for value in ("a text", {"a": "map"}, FIX, object()):
        with pytest.raises(Uncrossable):
            encode_message(value)
        with pytest.raises(Uncrossable):
            encode_event(value)


@pytest.mark.parametrize("encoded", [b"", b"\xc1", b"\x92\xa4Bind\x80", b"\x92\xa4Bomb\x80", b"\x91\xa4Look", b"\x80"])
def test_bytes_that_are_no_such_value_are_refused(encoded: bytes) -> None:
    for decode in (decode_message, decode_event, decode_refusal):
        with pytest.raises(Uncrossable):
            decode(encoded)
    with pytest.raises(Uncrossable):
        decode_answer(Look(), encoded)


def test_a_batch_and_its_outcomes_cross() -> None:
    batch = Batch(7, T0, [FIX, FIX._replace(alarms=(1 << 62) + 1, flags=1)])
    assert decode_message(encode_message(batch)) == batch
    outcomes = decode_outcomes(encode_answer(list(Outcome)))
    assert [*map(type, outcomes)] == [Outcome] * len(Outcome)
    assert outcomes == list(Outcome)


# -- real actors, each message and answer through bytes --------------------------------------------------------------


class Wired(Supervisor):
    """Lets nothing pass but what crosses unchanged; actors that ask each other go this way, too."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.answered: set[type] = set()
        self.announced: set[type] = set()
        self.changed: list[object] = []
        """Messages that arrived changed."""

    async def ask(self, key: str, message: Ask[A]) -> A:
        arrived: Ask[A] = self._same(message, decode_message(encode_message(message)))
        try:
            answer = await super().ask(key, arrived)
        except ANSWERED_REFUSALS as refusal:
            crossed = decode_refusal(encode_refusal(refusal))
            if not same_refusal(crossed, refusal):
                self.changed.append(refusal)
            raise crossed from refusal
        self.answered.add(type(message))
        return self._same(answer, decode_answer(message, encode_answer(answer)))

    def announce(self, kind: str, key: str, event: object) -> None:
        self.announced.add(type(event))
        super().announce(kind, key, self._same(event, decode_event(encode_event(event))))

    def _same(self, sent: T, arrived: T) -> T:
        if (type(sent), sent) != (type(arrived), arrived):
            self.changed.append(sent)
        return arrived


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PeopleHouse]:
    dont_wait_for_the_disk(monkeypatch)
    monkeypatch.setattr(people_house, "Supervisor", Wired)
    house = PeopleHouse(await SqliteStore.open(tmp_path / "store.db"))
    await house.household.recover()
    yield house
    await house.die()
    await house.store.close()


async def people_play(house: PeopleHouse) -> None:
    """Every command of people once, and refusals between them."""
    await house.bind("dan", "v1", "b1")
    await house.bind("dan", "v2", "b2")
    await house.bind("dan", "v3", "b3")
    with pytest.raises(TooManyBindings):
        await house.bind("dan", "v4", "b4")
    await house.share("dan", "b1", "s1")
    await house.preview("s1", "anna")
    await house.open("s1", "anna")
    await house.view("s1", "anna")
    with pytest.raises(NotFound):
        await house.view("s1", "ben")
    await house.share("dan", "b1", "s2")
    await house.unbind("dan", "b2")
    await house.delegate("dan", "v4", "d1")
    await house.preview_delegation("dan", "d1", "anna")
    await house.open_delegation("dan", "d1", "anna")
    await house.bind_delegated("dan", "d1", "anna", "v4", "b5")
    await house.delegate("dan", "v5", "d2")
    await house.withdraw("dan", "d2")
    assert await house.cancel("dan", binding_id="b1") == 2
    await house.supervisor.ask("uscc-2", UnbindAsOwner("b3", owner_doer("uscc-2")))
    await house.person("dan", LookAtDriver())
    await house.supervisor.ask("dan", WakePerson())
    await house.supervisor.ask("s1", WakeShare())


async def vehicle_play(house: PeopleHouse) -> None:
    """A fix that is told to an actor that is watched, and the one ask of vehicles, with and without an actor."""
    house.actor(VEHICLE, "v1").tell(Report(FIX, T0, 1))
    view = await house.supervisor.ask("v1", Look())
    assert_type(view, VehicleView | None)
    assert view is not None
    assert view.newest == FIX
    assert await house.supervisor.ask("nobody", Look()) is None


async def test_every_message_is_taken_and_every_answer_given_unchanged_through_bytes(house: PeopleHouse) -> None:
    wired = house.supervisor
    assert isinstance(wired, Wired)
    told: list[object] = []
    assert await wired.watch(VEHICLE, "v1", told.append)
    await vehicle_play(house)
    await people_play(house)
    await house.rest()
    assert wired.changed == []
    assert wired.answered == set(ASKS)
    assert wired.announced == set(EVENTS)
    assert {type(event) for event in told} == set(get_args(Announcement))
    assert wired.dead_letters_total == 0
