"""What is a measured figure, and how does it travel from the process that took it to the table?"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table; ``ratio`` is ours through the baseline's."""

    name: str
    unit: str
    ours: float
    baseline: float | None = None
    beside: str = ""
    """What the baseline is."""
    aim: str = ""
    met: bool | None = None
    """Whether the aim is met; None where there is none."""

    @property
    def ratio(self) -> float | None:
        return self.ours / self.baseline if self.baseline else None


def emit(figures: Iterable[Figure]) -> None:
    """Hands the figures over: one JSON line each on standard output."""
    for figure in figures:
        print(json.dumps(asdict(figure), ensure_ascii=False), flush=True)


def received(lines: Iterable[str]) -> list[Figure]:
    """What ``emit`` printed; other lines are passed on to the person."""
    figures = []
    for line in lines:
        if line.startswith("{"):
            figures.append(Figure(**json.loads(line)))
        else:
            print(line, end="", file=sys.stderr)
    return figures


def as_json(figures: Sequence[Figure]) -> str:
    return json.dumps([{**asdict(figure), "ratio": figure.ratio} for figure in figures], ensure_ascii=False, indent=2)


def show(figures: Sequence[Figure]) -> None:
    """The table for people."""
    table = Table(title="make bench", title_justify="left")
    for heading in ("figure", "ours", "baseline", "ratio", "unit", "beside", "aim"):
        table.add_column(heading, justify="right" if heading in ("ours", "baseline", "ratio") else "left")
    for figure in figures:
        colour = "" if figure.met is None else "[green]" if figure.met else "[red]"
        table.add_row(
            figure.name,
            _short(figure.ours),
            "" if figure.baseline is None else _short(figure.baseline),
            "" if figure.ratio is None else f"{figure.ratio:,.{2 if figure.ratio < 10 else 0}f}",
            figure.unit,
            figure.beside,
            f"{colour}{figure.aim}",
        )
    Console(width=None if sys.stdout.isatty() else 150).print(table)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"
