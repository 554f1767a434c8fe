"""The least that a feed can do, as a baseline: read the body and answer that all is well."""

from __future__ import annotations

import asyncio
import signal

from aiohttp import web


async def take(request: web.Request) -> web.Response:
    await request.read()
    return web.json_response({"accepted": 0, "stale": 0, "rejected": []})


async def serve() -> None:
    """Serve until SIGTERM."""
    application = web.Application(client_max_size=1 << 20)
    application.router.add_post("/api/v1/telemetry", take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    print(f"ready http={host}:{port}", flush=True)
    await ended.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve())
