"""The measured figures, their transport from the measuring process, and their table."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from rich.console import Console
from rich.table import Table

WORSE: Final = 0.8
"""A figure at this fraction of its earlier value is shown in red; smaller losses are within these machines' blur."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A row of the table; ``ratio`` is ours divided by the baseline's."""

    name: str
    unit: str
    ours: float
    baseline: float | None = None
    beside: str = ""
    """The baseline's name."""
    aim: str = ""
    met: bool | None = None
    """Tells whether the aim is met; None where there is none."""

    @property
    def ratio(self) -> float | None:
        return self.ours / self.baseline if self.baseline else None

    def compared(self, before: Figure) -> float | None:
        """Return the quality relative to ``before``, where 1 is equal, by ratios, which do not depend on the machine.

        Bytes are compared directly. None where no comparison is possible.
        """
        now, then = (self.ours, before.ours) if self.unit == "bytes" else (self.ratio, before.ratio)
        if not now or not then or self.unit != before.unit:
            return None
        return now / then if self.unit.endswith("/s") else then / now


def emit(figures: Iterable[Figure]) -> None:
    """Hand the figures over: one JSON line each on standard output."""
    for figure in figures:
        print(json.dumps(asdict(figure), ensure_ascii=False), flush=True)


def received(lines: Iterable[str]) -> list[Figure]:
    """Parse the output of ``emit``; other lines are printed for the user."""
    figures = []
    for line in lines:
        if line.startswith("{"):
            figures.append(Figure(**json.loads(line)))
        else:
            print(line, end="", file=sys.stderr)
    return figures


def named(figures: Iterable[Figure]) -> Iterator[tuple[str, Figure]]:
    """Yield each figure with a name of its own: an indented row belongs to the one above it."""
    path: list[str] = []
    for figure in figures:
        depth = (len(figure.name) - len(figure.name.lstrip())) // 2
        path[depth:] = [figure.name.strip()]
        yield " › ".join(path), figure


def as_json(figures: Mapping[str, Figure], machine: Mapping[str, object]) -> str:
    rows = {name: {**asdict(figure), "ratio": figure.ratio} for name, figure in figures.items()}
    return json.dumps({"machine": machine, "figures": rows}, ensure_ascii=False, indent=2) + "\n"


def from_json(text: str) -> dict[str, Figure]:
    """Parse the output of ``as_json``."""
    rows = json.loads(text)["figures"]
    return {name: Figure(**{key: value for key, value in row.items() if key != "ratio"}) for name, row in rows.items()}


def show(figures: Sequence[Figure], kept: Mapping[str, Figure]) -> None:
    """Print the table; ``kept`` holds earlier figures."""
    table = Table(title="make bench", title_justify="left")
    right = {"ours", "baseline", "ratio", "was", "now/was"}
    for heading in ("figure", "ours", "baseline", "ratio", "unit", "beside", "aim", "was", "now/was"):
        table.add_column(heading, justify="right" if heading in right else "left")
    for name, figure in named(figures):
        before = kept.get(name)
        change = figure.compared(before) if before is not None else None
        table.add_row(
            figure.name,
            _short(figure.ours),
            "" if figure.baseline is None else _short(figure.baseline),
            _ratio(figure.ratio),
            figure.unit,
            figure.beside,
            f"{'' if figure.met is None else '[green]' if figure.met else '[red]'}{figure.aim}",
            "" if before is None else _ratio(before.ratio) or _short(before.ours),
            "" if change is None else f"{'[red]' if change < WORSE else ''}{change:.2f}",
        )
    Console(width=None if sys.stdout.isatty() else 170).print(table)


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:,.{2 if ratio < 10 else 0}f}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"
