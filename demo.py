"""How does a newcomer see all of it at once? Registry, service and fleet with one command, and what to open."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from secrets import token_urlsafe
from typing import Final

from arguments import UsageError
from settings import Settings, address, environment_of_process
from sim.household import Household, make_household
from sim.main import SimOptions, run_sim
from sim.owners import ServiceError
from sim.registry_lines import write as write_registry

FOLDER: Final = Path("data")
STORE: Final = f"sqlite:{FOLDER}/demo.db"
"""At real speed; a fast clock gets a store of its own, since its fixes lie in everybody else's future."""
LOG: Final = FOLDER / "demo-service.log"


class DemoFailed(UsageError):
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
        sys.executable,
        str(program),
        "import",
        str(registry),
        env=environment_of_process() | {"SHOUWANG_STORE": args.store},
    )
    if await importing.wait():
        raise DemoFailed("the demo's registry could not be imported")
    feed_key = settings.feed_key or token_urlsafe(16)
    ops_key = settings.ops_key or token_urlsafe(16)
    service = await _start(args, program, FEED_KEY=feed_key, OPS_KEY=ops_key, SHOUWANG_STORE=args.store)
    try:
        ready = await _until_ready(service)
        args.api, args.jt808, args.registry = f"http://{ready['http']}", ready["jt808"], None
        try:
            people = await make_household(args.api, seed=args.seed)
        except ServiceError as error:
            raise DemoFailed(f"{error}. Remove {args.store.removeprefix('sqlite:')} to begin anew") from error
        _print_addresses(args.api, feed_key, ops_key, people)
        return await run_sim(replace(sim_options(settings, args), ops_key=ops_key))
    finally:
        if service.returncode is None:
            service.send_signal(signal.SIGTERM)
        await service.wait()


async def _start(args: Namespace, program: Path, **secrets: str) -> asyncio.subprocess.Process:
    """What others on the machine must not see (keys, a store's password) goes by the environment."""
    command = [sys.executable, str(program), "serve", "--http", args.http]
    command += ["--jt808", args.jt808, "--clock-speed", str(args.speedup)]
    environment = environment_of_process() | secrets
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


def _print_addresses(api: str, feed_key: str, ops_key: str, people: Household) -> None:
    print(
        f"""
  平安守望 demo (sandbox identity provider: nobody's real data); docs/walkthrough.md goes through all of it

  open      {api}/                      the pages; sign in by the phones below, no code is asked in the sandbox
            {people.free_link}
                                        a link of truck {people.plate} that nobody has opened yet: one person may
            {people.delegation_link}
                                        a link for somebody at home to bind another truck for the driver
            {api}/ops                   control room; key {ops_key}
            {api}/docs                  every call, to read and try

  driver    phone {people.driver_phone}    BINDING={people.binding_id}
            DRIVER={people.driver_token}
            curl -s {api}/api/v1/driver/vehicles -H "Authorization: Bearer $DRIVER"
  family    phone {people.family_phone}    SHARE={people.share_id}
            FAMILY={people.family_token}
            curl -s {api}/api/v1/family/shares/$SHARE -H "Authorization: Bearer $FAMILY"
            curl -sN {api}/api/v1/family/shares/$SHARE/live -H "Authorization: Bearer $FAMILY"
  owner     user {people.owner_name}    password {people.owner_password}
            OWNER={people.owner_token}
            curl -s {api}/api/v1/owner/vehicles -H "Authorization: Bearer $OWNER"
  health    curl -s {api}/health -H "X-Ops-Key: {ops_key}"       and /metrics
  feed      POST {api}/api/v1/telemetry with X-Feed-Key: {feed_key}
  log       {LOG}
""",
        flush=True,
    )
