"""The demo: registry, service and fleet with one command, and the addresses to open.

The service is a process of its own, as in real life, and ends with the demo however the demo ends.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from secrets import token_urlsafe
from shlex import quote
from typing import Final

from commands.arguments import UsageError
from settings import Settings, address, environment_of_process
from sim.household import Household, make_household
from sim.lead import Lead, pick_lead
from sim.main import Impossible, SimOptions, check_interval, run_sim
from sim.owners import Service, ServiceError
from sim.registry_lines import write as write_registry
from sim.scenarios import Scenario, UnknownScenario, scenario
from sim.service_clock import ServiceClock

FOLDER: Final = Path("data")
STORE: Final = f"sqlite:{FOLDER}/demo.db"
"""At real speed; a fast clock gets a store of its own, since its fixes lie in everybody else's future."""
LOG: Final = FOLDER / "demo-service.log"
LOCK: Final = FOLDER / "demo.lock"
VARIABLES: Final = FOLDER / "demo.env"
"""Addresses, tokens and keys of the running demo, for a shell to read."""


class DemoFailed(UsageError):
    """A part of the demo did not start, or ended too early; the message is what it said."""


def sim_options(settings: Settings, args: Namespace) -> SimOptions:
    """Read the simulator's options from the command line. Raises ``SettingsError``."""
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
    """Run the whole demo in the current folder; returns the verdict's exit status. Raises ``UsageError``."""
    chosen = _checked(args)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with _alone():
        args.store = args.store or (STORE if args.speedup == 1 else f"sqlite:{FOLDER}/demo-x{args.speedup:g}.db")
        await _import_fleet(args, program)
        keys = {
            "FEED_KEY": settings.feed_key or token_urlsafe(16),
            "OPS_KEY": settings.ops_key or token_urlsafe(16),
        }
        async with _service(args, program, keys | {"SHOUWANG_STORE": args.store}) as service:
            ready = await _until_ready(service)
            args.api, args.jt808, args.registry = f"http://{ready['http']}", ready["jt808"], None
            lead = await _lead(args, chosen, keys["OPS_KEY"])
            people = await _people(args, lead)
            _print_addresses(args.api, keys, people, lead)
            options = replace(sim_options(settings, args), ops_key=keys["OPS_KEY"], lead=lead)
            return await _drive_while(service, options)


def _checked(args: Namespace) -> Scenario:
    """The scenario, before anything is touched. Raises ``UsageError`` for one that can't be driven."""
    try:
        chosen = scenario(args.scenario)
        check_interval(args.interval or chosen.interval_s)
    except (UnknownScenario, Impossible) as error:
        raise UsageError(str(error)) from error
    return chosen


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the folder's lock, which the system lets go of whatever becomes of this process. Raises ``DemoFailed``."""
    with LOCK.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip()
            raise DemoFailed(
                f"a demo runs in this folder already (process {holder or 'unknown'}): end it with Ctrl-C there, "
                "or start this one in another folder"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


async def _import_fleet(args: Namespace, program: Path) -> None:
    registry = FOLDER / "demo-registry.jsonl"
    write_registry(registry, seed=args.seed, vehicles=args.vehicles, year=time.gmtime().tm_year)
    importing = await asyncio.create_subprocess_exec(
        sys.executable,
        str(program),
        "import",
        "--new",
        str(registry),
        env=environment_of_process() | {"SHOUWANG_STORE": args.store},
    )
    if await importing.wait():
        raise DemoFailed("the demo's registry could not be imported")


@asynccontextmanager
async def _service(
    args: Namespace, program: Path, secrets: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A running service, ended with the block, or by the end of its standard input if this process is killed.

    Its session is its own, so that Ctrl-C ends the drive and not the service. Keys, and a store's name with its
    password, go by the environment, which other users of the machine can't read.
    """
    command = [sys.executable, str(program), "serve", "--stop-with-stdin", "--sandbox", "--http", args.http]
    command += ["--jt808", args.jt808, "--clock-speed", str(args.speedup)]
    with LOG.open("wb") as log:
        service = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={**environment_of_process(), **secrets},
            start_new_session=True,
        )
    try:
        yield service
    finally:
        if service.returncode is None:
            print("stopping the service: it saves what it knows", flush=True)
            service.send_signal(signal.SIGTERM)
        await service.wait()


async def _until_ready(service: asyncio.subprocess.Process) -> Mapping[str, str]:
    """The parts of the service's ``ready`` line."""
    assert service.stdout is not None
    line = (await service.stdout.readline()).decode()
    if not line.startswith("ready "):
        await service.wait()
        raise DemoFailed(f"the service did not start: {_last_words()}")
    return dict(part.split("=", 1) for part in line.split()[1:])


async def _lead(args: Namespace, chosen: Scenario, ops_key: str) -> Lead:
    async with Service(args.api, ops_key=ops_key) as service:
        reading = await service.clock()
    clock = ServiceClock(reading.now, reading.speed)
    return pick_lead(chosen, seed=args.seed, vehicles=args.vehicles, clock=clock)


async def _people(args: Namespace, lead: Lead) -> Household:
    try:
        return await make_household(args.api, seed=args.seed, truck=lead.truck)
    except ServiceError as error:
        raise DemoFailed(f"{error}. Remove {args.store.removeprefix('sqlite:')} to begin anew") from error


async def _drive_while(service: asyncio.subprocess.Process, options: SimOptions) -> int:
    """The drive's exit status. Raises ``DemoFailed`` at once when the service ends before the drive."""
    drive = asyncio.create_task(run_sim(options))
    death = asyncio.create_task(service.wait())
    try:
        await asyncio.wait((drive, death), return_when=asyncio.FIRST_COMPLETED)
        if not drive.done():
            raise DemoFailed(f"the service ended in the middle of the drive (status {death.result()}): {_last_words()}")
        return drive.result()
    finally:
        for task in (drive, death):
            task.cancel()
        await asyncio.gather(drive, death, return_exceptions=True)


def _last_words() -> str:
    said = LOG.read_text("utf-8", "replace").splitlines()
    return f"{said[-1]} (more in {LOG})" if said else "it said nothing"


def _print_addresses(api: str, keys: Mapping[str, str], people: Household, lead: Lead) -> None:
    _write_variables(api, keys, people)
    driving = (
        "it drives now, and its terminal tells of a tired driver in 20 s"
        if lead.drives
        else ("no truck of this small fleet drives at this hour: --vehicles 100 has some that do")
    )
    print(
        f"""
  平安守望 demo (sandbox identity provider: nobody's real data); docs/walkthrough.md goes through all of it

  open      {api}/                      the pages; sign in by the phones below, no code is asked in the sandbox
            {people.free_link}
                                        a link of truck {people.plate} that nobody has opened yet: one person may;
                                        {driving}
            {people.delegation_link}
                                        a link for a family member to bind another truck for the driver
            {api}/ops                   control room; key {keys["OPS_KEY"]}
            {api}/docs                  every call, to read and try

  driver    phone {people.driver_phone}
  family    phone {people.family_phone}
  owner     user {people.owner_name}    password {people.owner_password}

  curl      . {VARIABLES}               sets $A, the tokens and the keys in a second shell in this folder; then for example
            curl -s $A/api/v1/driver/vehicles -H "Authorization: Bearer $DRIVER"
            curl -sN $A/api/v1/family/shares/$SHARE/live -H "Authorization: Bearer $FAMILY"
            curl -s $A/health -H "X-Ops-Key: $OPS_KEY"
  log       {LOG}
""",
        flush=True,
    )


def _write_variables(api: str, keys: Mapping[str, str], people: Household) -> None:
    """A file that only its owner may read: tokens are as good as passwords."""
    values = {
        "A": api,
        "DRIVER_PHONE": people.driver_phone,
        "DRIVER": people.driver_token,
        "BINDING": people.binding_id,
        "FAMILY_PHONE": people.family_phone,
        "FAMILY": people.family_token,
        "SHARE": people.share_id,
        "OWNER": people.owner_token,
        "TOKEN": people.free_link.partition("#")[2],
        "DTOKEN": people.delegation_link.partition("#")[2],
        "CERT_NO": people.papers.transport_cert_no,
        "VIN": people.papers.vin,
        **keys,
    }
    VARIABLES.unlink(missing_ok=True)
    VARIABLES.touch(mode=0o600)
    VARIABLES.write_text("".join(f"{name}={quote(value)}\n" for name, value in values.items()), "utf-8")
