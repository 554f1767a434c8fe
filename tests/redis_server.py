"""A real Redis for tests: its own port, its own folder, ended by its id."""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

from tests.patience import PATIENCE_S
from tests.programs import needs

PROGRAM: Final = "redis-server"
LOOK_S: Final = 0.01
DURABLE: Final = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")


class RedisServer:
    """A ``redis-server`` whose data stay in ``folder``, whatever happens to the process."""

    def __init__(self, folder: Path, *options: str, configuration: Path | None = None) -> None:
        needs(PROGRAM)
        self.folder = folder
        self.options = options or DURABLE
        self._configuration = [str(configuration)] if configuration else []
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.start()

    def url(self, prefix: str = "shouwang") -> str:
        return f"redis://127.0.0.1:{self.port}/0?prefix={prefix}"

    def start(self) -> None:
        """Start on the same port as before; the first time on a free one."""
        for _ in range(1 if self.port else 5):
            port = self.port or free_port()
            self._process = self._spawned(port)
            if self._is_ready(port, self._process):
                self.port = port
                return
        raise AssertionError(f"{PROGRAM} does not start: {(self.folder / 'redis.log').read_text()}")

    def kill(self) -> None:
        """Kill the process without warning, as the kernel does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Pause the process: it keeps its connections, takes new ones even, and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def may_write(self, yes: bool) -> None:
        """Allow or forbid its files to grow."""
        assert self._process is not None
        limit = resource.RLIM_INFINITY if yes else 0
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    def says(self, *words: str) -> bytes:
        """Return the first bytes of its answer to a command, past the store."""
        return ask(self.port, *words)

    def _spawned(self, port: int) -> subprocess.Popen[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        place = ("--bind", "127.0.0.1", "--dir", str(self.folder), "--logfile", "redis.log")
        command = [PROGRAM, *self._configuration, "--port", str(port), *place, *self.options]
        # Signals stay as ours are: a file that may not grow is an error of a write then, and no end of the process.
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, restore_signals=False)

    def _is_ready(self, port: int, process: subprocess.Popen[bytes]) -> bool:
        deadline_s = time.monotonic() + PATIENCE_S
        while process.poll() is None and time.monotonic() < deadline_s:
            try:
                if not ask(port, "PING").startswith(b"-LOADING"):
                    return True
            except OSError:
                pass
            time.sleep(LOOK_S)
        process.kill()
        process.wait()
        return False


def ask(port: int, *words: str) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
        connection.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
        return connection.recv(65_536)


def free_port() -> int:
    """Return a port that is free at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
