"""Tests that a drive ends with the right verdict: clean through a kill, and not clean after a loss."""

from __future__ import annotations

import signal
import socket

import pytest

from tests.e2e.callers import health
from tests.e2e.conftest import FLEET
from tests.e2e.processes import ANY_PORT, SEED, Process, Serving, Yard, until, write_registry

pytestmark = pytest.mark.e2e


def free_ports() -> tuple[str, str]:
    """Two addresses that a service can come back to."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return f"127.0.0.1:{one.getsockname()[1]}", f"127.0.0.1:{other.getsockname()[1]}"


def drives(yard: Yard, http: str, jt808: str, *options: str) -> Process:
    where = ("--api", f"http://{http}", "--jt808", jt808)
    return yard.starts("sim", *where, "--vehicles", str(FLEET), "--seed", str(SEED), *options)


def has_heard(serving: Serving, fixes: int) -> bool:
    return until(lambda: health(serving.http).telemetry.fixes_total >= fixes)


def test_a_demo_ends_by_itself_with_a_clean_verdict(empty_yard: Yard) -> None:
    where = ("--http", ANY_PORT, "--jt808", ANY_PORT, "--store", empty_yard.store_name)
    ended = empty_yard.runs("demo", "--vehicles", "30", "--duration", "8", *where)
    assert ended.status == 0, ended.said
    assert "verdict: 30 vehicles" in ended.out
    assert " 0 differences" in ended.out
    assert "Traceback" not in ended.said


def test_a_drive_through_a_kill_and_a_second_start_ends_clean(yard: Yard) -> None:
    http, jt808 = free_ports()
    first = yard.serves(http=http, jt808=jt808)
    drive = drives(yard, http, jt808, "--duration", "6", "--interval", "1")
    assert has_heard(first, 2 * FLEET)
    first.process.is_killed()
    second = yard.serves(http=http, jt808=jt808)
    assert has_heard(second, FLEET)
    ended = drive.ends()
    assert ended.status == 0, ended.said
    assert f"verdict: {FLEET} vehicles" in ended.out
    assert " 0 differences" in ended.out


def test_a_drive_whose_reports_are_lost_does_not_end_clean(yard: Yard) -> None:
    http, jt808 = free_ports()
    serving = yard.serves(http=http, jt808=jt808)
    drive = drives(yard, http, jt808, "--interval", "10")
    assert has_heard(serving, FLEET // 3)
    serving.process.is_killed()
    yard.loses_its_store()
    assert yard.imports(write_registry(yard.folder / "registry.jsonl", FLEET)).status == 0
    yard.serves(http=http, jt808=jt808)
    drive.is_told(signal.SIGINT)
    ended = drive.ends()
    assert ended.status == 1, ended.said
    assert "last fix" in ended.out
    assert " 0 differences" not in ended.out
    assert "Traceback" not in ended.said


def test_a_drive_against_nobody_says_so(empty_yard: Yard) -> None:
    http, jt808 = free_ports()
    ended = drives(empty_yard, http, jt808, "--duration", "1").ends()
    assert ended.status == 2
    assert ended.said.startswith("sim: ")
    assert http in ended.said
    assert "Traceback" not in ended.said
