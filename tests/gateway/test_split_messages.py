"""Tests of split messages: joined however their packets are numbered, and acknowledged only when they are safe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.jt808.codec import message_ids as ids
from gateway.jt808.codec.frames import Frame, encode, phone_bytes
from gateway.jt808.codec.messages import decode_resend_request, encode_batch
from gateway.jt808.codec.parameters import encode_parameter_answer
from gateway.jt808.codec.registration import Edition, RegistrationAnswer
from gateway.jt808.limits import TerminalLimits
from tests.gateway.neighbours import NOON, OTHER_PHONE, PHONE, REGISTRATION, STRANGER, Terminal, location, results
from tests.gateway.talk import BAD, FAILED, OK, Talk

REPORTS = 60
MINUTE_S = 60.0


def batch(first: int = NOON) -> bytes:
    return encode_batch([location(first + second) for second in range(REPORTS)], type=1)


BATCH = batch()


def packets(
    body: bytes, *serials: int, message_id: int = ids.LOCATION_BATCH, version: int | None = None
) -> list[bytes]:
    """The message in as many packets as there are serials."""
    size = -(-len(body) // len(serials))
    return [
        encode(
            message_id,
            body[number * size : (number + 1) * size],
            phone_raw=phone_bytes(PHONE, version),
            serial=serial,
            protocol_version=version,
            part=(len(serials), number + 1),
        )
        for number, serial in enumerate(serials)
    ]


def batch_acks(talk: Talk) -> list[tuple[int, int]]:
    """(serial, result) of what was answered since the last look."""
    found = results(talk.wire.said())
    assert all(message_id == ids.LOCATION_BATCH for _, message_id, _ in found)
    return [(serial, result) for serial, _, result in found]


def times(talk: Talk) -> list[int]:
    """Return the times of the submitted fixes, in seconds after noon."""
    return [fix.fixed_at - NOON for fix in talk.shelf.fixes]


def requests(said: list[Frame]) -> list[tuple[int, tuple[int, ...]]]:
    """(serial of the first packet, missing indexes) of each request for packets."""
    return [decode_resend_request(frame.body, modern=False) for frame in said if frame.message_id == ids.RESEND_REQUEST]


# When a packet is acknowledged


@pytest.mark.parametrize("version", [None, 1])
def test_r51_no_packet_of_reports_is_acknowledged_before_the_whole_is_durable(version: int | None) -> None:
    talk = Talk.authenticated(version)
    *first, last = packets(BATCH, 1, 2, 3, version=version)
    for packet in first:
        talk.session.receive(packet)
        talk.shelf.settle()
    assert talk.wire.said() == []
    talk.session.receive(last)
    assert talk.wire.said() == []
    talk.shelf.settle()
    assert batch_acks(talk) == [(1, OK), (2, OK), (3, OK)]
    assert times(talk) == list(range(REPORTS))


def test_r51_what_the_store_did_not_take_is_not_acknowledged_and_is_taken_when_it_comes_again() -> None:
    talk = Talk.authenticated()
    sent = packets(BATCH, 1, 2, 3)
    talk.session.receive(b"".join(sent))
    talk.shelf.settle(False)
    assert talk.wire.said() == []
    assert talk.exchange.not_stored == 3
    talk.session.receive(b"".join(sent))
    talk.shelf.settle()
    assert batch_acks(talk) == [(1, OK), (2, OK), (3, OK)]


def test_r51_a_packet_that_comes_again_while_the_store_writes_waits_with_the_others() -> None:
    talk = Talk.authenticated()
    sent = packets(BATCH, 1, 2, 3)
    talk.session.receive(b"".join(sent))
    talk.session.receive(sent[1] + packets(BATCH, 1, 9, 3)[1])
    assert talk.wire.said() == []
    talk.shelf.settle()
    assert batch_acks(talk) == [(1, OK), (2, OK), (3, OK), (9, OK)]
    assert len(talk.shelf.fixes) == REPORTS


def test_r51_a_connection_that_ends_has_acknowledged_nothing_of_a_message_in_pieces() -> None:
    talk = Talk.authenticated()
    talk.session.receive(b"".join(packets(BATCH, 1, 2, 3)[:2]))
    talk.session.lost()
    assert talk.wire.said() == []
    again = Talk.authenticated()
    again.session.receive(b"".join(packets(BATCH, 1, 2, 3)))
    again.shelf.settle()
    assert batch_acks(again) == [(1, OK), (2, OK), (3, OK)]


def test_a_joined_message_that_cannot_be_read_is_refused_packet_by_packet() -> None:
    talk = Talk.authenticated()
    talk.session.receive(b"".join(packets(encode_batch([bytes(20)] * 9, type=1), 1, 2, 3)))
    assert batch_acks(talk) == [(1, BAD), (2, BAD), (3, BAD)]
    assert talk.counted == {"bad_body": 2}


def test_a_terminal_that_waits_for_each_answer_is_told_to_go_on_without_a_false_ok() -> None:
    talk = Talk.authenticated()
    first, second = packets(BATCH, 1, 2)
    talk.session.receive(first)
    assert talk.wire.said() == []
    talk.session.receive(first)
    assert batch_acks(talk) == [(1, FAILED)]
    talk.session.receive(second)
    talk.shelf.settle()
    assert batch_acks(talk) == [(1, OK), (2, OK)]


def test_a_terminal_that_repeats_at_once_is_not_answered_for_ever() -> None:
    talk = Talk.authenticated()
    first = packets(BATCH, 1, 2)[0]
    talk.session.receive(first * 50)
    assert batch_acks(talk) == [(1, FAILED)] * 3


def test_packets_of_other_messages_are_acknowledged_as_they_come() -> None:
    talk = Talk.authenticated()
    first, last = packets(encode_parameter_answer(0, [(0x40, bytes(90)), (0x40, b"2")]), 1, 7, message_id=0x0104)
    talk.session.receive(first)
    assert results(talk.wire.said()) == [(1, 0x0104, OK)]
    talk.session.receive(last)
    assert results(talk.wire.said()) == [(7, 0x0104, OK)]


def test_a_registration_may_be_split() -> None:
    talk = Talk(version=1)
    talk.session.receive(b"".join(talk.terminal.splits(ids.REGISTER, REGISTRATION.encode(Edition.Y2019), 3)))
    answer = talk.wire.said()[-1]
    assert RegistrationAnswer.decode(answer.body) == RegistrationAnswer(2, 0, f"code-of-{PHONE}")


def test_a_split_picture_is_answered_with_its_id_at_the_end() -> None:
    talk = Talk.authenticated()
    talk.session.receive(b"".join(talk.terminal.splits(ids.MEDIA, b"\0\0\0\x09" + bytes(600), 3)))
    said = talk.wire.said()
    assert results(said) == [(serial, ids.MEDIA, OK) for serial in (1, 2, 3)]
    assert [frame.body for frame in said if frame.message_id == ids.MEDIA_ANSWER] == [b"\0\0\0\x09"]


# Serials that lead nowhere


@pytest.mark.parametrize(
    "serials",
    [(7, 7, 7), (10, 11, 13), (1233, 1250, 1251), (3, 2, 1), (65535, 0, 1), (65534, 0, 3)],
    ids=lambda serials: "-".join(map(str, serials)),
)
def test_packets_are_joined_however_they_are_numbered(serials: tuple[int, ...]) -> None:
    talk = Talk.authenticated()
    talk.session.receive(b"".join(packets(BATCH, *serials)))
    talk.shelf.settle()
    assert batch_acks(talk) == [(serial, OK) for serial in serials]
    assert times(talk) == list(range(REPORTS))


@given(st.permutations(range(4)), st.lists(st.integers(0, 0xFFFF), min_size=4, max_size=4))
def test_packets_are_joined_in_whatever_order_they_come(order: list[int], serials: list[int]) -> None:
    talk = Talk.authenticated()
    sent = packets(BATCH, *serials)
    for index in order:
        talk.session.receive(sent[index])
    talk.shelf.settle()
    answers = results(talk.wire.said())
    assert answers == [(serials[index], ids.LOCATION_BATCH, OK) for index in order]
    assert times(talk) == list(range(REPORTS))


def test_a_heartbeat_between_two_packets_harms_nothing() -> None:
    talk = Talk.authenticated()
    first, second = packets(BATCH, 1, 3)
    talk.session.receive(first)
    assert talk.hears(ids.HEARTBEAT) == [(1, ids.HEARTBEAT, OK)]
    talk.session.receive(second)
    talk.shelf.settle()
    assert batch_acks(talk) == [(1, OK), (3, OK)]
    assert talk.counted == {"split_serials": 1}


def test_a_missing_packet_may_come_under_a_new_serial() -> None:
    talk = Talk.authenticated()
    sent = packets(BATCH, 1, 2, 3)
    talk.session.receive(sent[0] + sent[2])
    assert requests(talk.wire.said()) == [(1, (2,))]
    talk.session.receive(packets(BATCH, 1, 77, 3)[1])
    talk.shelf.settle()
    assert batch_acks(talk) == [(1, OK), (3, OK), (77, OK)]
    assert times(talk) == list(range(REPORTS))


def test_a_kept_packet_may_come_again_under_a_new_serial_and_both_are_acknowledged() -> None:
    talk = Talk.authenticated()
    first, second = packets(BATCH, 1, 2)
    talk.session.receive(first + packets(BATCH, 50, 51)[0])
    talk.wire.said()
    talk.session.receive(second)
    talk.shelf.settle()
    assert batch_acks(talk) == [(1, OK), (50, OK), (2, OK)]
    assert len(talk.shelf.fixes) == REPORTS


@pytest.mark.parametrize("serials", [(4, 4), (1, 2), (300, 9)])
def test_a_finished_message_that_comes_again_is_acknowledged_again(serials: tuple[int, int]) -> None:
    talk = Talk.authenticated()
    talk.session.receive(b"".join(packets(BATCH, 4, 4)))
    talk.shelf.settle()
    talk.wire.said()
    talk.session.receive(b"".join(packets(BATCH, *serials)))
    assert batch_acks(talk) == [(serial, OK) for serial in serials]
    assert len(talk.shelf.fixes) == REPORTS


# Several messages at once


@pytest.mark.parametrize("serials", [((1, 2, 3), (4, 5, 6)), ((1, 3, 5), (2, 4, 6)), ((7, 7, 7), (7, 7, 7))])
def test_messages_of_one_kind_after_each_other_are_kept_apart(serials: tuple[tuple[int, ...], ...]) -> None:
    talk = Talk.authenticated()
    for number, own in enumerate(serials):
        talk.session.receive(b"".join(packets(batch(NOON + number * 600), *own)))
    talk.shelf.settle()
    assert batch_acks(talk) == [(serial, OK) for own in serials for serial in own]
    assert times(talk) == [*range(REPORTS), *range(600, 600 + REPORTS)]


def test_interleaved_messages_of_one_kind_are_told_apart_by_their_serials() -> None:
    talk = Talk.authenticated()
    old, new = packets(batch(), 1, 2, 3), packets(batch(NOON + 600), 11, 12, 13)
    for pair in zip(old, new, strict=True):
        talk.session.receive(b"".join(pair))
    talk.shelf.settle()
    assert sorted(times(talk)) == [*range(REPORTS), *range(600, 600 + REPORTS)]
    assert sorted(serial for serial, _ in batch_acks(talk)) == [1, 2, 3, 11, 12, 13]


@pytest.mark.parametrize("serials", [(11, 12, 13), (11, 12, 14), (2, 2, 2), (1, 1, 1)])
def test_a_new_message_may_begin_before_the_old_one_is_complete(serials: tuple[int, ...]) -> None:
    talk = Talk.authenticated()
    talk.session.receive(b"".join(packets(batch(), 1, 2, 3)[:2]))
    talk.session.receive(b"".join(packets(batch(NOON + 600), *serials)))
    talk.shelf.settle()
    assert times(talk) == list(range(600, 600 + REPORTS))
    assert batch_acks(talk) == [(serial, OK) for serial in serials]


def test_a_packet_that_two_messages_wait_for_is_never_put_into_the_wrong_one() -> None:
    talk = Talk.authenticated()
    old, new = packets(batch(), 1, 2, 3), packets(batch(NOON + 600), 11, 12, 13)
    talk.session.receive(old[0] + old[2] + new[0])
    talk.wire.said()
    talk.session.receive(packets(batch(), 1, 40, 3)[1])
    talk.shelf.settle()
    assert (talk.shelf.fixes, talk.wire.said()) == ([], [])
    assert talk.counted == {"split_unclear": 1}
    talk.session.receive(new[1] + new[2] + packets(batch(), 1, 41, 3)[1])
    talk.shelf.settle()
    assert times(talk) == [*range(600, 600 + REPORTS), *range(REPORTS)]
    assert batch_acks(talk) == [(11, OK), (12, OK), (13, OK), (1, OK), (3, OK), (41, OK)]


def test_a_total_that_changes_makes_another_message() -> None:
    talk = Talk.authenticated()
    talk.session.receive(packets(batch(), 1, 2, 3)[0] + packets(batch(), 1, 2)[1])
    assert requests(talk.wire.said()) == [(1, (1,))]
    talk.session.receive(packets(batch(), 1, 2)[0])
    talk.shelf.settle()
    assert batch_acks(talk) == [(2, OK), (1, OK)]
    assert times(talk) == list(range(REPORTS))


def test_another_terminals_packets_do_not_mix_in() -> None:
    talk = Talk.authenticated()
    other = Terminal(OTHER_PHONE)
    talk.session.receive(other.authenticates())
    own, theirs = packets(batch(), 1, 2), other.splits(ids.LOCATION_BATCH, batch(NOON + 600), 2)
    talk.session.receive(own[0] + theirs[0] + own[1] + theirs[1])
    talk.shelf.settle()
    by_terminal = {(fix.terminal, fix.fixed_at - NOON) for fix in talk.shelf.fixes}
    assert by_terminal == {(PHONE, second) for second in range(REPORTS)} | {
        (OTHER_PHONE, 600 + second) for second in range(REPORTS)
    }


def test_strangers_on_one_connection_do_not_mix_and_have_one_terminals_room_together() -> None:
    talk = Talk(STRANGER, version=1, limits=TerminalLimits(max_unfinished_messages=2))
    body = REGISTRATION.encode(Edition.Y2019)
    own, theirs = talk.terminal.splits(ids.REGISTER, body, 2), Terminal(PHONE, 1).splits(ids.REGISTER, body, 2)
    talk.session.receive(own[0] + theirs[0] + theirs[1] + own[1])
    said = [frame for frame in talk.wire.said() if frame.message_id == ids.REGISTER_ANSWER]
    answers = [RegistrationAnswer.decode(frame.body).result for frame in said]
    assert answers == [ids.REGISTERED, ids.NO_SUCH_TERMINAL]
    for number in range(5):
        talk.session.receive(Terminal(f"1399999000{number}", 1).splits(ids.REGISTER, body, 2)[0])
    assert len(talk.session.packets_of(STRANGER)) == 2


# What is asked for, refused and given up


@pytest.mark.parametrize("version", [None, 1])
def test_missing_packets_are_asked_for_and_all_acknowledged_when_all_is_safe(version: int | None) -> None:
    talk = Talk.authenticated(version)
    sent = packets(BATCH, 1, 2, 3, 4, version=version)
    talk.session.receive(sent[0] + sent[3])
    (request,) = talk.wire.said()
    assert request.message_id == ids.RESEND_REQUEST
    assert decode_resend_request(request.body, modern=version is not None) == (1, (2, 3))
    talk.session.receive(sent[2] + sent[1])
    talk.shelf.settle()
    assert batch_acks(talk) == [(1, OK), (4, OK), (3, OK), (2, OK)]
    assert len(talk.shelf.fixes) == REPORTS


def test_packets_that_stay_away_are_asked_for_three_times_and_then_given_up() -> None:
    talk = Talk.authenticated()
    talk.session.receive(packets(BATCH, 1, 2, 3)[0])
    asked = []
    for minute in range(1, 6):
        talk.session.sweep(minute * MINUTE_S)
        asked.append([frame.message_id for frame in talk.wire.said()])
    assert asked == [[ids.RESEND_REQUEST]] * 3 + [[], []]
    assert talk.counted == {"split_timeout": 1}


def test_what_was_given_up_is_taken_when_it_comes_again() -> None:
    talk = Talk.authenticated()
    talk.session.receive(packets(BATCH, 1, 2, 3)[0])
    for minute in range(1, 6):
        talk.session.sweep(minute * MINUTE_S)
    talk.wire.said()
    talk.session.receive(b"".join(packets(BATCH, 1, 2, 3)))
    talk.shelf.settle()
    assert batch_acks(talk) == [(1, OK), (2, OK), (3, OK)]


def test_an_unfinished_message_makes_room_for_newer_ones() -> None:
    talk = Talk.authenticated(limits=TerminalLimits(max_unfinished_messages=2))
    first, second, third = (packets(batch(NOON + 600 * number), 10 * number, 10 * number + 1) for number in range(3))
    talk.session.receive(first[0] + second[0] + third[0])
    assert len(talk.session.packets_of(PHONE)) == 2
    talk.session.receive(second[1] + third[1])
    assert len(talk.shelf.fixes) == 2 * REPORTS
    assert talk.counted == {"split_given_up": 1}


@pytest.mark.parametrize("part", [(0, 0), (0, 1), (3, 0), (2, 3)])
@pytest.mark.parametrize("message_id", [ids.LOCATION, ids.LOCATION_BATCH, ids.PARAMETER_ANSWER])
def test_packets_that_make_no_sense_are_bad_messages(part: tuple[int, int], message_id: int) -> None:
    talk = Talk.authenticated()
    talk.session.receive(talk.terminal.says(message_id, bytes(60), part=part))
    assert results(talk.wire.said()) == [(1, message_id, BAD)]
    assert talk.counted == {"bad_split": 1}


def test_more_packets_than_there_is_room_for_are_refused() -> None:
    talk = Talk.authenticated()
    talk.session.receive(talk.terminal.says(ids.LOCATION_BATCH, bytes(60), part=(65535, 1)))
    assert batch_acks(talk) == [(1, FAILED)]
    assert talk.counted == {"split_over_limit": 1}


def test_unfinished_messages_never_hold_more_than_the_limit() -> None:
    talk = Talk.authenticated(limits=TerminalLimits(max_unfinished_bytes=2000))
    for index in range(1, 20):
        talk.session.receive(talk.terminal.says(ids.LOCATION_BATCH, bytes(900), part=(30, index)))
    assert talk.session.packets_of(PHONE).size <= 2000
    assert talk.counted["split_over_limit"] >= 1


def test_few_packets_of_strangers_are_kept() -> None:
    """Thousands of them may be connected."""
    talk = Talk(STRANGER)
    for index in range(1, 30):
        talk.session.receive(talk.terminal.says(ids.REGISTER, bytes(900), part=(30, index)))
    assert (
        talk.session.packets_of(STRANGER).size
        <= TerminalLimits().max_strangers_bytes
        < TerminalLimits().max_unfinished_bytes
    )
    assert talk.counted["split_over_limit"] >= 1


def test_one_packet_repeated_for_ever_is_not_owed_for_ever() -> None:
    talk = Talk.authenticated()
    first, last = packets(BATCH, 1, 2)
    repeats = [packets(BATCH, serial, 2)[0] for serial in range(100, 1000)]
    talk.session.receive(b"".join([first, *repeats, last, *repeats]))
    talk.wire.said()
    talk.shelf.settle()
    acks = batch_acks(talk)
    assert {(1, OK), (2, OK)} <= set(acks)
    assert len(acks) <= 9
