"""What do all tests share? Hypothesis profiles: the same examples everywhere, and no failure because a machine was busy."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("search", deadline=None, max_examples=2_000)
settings.load_profile("house")
