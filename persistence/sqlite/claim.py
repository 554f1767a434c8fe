"""Locks that keep a second service off a SQLite store, and the note that a store was served at a place.

The lock file stands beside the store and stays when the store is moved or deleted. So it keeps a newcomer away from the
place while a service runs, and tells the next start that there was a store. The lock on the store's own file keeps away
services that know the file by another name: moved there, or a second link. An abstract socket, named after the path,
stays when the whole folder moves.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from contextlib import ExitStack, suppress
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Final, Self

from persistence.store import StoreUnavailable

LONGEST_NOTE: Final = 100
PATIENCE_S: Final = 0.2
PAUSE_S: Final = 0.01


class PlaceLock:
    """The lock of one place, held until closed. The system releases it with the process."""

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises ``StoreUnavailable`` while another service holds it."""
        file = lock_file(path)
        try:
            self._file: IO[bytes] = file.open("a+b")
        except OSError as error:
            raise StoreUnavailable(
                f"store {path}: can't open {file}: {error.strerror}: this user must write it"
            ) from error
        if not _taken(self._file.fileno()):
            self._file.close()
            raise StoreUnavailable(
                f"store {path}: another service is using it; stop that one, or name another store with --store"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def note(self, identity: str) -> str:
        """Note that the store of this identity is served here; return the one noted before, or an empty text."""
        self._file.seek(0)
        before = _read(self._file)
        if before != identity:
            self._file.truncate(0)
            self._file.write(f"{identity}\n".encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        return before

    def close(self) -> None:
        """Let the next service in."""
        self._file.close()


class ServiceLock:
    """A service's right to one store: the place and the file. Close it after every connection to the file.

    Closing any descriptor of a file releases SQLite's own locks on it in this process (POSIX).
    """

    def __init__(self, path: Path) -> None:
        """Take both locks. Raises ``StoreUnavailable`` while another service holds either."""
        self._path = path
        self._identity = ""
        with ExitStack() as held:
            self._place = held.enter_context(PlaceLock(path))
            if not _holds_name(path, held):
                raise StoreUnavailable(_MOVED_AWAY.format(path=path))
            self._file = _opened(path)
            held.callback(os.close, self._file)
            if not _taken(self._file):
                raise StoreUnavailable(_OTHER_NAME.format(path=path))
            self._held = held.pop_all()

    def note(self, identity: str) -> str:
        """See ``PlaceLock.note``."""
        self._identity = identity
        return self._place.note(identity)

    def note_again(self) -> None:
        """Note it in the folder that is at the place now, if there is one and the lock file is no longer in it."""
        file = lock_file(self._path)
        if self._identity and file.parent.is_dir() and not file.exists():
            with suppress(OSError, StoreUnavailable):
                place = PlaceLock(self._path)
                place.note(self._identity)
                self._place.close()
                self._place = place

    def is_deleted(self) -> bool:
        """Tell whether the file has no name any longer."""
        return os.fstat(self._file).st_nlink == 0

    def close(self) -> None:
        """Let the next service in."""
        self._held.close()
        self._place.close()


def lock_file(path: Path) -> Path:
    """Return the lock file of a store, beside the file that a symbolic link leads to."""
    real = path.resolve()
    return real.with_name(f"{real.name}.service-lock")


def was_served(path: Path) -> bool:
    """Tell whether a service ever served a store at this place."""
    with suppress(OSError), lock_file(path).open("rb") as file:
        return bool(_read(file))
    return False


def is_served(path: Path) -> bool:
    """Tell whether a service is using the place or the file. Not for a process that has the file open."""
    return is_place_held(path) or _is_held(path)


def refuse_strange_files(path: Path) -> None:
    """Refuse a file that a service has open under another name, or another file under this name.

    The write-ahead log lies beside the name. So a process that opens this file misses the newest commits, or takes the
    log of another store for its own. A write would destroy both. Raises ``StoreUnavailable``. Not for a process that
    has the file open.
    """
    place_is_held = is_place_held(path)
    if path.exists() and _is_held(path) != place_is_held:
        raise StoreUnavailable((_OTHER_FILE if place_is_held else _OTHER_NAME).format(path=path))


def is_place_held(path: Path) -> bool:
    """Tell whether a service serves at this place, whichever file."""
    if _is_held(lock_file(path)):
        return True
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            probe.connect(_name(path))
    except OSError:
        return False
    return True


def _holds_name(path: Path, held: ExitStack) -> bool:
    """Tell whether no other process has the name of this path. Where there are no such names, the locks must do."""
    try:
        name = held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        name.bind(_name(path))
    except OSError as error:
        return error.errno != errno.EADDRINUSE
    return True


def _name(path: Path) -> bytes:
    """Return an address that exists as long as a process is bound to it, and stands in no file system (Linux)."""
    return b"\0shouwang." + sha256(str(path.resolve()).encode()).hexdigest().encode()


_MOVED_AWAY: Final = (
    "store {path}: another service is using it; its folder was moved or emptied: stop that service first"
)
_OTHER_NAME: Final = (
    "store {path}: a service is using this file under another name (it was moved, or has a second link): "
    "stop that service first"
)
_OTHER_FILE: Final = (
    "store {path}: a service runs here and has another file open, which was moved or deleted, or it is of an older "
    "program: stop that service first"
)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise StoreUnavailable(f"store {path}: it can't be opened: {error.strerror}") from error


def _is_held(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: other processes may look at the same time
    except OSError:
        return True
    finally:
        os.close(file)
    return False


def _taken(file: int) -> bool:
    """Try for a moment: a process that only looks holds a shared lock meanwhile."""
    deadline_s = monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if monotonic() > deadline_s:
                return False
            sleep(PAUSE_S)
        else:
            return True


def _read(file: IO[bytes]) -> str:
    return file.read(LONGEST_NOTE).decode("ascii", "replace").strip()
