"""The demo shows a moving truck at once, owns its service, and stands alone in its folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.processes import ANY_PORT, RUN, Process, Yard, until

pytestmark = pytest.mark.e2e

WALKTHROUGH: Final = RUN.parent / "docs" / "walkthrough.md"
BLOCK: Final = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
CODE: Final = re.compile(r'"code": ?"([a-z_]+)"')
STREAM_S: Final = "--max-time 12"


def demo(yard: Yard, *options: str) -> Process:
    return yard.starts("demo", "--vehicles", "30", "--http", ANY_PORT, "--jt808", ANY_PORT, *options)


def drives(process: Process) -> bool:
    return (
        until(lambda: process.is_over or re.search(r"acked [1-9]", process.out) is not None, within_s=110)
        and not process.is_over
    )


def service_of(process: Process) -> int:
    """The process id of the demo's service."""
    listed = subprocess.run(["ps", "--ppid", str(process.pid), "-o", "pid="], capture_output=True, check=True)
    (pid,) = listed.stdout.split()
    return int(pid)


def is_alive(pid: int) -> bool:
    state = subprocess.run(["ps", "-p", str(pid), "-o", "stat="], capture_output=True, check=False).stdout
    return bool(state.strip()) and not state.startswith(b"Z")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """A folder in which a demo drives."""
    yard = Yard(tmp_path_factory.mktemp("shown"))
    process = demo(yard)
    assert drives(process), process.out + process.err
    yield yard
    process.is_told(signal.SIGINT)
    assert process.ends(within_s=90).status == 0
    yard.closes()


def shell(yard: Yard, script: str) -> str:
    done = subprocess.run(
        ["sh", "-c", script], cwd=yard.folder, capture_output=True, check=False, timeout=90, text=True
    )
    assert not done.stderr, done.stderr
    return done.stdout


def test_the_truck_of_the_link_moves_and_shows_an_alert(shown: Yard) -> None:
    look = '. data/demo.env; curl -s $A/api/v1/family/shares/$SHARE -H "Authorization: Bearer $FAMILY"'
    speed = re.compile(r'"speed_kmh":([1-9][0-9.]*)')
    assert until(lambda: speed.search(shell(shown, look)) is not None)
    assert until(lambda: '"kind":"fatigue","source":"terminal"' in shell(shown, look), within_s=90)


def test_what_a_shell_reads_is_for_its_owner_only(shown: Yard) -> None:
    assert (shown.folder / "data" / "demo.env").stat().st_mode & 0o077 == 0


def test_a_second_demo_in_the_folder_is_refused_and_touches_nothing(shown: Yard) -> None:
    before = (shown.folder / "data" / "demo.env").read_text("utf-8")
    ended = demo(shown, "--seed", "2").ends()
    assert ended.status == 2
    assert "a demo runs in this folder already (process " in ended.err
    assert not ended.out
    assert (shown.folder / "data" / "demo.env").read_text("utf-8") == before


def test_the_lines_of_the_walkthrough_can_be_pasted_and_answer_as_it_says(shown: Yard) -> None:
    """A block's answers hold the refusals that stand below it, and no others."""
    blocks = [(kind, text) for kind, text in BLOCK.findall(WALKTHROUGH.read_text("utf-8")) if "make run" not in text]
    commands = [text for kind, text in blocks if kind == "sh"]
    assert len(commands) > 10
    marked = "echo; echo ==next==\n".join(command.replace(STREAM_S, "--max-time 2") for command in commands)
    answers = shell(shown, marked).split("==next==\n")
    expected: list[list[str]] = []
    for kind, text in blocks:
        if kind == "sh":
            expected.append([])
        else:
            expected[-1] += CODE.findall(text)
    assert [CODE.findall(answer) for answer in answers] == expected


def test_a_demo_that_is_killed_takes_its_service_along(empty_yard: Yard) -> None:
    process = demo(empty_yard)
    assert drives(process), process.err
    service = service_of(process)
    process.is_killed()
    assert until(lambda: not is_alive(service), within_s=90)


def test_a_service_that_dies_ends_the_demo_at_once(empty_yard: Yard) -> None:
    process = demo(empty_yard)
    assert drives(process), process.err
    os.kill(service_of(process), signal.SIGKILL)
    ended = process.ends()
    assert ended.status == 2
    assert "the service ended in the middle of the drive (status -9)" in ended.err
    assert "verdict" not in ended.out
    assert "Traceback" not in ended.said


def test_ctrl_c_says_what_it_waits_for(empty_yard: Yard) -> None:
    process = demo(empty_yard)
    assert drives(process), process.err
    process.is_told(signal.SIGINT)
    ended = process.ends(within_s=90)
    assert ended.status == 0
    said = ("ending the drive: ", " 0 differences", "stopping the service: ")
    assert [ended.out.index(each) for each in said] == sorted(ended.out.index(each) for each in said)


def test_a_scenario_that_does_not_exist_is_refused_before_anything_is_made(empty_yard: Yard, tmp_path: Path) -> None:
    ended = demo(empty_yard, "--scenario", "rush_hour").ends()
    assert ended.status == 2
    assert "everyday" in ended.err
    assert not (tmp_path / "data").exists()
