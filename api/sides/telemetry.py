"""The call by which other platforms hand in positions: one batch, answered once it is durable."""

from __future__ import annotations

from api.http.calls import Call
from gateway.feed import Feed, FeedAnswer

CONTENT_TYPE = "application/msgpack"


class TelemetryDesk:
    """The handler of ``/telemetry``."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    async def take(self, call: Call[bytes, None]) -> FeedAnswer:
        """Take a batch. A bad row never loses the others."""
        return await self._feed.take(call.body)
