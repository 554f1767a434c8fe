"""The checks that the house must pass; each takes the root of a source tree and returns its findings, one sentence each."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final

WALLS: Final[Mapping[str, frozenset[str]]] = {
    "domain": frozenset(),
    "geography": frozenset({"domain"}),
    "persistence": frozenset({"domain"}),
    "gateway": frozenset({"domain", "persistence.store"}),  # the protocol only: which store it is, run.py says
    "actors": frozenset({"domain", "persistence.store", "persistence.records"}),
    "api": frozenset({"actors", "domain", "geography", "gateway.feed", "persistence.store", "persistence.records"}),
    "sim": frozenset({"gateway.jt808.codec"}),  # a client: it knows the codec, nothing else of us
    "settings": frozenset(  # the limits of the parts, nested; and what says whether a text makes sense
        {
            "api.http.connections",
            "api.http.gates",
            "api.http.proxies",
            "api.live.event_stream",
            "api.pages",
            "gateway.ingest",
            "gateway.jt808.limits",
        }
    ),
    "commands": frozenset(
        {"settings", "domain", "persistence", "sim", "api.accounts.session_records", "api.accounts.terms"}
    ),
}
"""Room → what of ours it may import besides itself. ``run``, ``bench``, ``fuzz``, ``torture`` and ``tests`` may import any room; none, ``run``."""

WINGS: Final[Mapping[str, frozenset[str]]] = {
    "domain.vehicle": frozenset(),
    "domain.people": frozenset(),
    "actors.system": frozenset(),
    "actors.vehicles": frozenset({"actors.system"}),
    "actors.people": frozenset({"actors.system", "actors.vehicles"}),
    "gateway.jt808.codec": frozenset(),
    "persistence.moving": frozenset(),
    "persistence.registry": frozenset(),
    "persistence.sqlite": frozenset({"persistence.moving"}),
    "persistence.redis": frozenset({"persistence.moving", "persistence.registry"}),
    "api.http": frozenset({"api.accounts"}),
    "api.accounts": frozenset({"api.http", "api.shown"}),
    "api.shown": frozenset({"api.http", "api.accounts"}),
    "api.live": frozenset({"api.http", "api.accounts", "api.shown"}),
    "api.sides": frozenset({"api.http", "api.accounts", "api.shown"}),
    "api.operations": frozenset({"api.http", "api.shown", "api.live"}),
    "api.document": frozenset({"api.http"}),
}
"""Wing of a room → which other wings of it it may import, besides the room's own files."""

SEALED: Final = frozenset({"gateway.jt808.codec"})
"""Wings that may not even import their room's own files: pure bytes."""

OUTER: Final = frozenset({"run", "bench", "fuzz", "tests", "torture"})

ALLOWED_BLANKET_HANDLERS: Final[Mapping[str, tuple[int, str]]] = {
    "actors/system/runtime.py": (
        3,
        "the mailbox loop, and a quiet actor's way around it: whatever a message throws stops at its actor",
    ),
    "actors/vehicles/telemetry.py": (1, "the short cut past that loop: what a fix throws stops at its vehicle"),
    "actors/vehicles/state.py": (
        1,
        "the same, when the log is read again: one bad fix must not keep the service from starting",
    ),
    "actors/system/clock.py": (1, "the timers' loop: one target that throws must not silence all others"),
    "actors/vehicles/checkpoints.py": (1, "the checkpoints' loop: it must go on, or the log grows for ever"),
    "actors/system/supervisor.py": (1, "a restart is tried until it succeeds, whatever error stands in its way"),
    "gateway/ingest.py": (2, "the one way in for telemetry: whatever a callback or a router throws, it stays open"),
    "gateway/jt808/poller.py": (
        1,
        "the terminals' reading loop: one connection that throws must not silence all others",
    ),
    "api/http/edge.py": (2, "the HTTP loop: a bug becomes a 500 without details, and the log has the rest"),
    "torture/loop.py": (1, "what stands for a thread: an error there goes to the awaiting caller"),
    "persistence/redis/writer.py": (
        1,
        "the writer's loop: every caller that waits for a commit must hear that it failed",
    ),
    "persistence/sqlite/writer.py": (
        1,
        "the writer thread's loop: every caller that waits for a commit must hear that it failed",
    ),
}
"""Path → how many ``except Exception`` it may hold, and why there."""

ALLOWED_LONG_FUNCTIONS: Final[Mapping[tuple[str, str], tuple[int, str]]] = {
    ("domain/vehicle/vehicle.py", "accept"): (
        70,
        "every fix of every truck goes through it, and each call within would cost them all",
    ),
}
"""Path and name → how many lines it may have, and why."""

IO_MODULES: Final = frozenset(
    [
        "asyncio",
        "io",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "random",
        "secrets",
        "select",
        "selectors",
        "shutil",
        "signal",
        "socket",
        "sqlite3",
        "ssl",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "urllib",
        "uuid",
    ]
)
"""Modules that a pure rule has no use for."""

CLOCK_OR_CHANCE: Final = re.compile(
    r"(time\.(time|time_ns|monotonic|monotonic_ns|localtime|gmtime|sleep)"
    r"|(datetime\.)?(datetime|date)\.(now|utcnow|today)"
    r"|random\.(?!Random$)\w+"
    r"|uuid\.uuid[14]|os\.urandom|secrets\.\w+)"
)
"""Calls whose answer depends on the machine's time or on chance that no seed repeats."""

VAGUE_NAMES: Final = frozenset(
    f"{word}{ending}.py"
    for word in ("util", "helper", "common", "manager", "service", "data", "info", "misc", "base", "core", "stuff")
    for ending in ("", "s")
)

UNFINISHED: Final = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK")) + r")\b")
MACHINE_PATH: Final = re.compile(r"(?<![\w./-])/(work|root|tmp|home|Users)(/|\b)")
ADDRESS: Final = re.compile(r"https?://|--(extra-)?index-url|--find-links|--trusted-host")

NAMED_PATH: Final = re.compile(r"`([\w./-]+)(?::[\w.]+)?`")
LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
HEADING: Final = re.compile(r"^#+ (.+?)\s*$", re.MULTILINE)

REGISTRY: Final = re.compile(r'"resolved":|^\s*(\S+:)?registry\s*=')
"""Matches registries in npm's files. Home pages and funding addresses may stand: nothing is fetched from them."""

STUMBLING: Final = re.compile(
    r"(Of|What|Who|Whoever|Whom|Whose|As|By|For|From|In|On|With|Those|That|It|They|One|Nobody|Somebody|Where|When|Which|How"
    r"|Why|Whether|So|Than|Until|To|At|Under|After|Before|Within|Without|All|Nothing|None)\b"
)
"""First words of a docstring that leave its reader without a subject: prepositions, pronouns and relatives."""

ENGLISH_NOT_YET: Final[tuple[str, ...]] = (
    "commands/",
    "run.py",
    "settings.py",
)
"""Paths whose docstrings are not yet written as the house wants them. This list only shrinks."""

LONGEST_FILE: Final = 500
LONGEST_FUNCTION: Final = 60
SKIPPED_DIRECTORIES: Final = frozenset({"node_modules", "dist", "data", "__pycache__"})
TEXT_SUFFIXES: Final = frozenset(
    {".py", ".md", ".toml", ".in", ".sh", ".yml", ".yaml", ".js", ".ts", ".vue", ".html", ".css", ""}
)


@dataclass(frozen=True)
class Source:
    """A Python file: its path below the root, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @property
    def room(self) -> str:
        return self.path.split("/")[0].removesuffix(".py")

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@dataclass(frozen=True)
class Import:
    """A name that a file imports, dotted and absolute."""

    name: str
    line: int


def files(root: Path) -> Iterator[Path]:
    """Every file that we wrote; what tools and builds leave behind is skipped."""
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(
            name for name in subfolders if name not in SKIPPED_DIRECTORIES and (name == ".ci" or name[0] != ".")
        )
        yield from (Path(folder, name) for name in sorted(names) if name != ".git")  # A worktree's is a file.


parsed: Final = lru_cache(maxsize=1_000)(Source)
"""Parses a file once for all checks. A caller that has made them all calls ``cache_clear``: these are millions of objects."""


def sources(root: Path) -> list[Source]:
    return [
        parsed(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
        for path in files(root)
        if path.suffix == ".py"
    ]


def imports(source: Source) -> Iterator[Import]:
    """Everything the file imports, at its top, within functions and for typing alike."""
    package = source.module.split(".") if source.path.endswith("__init__.py") else source.module.split(".")[:-1]
    for node in source.nodes:
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            yield from (Import(f"{base}.{alias.name}".lstrip("."), node.lineno) for alias in node.names)


def rooms(root: Path) -> frozenset[str]:
    """The names that mean a room, or a file at the root, of ours."""
    return frozenset(source.room for source in sources(root))


def _within(name: str, allowed: str) -> bool:
    return name == allowed or name.startswith(f"{allowed}.")


def uphill_imports(root: Path) -> list[str]:
    """A room imports what its wall keeps out."""
    ours = rooms(root)
    found = []
    for source in sources(root):
        if source.room in OUTER:
            allowed = ours - {"run"} if source.room in ("bench", "fuzz", "torture") else ours
        elif source.room in WALLS:
            allowed = WALLS[source.room] | {source.room}
        else:
            found.append(f"{source.path}: no wall says what the room {source.room!r} may import")
            continue
        found += [
            f"{source.path}:{item.line} {source.room} must not import {item.name}"
            for item in imports(source)
            if item.name.split(".")[0] in ours and not any(_within(item.name, name) for name in allowed)
        ]
    return found


def wing_imports(root: Path) -> list[str]:
    """A wing imports what its own wall keeps out; a folder with modules is a wing with a wall."""
    found = []
    for source in sources(root):
        if source.room in OUTER or source.room not in WALLS:
            continue
        wing = _wing(source.module)
        if wing is None and source.path.count("/") > 1 and not source.path.startswith("gateway/jt808/"):
            found.append(f"{source.path}: no wall says what the wing {source.module.rpartition('.')[0]} may import")
        found += [
            f"{source.path}:{item.line} {wing} must not import {item.name}"
            for item in imports(source)
            if wing is not None and item.name.split(".")[0] == source.room and not _may(wing, item.name)
        ]
    return found


def _wing(module: str) -> str | None:
    return next((wing for wing in WINGS if _within(module, wing)), None)


def _may(wing: str, name: str) -> bool:
    other = _wing(name)
    return other in WINGS[wing] or other == wing or (other is None and wing not in SEALED)


def impure_domain(root: Path) -> list[str]:
    """The domain imports a package, or a module that reads, writes, waits or guesses."""
    ours = rooms(root)
    return [
        f"{source.path}:{item.line} domain must not import {item.name}"
        for source in sources(root)
        if source.room == "domain"
        for item in imports(source)
        if (top := item.name.split(".")[0]) not in ours and (top not in sys.stdlib_module_names or top in IO_MODULES)
    ]


def undeclared_packages(root: Path) -> list[str]:
    """A room imports a package that requirements.in does not name: it would vanish with the package that brought it along."""
    declared = set(re.findall(r"^([a-z0-9-]+)", (root / "requirements.in").read_text(encoding="utf-8"), re.MULTILINE))
    known = rooms(root) | sys.stdlib_module_names | {name.replace("-", "_") for name in declared}
    known |= {"argon2"} if "argon2-cffi" in declared else set()
    return [
        f"{source.path}:{item.line} imports {item.name}, which requirements.in does not name"
        for source in sources(root)
        if source.room not in ("tests", "fuzz")
        for item in imports(source)
        if item.name.split(".")[0] not in known
    ]


def dynamic_imports(root: Path) -> list[str]:
    """A room imports by a computed name, past every wall."""
    return [
        f"{source.path}:{node.lineno} imports by name"
        for source in sources(root)
        if source.room != "tests"
        for node in source.nodes
        if isinstance(node, ast.Call)
        and _dotted(node.func, {}) in ("__import__", "importlib.import_module", "import_module")
    ]


def missing_docstrings(root: Path) -> list[str]:
    """A module does not say what it holds."""
    return [
        f"{source.path}: no docstring" for source in sources(root) if source.text and not ast.get_docstring(source.tree)
    ]


def _docstrings(source: Source) -> Iterator[tuple[int, str]]:
    """Yield line and first paragraph of each docstring, those of attributes included."""
    for node in source.nodes:
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for before, statement in pairwise([None, *node.body]):
            if not (before is None or isinstance(before, ast.Assign | ast.AnnAssign)):
                continue
            if isinstance(statement, ast.Expr) and isinstance(text := getattr(statement.value, "value", None), str):
                yield statement.lineno, text.strip().split("\n\n")[0]


def stumbling_docstrings(root: Path) -> list[str]:
    """A module's docstring is a question, or a docstring begins with a preposition, a pronoun or a relative."""
    found = []
    for source in sources(root):
        if source.path.startswith(ENGLISH_NOT_YET):
            continue
        if "?" in re.sub(r"``.*?``", "", (ast.get_docstring(source.tree) or "").split("\n\n")[0], flags=re.DOTALL):
            found.append(f"{source.path}: asks, where it should say")
        found += [
            f"{source.path}:{line} begins with {match[0]!r}: give it a subject or a verb"
            for line, text in _docstrings(source)
            if (match := STUMBLING.match(text))
        ]
    return found


def vague_names(root: Path) -> list[str]:
    """A file's or a room's name says nothing."""
    return [
        f"{source.path}: says nothing of what is in it"
        for source in sources(root)
        if any(part in VAGUE_NAMES or f"{part}.py" in VAGUE_NAMES for part in source.path.split("/"))
    ]


def _aliases(source: Source) -> dict[str, str]:
    """Local name → dotted origin, for every import of the file."""
    names = {}
    for node in source.nodes:
        if isinstance(node, ast.Import):
            names.update({alias.asname: alias.name for alias in node.names if alias.asname})
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return names


def _dotted(node: ast.expr, aliases: Mapping[str, str]) -> str:
    """``a.b.c`` for such an expression with its imports resolved, else nothing."""
    if isinstance(node, ast.Name):
        return aliases.get(node.id, node.id)
    if isinstance(node, ast.Attribute) and (base := _dotted(node.value, aliases)):
        return f"{base}.{node.attr}"
    return ""


def _uses(source: Source) -> Iterator[tuple[str, int, ast.expr]]:
    """Every name and attribute that the file reads, by its dotted origin."""
    aliases = _aliases(source)
    for node in source.nodes:
        if isinstance(node, ast.Name | ast.Attribute) and (name := _dotted(node, aliases)):
            yield name, node.lineno, node


def clocks_and_chance(root: Path) -> list[str]:
    """Domain or actors read the machine's clock, or roll dice that no seed repeats."""
    inner = [source for source in sources(root) if source.room in ("domain", "actors")]
    found = [
        f"{source.path}:{line} uses {name}: pass the clock or a seeded source in"
        for source in inner
        for name, line, _ in _uses(source)
        if CLOCK_OR_CHANCE.fullmatch(name)
    ]
    return found + [
        f"{source.path}:{node.lineno} {name}() without a seed"
        for source in inner
        for node in source.nodes
        if isinstance(node, ast.Call)
        and not node.args
        and (name := _dotted(node.func, _aliases(source))) == "random.Random"
    ]


def environment_readers(root: Path) -> list[str]:
    """A module other than settings.py reads the environment."""
    return [
        f"{source.path}:{line} reads the environment: settings.py does that"
        for source in sources(root)
        if source.path != "settings.py" and source.room != "tests"
        for name, line, _ in _uses(source)
        if name in ("os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv")
    ]


def _is_blanket(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        caught = ["BaseException"]
    else:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        caught = [_dotted(kind, {}) for kind in kinds]
    passes_on = isinstance(last := handler.body[-1], ast.Raise) and last.exc is None
    return not passes_on and not {"Exception", "BaseException"}.isdisjoint(caught)


def blanket_handlers(root: Path) -> list[str]:
    """A handler catches everything and goes on where the list does not allow it, or the list allows more than there are."""
    found = []
    for source in sources(root):
        count = sum(isinstance(node, ast.ExceptHandler) and _is_blanket(node) for node in source.nodes)
        allowed, _ = ALLOWED_BLANKET_HANDLERS.get(source.path, (0, ""))
        if count != allowed and source.room != "tests":
            found.append(f"{source.path}: {count} handlers catch everything, {allowed} are allowed")
    return found


def long_files(root: Path) -> list[str]:
    """A file holds more than one thing."""
    return [
        f"{source.path}: {lines} lines"
        for source in sources(root)
        if source.room != "tests" and (lines := source.text.count("\n")) > LONGEST_FILE
    ]


def long_functions(root: Path) -> list[str]:
    """A function does more than one thing."""
    return [
        f"{source.path}:{node.lineno} {node.name}: {lines} lines"
        for source in sources(root)
        for node in source.nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1)
        > ALLOWED_LONG_FUNCTIONS.get((source.path, node.name), (LONGEST_FUNCTION, ""))[0]
    ]


def unfinished_work(root: Path) -> list[str]:
    """A note says that something is left to do: that belongs into an issue."""
    return list(_lines_with(root, UNFINISHED, but=()))


def machine_paths(root: Path) -> list[str]:
    """A path holds on one machine only."""
    return list(_lines_with(root, MACHINE_PATH, but=("tests/",)))


def missing_paths(root: Path) -> list[str]:
    """A page names a file, a folder or a module that is not there."""
    known = {path.relative_to(root) for path in files(root)}
    known |= {folder for path in known for folder in path.parents}
    names = {path.name for path in known}
    rooms_of_all = {path.parts[0] for path in known if len(path.parts) > 1}
    return [
        f"{page.relative_to(root).as_posix()}: there is no {name}"
        for page in files(root)
        if page.suffix == ".md"
        for name in NAMED_PATH.findall(page.read_text(encoding="utf-8"))
        if SKIPPED_DIRECTORIES.isdisjoint(name.split("/"))
        and (
            ("/" in name and name.split("/")[0] in rooms_of_all and not any(form in known for form in _forms(name)))
            or ("/" not in name and name.endswith(".py") and name not in names)
        )
    ]


def _forms(name: str) -> Iterator[Path]:
    """``actors/system/runtime.Actor`` names a file with a class in it; ``domain/vehicle`` a folder; ``tests/test_*.py`` is none of these."""
    yield from (Path(name), Path(f"{name}.py"), Path(f"{name.rpartition('.')[0]}.py"))


def dead_links(root: Path) -> list[str]:
    """A page links to a file that is not there, or to a heading that its page does not have."""
    return [
        f"{page.relative_to(root).as_posix()}: {target} leads nowhere"
        for page in files(root)
        if page.suffix == ".md"
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if "://" not in target and not _leads_somewhere(page, target)
    ]


def _leads_somewhere(page: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    path = page.parent / name if name else page
    return path.exists() and (not anchor or anchor in map(_anchor, HEADING.findall(path.read_text(encoding="utf-8"))))


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def addresses_in_locks(root: Path) -> list[str]:
    """A lock file names where packages come from: that is each machine's own setting."""
    locks = [path for path in files(root) if path.name in ("package-lock.json", ".npmrc")]
    return [
        f"{path.relative_to(root).as_posix()}:{number} names a registry"
        for path in locks
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if REGISTRY.search(line)
    ] + [
        f"{path.name}:{number} names an address"
        for path in sorted(root.glob("requirements*"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if ADDRESS.search(line)
    ]


def _lines_with(root: Path, pattern: re.Pattern[str], *, but: tuple[str, ...]) -> Iterator[str]:
    for path in files(root):
        name = path.relative_to(root).as_posix()
        if path.suffix not in TEXT_SUFFIXES or name.startswith(but):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if match := pattern.search(line):
                yield f"{name}:{number} {match[0]}"


CHECKS: Final[tuple[Callable[[Path], list[str]], ...]] = (
    uphill_imports,
    wing_imports,
    impure_domain,
    undeclared_packages,
    dynamic_imports,
    missing_docstrings,
    stumbling_docstrings,
    vague_names,
    clocks_and_chance,
    environment_readers,
    blanket_handlers,
    long_files,
    long_functions,
    unfinished_work,
    machine_paths,
    addresses_in_locks,
    missing_paths,
    dead_links,
)
