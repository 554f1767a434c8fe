"""Tests that a worse figure shows, and that each name has a benchmark."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from bench.__main__ import BENCHMARKS
from bench.figures import WORSE, Figure, as_json, from_json, named


def of(unit: str, ours: float, baseline: float | None = None) -> Figure:
    return Figure("a figure", unit, ours, baseline)


@pytest.mark.parametrize(
    "now, before, change",
    [
        (of("fixes/s", 50, 100), of("fixes/s", 100, 100), 0.5),
        (of("ms", 50, 100), of("ms", 100, 100), 2.0),
        (of("fixes/s", 50, 50), of("fixes/s", 100, 100), 1.0),
        (of("bytes", 200, 10), of("bytes", 100, 5), 0.5),
    ],
)
def test_a_figure_is_held_against_what_it_was(now: Figure, before: Figure, change: float) -> None:
    assert now.compared(before) == change
    assert (change < WORSE) == (change == 0.5)


def test_what_has_no_baseline_or_another_unit_is_not_compared() -> None:
    assert of("fixes/s", 50).compared(of("fixes/s", 100)) is None
    assert of("fixes/s", 50, 100).compared(of("ms", 50, 100)) is None


def test_each_row_has_a_name_of_its_own_below_its_heading() -> None:
    rows = [Figure(name, "ms", 1.0) for name in ("polls", "  p99", "streams", "  burst", "    p99", "  p99")]

    assert [name for name, _ in named(rows)] == [
        "polls",
        "polls › p99",
        "streams",
        "streams › burst",
        "streams › burst › p99",
        "streams › p99",
    ]


def test_what_is_kept_is_read_again_as_it_was() -> None:
    figures = {"a": Figure("a", "ms", 1.5, 2.0, "a baseline", "≤ 2", True), "b": Figure("b", "bytes", 7.0)}

    assert from_json(as_json(figures, {"cores": 2})) == figures


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_name_has_a_benchmark(name: str) -> None:
    assert find_spec(f"bench.{name}") is not None
