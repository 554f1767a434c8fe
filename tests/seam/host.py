"""Serves a shard behind a pipe: a task per call, answers as they are ready, events as they are announced."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Final

from actors.shard import Shard
from actors.system.runtime import REFUSALS
from actors.system.supervisor import Unanswered, Watcher
from actors.wire import decode_message, encode_answer, encode_event, encode_refusal
from tests.seam.pipe import (
    CALLS,
    Answer,
    Asked,
    Called,
    Cancel,
    Pipe,
    Refused,
    Route,
    Told,
    Unwatch,
    Watch,
)

log = logging.getLogger(__name__)

MAX_CALLS: Final = 2 * CALLS
"""Concurrent calls. A parent that keeps to ``CALLS`` may have some cancelled ones here still."""


class Host:
    """The child's side; while its parent does not take what it says, it reads no further calls."""

    def __init__(self, shard: Shard, pipe: Pipe) -> None:
        self._shard = shard
        self._pipe = pipe
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._watches: dict[int, tuple[str, str, Watcher]] = {}

    async def serve(self) -> None:
        """Serve until the parent closes its end and all calls are answered.

        Raises ``Broken`` or ``ConnectionError``.
        """
        try:
            while (frame := await self._pipe.receive()) is not None:
                self._take(frame)
                await self._pipe.drain()
                await asyncio.sleep(0)  # Frames that came together begin one after the other, and are answered between.
        finally:
            for watch in self._watches.values():
                self._shard.unwatch(*watch)
            await asyncio.gather(*self._calls.values(), return_exceptions=True)

    def _take(self, frame: Called) -> None:
        match frame:
            case Cancel():
                if frame.number in self._calls:
                    self._calls[frame.number].cancel()
            case Unwatch():
                self._unwatch(frame.number)
            case _:
                self._begin(frame)

    def _begin(self, call: Asked | Route | Watch) -> None:
        if len(self._calls) >= MAX_CALLS:
            self._pipe.send(Refused(call.number, encode_refusal(Unanswered("too much is under way"))))
            return
        if isinstance(call, Watch):  # At once: an ``Unwatch`` may be the next frame.
            self._watches[call.number] = call.kind, call.key, partial(self._tell, call.number)
        task = self._calls[call.number] = asyncio.create_task(self._answer(call))
        task.add_done_callback(lambda done: self._calls.pop(call.number))

    async def _answer(self, call: Asked | Route | Watch) -> None:
        try:
            self._pipe.send(Answer(call.number, encode_answer(await self._do(call))))
        except Exception as error:
            if not isinstance(error, (*REFUSALS, Unanswered)):
                log.warning("a call failed", exc_info=error)
            self._pipe.send(Refused(call.number, encode_refusal(error)))

    async def _do(self, call: Asked | Route | Watch) -> object:
        match call:
            case Asked():
                return await self._shard.ask(call.key, decode_message(call.message))
            case Route():
                return await self._shard.route(decode_message(call.batch))
            case Watch():
                return await self._watch(call.number)

    async def _watch(self, number: int) -> bool:
        watch, knows = self._watches.get(number), False
        try:
            knows = watch is not None and await self._shard.watch(*watch)
        finally:
            if not knows:
                self._unwatch(number)
        return knows

    def _tell(self, number: int, event: object) -> None:
        self._pipe.send(Told(number, encode_event(event)))

    def _unwatch(self, number: int) -> None:
        watch = self._watches.pop(number, None)
        if watch is not None:
            self._shard.unwatch(*watch)
