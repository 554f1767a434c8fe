"""The search for hostile bytes: ``python -m fuzz [--seconds 60] [--only jt808] [--seed N] [--blind] [--seeds]``.

With atheris the search follows the branches that each input takes. Without it (other systems than Linux on x86, or
newer Pythons), or with ``--blind``, inputs are changed at random. Failing inputs are written to ``.fuzz/``: copy them
into ``fuzz/corpus/``, and the tests replay them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, Final

from fuzz.mutate import mutated, tried

TARGETS: Final = ("jt808", "feed")
CORPUS: Final = Path(__file__).parent / "corpus"
FOUND: Final = Path(".fuzz")
INSTRUMENTED: Final = ["gateway", "domain"]

Target = Callable[[bytes], None]


def corpus(name: str) -> list[bytes]:
    """Read a target's corpus."""
    return [file.read_bytes() for file in sorted((CORPUS / name).iterdir())]


def target(name: str, importing: AbstractContextManager[Any]) -> tuple[Target, dict[str, bytes]]:
    """Return the function that tries one input, and the corpus's first inputs.

    Imports its modules within ``importing``.
    """
    with importing:
        from fuzz import feed, jt808
    chosen = {"jt808": jt808, "feed": feed}[name]
    return chosen.try_one, chosen.seeds()


def search(name: str, *, seconds: int) -> None:
    """Search by coverage, and end the process. An input that fails is written to ``FOUND``."""
    import atheris

    try_one, _ = target(name, atheris.instrument_imports(include=INSTRUMENTED))
    found = FOUND / name
    found.mkdir(parents=True, exist_ok=True)
    limits = (f"-max_total_time={seconds}", "-max_len=8192", "-timeout=10", "-rss_limit_mb=1024")
    quiet = ("-print_final_stats=1", "-verbosity=1", f"-artifact_prefix={found}/found-")
    atheris.Setup([sys.argv[0], str(found), str(CORPUS / name), *limits, *quiet], try_one)
    atheris.Fuzz()


def search_blindly(name: str, *, seconds: float, seed: int) -> None:
    """Search at random. Re-raises the error of the first failing input, which is written to ``FOUND``."""
    try_one, _ = target(name, nullcontext())
    ends_at = time.monotonic() + seconds
    inputs = mutated(corpus(name), seed)
    for number in count(1):
        content = next(inputs)
        try:
            tried(try_one, content)
        except BaseException:
            file = FOUND / name / f"found-{sha256(content).hexdigest()[:16]}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            print(f"{name}: input {number} of seed {seed} fails; it stands in {file}", flush=True)
            raise
        if time.monotonic() > ends_at:
            print(f"{name}: {number:,} inputs of seed {seed}, all survived", flush=True)
            return


def write_seeds() -> None:
    """Write the corpus's first inputs anew."""
    for name in TARGETS:
        _, seeds = target(name, nullcontext())
        for title, content in seeds.items():
            (CORPUS / name).mkdir(parents=True, exist_ok=True)
            (CORPUS / name / f"{title}.bin").write_bytes(content)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Hostile bytes for the decoders.")
    parser.add_argument("--seconds", type=int, default=60, metavar="S", help="duration per target; default %(default)s")
    parser.add_argument("--only", choices=TARGETS, help="this target only")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="seed of a blind search; default %(default)s")
    parser.add_argument("--blind", action="store_true", help="search without atheris, even where it is installed")
    parser.add_argument("--seeds", action="store_true", help="write the corpus's first inputs, and end")
    args = parser.parse_args(argv)
    if args.seeds:
        write_seeds()
        return 0
    if args.only is None:
        words = sys.argv[1:] if argv is None else list(argv)
        return max(subprocess.call([sys.executable, "-m", "fuzz", "--only", name, *words]) for name in TARGETS)
    if args.blind or find_spec("atheris") is None:
        search_blindly(args.only, seconds=args.seconds, seed=args.seed)
    else:
        search(args.only, seconds=args.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
