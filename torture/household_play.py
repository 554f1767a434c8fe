"""The steps of drivers, families and owners; each answer must be right by the rules."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Final

from torture.caller import NOTHING, Answer, Stream, call
from torture.cast import (
    BUSINESSES,
    DRIVERS,
    OTHER_PHONE,
    PEOPLE,
    TRUCKS,
    VEHICLES,
    citizen_id,
    phone,
    real_name,
    sign_in_body,
)
from torture.requests import UNKNOWN, Names, Request, request_of
from torture.rules import LOOKS, Op
from torture.watch import Violation

if TYPE_CHECKING:
    from torture.drama import Drama

DURATIONS: Final = ("3d", "7d", "1mo", "1y")
MAX_STREAMS: Final = 4
DAY_S: Final = 86_400.0
SESSION_S: Final = 30 * DAY_S


@dataclass(slots=True)
class Guest:
    """A person who is signed in."""

    token: str
    until: float


@dataclass(frozen=True, slots=True)
class Told:
    """A command with a key, and its answer; sent again, it must be answered so again."""

    op: Op
    request: Request
    answer: Answer
    at: float
    papers: int
    in_calm: bool
    """The answer came in calm, so it is kept for repeats; else the command is known, but perhaps not its answer."""


class HouseholdPlay:
    """Every step of people."""

    def __init__(self, drama: Drama) -> None:
        self.drama = drama
        self.names = Names({}, {}, set())
        self.streams: list[tuple[Stream, Op]] = []
        self.calls = 0
        self.told: dict[str, Told] = {}
        self.ever_floated: set[str] = set()
        self._guests: dict[str, Guest] = {}
        self._numbers = count()
        self._has_registered = False
        self._is_guest_in_doubt = False

    # -- sessions ----------------------------------------------------------------------------------------------------

    async def token_of(self, who: str) -> str:
        """Sign in if need be; return the token, empty when that did not succeed."""
        guest = self._guests.get(who)
        if guest is not None and self.drama.now() < guest.until:
            return guest.token
        if guest is not None:
            await self._must_be_over(guest)
            del self._guests[who]
        now = self.drama.now()
        answer = await self._call("POST", "/api/v1/sessions", body=sign_in_body(who, self.drama.terms_version))
        self.drama.must_answer(answer)
        if answer.status != 201:
            if not answer.tells_nothing:
                raise Violation(f"{who} can't sign in: {answer.status} {answer.code}")
            return ""
        self.drama.note_account(who, answer.body["account"]["id"])
        self._guests[who] = Guest(answer.body["token"], now + SESSION_S)
        return self._guests[who].token

    async def _must_be_over(self, guest: Guest) -> None:
        after = await self._call("GET", "/api/v1/me", token=guest.token)
        if not after.tells_nothing and after.code != "unauthenticated":
            raise Violation("a session that was ended goes on")

    async def sign_out(self, who: str) -> None:
        guest = self._guests.pop(who, None)
        if guest is None:
            return
        answer = await self._call("DELETE", "/api/v1/sessions/current", token=guest.token)
        if answer.is_good:
            await self._must_be_over(guest)

    async def call_as(self, who: str, request: Request, *, cut_after: float | None = None) -> Answer:
        """Call as a signed-in person."""
        token = await self.token_of(who)
        if not token:
            return NOTHING
        answer = await self._call(
            request.method,
            request.path,
            token=token,
            body=request.body,
            headers=dict(request.headers),
            cut_after=cut_after,
        )
        if answer.code == "unauthenticated":
            raise Violation(f"{who}'s session ends before its 30 days")
        return answer

    async def _call(self, method: str, path: str, **more: object) -> Answer:
        self.calls += 1
        answer = await call(self.drama.network, method, path, **more)  # type: ignore[arg-type]  # handed on as it came
        if answer.status == 500:
            raise Violation(f"{method} {path}: 500")
        return answer

    # -- one command, or several at once -----------------------------------------------------------------------------

    async def do(self, *ops: Op, chance: Random) -> list[Answer]:
        """Send commands together, and hold the answers against every possible world."""
        drama = self.drama
        sent: list[tuple[Op, Request]] = []
        for op in ops:
            request = request_of(op, self.names, drama.cast, drama.possible.likeliest)
            if request is not None and await self.token_of(op.who):
                sent.append((op, request))
        return await self._do(sent, chance)

    async def _do(self, sent: list[tuple[Op, Request]], chance: Random) -> list[Answer]:
        drama = self.drama
        now = drama.now()
        answers = await asyncio.gather(*(self._send(op, request, chance) for op, request in sent))
        heard = []
        for (op, request), answer in zip(sent, answers, strict=True):
            if answer.tells_nothing:
                drama.must_answer(answer)
                if op.kind not in LOOKS:
                    self._float(op, now)
            else:
                heard.append((op, answer))
                self._learn(op, answer)
            if op.makes:
                papers = drama.cast.papers.get(op.vehicle, 0)
                self.told[op.makes] = Told(op, request, answer, now, papers, drama.is_calm)
        drama.possible.hear(heard, now)
        for op, answer in heard:
            if op.kind == "view" and answer.is_good:
                drama.check_view(op, answer)
        return answers

    async def _send(self, op: Op, request: Request, chance: Random) -> Answer:
        cut_after = (
            chance.uniform(0.0, 0.01) if op.kind not in LOOKS and chance.random() < self.drama.bad_network else None
        )
        if cut_after is not None:
            self.drama.tried["a caller's connection is cut"] += 1
            self.drama.disturb()
        return await self.call_as(op.who, request, cut_after=cut_after)

    def _float(self, op: Op, now: float) -> None:
        self.ever_floated.update((op.makes, op.of))
        self.drama.possible.unanswered(op, now)

    def _learn(self, op: Op, answer: Answer) -> None:
        if not answer.is_good or not op.makes:
            return
        ids, told = self.names.ids, answer.body["id"]
        guess = next((name for name in self.names.guessed if ids[name] == told and name != op.makes), None)
        if guess is not None:
            self._correct_guess(op.makes, guess)
        elif op.makes in self.names.guessed and ids[op.makes] != told:
            self._hand_on(op)
        if ids.setdefault(op.makes, told) != told:
            raise Violation(f"{op.kind} sent again has made another thing")
        self.names.guessed.discard(op.makes)
        if "token" in answer.body:
            self.names.tokens[op.makes] = answer.body["token"]

    def _hand_on(self, op: Op) -> None:
        """Hand a result on to the command that made it.

        It was taken for this command's; another without an answer, which asked for the same, has made it.
        """
        ids, guessed = self.names.ids, self.names.guessed
        asked = (told.op for told in self.told.values() if told.answer.tells_nothing and told.op.makes not in ids)
        other = next((each.makes for each in asked if replace(each, makes=op.makes) == op), None)
        if other is None:
            raise Violation(f"{op.kind} sent again has made another thing")
        ids[other] = ids.pop(op.makes)
        guessed.discard(op.makes)
        guessed.add(other)
        self.drama.possible.exchange(other, op.makes)

    def _correct_guess(self, name: str, guess: str) -> None:
        """Correct a guess between two commands without an answer that make the same.

        The other one was done, or each was taken for the other.
        """
        ids, guessed = self.names.ids, self.names.guessed
        if name in ids and name not in guessed:
            raise Violation(f"{name}, sent again, has made another thing")
        right, wrong = ids.pop(guess), ids.pop(name, None)
        ids[name] = right
        if wrong is None:
            guessed.discard(guess)
        else:
            ids[guess] = wrong
        self.drama.possible.exchange(name, guess)

    def _new(self, kind: str) -> str:
        return f"{kind}{next(self._numbers)}"

    # -- the command of each step ------------------------------------------------------------------------------------

    async def step(self, kind: str, a: int, b: int, c: int, chance: Random) -> None:
        op = self.op_of(kind, a, b, c)
        if op is not None:
            await self.do(op, chance=chance)

    def op_of(self, kind: str, a: int, b: int, c: int) -> Op | None:
        """Return the command of a step, None when there is nothing to do it with."""
        world = self.drama.possible.likeliest
        driver, person = DRIVERS[a % len(DRIVERS)], PEOPLE[a % len(PEOPLE)]
        match kind:
            case "bind":
                vehicle = b % (VEHICLES if c % 4 == 0 else TRUCKS)
                return Op("bind", driver, self._new("b"), vehicle=vehicle, detail="wrong" if c % 13 == 0 else "")
            case "rebind":
                return self._about(
                    kind, driver, [k for k, each in world.bindings.items() if each.driver == driver], b, "b"
                )
            case "unbind" | "cancel_all":
                return self._about(kind, driver, list(world.standing(driver)), b)
            case "share":
                of = self._sharable(driver, b)
                detail = DURATIONS[c % len(DURATIONS)]
                return Op("share", driver, self._new("s"), of, detail=detail) if of else None
            case "cancel_one":
                mine = [name for name, each in world.shares.items() if each.driver == driver]
                return self._about(kind, driver, mine, b)
            case "delegate":
                return Op("delegate", driver, self._new("d"), vehicle=b % (VEHICLES if c % 2 else TRUCKS))
            case "withdraw":
                mine = [name for name, each in world.delegations.items() if each.driver == driver]
                return self._about(kind, driver, mine[-3:], b)
            case "open":
                return self._about(kind, person, self._recent([*world.shares], [*world.delegations], c), b)
            case "bind_for":
                held = [(name, each.holder) for name, each in world.delegations.items() if each.holder]
                name, holder = held[-1 - b % min(3, len(held))] if held else ("", "")
                detail = "wrong" if c % 9 == 0 else ""
                return Op(kind, holder or "", self._new("b"), name, detail=detail) if name else None
            case "view":
                opened = [(name, each.viewer) for name, each in world.shares.items() if each.viewer]
                name, viewer = opened[-1 - b % min(6, len(opened))] if opened else ("", "")
                return Op(kind, viewer or "", of=name) if name else None
            case "owner_unbind":
                standing = [name for name, each in world.bindings.items() if each.until is None]
                return self._about(kind, BUSINESSES[a % 2], standing, b)
            case _:
                return None

    def _about(self, kind: str, who: str, names: list[str], choice: int, makes: str = "") -> Op | None:
        if not names:
            return None
        return Op(kind, who, self._new(makes) if makes else "", names[choice % len(names)])

    def _sharable(self, driver: str, choice: int) -> str:
        """Return a binding to share; mostly of the truck that all drivers share, so that R18 is met."""
        standing = self.drama.possible.likeliest.standing(driver)
        popular = [name for name, each in standing.items() if each.vehicle == 0]
        names = popular if popular and choice % 3 else list(standing)
        return names[choice % len(names)] if names else ""

    def share_of(self, vehicle: int, detail: int) -> Op | None:
        """Make a share of a driver who has bound the vehicle."""
        for name, each in self.drama.possible.likeliest.bindings.items():
            if each.vehicle == vehicle and each.until is None:
                return Op("share", each.driver, self._new("s"), name, detail=DURATIONS[detail % len(DURATIONS)])
        return None

    def _recent(self, shares: list[str], delegations: list[str], choice: int) -> list[str]:
        return delegations[-3:] if delegations and (choice % 3 == 0 or not shares) else shares[-5:]

    # -- steps of more than one command ------------------------------------------------------------------------------

    async def churn(self, a: int, b: int, chance: Random) -> None:
        """Let a driver go from truck to truck."""
        driver, world = DRIVERS[a % 2], self.drama.possible.likeliest
        standing = world.standing(driver)
        if len(standing) >= 3:
            await self.do(Op("unbind", driver, of=next(iter(standing))), chance=chance)
        counted = world.counted(driver, self.drama.now())
        fresh = [vehicle for vehicle in range(VEHICLES) if vehicle not in counted] or [b % VEHICLES]
        await self.do(Op("bind", driver, self._new("b"), vehicle=fresh[0]), chance=chance)

    async def race(self, a: int, b: int, c: int, chance: Random) -> None:
        """Let several callers want the same at the same moment."""
        world = self.drama.possible.likeliest
        unopened = [name for name, each in world.shares.items() if each.viewer is None][-2:]
        match a % 4:
            case 0 if unopened:
                name = unopened[b % len(unopened)]
                ops = [Op("open", who, of=name) for who in chance.sample(PEOPLE, 3)]
            case 1:
                ops = [
                    Op("share", driver, self._new("s"), of, detail=DURATIONS[c % 4])
                    for driver in DRIVERS
                    if (of := self._sharable(driver, 1))
                ]
            case 2:
                driver = DRIVERS[b % 3]
                ops = [Op("bind", driver, self._new("b"), vehicle=(c + number) % VEHICLES) for number in range(3)]
            case _:
                op = self.op_of("unbind", b, c, 0)
                other = self.op_of("share", b, c, c)
                owner = Op("owner_unbind", BUSINESSES[world.bindings[op.of].vehicle % 2], of=op.of) if op else None
                ops = [each for each in (op, other, owner) if each is not None]
        await self.do(*ops, chance=chance)

    async def repeat(self, a: int, chance: Random) -> None:
        """Send the same command and key again: a phone got no answer, or a thumb came down twice."""
        drama = self.drama
        recent = list(self.told.values())[-8:]
        if not recent:
            return
        told = recent[a % len(recent)]
        op, now = told.op, drama.now()
        if drama.cast.papers.get(op.vehicle, 0) != told.papers or op.kind == "rebind":
            return
        if not told.answer.tells_nothing and not told.answer.is_good:
            return
        drama.tried["a command is sent again"] += 1
        if now >= told.at + DAY_S:
            await self._do_anew(told, chance)
            return
        answer = await self.call_as(op.who, told.request)
        if answer.tells_nothing:
            drama.must_answer(answer)
            if not told.answer.is_good:
                self._float(op, now)
            return
        if told.answer.is_good and told.in_calm and answer.body != told.answer.body:
            raise Violation(f"{op} sent again is answered otherwise: {answer.status} {answer.code}")
        if told.answer.is_good and not answer.is_good:
            raise Violation(f"{op} was done, and sent again it is refused: {answer.code}")
        if not told.answer.is_good:
            self._learn(op, answer)
            drama.possible.hear([(op, answer)], now)
            if answer.is_good:
                self.told[op.makes] = Told(op, told.request, answer, told.at, told.papers, False)

    async def _do_anew(self, told: Told, chance: Random) -> None:
        """Send the key again after 24 hours, when it makes a new command."""
        del self.told[told.op.makes]
        is_plain = told.op.makes not in self.ever_floated and not self.drama.possible.likeliest_floats
        if told.answer.is_good and is_plain:
            await self._do([(replace(told.op, makes=self._new("k")), told.request)], chance)

    async def stranger(self, a: int, b: int) -> None:
        """Ask for other people's ids, and for unknown ids: none may be found."""
        world = self.drama.possible.likeliest
        who = PEOPLE[a % len(PEOPLE)]
        shares = [name for name, each in world.shares.items() if each.viewer != who and name in self.names.ids]
        bindings = [name for name, each in world.bindings.items() if each.driver != who and name in self.names.ids]
        share = self.names.ids[shares[b % len(shares)]] if shares else UNKNOWN
        binding = self.names.ids[bindings[b % len(bindings)]] if bindings else UNKNOWN
        requests = [Request("GET", f"/api/v1/family/shares/{share}")]
        if who in DRIVERS:
            requests += [
                Request("GET", f"/api/v1/driver/bindings/{binding}"),
                Request("DELETE", f"/api/v1/driver/bindings/{binding}"),
                Request("DELETE", f"/api/v1/driver/bindings/{binding}/shares"),
            ]
        for request in requests:
            answer = await self.call_as(who, request)
            if not answer.tells_nothing and answer.code != "not_found" and not self.drama.possible.worlds[0].floating:
                raise Violation(f"{who}: {request.method} {request.path}: {answer.status} {answer.code}")

    async def register(self, b: int) -> None:
        """Register the guest, perhaps as a person who came in by another way before and now is one with the guest."""
        if not self._has_registered:
            early = await self.call_as("guest0", Request("GET", "/api/v1/family/shares"))
            if not early.tells_nothing and early.code != "real_name_required":
                raise Violation(f"R5: a guest's list of shares: {early.status} {early.code}")
        if b % 2:
            proof = {"kind": "natural", "wechat_code": f"sandbox:{OTHER_PHONE}"}
            other = await self._call(
                "POST", "/api/v1/sessions", body=proof | {"terms_version": self.drama.terms_version}
            )
            if other.status == 201:
                self.drama.note_account("guest0", other.body["account"]["id"])
        self._has_registered = True
        who = {"real_name": real_name("guest0"), "citizen_id": citizen_id("guest0")}
        code = {"phone_code": f"sandbox:{phone('guest0')}"}
        answer = await self.call_as("guest0", Request("POST", "/api/v1/registration", who | code))
        if answer.tells_nothing:
            self.drama.must_answer(answer)
            self._is_guest_in_doubt = True
        elif not answer.is_good or not answer.body["registered"]:
            raise Violation(f"R2: a registration is refused: {answer.status} {answer.code}")
        else:
            self.drama.note_account("guest0", answer.body["id"])

    async def settle(self) -> None:
        """Ask for the guest's account: after a registration without an answer it may be another by now."""
        if self._is_guest_in_doubt:
            answer = await self.call_as("guest0", Request("GET", "/api/v1/me"))
            self.drama.must_answer(answer)
            if answer.is_good:
                self.drama.note_account("guest0", answer.body["id"])
                self._is_guest_in_doubt = False

    # -- live streams ------------------------------------------------------------------------------------------------

    async def watch(self, b: int) -> None:
        """Let a family member open the page of a share."""
        op = self.op_of("view", 0, b, 0)
        if op is None or op.of not in self.names.ids:
            return
        token = await self.token_of(op.who)
        if token:
            while len(self.streams) >= MAX_STREAMS:
                await self.streams.pop(0)[0].close()
            stream = Stream(self.drama.network, self.names.ids[op.of], token, self.drama.now)
            self.streams.append((stream, op))
            await asyncio.sleep(0.05)

    async def leave(self, a: int) -> None:
        if self.streams:
            await self.streams.pop(a % len(self.streams))[0].close()
