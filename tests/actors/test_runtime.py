"""Tests that the runtime keeps Pykka's promises, and those that its own docstring adds."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pykka
import pytest
from pykka import ActorDeadError

from actors.system.runtime import Actor, ActorFailed, Dispatcher, MailboxFull
from domain.errors import DomainError


class Recorder(Actor):
    """Remembers what it was told; says it back when asked."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__(dispatcher)
        self.seen: list[Any] = []

    def on_start(self) -> None:
        self.seen.append("started")

    def on_stop(self) -> None:
        self.seen.append("stopped")

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, Exception):
            raise message
        self.seen.append(message)
        return message


class Slow(Recorder):
    """Takes several turns of the event loop for each message."""

    async def on_receive(self, message: Any) -> Any:
        self.seen.append(("begins", message))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if isinstance(message, Exception):
            raise message
        self.seen.append(("ends", message))
        return message


class Refused(DomainError):
    """A refusal for these tests."""


@pytest.fixture
def dispatcher() -> Dispatcher:
    return Dispatcher()


def started(kind: type[Recorder], dispatcher: Dispatcher) -> tuple[Recorder, Any]:
    actor = kind(dispatcher)
    actor._start_actor_loop()
    return actor, actor.actor_ref


async def test_it_is_pykkas_actor(dispatcher: Dispatcher) -> None:
    ref = Recorder.start(dispatcher)
    assert isinstance(ref, pykka.ActorRef)
    assert issubclass(Recorder, pykka.Actor)
    assert isinstance(ref.ask("hello"), pykka.Future)
    assert ref.is_alive()


async def test_messages_are_handled_in_order_after_on_start(dispatcher: Dispatcher) -> None:
    actor, ref = started(Recorder, dispatcher)
    for i in range(3):
        ref.tell(i)
    assert await ref.ask(3) == 3
    assert actor.seen == ["started", 0, 1, 2, 3]


async def test_an_async_handler_holds_its_own_mailbox_and_nobody_elses(dispatcher: Dispatcher) -> None:
    slow, slow_ref = started(Slow, dispatcher)
    _, other_ref = started(Recorder, dispatcher)
    replies = [slow_ref.ask(i) for i in range(2)]
    assert await other_ref.ask("meanwhile") == "meanwhile"
    assert slow.seen[-1] == ("begins", 0)
    assert [await reply for reply in replies] == [0, 1]
    assert slow.seen[1:] == [("begins", 0), ("ends", 0), ("begins", 1), ("ends", 1)]


async def test_a_reply_is_awaited_and_never_blocks(dispatcher: Dispatcher) -> None:
    _, ref = started(Slow, dispatcher)
    reply = ref.ask("x")
    with pytest.raises(pykka.Timeout):
        reply.get()
    assert await reply == "x"
    assert reply.get() == "x"
    with pytest.raises(TypeError):
        ref.ask("y", block=True)


async def test_an_ask_with_a_timeout_gives_up(dispatcher: Dispatcher) -> None:
    class Never(Recorder):
        async def on_receive(self, message: Any) -> Any:
            await asyncio.Event().wait()

    _, ref = started(Never, dispatcher)
    with pytest.raises(pykka.Timeout):
        await ref.ask("x", timeout=0.01)


@pytest.mark.parametrize("kind", [Recorder, Slow])
async def test_a_refusal_goes_to_the_asker_and_the_actor_lives_on(kind: type[Recorder], dispatcher: Dispatcher) -> None:
    _, ref = started(kind, dispatcher)
    with pytest.raises(Refused):
        await ref.ask(Refused())
    assert await ref.ask(1) == 1


@pytest.mark.parametrize("kind", [Recorder, Slow])
async def test_a_failure_suspends_the_actor_and_loses_nothing_that_waits(
    kind: type[Recorder], dispatcher: Dispatcher
) -> None:
    failures: list[tuple[Any, BaseException]] = []
    dispatcher.on_failure = lambda actor, message, error: failures.append((message, error))
    actor, ref = started(kind, dispatcher)
    bug = ValueError("a bug")
    first, broken, later = ref.ask(1), ref.ask(bug), ref.ask(2)
    assert await first == 1
    with pytest.raises(ActorFailed) as caught:
        await broken
    assert caught.value.__cause__ is bug
    assert failures == [(bug, bug)]
    assert actor.is_suspended
    successor = kind(dispatcher)
    ref.tell(3)
    actor.hand_over(successor)
    successor.resume()
    assert await later == 2
    await dispatcher.rest()
    assert [seen for seen in successor.seen if seen in (2, 3, ("ends", 2), ("ends", 3))][-1] in (3, ("ends", 3))


async def test_a_quiet_actor_answers_in_the_askers_turn_and_keeps_what_comes_meanwhile(dispatcher: Dispatcher) -> None:
    class Talker(Recorder):
        def on_receive(self, message: Any) -> Any:
            if message == "ask":
                self.tell("later")
            return super().on_receive(message)

    actor, ref = started(Talker, dispatcher)
    assert actor.answer("ask") == "ask"
    assert (actor.seen, actor.is_quiet) == (["started", "ask"], False)
    assert await ref.ask("last") == "last"
    assert actor.seen == ["started", "ask", "later", "last"]
    with pytest.raises(Refused):
        actor.answer(Refused())
    assert actor.is_quiet


async def test_a_quiet_actor_whose_handler_waits_answers_with_a_reply(dispatcher: Dispatcher) -> None:
    actor, ref = started(Slow, dispatcher)
    reply = actor.answer(1)
    assert not actor.is_quiet
    later = ref.ask(2)
    assert [await reply, await later] == [1, 2]
    assert actor.seen[1:] == [("begins", 1), ("ends", 1), ("begins", 2), ("ends", 2)]


async def test_a_quiet_actor_that_fails_is_suspended_as_any_other(dispatcher: Dispatcher) -> None:
    failures: list[tuple[Any, BaseException]] = []
    dispatcher.on_failure = lambda actor, message, error: failures.append((message, error))
    actor, _ = started(Recorder, dispatcher)
    bug = ValueError("a bug")
    with pytest.raises(ActorFailed) as caught:
        actor.answer(bug)
    assert caught.value.__cause__ is bug
    assert failures == [(bug, bug)]
    assert actor.is_suspended


async def test_without_a_supervisor_a_failure_ends_the_actor_and_refuses_what_waits(dispatcher: Dispatcher) -> None:
    letters: list[tuple[Any, str]] = []
    dispatcher.on_dead_letter = lambda actor, message, reason: letters.append((message, reason))
    _, ref = started(Recorder, dispatcher)
    bug = ValueError("a bug")
    ref.tell(bug)
    ref.tell("fact")
    later = ref.ask(2)
    with pytest.raises(ActorDeadError):
        await later
    assert not ref.is_alive()
    assert [message for message, _ in letters] == [bug, "fact"]
    with pytest.raises(ActorDeadError):
        ref.tell(1)


async def test_stop_lets_what_waits_be_handled_and_nothing_after(dispatcher: Dispatcher) -> None:
    actor, ref = started(Recorder, dispatcher)
    ref.tell(1)
    assert await ref.stop() is True
    assert actor.seen == ["started", 1, "stopped"]
    assert await ref.stop() is False
    with pytest.raises(ActorDeadError):
        await ref.ask(2)


async def test_a_full_mailbox_refuses_the_sender(dispatcher: Dispatcher) -> None:
    actor, ref = started(Recorder, dispatcher)
    for i in range(Actor.mailbox_limit):
        ref.tell(i)
    with pytest.raises(MailboxFull):
        ref.tell("one too many")
    with pytest.raises(MailboxFull):
        await ref.ask("one too many")
    await dispatcher.rest()
    assert len(actor.seen) == Actor.mailbox_limit + 1


async def test_busy_actors_leave_the_event_loop_its_turns() -> None:
    dispatcher = Dispatcher(slice_s=0.0005)

    class Busy(Actor):
        def on_receive(self, message: Any) -> None:
            until = time.perf_counter() + 0.0002
            while time.perf_counter() < until:
                pass

    actors = [Busy(dispatcher) for _ in range(100)]
    turns_when_done: list[int] = []
    for actor in actors:
        actor.tell("work")
    rest = asyncio.ensure_future(dispatcher.rest())
    turns = 0
    while not rest.done():
        await asyncio.sleep(0)
        turns += 1
    turns_when_done.append(turns)
    # 20 ms of work in slices of 0.5 ms: a loop that only got its turn at the end would have counted one or two.
    assert turns_when_done[0] >= 10


async def test_an_actor_can_tell_itself_and_others_without_losing_order(dispatcher: Dispatcher) -> None:
    class Chain(Recorder):
        def on_receive(self, message: Any) -> Any:
            super().on_receive(message)
            if message < 5:
                self.tell(message + 1)

    actor, ref = started(Chain, dispatcher)
    ref.tell(0)
    await dispatcher.rest()
    assert actor.seen == ["started", 0, 1, 2, 3, 4, 5]
