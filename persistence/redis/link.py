"""Sends commands to Redis and returns the answers in bounded time, while connections break and servers restart."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from hiredis import pack_command
from redis.asyncio.connection import Connection
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from persistence.redis.memory import Memory
from persistence.redis.primary import Primary
from persistence.redis.scripts import Script
from persistence.store import StoreUnavailable

ANSWER_S: Final = 2.0
"""The longest that a call may take, connecting and trying again included."""
PAUSE_S: Final = 0.05
"""Seconds between two tries."""
WAIT_SHARE: Final = 0.25
"""Share of the deadline spent waiting for replicas; after that, assume a fail-over and ask the Sentinels again."""

_NO_RIGHT: Final = re.compile("^NOAUTH|user executing the script can't")

Word = str | bytes | int
Command = tuple[Word, ...]


class Refused(StoreUnavailable):
    """Redis has answered that it refuses: the command was not carried out, beyond doubt."""


class _TooFewReplicas(RedisConnectionError):
    """The write is done, but too few replicas have it for any reader to count on it."""


class Link:
    """A limited number of connections to one Redis.

    A command sent through it may be sent twice: that must do no harm.
    """

    def __init__(
        self,
        primary: Primary,
        name: str,
        *,
        connections: int,
        answer_s: float = ANSWER_S,
        replicas: int = 0,
        prove: Callable[[Connection], Awaitable[None]] | None = None,
        memory: Memory | None = None,
    ) -> None:
        """Prepare the link; nothing connects yet.

        ``replicas``: how many must have all that stands in the primary before an answer counts. ``prove`` asks each new
        connection whether writes through it last, and raises ``Refused``. An answer from another store than ``memory``
        knows, or from one that forgot something, does not count.
        """
        self._prove = prove
        self._memory = memory
        self._behind = packed(memory.command) if memory is not None else b""
        self.answer_s = answer_s
        self._primary = primary
        self._name = name
        self._replicas = replicas
        self._wait = packed(("WAIT", replicas, int(answer_s * 1_000 * WAIT_SHARE))) if replicas else b""
        self._idle: list[tuple[int, Connection]] = []
        """Idle connections, each with the primary's generation."""
        self._connections = connections
        self._slots = asyncio.Semaphore(connections)
        self._is_away = False
        """True when the last call got no answer: until one does, a single try must do, so that callers do not wait in
        vain.
        """

    async def ask(self, *commands: Command, deadline: float | None = None) -> list[Any]:
        """Return the answers to these commands, sent together; until ``deadline`` of the loop's clock.

        Raises ``StoreUnavailable``, also when Redis refuses one of them. The others may have been carried out all the
        same.
        """
        answers = await self._ask(commands, deadline)
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise Refused(self._told(answer)) from answer
        return answers

    async def run(self, script: Script, keys: Sequence[str], *words: Word, deadline: float | None = None) -> Any:
        """Return the script's answer; Redis learns the script when it does not know it. Otherwise as ``ask``."""
        answer = (await self._ask([("EVALSHA", script.sha, len(keys), *keys, *words)], deadline))[0]
        if isinstance(answer, NoScriptError):
            answer = (await self._ask([("EVAL", script.text, len(keys), *keys, *words)], deadline))[0]
        if isinstance(answer, ResponseError):
            raise Refused(self._told(answer)) from answer
        return answer

    async def close(self) -> None:
        """Wait for calls under way, and close all connections; no call may follow."""
        for _ in range(self._connections):
            await self._slots.acquire()
        while self._idle:
            _, connection = self._idle.pop()
            try:
                async with asyncio.timeout(self.answer_s):
                    await connection.disconnect()
            except (TimeoutError, OSError, RedisError):
                pass

    def _told(self, error: Exception) -> str:
        """Return what went wrong, in words that say what to do."""
        return f"store {self._name}: {_cause(error)} ({str(error) or type(error).__name__})"

    async def _ask(self, commands: Sequence[Command], deadline: float | None) -> list[Any]:
        if deadline is None:
            deadline = asyncio.get_running_loop().time() + self.answer_s
        words = b"".join(packed(command) for command in commands) + self._behind + self._wait
        lost: list[Exception] = []
        try:
            async with asyncio.timeout_at(deadline), self._slots:
                answers = await self._try(words, len(commands), lost)
        except TimeoutError:
            self._is_away = True
            await self._drop_idle()  # the next one that we ask may be another
            if lost:
                raise StoreUnavailable(self._told(lost[0])) from lost[0]
            raise StoreUnavailable(
                f"store {self._name}: no answer within {self.answer_s:g} s: is it stopped, or too busy?"
            ) from None
        except Refused as error:
            if lost:
                raise StoreUnavailable(str(error)) from error  # an earlier try may have been done
            raise
        except (RedisError, OSError) as error:
            self._is_away = True
            raise StoreUnavailable(self._told(error)) from error
        self._is_away = False
        for answer in answers:
            if lost and isinstance(answer, ResponseError) and not isinstance(answer, NoScriptError):
                raise StoreUnavailable(self._told(answer)) from answer  # now; but an earlier try may have been done
        return answers

    async def _try(self, words: bytes, commands: int, lost: list[Exception]) -> list[Any]:
        """Try until it succeeds, is hopeless, or the caller's time is up; ``lost`` gets the last error."""
        while True:
            try:
                return await self._exchange(words, commands)
            except (AuthenticationError, AuthorizationError):
                raise
            except (RedisConnectionError, OSError, ReadOnlyError) as error:
                await self._drop_idle()  # connected to what is gone
                if self._is_away:
                    raise
                lost[:] = [error]
            await asyncio.sleep(PAUSE_S)

    async def _drop_idle(self) -> None:
        while self._idle:
            await self._idle.pop()[1].disconnect(nowait=True)

    async def _exchange(self, words: bytes, commands: int) -> list[Any]:
        generation, connection = await self._connection()
        known = self._memory.number if self._memory is not None else 0
        try:
            await connection.send_packed_command(words, check_health=False)
            answers = [await answer_of(connection) for _ in range(commands)]
            found: Any = await answer_of(connection) if self._memory is not None else None
            have = await connection.read_response() if self._replicas else 0
        except BaseException:
            await connection.disconnect(nowait=True)  # or the next one would read our answers
            raise
        self._idle.append((generation, connection))
        if self._memory is not None:
            self._memory.compare(found, known)
        if have < self._replicas and not any(isinstance(answer, ResponseError) for answer in answers):
            raise _TooFewReplicas(f"{have} of {self._replicas}")
        return answers

    async def _connection(self) -> tuple[int, Connection]:
        while self._idle:
            generation, connection = self._idle.pop()
            if generation == self._primary.generation:
                return generation, connection
            await connection.disconnect(nowait=True)
        generation, connection = await self._primary.connect()
        if self._prove is not None:
            try:
                await self._prove(connection)
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
        return generation, connection


def packed(command: Command) -> bytes:
    """Return the command as it goes over the wire."""
    words: bytes = pack_command(command)  # type: ignore[arg-type]  # its stub knows tuples of one word only
    return words


async def answer_of(connection: Connection) -> Any:
    """Read the next answer. A refusal is an answer, too: those behind it are still to be read."""
    try:
        return await connection.read_response()
    except ReadOnlyError:
        raise  # a replica by now: the next connection may find the new primary
    except ResponseError as error:
        return error


def _cause(error: Exception) -> str:
    text = str(error)
    if isinstance(error, _TooFewReplicas) or text.startswith("NOREPLICAS"):
        return "too few of its replicas follow: are they running, and connected to it?"
    if isinstance(error, OutOfMemoryError):
        return "its memory is full: raise maxmemory, or keep telemetry for fewer days"
    if isinstance(error, ReadOnlyError):
        return "it is a replica and can't be written to: name the primary"
    if isinstance(error, BusyLoadingError):
        return "it is still reading its data from the disk: try again in a moment"
    if isinstance(error, AuthenticationError | AuthorizationError | NoPermissionError) or _NO_RIGHT.search(text):
        return "it refuses this user: are name, password and rights as they should be?"
    if text.startswith("MISCONF"):
        return "it can't write to its disk: is that full?"
    if isinstance(error, ResponseError):
        return "it refuses the command"
    return "it can't be reached: is it running, and is the address right?"
