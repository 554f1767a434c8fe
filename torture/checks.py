"""Checks of what must hold after each step, and of what must hold when the service has come to rest."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from actors.people.documents import PERSON, SHARE
from actors.people.vehicle_shares import KIND as VEHICLE_SHARES
from actors.vehicles.state import ALERT_KIND, to_record
from actors.vehicles.vehicle import KIND as VEHICLE
from actors.vehicles.vehicle import VehicleActor
from domain.people.share import Share
from domain.people.shares_of_vehicle import LiveShare
from domain.vehicle.vehicle import Vehicle, alerts_of
from torture.caller import Event
from torture.cast import TRUCKS, VEHICLES, vehicle_key
from torture.disk_world import everything, must_be_possible
from torture.rules import Shared
from torture.watch import Violation, demand

if TYPE_CHECKING:
    from torture.drama import Drama

_NUMBERS: Final = {vehicle_key(number): number for number in range(VEHICLES)}
HEARTBEAT_S: Final = 20


# -- after each step --------------------------------------------------------------------------------------------------


def after_each_step(drama: Drama) -> None:
    """Check the bounds of waiting work, and that streams show nothing after the end."""
    service = drama.machine.service
    if service is not None:
        for kind in (VEHICLE, PERSON, SHARE):
            for key, actor in service.supervisor.actors(kind).items():
                demand(actor.mailbox_depth <= actor.mailbox_limit, f"{kind} {key}: its mailbox is beyond its bound")
        if service.fleet.conflated and not drama.was_conflated:
            drama.was_conflated = True
            drama.tried["positions give way to newer ones"] += 1
    _streams_end(drama)


def _streams_end(drama: Drama) -> None:
    """Check that a stream shows nothing of the truck after the end of its share (R33)."""
    for stream, op in drama.household.streams:
        for event in stream.events:
            worlds = [each.world.shares.get(op.of) for each in drama.possible.worlds]
            over = [share for share in worlds if share is not None and event.at >= share.ends_at]
            demand(
                event.name == "ended" or len(over) < len(worlds), "R33: a stream tells something after the share's end"
            )


# -- at rest ----------------------------------------------------------------------------------------------------------


def is_quiet(drama: Drama) -> bool:
    """Tell whether no work is under way or left to be finished."""
    service = drama.machine.service
    return (
        service is not None
        and not service.ingest.stats.waiting
        and not service.dispatcher.paused
        and not service.dispatcher.backlog
    )


async def at_rest(drama: Drama) -> None:
    """Make all checks at rest. Raises ``Violation``."""
    demand(is_quiet(drama), f"it does not come to rest: {_unrest(drama)}")
    must_be_possible(drama)
    _releases(drama)
    _audit(drama)
    _ended_are_noted(drama)
    _tracks(drama)
    await _nobody_is_forgotten(drama)
    await _streams(drama)


def _unrest(drama: Drama) -> str:
    service = drama.machine.service
    if service is None:
        return "it is down"
    return f"{service.ingest.stats.waiting} reports are on their way, {service.dispatcher.backlog} actors have something to do"


def _releases(drama: Drama) -> None:
    """Check that R18 counts all live shares."""
    now, world = drama.now(), drama.possible.likeliest
    kept = everything(drama, VEHICLE_SHARES, tuple[LiveShare, ...])
    for number in range(VEHICLES):
        live = {drama.household.names.ids[name] for name in world.live_shares(now, vehicle=number)}
        counts = {each.share_id for each in kept.get(vehicle_key(number), ())}
        demand(live <= counts, f"R18: of vehicle {number} {len(live)} shares live, {len(live & counts)} count")


def _audit(drama: Drama) -> None:
    """Check the audit (R64): a record for each change, none for a command that was not done."""
    records, names, world = drama.commits.audit, drama.household.names.ids, drama.possible.likeliest
    for name, binding in world.bindings.items():
        made = sum(records[action, names[name]] for action in ("bound", "rebound", "delegation_bound"))
        demand(made == 1, f"R64: {made} records of binding {name}")
        ended = records["unbound", names[name]]
        demand(ended == (binding.until is not None), f"R64: {ended} records of the end of binding {name}")
    for name, share in world.shares.items():
        _once(records["shared", names[name]], True, f"share {name}")
        _once(records["share_opened", names[name]], share.viewer is not None, f"the opening of share {name}")
        ends = sum(records[action, names[name]] for action in ("share_cancelled", "share_expired", "share_ended"))
        _once(ends, not share.lives(drama.now()), f"the end of share {name}")
    for name, asked in world.delegations.items():
        _once(records["delegated", names[name]], True, f"delegation {name}")
        _once(records["delegation_opened", names[name]], asked.holder is not None, f"opening delegation {name}")
        _once(records["delegation_withdrawn", names[name]], asked.state == "withdrawn", f"withdrawing {name}")
        lapsed = asked.state == "live" and not asked.lives(drama.now())
        _once(records["delegation_expired", names[name]], lapsed, f"the end of delegation {name}")


def _once(records: int, expected: bool, what: str) -> None:
    demand(records == expected, f"R64: {records} records of {what}")


def _ended_are_noted(drama: Drama) -> None:
    """Check that ends are noted: one that was never announced would leave streams and lists behind."""
    for key, share in everything(drama, SHARE, Share).items():
        demand(share.ended is not None or share.expires_at > drama.now(), f"share {key} is over, and nobody noted it")


def _tracks(drama: Drama) -> None:
    """Check that each truck is as its log tells, every report once, and that every alert is kept."""
    service = drama.machine.service
    assert service is not None
    actors = service.supervisor.actors(VEHICLE)
    for number in range(TRUCKS):
        track, actor = drama.tracks.of(number), actors.get(vehicle_key(number))
        if track is None or track.is_torn or not isinstance(actor, VehicleActor):
            continue
        if not drama.was_conflated:
            told = _difference(actor.vehicle, track.folded)
            demand(not told, f"truck {number} is not as its log tells: {told}")
        newest = actor.vehicle.fixed_at
        demand(newest == track.fixed_at, f"R50: truck {number}: its newest report is {newest}, not {track.fixed_at}")
        inferred = [each for each in actor.view().alerts if each.source == "platform" and each.ongoing]
        demand(not inferred or track.is_online(drama.now()), f"R52: truck {number} is silent, and {inferred} goes on")
        if drama.was_conflated:
            continue
        kept = {
            (each.started_at, each.ended_at)
            for each in alerts_of(actor.vehicle, online=True)
            if each.kind == "emergency"
        }
        stored = drama.machine.disk.documents.get(ALERT_KIND, {})
        if track.was_ahead:
            ongoing = sum(ended is None for _, ended in kept)
            demand(len(kept) >= min(5, len(track.emergencies)), f"truck {number}: an emergency is lost")
            demand(ongoing == sum(ended is None for _, ended in track.emergencies), f"truck {number}: no end, or none")
        for began, ended in [] if track.was_ahead else track.emergencies[-5:]:
            found = (began, ended) in kept
            demand(found, f"truck {number}: the emergency of {began} is lost ({len(stored)} stored)")
        demand(actor.online == track.is_online(drama.now()), f"truck {number}: its presence is announced wrongly")


def _difference(vehicle: Vehicle, folded: Vehicle) -> str:
    if to_record(vehicle) == to_record(folded):
        return ""
    fields = (field.name for field in dataclasses.fields(Vehicle) if field.name != "unsaved")
    return ", ".join(
        f"{name} {getattr(vehicle, name)}, not {getattr(folded, name)}"
        for name in fields
        if getattr(vehicle, name) != getattr(folded, name)
    )


async def _nobody_is_forgotten(drama: Drama) -> None:
    """Check that watchers, restarts and messages without further use are gone."""
    service = drama.machine.service
    assert service is not None
    supervisor = service.supervisor
    demand(not supervisor.parked, "an actor is parked")
    for kind in (VEHICLE, PERSON, SHARE):
        for key, actor in supervisor.actors(kind).items():
            demand(actor.is_quiet, f"{kind} {key} is not quiet")
    watched = open_streams = 0
    for _ in range(HEARTBEAT_S):  # A client that went away is noticed by the next heartbeat.
        open_streams = sum(stream.is_open for stream, _ in drama.household.streams)
        watched = sum(len(watchers) for watchers in supervisor._watchers.values())
        if watched == 2 * open_streams:
            return
        await drama.pass_time(1)
    raise Violation(f"{watched} watchers for {open_streams} streams")


async def _streams(drama: Drama) -> None:
    """Check that a stream ends with its share, says why, and has told the newest of everything until then."""
    world, now = drama.possible.likeliest, drama.now()
    for stream, op in list(drama.household.streams):
        share = world.shares[op.of]
        if not share.lives(now):
            demand(not stream.is_open, "R33: a stream goes on after the share's end")
            reasons = [event.data["reason"] for event in stream.events if event.name == "ended"]
            demand(len(reasons) <= 1, "a stream ends twice")
            # While the store is down, a share's time may come before its link reads that a command without an answer ended it.
            is_exact = drama.household.ever_floated.isdisjoint((op.of, share.binding))
            known = {share.over or "expired"} if is_exact else {*reasons}
            demand(set(reasons) <= known, f"a stream says {reasons}, but the share is {share.over}")
            drama.household.streams.remove((stream, op))
        elif stream.is_open:
            _stream_is_up_to_date(drama, share, [*stream.events])
        await asyncio.sleep(0)


def _stream_is_up_to_date(drama: Drama, share: Shared, events: Sequence[Event]) -> None:
    """Check that the stream told position, presence and every alarm that began since it is open (R31, R34)."""
    track = drama.tracks.of(share.vehicle)
    if track is None or track.newest is None or track.is_torn or not events:
        return
    told = {event.name: event.data for event in events}
    online = track.is_online(drama.now())
    demand(told["presence"]["online"] == online, f"R32: a stream says {told['presence']}, the truck is {online}")
    place = told.get("position") or told["presence"]["last_fix"]
    demand(place is not None, "R31: a stream tells no position")
    demand(_seconds(place["time"]) == track.fixed_at, f"R31: a stream tells {place['time']}, not {track.fixed_at}")
    alarms = {_seconds(event.data["started_at"]): event.data for event in events if event.name == "alert"}
    for began, ended in track.emergencies:
        if began > events[0].at and not drama.was_conflated and not track.was_ahead:
            alarm = alarms.get(began)
            demand(alarm is not None, f"R34: a stream does not tell of the emergency of {began}")
            demand(
                alarm and alarm["ongoing"] == (ended is None), "R34: a stream does not tell that an emergency is over"
            )


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
