"""The command line refuses what it can't do, with a sentence that says what to do instead."""

from __future__ import annotations

import re
import socket
import sqlite3
import tomllib
from contextlib import closing
from typing import Final

import pytest

from settings import Settings, knobs
from tests.e2e.callers import health
from tests.e2e.processes import ANY_PORT, RUN, Ended, Yard, until

pytestmark = pytest.mark.e2e


@pytest.fixture
def forks() -> bool:
    """Each is started as a user starts it."""
    return False


VERSION: Final = tomllib.loads((RUN.parent / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def refused(ended: Ended, *said: str) -> None:
    assert ended.status == 2, ended.said
    assert "Traceback" not in ended.said
    assert not ended.out
    last = ended.err.splitlines()[-1]
    assert last.startswith("run.py")
    assert all(part in last for part in said), last


def serve(yard: Yard, *options: str) -> Ended:
    """Later options win."""
    where = ("--http", ANY_PORT, "--jt808", ANY_PORT, "--store", yard.store_name)
    return yard.runs("serve", *where, *options)


@pytest.mark.parametrize("option", ["--http", "--jt808"])
def test_a_taken_port_names_the_address_and_the_option(empty_yard: Yard, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused(serve(empty_yard, option, address), address, "in use", option)


def test_a_store_that_is_no_database_is_left_as_it_was(empty_yard: Yard) -> None:
    letter = "Dear reader, this is a letter and no database. " * 200
    empty_yard.store.write_text(letter)
    refused(serve(empty_yard), str(empty_yard.store), "--store")
    assert empty_yard.store.read_text() == letter


def test_a_store_of_a_newer_program_is_left_as_it_was(yard: Yard) -> None:
    with closing(sqlite3.connect(yard.store)) as database:
        database.execute("PRAGMA user_version = 9999")
    content = yard.store.read_bytes()
    refused(serve(yard), str(yard.store), "9999", "newer")
    assert yard.store.read_bytes() == content


@pytest.mark.parametrize(
    "options, said",
    [
        (("--store", "mysql://localhost/x"), ("mysql://localhost/x", "sqlite:PATH")),
        (("--store", "sqlite:"), ("sqlite:PATH",)),
        (("--store", "sqlite:."), ("folder",)),
        (("--http", "nonsense"), ("--http", "'nonsense'", "HOST:PORT")),
        (("--jt808", "127.0.0.1:99999"), ("--jt808", "'127.0.0.1:99999'", "HOST:PORT")),
        (("--virtual-clock", "2026-01-01T00:00:00"), ("--virtual-clock", "offset", "+08:00")),
        (("--clock-speed", "0"), ("--clock-speed", "above 0")),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else "",
)
def test_an_option_that_makes_no_sense(empty_yard: Yard, options: tuple[str, ...], said: tuple[str, ...]) -> None:
    refused(serve(empty_yard, *options), *said)


@pytest.mark.parametrize(
    "name, text, said",
    [
        ("SHOUWANG_LINGER_MS", "soon", ("SHOUWANG_LINGER_MS", "'soon'")),
        ("SHOUWANG_MAX_CONNECTIONS", "1.5", ("SHOUWANG_MAX_CONNECTIONS", "'1.5'")),
        ("SHOUWANG_HTTP", "8080", ("--http", "'8080'", "HOST:PORT")),
        ("SHOUWANG_CLOCK_SPEED", "0", ("--clock-speed", "'0'")),
        ("SHOUWANG_STOP_WITH_STDIN", "perhaps", ("SHOUWANG_STOP_WITH_STDIN", "'perhaps'")),
        ("SHOUWANG_LINGR_MS", "5", ("SHOUWANG_LINGR_MS", "SHOUWANG_LINGER_MS meant?")),
        ("SHOUWANG_FEED_KEY", "a-key-of-sixteen", ("SHOUWANG_FEED_KEY", "is FEED_KEY meant?")),
        ("SHOUWANG_QQQ", "", ("SHOUWANG_QQQ", "docs/limits.md")),
    ],
)
def test_a_variable_that_makes_no_sense(empty_yard: Yard, name: str, text: str, said: tuple[str, ...]) -> None:
    refused(empty_yard.runs("serve", "--store", empty_yard.store_name, **{name: text}), *said)
    assert not empty_yard.store.exists()


def test_the_version_is_told(empty_yard: Yard) -> None:
    ended = empty_yard.runs("--version")
    assert ended.status == 0
    assert ended.out == f"shouwang {VERSION}\n"


def test_the_help_of_serve_names_every_option_and_setting_with_its_variable(empty_yard: Yard) -> None:
    helped = empty_yard.runs("serve", "--help", OPS_KEY="a-key-that-must-not-be-printed").out
    options = set(re.findall(r"^  (--[a-z0-9-]+)", helped, re.MULTILINE))
    assert options >= {"--http", "--jt808", "--store", "--virtual-clock", "--clock-speed"}
    for option in options:
        assert f"[SHOUWANG_{option.removeprefix('--').replace('-', '_').upper()}]" in helped
    for knob in knobs(Settings()):
        assert knob.variable in helped
    assert "must-not-be-printed" not in helped


def test_a_variable_gives_an_option_its_default(empty_yard: Yard) -> None:
    serving = empty_yard.serves(SHOUWANG_CLOCK_SPEED="60")
    assert health(serving.http).clock.speed == 60


def test_a_service_ends_with_the_program_that_started_it(empty_yard: Yard) -> None:
    """A yard's processes have an empty standard input: it ends at once."""
    ended = serve(empty_yard, "--stop-with-stdin")
    assert ended.status == 0, ended.said
    assert ended.out.startswith("ready ")


@pytest.mark.parametrize(
    "store, said",
    [
        ("redis://fleet:sesame@127.0.0.1:1/0", "running"),
        ("redis://fleet:sesame@127.0.0.1:port", "PASSWORD"),
        ("mongodb://fleet:sesame@127.0.0.1", "redis://HOST"),
    ],
)
def test_a_stores_password_is_never_printed(empty_yard: Yard, store: str, said: str) -> None:
    ended = empty_yard.runs("import", "-", SHOUWANG_STORE=store)
    refused(ended, said, "127.0.0.1")
    helped = empty_yard.runs("serve", "--help", SHOUWANG_STORE=store)
    assert helped.status == 0
    assert "sesame" not in ended.said + helped.said


def test_a_store_that_another_service_is_using_is_refused(yard: Yard) -> None:
    first = yard.serves()
    second = yard.starts("serve", "--http", ANY_PORT, "--jt808", ANY_PORT, "--store", yard.store_name)
    assert until(lambda: second.is_over or second.out != "")
    assert not second.out
    refused(second.ends(), str(yard.store), "--store")
    assert first.process.stops().status == 0
