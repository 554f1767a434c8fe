"""Lets a file appear under its name only once it is whole and on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp

from persistence.store import StoreUnavailable


@contextmanager
def appearing(file: Path) -> Iterator[Path]:
    """Give a file to be written within the block, which only this user may read; afterwards it is ``file``.

    Raises ``StoreUnavailable`` when ``file`` is there already, or can't be written.
    """
    try:
        if file.exists():
            raise FileExistsError
        handle, name = mkstemp(prefix=f".{file.name}.", suffix=".part", dir=file.parent)
        os.close(handle)
        part = Path(name)
        try:
            yield part
            _sync(part)
            _give_name(part, file)
            _sync(file.parent)
        finally:
            part.unlink(missing_ok=True)
    except FileExistsError:
        raise StoreUnavailable(f"{file} is there already: choose another name, or move it away") from None
    except OSError as error:
        raise StoreUnavailable(f"can't write {file}: {error.strerror or error}") from error


def _give_name(part: Path, file: Path) -> None:
    try:
        os.link(part, file)  # unlike a rename, it replaces no other file
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        part.rename(file)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
