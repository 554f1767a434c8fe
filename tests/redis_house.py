"""A primary, its replicas and three Sentinels that fail over between them, as real processes."""

from __future__ import annotations

from pathlib import Path
from time import monotonic, sleep
from typing import Final

from tests.patience import PATIENCE_S
from tests.redis_server import DURABLE, LOOK_S, RedisServer

MASTER: Final = "fleet"
SENTINELS: Final = 3
DOWN_AFTER_MS: Final = 400


class RedisHouse:
    """Everything stands ready when it is made: the replicas follow, each Sentinel knows them and its neighbours."""

    def __init__(self, folder: Path, *, replicas: int) -> None:
        # A replica is sent its data at once, not when others may have come, too; and asks again soon after a fail-over.
        options = (*DURABLE, "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
        self.primary = RedisServer(folder / "primary", *options)
        following = (*options, "--replicaof", "127.0.0.1", str(self.primary.port))
        self.replicas = [RedisServer(folder / f"replica{number}", *following) for number in range(replicas)]
        self.sentinels = [self._sentinel(folder / f"sentinel{number}") for number in range(SENTINELS)]
        for sentinel in self.sentinels:
            deadline_s = monotonic() + PATIENCE_S
            while not self._knows_all(sentinel):
                assert monotonic() < deadline_s, sentinel.says("SENTINEL", "REPLICAS", MASTER)
                sleep(LOOK_S)

    def url(self, parameters: str = "") -> str:
        places = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{places}/{MASTER}/0?prefix=shouwang{parameters}"

    def end(self) -> None:
        for process in (*self.sentinels, *self.replicas, self.primary):
            process.kill()

    def _sentinel(self, folder: Path) -> RedisServer:
        folder.mkdir(parents=True)
        configuration = folder / "sentinel.conf"
        settings = {
            f"monitor {MASTER} 127.0.0.1 {self.primary.port}": SENTINELS // 2 + 1,
            f"down-after-milliseconds {MASTER}": DOWN_AFTER_MS,
            f"failover-timeout {MASTER}": 1_000,
        }
        configuration.write_text("".join(f"sentinel {name} {value}\n" for name, value in settings.items()))
        return RedisServer(folder, "--sentinel", configuration=configuration)

    def _knows_all(self, sentinel: RedisServer) -> bool:
        replicas = sentinel.says("SENTINEL", "REPLICAS", MASTER)
        others = sentinel.says("SENTINEL", "SENTINELS", MASTER)
        following = replicas.count(b"master-link-status\r\n$2\r\nok")
        return following == len(self.replicas) and others.startswith(b"*%d" % (SENTINELS - 1))
