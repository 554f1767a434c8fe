"""Tests of who may sit on a connection: several terminals of a forwarding platform, each with what is its own."""

from __future__ import annotations

import pytest

from gateway.jt808.codec import message_ids as ids
from gateway.jt808.codec.messages import Reply, encode_batch
from gateway.jt808.codec.parameters import Parameters, encode_parameter_answer
from gateway.jt808.limits import TerminalLimits
from gateway.jt808.seat import Heard
from gateway.jt808.session import Session, TooManyQuestions
from tests.gateway.neighbours import MUTE_PHONE, NOON, OTHER_PHONE, PHONE, Terminal, Wire, location, results
from tests.gateway.talk import FAILED, OK, QUERY, Talk


def forwarding(limits: TerminalLimits | None = None) -> tuple[Talk, Terminal]:
    """A connection on which two terminals have authenticated, and the second of them."""
    talk = Talk.authenticated(limits=limits)
    other = Terminal(OTHER_PHONE)
    talk.session.receive(other.authenticates())
    assert results(talk.wire.said()) == [(0, ids.AUTHENTICATE, OK)]
    return talk, other


def elsewhere(talk: Talk, frames: bytes) -> Wire:
    """Another connection, on which all this is said."""
    wire = Wire()
    Session(talk.exchange, wire).receive(frames)
    return wire


def settled_by(heard: list[Parameters | Reply | None]) -> Heard:
    """Whatever is answered settles the command, and is kept in ``heard``."""

    def hears(answer: Parameters | Reply | None) -> bool:
        heard.append(answer)
        return True

    return hears


def result_of(talk: Talk, frame: bytes) -> int:
    talk.session.receive(frame)
    talk.shelf.settle()
    ((_, _, result),) = results(talk.wire.said())
    return result


def test_several_terminals_report_over_one_connection() -> None:
    talk, other = forwarding()
    talk.session.receive(talk.terminal.reports() + other.reports() + talk.terminal.reports(NOON + 1) + other.reports())
    talk.shelf.settle()
    said = talk.wire.said()
    assert results(said) == [(1, ids.LOCATION, OK), (1, ids.LOCATION, OK), (2, ids.LOCATION, OK), (2, ids.LOCATION, OK)]
    assert [frame.phone for frame in said] == [PHONE, OTHER_PHONE, PHONE, OTHER_PHONE]
    assert [frame.serial for frame in said] == [2, 3, 4, 5]
    assert [fix.terminal for fix in talk.shelf.fixes] == [PHONE, OTHER_PHONE, PHONE, OTHER_PHONE]
    assert talk.exchange.authenticated == 2


def test_who_has_not_authenticated_gains_nothing_from_those_who_have() -> None:
    talk, _ = forwarding()
    assert result_of(talk, Terminal("13600001234").reports()) == FAILED
    assert talk.shelf.fixes == []
    assert talk.counted == {"unauthenticated": 1}


def test_a_terminal_that_speaks_elsewhere_loses_its_own_seat_only() -> None:
    talk, other = forwarding()
    wire = elsewhere(talk, Terminal(PHONE).authenticates())
    assert (talk.wire.closed, wire.closed) == (False, False)
    assert result_of(talk, other.reports()) == OK
    assert result_of(talk, talk.terminal.reports()) == FAILED
    assert (talk.exchange.takeovers, talk.exchange.authenticated) == (1, 2)
    elsewhere(talk, Terminal(OTHER_PHONE).authenticates())
    assert talk.wire.closed


def test_a_terminal_that_logs_out_leaves_the_others_seated() -> None:
    talk, other = forwarding()
    assert result_of(talk, other.says(ids.LOGOUT)) == OK
    assert result_of(talk, other.reports()) == FAILED
    assert result_of(talk, talk.terminal.reports()) == OK
    assert talk.exchange.authenticated == 1


def test_when_the_connection_ends_all_its_terminals_are_gone() -> None:
    talk, _ = forwarding()
    talk.session.lost()
    assert talk.exchange.authenticated == 0
    assert list(talk.session.seats()) == []


def test_one_connection_takes_so_many_terminals_and_no_more() -> None:
    talk, other = forwarding(TerminalLimits(max_terminals_per_connection=2))
    third, mute = Terminal("13600000003"), Terminal(MUTE_PHONE)
    assert result_of(talk, third.authenticates()) == FAILED
    assert result_of(talk, mute.reports()) == FAILED
    assert (result_of(talk, other.reports()), result_of(talk, talk.terminal.reports())) == (OK, OK)
    assert talk.counted["too_many_terminals"] == 2
    assert talk.exchange.authenticated == 2


def test_a_terminal_that_was_silent_for_long_gives_its_seat_to_a_new_one() -> None:
    talk, other = forwarding(TerminalLimits(max_terminals_per_connection=2, idle_timeout_s=600))
    talk.exchange.tick = 601
    assert result_of(talk, Terminal("13600000003").authenticates()) == OK
    assert result_of(talk, other.reports()) == OK
    assert result_of(talk, talk.terminal.reports()) == FAILED


def test_each_terminal_has_packets_and_pictures_of_its_own() -> None:
    talk, other = forwarding()
    batch = encode_batch([location(NOON + second) for second in range(60)], type=1)
    pictures = [
        terminal.splits(ids.MEDIA, bytes((0, 0, 0, number)) + bytes(90), 2)
        for number, terminal in enumerate((talk.terminal, other))
    ]
    batches = [terminal.splits(ids.LOCATION_BATCH, batch, 2) for terminal in (talk.terminal, other)]
    for packet in range(2):
        talk.session.receive(pictures[0][packet] + pictures[1][packet] + batches[0][packet] + batches[1][packet])
    talk.shelf.settle()
    said = talk.wire.said()
    assert [(frame.phone, frame.body) for frame in said if frame.message_id == ids.MEDIA_ANSWER] == [
        (PHONE, bytes(4)),
        (OTHER_PHONE, b"\0\0\0\1"),
    ]
    assert len(talk.shelf.fixes) == 120


def test_a_command_goes_to_the_terminal_it_is_for_and_only_that_one_answers_it() -> None:
    talk, other = forwarding()
    heard: list[Parameters | Reply | None] = []
    talk.session.ask(PHONE, QUERY, b"", settled_by(heard))
    (command,) = talk.wire.said()
    assert command.phone == PHONE
    answer = encode_parameter_answer(command.serial, [(1, b"\1")])
    talk.session.receive(other.says(ids.PARAMETER_ANSWER, answer))
    talk.session.receive(other.says(ids.TERMINAL_REPLY, Reply(command.serial, command.message_id, 3).encode()))
    assert heard == []
    talk.session.receive(talk.terminal.says(ids.PARAMETER_ANSWER, answer))
    assert [found.items for found in heard if isinstance(found, Parameters)] == [((1, b"\1"),)]


def test_a_command_fails_when_its_terminal_leaves_and_not_when_another_does() -> None:
    talk, other = forwarding()
    heard: list[Parameters | Reply | None] = []
    talk.session.ask(PHONE, QUERY, b"", settled_by(heard))
    talk.session.receive(other.says(ids.LOGOUT))
    assert heard == []
    elsewhere(talk, Terminal(PHONE).authenticates())
    assert heard == [None]


def test_a_terminal_is_not_given_more_commands_than_it_can_owe_answers_for() -> None:
    talk, _ = forwarding(TerminalLimits(max_questions=2))
    for phone in (PHONE, OTHER_PHONE):
        for _ in range(2):
            talk.session.ask(phone, QUERY, b"", lambda _: True)
        with pytest.raises(TooManyQuestions):
            talk.session.ask(phone, QUERY, b"", lambda _: True)


@pytest.mark.parametrize("message_id", [ids.REGISTER, ids.HEARTBEAT, ids.TIME_QUERY, ids.AUTHENTICATE, ids.LOCATION])
def test_a_terminal_that_cannot_authenticate_is_seated_by_its_first_word(message_id: int) -> None:
    talk = Talk(MUTE_PHONE)
    talk.session.receive(talk.terminal.says(message_id, location() if message_id == ids.LOCATION else b""))
    assert talk.session.terminal == MUTE_PHONE


@pytest.mark.parametrize(
    "phone, message_id", [(MUTE_PHONE, ids.LOGOUT), (PHONE, ids.REGISTER), (PHONE, ids.TIME_QUERY)]
)
def test_a_farewell_or_an_unproven_word_seats_nobody(phone: str, message_id: int) -> None:
    talk = Talk(phone)
    talk.session.receive(talk.terminal.says(message_id))
    assert talk.session.terminal == ""
