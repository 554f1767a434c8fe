"""How does a newcomer see all of it at once? Registry, service and fleet with one command, and what to open."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from secrets import token_urlsafe
from typing import Final

from api.terms import read_terms
from settings import Settings, address, environment_of_process
from sim.main import SimOptions, run_sim
from sim.registry_lines import Business, business
from sim.registry_lines import write as write_registry

FOLDER: Final = Path("data")
STORE: Final = f"sqlite:{FOLDER}/demo.db"
"""At real speed; a fast clock gets a store of its own, since its fixes lie in everybody else's future."""
LOG: Final = FOLDER / "demo-service.log"


class DemoFailed(Exception):
    """A part of the demo did not start; the message is what it said."""


def sim_options(settings: Settings, args: Namespace) -> SimOptions:
    """What the command line asked of the simulator. Raises ``SettingsError``."""
    at = address(args.jt808)
    return SimOptions(
        api=args.api,
        jt808_host=at.host,
        jt808_port=at.port,
        vehicles=args.vehicles,
        seed=args.seed,
        scenario=args.scenario,
        duration_s=args.duration,
        speedup=args.speedup,
        interval_s=args.interval,
        registry=Path(args.registry) if args.registry else None,
        ops_key=settings.ops_key or None,
    )


async def demo(settings: Settings, args: Namespace, *, program: Path) -> int:
    """The service in a process of its own, as in real life, and the fleet in this one; the verdict's exit status."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    args.store = args.store or (STORE if args.speedup == 1 else f"sqlite:{FOLDER}/demo-x{args.speedup:g}.db")
    registry = FOLDER / "demo-registry.jsonl"
    write_registry(registry, seed=args.seed, vehicles=args.vehicles, year=time.gmtime().tm_year)
    importing = await asyncio.create_subprocess_exec(
        sys.executable, str(program), "import", str(registry), "--store", args.store
    )
    if await importing.wait():
        raise DemoFailed("the demo's registry could not be imported")
    feed_key = settings.feed_key or token_urlsafe(16)
    service = await _start(args, program, feed_key)
    try:
        ready = await _until_ready(service)
        args.api, args.jt808, args.registry = f"http://{ready['http']}", ready["jt808"], None
        _print_addresses(args.api, feed_key, business(args.seed, 0))
        return await run_sim(sim_options(settings, args))
    finally:
        if service.returncode is None:
            service.send_signal(signal.SIGTERM)
        await service.wait()


async def _start(args: Namespace, program: Path, feed_key: str) -> asyncio.subprocess.Process:
    command = [sys.executable, str(program), "serve", "--store", args.store, "--http", args.http]
    command += ["--jt808", args.jt808, "--clock-speed", str(args.speedup)]
    environment = {**environment_of_process(), "FEED_KEY": feed_key}
    with LOG.open("wb") as log:  # The service has its own session, so that Ctrl-C ends the drive and not the service.
        return await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=log, env=environment, start_new_session=True
        )


async def _until_ready(service: asyncio.subprocess.Process) -> Mapping[str, str]:
    """The parts of the service's ``ready`` line."""
    assert service.stdout is not None
    line = (await service.stdout.readline()).decode()
    if not line.startswith("ready "):
        await service.wait()
        said = LOG.read_text("utf-8", "replace").splitlines()
        raise DemoFailed(f"the service did not start: {said[-1] if said else 'it said nothing'}")
    return dict(part.split("=", 1) for part in line.split()[1:])


def _print_addresses(api: str, feed_key: str, owner: Business) -> None:
    terms = read_terms().version
    print(
        f"""
  平安守望 demo (sandbox identity provider: nobody's real data)
  health    {api}/health
  metrics   {api}/metrics
  owner     sign in:  curl -s {api}/api/v1/sessions -H 'Content-Type: application/json' \\
              -d '{{"kind":"legal","username":"{owner.username}","password":"{owner.password}","terms_version":"{terms}"}}'
            then:     curl -s {api}/api/v1/owner/vehicles -H 'Authorization: Bearer TOKEN'
  feed      POST {api}/api/v1/telemetry with X-Feed-Key: {feed_key}
  log       {LOG}
""",
        flush=True,
    )
