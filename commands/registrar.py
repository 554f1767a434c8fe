"""The commands that write beside a running service: import the registry, and end a business's sessions.

The service learns of both within about a second, by the registry's revision.
"""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from api.accounts.session_records import ends_by_password, ends_of_all
from commands.arguments import UsageError
from domain.identifiers import half_width
from persistence.opening import open_store
from persistence.registry import importing as registry_import
from persistence.registry.lookups import Registry, next_revision
from persistence.store import Store, StoreConflict, StoreUnavailable

TRIES: Final = 50


async def import_registry(store_name: str, file: str, *, new: bool, notes: Path) -> int:
    """Load the lines that are good, and name those that are not; ``new`` and ``notes`` as of ``open_store``."""
    hasher = PasswordHasher()
    passwords = registry_import.Passwords(hasher.hash, partial(password_matches, hasher))
    if file != "-" and not os.path.exists(file):  # noqa: ASYNC240 - before anything else runs
        raise UsageError(f"can't read {file}: there is no such file")
    store = await open_store(store_name, new=new, notes=notes)
    try:
        lines = sys.stdin.buffer if file == "-" else registry_import.read_lines(Path(file))
        report = await registry_import.import_lines(
            store, lines, passwords, end_sessions=partial(ends_by_password, store, at=time.time())
        )
    except OSError as error:
        raise UsageError(f"can't read {file}: {error.strerror or error}") from error
    finally:
        await store.close()
    for line_no, reason in report.bad:
        print(f"line {line_no}: {reason}", file=sys.stderr)
    loaded = ", ".join(f"{count} {kind}" for kind, count in report.loaded.items())
    print(f"loaded {loaded}; {report.written} new or changed; {report.bad_count} bad lines")
    return 1 if report.bad_count else 0


def password_matches(hasher: PasswordHasher, encoded: str, password: str) -> bool:
    try:
        return hasher.verify(encoded, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


async def end_sessions(store_name: str, username: str, *, notes: Path) -> str:
    """End the sessions of the business of this user name; returns what to print. Raises ``UsageError`` for no such name."""
    store = await open_store(store_name, notes=notes)
    try:
        ended = await _end_all(store, username)
    finally:
        await store.close()
    return f"ended {ended} sessions of {username}"


async def _end_all(store: Store, username: str) -> int:
    registry = await Registry.open(store)
    business = await registry.business_by_username(half_width(username).strip())
    if business is None:
        raise UsageError(f"--username {username}: no business of this store signs in by this name")
    for _ in range(TRIES):
        revision = int(await registry.revision())
        ended, writes = await ends_of_all(store, business, at=time.time(), detail="由运维人员结束")
        try:
            await store.commit([next_revision(revision), *writes])
        except StoreConflict:  # An import was faster.
            continue
        return ended
    raise StoreUnavailable("an import is writing all the time: try again when it is done")
