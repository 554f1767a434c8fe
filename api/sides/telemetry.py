"""How do other platforms hand in positions? One call, one batch, an answer once it is durable."""

from __future__ import annotations

from api.http.calls import Call
from gateway.feed import Feed, FeedAnswer

CONTENT_TYPE = "application/msgpack"


class TelemetryDesk:
    """The handler of ``/telemetry``."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    async def take(self, call: Call[bytes, None]) -> FeedAnswer:
        """One bad row never loses the others."""
        return await self._feed.take(call.body)
