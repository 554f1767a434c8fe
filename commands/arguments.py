"""The command line: every option, its check, and the environment variable that gives its default."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from persistence.store import without_password
from settings import PREFIX, Settings, SettingsError, address, knobs

_TRUE: Final = ("1", "true", "yes")
_FALSE: Final = ("", "0", "false", "no")


class UsageError(Exception):
    """The command can't do what was asked for; the message says what to do instead."""


class Options:
    """Adds options to commands, each with an environment variable for its default, which its help names."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._variables: set[str] = set()

    def add(self, command: argparse.ArgumentParser, name: str, *, help: str, default: Any = None, **form: Any) -> None:
        """Add one option; ``form`` goes to ``add_argument``. A default that comes as text is checked like an argument."""
        variable = self._variable(name)
        command.add_argument(
            name, default=self._environment.get(variable, default), help=f"{help} [{variable}]", **form
        )

    def switch(self, command: argparse.ArgumentParser, name: str, *, help: str) -> None:
        """Add an option without a value. Raises ``SettingsError`` for a variable that is neither yes nor no."""
        variable = self._variable(name)
        text = self._environment.get(variable, "").lower()
        if text not in _TRUE + _FALSE:
            raise SettingsError(f"{variable}={text!r}: 1 or 0 is needed")
        command.add_argument(name, action="store_true", default=text in _TRUE, help=f"{help} [{variable}]")

    def known(self) -> set[str]:
        """The variables of all options added so far, and of the settings."""
        return self._variables | {knob.variable for knob in knobs(Settings())}

    def check(self) -> None:
        """Refuse a variable that nothing reads: a mistyped limit is no limit. Raises ``SettingsError``."""
        known = self.known()
        endings = {name.removeprefix(PREFIX): name for name in known}
        for name in sorted(self._environment):
            if name.startswith(PREFIX) and name not in known:
                near = get_close_matches(name.removeprefix(PREFIX), endings, n=1)
                hint = f"is {endings[near[0]]} meant? " if near else ""
                raise SettingsError(
                    f"{name}: there is no such setting; {hint}`run.py serve --help` and docs/limits.md name them all"
                )

    def _variable(self, name: str) -> str:
        variable = PREFIX + name.removeprefix("--").replace("-", "_").upper()
        self._variables.add(variable)
        return variable


def parser(settings: Settings, environment: Mapping[str, str], *, version: str) -> argparse.ArgumentParser:
    """Build the commands; defaults are the settings and the environment. Raises ``SettingsError``."""
    options = Options(environment)
    top = _commands(settings, options, version)
    options.check()
    return top


def known_variables() -> set[str]:
    """Every environment variable that is read."""
    options = Options({})
    _commands(Settings(), options, version="")
    return options.known()


def _commands(settings: Settings, options: Options, version: str) -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="run.py",
        description="平安守望: live trucks over JT/T 808, for the families at home.",
        epilog="Every option of serve, sim and demo can be an environment variable, which its help names in brackets. "
        "Secrets only come that way: FEED_KEY (the telemetry feed), OPS_KEY (/health, /metrics, the control room).",
    )
    top.add_argument("--version", action="version", version=f"shouwang {version}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _serve(commands.add_parser("serve", help="the service", **_listing(settings)), settings, options)
    _import(
        commands.add_parser("import", help="load registry lines; a running service sees them at once"),
        settings,
        options,
    )
    for name, what in (
        ("export", "everything a store holds, into a file to move it elsewhere"),
        ("backup", "a copy of an embedded store, while its service runs"),
        ("restore", "an embedded store out of its backup"),
    ):
        _file(commands.add_parser(name, help=what), settings, options)
    _sessions(
        commands.add_parser("sessions", help="end a business's sessions, beside the running service"), settings, options
    )
    _sim(
        commands.add_parser("sim", help="a fleet of terminals against a running service, with a verdict"),
        settings,
        options,
    )
    _torture(commands.add_parser("torture", help="the whole service under every disaster a seed can think of"))
    _demo(
        commands.add_parser("demo", help="all of it at once: registry, service, fleet, addresses to open"),
        settings,
        options,
    )
    return top


def _listing(settings: Settings) -> dict[str, Any]:
    """The settings that are no options, for the end of ``serve --help``; secrets without their values."""
    options = {PREFIX + name for name in ("HTTP", "JT808", "STORE")}
    lines = [
        f"  {knob.variable}{'' if knob.is_secret else f'={knob.value}'}".replace("%", "%%")
        for knob in knobs(settings)
        if knob.variable not in options
    ]
    text = "Settings that only the environment gives, with their values now (docs/limits.md explains each):\n"
    return {"epilog": text + "\n".join(lines), "formatter_class": argparse.RawDescriptionHelpFormatter}


def _serve(command: argparse.ArgumentParser, settings: Settings, options: Options) -> None:
    _listening(command, settings, options)
    _store(command, settings, options)
    _new(command, options)
    options.add(
        command,
        "--virtual-clock",
        type=instant,
        metavar="T",
        help="a clock that stands still at T until POST /dev/clock moves it; for tests",
    )
    options.add(
        command,
        "--clock-speed",
        type=positive,
        default=1.0,
        metavar="X",
        help="the clock runs X times as fast as real time; default %(default)s",
    )
    options.switch(
        command,
        "--sandbox",
        help="serve without WeChat although other machines can reach --http: anybody there may sign in as anybody",
    )
    options.switch(
        command,
        "--stop-with-stdin",
        help="end as by SIGTERM when standard input ends, so that the service never outlives the program that started it",
    )


def _import(command: argparse.ArgumentParser, settings: Settings, options: Options) -> None:
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "file", nargs="?", metavar="FILE", help="registry lines, one JSON object each; - reads standard input"
    )
    what.add_argument(
        "--facts", type=Path, metavar="FILE", help="instead: all that `export` wrote, into a store that is empty"
    )
    _store(command, settings, options)
    _new(command, options)


def _file(command: argparse.ArgumentParser, settings: Settings, options: Options) -> None:
    command.add_argument("file", type=Path, metavar="FILE")
    _store(command, settings, options)


def _sessions(command: argparse.ArgumentParser, settings: Settings, options: Options) -> None:
    end = command.add_subparsers(dest="what", required=True, metavar="WHAT").add_parser(
        "end", help="whoever is signed in by this user name must sign in again; live streams end at once"
    )
    end.add_argument("--username", required=True, metavar="NAME", help="the business's user name, as registered")
    _store(end, settings, options)


def _sim(command: argparse.ArgumentParser, settings: Settings, options: Options) -> None:
    options.add(
        command,
        "--api",
        default=f"http://{settings.http}",
        metavar="URL",
        help="the service's HTTP address; default %(default)s",
    )
    options.add(
        command,
        "--jt808",
        type=host_port,
        default=settings.jt808,
        metavar="HOST:PORT",
        help="its port for terminals; default %(default)s",
    )
    _fleet(command, options, vehicles=1000)
    options.add(
        command, "--registry", metavar="FILE", help="only write the fleet's registry lines for import, and exit"
    )


def _demo(command: argparse.ArgumentParser, settings: Settings, options: Options) -> None:
    _listening(command, settings, options)
    # SHOUWANG_STORE is not taken: nobody's demo shall end up in a store that is served.
    command.add_argument("--store", metavar="STORE", help="as of serve; default: one in data/ for each speed")
    _fleet(command, options, vehicles=2000)


def _torture(command: argparse.ArgumentParser) -> None:
    command.add_argument("--seed", type=natural, default=0, metavar="N", help="the first one; default %(default)s")
    command.add_argument(
        "--runs", type=count, metavar="K", help="how many seeds; default 100, or as many as --minutes allow"
    )
    command.add_argument("--minutes", type=positive, metavar="M", help="stop after this many minutes")
    command.add_argument("--jobs", type=count, metavar="J", help="how many side by side; default: one a core")
    command.add_argument(
        "--steps", metavar="STEPS", default="", help="only these steps of the seed, as a failure prints them"
    )
    command.add_argument(
        "--mutants", action="store_true", help="break one rule at a time, and tell which seed finds it"
    )


def _listening(command: argparse.ArgumentParser, settings: Settings, options: Options) -> None:
    for option, default, what in (
        ("--http", settings.http, "where people and programs reach the service"),
        ("--jt808", settings.jt808, "where terminals reach it"),
    ):
        options.add(
            command,
            option,
            type=host_port,
            default=default,
            metavar="HOST:PORT",
            help=f"{what}; default %(default)s; port 0: any",
        )


def _store(command: argparse.ArgumentParser, settings: Settings, options: Options) -> None:
    default = without_password(settings.store).replace("%", "%%")
    options.add(
        command,
        "--store",
        default=settings.store,
        metavar="STORE",
        help=f"sqlite:PATH or redis://HOST:PORT/DB?prefix=NAME, default {default}; "
        "a URL with a password stands in the variable better than here, where other users of this machine may see it",
    )


def _new(command: argparse.ArgumentParser, options: Options) -> None:
    options.switch(
        command,
        "--new",
        help="make an empty store where one was served before and is missing now; without this, a store that is lost or "
        "moved is refused with a sentence. Nothing that is there is removed",
    )


def _fleet(command: argparse.ArgumentParser, options: Options, *, vehicles: int) -> None:
    for option, form, what in (
        ("--vehicles", {"type": count, "default": vehicles, "metavar": "N"}, "trucks; default %(default)s"),
        ("--seed", {"type": int, "default": 1, "metavar": "S"}, "the same seed, the same fleet; default %(default)s"),
        ("--duration", {"type": positive, "metavar": "S"}, "real seconds; without it until Ctrl-C"),
        ("--speedup", {"type": positive, "default": 1.0, "metavar": "X"}, "the service's clock speed; default 1"),
        ("--interval", {"type": count, "metavar": "S"}, "seconds between two reports; default: the scenario's own"),
        ("--scenario", {"default": "everyday", "metavar": "NAME"}, "default %(default)s; an unknown one lists all"),
    ):
        options.add(command, option, help=what, **form)


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
