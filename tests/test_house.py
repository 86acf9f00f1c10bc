"""Holds the house to its plan (DESIGN, section 3): layers, cycles, docstrings, front door, clock, words.

The idea: each rule is a function of a folder that returns what breaks it, one sentence a fault, so the same
function judges the real house and a copy with a fault planted in it. The constraint: the tables below are the
plan, and a room that is in no table is a fault itself, so the house cannot grow past its plan unseen. A
linter's configuration was refused: it can say which import is forbidden, but nobody can plant a fault in it
and see it found.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

import simkit

ROOT: Final = Path(__file__).parents[1]

# -- the plan --
# From the roof to the ground. A room imports from the tiers below its own, and from itself; rooms of one tier
# do not know each other. The front door (``simkit`` itself) stands outside: it names what it lets in, and
# loads it lazily.
TIERS: Final[tuple[tuple[str, ...], ...]] = (
    ("__main__",),
    ("cli", "pytest_plugin"),
    ("commands",),
    ("linting",),
    ("options", "explain", "authoring", "testing"),
    ("explore",),
    ("conformance",),
    ("run", "verify"),
    ("provider", "subjects"),
    ("kernel",),
    ("checks", "strategies", "reporters", "dialects", "language"),
    ("extensions",),
    ("contracts",),
    ("model",),
    ("errors",),
)
# The agent is production code that happens to live here: it stands on nothing, and only subjects stand on it.
AGENT: Final = "agent"
STANDS_ON_AGENT: Final = "subjects"
# The machine knows no LLM and no YAML, though these rooms lie below it.
KERNEL_NEVER: Final = ("checks", "reporters", "dialects", "language")
# Pure rooms know nothing of time, tasks, threads and sockets.
PURE: Final = (
    "checks",
    "strategies",
    "reporters",
    "dialects",
    "language",
    "extensions",
    "contracts",
    "model",
    "errors",
)
IMPURE: Final = ("asyncio", "threading", "time", "socket", "select", "selectors", "signal", "subprocess")

# Where the real clock and real chance may be asked: the machine that replaces them, and the timing of a whole
# run.
KNOWS_THE_CLOCK: Final = ("kernel", "run", "commands")
CLOCK: Final[Mapping[str, tuple[str, ...]]] = {
    "time": ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"),
    "datetime": ("now", "utcnow", "today"),
    # ``random.Random(seed)`` is no chance; everything else of the module is.
    "random": ("random", "randint", "randrange", "choice", "choices", "shuffle", "sample", "uniform", "seed"),
}

NAMES_MAX: Final = 25
DOCSTRING_LINES_MIN: Final = 3

TOP: Final = frozenset(
    {".ci", ".git", ".gitignore", "CHANGELOG.md", "LICENSE", "README.md", "fixtures", "pyproject.toml"}
    | {"scenarios", "simkit", "tests"}
)


def whole(*halves: str) -> str:
    """Put a word together that must not stand in any file, this one included."""
    return "".join(halves)


_FOLDERS: Final = "|".join((whole("wo", "rk"), whole("fa", "rm"), whole("ro", "ot"), "tmp"))
_MARKS: Final = "|".join((whole("FIX", "ME"), whole("X", "XX"), whole("HA", "CK")))
_SKIP: Final = whole("sk", "ip")
WORDS: Final[Mapping[str, re.Pattern[str]]] = {
    "a path of one machine": re.compile(rf"(?:^|[^A-Za-z0-9_.])/(?:{_FOLDERS})/\w"),
    "a left-over": re.compile(rf"\b(?:{_MARKS})\b|{whole('NotImplemented', 'Error')}\(\)"),
    "a test switched off": re.compile(rf"pytest\.(?:mark\.)?{_SKIP}\(|@unittest\.{_SKIP}\b"),
    "a secret-looking key": re.compile(r"sk-(?:proj|ant)-[A-Za-z0-9]{12,}"),
}


# -- reading the house --
@dataclass(frozen=True, slots=True)
class Import:
    """One import of a module: who, at which line, what, and the function around it, if any."""

    by: str
    line: int
    target: str
    front_door: bool
    inside: bool
    typing: bool
    reason: bool


@dataclass(frozen=True, slots=True)
class Module:
    """One file: its dotted name, its text and its tree."""

    name: str
    is_package: bool
    source: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The room it belongs to, which is empty for the front door."""
        return room_of(self.name)


def room_of(name: str) -> str:
    return [*name.split("."), ""][1]


def read_house(root: Path) -> dict[str, Module]:
    house = {}
    for file in sorted((root / "simkit").rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        house[name] = _module(name, is_package, file.read_text("utf-8"))
    return house


# Cached, since a copy with a planted fault differs from the house in one file.
@cache
def _module(name: str, is_package: bool, source: str) -> Module:
    return Module(name, is_package, source, _tree(source))


@cache
def _tree(source: str) -> ast.Module:
    return ast.parse(source)


def imports_of(module: Module, house: Mapping[str, Module]) -> Iterator[Import]:
    """Yield every import of the module, also those inside functions and for type checkers."""
    for node, inside, typing, reason in _import_nodes(module):
        for target, front_door in _targets(node, module, house):
            yield Import(module.name, node.lineno, target, front_door, inside, typing, reason)


@cache
def _import_nodes(module: Module) -> list[tuple[ast.Import | ast.ImportFrom, bool, bool, bool]]:
    lines = module.source.splitlines()
    inside, typing = _below(module.tree, _is_function), _below(module.tree, _is_for_type_checkers)
    return [
        (node, node in inside, node in typing, _has_reason(node, lines))
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]


def _below(tree: ast.Module, wanted: Callable[[ast.AST], bool]) -> set[ast.AST]:
    return {node for top in ast.walk(tree) if wanted(top) for node in ast.walk(top)}


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _targets(
    node: ast.Import | ast.ImportFrom, module: Module, house: Mapping[str, Module]
) -> Iterator[tuple[str, bool]]:
    if isinstance(node, ast.Import):
        yield from ((alias.name, alias.name == "simkit") for alias in node.names)
        return
    base = node.module or ""
    if node.level:  # relative to the package of this module
        package = module.name.split(".") if module.is_package else module.name.split(".")[:-1]
        base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
    for alias in node.names:
        inner = f"{base}.{alias.name}"
        yield (inner if inner in house else base), base == "simkit"


def _has_reason(node: ast.stmt, lines: list[str]) -> bool:
    here = lines[node.lineno - 1 : node.end_lineno]
    return any("#" in line for line in here) or lines[node.lineno - 2].lstrip().startswith("#")


def inner_imports(root: Path) -> Iterator[Import]:
    """Yield the imports of the package's own modules, by the package's own modules."""
    house = read_house(root)
    for module in house.values():
        yield from (i for i in imports_of(module, house) if i.target.split(".")[0] == "simkit")


# -- the rules --
def imports_go_down(root: Path) -> list[str]:
    rank = {room: n for n, tier in enumerate(TIERS) for room in tier} | {AGENT: len(TIERS)}
    faults = [
        f"{name}: room {m.room!r} has no place in the table of tiers"
        for name, m in read_house(root).items()
        if m.room and m.room not in rank
    ]
    for i in inner_imports(root):
        by, target = room_of(i.by), room_of(i.target)
        # Through the front door is a rule of its own, and what has no place was told above.
        if by in rank and target in rank and not _may_import(by, target, rank):
            faults.append(f"{i.by}:{i.line} imports {i.target}: {by} may not import {target}")
    return faults


def _may_import(by: str, target: str, rank: Mapping[str, int]) -> bool:
    if by == target:
        return True
    if AGENT in (by, target):
        return (by, target) == (STANDS_ON_AGENT, AGENT)
    if by == "kernel" and target in KERNEL_NEVER:
        return False
    return rank[by] < rank[target]


def no_cycles(root: Path) -> list[str]:
    graph: dict[str, set[str]] = {}
    for i in inner_imports(root):
        # What only a type checker reads is never imported; the tiers hold it all the same.
        if i.target != i.by and not i.typing:
            graph.setdefault(i.by, set()).add(i.target)
    try:
        TopologicalSorter({name: sorted(targets) for name, targets in sorted(graph.items())}).prepare()
    except CycleError as error:
        # graphlib names each module before the one that imports it.
        return ["cycle: " + " -> ".join(reversed(error.args[1]))]
    return []


def nothing_comes_through_the_front_door(root: Path) -> list[str]:
    return [
        f"{i.by}:{i.line} imports through the front door: import the room itself"
        for i in inner_imports(root)
        if i.front_door
    ]


def pure_rooms_are_pure(root: Path) -> list[str]:
    house = read_house(root)
    return [
        f"{i.by}:{i.line} imports {i.target}: {m.room} is pure"
        for m in house.values()
        for i in imports_of(m, house)
        if m.room in PURE and i.target.split(".")[0] in IMPURE
    ]


def every_module_says_its_idea(root: Path) -> list[str]:
    faults = []
    for name, module in read_house(root).items():
        said = [line for line in (ast.get_docstring(module.tree) or "").splitlines() if line.strip()]
        needed = 1 if module.is_package and module.room else DOCSTRING_LINES_MIN
        if len(said) < needed:
            faults.append(f"{name}: docstring of {len(said)} lines, expected {needed} at least")
    return faults


def every_lazy_import_has_its_reason(root: Path) -> list[str]:
    house = read_house(root)
    return [
        f"{i.by}:{i.line} imports {i.target} inside a function without a comment that says why"
        for m in house.values()
        for i in imports_of(m, house)
        if i.inside and not i.reason
    ]


def the_front_door_is_narrow(root: Path) -> list[str]:
    names = _exports(read_house(root)["simkit"])
    faults = [] if 0 < len(names) < NAMES_MAX else [f"simkit exports {len(names)} names, expected 1 to {NAMES_MAX - 1}"]
    return faults + [f"simkit exports {n!r} twice" for n in sorted(set(names)) if names.count(n) > 1]


def _exports(front_door: Module) -> list[str]:
    for node in front_door.tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
            return [str(name) for name in ast.literal_eval(getattr(node, "value"))]  # noqa: B009  # of either kind of node
    return []


def nobody_uses_private_pytest(root: Path) -> list[str]:
    name = "_pytest"
    trees = [(f, _tree(f.read_text("utf-8"))) for d in ("simkit", "tests") for f in sorted((root / d).rglob("*.py"))]
    return [
        f"{file.relative_to(root)}:{node.lineno} imports {name}"
        for file, tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and name in _roots(node)
    ]


def _roots(node: ast.Import | ast.ImportFrom) -> set[str]:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return {name.split(".")[0] for name in names}


def nobody_asks_the_real_clock(root: Path) -> list[str]:
    return [
        f"{name}:{line} asks {what}: only {', '.join(KNOWS_THE_CLOCK)} may"
        for name, module in read_house(root).items()
        if module.room not in KNOWS_THE_CLOCK
        for line, what in _questions(module.tree)
    ]


def _questions(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=what):
                if what in CLOCK.get(owner, ()):
                    yield node.lineno, f"{owner}.{what}"
            case ast.ImportFrom(module=str(owner), names=aliases):
                yield from ((node.lineno, f"{owner}.{a.name}") for a in aliases if a.name in CLOCK.get(owner, ()))


def the_top_holds_what_is_listed(root: Path) -> list[str]:
    found = sorted(p.name for p in root.iterdir())
    return [f"{name!r} has no place at the top" for name in found if name not in TOP and not _ignored(root, name)]


def no_word_stands_that_must_not(root: Path) -> list[str]:
    return [
        f"{file.relative_to(root)}:{n} holds {why}"
        for file in _texts(root)
        for n, line in enumerate(file.read_text("utf-8", errors="replace").splitlines(), 1)
        for why, word in WORDS.items()
        if word.search(line)
    ]


def _texts(root: Path) -> Iterator[Path]:
    for path in sorted(root.iterdir()):
        if path.name == ".git" or _ignored(ROOT, path.name):
            continue
        if path.is_dir():
            yield from _texts(path)
        elif b"\0" not in path.read_bytes()[:1024]:
            yield path


def _ignored(root: Path, name: str) -> bool:
    patterns = (root / ".gitignore").read_text("utf-8").split()
    return any(fnmatch(name, pattern.strip("/")) for pattern in patterns)


RULES: Final[Mapping[str, Callable[[Path], list[str]]]] = {
    rule.__name__: rule
    for rule in (
        imports_go_down,
        no_cycles,
        nothing_comes_through_the_front_door,
        pure_rooms_are_pure,
        every_module_says_its_idea,
        every_lazy_import_has_its_reason,
        the_front_door_is_narrow,
        nobody_uses_private_pytest,
        nobody_asks_the_real_clock,
        the_top_holds_what_is_listed,
        no_word_stands_that_must_not,
    )
}


# -- the house holds --
@pytest.mark.parametrize("rule", RULES)
def test_the_house_keeps_the_rule(rule: str) -> None:
    assert RULES[rule](ROOT) == []


def test_every_exported_name_resolves_and_is_listed() -> None:
    assert [name for name in simkit.__all__ if getattr(simkit, name, None) is None] == []
    assert set(simkit.__all__) <= set(dir(simkit))


def test_nothing_public_stands_in_the_front_door_but_its_names() -> None:
    # Rooms appear there once something imported them; that is Python's doing.
    rooms = {room for tier in TIERS for room in tier} | {AGENT}
    assert {name for name in dir(simkit) if not name.startswith("_")} - rooms == set(simkit.__all__) - rooms


# -- a planted fault is found: the test of the tests --
# rule -> (file of the package, what is written at its end, what the rule must say)
PLANTED: Final[list[tuple[str, str, str, str]]] = [
    (
        "imports_go_down",
        "model/duration.py",
        "import simkit.kernel.clock",
        "simkit.model.duration:{line} imports simkit.kernel.clock: model may not import kernel",
    ),
    (
        "imports_go_down",
        "dialects/sse.py",
        "def late():\n    # a reason\n    from simkit.language import spec",
        "simkit.dialects.sse:{line} imports simkit.language.spec: dialects may not import language",
    ),
    (
        "imports_go_down",
        "agent/loop.py",
        "from simkit.errors import SimkitError",
        "simkit.agent.loop:{line} imports simkit.errors: agent may not import errors",
    ),
    (
        "imports_go_down",
        "checks/judge.py",
        "from ..agent import loop",
        "simkit.checks.judge:{line} imports simkit.agent.loop: checks may not import agent",
    ),
    (
        "imports_go_down",
        "kernel/clock.py",
        "import simkit.dialects.http",
        "simkit.kernel.clock:{line} imports simkit.dialects.http: kernel may not import dialects",
    ),
    (
        "imports_go_down",
        "attic/__init__.py",
        "",
        "simkit.attic: room 'attic' has no place in the table of tiers",
    ),
    (
        "nothing_comes_through_the_front_door",
        "model/plan.py",
        "from simkit import World",
        "simkit.model.plan:{line} imports through the front door: import the room itself",
    ),
    (
        "nothing_comes_through_the_front_door",
        "run.py",
        "import simkit",
        "simkit.run:{line} imports through the front door: import the room itself",
    ),
    (
        "pure_rooms_are_pure",
        "dialects/sse.py",
        "from asyncio import sleep",
        "simkit.dialects.sse:{line} imports asyncio: dialects is pure",
    ),
    (
        "every_module_says_its_idea",
        "model/empty.py",
        '"""Two lines,\n\nno more."""',
        "simkit.model.empty: docstring of 2 lines, expected 3 at least",
    ),
    (
        "every_module_says_its_idea",
        "model/inner/__init__.py",
        "",
        "simkit.model.inner: docstring of 0 lines, expected 1 at least",
    ),
    (
        "every_lazy_import_has_its_reason",
        "model/plan.py",
        "def late():\n\n    import json",
        "simkit.model.plan:{line} imports json inside a function without a comment that says why",
    ),
    (
        "nobody_uses_private_pytest",
        "model/plan.py",
        "from _pytest.config import Config",
        "simkit/model/plan.py:{line} imports _pytest",
    ),
    (
        "nobody_asks_the_real_clock",
        "model/plan.py",
        "def now():\n    return time.monotonic()",
        "simkit.model.plan:{line} asks time.monotonic: only kernel, run, commands may",
    ),
    (
        "nobody_asks_the_real_clock",
        "checks/judge.py",
        "from random import choice",
        "simkit.checks.judge:{line} asks random.choice: only kernel, run, commands may",
    ),
    (
        "no_word_stands_that_must_not",
        "model/plan.py",
        whole("# see /ro", "ot/notes"),
        "simkit/model/plan.py:{line} holds a path of one machine",
    ),
    (
        "no_word_stands_that_must_not",
        "model/plan.py",
        whole("# FIX", "ME later"),
        "simkit/model/plan.py:{line} holds a left-over",
    ),
    (
        "no_word_stands_that_must_not",
        "model/plan.py",
        whole("@pytest.mark.sk", "ip(reason='')"),
        "simkit/model/plan.py:{line} holds a test switched off",
    ),
    (
        "no_word_stands_that_must_not",
        "model/plan.py",
        whole("key = 'sk-", "proj-abcdefghijkl'"),
        "simkit/model/plan.py:{line} holds a secret-looking key",
    ),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, alone in a folder."""
    shutil.copytree(ROOT / "simkit", tmp_path / "simkit", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".gitignore", tmp_path)
    return tmp_path


@pytest.mark.parametrize(("rule", "file", "text", "fault"), PLANTED, ids=[f"{p[0]}-{p[1]}" for p in PLANTED])
def test_a_planted_fault_is_named(copy: Path, rule: str, file: str, text: str, fault: str) -> None:
    before = RULES[rule](copy)
    line = plant(copy, file, text)
    assert [f for f in RULES[rule](copy) if f not in before] == [fault.format(line=line)]


def plant(root: Path, file: str, text: str) -> int:
    """Write the text at the end of the file, which may be new, and return the number of its last line."""
    path = root / "simkit" / file
    path.parent.mkdir(exist_ok=True)
    standing = path.read_text("utf-8") if path.exists() else ""
    path.write_text(standing + text + "\n", "utf-8")
    return len((standing + text).splitlines())


def test_a_planted_cycle_is_named(copy: Path) -> None:
    plant(copy, "model/egg.py", "from simkit.model.hen import Hen")
    plant(copy, "model/hen.py", "def lay():\n    from simkit.model import egg")
    assert no_cycles(copy) in (
        ["cycle: simkit.model.egg -> simkit.model.hen -> simkit.model.egg"],
        ["cycle: simkit.model.hen -> simkit.model.egg -> simkit.model.hen"],
    )


def test_a_front_door_that_is_too_wide_is_named(copy: Path) -> None:
    (copy / "simkit" / "__init__.py").write_text(f"__all__ = {[f'Name{n}' for n in range(25)] + ['Name1']}\n", "utf-8")
    assert the_front_door_is_narrow(copy) == [
        "simkit exports 26 names, expected 1 to 24",
        "simkit exports 'Name1' twice",
    ]


def test_a_stray_file_at_the_top_is_named_and_an_ignored_one_is_not(copy: Path) -> None:
    for name in ("notes.txt", ".hypothesis", "dist"):
        (copy / name).touch()
    assert the_top_holds_what_is_listed(copy) == ["'notes.txt' has no place at the top"]


def test_seeded_chance_is_no_fault(copy: Path) -> None:
    before = nobody_asks_the_real_clock(copy)
    plant(copy, "strategies/uniform.py", "import random\n\nchance = random.Random(7)")
    assert nobody_asks_the_real_clock(copy) == before
