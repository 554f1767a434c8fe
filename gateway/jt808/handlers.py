"""The handlers of terminals' messages, one for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from domain.vehicle.fix import FLAG_BACKFILLED, Fix
from gateway.jt808.address import ack_of
from gateway.jt808.codec import message_ids as ids
from gateway.jt808.codec.frames import Frame
from gateway.jt808.codec.location import BASIC_BYTES, fix_of
from gateway.jt808.codec.messages import (
    LocationBatch,
    Reply,
    media_answer,
    resend_request,
    time_answer,
    vendor_time_answer,
)
from gateway.jt808.codec.parameters import decode_parameter_answer
from gateway.jt808.codec.registration import (
    Authentication,
    MessageError,
    Registration,
    RegistrationAnswer,
    carries_code,
    is_well_framed,
)
from gateway.jt808.reassembly import Joined, NotKept, Reassembly, Unfinished, is_sound

if TYPE_CHECKING:
    from gateway.jt808.session import Session

_ASSEMBLED: Final = frozenset({ids.REGISTER, ids.AUTHENTICATE, ids.LOCATION, ids.LOCATION_BATCH, ids.PARAMETER_ANSWER})
"""Messages whose packets are joined. Of all others, pictures too, each packet is acknowledged and forgotten."""
_REPORTS: Final = frozenset({ids.LOCATION, ids.LOCATION_BATCH})
_MOST_INDEXES_ASKED: Final = 125


def handle(session: Session, frame: Frame) -> None:
    """Handle a message of a sender that may send it."""
    if frame.part and frame.message_id in _ASSEMBLED:
        _take_packet(session, frame)
    else:
        _take_whole(session, frame)


def _take_whole(session: Session, frame: Frame) -> int:
    """Handle one message; the result says whether its body could be read."""
    try:
        _HANDLERS.get(frame.message_id, _acknowledge)(session, frame)
    except MessageError:
        session.refuse(frame, "bad_body", ids.RESULT_BAD_MESSAGE)
        return ids.RESULT_BAD_MESSAGE
    return ids.RESULT_OK


def _acknowledge(session: Session, frame: Frame) -> None:
    session.reply(frame)


def _register(session: Session, frame: Frame) -> None:
    """Bind by the number. No field of the body is needed, and real ones have every edition's sizes in every layout."""
    terminals = session.exchange.terminals
    try:
        Registration.decode(frame.body, modern=frame.protocol_version is not None)
    except MessageError:
        session.exchange.deviations.note("odd_registration", frame.phone)
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
    if not terminals.knows(frame.phone):
        session.refuse(frame, "unregistered", ids.RESULT_FAILED)
    elif terminals.needs_auth(frame.phone) and not _shows_code(session, frame, terminals.auth_code(frame.phone)):
        session.refuse(frame, "bad_auth_code", ids.RESULT_FAILED)
    else:
        session.reply(frame, ids.RESULT_OK if session.admit(frame) else ids.RESULT_FAILED)


def _shows_code(session: Session, frame: Frame, code: str) -> bool:
    """Tell whether the terminal has the code, written by the standard or with one of the slips of ``carries_code``."""
    modern = frame.protocol_version is not None
    shown = Authentication.decode(frame.body, modern=modern).auth_code
    as_told = compare_digest(shown.encode(), code.encode())
    if not as_told and not carries_code(frame.body, code):
        return False
    if not as_told or not is_well_framed(frame.body, modern=modern):
        session.exchange.deviations.note("odd_authentication", frame.phone)
    return True


def _log_out(session: Session, frame: Frame) -> None:
    """Log the terminal out. It closes the connection; if it does not, it has to authenticate anew."""
    session.reply(frame)
    session.leave(frame.phone)


def _tell_time(session: Session, frame: Frame) -> None:
    session.send(frame, ids.TIME_ANSWER, time_answer(session.exchange.now()))


def _tell_vendor_time(session: Session, frame: Frame) -> None:
    session.send(frame, ids.VENDOR_TIME_ANSWER, vendor_time_answer(session.exchange.now()))


def _take_media(session: Session, frame: Frame) -> None:
    """Answer a picture's packet.

    We keep no pictures, so none is asked for again; a split one is answered when its last comes.
    """
    total, index = frame.part or (1, 1)
    seat = session.seat
    assert seat is not None
    if index == 1:
        seat.media_id = media_answer(frame.body)
    if total > 1:
        session.reply(frame)
    if index == total and seat.media_id:
        session.send(frame, ids.MEDIA_ANSWER, seat.media_id)
        seat.media_id = b""


def _hear_reply(session: Session, frame: Frame) -> None:
    reply = Reply.decode(frame.body)
    if session.seat is not None:
        session.seat.hear_answer(reply.ack_serial, reply)


def _hear_parameters(session: Session, frame: Frame) -> None:
    parameters = decode_parameter_answer(frame.body)
    session.reply(frame)
    if session.seat is not None:
        session.seat.hear_answer(parameters.ack_serial, parameters)


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
    """Keep one packet of a split message; answer it by its own serial, now or when the message is done.

    A packet of reports is acknowledged only when the whole message is here and durable. A terminal drops what was
    acknowledged. The other packets may never come, and a crash or the end of the connection loses the ones that did. So
    an early result 0 would break R51. Without an answer the terminal sends the packet again, as after every lost
    answer. Registrations and parameters are told again anyhow, so their packets are acknowledged as they come.
    """
    if not is_sound(frame):
        session.refuse(frame, "bad_split", ids.RESULT_BAD_MESSAGE)
        return
    packets = session.packets_of(frame.phone)
    joined = packets.joined_before(frame)
    if joined is not None:
        if joined.durable:
            session.reply(frame)
        else:
            joined.owe(frame)
        return
    try:
        message, repeated = packets.add(frame, now=session.exchange.tick)
    except NotKept as error:
        _refuse_packet(session, frame, error.kind)
        return
    if message.complete:
        _take_joined(session, packets, message)
    elif frame.part and frame.part[0] == frame.part[1]:
        _ask_for_missing(session, message)
    elif frame.message_id not in _REPORTS:
        session.reply(frame)
    elif repeated and message.stands_still():
        session.reply(frame, ids.RESULT_FAILED)


def _refuse_packet(session: Session, frame: Frame, kind: str) -> None:
    """Refuse a packet that will never be kept; stay silent where it is welcome later."""
    if kind == "split_over_limit":
        session.refuse(frame, kind, ids.RESULT_FAILED)
    else:
        session.note(kind)


def _take_joined(session: Session, packets: Reassembly, message: Unfinished) -> None:
    """Handle a message whose packets all came."""
    frame, joined = packets.finish(message)
    if frame.message_id in _REPORTS:
        _take_joined_reports(session, packets, frame, joined)
        return
    result = _take_whole(session, frame)
    if message.newest.serial != frame.serial:
        session.reply(message.newest, result)


def _take_joined_reports(session: Session, packets: Reassembly, frame: Frame, joined: Joined) -> None:
    try:
        fixes = _fixes_of(session, frame)
    except MessageError:
        session.note("bad_body")
        session.answer_packets(frame, joined.serials(), ids.RESULT_BAD_MESSAGE)
        return
    packets.remember(joined)
    if fixes:
        session.submit(fixes, (), joined)
        return
    joined.settle(durable=True)
    session.answer_packets(frame, joined.serials(), ids.RESULT_OK)


def _ask_for_missing(session: Session, message: Unfinished) -> None:
    message.asked = True
    modern = message.newest.protocol_version is not None
    missing = message.missing()[:_MOST_INDEXES_ASKED]
    session.send(message.newest, ids.RESEND_REQUEST, resend_request(message.first_serial(), missing, modern=modern))


def ask_for_overdue(session: Session, packets: Reassembly, now: float) -> None:
    """Ask once more for packets that have not come for a while, and give up those that were asked for in vain."""
    for message in packets.overdue(now=now, patience_s=session.exchange.limits.split_patience_s):
        _ask_for_missing(session, message)
