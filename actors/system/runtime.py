"""Runs actors: Pykka's actor on the event loop, with one message at a time, bounded mailboxes and fair slices.

The interface is Pykka's: ``start``, ``tell``, ``ask``, ``stop``, ``on_receive``, ``on_start``, ``on_stop``,
``on_failure``. The differences, and why:

* No thread an actor. The ``Dispatcher`` drains ready mailboxes in slices of the event loop's turns.
* Handlers may be ``def`` or ``async def``; an ``async`` one pauses its own mailbox until it is done.
* A reply is awaited, never blocked on.
* A mailbox is a list that exists only while something waits in it: a quiet actor costs no queue.
* A message that throws does not end the actor for good: it is set aside, the mailbox kept, and the ``Dispatcher``'s
  ``on_failure`` (the supervisor) decides. Refusals (``DomainError``) and a store that is down (``StoreError``) are
  answers to the asker, not failures.
* No ``ActorRegistry``: it is a list. The starter of actors keeps an index.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Generator
from time import perf_counter
from types import CoroutineType, TracebackType
from typing import Any, ClassVar, Final, Generic, NoReturn, Protocol, Self, TypeVar

import pykka
from pykka import ActorDeadError
from pykka._envelope import Envelope

from domain.errors import DomainError
from persistence.store import StoreError

T = TypeVar("T")

IDLE: Final = 0
QUEUED: Final = 1
RUNNING: Final = 2
PAUSED: Final = 3
"""An ``async`` handler of this actor is under way."""
SUSPENDED: Final = 4
"""Failed, or not loaded yet: messages wait until the supervisor resumes or replaces the actor."""
STOPPED: Final = 5

REFUSALS: Final = (DomainError, StoreError)


class MailboxFull(Exception):
    """The actor has too much waiting, and this message must not be dropped: the sender waits or is refused (R54)."""


class ActorFailed(Exception):
    """The message made the actor throw; the cause is chained, and stands in the dead letters."""


class Board(Protocol):
    """The place where an actor announces facts to its watchers (the supervisor)."""

    def announce(self, kind: str, key: str, event: object) -> None: ...

    def is_watched(self, kind: str, key: str) -> bool: ...


class _Stop:
    """Asks an actor to stop after what is already in its mailbox."""


class Reply(pykka.Future[T], Generic[T]):
    """A reply to come, on the event loop: ``await`` it. ``get`` gives what is there and never blocks."""

    def __init__(self) -> None:
        super().__init__()
        self._future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def get(self, *, timeout: float | None = None) -> T:
        """Raises ``pykka.Timeout`` when the reply is not there yet: blocking would stop the loop that brings it."""
        if not self._future.done():
            raise pykka.Timeout("await the reply: an event loop must not block")
        result: T = self._future.result()
        return result

    def set(self, value: T | None = None) -> None:
        if not self._future.done():  # The asker may have gone away.
            self._future.set_result(value)

    def set_exception(self, exc_info: Any = None) -> None:
        """Takes ``sys.exc_info()``'s three, or nothing for the exception being handled."""
        error = (exc_info or sys.exc_info())[1]
        assert isinstance(error, BaseException)
        if not self._future.done():
            self._future.set_exception(error)
            self._future.exception()  # Marks it as seen: an asker that went away must not fill the log.

    def __await__(self) -> Generator[Any, None, T]:
        return self._future.__await__()

    __iter__ = __await__


class Dispatcher:
    """The run queue of one event loop: drains ready actors, a slice a turn, so that sockets and timers get theirs."""

    def __init__(self, *, slice_s: float = 0.002) -> None:
        self.slice_s = slice_s
        self.on_failure: Callable[[Actor, Any, BaseException], None] = _stop_for_good
        self.on_dead_letter: Callable[[Actor, Any, str], None] = lambda actor, message, reason: None
        self._under_way: dict[Actor, asyncio.Task[Any]] = {}
        self._ready: deque[Actor] = deque()
        self._armed = False
        self._resting: list[asyncio.Future[None]] = []

    def ready(self, actor: Actor) -> None:
        """Puts an actor whose mailbox is not empty at the end of the run queue."""
        self._ready.append(actor)
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        ready, until = self._ready, perf_counter() + self.slice_s
        try:
            while ready:
                ready.popleft()._drain()
                if perf_counter() >= until:
                    break
        finally:  # Whatever a failure hook throws, the others' messages are handled.
            if ready:
                asyncio.get_running_loop().call_soon(self._turn)
            else:
                self._armed = False
                self._tell_resting()

    @property
    def backlog(self) -> int:
        """Actors with something to do."""
        return len(self._ready)

    @property
    def paused(self) -> int:
        """Actors with an ``async`` handler under way."""
        return len(self._under_way)

    async def finished(self, actor: Actor) -> None:
        """Returns when no ``async`` handler of this actor is under way."""
        task = self._under_way.get(actor)
        if task is not None:
            await asyncio.wait((task,))

    async def rest(self) -> None:
        """Returns when no message waits in a ready mailbox and no handler is under way."""
        while self._ready or self._armed or self._under_way:
            resting = asyncio.get_running_loop().create_future()
            self._resting.append(resting)
            await resting

    def _tell_resting(self) -> None:
        if self._resting and not (self._ready or self._under_way):
            resting, self._resting = self._resting, []
            for future in resting:
                if not future.done():
                    future.set_result(None)


class Actor(pykka.Actor):
    """Subclass it, implement ``on_receive``; start it with its dispatcher first: ``MyActor.start(dispatcher, ...)``."""

    __slots__ = ("_messages", "_phase", "dispatcher")

    mailbox_limit: ClassVar[int] = 1000

    def __init__(self, dispatcher: Dispatcher) -> None:
        # Pykka's own __init__ makes an Event, a UUID, a reference and a queue: 3 KB that an actor on one loop never needs.
        self.dispatcher = dispatcher
        self._messages: list[Any] | None = None
        self._phase = IDLE

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> ActorRef[Self]:
        """Makes the actor, lets ``on_start`` run before any message, and returns its reference."""
        actor = cls(*args, **kwargs)
        actor._start_actor_loop()
        return actor.actor_ref

    # -- Pykka's face ------------------------------------------------------------------------------------------------

    @property
    def actor_ref(self) -> ActorRef[Self]:
        """A reference to send around; made when asked for."""
        return ActorRef(self)

    @property
    def actor_urn(self) -> str:  # type: ignore[override]
        """Name the actor in logs; subclasses with a key say that."""
        return f"{type(self).__name__}:{id(self):x}"

    @property
    def actor_inbox(self) -> Self:  # type: ignore[override]
        """The actor is its own inbox: a second object would be a reference cycle for each of millions."""
        return self

    def __str__(self) -> str:
        return self.actor_urn

    @property
    def is_stopped(self) -> bool:
        return self._phase == STOPPED

    @property
    def is_suspended(self) -> bool:
        """Tell whether the actor has failed, and its messages wait."""
        return self._phase == SUSPENDED

    @property
    def is_quiet(self) -> bool:
        """Tell whether no message waits and none is under way."""
        return self._phase == IDLE

    @property
    def mailbox_depth(self) -> int:
        """Return how many messages wait."""
        return len(self._messages) if self._messages else 0

    def put(self, envelope: Envelope[Any], /) -> None:
        """Pykka's way in. Raises ``MailboxFull``, ``ActorDeadError``."""
        self.tell(envelope)

    def tell(self, message: Any) -> None:
        """Puts ``message`` into the mailbox and returns at once. Raises ``MailboxFull``, ``ActorDeadError``."""
        messages = self._messages
        if messages is None:
            if self._phase == STOPPED:
                raise ActorDeadError(f"{self} not found")
            self._messages = [message]
            if self._phase == IDLE:
                self._phase = QUEUED
                self.dispatcher.ready(self)
        elif len(messages) < self.mailbox_limit or self.conflate(messages, message):
            messages.append(message)
        else:
            raise MailboxFull(str(self))

    def ask(self, message: Any) -> Reply[Any]:
        """Sends ``message``; await what comes back. A dead actor or a full mailbox is the awaited exception."""
        reply: Reply[Any] = Reply()
        try:
            self.tell(Envelope(message, reply_to=reply))
        except (ActorDeadError, MailboxFull):
            reply.set_exception()
        return reply

    def answer(self, message: Any) -> Any:
        """Return a quiet actor's answer, in the asker's own turn; a ``Reply`` where it takes longer. Raises its
        refusal.

        Only while ``is_quiet``: then no message is queued, so order is kept, and two turns of the event loop are spared.
        Raises ``ActorFailed`` as ``ask`` does.
        """
        self._phase = RUNNING
        try:
            result = self.on_receive(message)
        except REFUSALS:
            self._settle_phase()
            raise
        except Exception as error:
            self._fail(message, error)
            raise ActorFailed(f"{self} failed") from error
        if type(result) is CoroutineType:
            reply: Reply[Any] = Reply()
            self._pause(result, message, reply)
            return reply
        self._settle_phase()
        return result

    def stop(self) -> None:
        """Ends the actor after what is already in its mailbox; what comes later is a dead letter."""
        self.tell(Envelope(_Stop()))

    def conflate(self, messages: list[Any], message: Any) -> bool:
        """The mailbox is full: makes room for ``message`` by dropping one that it outdates, or says that it can't."""
        return False

    def be_watched(self, board: Board) -> None:
        """Note that the actor is watched from now on; ``board`` takes announcements, and tells until when."""

    def outdate(self) -> None:
        """Hook: another actor's commit changed the stored state of this one."""

    # -- for the supervisor ------------------------------------------------------------------------------------------

    def suspend(self) -> None:
        """Messages wait from now on, until ``resume``."""
        self._phase = SUSPENDED

    def resume(self) -> None:
        """Goes on with what waits."""
        self._settle_phase()

    def hand_over(self, successor: Actor) -> None:
        """Ends this actor; what waits in its mailbox waits in ``successor``'s, in order and before what is there."""
        messages, self._messages, self._phase = self._messages, None, STOPPED
        if messages:
            successor._messages = messages + (successor._messages or [])

    def bury(self, reason: str) -> None:
        """End this actor; waiting askers are refused, all other messages become dead letters."""
        messages, self._messages, self._phase = self._messages, None, STOPPED
        for message in messages or ():
            if type(message) is Envelope and message.reply_to is not None:
                message.reply_to.set_exception((ActorDeadError, ActorDeadError(f"{self}: {reason}"), None))
            else:
                self.dispatcher.on_dead_letter(self, message, reason)

    # -- the loop ----------------------------------------------------------------------------------------------------

    @staticmethod
    def _create_actor_inbox() -> NoReturn:
        raise TypeError("an actor on the event loop is its own inbox")

    @staticmethod
    def _create_future() -> Reply[Any]:
        return Reply()

    def _start_actor_loop(self) -> None:
        if type(self).on_start is not pykka.Actor.on_start:
            self._phase = RUNNING
            failure = self._answer(None, None)
            if failure is not None:
                self._fail(None, failure)
            elif self._phase == RUNNING:
                self._settle_phase()

    def _drain(self) -> None:
        """Handles what waits now; what arrives meanwhile waits for the next turn."""
        if self._phase != QUEUED:
            return
        messages, self._messages, self._phase = self._messages or [], None, RUNNING
        for done, message in enumerate(messages, 1):
            # What asks comes in an envelope; a told fact comes bare, and its handling stands here for speed.
            if type(message) is Envelope:
                failure = self._answer(message.message, message.reply_to)
            else:
                failure = None
                try:
                    result = self.on_receive(message)
                    if type(result) is CoroutineType:
                        self._pause(result, message, None)
                except REFUSALS as refusal:
                    self.dispatcher.on_dead_letter(self, message, repr(refusal))
                except Exception as error:
                    failure = error
            if failure is not None or self._phase != RUNNING:
                self._put_back(messages[done:])
                if failure is not None:
                    self._fail(message.message if type(message) is Envelope else message, failure)
                break
        if self._phase == RUNNING:
            self._settle_phase()

    def _answer(self, message: Any, reply: Any) -> Exception | None:
        """Handles what was asked, or (None) ``on_start``; returns what the actor failed with, if it did."""
        try:
            if message is None:
                result: Any = self.on_start()  # type: ignore[func-returns-value]  # an actor of ours may return a coroutine
            elif type(message) is _Stop:
                result = self._end()
            else:
                result = self.on_receive(message)
            if type(result) is CoroutineType:
                self._pause(result, message, reply)
            elif reply is not None:
                reply.set(result)
        except REFUSALS:
            if reply is not None:
                reply.set_exception()
        except Exception as error:
            _refuse(reply, self, error)
            return error
        return None

    def _pause(self, coroutine: CoroutineType[Any, Any, Any], message: Any, reply: Any) -> None:
        self._phase = PAUSED
        task = self.dispatcher._under_way[self] = asyncio.get_running_loop().create_task(coroutine)
        task.add_done_callback(lambda done: self._unpause(done, message, reply))

    def _unpause(self, task: asyncio.Task[Any], message: Any, reply: Any) -> None:
        del self.dispatcher._under_way[self]
        error = ActorDeadError(f"{self} was stopped") if task.cancelled() else task.exception()
        if error is None:
            if reply is not None:
                reply.set(task.result())
        elif isinstance(error, REFUSALS):
            if reply is not None:
                reply.set_exception((type(error), error, None))
            else:
                self.dispatcher.on_dead_letter(self, message, repr(error))
        else:
            _refuse(reply, self, error)
            self._fail(message, error)
        if self._phase == PAUSED:
            self._settle_phase()
        self.dispatcher._tell_resting()

    def _fail(self, message: Any, error: BaseException) -> None:
        """The message is set aside; what waits in the mailbox goes on waiting until the supervisor has decided."""
        self._phase = SUSPENDED
        try:
            self.on_failure(type(error), error, error.__traceback__)
        finally:
            self.dispatcher.on_failure(self, message, error)

    def _settle_phase(self) -> None:
        if self._messages:
            self._phase = QUEUED
            self.dispatcher.ready(self)
        else:
            self._phase = IDLE

    def _put_back(self, rest: list[Any]) -> None:
        """Puts back what was not handled, before what came since."""
        if rest:
            self._messages = rest + (self._messages or [])
        if self._phase == STOPPED:
            self.bury("stopped")

    def _end(self) -> bool:
        self._phase = STOPPED
        self.on_stop()
        return True

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Hook: a message made this actor throw; it is suspended, and the supervisor decides next."""


A = TypeVar("A", bound=Actor)


class ActorRef(pykka.ActorRef[A], Generic[A]):
    """Pykka's reference, for actors of the event loop: ``ask`` is awaited, proxies are refused."""

    def __init__(self, actor: A) -> None:
        self._actor = actor
        self.actor_class = type(actor)
        self.actor_urn = actor.actor_urn

    def is_alive(self) -> bool:
        return not self._actor.is_stopped

    def tell(self, message: Any) -> None:
        """See ``Actor.tell``."""
        self._actor.tell(message)

    def ask(self, message: Any, *, block: bool = False, timeout: float | None = None) -> Any:
        """An awaitable reply; with ``timeout`` (seconds) it raises ``pykka.Timeout`` when none came. Blocking is refused."""
        if block:
            raise TypeError("an event loop must not block: await ref.ask(message)")
        reply = self._actor.ask(message)
        return reply if timeout is None else _within(reply, timeout)

    def stop(self, *, block: bool = False, timeout: float | None = None) -> Any:
        """Awaitable: True once the actor has ended, False when it already had."""
        return _stopped(self._actor)

    def proxy(self) -> NoReturn:
        """Proxies are untyped and swallow errors; messages are plain values."""
        raise TypeError("send a message: proxies are not supported")


async def _within(reply: Reply[T], timeout_s: float) -> T:
    try:
        async with asyncio.timeout(timeout_s):
            return await reply
    except TimeoutError:
        raise pykka.Timeout(f"no reply within {timeout_s} s") from None


async def _stopped(actor: Actor) -> bool:
    try:
        await actor.ask(_Stop())
    except ActorDeadError:
        return False
    return True


def _refuse(reply: Any, actor: Actor, error: BaseException) -> None:
    """Tell the asker that the actor failed; only the log and the dead letters know with what."""
    if reply is not None:
        failure = ActorFailed(f"{actor} failed")
        failure.__cause__ = error
        reply.set_exception((ActorFailed, failure, None))


def _stop_for_good(actor: Actor, message: Any, error: BaseException) -> None:
    """End the actor where no supervisor is, as in Pykka. Unlike there, waiting messages are refused or counted."""
    actor.dispatcher.on_dead_letter(actor, message, repr(error))
    actor.bury(f"failed: {error!r}")
