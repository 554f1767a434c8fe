"""A cache of values that hold only while their mark is unchanged."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

T = TypeVar("T")

MAX_VALUES: Final = 10_000


class Remembered(Generic[T]):
    """Values by key, each with the mark under which it was read. A changed mark makes the value stale."""

    def __init__(self, max_values: int = MAX_VALUES) -> None:
        self._max_values = max_values
        self._values: dict[str, tuple[object, T]] = {}
        """Ordered from the oldest, which is forgotten first."""

    def get(self, key: str, mark: object) -> T | None:
        """Return the value; None when it was never read, or read under another mark."""
        found = self._values.get(key)
        return found[1] if found is not None and found[0] == mark else None

    def keep(self, key: str, mark: object, value: T) -> None:
        """Keep a value; ``mark`` is the one taken before the value was read."""
        self._values.pop(key, None)
        if len(self._values) >= self._max_values:
            del self._values[next(iter(self._values))]
        self._values[key] = (mark, value)
