"""More calls wait at the terminal port than one listening socket has room for."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.jt808 import listeners
from gateway.jt808.listeners import how_many, listen

CALLS = 200


@pytest.fixture
def bound() -> Iterator[socket.socket]:
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", 0))
        yield made


@pytest.fixture
def short_queues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that lets 64 calls wait at a socket."""
    somaxconn = tmp_path / "somaxconn"
    somaxconn.write_text("64\n")
    monkeypatch.setattr(listeners, "_SOMAXCONN", somaxconn)
    monkeypatch.setattr(listeners, "_BACKLOG", 64)


@pytest.mark.usefixtures("short_queues")
def test_a_crowd_beyond_one_queue_is_connected_before_anybody_accepts(bound: socket.socket) -> None:
    with ExitStack() as ends:
        for listener in listen(bound, waiting=300):
            ends.enter_context(listener)
        for _ in range(CALLS):
            ends.enter_context(socket.create_connection(bound.getsockname(), timeout=20))


@pytest.mark.usefixtures("short_queues")
@pytest.mark.parametrize("waiting, sockets", [(1, 1), (64, 2), (300, 6), (1_000_000, 16)])
def test_there_are_as_many_sockets_as_their_queues_are_short(waiting: int, sockets: int) -> None:
    assert how_many(waiting) == sockets


def test_where_the_system_does_not_tell_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "_SOMAXCONN", tmp_path / "nothing")
    assert how_many(100_000) == 1


@pytest.mark.usefixtures("short_queues")
def test_no_second_service_shares_the_port(bound: socket.socket) -> None:
    with ExitStack() as ends:
        for listener in listen(bound, waiting=300):
            ends.enter_context(listener)
        with socket.socket() as second:
            second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError) as refused:
                second.bind(bound.getsockname())
        assert refused.value.errno == errno.EADDRINUSE


@pytest.mark.usefixtures("short_queues")
def test_calls_at_every_socket_are_looked_after_by_the_kernel(bound: socket.socket) -> None:
    with ExitStack() as ends:
        accepting = [ends.enter_context(listener) for listener in listen(bound, waiting=300)]
        for _ in range(CALLS):
            ends.enter_context(socket.create_connection(bound.getsockname(), timeout=20))
        for listener in accepting:
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
