"""The supervisor activates actors on first use, finds them, and restarts those that fail; it does nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from actors.system.asks import A, Ask
from actors.system.clock import Clock
from actors.system.runtime import Actor, Dispatcher, MailboxFull, Reply
from persistence.store import StoreError

log = logging.getLogger(__name__)

RESTART_DELAYS_S: Final = (0.0, 0.1, 0.5, 2.0)
"""Real seconds before each restart of the same actor; one failure more parks it."""
FORGIVE_AFTER_S: Final = 60.0
"""An actor that ran so long without failing starts counting anew."""
PARK_S: Final = 300.0
"""A parked actor gets another chance after so many real seconds."""
MAX_RELOAD_DELAY_S: Final = 10.0
DEAD_LETTERS: Final = 1000


Watcher = Callable[[object], None]
"""Is told an actor's announcements, in its turn; must not raise and must not block."""


class Unanswered(Exception):
    """The actor did not answer in time, or can't just now: try again later."""


class Kind(Protocol):
    """Brings actors of one kind to life."""

    async def load(self, keys: Sequence[str]) -> Mapping[str, Actor]:
        """Actors from their stored state; a key that means nothing is not in the answer.

        One whose state can't be read comes back suspended. Raises ``StoreUnavailable``.
        """
        ...

    async def reload(self, key: str) -> Actor:
        """Read one actor from the store, the log's tail included; a message that throws again is passed over.

        Raises ``StoreError``.
        """
        ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An unhandled message's type, and the reason; the message itself is not kept: it may hold personal data."""

    at: float
    actor: str
    message: str
    reason: str


@dataclass(slots=True)
class _Failures:
    count: int
    last_at: float
    parked: bool = False


class Supervisor:
    """The index of actors by (kind, key), and their keeper."""

    def __init__(
        self, dispatcher: Dispatcher, clock: Clock, kinds: Mapping[str, Kind], *, answer_s: float = 5.0
    ) -> None:
        """``answer_s``: real seconds that an ask may take."""
        self.dispatcher = dispatcher
        self.restarts = 0
        self.dead_letters: deque[DeadLetter] = deque(maxlen=DEAD_LETTERS)
        self.dead_letters_total = 0
        self._clock = clock
        self._kinds = dict(kinds)
        self._answer_s = answer_s
        self._actors: dict[str, dict[str, Actor]] = {kind: {} for kind in kinds}
        self._loading: dict[tuple[str, str], asyncio.Future[None]] = {}
        self._outdated: set[tuple[str, str]] = set()
        """Actors whose stored state changed while they were being read."""
        self._failures: dict[tuple[str, str], _Failures] = {}
        self._overflowed: set[tuple[str, str]] = set()
        self._watchers: dict[tuple[str, str], list[Watcher]] = {}
        self._restarting: set[asyncio.Task[None]] = set()
        dispatcher.on_failure = self.failed
        dispatcher.on_dead_letter = self.note_dead_letter

    def learn(self, name: str, kind: Kind) -> None:
        """Add a kind of actors."""
        self._kinds[name] = kind
        self._actors[name] = {}

    # -- finding -----------------------------------------------------------------------------------------------------

    def actors(self, kind: str) -> dict[str, Actor]:
        """The living actors of a kind by key, for reading; only the supervisor adds and removes."""
        return self._actors[kind]

    def census(self) -> dict[str, int]:
        """Count the living actors by kind."""
        return {kind: len(actors) for kind, actors in self._actors.items()}

    async def ask(self, key: str, message: Ask[A]) -> A:
        """Return the actor's answer; activate the actor first. None when the key means nothing, as the message's type says.

        Raises the actor's refusal, ``ActorFailed``, ``Unanswered`` or ``StoreUnavailable``.
        """
        kind = message.kind
        actor = self._actors[kind].get(key)
        if actor is None:
            await self.activate(kind, (key,))
            actor = self._actors[kind].get(key)
            if actor is None:
                return None  # type: ignore[return-value]  # said by the message's type, which a test holds
        if (failures := self._failures.get((kind, key))) is not None and failures.parked:
            raise Unanswered(f"{kind} is parked after failing {failures.count} times")
        if actor.is_quiet:
            reply = actor.answer(message)
            if type(reply) is not Reply:
                return reply  # type: ignore[no-any-return]
        else:
            reply = actor.ask(message)
        try:
            async with asyncio.timeout(self._answer_s):
                return await reply  # type: ignore[no-any-return]
        except TimeoutError:
            raise Unanswered(f"{kind} did not answer within {self._answer_s} s") from None
        except MailboxFull:
            raise Unanswered(f"{kind} has too much waiting") from None

    def answer_at_once(self, key: str, message: Ask[A]) -> A | None:
        """Return the answer of an actor that is awake and quiet, in the caller's own turn; otherwise None: then ``ask``.

        Only for messages that may as well come twice. Raises the actor's refusal, or ``ActorFailed``.
        """
        actor = self._actors[message.kind].get(key)
        if actor is None or not actor.is_quiet:
            return None
        answer = actor.answer(message)
        return None if type(answer) is Reply else answer

    async def activate(self, kind: str, keys: Sequence[str]) -> None:
        """Bring those of ``keys`` to life that are not; each is loaded once, however many ask at once.

        A load that fails or is cancelled fails only its own caller; the other callers load again.
        """
        living, loading = self._actors[kind], self._loading
        unknown: set[str] = set()
        while missing := [key for key in dict.fromkeys(keys) if key not in living and key not in unknown]:
            mine = [key for key in missing if (kind, key) not in loading]
            if mine:
                await self._load(kind, mine)
                unknown.update(key for key in mine if key not in living)
            else:
                await asyncio.wait({loading[kind, key] for key in missing})

    def is_loading(self, kind: str, key: str) -> bool:
        """Tell whether the actor is being read from the store just now."""
        return (kind, key) in self._loading

    async def _load(self, kind: str, keys: Sequence[str]) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loading.update(((kind, key), done) for key in keys)
        try:
            for key, actor in (await self._kinds[kind].load(keys)).items():
                self.adopt(kind, key, actor)
                if (kind, key) in self._outdated:
                    actor.outdate()
        finally:
            for key in keys:
                del self._loading[kind, key]
                self._outdated.discard((kind, key))
            done.set_result(None)

    def outdate(self, kind: str, key: str) -> None:
        """Tell an actor that another's commit changed its stored state: it reads that before it answers anything more."""
        actor = self._actors.get(kind, {}).get(key)
        if actor is not None:
            actor.outdate()
        elif (kind, key) in self._loading:
            self._outdated.add((kind, key))

    def adopt(self, kind: str, key: str, actor: Actor) -> None:
        """Take in a loaded actor; a suspended one could not be read, and is tried again later."""
        self._actors[kind][key] = actor
        if (kind, key) in self._watchers:
            actor.be_watched(self)
        if actor.is_suspended:
            self._failures[kind, key] = _Failures(0, self._clock.now(), parked=True)
            self._restart_soon(kind, key, actor, PARK_S)

    def passivate(self, kind: str, key: str, actor: Actor) -> bool:
        """Let this quiet actor go; the key's next message activates it again. False when it is busy, or not the one."""
        if self._actors[kind].get(key) is not actor or not actor.is_quiet or (kind, key) in self._watchers:
            return False
        del self._actors[kind][key]
        actor.bury("passivated")
        return True

    # -- watching ----------------------------------------------------------------------------------------------------

    async def watch(self, kind: str, key: str, watcher: Watcher) -> bool:
        """Tell ``watcher`` the actor's announcements from now on, across restarts, until ``unwatch``.

        False when the key means nothing. A watched actor stays awake. Raises ``StoreUnavailable``.
        """
        self._watchers.setdefault((kind, key), []).append(watcher)
        try:
            await self.activate(kind, (key,))
        finally:
            actor = self._actors[kind].get(key)
            if actor is None:
                self.unwatch(kind, key, watcher)
        if actor is not None:
            actor.be_watched(self)
        return actor is not None

    def unwatch(self, kind: str, key: str, watcher: Watcher) -> None:
        """End a watch; a watcher that was not watching is ignored."""
        watchers = self._watchers.get((kind, key), [])
        if watcher in watchers:
            watchers.remove(watcher)
        if not watchers:
            self._watchers.pop((kind, key), None)

    def announce(self, kind: str, key: str, event: object) -> None:
        """Pass an actor's event, a plain value that MessagePack can carry, to its watchers."""
        for watcher in tuple(self._watchers.get((kind, key), ())):
            watcher(event)

    def is_watched(self, kind: str, key: str) -> bool:
        """Tell whether the actor has a watcher."""
        return (kind, key) in self._watchers

    # -- falling -----------------------------------------------------------------------------------------------------

    def failed(self, actor: Actor, message: object, error: BaseException) -> None:
        """A message made ``actor`` throw: the message is a dead letter, the actor starts again from its stored state."""
        kind, _, key = actor.actor_urn.partition(":")
        log.error("%s failed on %s", actor.actor_urn, type(message).__name__, exc_info=error)
        self.note_dead_letter(actor, message, repr(error))
        if self._actors.get(kind, {}).get(key) is not actor:
            actor.bury("nobody supervises it")
            return
        actor.suspend()
        failures = self._count_failure(kind, key)
        if failures.count <= len(RESTART_DELAYS_S):
            delay_s = RESTART_DELAYS_S[failures.count - 1]
        else:
            failures.parked, delay_s = True, PARK_S
            log.error("%s is parked for %.0f s", actor.actor_urn, PARK_S)
        self._restart_soon(kind, key, actor, delay_s)

    def overflowed(self, actor: Actor) -> None:
        """A durable message found the mailbox full of what must not be dropped: the actor reads it from the log instead."""
        kind, _, key = actor.actor_urn.partition(":")
        self._overflowed.add((kind, key))
        if not actor.is_suspended:
            actor.suspend()
            self._restart_soon(kind, key, actor, 0.0)

    def _restart_soon(self, kind: str, key: str, actor: Actor, delay_s: float) -> None:
        task = asyncio.get_running_loop().create_task(self._restart(kind, key, actor, delay_s))
        self._restarting.add(task)
        task.add_done_callback(self._restarting.discard)

    def _count_failure(self, kind: str, key: str) -> _Failures:
        now = self._clock.now()
        failures = self._failures.get((kind, key))
        if failures is None or (now - failures.last_at > FORGIVE_AFTER_S and not failures.parked):
            failures = self._failures[kind, key] = _Failures(0, now)
        failures.count += 1
        failures.last_at = now
        return failures

    async def _restart(self, kind: str, key: str, actor: Actor, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        await self.dispatcher.finished(actor)
        while True:
            self._overflowed.discard((kind, key))
            successor = await self._reload(kind, key)
            if (kind, key) not in self._overflowed:
                break  # Else the log grew past what was read, and the mailbox could not hold it.
        self.restarts += 1
        if (failures := self._failures.get((kind, key))) is not None:
            failures.parked = False
        actor.hand_over(successor)
        self._actors[kind][key] = successor
        if (kind, key) in self._watchers:
            successor.be_watched(self)
        successor.resume()

    async def _reload(self, kind: str, key: str) -> Actor:
        """Try until the store is there again: the actor's mailbox keeps what comes meanwhile."""
        retry_s = 0.1
        while True:
            try:
                return await self._kinds[kind].reload(key)
            except StoreError as error:
                log.warning("%s:%s can't restart yet: %s", kind, key, error)
            except Exception:
                log.exception("%s:%s can't restart", kind, key)
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, MAX_RELOAD_DELAY_S)

    @property
    def parked(self) -> int:
        """Actors that failed too often and wait for another chance."""
        return sum(failures.parked for failures in self._failures.values())

    def forgive(self) -> None:
        """Remove failures long past, so that the record stays small."""
        now = self._clock.now()
        for at, failures in list(self._failures.items()):
            if not failures.parked and now - failures.last_at > FORGIVE_AFTER_S:
                del self._failures[at]

    def note_dead_letter(self, actor: Actor, message: object, reason: str) -> None:
        self.dead_letters_total += 1
        letter = DeadLetter(self._clock.now(), actor.actor_urn, type(message).__name__, reason[:200])
        self.dead_letters.append(letter)

    async def rest(self) -> None:
        """Return when all mailboxes are empty and nobody is restarting at once (parked ones are left alone)."""
        await self.dispatcher.rest()
        while restarting := [task for task in self._restarting if not task.done()]:
            if self.parked:
                return
            await asyncio.wait(restarting)
            await self.dispatcher.rest()

    async def stop(self) -> None:
        """Give up restarts that are under way; the store has what they would have started from."""
        for task in self._restarting:
            task.cancel()
        await asyncio.gather(*self._restarting, return_exceptions=True)
