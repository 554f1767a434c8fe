"""The least that can carry a fix from a terminal to a family's stream, as a baseline: a stateless relay."""

from __future__ import annotations

import asyncio
import signal
import sys

from aiohttp import web

from bench.processes import allow_many_sockets
from bench.sink import Sink


class Relay:
    """The streams by terminal, by the number in its frames."""

    def __init__(self, body: bytes) -> None:
        self.event = b"event: position\ndata: %b\n\n" % body
        self._listeners: dict[bytes, asyncio.Event] = {}

    async def live(self, request: web.Request) -> web.StreamResponse:
        """Send an event at once, and another whenever the terminal has sent anything."""
        came = self._listeners[bytes.fromhex(request.match_info["phone"])] = asyncio.Event()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(self.event)
            await came.wait()
            came.clear()

    def tell(self, phone: bytes) -> None:
        if came := self._listeners.get(phone):
            came.set()


class RelayedSink(Sink):
    """A null sink that tells the relay the terminal of each frame."""

    def __init__(self, relay: Relay) -> None:
        super().__init__()
        self._relay = relay

    def buffer_updated(self, nbytes: int) -> None:
        super().buffer_updated(nbytes)
        self._relay.tell(bytes(self.get_buffer(nbytes)[5:11]))


async def serve(body: bytes) -> None:
    """Serve until SIGTERM."""
    relay, application = Relay(body), web.Application()
    application.router.add_get("/{phone}/live", relay.live)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(lambda: RelayedSink(relay), "127.0.0.1", 0, backlog=4096)
    addresses = (runner.addresses[0], server.sockets[0].getsockname())
    print("ready http={0[0]}:{0[1]} jt808={1[0]}:{1[1]}".format(*addresses), flush=True)
    await ended.wait()
    server.close()
    await runner.cleanup()


if __name__ == "__main__":
    allow_many_sockets()
    asyncio.run(serve(sys.argv[1].encode()))
