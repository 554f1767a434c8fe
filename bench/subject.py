"""Puts the whole service, as a user starts it, under a benchmark."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from bench.processes import ROOT, Server, python

FEED_KEY: Final = "feed-key-of-the-bench"
OWNER: Final = "91350100M000100Y43"
_PROVINCES: Final = "京津冀晋"
_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ"


class Service(Server):
    """``run.py serve`` on a new store that holds ``registry``, or on an existing one."""

    def __init__(
        self, store: Path, registry: Iterable[str] | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        place = ("--store", f"sqlite:{store}")
        if registry is not None:
            lines = store.with_suffix(".jsonl")
            with lines.open("w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in registry)
            command = python("run.py", "import", str(lines), *place)
            subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        ports = ("--http", "127.0.0.1:0", "--jt808", "127.0.0.1:0")
        environment = {"FEED_KEY": FEED_KEY, "PATH": os.defpath, "SHOUWANG_HTTP_CONNECTIONS_PER_ADDRESS": "100000"}
        super().__init__(python("run.py", "serve", *ports, *place), environment=environment | dict(settings or {}))


def vehicle_line(number: int, phone: str) -> str:
    """Return the line of a registered truck whose terminal needs no code."""
    return json.dumps(
        {
            "type": "vehicle",
            "plate": plate(number),
            "plate_color": "yellow",
            "vin": vin(number),
            "transport_cert_no": f"{110_000_000_000 + number}",
            "transport_cert_valid_until": "2035-12-31",
            "annual_review_due": "2035-12-31",
            "owner_uscc": OWNER,
            "terminal_phone": phone,
            "speed_limit_kmh": 100,
            "terminal_auth": "none",
        },
        ensure_ascii=False,
    )


def plate(number: int) -> str:
    """Return a plate: a hundred thousand for each letter of each province."""
    letter, digits = divmod(number, 100_000)
    province, letter = divmod(letter, len(_LETTERS))
    return f"{_PROVINCES[province]}{_LETTERS[letter]}{digits:05d}"


def vin(number: int) -> str:
    """Return 17 characters with their check digit (GB 16735)."""
    values = {**{str(digit): digit for digit in range(10)}, "L": 3, "Z": 9}
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    bare = f"LZZ000000{number:08d}"
    check = sum(values[character] * weight for character, weight in zip(bare, weights, strict=True)) % 11
    return f"{bare[:8]}{'X' if check == 10 else check}{bare[9:]}"
