"""A play: steps one after the other, disasters among them, and checks after each."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from random import Random
from typing import Final

from torture import checks
from torture.caller import Answer
from torture.cast import DRIVERS, TRUCKS, Cast, load
from torture.fleet_play import BURST, FleetPlay
from torture.household_play import HouseholdPlay
from torture.loop import VirtualLoop
from torture.machine import Machine
from torture.possible import Possibilities
from torture.rules import Op, Shared, months_after
from torture.shown import lists
from torture.steps import Step
from torture.tracks import Tracks
from torture.truck import Lost
from torture.watch import CommitWatch, Violation

SETTLING_S: Final = 8
"""Seconds that an interrupted command waits before it is finished, and somewhat more."""
LATEST_TIMER_S: Final = 32
"""Seconds within which a service notices that its clock was moved."""
MAX_RESTS: Final = 12
SLOW_S: Final = 0.5
FULL: Final = 10
"""The limit of R13."""
EDGES_S: Final = (-0.25, 0.0, 0.25)
WRONG_BY_S: Final = (8 * 3_600.0, 86_400.0, 8 * 86_400.0, -3_600.0)
PEOPLES: Final = frozenset(
    [
        "bind",
        "unbind",
        "rebind",
        "share",
        "cancel_all",
        "cancel_one",
        "delegate",
        "withdraw",
        "open",
        "bind_for",
        "view",
        "owner_unbind",
    ]
)
TRUCKS_DO: Final = frozenset(
    ["drive", "alarm", "stale", "backfill", "jump_about", "wrong_clock", "cut_truck", "noise", "look_at_truck", "feed"]
)


class Drama:
    """A play, from the first start of the service to the last rest."""

    def __init__(self, loop: VirtualLoop, machine: Machine, seed: int, terms_version: str) -> None:
        self.loop = loop
        self.machine = machine
        self.network = loop.network
        self.seed = seed
        self.terms_version = terms_version
        self.cast = Cast()
        self.tracks = Tracks(machine.is_wrong_since)
        self.possible = Possibilities(self.cast.registry)
        self.commits = CommitWatch(machine.disk, machine.read_time)
        self.tried: Counter[str] = Counter()
        self.trace: list[str] = []
        self.accounts: dict[str, str] = {}
        """Maps an account id to its person."""
        self.bad_network = 0.0
        self.bugs: list[str] = []
        self.was_conflated = False
        """Positions gave way to newer ones (R54): facts that hang on each single report are no longer comparable."""
        self.household = HouseholdPlay(self)
        self.fleet = FleetPlay(self)
        self._is_disturbed = False
        self._jumped = False
        machine.disk.on_written = self.commits.look
        machine.disk.on_appended = self.tracks.take
        machine.disk.on_torn = self.tracks.tear

    # -- questions to the play ---------------------------------------------------------------------------------------

    def now(self) -> float:
        return self.machine.read_time()

    async def advance(self, seconds: float) -> None:
        """Move the machine's clock once all that was sent by now has arrived."""
        await asyncio.sleep(2 * self.network.slowest_s)
        self.jump(seconds)

    def jump(self, seconds: float) -> None:
        """Move the machine's clock alone; timers notice when they look at it again."""
        self._jumped = True
        self.machine.step_clock(seconds)

    @property
    def is_calm(self) -> bool:
        """Tell whether no disaster came since the last rest: then every call must be answered."""
        return not self._is_disturbed and self.machine.is_up

    @property
    def is_folded(self) -> bool:
        """Tell whether every durable report is with its vehicle."""
        service = self.machine.service
        return service is not None and self.is_calm and not service.ingest.stats.waiting

    def disturb(self) -> None:
        self._is_disturbed = True

    def must_answer(self, answer: Answer) -> None:
        if answer.tells_nothing and self.is_calm:
            raise Violation(f"no answer in fine weather: {answer.status} {answer.code}")

    def note_account(self, who: str, account_id: str) -> None:
        if self.accounts.setdefault(account_id, who) != who:
            raise Violation(f"{who} comes in as {self.accounts[account_id]}")

    # -- the play ----------------------------------------------------------------------------------------------------

    async def play(self, steps: Sequence[Step]) -> None:
        """Play all steps. Raises ``Violation``."""
        await load(self.machine.disk, self.cast.lines())
        await self.machine.start()
        for step in steps:
            self.trace.append(f"{step} {self.now()} {self.loop.time():.6f} {len(self.possible.worlds)}")
            await self._play(step)
        await self.rest()
        await lists(self)
        self.machine.kill()
        self._is_disturbed = True
        await self.rest()
        await lists(self)
        await self.machine.stop()

    async def _play(self, step: Step) -> None:
        chance = Random(f"{self.seed}/{step.number}")
        self.machine.weather.chance = Random(f"{self.seed}/{step.number}/weather")
        self.network.chance = Random(f"{self.seed}/{step.number}/network")
        try:
            await self._do(step, chance)
        except Lost as error:
            raise Violation(str(error)) from error
        await self._after(chance)

    async def _do(self, step: Step, chance: Random) -> None:
        kind, a, b, c = step.kind, step.a, step.b, step.c
        if kind in PEOPLES:
            await self.household.step(kind, a, b, c, chance)
        elif kind in TRUCKS_DO:
            await self.fleet.step(kind, a, b, c, chance)
        elif kind == "churn":
            await self.household.churn(a, b, chance)
        elif kind == "race":
            await self.household.race(a, b, c, chance)
        elif kind == "repeat":
            await self.household.repeat(a, chance)
        elif kind == "stranger":
            await self.household.stranger(a, b)
        elif kind == "sign_out":
            await self.household.sign_out([*self.accounts.values()][a % len(self.accounts)] if self.accounts else "")
        elif kind == "register":
            await self.household.register(b)
        elif kind == "watch":
            await self.household.watch(b)
        elif kind == "leave":
            await self.household.leave(a)
        else:
            await self._disaster(kind, a, b, c)

    async def _disaster(self, kind: str, a: int, b: int, c: int) -> None:
        match kind:
            case "wait":
                await self.pass_time(1 + a % 4)
            case "later":
                await self.advance(60.0 * (1 + a % 90) if b % 3 else 86_400.0 * (1 + a % 60))
            case "edge":
                await self._to_the_edge(a, b, c)
            case "papers":
                await self._replace_papers(a % TRUCKS)
            case "storm":
                self._storm(a, b)
            case "calm":
                self.machine.weather.clear_up()
                self.bad_network, self.network.slowest_s = 0.0, 0.002
            case "crash":
                self.disturb()
                self.tried["the process is killed"] += 1
                self.machine.kill_after(a % 400)
            case "restart":
                await self._restart()
            case "wrong_time":
                self._put_clock_wrong(a, b)
            case "right_time":
                self.machine.put_right()
            case "overload":
                await self._overload(a % TRUCKS, b)
            case _:
                await self.rest()

    async def _after(self, chance: Random) -> None:
        self.commits.check()
        if self.bugs or self.tracks.broken:
            raise Violation((self.tracks.broken or [f"a bug of the service: {self.bugs[0]}"])[0])
        checks.after_each_step(self)
        if not self.machine.is_up:
            self.disturb()
            if chance.random() < 0.7:
                await self.machine.start()
        if self.possible.is_crowded:
            await self.rest()

    # -- time --------------------------------------------------------------------------------------------------------

    async def pass_time(self, seconds: int) -> None:
        """Move the machine's clock and the loop's together."""
        for _ in range(seconds):
            self.machine.step_clock(1.0)
            await asyncio.sleep(1.0)

    async def _to_the_edge(self, a: int, b: int, c: int) -> None:
        """Move to just before, at, or just after the moment when something ends."""
        world, now = self.possible.likeliest, self.now()
        trucks = [
            (track.fixed_at + 600.0, Op("truck", "", of=str(number)))
            for number in range(TRUCKS)
            if (track := self.tracks.of(number)) is not None
        ]
        shares = [
            (each.ends_at, Op("view", each.viewer or "", of=name))
            for name, each in world.shares.items()
            if each.over is None
        ]
        others = [(each.ends_at, Op("", "")) for each in world.delegations.values() if each.state == "live"]
        others = self._r13_edges() or others
        edges = [edge for edge in (trucks, shares, others)[a % 3] if edge[0] > now + 1]
        if not edges:
            return
        at, then = edges[b % len(edges)]
        await self.advance(at + EDGES_S[c % 3] - now)
        self.tried["the clock is moved"] += 1
        if c % 5 == 0:
            await self.pass_time(1)
        if then.kind == "truck":
            await self.fleet.look(int(then.of))
        elif then.kind == "view" and then.who:
            await self.household.do(then, chance=Random(c))
        elif then.kind == "churn":
            await self.household.churn(int(then.who[-1]), b, Random(c))

    def _r13_edges(self) -> list[tuple[float, Op]]:
        """Return when a driver who has used up all vehicles of 12 months may bind the next one."""
        world, now = self.possible.likeliest, self.now()
        edges = []
        for driver in DRIVERS:
            counted = world.counted(driver, now)
            ended = [each for each in world.bindings.values() if each.driver == driver and each.until is not None]
            if len(counted) == FULL:
                frees_at = {
                    each.vehicle: months_after(each.until or 0.0, 12) for each in ended if each.vehicle in counted
                }
                standing = {each.vehicle for each in world.standing(driver).values()}
                first = min((at for vehicle, at in frees_at.items() if vehicle not in standing), default=0.0)
                edges.append((first, Op("churn", driver)))
        return edges

    # -- disasters ---------------------------------------------------------------------------------------------------

    def _storm(self, a: int, b: int) -> None:
        self.disturb()
        weather = self.machine.weather
        match a % 6:
            case 0:
                weather.fails = 0.05 + b % 5 / 10
            case 1:
                weather.torn = 0.05 + b % 5 / 10
            case 2:
                weather.stalls = 0.02 + b % 4 / 20
            case 3:
                weather.down = True
            case 4:
                weather.slowest_s = SLOW_S
            case _:
                self.bad_network = 0.3
                self.network.slowest_s = 0.2

    def _put_clock_wrong(self, a: int, b: int) -> None:
        """Move the machine's clock while everything goes on; later it is put right (R50)."""
        self._jumped = True
        self.tried["the machine's clock is wrong for a while"] += 1
        self.machine.put_wrong(WRONG_BY_S[a % len(WRONG_BY_S)], for_s=40.0 + b % 56)

    async def _overload(self, vehicle: int, b: int) -> None:
        """Let a truck report more than its mailbox holds while its actor waits for a slow store (R54)."""
        self.disturb()
        rows, share = self.fleet.burst(vehicle), self.household.share_of(vehicle, b)
        self.machine.weather.slowest_s = SLOW_S
        sharing = [self.household.do(share, chance=Random(b))] if share is not None else []
        await asyncio.gather(self.fleet.post(rows[: BURST // 2]), self.fleet.post(rows[BURST // 2 :]), *sharing)
        self.machine.weather.slowest_s = 0.002

    async def _restart(self) -> None:
        """Stop the service cleanly and start it again."""
        self.disturb()
        self.tried["the process is stopped and started"] += 1
        await self.machine.stop()
        await self.machine.start()

    async def _replace_papers(self, vehicle: int) -> None:
        """Import new papers while the service runs (R16)."""
        self.tried["an import while it runs"] += 1
        self.cast.papers[vehicle] += 1
        await load(self.machine.disk, [self.cast.vehicle_line(vehicle)])
        self.possible.registry = self.cast.registry
        await self.pass_time(3)

    async def rest(self) -> None:
        """End all disasters, and check that nothing was forgotten."""
        self.machine.weather.clear_up()
        self.machine.put_right()
        self.machine.kill_after(None)
        self.bad_network, self.network.slowest_s = 0.0, 0.002
        while not self.machine.is_up:
            await self.machine.start()
        await self.pass_time(SETTLING_S if self._is_disturbed else 1)
        if self._jumped:
            await self.pass_time(LATEST_TIMER_S)
            self._jumped = False
        for _ in range(MAX_RESTS):
            if checks.is_quiet(self):
                break
            await self.pass_time(SETTLING_S)
        await self.household.settle()
        await checks.at_rest(self)
        self._is_disturbed = False
        self.commits.check()
        if self.bugs:
            raise Violation(f"a bug of the service: {self.bugs[0]}")

    # -- views -------------------------------------------------------------------------------------------------------

    def check_view(self, op: Op, answer: Answer) -> None:
        """Check a family member's view of the truck."""
        share = self.possible.likeliest.shares.get(op.of)
        if isinstance(share, Shared) and self.is_folded:
            self.check_place(share.vehicle, answer.body)

    def check_place(self, vehicle: int, shown: dict[str, object]) -> None:
        """Check the newest live report, and presence to the second (R32, R50)."""
        track = self.tracks.of(vehicle)
        fix = shown["last_fix"]
        if track is not None and track.is_torn:
            return
        if track is None or track.newest is None:
            if fix is not None or shown["online"]:
                raise Violation(f"vehicle {vehicle} shows a position that it never reported")
            return
        online = track.is_online(self.now())
        if shown["online"] != online:
            age = self.now() - track.fixed_at
            raise Violation(f"R32: vehicle {vehicle} is shown {'off' if online else 'on'}line, its fix is {age} s old")
        if not isinstance(fix, dict) or datetime.fromisoformat(str(fix["time"])).timestamp() != track.fixed_at:
            raise Violation(f"R50: vehicle {vehicle} shows {fix}, its newest is of {track.fixed_at}")
        if fix["wgs84"] != [track.newest.lon_e6 / 1e6, track.newest.lat_e6 / 1e6]:
            raise Violation(f"R50: vehicle {vehicle} is shown elsewhere")
