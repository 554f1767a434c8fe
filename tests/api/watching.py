"""Reads live streams in tests as a browser would: by events, over a real socket, with a short time-out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientResponse

from tests.api.conftest import Service
from tests.patience import PATIENCE_S


@dataclass(frozen=True)
class Event:
    name: str
    told: Any
    id: str = ""


@dataclass
class Reader:
    """An open stream."""

    response: ClientResponse
    last_event_id: str = ""
    retry: list[str] = field(default_factory=list)
    comments: int = 0

    async def next(self) -> Event | None:
        """The next event; None when the stream is over."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE_S):
            while line := (await self.response.content.readline()).decode():
                name, _, value = line.rstrip("\n").partition(":")
                if line == "\n" and "data" in fields:
                    self.last_event_id = fields.get("id", self.last_event_id)
                    return Event(fields["event"], json.loads(fields["data"]), fields.get("id", ""))
                self.retry += [value.strip()] if name == "retry" else []
                self.comments += line == ":\n"
                fields[name] = value.strip()
        return None

    async def take(self, *names: str) -> list[Any]:
        """Return the data of the next events, which must have these names."""
        events = [await self.next() for _ in names]
        assert [event and event.name for event in events] == list(names)
        return [event.told for event in events if event is not None]

    async def rest(self) -> list[Event]:
        """Return the remaining events until the stream is over."""
        events = []
        while (event := await self.next()) is not None:
            events.append(event)
        return events

    async def nothing(self) -> None:
        """Check that the stream is quiet, and open."""
        try:
            async with asyncio.timeout(0.05):
                chunk = await self.response.content.readany()
        except TimeoutError:
            return
        raise AssertionError(chunk)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for an effect at the other end of a socket."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


@asynccontextmanager
async def stream(service: Service, path: str, headers: Mapping[str, str], **more: str) -> AsyncIterator[Reader]:
    response = await service.client.get(path, headers={**headers, **more})
    try:
        assert response.status == 200, await response.text()
        yield Reader(response)
    finally:
        response.close()
