"""A parent's side of a shard behind a pipe: the same three verbs, from as many callers as there is room for."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from actors.system.asks import A, Ask
from actors.system.supervisor import Unanswered, Watcher
from actors.wire import Uncrossable, decode_answer, decode_event, decode_outcomes, decode_refusal, encode_message
from domain.vehicle.fix import Batch
from domain.vehicle.quality import Outcome
from tests.patience import PATIENCE_S
from tests.seam.pipe import (
    CALLS,
    Answer,
    Asked,
    Broken,
    Cancel,
    Pipe,
    Refused,
    Route,
    Said,
    Told,
    Unwatch,
    Watch,
    pipe_over,
)

log = logging.getLogger(__name__)

ROOT: Final = Path(__file__).parents[2]

ANSWER_S: Final = PATIENCE_S
"""Real seconds that a call may take, the wait for room included; the shard's own patience with its actors is shorter."""


class ShardLost(Unanswered):
    """The shard has ended; whether it did what it was asked, only its store knows: ask its successor the same again."""


class RemoteShard:
    """A ``Shard`` whose actors live at the other end of ``pipe``."""

    def __init__(self, pipe: Pipe, *, calls: int = CALLS, answer_s: float = ANSWER_S) -> None:
        self._pipe = pipe
        self._answer_s = answer_s
        self._numbers = count()
        self._room = asyncio.Semaphore(calls)
        self._routing = asyncio.Lock()
        self._waiting: dict[int, asyncio.Future[Answer | Refused | None]] = {}
        """Calls in progress, by number; None is the answer of a shard that has ended."""
        self._watchers: dict[int, Watcher] = {}
        self._watches: dict[tuple[str, str, Watcher], list[int]] = {}
        self._listening = asyncio.create_task(self._listen())

    # -- the three verbs ---------------------------------------------------------------------------------------------

    async def route(self, batch: Batch) -> list[Outcome]:
        """Is durable and goes on when its caller is cancelled: no batch may overtake it. Raises what routing does."""
        return await asyncio.shield(self._routed(batch))

    async def _routed(self, batch: Batch) -> list[Outcome]:
        async with self._routing:
            answer = await self._call(Route(next(self._numbers), encode_message(batch)))
        return decode_outcomes(answer)

    async def ask(self, key: str, message: Ask[A]) -> A:
        """Raises what ``Supervisor.ask`` does, and ``ShardLost``."""
        call = Asked(next(self._numbers), key, encode_message(message))
        return decode_answer(message, await self._call_in_time(call))

    async def watch(self, kind: str, key: str, watcher: Watcher) -> bool:
        """Watch an actor. After the shard is lost nothing is announced: the watcher then asks its successor (``lost``)."""
        call = Watch(next(self._numbers), kind, key)
        self._watchers[call.number] = watcher
        self._watches.setdefault((kind, key, watcher), []).append(call.number)
        knows = False
        try:
            knows = msgspec.msgpack.decode(await self._call_in_time(call), type=bool)
        finally:
            if not knows:
                self._forget((kind, key, watcher), call.number)
        return knows

    def unwatch(self, kind: str, key: str, watcher: Watcher) -> None:
        """See ``Supervisor.unwatch``."""
        if numbers := self._watches.get((kind, key, watcher)):
            self._forget((kind, key, watcher), numbers[-1])

    # -- its end -----------------------------------------------------------------------------------------------------

    async def lost(self) -> None:
        """Return when the shard has ended, for any reason."""
        await asyncio.shield(self._listening)

    async def close(self) -> None:
        """Returns when the shard has answered what is under way, and ended."""
        self._pipe.close()
        await self.lost()

    # -- calling and listening ---------------------------------------------------------------------------------------

    async def _call_in_time(self, call: Asked | Watch) -> bytes:
        try:
            async with asyncio.timeout(self._answer_s), self._room:
                return await self._call(call)
        except TimeoutError:
            raise Unanswered(f"the shard did not answer within {self._answer_s} s") from None

    async def _call(self, call: Asked | Route | Watch) -> bytes:
        if self._listening.done():
            raise ShardLost
        said: asyncio.Future[Answer | Refused | None] = asyncio.get_running_loop().create_future()
        self._waiting[call.number] = said
        try:
            self._pipe.send(call)
            await self._pipe.drain()
            frame = await said
        except ConnectionError as error:
            raise ShardLost from error
        except asyncio.CancelledError:
            self._pipe.send(Cancel(call.number))
            raise
        finally:
            del self._waiting[call.number]
        if frame is None:
            raise ShardLost
        if isinstance(frame, Refused):
            raise decode_refusal(frame.refusal)
        return frame.answer

    def _forget(self, place: tuple[str, str, Watcher], number: int) -> None:
        numbers = self._watches.get(place, [])
        if number in numbers:
            numbers.remove(number)
            del self._watchers[number]
            self._pipe.send(Unwatch(number))
        if not numbers:
            self._watches.pop(place, None)

    async def _listen(self) -> None:
        try:
            while (frame := await self._pipe.receive()) is not None:
                self._take(frame)
        except (Broken, Uncrossable) as error:
            log.error("the shard is lost: %s", error)
        finally:
            self._pipe.close()
            for said in self._waiting.values():
                if not said.done():
                    said.set_result(None)

    def _take(self, frame: Said) -> None:
        if isinstance(frame, Told):
            if (watcher := self._watchers.get(frame.number)) is not None:
                watcher(decode_event(frame.event))
        elif (said := self._waiting.get(frame.number)) is not None and not said.done():
            said.set_result(frame)  # Else whoever asked has gone.


class ShardProcess:
    """The parent's handle: the process, and its actors."""

    def __init__(self, process: asyncio.subprocess.Process, shard: RemoteShard) -> None:
        self.process = process
        self.shard = shard

    @classmethod
    async def start(cls, store: Path, at: float) -> ShardProcess:
        """Start a shard, which recovers while the first calls wait in its pipe."""
        command = (sys.executable, "-m", "tests.seam.shard_process", str(store), repr(at))
        hears, says = os.pipe(), os.pipe()
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=hears[0], stdout=says[1])
        os.close(hears[0])
        os.close(says[1])
        return cls(process, RemoteShard(await pipe_over(says[0], hears[1], Said)))

    async def end(self) -> int:
        """Closes the pipe and waits for the end that this is to the process; its exit status."""
        await self.shard.close()
        return await self.process.wait()

    async def kill(self) -> None:
        """SIGKILL: not one more instruction of it runs."""
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        await self.shard.lost()
