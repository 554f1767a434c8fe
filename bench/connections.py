"""Measures a connected terminal's weight in the server, beside a bare asyncio protocol in another process."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence

from bench.processes import allow_many_sockets, resident_bytes
from bench.sink import ANSWER
from domain.vehicle.fix import Fix
from gateway.jt808.server import Gateway

FIRST = 200
"""Connections made before the weighing, so that shared memory exists by then."""


class Anybody:
    """Knows every terminal, and asks none for a code."""

    def knows(self, terminal: str) -> bool:
        return True

    def needs_auth(self, terminal: str) -> bool:
        return False

    def auth_code(self, terminal: str) -> str:
        return ""


class Nowhere:
    """Keeps no fix."""

    def submit(self, fixes: Sequence[Fix], done: Callable[[bool], None]) -> None:
        asyncio.get_running_loop().call_soon(done, True)

    def room(self) -> bool:
        return True

    def on_room(self, callback: Callable[[], None]) -> None:
        """Call nothing: there always is room."""


_buffer = bytearray(4_096)


class Bare(asyncio.BufferedProtocol):
    """Answers all input."""

    __slots__ = ("_transport",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return _buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._transport.write(ANSWER)


async def listen(kind: str) -> int:
    """Listen, and return the port."""
    if kind == "ours":
        gateway = Gateway(terminals=Anybody(), ingest=Nowhere(), now=time.time)
        return await gateway.start("127.0.0.1", 0)
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", 0, backlog=4096)
    port: int = server.sockets[0].getsockname()[1]
    return port


async def crowd(port: int, count: int) -> asyncio.subprocess.Process:
    """Connect this many terminals, which have been answered once and stay."""
    words = (
        "-m",
        "bench.crowd",
        f"127.0.0.1:{port}",
        "--connections",
        str(count),
        "--begins-at",
        str(int(time.time())),
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    if await process.stdout.readline() != b"go\n":
        raise RuntimeError("the terminals did not connect")
    return process


async def weigh(kind: str, count: int, memory: Callable[[], int]) -> float:
    """Return the bytes of one connection."""
    port = await listen(kind)
    crowds = [await crowd(port, FIRST)]
    gc.collect()
    before = memory()
    crowds.append(await crowd(port, count))
    gc.collect()
    each = (memory() - before) / count
    for process in crowds:
        process.kill()
        await process.wait()
    return each


def traced() -> int:
    return tracemalloc.get_traced_memory()[0]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.connections", description=__doc__)
    parser.add_argument("kind", choices=("ours", "bare"))
    parser.add_argument("--connections", type=int, default=15_000)
    parser.add_argument(
        "--traced", action="store_true", help="measure Python's own memory instead of the system's figure"
    )
    options = parser.parse_args()
    allow_many_sockets()
    if options.traced:
        tracemalloc.start()
    each = asyncio.run(weigh(options.kind, options.connections, traced if options.traced else resident_bytes))
    print(json.dumps({"bytes": each}), flush=True)


if __name__ == "__main__":
    main()
