"""The least that aiohttp can do for a family, as a baseline: an answer in JSON or an event stream."""

from __future__ import annotations

import argparse
import asyncio
import signal

import msgspec
from aiohttp import web

from bench.processes import allow_many_sockets


class Bare:
    """Gives every caller the same answer."""

    def __init__(self, body: bytes) -> None:
        self._value: object = msgspec.json.decode(body)
        self._moved: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def view(self, _: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(self._value), content_type="application/json", charset="utf-8")

    async def live(self, request: web.Request) -> web.StreamResponse:
        """Send an event at once, and another after each report."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(b"event: position\ndata: %b\n\n" % msgspec.json.encode(self._value))
            await asyncio.shield(self._moved)

    async def report(self, request: web.Request) -> web.Response:
        await request.read()
        moved, self._moved = self._moved, asyncio.get_running_loop().create_future()
        moved.set_result(None)
        return web.json_response({"accepted": 0, "stale": 0, "rejected": []})


async def serve(body: bytes) -> None:
    """Serve until SIGTERM."""
    bare, application = Bare(body), web.Application()
    application.router.add_get("/api/v1/family/shares/{id}", bare.view)
    application.router.add_get("/api/v1/family/shares/{id}/live", bare.live)
    application.router.add_post("/api/v1/telemetry", bare.report)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    host, port = runner.addresses[0][:2]
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    print(f"ready http={host}:{port}", flush=True)
    await ended.wait()
    await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.bare", description=__doc__)
    parser.add_argument("body", help="JSON that every answer holds")
    allow_many_sockets()
    asyncio.run(serve(parser.parse_args().body.encode()))
