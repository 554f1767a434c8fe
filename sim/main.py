"""Runs a drive, from the first call to the verdict."""

from __future__ import annotations

import asyncio
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from sim import registry_lines, verdict
from sim.fleet import Fleet
from sim.lead import Lead
from sim.owners import Service, ServiceError, SignInRefused
from sim.progress import Progress
from sim.scenarios import Scenario, UnknownScenario, scenario
from sim.service_clock import ServiceClock
from sim.world import load

OK: Final = 0
DIFFERENT: Final = 1
IMPOSSIBLE: Final = 2
DRAIN_S: Final = 60.0
ENDING: Final = "ending the drive: reports under way are answered first, then comes the verdict; Ctrl-C again gives up"
_SPARE_DESCRIPTORS: Final = 100
_SPEED_TOLERANCE: Final = 0.001
_MAX_INTERVAL_S: Final = 300


@dataclass(frozen=True, slots=True)
class SimOptions:
    """The options of ``run.py sim``."""

    api: str = "http://127.0.0.1:8080"
    jt808_host: str = "127.0.0.1"
    jt808_port: int = 8808
    vehicles: int = 200
    seed: int = 1
    scenario: str = "everyday"
    duration_s: float | None = None
    """Real seconds; None runs until stopped."""
    speedup: float = 1.0
    interval_s: int | None = None
    """Seconds of the service's clock between two reports; None for the scenario's own."""
    registry: Path | None = None
    """The file for the fleet's registry lines; if set, nothing else is done."""
    ops_key: str | None = None
    """The operators' key, for a service whose ``/health`` requires it."""
    lead: Lead | None = None
    """The truck that a demo shows."""


class Impossible(Exception):
    """The drive can't begin; the text says why, and what to do."""


async def run_sim(options: SimOptions, *, stop: asyncio.Event | None = None, console: Console | None = None) -> int:
    """Drive the fleet until its time is over, ``stop`` is set or Ctrl-C comes, and give the verdict.

    Returns the exit status: 0 when all agrees, 1 when something differs, 2 when the drive was impossible.
    """
    console = console or Console()
    try:
        chosen = scenario(options.scenario)
        if options.registry is not None:
            return _write_registry(options, options.registry, console)
        check_interval(options.interval_s or chosen.interval_s)
        _raise_descriptor_limit(options.vehicles)
        with _stopping(stop, console) as over:
            return await _drive(options, chosen, over, console)
    except (Impossible, UnknownScenario, ServiceError) as error:
        console.print(f"sim: {error}", style="red", markup=False, soft_wrap=True)
        return IMPOSSIBLE


def _write_registry(options: SimOptions, path: Path, console: Console) -> int:
    try:
        year = datetime.now(UTC).year
        count = registry_lines.write(path, seed=options.seed, vehicles=options.vehicles, year=year)
    except OSError as error:
        raise Impossible(f"cannot write the registry file: {error}") from error
    console.print(f"{count} registry lines for {options.vehicles} vehicles in {path}", soft_wrap=True)
    return OK


def check_interval(interval_s: int) -> None:
    """Check the seconds between two reports. Raises ``Impossible`` for an interval that no terminal would have."""
    if not 1 <= interval_s <= _MAX_INTERVAL_S:
        raise Impossible(f"the interval between two reports must be 1 to {_MAX_INTERVAL_S} seconds")


def _raise_descriptor_limit(vehicles: int) -> None:
    """Raise the limit of file descriptors: one socket per terminal."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = vehicles + _SPARE_DESCRIPTORS
    if soft != hard:
        soft = hard
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if soft != resource.RLIM_INFINITY and soft < needed:
        raise Impossible(
            f"{vehicles} terminals need {needed} file descriptors, and this user may open {soft}: "
            f"raise the limit (ulimit -Hn) or take fewer vehicles"
        )


@contextmanager
def _stopping(stop: asyncio.Event | None, console: Console) -> Iterator[asyncio.Event]:
    """Yield the event that ends the drive. Without an outside event, Ctrl-C sets it, and a second Ctrl-C gives up."""
    if stop is not None:
        yield stop
        return
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def interrupted() -> None:
        if over.is_set() and task is not None:
            task.cancel()
        elif not over.is_set():
            console.print(ENDING, style="yellow", soft_wrap=True)
        over.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted)
    try:
        yield over
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _drive(options: SimOptions, chosen: Scenario, over: asyncio.Event, console: Console) -> int:
    async with Service(options.api, ops_key=options.ops_key) as service:
        clock = await _clock(service, options.speedup)
        owners = registry_lines.businesses(options.seed, options.vehicles)
        before = await _look_before(service, options, console)
        fleet = Fleet(
            load(seed=options.seed, shade=chosen.shade),
            chosen,
            seed=options.seed,
            vehicles=options.vehicles,
            interval_s=options.interval_s or chosen.interval_s,
            clock=clock,
            address=(options.jt808_host, options.jt808_port),
            lead=options.lead,
        )
        started_at = clock.now()
        _warn_of_the_future(before, started_at, console)
        try:
            await _run(fleet, options, chosen, over, console)
            try:
                result = await verdict.verdict_of(
                    service, owners, fleet.terminals, before=before, started_at=started_at
                )
            except* ServiceError as errors:
                raise errors.exceptions[0] from None
        finally:
            await fleet.close()
    if fleet.counts.refused:
        result.by_kind["report refused"] += fleet.counts.refused
    verdict.show(result, console)
    if not fleet.counts.acked:
        console.print("not one report was acknowledged", style="red")
    return OK if result.clean and fleet.counts.acked else DIFFERENT


async def _clock(service: Service, speedup: float) -> ServiceClock:
    reading = await service.clock()
    if reading.virtual:
        raise Impossible("the service's clock stands still (--virtual-clock), so no drive is possible")
    if abs(reading.speed - speedup) > _SPEED_TOLERANCE * speedup:
        raise Impossible(
            f"the service's clock runs at {reading.speed:g} times real time, but the drive asks for {speedup:g}: "
            f"start the service with --clock-speed {speedup:g}, or drive with --speedup {reading.speed:g}"
        )
    return ServiceClock(reading.now, reading.speed, asyncio.get_running_loop().time)


async def _look_before(service: Service, options: SimOptions, console: Console) -> dict[str, verdict.Before]:
    """Return the service's prior knowledge; a fleet unknown to the service cannot drive."""
    owners = registry_lines.businesses(options.seed, options.vehicles)
    try:
        before = await verdict.look_before(service, owners)
    except* SignInRefused:
        raise Impossible(_not_imported(options)) from None
    except* ServiceError as errors:
        raise errors.exceptions[0] from None
    plates = (registry_lines.identity(options.seed, index).plate for index in range(options.vehicles))
    unknown = sum(plate not in before for plate in plates)
    if unknown:
        console.print(f"the service does not know {unknown} of the {options.vehicles} vehicles", style="yellow")
        raise Impossible(_not_imported(options))
    return before


def _warn_of_the_future(before: dict[str, verdict.Before], now: float, console: Console) -> None:
    ahead = sum(known.last_fix is not None and known.last_fix.fixed_at > now for known in before.values())
    if ahead:
        console.print(
            f"{ahead} vehicles have fixes that are newer than the service's clock, from a faster clock than now: "
            f"their reports before that time have no effect",
            style="yellow",
            soft_wrap=True,
        )


def _not_imported(options: SimOptions) -> str:
    return (
        f"the service does not know this fleet; first: run.py sim --vehicles {options.vehicles} --seed {options.seed} "
        f"--registry FILE, then: run.py import FILE"
    )


async def _run(fleet: Fleet, options: SimOptions, chosen: Scenario, over: asyncio.Event, console: Console) -> None:
    """Run the drive, then wait until nothing is in flight."""
    title = f"{options.vehicles} trucks, {chosen.name}: {chosen.title} (seed {options.seed})"
    console.print(title, soft_wrap=True)
    progress = Progress(console, fleet.counts, vehicles=options.vehicles, title=title)
    ending = asyncio.create_task(_until_over(fleet, options.duration_s, over))
    ramp = asyncio.create_task(fleet.ramp())
    try:
        await progress.watch(lambda: ending.done() or (ramp.done() and ramp.exception() is not None))
    finally:
        ending.cancel()
        fleet.finish()
    await ramp
    drained = await fleet.drain(DRAIN_S)
    console.print(progress.line(), highlight=False, soft_wrap=True)
    if not drained:
        console.print(
            f"after {DRAIN_S:.0f} s, {fleet.counts.unfinished} messages still wait for an answer", style="red"
        )


async def _until_over(fleet: Fleet, duration_s: float | None, over: asyncio.Event) -> None:
    """Wait for the duration, the event, or a full memory."""
    loop = asyncio.get_running_loop()
    until = loop.time() + duration_s if duration_s is not None else float("inf")
    while loop.time() < until and not fleet.full:
        try:
            async with asyncio.timeout(min(1.0, until - loop.time())):
                await over.wait()
                return
        except TimeoutError:
            continue
