"""What ``simkit explain NAME`` prints: a law, a key of the language, a flaw, or a page.

The idea: everything that a report, an error or a scenario names can be asked about by that name, and the answer is
drawn from the code that does it or read from the page that ships with it, so it cannot be out of date. The constraint:
a name that means several things is answered with all of them, and a name that nobody has with the nearest one that
somebody has. A manual with a chapter for each law was refused: it would be the first thing to fall behind.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, cast

from simkit.contracts import Flaw, Law, Setting, Subject
from simkit.errors import UsageError
from simkit.extensions import find, names, nearest
from simkit.language.reference import (
    CONCEPTS,
    find_topics,
    law_value,
    mapping_in,
    operator_example,
    setting_sentence,
    takes,
)
from simkit.language.shapes import OPERATORS, Fact, Key, ListOf, Names, Operator
from simkit.language.spec import EXPECT, SCENARIO
from simkit.language.topics import ANY, Topic, placed, topics
from simkit.language.walker import suits
from simkit.model.plan import FAULT_KINDS

PAGES: Final = Path(__file__).parent / "docs"
_WIDTH: Final = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that can be explained: its whole name, its sentence, and the text about it.

    ``also`` are further names of it, and ``short`` what these are without the names of the author's choice. ``rank``
    says what is meant first by the last part of a name: keys before settings, and faults and flaws last.
    """

    name: str
    says: str
    text: Callable[[], str]
    rank: int = 0
    also: tuple[str, ...] = ()
    short: tuple[str, ...] = ()

    def is_called(self, name: str) -> bool:
        """Say whether this is its whole name."""
        return name in (self.name, *self.also, *self.short)


def explained(name: str) -> str:
    """Return the text about what is called so: ``no_orphans``, ``expect.requests``. Raises ``UsageError``."""
    found = sorted(_called(name), key=lambda entry: entry.rank)
    whole = [entry for entry in found if entry.is_called(name)]
    first = whole or [entry for entry in found if entry.rank == min(e.rank for e in found)]
    if not first:
        raise UsageError(f"nothing is called {name!r}{_guess(name)}")
    if len(first) > 1:
        return "\n".join([f"{name!r} is the name of several things:", "", *_lines(found)])
    also = [entry for entry in found if entry is not first[0]]
    return "\n".join([first[0].text(), *(["", "Also called so:", "", *_lines(also)] if also else [])])


def listed() -> str:
    """Return every name that is not found through another one, with its sentence."""
    top = {key.name for key in SCENARIO.keys}
    parts = {
        "Laws": _laws(),
        "Keys at the top of a scenario": _keys([topic for topic in topics() if topic.path in top]),
        "Comparisons": _operators(),
        "What else a scenario is written with": _concepts(),
        "Faults of an exploration": _faults(),
        "Flaws of the built-in agent": _flaws(),
        "Pages": _pages(),
    }
    hint = (
        "Every other key can be asked for too, by its name or its path: stall, expect.requests, settings.stale_after."
    )
    lists = (f"{head}\n" + "\n".join(_lines([*entries])) for head, entries in parts.items())
    return "\n\n".join([*lists, hint])


def _lines(entries: Sequence[Entry]) -> list[str]:
    return [f"  {entry.name}{_also(entry)}\n      {entry.says}" for entry in entries]


def _also(entry: Entry) -> str:
    return f" (also {', '.join(entry.also)})" if entry.also else ""


# -- what there is ---------------------------------------------------------------------------------------------------
def _called(name: str) -> Iterator[Entry]:
    """Yield what has this name, or a longer one that ends with it."""
    if not name or name.endswith((".", ":")):
        return
    for entry in (*_laws(), *_pages(), *_concepts(), *_operators(), *_settings(), *_faults(), *_flaws()):
        if entry.is_called(name) or re.split(r"[.:]", entry.name, maxsplit=1)[-1] == name:
            yield entry
    yield from _keys(find_topics(name))


def _guess(name: str) -> str:
    """Return the nearest name, or the way to the list."""
    whole = [e.name for part in (_laws, _pages, _concepts, _operators, _settings, _faults, _flaws) for e in part()]
    parts = {topic.key.name for topic in topics()} | {topic.path for topic in topics()}
    guess = nearest(name, [*whole, *sorted(parts)]) if re.search(r"\w", name.rpartition(":")[2]) else ""
    return guess if "did you mean" in guess else " - `simkit explain` lists what there is"


def _laws() -> Iterator[Entry]:
    for law in _built_laws():
        yield Entry(law.name, law.says, partial(_law, law))


def _pages() -> Iterator[Entry]:
    for page in sorted(PAGES.glob("*.md")):
        yield Entry(page.stem, _title(page), partial(_page, page))


def _concepts() -> Iterator[Entry]:
    for name, text in CONCEPTS.items():
        first = " ".join(text.split()).partition(". ")[0]
        yield Entry(name, f"{first.rstrip('.')}.", partial(_concept, name, text))


def _operators() -> Iterator[Entry]:
    for operator in OPERATORS:
        yield Entry(operator.name, operator.says, partial(_operator, operator))


def _faults() -> Iterator[Entry]:
    for name, says in FAULT_KINDS.items():
        yield Entry(f"fault:{name}", says, partial(_fault, name, says), rank=2)


def _flaws() -> Iterator[Entry]:
    for name, flaw in _planted().items():
        yield Entry(f"flaw:{name}", flaw.says, partial(_flaw, flaw), rank=2)


def _settings() -> Iterator[Entry]:
    for name, setting in _agent_settings().items():
        yield Entry(f"settings.{name}", f"{setting.says}.", partial(_setting, name, setting), rank=1)


def _keys(found: Sequence[Topic]) -> Iterator[Entry]:
    """Yield an entry for each key; what means the same in several mappings is one."""
    places: dict[tuple[str, str], list[Topic]] = {}
    for topic in found:
        places.setdefault((topic.record.called, topic.key.name), []).append(topic)
    meanings: dict[frozenset[tuple[Key, tuple[str, ...]]], list[Topic]] = {}
    for same in places.values():
        meanings.setdefault(frozenset((topic.key, topic.owners) for topic in same), []).extend(same)
    yield from map(_key_entry, meanings.values())


def _key_entry(same: Sequence[Topic]) -> Entry:
    paths = _paths(same)
    short = tuple(path.replace(f".{ANY}", "") for path in paths)
    says = " Or: ".join(dict.fromkeys(topic.key.says for topic in same))
    return Entry(paths[0], says, partial(_key, same), also=paths[1:], short=short)


def _paths(same: Sequence[Topic]) -> tuple[str, ...]:
    """Return the paths of these topics, and then all others that lead to the same mappings."""
    keys = {(topic.record, topic.key) for topic in same}
    others = (topic.path for topic in topics() if (topic.record, topic.key) in keys)
    return tuple(dict.fromkeys([*(topic.path for topic in same), *others]))


# -- looked up -------------------------------------------------------------------------------------------------------
def _built_laws() -> Iterator[Law]:
    yield from (cast(Law, find("checks", name)) for name in names("checks"))


def _agent_settings() -> Mapping[str, Setting]:
    return cast(Subject, find("subjects", "agent")).settings or {}


def _planted() -> dict[str, Flaw]:
    from simkit.subjects.flawed import FLAWS  # lazy: the agent's loop imports asyncio, which laws do not need

    return {name: plantable.flaw for name, plantable in FLAWS.items()}


def _page(page: Path) -> str:
    return page.read_text(encoding="utf-8").rstrip()


def _title(page: Path) -> str:
    with page.open(encoding="utf-8") as lines:
        return lines.readline().lstrip("# ").strip()


# -- keys ------------------------------------------------------------------------------------------------------------
def _key(same: Sequence[Topic]) -> str:
    """Return the text about a key: a part for each of its meanings, in the place where it first stands."""
    paths = _paths(same)
    also = [f"(also {', '.join(paths[1:])})"] if paths[1:] else []
    meanings: dict[tuple[Key, tuple[str, ...]], Topic] = {}
    for topic in same:
        meanings.setdefault((topic.key, topic.owners), topic)
    parts = map(_meaning, meanings.values())
    return "\n\n".join(["\n".join([paths[0], *_filled(*also)]), *parts])


def _meaning(topic: Topic) -> str:
    key = topic.key
    lines = _filled(f"It takes {takes(key.shape)}.", *_role(topic), *_default(key))
    inside = _inside(key)
    example = ["", "Example:", "", *_indented(topic.example)]
    return "\n".join([*_filled(key.says, indent="  "), "", *lines, *inside, *example])


def _role(topic: Topic) -> list[str]:
    if topic.owners:
        return [f"It stands beside {_and(topic.owners)}."]
    if not topic.is_verb:
        return []
    extras = [key.name for key, owners, _ in placed(topic.record) if topic.key.name in owners]
    beside = f" Beside it may stand: {', '.join(extras)}." if extras else ""
    called = topic.record.called[:1].upper() + topic.record.called[1:]
    return [f"{called} has exactly one of its verbs, and this is one.{beside}"]


def _default(key: Key) -> list[str]:
    if key.required:
        return ["It must be there."]
    return [f"Without it: {key.default.rstrip('.')}."] if key.default else []


def _inside(key: Key) -> list[str]:
    record = mapping_in(key.shape)
    if record is None:
        return []
    told: dict[str, str] = {}
    for inner, _, _ in placed(record):
        told.setdefault(inner.name, inner.says)
    rows = [_filled(f"{name}: {says}", indent="  ", hang="      ") for name, says in told.items()]
    return ["", f"Keys of {record.called}:", "", *(line for row in rows for line in row)]


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


# -- the others ------------------------------------------------------------------------------------------------------
def _concept(name: str, text: str) -> str:
    return f"{name}\n\n{text.strip()}"


def _operator(operator: Operator) -> str:
    fits = [topic.key.name for topic in topics() if topic.record is EXPECT and _compares(operator, topic.key)]
    facts = _filled(f"It can compare these facts of expect: {', '.join(fits)}; and the values of events.")
    lines = [operator.name, "", f"  {operator.says}", "", *facts]
    return "\n".join([*lines, "", "Example:", "", "  expect:", f"    {operator_example(operator)}"])


def _compares(operator: Operator, key: Key) -> bool:
    shape = key.shape.item if isinstance(key.shape, ListOf | Names) else key.shape
    return isinstance(shape, Fact) and not shape.op and suits(operator, shape)


def _setting(name: str, setting: Setting) -> str:
    says = setting_sentence(setting).replace("`", "")
    lines = [f"settings.{name}", "", *_filled(f"A setting of the built-in agent: {says}", indent="  ")]
    example = str(setting.default or (setting.choices or ("...",))[-1]).lower()
    return "\n".join([*lines, "", "Example:", "", "  settings:", f"    {name}: {example}"])


def _fault(name: str, says: str) -> str:
    lines = [f"fault:{name}", "", f"  {says}", "", "An exploration lets it strike where a scenario allows that:", ""]
    return "\n".join([*lines, "  explore:", f"    faults: [{name}]"])


def _law(law: Law) -> str:
    lines = [law.name, "", f"  {law.says}", ""]
    if law.parameter is None:
        lines.append("It takes no value.")
    else:
        lines.append(f"Its value is a {law.parameter}; without one it is {law_value(law)}.")
    if law.on_by_default:
        lines.append("It holds for every scenario, unless one switches it off and says why:")
        lines += ["", "  always:", f"    - {{off: {law.name}, because: ...}}"]
    else:
        lines.append("It holds for the scenarios that name it:")
        lines += ["", "  always:", f"    - {law.name}{': ...' if law.parameter else ''}"]
    breaking = [flaw for flaw in _planted().values() if law.name in flaw.breaks]
    if breaking:
        lines += ["", "Flaws of the built-in agent that break it:"]
        lines += [f"  {flaw.name}: {flaw.says}" for flaw in breaking]
    return "\n".join([*lines, *_failure(law.name)])


def _failure(law: str) -> list[str]:
    """Return the scenario that shows a law at work, and how to see it fail, from the page of the laws."""
    page = (PAGES / "laws.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## `{law}`\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```\w+\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    if len(blocks) != 2:
        return []  # a law of another package, which has no page here
    scenario, command = blocks
    head = ["", "A scenario that shows it, which passes as it stands:", "", *_indented(scenario)]
    return [*head, "", "Saved under its name, it fails with:", "", *_indented(command)]


def _flaw(flaw: Flaw) -> str:
    lines = [flaw.name, "", f"  {flaw.says}", "", f"Seen in: {flaw.source}", f"It breaks: {', '.join(flaw.breaks)}"]
    lines += ["", "Switch it on for any scenario of the built-in agent:", ""]
    return "\n".join([*lines, f"  simkit run scenarios/ --set flaw={flaw.name}"])


# -- lines -----------------------------------------------------------------------------------------------------------
def _filled(*texts: str, indent: str = "", hang: str | None = None) -> list[str]:
    then = indent if hang is None else hang
    return [
        line for text in texts for line in textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=then)
    ]


def _indented(text: str) -> list[str]:
    return textwrap.indent(text.rstrip("\n"), "  ").splitlines()
