"""Which figures are wanted, and where do they go? ``python -m bench [--only NAME] [--large] [--json FILE]``"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Final

from bench.figures import Figure, as_json, received, show
from bench.processes import ROOT, python

BENCHMARKS: Final = ("runtime", "gateway", "feed", "vehicles", "family", "live", "seam")
WITH_LARGE_SIZES: Final = frozenset({"vehicles"})


def measured(name: str, *, large: bool) -> list[Figure]:
    """Runs one benchmark in a process of its own; raises ``CalledProcessError`` when it fails."""
    options = ("--large",) if large and name in WITH_LARGE_SIZES else ()
    with subprocess.Popen(
        python("-m", f"bench.{name}", *options), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        figures = received(process.stdout)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Each figure beside its baseline, in one run.")
    parser.add_argument("--only", metavar="NAME", choices=BENCHMARKS, action="append", help=" | ".join(BENCHMARKS))
    parser.add_argument(
        "--large", action="store_true", help="go on to millions of vehicles, where a part has such sizes"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures there, too")
    options = parser.parse_args()
    figures: list[Figure] = []
    failed = []
    for name in options.only or BENCHMARKS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            figures += measured(name, large=options.large)
        except subprocess.CalledProcessError as error:
            failed.append(f"{name} failed: {error}")
    show(figures)
    if options.json:
        options.json.write_text(as_json(figures), encoding="utf-8")
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
