"""What does a service do whose store can't be written: not at all from the start, or for a while, because the disk is full?"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.processes import ANY_PORT, Yard
from tests.faults.witness import KEY, Witness
from tests.programs import needs

pytestmark = pytest.mark.e2e

AS_OTHERS = ("--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")
"""Without what lets root write everywhere."""


@contextmanager
def full_disk(pid: int) -> Iterator[None]:
    """No file of this process can grow any more."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def test_r51_on_a_full_disk_nothing_is_acknowledged_and_with_room_again_nothing_is_missing(yard: Yard) -> None:
    serving = yard.serves(FEED_KEY=KEY)
    with Witness(serving) as witness:
        for _ in range(2):
            with full_disk(serving.process.pid):
                witness.is_refused()
            witness.is_served()
        assert witness.is_ready()
    assert serving.process.stops().status == 0
    again = yard.serves(FEED_KEY=KEY)
    assert witness.driver.finds(again.http) == witness.driver.facts


@pytest.fixture
def as_others() -> tuple[str, ...]:
    """A command that takes from root what others don't have."""
    if os.geteuid() != 0:
        return ()
    needs("setpriv", package="util-linux")
    return ("setpriv", *AS_OTHERS)


def folder_of_others(store: Path) -> None:
    store.parent.chmod(0o500)


def file_of_others(store: Path) -> None:
    store.chmod(0o400)


def lock_of_others(store: Path) -> None:
    lock = store.with_name(f"{store.name}.service-lock")
    lock.touch()
    lock.chmod(0o400)


@pytest.mark.parametrize("taken_away", [folder_of_others, file_of_others, lock_of_others])
def test_a_store_that_may_not_be_written_is_refused_at_the_start_in_a_sentence(
    yard: Yard, as_others: tuple[str, ...], taken_away: Callable[[Path], None]
) -> None:
    store = yard.folder / "store" / "shouwang.db"
    store.parent.mkdir()
    yard.store.rename(store)
    taken_away(store)
    where = ("--http", ANY_PORT, "--jt808", ANY_PORT, "--store", f"sqlite:{store}")
    ended = yard.runs("serve", *where, below=as_others)
    store.parent.chmod(0o700)
    assert ended.status == 2, ended.said
    assert "Traceback" not in ended.said
    said = ended.err.splitlines()[-1]
    assert said.startswith(f"run.py: store {store}: ")
    assert "user" in said


def test_a_folder_that_may_not_be_written_gets_no_store(
    empty_yard: Yard, as_others: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    folder.mkdir(0o500)
    ended = empty_yard.runs("import", "-", "--store", f"sqlite:{folder / 'new.db'}", below=as_others)
    assert ended.status == 2, ended.said
    assert "may this user write to it?" in ended.err
    assert "Traceback" not in ended.said
