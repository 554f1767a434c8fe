"""What does each message of a terminal ask for?"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from domain.fix import FLAG_BACKFILLED, Fix
from gateway.jt808 import message_ids as ids
from gateway.jt808.address import ack_of
from gateway.jt808.frames import Frame
from gateway.jt808.location import BASIC_BYTES, fix_of
from gateway.jt808.messages import (
    LocationBatch,
    Reply,
    media_answer,
    resend_request,
    time_answer,
    vendor_time_answer,
)
from gateway.jt808.parameters import decode_parameter_answer
from gateway.jt808.reassembly import Finished, Reassembly, Unfinished, key_of
from gateway.jt808.registration import Authentication, MessageError, Registration, RegistrationAnswer

if TYPE_CHECKING:
    from gateway.jt808.session import Session

_ASSEMBLED: Final = frozenset({ids.REGISTER, ids.AUTHENTICATE, ids.LOCATION, ids.LOCATION_BATCH, ids.PARAMETER_ANSWER})
"""Messages whose packets we put together; of all others each packet is acknowledged and forgotten."""
_REPORTS: Final = frozenset({ids.LOCATION, ids.LOCATION_BATCH})
_MOST_INDEXES_ASKED: Final = 125


def handle(session: Session, frame: Frame) -> None:
    """One message of somebody who may send it."""
    try:
        if frame.part and frame.message_id in _ASSEMBLED:
            _take_packet(session, frame)
        else:
            _HANDLERS.get(frame.message_id, _acknowledge)(session, frame)
    except MessageError:
        session.refuse(frame, "bad_body", ids.RESULT_BAD_MESSAGE)


def _acknowledge(session: Session, frame: Frame) -> None:
    session.reply(frame)


def _register(session: Session, frame: Frame) -> None:
    terminals = session.exchange.terminals
    Registration.decode(frame.body, modern=frame.protocol_version is not None)
    if terminals.knows(frame.phone):
        answer = RegistrationAnswer(frame.serial, ids.REGISTERED, terminals.auth_code(frame.phone))
    else:
        session.exchange.deviations.note("unregistered", frame.phone)
        answer = RegistrationAnswer(frame.serial, ids.NO_SUCH_TERMINAL)
    session.send(frame, ids.REGISTER_ANSWER, answer.encode())
    if answer.result != ids.REGISTERED:
        session.turn_away()


def _authenticate(session: Session, frame: Frame) -> None:
    terminals = session.exchange.terminals
    shown = Authentication.decode(frame.body, modern=frame.protocol_version is not None).auth_code
    if not terminals.knows(frame.phone):
        session.refuse(frame, "unregistered", ids.RESULT_FAILED)
    elif not terminals.needs_auth(frame.phone) or _same(shown, terminals.auth_code(frame.phone)):
        session.seat(frame)
        session.reply(frame)
    else:
        session.refuse(frame, "bad_auth_code", ids.RESULT_FAILED)


def _same(shown: str, expected: str) -> bool:
    return hmac.compare_digest(shown.encode(), expected.encode())


def _log_out(session: Session, frame: Frame) -> None:
    """The terminal closes the connection; if it does not, it has to authenticate anew."""
    session.reply(frame)
    if frame.phone == session.terminal:
        session.leave()


def _tell_time(session: Session, frame: Frame) -> None:
    session.send(frame, ids.TIME_ANSWER, time_answer(session.exchange.now()))


def _tell_vendor_time(session: Session, frame: Frame) -> None:
    session.send(frame, ids.VENDOR_TIME_ANSWER, vendor_time_answer(session.exchange.now()))


def _take_media(session: Session, frame: Frame) -> None:
    """We keep no pictures, so nothing is asked for again; a split one is answered when its last packet comes."""
    total, index = frame.part or (1, 1)
    if index == 1:
        session.media_id = media_answer(frame.body)
    if total > 1:
        session.reply(frame)
    if index == total and session.media_id:
        session.send(frame, ids.MEDIA_ANSWER, session.media_id)
        session.media_id = b""


def _hear_reply(session: Session, frame: Frame) -> None:
    reply = Reply.decode(frame.body)
    session.hear_answer(reply.ack_serial, reply)


def _hear_parameters(session: Session, frame: Frame) -> None:
    parameters = decode_parameter_answer(frame.body)
    session.reply(frame)
    session.hear_answer(parameters.ack_serial, parameters)


def _take_report(session: Session, frame: Frame) -> None:
    fixes = _fixes_of(session, frame)
    if fixes:
        session.submit(fixes, [ack_of(frame.message_id, frame.serial)])
    else:
        session.reply(frame)


def _fixes_of(session: Session, frame: Frame) -> list[Fix]:
    if frame.message_id == ids.LOCATION:
        if len(frame.body) < BASIC_BYTES:
            raise MessageError(f"a location of {len(frame.body)} bytes")
        return [fix_of(frame.body, frame.phone, 0, session.note)]
    batch = LocationBatch.decode(frame.body)
    whole = [body for body in batch.bodies if len(body) >= BASIC_BYTES]
    if batch.leftover:
        session.note("leftover_bytes")
    if batch.count != len(batch.bodies):
        session.note("batch_count_wrong")
    if len(whole) < len(batch.bodies):
        session.note("bad_body")
    if not whole and (batch.bodies or batch.leftover):
        raise MessageError("a batch without one readable report")
    flags = FLAG_BACKFILLED if batch.backfilled else 0
    return [fix_of(body, frame.phone, flags, session.note) for body in whole]


_HANDLERS: Final[Mapping[int, Callable[[Session, Frame], None]]] = {
    ids.TERMINAL_REPLY: _hear_reply,
    ids.LOGOUT: _log_out,
    ids.TIME_QUERY: _tell_time,
    ids.VENDOR_TIME_QUERY: _tell_vendor_time,
    ids.REGISTER: _register,
    ids.AUTHENTICATE: _authenticate,
    ids.PARAMETER_ANSWER: _hear_parameters,
    ids.LOCATION: _take_report,
    ids.LOCATION_BATCH: _take_report,
    ids.MEDIA: _take_media,
}


def _take_packet(session: Session, frame: Frame) -> None:
    """Acknowledges each packet of a split message at once, but the last only when the whole is there and safe."""
    assert frame.part is not None
    total, index = frame.part
    if session.finished is not None and session.finished.has(frame):
        session.reply(frame)
        return
    message = _packets(session).add(frame, now=session.exchange.tick)
    if message is None:
        session.refuse(frame, "split_over_limit", ids.RESULT_FAILED)
    elif len(message.bodies) == total:
        _take_assembled(session, message)
    elif index == total:
        _ask_for_missing(session, message)
    else:
        session.reply(frame)


def _packets(session: Session) -> Reassembly:
    if session.reassembly is None:
        limits = session.exchange.limits
        session.reassembly = Reassembly(
            max_messages=limits.max_unfinished_messages, max_bytes=limits.max_unfinished_bytes
        )
    return session.reassembly


def _take_assembled(session: Session, message: Unfinished) -> None:
    finished = Finished.of(message)
    last_serial = (finished.key[1] + len(message.bodies) - 1) & 0xFFFF
    frame = _packets(session).finish(message)
    fixes = _fixes_of(session, frame) if frame.message_id in _REPORTS else []
    if fixes:
        acks = [ack_of(frame.message_id, serial) for serial in {frame.serial, last_serial}]
        session.submit(fixes, acks, finished)
        return
    session.finished = finished
    handle(session, frame)
    if frame.serial != last_serial:
        session.reply(frame._replace(serial=last_serial))


def _ask_for_missing(session: Session, message: Unfinished) -> None:
    modern = message.frame.protocol_version is not None
    missing = message.missing()[:_MOST_INDEXES_ASKED]
    first_serial = key_of(message.frame)[1]
    session.send(message.frame, ids.RESEND_REQUEST, resend_request(first_serial, missing, modern=modern))


def ask_for_overdue(session: Session, now: float) -> None:
    """Asks once more for packets that have not come for a while, and gives up what was asked for in vain."""
    packets = _packets(session)
    for message in packets.overdue(now=now, patience_s=session.exchange.limits.split_patience_s):
        if packets.waits_for(message):
            _ask_for_missing(session, message)
        else:
            session.note("split_timeout")
