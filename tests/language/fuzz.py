"""Mutants of good scenarios: each is read, or refused with places, and never ends otherwise.

The idea: hypothesis draws what is done to a good scenario - to its keys and types, its YAML, its bytes, its depth, its
aliases, and to the files that it extends - so a mutant that breaks the reader is shrunk to the smallest one. The
constraint: a mutant is a set of files in a project of their own and goes in by the front door, as users' files do. A
fuzzer of random bytes was refused: nearly all of those die in the scanner of YAML and never reach the language.

``python -m tests.language.fuzz --mutants 20000`` runs many of them, and minds the clock and the memory.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from simkit.errors import ScenarioError, UsageError
from simkit.language.reader import load, loads
from simkit.language.shapes import Either, Fact, Key, ListOf, Names, Record, Shape
from simkit.language.spec import SCENARIO
from simkit.language.writer import write
from simkit.model.scenario import Scenario

from .laws import LAWS

# Every key of the format, and as many of the odd ways to write a value as one file can hold.
GOOD: Final = """simkit: 1
scenario: The stream stalls in the middle of a tool call
about: Everything at once
refs: [NousResearch/hermes-agent#31998, failure-modes/1]
tags: [stalls]
extends: base.yaml
defaults:
  provider: {after: 1s, headers: {x-b: b}}
  tools: {cancel_takes: 1s}
vars: {name: write_file, list: &list [1, 2.5, no]}
subject: agent
settings: {stale_after: 180s, more: *list}
user:
  - at: 0s
    says: "Write \\u00fcber.html"
  - {at: 5s, cancels: }
provider:
  - times: 3
    stream:
      - call: ${name}
        args: '{"path": "index.html", "content": "<!doc'
      - keepalive: {every: 15s, for: forever}
      - stall: ${quiet}
  - {status: 429, retry_after: 7s, headers: {x-a: 1}, chunks: {bytes: 7}}
  - background:
      queued: 5s
      polls: {2: {status: 502}}
      stream:
        - {think: hmm, signature: s, pieces: 2}
        - chunk: null
        - garble: utf8
        - raw: {hex: ff fe}
        - raw: {base64: /w==}
        - repeat: 2
        - {error: "${job} is gone", form: failed}
  - stream: [{say: Done}, {usage: {input: 1, output: 2, cached: 1}}, {finish: stop, wire: end_turn}]
    when: {model: "gpt-*", turn: 2, stream: true}
    capture: {job: 'id (\\w+)'}
    times: any
tools:
  write_file: {takes: 20ms, returns: ok}
hosts: {a.example: {connection: refused}}
network:
  "*": {latency: 5ms, faults: [{at: 1s, reset: }, {at: 2s, hold: 3s}, {at: 9s, connection: refused, for: 1s}]}
expect:
  tool_calls: {"${name}": 1}
  last_message: {matches: "^Done"}
  waits: [7s, {between: [700ms, 1s]}]
  requests: {post: 1, get: {at_most: 2}}
  usage: {input: 3}
  events: [stream.end, {tool.start: {tool: a, args: {path: b}}, at: {at_most: 5s}}, {note: {name: parked, n: 1}}]
always:
  - bounded_requests: 6
  - {off: no_orphans, because: it is so}
sometimes: [lost.error, {said: Done}]
explore: {runs: 5, faults: [cut, stall], where: [frames], shift: 1s, jitter: 5ms, order: any, sweep: pairs, heal: 60s}
plan: seed=7,jitter=5ms,cut@answer1.frame2,thread@3:1
matrix:
  quiet: ["181s", "10m"]
skip: {when: {quiet: 10m}, because: it is slow}
xfail: not yet for ${quiet}
limits: {time: 1h}
starts: 2026-03-29T00:59:00Z
catches: [leak]
"""
BASE: Final = "simkit: 1\ntools: {write_file: {cancel_takes: 2s}, ls: {}}\nsettings: {a: {b: 1}}\nexpect: {polls: 3}\n"

# What YAML and the language give a meaning to, next to what they have no place for.
PIECES: Final = (
    *("\t", "\n", "  ", "- ", ": ", ":", "#", "'", '"', "{", "}", "[", "]", ",", "*list", "&list ", "*", "&", "!"),
    *("!!int ", "|", ">", "%", "@", "`", "?", "? ", "<<: ", "~", "---\n", "...\n", "%YAML 9.9\n", "${", "$${"),
    *("${quiet}", "${no}", "\\", "\\x", "\\uD800", '"\\UFFFFFFFF"', "\0", "\x07", "\x85", "\u2028", "\ufeff"),
    *("\U0001f600", "\ud800", "0", "-1", "1e999", "9" * 50, "9" * 5000, "0x", "forever", "null", "true", "[" * 60),
    *("{a: " * 60, "(?P<", "((a", "${job}", "\ue000job\ue001", "none", "any", "2026-03-29", "1970-01-01T00:00:00Z"),
)

# Values of every type, and of types that nothing takes.
VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1, 2.5, 10**50, "", " ", "a", "5s", "forever", "any", "none", "${job}", "${quiet}"),
    *("x" * 5000, [], {}, [[]], [None], {"a": {}}, {"at_most": 1}, {"between": [2, 1]}, ["5s", 5], {"bytes": 0}),
    *("2026-02-30T00:00:00Z", {"when": {"quiet": "181s"}, "because": "a"}, {"post": 1}, {"hex": "f"}, {1: 2}),
)
# PyYAML writes no deeper trees; what is deeper is made of brackets.
DEPTHS: Final = (3, 45, 60, 80)
TARGETS: Final = (
    *("base.yaml", "sub/base.yaml", "a.sim.yaml", "./a.sim.yaml", "absent.yaml", "link.yaml", "sub", "base.txt"),
    *("../outside.yaml", "sub/../../outside.yaml", "/etc/base.yaml", "", "~", "[base.yaml]", "${x}.yaml", '"\\0.yaml"'),
)


# -- what is mutated ---------------------------------------------------------------------------------
def vocabulary() -> tuple[str, ...]:
    """Return every key of the language."""
    return tuple(dict.fromkeys(_keys_below(SCENARIO)))


def _keys_below(shape: Shape) -> Iterator[str]:
    match shape:
        case ListOf() | Names():
            yield from _keys_below(shape.item)
        case Record():
            keys: list[Key] = [key for verb in shape.verbs for key in (verb.key, *verb.extras)]
            for key in (*keys, *shape.keys):
                yield key.name
                yield from _keys_below(key.shape)
        case Either():
            yield from _keys_below(shape.mapping)
        case Fact() if shape.parts is not None:
            yield from _keys_below(shape.parts)


WORDS: Final = vocabulary()


@cache
def corpus(bytes_max: int) -> tuple[str, ...]:
    """Return good scenarios: those of the repository up to this size, and the one above in one draw of five."""
    files = sorted((Path(__file__).parents[2] / "scenarios").rglob("*.sim.yaml"))
    texts = [path.read_text(encoding="utf-8") for path in files if path.stat().st_size <= bytes_max]
    return (*texts, *[GOOD] * (len(texts) // 4))


# The one in C writes the same text much sooner, where PyYAML was built with it.
_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


# -- trees -------------------------------------------------------------------------------------------
def in_the_tree(draw: st.DrawFn, text: str) -> str:
    """Change keys and values, and write the whole anew: in blocks, in braces, or as PyYAML likes it."""
    tree = deepcopy(_tree(text))
    for _ in range(draw(st.integers(1, 2))):
        spots = list(_spots(tree))
        if spots:
            holder, key = draw(st.sampled_from(spots))
            draw(st.sampled_from(_TREE_CHANGES))(draw, holder, key)
    flow = draw(st.sampled_from((None, True, False)))
    written: str = yaml.dump(tree, Dumper=_DUMPER, sort_keys=False, default_flow_style=flow)
    return written


@cache
def _tree(text: str) -> Any:
    return yaml.safe_load(text)


def _spots(tree: Any) -> Iterator[tuple[Any, Any]]:
    keys = tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from _spots(tree[key])


def _replace(draw: st.DrawFn, holder: Any, key: Any) -> None:
    holder[key] = _value(draw)


def _value(draw: st.DrawFn) -> Any:
    return deepcopy(draw(st.sampled_from(VALUES)))


def _wrap(draw: st.DrawFn, holder: Any, key: Any) -> None:
    word = draw(st.sampled_from(WORDS))
    holder[key] = draw(st.sampled_from(([holder[key]], {word: holder[key]}, [holder[key], holder[key]])))


def _deepen(draw: st.DrawFn, holder: Any, key: Any) -> None:
    for _ in range(draw(st.sampled_from(DEPTHS))):
        holder[key] = [holder[key]]


def _drop(draw: st.DrawFn, holder: Any, key: Any) -> None:
    del holder[key]


def _rename(draw: st.DrawFn, holder: Any, key: Any) -> None:
    if isinstance(holder, dict):
        slip = f"{key}s" if draw(st.booleans()) else str(key)[:-1]
        holder[draw(st.sampled_from((slip, draw(st.sampled_from(WORDS)), 7, True, "")))] = holder.pop(key)


def _add(draw: st.DrawFn, holder: Any, key: Any) -> None:
    if isinstance(holder, dict):
        holder[draw(st.sampled_from(WORDS))] = _value(draw)
    else:
        holder.insert(key, _value(draw))


_TREE_CHANGES: Final = (_replace, _replace, _wrap, _deepen, _drop, _rename, _rename, _add, _add)


# -- text --------------------------------------------------------------------------------------------
def at_a_place(draw: st.DrawFn, text: str) -> str:
    """Put a piece in the place of some characters."""
    start = draw(st.integers(0, len(text)))
    return text[:start] + draw(st.sampled_from(("", *PIECES))) + text[start + draw(st.integers(0, 30)) :]


def value_ends(text: str) -> list[tuple[int, int]]:
    """Return where each value of a text begins, and where it roughly ends."""
    starts = [match.end() for match in re.finditer(r": |- |\[|, ", text)]
    return [
        (at, min((end for end in (text.find(mark, at) for mark in ",]}\n") if end > 0), default=at)) for at in starts
    ]


def at_a_value(draw: st.DrawFn, text: str) -> str:
    """Put a piece where a value begins, or in its place."""
    start, end = draw(st.sampled_from(value_ends(text) or [(0, 0)]))
    return text[:start] + draw(st.sampled_from(PIECES)) + text[end if draw(st.booleans()) else start :]


def at_a_line(draw: st.DrawFn, text: str) -> str:
    """Take a line out, put it elsewhere, write it twice, or indent it otherwise."""
    lines = text.split("\n")
    at, to = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
    line = lines[at]
    changed = draw(st.sampled_from(([], [line, line], [f" {line}"], [line[1:]], [f"\t{line}"], [line.rstrip(":")])))
    lines[at : at + 1] = changed
    lines[to:to] = draw(st.sampled_from(([], [line])))
    return "\n".join(lines)


def with_aliases(draw: st.DrawFn, text: str) -> str:
    """Name some values, and let other ones be those."""
    places = [match.end() for match in re.finditer(r": (?=[^|>&*])|- (?=[^|>&*])", text)] or [0]
    one, other = sorted((draw(st.sampled_from(places)), draw(st.sampled_from(places))))
    end = text.find("\n", other)
    return f"{text[:one]}&a {text[one:other]}*a{text[end:] if end > 0 else ''}"


TEXT_CHANGES: Final = (at_a_place, at_a_value, at_a_line, with_aliases)


# -- files -------------------------------------------------------------------------------------------
def in_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """Change one byte."""
    at = draw(st.integers(0, max(0, len(data) - 1)))
    return data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]


@st.composite
def mutants(draw: st.DrawFn, bytes_max: int = 100_000) -> dict[str, bytes]:
    """Files by their names, of which ``a.sim.yaml`` is the scenario."""
    text = draw(st.sampled_from(corpus(bytes_max)))
    if draw(st.booleans()):
        text = in_the_tree(draw, text)
    files = {"a.sim.yaml": _changed(draw, text), "base.yaml": BASE.encode()}
    if draw(st.integers(0, 3)) == 0:
        text = text.replace("extends: base.yaml\n", "")
        files["a.sim.yaml"] = f"extends: {draw(st.sampled_from(TARGETS))}\n".encode() + _changed(draw, text)
        again = f"extends: {draw(st.sampled_from(TARGETS))}\n" if draw(st.booleans()) else ""
        files["base.yaml"] = again.encode() + _changed(draw, draw(st.sampled_from((BASE, text))))
        files["sub/base.yaml"] = again.encode()
    return files


def _changed(draw: st.DrawFn, text: str) -> bytes:
    for change in draw(st.lists(st.sampled_from(TEXT_CHANGES), max_size=2)):
        text = change(draw, text)
    data = text.encode("utf-8", "surrogatepass")
    return in_bytes(draw, data) if draw(st.integers(0, 7)) == 0 else data


# -- what comes of it --------------------------------------------------------------------------------
def prepared(folder: Path) -> Path:
    """Make a folder a project, with a link in it that leads out."""
    project = folder / "project"
    (project / "sub").mkdir(parents=True)
    (project / "pytest.ini").touch()
    (folder / "outside.yaml").write_text("tags: [outside]\n", encoding="utf-8")
    (project / "link.yaml").symlink_to(folder / "outside.yaml")
    return project


def outcome(files: Mapping[str, bytes], project: Path) -> str:
    """Load a mutant: what is neither scenarios nor problems with places flies through, or is named."""
    for name, data in files.items():
        (project / name).write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            scenarios = load(project / "a.sim.yaml", laws=LAWS)
        except ScenarioError as error:
            str(error).encode("utf-8", "surrogatepass")
            return "refused" if all(p.line > 0 and p.column > 0 and p.text for p in error.problems) else "unplaced"
    return "read" if scenarios and all(map(_comes_back, scenarios[:3])) else "lost by the writer"


def _comes_back(scenario: Scenario) -> bool:
    """Say whether the scenario, written, is read as the same one; some values have no text, and that is said."""
    try:
        text = write(scenario, laws=LAWS)
    except UsageError:
        return True
    (again,) = loads(text, scenario.file, laws=LAWS)
    return replace(again, source=scenario.source, bases=scenario.bases, row=scenario.row) == scenario


# -- many of them ------------------------------------------------------------------------------------
_BATCH: Final = 500
_SECONDS_MAX: Final = 5.0
_SPACE_MAX: Final = 100 * 2**20


@dataclass(slots=True)
class Tally:
    """What has come of the mutants so far."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    slowest_files: Mapping[str, bytes] = field(default_factory=dict)

    def count(self, files: Mapping[str, bytes], project: Path) -> None:
        """Load a mutant and count what comes of it."""
        start = time.perf_counter()
        came = outcome(files, project)
        seconds = time.perf_counter() - start
        self.outcomes[came] += 1
        if seconds > self.slowest:
            self.slowest, self.slowest_files = seconds, files
        assert came in ("read", "refused"), came
        assert seconds < _SECONDS_MAX, f"{seconds:.1f} s"


def run_batch(number: int, size: int, tally: Tally, project: Path) -> None:
    """Try one batch; of a batch of its own hypothesis remembers nothing when it is over."""

    @seed(number)
    @settings(
        max_examples=size,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(mutants())
    def try_one(files: dict[str, bytes]) -> None:
        tally.count(files, project)

    try_one()


def _space() -> int:
    # Kilobytes on Linux, bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run mutants, print what came of them, and return 0 where all were read or refused soon and in little space."""
    parser = argparse.ArgumentParser(prog="python -m tests.language.fuzz", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--mutants", type=int, default=20_000, help="how many to try (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other mutants (default: %(default)s)")
    options = parser.parse_args(arguments)
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        project = prepared(Path(folder))
        os.chdir(project)
        run_batch(options.seed, min(_BATCH, options.mutants), Tally(), project)  # loads what is loaded once
        before = _space()
        while (done := sum(tally.outcomes.values())) < options.mutants:
            run_batch(options.seed + 1 + done, min(_BATCH, options.mutants - done), tally, project)
    grown = _space() - before
    print(*(f"{count} {name}" for name, count in sorted(tally.outcomes.items())), sep=", ")
    print(f"the slowest took {tally.slowest:.2f} s, and memory grew by {grown / 2**20:.0f} MiB")
    return 0 if grown < _SPACE_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
