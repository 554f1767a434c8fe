"""Runs the benchmarks that are asked for: ``python -m bench [--only NAME] [--large] [--json FILE]``."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from bench.figures import Figure, as_json, from_json, named, received, show
from bench.processes import ROOT, python

BENCHMARKS: Final = ("runtime", "store", "gateway", "feed", "vehicles", "family", "live", "end_to_end", "seam")
KEPT: Final = ROOT / "docs" / "performance.json"
"""The figures that ``docs/performance.md`` cites, with the machine that they are from."""
WITH_LARGE_SIZES: Final = frozenset({"feed", "vehicles"})


def measured(name: str, *, large: bool) -> list[Figure]:
    """Run a benchmark in a process of its own. Raises ``CalledProcessError`` when it fails."""
    options = ("--large",) if large and name in WITH_LARGE_SIZES else ()
    with subprocess.Popen(
        python("-m", f"bench.{name}", *options), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        figures = received(process.stdout)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return figures


def machine() -> dict[str, object]:
    """Describe the machine."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": model or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Each figure beside its baseline, in one run.")
    parser.add_argument("--only", metavar="NAME", choices=BENCHMARKS, action="append", help=" | ".join(BENCHMARKS))
    parser.add_argument(
        "--large", action="store_true", help="go on to millions of vehicles, where a part has such sizes"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the figures to this file")
    parser.add_argument(
        "--keep", action="store_true", help=f"keep them in {KEPT.relative_to(ROOT)}, for later runs to compare with"
    )
    options = parser.parse_args()
    figures: list[Figure] = []
    failed = []
    for name in options.only or BENCHMARKS:
        began = time.monotonic()
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            figures += measured(name, large=options.large)
        except subprocess.CalledProcessError as error:
            failed.append(f"{name} failed: {error}")
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    kept = from_json(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    show(figures, kept)
    if options.json:
        options.json.write_text(as_json(dict(named(figures)), machine()), encoding="utf-8")
    if options.keep:
        KEPT.write_text(as_json(kept | dict(named(figures)), machine()), encoding="utf-8")
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
