"""What can be said on the command line?"""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path

from settings import Settings, SettingsError, address, without_password


class UsageError(Exception):
    """What was asked for can't be done; the message says what to do instead."""


def parser(settings: Settings) -> argparse.ArgumentParser:
    """The commands; defaults are the settings, which the environment may have changed."""
    top = argparse.ArgumentParser(
        prog="run.py",
        description="平安守望: live trucks over JT/T 808, for the families at home.",
        epilog="Every option of serve can be an environment variable: SHOUWANG_HTTP, SHOUWANG_STORE, ...; secrets only "
        "so: FEED_KEY (the telemetry feed), OPS_KEY (/health, /metrics, the control room).",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _serve(commands.add_parser("serve", help="the service"), settings)
    _import(commands.add_parser("import", help="load registry lines; a running service sees them at once"), settings)
    _file(commands.add_parser("export", help="everything a store holds, into a file to move it elsewhere"), settings)
    _file(commands.add_parser("backup", help="a copy of an embedded store, while its service runs"), settings)
    _file(commands.add_parser("restore", help="an embedded store out of its backup"), settings)
    _sim(commands.add_parser("sim", help="a fleet of terminals against a running service, with a verdict"), settings)
    _torture(commands.add_parser("torture", help="the whole service under every disaster a seed can think of"))
    _demo(commands.add_parser("demo", help="all of it at once: registry, service, fleet, addresses to open"), settings)
    return top


def _serve(command: argparse.ArgumentParser, settings: Settings) -> None:
    _listening(command, settings)
    _store(command, settings)
    command.add_argument(
        "--virtual-clock",
        type=instant,
        metavar="T",
        help="a clock that stands still at T until POST /dev/clock moves it",
    )
    command.add_argument(
        "--clock-speed", type=positive, default=1.0, metavar="X", help="the clock runs X times as fast as real time"
    )


def _import(command: argparse.ArgumentParser, settings: Settings) -> None:
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "file", nargs="?", metavar="FILE", help="registry lines, one JSON object each; - reads standard input"
    )
    what.add_argument(
        "--facts", type=Path, metavar="FILE", help="instead: all that `export` wrote, into a store that is empty"
    )
    _store(command, settings)


def _file(command: argparse.ArgumentParser, settings: Settings) -> None:
    command.add_argument("file", type=Path, metavar="FILE")
    _store(command, settings)


def _sim(command: argparse.ArgumentParser, settings: Settings) -> None:
    command.add_argument("--api", default=f"http://{settings.http}", metavar="URL", help="default %(default)s")
    command.add_argument(
        "--jt808", type=host_port, default=settings.jt808, metavar="HOST:PORT", help="default %(default)s"
    )
    _fleet(command, vehicles=1000)
    command.add_argument(
        "--scenario", default="everyday", metavar="NAME", help="default %(default)s; an unknown one lists all"
    )
    command.add_argument("--registry", metavar="FILE", help="write the fleet's registry lines for import, and exit")


def _demo(command: argparse.ArgumentParser, settings: Settings) -> None:
    _listening(command, settings)
    command.add_argument("--store", metavar="STORE", help="as of serve; default: one in data/ for each speed")
    _fleet(command, vehicles=2000)
    command.add_argument(
        "--scenario", default="everyday", metavar="NAME", help="default %(default)s; an unknown one lists all"
    )


def _torture(command: argparse.ArgumentParser) -> None:
    command.add_argument("--seed", type=natural, default=0, metavar="N", help="the first one; default %(default)s")
    command.add_argument(
        "--runs", type=count, metavar="K", help="how many seeds; default 100, or as many as --minutes allow"
    )
    command.add_argument("--minutes", type=positive, metavar="M", help="stop after so long")
    command.add_argument("--jobs", type=count, metavar="J", help="how many side by side; default: one a core")
    command.add_argument(
        "--steps", metavar="STEPS", default="", help="only these steps of the seed, as a failure prints them"
    )
    command.add_argument(
        "--mutants", action="store_true", help="break one rule at a time, and tell which seed finds it"
    )


def _listening(command: argparse.ArgumentParser, settings: Settings) -> None:
    for option, default in (("--http", settings.http), ("--jt808", settings.jt808)):
        command.add_argument(
            option, type=host_port, default=default, metavar="HOST:PORT", help="default %(default)s; port 0: any"
        )


def _store(command: argparse.ArgumentParser, settings: Settings) -> None:
    default = without_password(settings.store).replace("%", "%%")
    command.add_argument(
        "--store",
        default=settings.store,
        metavar="STORE",
        help=f"sqlite:PATH or redis://HOST:PORT/DB?prefix=NAME, default {default}; "
        "a URL with a password stands in SHOUWANG_STORE better than here, where others on this machine may see it",
    )


def _fleet(command: argparse.ArgumentParser, *, vehicles: int) -> None:
    command.add_argument("--vehicles", type=count, default=vehicles, metavar="N", help="default %(default)s")
    command.add_argument(
        "--seed", type=int, default=1, metavar="S", help="the same seed, the same fleet; default %(default)s"
    )
    command.add_argument("--duration", type=positive, metavar="S", help="real seconds; without it until Ctrl-C")
    command.add_argument(
        "--speedup", type=positive, default=1.0, metavar="X", help="the service's clock speed; default 1"
    )
    command.add_argument(
        "--interval", type=count, metavar="S", help="seconds between two reports; default: the scenario's own"
    )


def host_port(text: str) -> str:
    """HOST:PORT, as it came: looked at before anything is opened, defaults from the environment too."""
    try:
        address(text)
    except SettingsError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def positive(text: str) -> float:
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def count(text: str) -> int:
    """A whole number above 0."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 0 < value <= 10_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 10,000,000")
    return value


def natural(text: str) -> int:
    """A whole number from 0."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value < 1 << 63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return value


def instant(text: str) -> float:
    """RFC 3339 with an offset → Unix seconds."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 2026-01-01T00:00:00+08:00") from None
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no offset; write for example 2026-01-01T00:00:00+08:00")
    return at.timestamp()
