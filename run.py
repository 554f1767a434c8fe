"""Puts all parts together, and nothing else: the composition of the service, and ``main`` for the command line.

``serve`` opens inside out (store, vehicles, telemetry, sockets) and closes outside in. So nothing is let in before its
receiver is there, and nothing is let go before it is safe.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from argon2 import PasswordHasher

from actors.people.household import Household
from actors.system.clock import RealClock, VirtualClock
from actors.system.runtime import Dispatcher
from actors.system.supervisor import Supervisor
from actors.vehicles.checkpoints import Checkpointer
from actors.vehicles.directory import Directory
from actors.vehicles.limits_seen import LimitsSeen
from actors.vehicles.recovery import Recovery, newest_time
from actors.vehicles.registry_follower import RegistryFollower
from actors.vehicles.state import VehicleKind
from actors.vehicles.telemetry import Router
from actors.vehicles.timekeeper import Timekeeper
from actors.vehicles.vehicle import KIND, Fleet
from api.accounts.identity import IdentityProvider, RegistryRealNames, Sandbox
from api.accounts.passwords import Passwords
from api.accounts.terms import read_terms
from api.accounts.wechat import WeChat
from api.app import make_app, make_runner
from api.http.connections import GuardedSite
from api.http.proxies import Proxies, networks
from api.pages import Pages, TileSource, tile_source
from api.ports import Services
from commands.arguments import UsageError, parser
from commands.process import (
    LinesBehind,
    allow_many_sockets,
    boot_id,
    freeze_heap,
    log_to_stderr,
    relieve_garbage_collector,
    steady_s,
    when_stdin_ends,
)
from commands.registrar import end_sessions, import_registry
from domain.places import Places
from domain.vehicle.profile import DEFAULT_PROFILE
from gateway.feed import Feed
from gateway.ingest import Ingest
from gateway.jt808.server import Gateway
from persistence.opening import COMMANDS, import_facts, open_store
from persistence.records import encode_batch
from persistence.registry.lookups import Registry
from persistence.store import Store, StoreError
from settings import Settings, SettingsError, address, check_sandbox, environment_of_process, fitted, from_environment

log = logging.getLogger("shouwang")
ACCESS_LOG: Final = logging.getLogger("api.access")

VERSION: Final = "0.1.0"
GEOGRAPHY: Final = Path(__file__).parent / "geography"


# -- serve ----------------------------------------------------------------------------------------------------------


class Service:
    """The whole backend of one process. ``async with Service(...)``: it serves inside the block."""

    def __init__(
        self,
        settings: Settings,
        *,
        virtual_from: float | None = None,
        clock_speed: float = 1.0,
        read_time: Callable[[], float] = time.time,
        read_steady: Callable[[], float] = steady_s,
        opening: Callable[[str], Awaitable[Store]] | None = None,
        hasher: PasswordHasher | None = None,
        tell_access: Callable[[str], None] = ACCESS_LOG.info,
    ) -> None:
        """``read_time`` is the machine's clock, ``read_steady`` one that nobody moves; ``opening`` opens the store of the settings, ``hasher`` knows passwords."""
        self.settings = settings
        self._opening = opening or open_store
        self._hasher = hasher or PasswordHasher()
        self._tell_access = tell_access
        self.clock: RealClock | VirtualClock
        if virtual_from is not None:
            self.clock = VirtualClock(virtual_from, settle=self.rest)
        else:
            self.clock = RealClock(read_time, steady=read_steady, speed=clock_speed)
        self.http = self.jt808 = ""
        self.is_draining = False
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Service:
        try:
            await self._open()
        except BaseException:
            await self._closing.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._closing.aclose()

    async def _open(self) -> None:
        self.store = await self._opening(self.settings.store)
        self._closing.push_async_callback(self.store.close)
        await self.store.serve_alone()
        self.registry = await Registry.open(self.store)
        self.directory = Directory(self.registry, await self.store.secret("jt808-auth"))
        await self.directory.load()
        await self._continue_fast_clock()
        self._make_vehicles()
        await self._keep_time()
        await self._recover()
        self._start_telemetry()
        await self._start_household()
        await self._start_gateway()
        await self._start_http()

    async def _continue_fast_clock(self) -> None:
        """A clock that runs fast is ahead of real time when it ends; the next start must not fall back behind its fixes."""
        if isinstance(self.clock, RealClock) and self.clock.speed != 1:
            newest = await newest_time(self.store)
            if newest is not None and newest > self.clock.now():
                self.clock.start_from(newest)

    async def _keep_time(self) -> None:
        self.timekeeper = Timekeeper(self.clock, self.store, self.fleet, boot=boot_id())
        await self.timekeeper.resume()
        self._closing.push_async_callback(self.timekeeper.save)
        self._keep_running(self.timekeeper.run())

    def _make_vehicles(self) -> None:
        self.dispatcher = Dispatcher()
        self.fleet = Fleet(self.clock, DEFAULT_PROFILE, passivate_after_s=self.settings.passivate_after_s)
        self.vehicles = VehicleKind(
            self.store,
            self.dispatcher,
            self.fleet,
            limits_of=self.registry.speed_limits,
            vehicle_of=self.directory.vehicle_of,
        )
        self.supervisor = Supervisor(self.dispatcher, self.clock, {KIND: self.vehicles})
        self._closing.push_async_callback(self.supervisor.stop)
        self.router = Router(self.supervisor, self.fleet, self.directory.vehicle_of)
        self.follower = RegistryFollower(self.directory, self.supervisor)
        self.household = Household(
            self.dispatcher, self.clock, self.store, self.supervisor, owner_of=self.registry.owner_of
        )

    async def _recover(self) -> None:
        self.limits_seen = LimitsSeen(self.store, self.registry, told=self.follower.told)
        recovery = Recovery(
            self.store,
            self.supervisor,
            self.vehicles,
            limits_of=await self.limits_seen.limits_of(self.registry.speed_limits),
            vehicle_of=self.directory.vehicle_of,
        )
        self.recovered = await recovery.run()
        log.info("recovered: %s", self.recovered)

    def _start_telemetry(self) -> None:
        self.ingest = Ingest(
            append=lambda received_at, fixes: self.store.append(encode_batch(received_at, fixes)),
            route=self.router.route,
            now=self.clock.now,
            mark=self.timekeeper.mark,
            folded=self.recovered.last_number,
            limits=self.settings.telemetry,
        )
        self.checkpointer = Checkpointer(
            self.store,
            self.supervisor,
            self.fleet,
            folded=lambda: self.ingest.folded,
            between_batches=self.ingest.between_batches,
            limits_seen=self.limits_seen,
            cycle_s=self.settings.checkpoint_s,
            retention_s=self.settings.retention_days * 86_400,
        )
        self._closing.push_async_callback(self._save)
        self._keep_running(self.checkpointer.run())
        self._keep_running(self.follower.run(self.checkpointer.write_all_and))
        self.ingest.start()
        self._closing.push_async_callback(self.ingest.stop, patience_s=self.settings.drain_s)

    async def _start_household(self) -> None:
        """Before anybody can ask: what ended meanwhile is noted."""
        await self.household.recover()
        self._closing.push_async_callback(self._save_watches)
        self._keep_running(self.household.watch_log.run())
        self._keep_running(self.household.run())

    async def _start_http(self) -> None:
        cities = json.loads((GEOGRAPHY / "cities.json").read_text("utf-8"))
        services = Services(
            clock=self.clock,
            store=self.store,
            registry=self.registry,
            supervisor=self.supervisor,
            fleet=self.fleet,
            feed=Feed(self.ingest, self.directory.knows),
            passwords=await asyncio.to_thread(Passwords, self._hasher),
            identity=self._identity(),
            real_names=RegistryRealNames(self.registry),
            registry_revision=lambda: self.directory.revision,
            attempt_limits=self.settings.attempts,
            stream_limits=self.settings.streams,
            terms=read_terms(),
            place_of=Places(
                (city["name"] + city.get("suffix", "市"), city["lon"], city["lat"]) for city in cities
            ).nearest,
            ingest_stats=lambda: self.ingest.stats,
            store_stats=self.store.stats,
            gateway_stats=lambda: asdict(self.gateway.stats()),
            known_vehicles=lambda: len(self.directory),
            watch_log=self.household.watch_log,
            public_url=lambda: self.settings.public_url.rstrip("/") or f"http://{self.http}",
            version=VERSION,
            tell_access=self._tell_access,
            pages=Pages(tiles=self._tiles()),
            proxies=Proxies(self.settings.proxies, networks(self.settings.proxy_networks)),
            connection_limits=self.settings.connections,
            feed_key=self.settings.feed_key,
            ops_key=self.settings.ops_key,
            is_draining=lambda: self.is_draining,
            advance=self.clock.advance if isinstance(self.clock, VirtualClock) else None,
        )
        runner = make_runner(make_app(services), drain_s=self.settings.drain_s)
        await runner.setup()
        self._closing.push_async_callback(runner.cleanup)
        at = address(self.settings.http)
        await listening(GuardedSite(runner, at.host, at.port).start(), at, "SHOUWANG_HTTP or --http")
        self.http = f"{at.host}:{runner.addresses[0][1]}"

    def _tiles(self) -> TileSource | None:
        chosen = self.settings
        return tile_source(chosen.tiles_url, attribution=chosen.tiles_attribution, crs=chosen.tiles_crs)

    def _identity(self) -> IdentityProvider:
        """Choose the provider that vouches for people, and log its name."""
        appid, secret = self.settings.wechat_appid, self.settings.wechat_secret
        provider = WeChat(appid, secret, api=self.settings.wechat_api) if appid else Sandbox()
        self._closing.push_async_callback(provider.close)
        log.warning("identity provider %s: %s", provider.name, provider.notice)
        return provider

    async def _start_gateway(self) -> None:
        self.gateway = Gateway(
            terminals=self.directory, ingest=self.ingest, now=self.clock.now, limits=self.settings.terminals
        )
        at = address(self.settings.jt808)
        port = await listening(self.gateway.start(at.host, at.port), at, "SHOUWANG_JT808 or --jt808")
        self.jt808 = f"{at.host}:{port}"
        self._closing.push_async_callback(self.gateway.stop, patience_s=self.settings.drain_s)

    async def rest(self) -> None:
        """Returns when all that is under way has come to rest: what the virtual clock waits for."""
        await self.ingest.rest()
        await self.supervisor.rest()

    async def _save(self) -> None:
        try:
            await self.checkpointer.write_all()
        except StoreError as error:
            log.error("the last checkpoint failed, the next start reads more of the log: %s", error)

    async def _save_watches(self) -> None:
        try:
            await self.household.watch_log.flush()
        except StoreError as error:
            log.error("who watched last is not written: %s", error)

    def _keep_running(self, work: Any) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(_complain)

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self._closing.push_async_callback(end)


def _complain(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.critical("a part of the service has ended", exc_info=task.exception())


async def listening(starting: Any, at: object, setting: str) -> Any:
    """Awaits a server's start; a port that is taken becomes a sentence."""
    try:
        return await starting
    except OSError as error:
        raise UsageError(
            f"can't listen on {at}: {os.strerror(error.errno) if error.errno else error}. Choose another with {setting}"
        ) from error


async def serve(settings: Settings, args: Namespace, log_lines: LinesBehind) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if args.stop_with_stdin:
        when_stdin_ends(partial(loop.call_soon_threadsafe, stopping.set))
    relieve_garbage_collector()  # Recovery makes millions of objects that stay.
    async with Service(
        settings,
        virtual_from=args.virtual_clock,
        clock_speed=args.clock_speed,
        opening=partial(open_store, new=args.new, notes=Path(settings.served_notes)),
        tell_access=log_lines.teller(ACCESS_LOG.name),
    ) as service:
        freeze_heap()
        print(f"ready http={service.http} jt808={service.jt808} store={service.store.name}", flush=True)
        await stopping.wait()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(
                number, os._exit, 1
            )  # A second signal does not wait; the store is safe at any moment.
        service.is_draining = True
        log.info("stopping: draining what is under way")
    return 0


# -- main -----------------------------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 done in part or not agreed, 2 asked for what can't be done."""
    try:
        settings = from_environment()
        args = parser(settings, environment_of_process(), version=VERSION).parse_args(argv)
        descriptors = allow_many_sockets()
        lines = log_to_stderr(logging.INFO if args.command == "serve" else logging.WARNING)
        match args.command:
            case "serve":
                chosen = replace(settings, http=args.http, jt808=args.jt808, store=args.store)
                check_sandbox(chosen, is_meant=args.sandbox)
                return asyncio.run(serve(fitted(chosen, descriptors), args, lines))
            case "import" if args.facts is None:
                return asyncio.run(
                    import_registry(args.store, args.file, new=args.new, notes=Path(settings.served_notes))
                )
            case "import":
                print(asyncio.run(import_facts(args.store, args.facts)))
            case "sessions":
                print(asyncio.run(end_sessions(args.store, args.username, notes=Path(settings.served_notes))))
            case "export" | "backup" | "restore":
                print(asyncio.run(COMMANDS[args.command](args.store, args.file)))
            case "sim":
                from commands.demo import sim_options
                from sim.main import run_sim

                return asyncio.run(run_sim(sim_options(settings, args)))
            case "torture":
                from torture.main import Options, cores, torture

                runs = args.runs or (0 if args.minutes else 100)
                jobs = args.jobs or cores()
                return torture(Service, Options(args.seed, runs, args.minutes or 0.0, jobs, args.steps, args.mutants))
            case _:
                from commands.demo import demo

                return asyncio.run(demo(settings, args, program=Path(__file__)))
        return 0
    except (UsageError, SettingsError, StoreError) as error:
        logging.shutdown()  # What was logged comes first: this is the last word.
        print(f"run.py: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):  # The second is what remains of a drive given up by Ctrl-C.
        return 130


if __name__ == "__main__":
    sys.exit(main())
