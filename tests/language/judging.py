"""How the schema and the validator are compared: the same text, read by each, and what only one of them can know.

The idea: the text is read once into plain values, as an editor does, and the ``jsonschema`` package is the judge of
them; the validator reads the text itself. The constraint: what the schema need not refuse stands in one table, by the
words of the validator, with the reason; whatever is not in it, both must refuse. A list of files was refused: it would
grow with every file, and say nothing about the next one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from simkit.contracts import Law
from simkit.errors import Problem, ScenarioError
from simkit.extensions import BUILT_IN, find
from simkit.language.nodes import Hole, Map, Node, Scalar, Seq, compose
from simkit.language.problems import Problems
from simkit.language.reader import loads
from simkit.language.schema import schema

from .laws import LAWS

# Thirty variables, each twice the one before it.
_DOUBLED: Final = "{a0: aaaaaaaa, " + ", ".join(f"a{n}: '${{a{n - 1}}}${{a{n - 1}}}'" for n in range(1, 30)) + "}"
_NESTED: Final = "{a: " + "[" * 26 + "]" * 26 + ", b: " + "[" * 26 + "'${a}'" + "]" * 26 + "}"
BUILT_IN_LAWS: Final = [cast(Law, find("checks", name)) for name in BUILT_IN["checks"]]


class Beyond(NamedTuple):
    """What no JSON Schema can say: the words of the validator, why, and the least text that it says them of.

    The text stands below the version and the title of a scenario.
    """

    words: str
    why: str
    text: str


ONLY_THE_VALIDATOR_KNOWS: Final = (
    Beyond(r"is not declared", "which names are declared", "provider: [{stream: [{stall: '${quiet}'}]}]"),
    Beyond(r"opens no variable", "what an opening brace is for", "about: '${'\nprovider: []"),
    Beyond(r"stands? inside text", "what a variable stands for", "about: a ${b}\nvars: {b: [1]}\nprovider: []"),
    Beyond(r" \(from '", "what a variable stands for", "vars: {b: 5}\nabout: ${b}\nprovider: []"),
    Beyond(r"is captured", "what only the run knows", "about: ${job}\nprovider: [{stream: [], capture: {job: x}}]"),
    Beyond(r"^expected .*, got text '[^']*\$\{", "where nothing is filled in", "provider: []\nmatrix: ${rows}"),
    Beyond(r"^format '[^']*\$\{", "where nothing is filled in", "simkit: ${v}\nvars: {v: 1}\nprovider: []"),
    Beyond(r"never played", "what follows what", "provider: [{stream: [{disconnect: cut}, {say: a}]}]"),
    Beyond(r"never reached", "what takes every request", "provider: [{times: any, stream: []}, {stream: []}]"),
    Beyond(r"never happens", "who has left", "user: [{leaves: true}, {at: 1s, says: a}]\nprovider: []"),
    Beyond(r"that could (arrive damaged|be repeated)", "what follows what", "provider: [{stream: [{repeat: 2}]}]"),
    Beyond(r"could belong to", "what follows what", "provider: [{stream: [{args: a}]}]"),
    Beyond(r"is read from a request", "what it goes with", "provider: [{connection: reset, when: {turn: 1}}]"),
    Beyond(r"why a job failed", "what it goes with", "provider: [{background: {ends: completed, error: a}}]"),
    Beyond(r"^the law .* stands twice", "what else a list holds", "provider: []\nalways: [ends, ends]"),
    Beyond(r"the smaller one first", "which is smaller", "provider: []\nexpect: {polls: {between: [2, 1]}}"),
    Beyond(r"is not a regular expression", "Python's patterns", "provider: [{stream: [], capture: {a: '('}}]"),
    Beyond(r"there is no file", "which files there are", "provider: []\nhosts: {a: {cassette: nowhere.yaml}}"),
    Beyond(r"is no YAML file", "which paths are bases", "extends: base.txt"),
    Beyond(r"is an absolute path", "which paths are bases", "extends: /base.yaml"),
    Beyond(r"leads out of the project", "which paths are bases", "extends: ../../../../base.yaml"),
    Beyond(r"cannot stand in 'extends'", "when a base is read", "extends: ${base}.yaml"),
    Beyond(r"extends? (itself|each other)|file can extend", "which file extends which", "extends: a.sim.yaml"),
    Beyond(r"on no calendar|out of reach", "the calendar", "provider: []\nstarts: 2026-02-30T00:00:00Z"),
    Beyond(r"is not a plan|in the plan ", "what a plan can hold", "provider: []\nplan: seed=0,cut@user1"),
    Beyond(r"no column|no row has", "what the matrix holds", "provider: []\nskip: {when: {a: 1}, because: a}"),
    Beyond(r"the matrix gives|rows of the matrix", "what the matrix gives", "provider: []\nmatrix: {a: [b, b]}"),
    Beyond(r"got the number [0-9.+-]+\.0$", "that 6.0 is not written as 6", "provider: [{times: 6.0, stream: []}]"),
    Beyond(
        r"expected bytes in .*, got the number", "the digits of a number", "provider: [{stream: [{raw: {hex: 6.5}}]}]"
    ),
    Beyond(r"is too long here", "how long it is in all", "provider: [{after: 99999d, stream: [{wait: 999999999d}]}]"),
    Beyond(r"is too short here", "what it is rounded to", "provider: []\nlimits: {time: 0.1ns}"),
    Beyond(r"nested more than", "how deep it is when filled", f"provider: []\nvars: {_NESTED}"),
    Beyond(r"stands? for more than|too much text", "how large it is when filled", f"provider: []\nvars: {_DOUBLED}"),
)
_KNOWN: Final = [re.compile(beyond.words) for beyond in ONLY_THE_VALIDATOR_KNOWS]


@cache
def judge() -> Draft202012Validator:
    """The schema as a validator; drawn once, as that takes as long as a hundred questions."""
    return Draft202012Validator(schema(BUILT_IN_LAWS))


def refusals(value: object) -> list[ValidationError]:
    return list(judge().iter_errors(cast(Any, value)))


def told(value: object) -> list[str]:
    """What people see who check a file with the schema outside an editor: a place and a sentence for each slip."""
    best = [cast(ValidationError, best_match([refusal])) for refusal in refusals(value)]
    return sorted(f"{error.json_path} {error.message}" for error in best)


def plain(text: str) -> object:
    """A text as an editor reads it. Raises ``ScenarioError`` where it is no YAML, or none of this language."""
    problems = Problems("a.sim.yaml", text)
    node = compose(text, problems)
    problems.check()
    return _plain(node)


def _plain(node: Node) -> object:
    match node:
        case Scalar():
            return node.value
        case Seq():
            return [_plain(item) for item in node.items]
        case Map():
            return {key.text: _plain(value) for key, value in node.entries}
        case Hole():
            raise AssertionError("a hole is always told of")


def problems_of(text: str, file: str = "a.sim.yaml") -> tuple[Problem, ...]:
    try:
        loads(text, file, laws=LAWS)
    except ScenarioError as error:
        return error.problems
    return ()


def of_shape(problems: tuple[Problem, ...], file: str = "a.sim.yaml") -> list[str]:
    """The problems that a schema of this file can see."""
    return [p.text for p in problems if p.file == file and not any(known.search(p.text) for known in _KNOWN)]


def unseen(document: object) -> list[str]:
    """What lets every shape through: variables that are keys, and uses of variables that are lists or mappings."""
    declared = document.get("vars") if isinstance(document, dict) else None
    whole = declared if isinstance(declared, dict) else {}
    written = json.dumps(document)
    structures = [name for name, value in whole.items() if isinstance(value, list | dict)]
    return [*_variable_keys(document), *(name for name in structures if f"${{{name}}}" in written)]


def _variable_keys(value: object) -> Iterator[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    yield from (key for key in value if "${" in key) if isinstance(value, dict) else ()
    for one in inner:
        yield from _variable_keys(one)
