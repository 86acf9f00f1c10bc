"""The reference page of the language, drawn from the table: each key, what it takes, what holds without it.

The idea: the page is a walk through the table in its own order, with one section for each kind of mapping, so it says
what the validator obeys and nothing else. The constraint: only what no table holds is written here, and that is what
must be read before any key: how a duration is written, and what ``${name}`` means. A page by hand was refused: it would
be out of date with the next key, and nobody would know where.

Laws, settings, flaws and exit codes belong to rooms that the language does not know; the caller hands them in.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from simkit.contracts import Law, Setting
from simkit.language.remedies import joined
from simkit.language.shapes import (
    OPERATORS,
    Choice,
    Either,
    Fact,
    Flag,
    Key,
    LawItem,
    ListOf,
    Names,
    Operator,
    Record,
    Shape,
    Span,
)
from simkit.language.spec import FORMAT, OFF
from simkit.language.topics import ANY, Topic, placed, sample_value, topics
from simkit.language.yamltext import Inline, mapping_lines
from simkit.model.duration import format_duration
from simkit.model.plan import FAULT_KINDS

# As wide as the lines of the other pages.
_WIDTH: Final = 120
# A mapping with more keys than this has a section of its own.
_NESTED_MAX: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the page tells of other rooms: laws, the settings of the built-in agent, and exit codes."""

    laws: Sequence[Law]
    settings: Mapping[str, Setting]
    exits: Mapping[int, str]


_HEAD: Final = f"""
# The language, key by key

A scenario is a YAML file called `*.sim.yaml`. This page says what may stand in it, in format {FORMAT}; `simkit lint`
holds a file against the same table, and `simkit schema` gives it to editors. `simkit explain KEY` prints a part of it:
`simkit explain stall`, `simkit explain expect.requests`, `simkit explain at_most`.

The examples are parts of scenarios. Beside `simkit: 1`, a title and a `provider` each of them is a whole one.

A path such as `provider.stream.stall` says how keys nest, and skips the dashes of lists; `{ANY}` in it is a name of
your own choice.
"""

DURATIONS: Final = """
A duration is a number and a unit: `ns`, `us`, `ms`, `s`, `m`, `h` or `d`. Several go from large to small, as in
`1h30m`, and each may have decimals, as in `1.5s`. A number without a unit is never one. Where a wait may have no end
there is also the word `forever`.

All durations are virtual: a stall of `10m` takes no time on the wall.
"""

VARIABLES: Final = """
`${name}` stands for a value of `vars` or of the row of the `matrix`. A text that is nothing else becomes the value
itself, with its type, also where that is a list or a mapping; inside a longer text the value is written out. It may
stand in keys too. Inside braces and brackets it needs quotes, and `$${` is a plain `${`. A name that is not declared is
an error.

```yaml
matrix:
  quiet: [181s, 10m]
vars:
  limit: 15m
provider:
  - stream:
      - say: One moment.
      - stall: ${quiet}
expect:
  ends_within: ${limit}
```

A name that an answer captures (`provider.capture`) is known to the provider only, and while the run goes on: it may
stand in the texts of answers.
"""

YAML: Final = """
YAML means what version 1.2 says: `on`, `no` and `1:30` are text, `true` and `false` are the only truths. A key stands
once in its mapping. Anchors and aliases may be used; tags and `<<` may not. A file has at most 1 MiB, and its matrix at
most 1000 rows.
"""

# What is not told key by key, by the name that `simkit explain` knows it by.
CONCEPTS: Final[Mapping[str, str]] = {"durations": DURATIONS, "variables": VARIABLES, "yaml": YAML}

# An example for each mapping that has a section, by what the mapping is called.
_EXAMPLES: Final[Mapping[str, str]] = {
    "a scenario": """
simkit: 1
scenario: The stream stalls in the middle of a tool call
about: The socket stays open, so only the agent's own patience ends it.
tags: [streams]
subject: agent
settings: {stale_after: 180s, max_continuations: 3}
user:
  - says: Write index.html for the landing page
provider:
  - stream:
      - call: write_file
        args: '{"path": "index.html", "content": "<!doc'
      - stall: 181s
  - stream:
      - call: write_file
        args: {path: index.html, content: <h1>Hello</h1>}
      - finish: tool_calls
  - stream:
      - say: Done, index.html is ready.
      - finish: stop
tools:
  write_file: {takes: 20ms, returns: ok}
expect:
  requests: {at_most: 3}
  tool_calls: {write_file: 1}
  last_message: {contains: index.html is ready}
  ends_within: 15m
always:
  - bounded_requests: 6
""",
    "something the user does": """
user:
  - says: Build the page
  - {at: 5s, cancels: true}
  - {at: 6s, says: Only the headline}
  - {at: 7s, note: from here on the old build must be still}
  - {at: 10m, leaves: true}
""",
    "an answer": """
provider:
  - {status: 429, retry_after: 7s, times: 2}
  - {connection: reset, when: {connection: 2}}
  - after: 2s
    chunks: byte
    headers: {x-request-id: abc}
    stream:
      - say: Hello.
      - finish: stop
  - when: {has_tool_result: true}
    times: any
    stream:
      - say: The tool has answered.
      - finish: stop
""",
    "a step": """
provider:
  - stream:
      - think: The user wants a file.
        signature: c2lnbmVk
      - {say: I will write the page now., pieces: 3}
      - wait: 2s
      - call: write_file
        id: call_1
        args: '{"path": '
      - keepalive: {every: 15s, for: 2m}
      - pace: 100ms
      - {args: '"index.html"}', pieces: 2}
      - finish: tool_calls
      - usage: {input: 120, output: 30, cached: 100}
  - stream:
      - say: Half an
      - garble: json
      - say: " answer"
      - repeat: 2
      - {error: Overloaded, type: overloaded_error}
  - stream:
      - {chunk: empty}
      - raw: {hex: ff fe}
      - disconnect: cut
""",
    "the conditions of when": """
provider:
  - when: {model: gpt-*, dialect: openai-*, path: "*/chat/completions", stream: true, turn: 1}
    stream:
      - say: From the first model.
      - finish: stop
  - when: {host: fallback.example, contains: landing page, retry: 0}
    stream:
      - say: From the second one.
      - finish: stop
""",
    "a background job": """
provider:
  - background:
      queued: 5s
      in_progress: 20s
      expires: 10m
      window: 5m
      polls: {2: {status: 502}, 4: {connection: reset}}
      stream:
        - say: Done.
        - finish: stop
  - background: {in_progress: 20s, ends: failed, error: The model is overloaded.}
""",
    "a tool": """
tools:
  write_file: {takes: 20ms, returns: {status: written}, side_effect: index.html is written}
  pay: {takes: 1s, raises: card declined}
  ask: {raises_as: TimeoutError}
  read_file: {fails: no such file}
  build: {takes: forever, cancel_takes: 3s}
  stubborn: {takes: 60s, ignores_cancel: true}
  compress: {takes: 2s, blocks: true}
""",
    "a host": """
hosts:
  files.example: {status: 503, retry_after: 7s}
  gone.example: {connection: unknown_host}
""",
    "a fault of the network": """
network:
  api.openai.com:
    latency: 40ms
    faults:
      - {at: 5s, hold: 30s}
      - {at: 1m, reset: true}
      - {at: 2m, connection: refused, for: 30s}
  "*": {latency: 5ms}
""",
    "expect": """
expect:
  requests: {post: {at_most: 4}, get: 0}
  attempts: {between: [1, 6]}
  continuations: {at_most: 3}
  tool_calls: {write_file: 1}
  last_message: {contains: index.html}
  outcome: {one_of: [finished, incomplete]}
  waits: [7s, {between: [700ms, 1s]}]
  ends_within: 15m
""",
    "an event": """
expect:
  events:
    - silence
    - stream.end: client_closed
    - tool.start: {tool: write_file, args: {path: index.html}}
      at: {at_most: 5m}
    - tool.end: {outcome: ok}
    - turn.end: finished
""",
    "a law that is switched off": """
always:
  - no_orphans
  - bounded_requests: 6
  - {off: no_busy_polling, because: The poller under test is meant to spin.}
""",
    "explore": """
explore:
  runs: 200
  faults: [cut, reset, status_429]
  where: [frames]
  shift: 2s
  jitter: 500ms
  sweep: single
  heal: 60s
""",
}


def reference(around: Surroundings) -> str:
    """Return the page as Markdown."""
    parts = [
        _HEAD.strip(),
        *(f"## {title}\n\n{CONCEPTS[name].strip()}" for name, title in _TITLES.items()),
        *_sections(),
        _section("Comparisons", "What may stand in the place of a plain value in `expect`.", map(_operator, OPERATORS)),
        _section("Laws", _ABOUT_LAWS, map(_law, around.laws), _example(OFF)),
        _section("Settings of the built-in agent", _ABOUT_SETTINGS, _settings(around.settings)),
        _section("Faults of an exploration", "What `explore.faults` names.", _sentences(FAULT_KINDS)),
        _section("Exit codes", "", (f"- **{code}**: {says}." for code, says in around.exits.items())),
        "This page is drawn from the code by `python -m tests.reference`.",
    ]
    return "\n\n".join(parts) + "\n"


_TITLES: Final = {"yaml": "YAML", "durations": "Durations", "variables": "Variables"}
_ABOUT_LAWS: Final = (
    "What holds all the time. Those on by default need not be named; `always` gives them another value, or switches "
    "them off with a reason."
)
_ABOUT_SETTINGS: Final = (
    "What stands under `settings` where `subject` is `agent` or `agent-sync`. Other subjects publish settings of their "
    "own, and a plain function takes any."
)


# -- sections --------------------------------------------------------------------------------------------------------
def _sections() -> Iterator[str]:
    """Yield a section for each kind of mapping, where it is first met."""
    told: set[tuple[Key, ...]] = set()
    for path, record in _records():
        if _keys(record) not in told and _has_section(record):
            told.add(_keys(record))
            yield _section(_title(path), _opening(record), _key_lines(record), _example(record))


def _records() -> list[tuple[str, Record]]:
    """Return the mappings of the language in the order of the table, each with the path on which it is first met."""
    found: dict[Record, str] = {}
    # What stands in defaults as well is told of where it is at home.
    for topic in sorted(topics(), key=lambda topic: topic.path.startswith("defaults.")):
        found.setdefault(topic.record, topic.path.removesuffix(topic.key.name).rstrip("."))
    return [(path, record) for record, path in found.items()]


def _keys(record: Record) -> tuple[Key, ...]:
    return tuple(key for key, _, _ in placed(record))


def _has_section(record: Record) -> bool:
    return len(_keys(record)) > _NESTED_MAX and not record.called.startswith("the values of ")


def _title(path: str) -> str:
    return f"`{path}`" if path else "The top of the file"


def _opening(record: Record) -> str:
    called = record.called[:1].upper() + record.called[1:]
    paths = [f"`{path}`" for path in dict.fromkeys(_paths(record)) if path]
    where = f" It stands in {' and in '.join(paths)}." if len(paths) > 1 else ""
    verbs = " It has exactly one of the keys in bold, and what may stand beside that one." if record.verbs else ""
    return f"{called}.{where}{verbs}" if where or verbs else ""


def _paths(record: Record) -> Iterator[str]:
    yield from (t.path.removesuffix(t.key.name).rstrip(".") for t in topics() if _keys(t.record) == _keys(record))


def _section(title: str, opening: str, lines: Iterable[str], example: str = "") -> str:
    parts = [f"## {title}", "\n".join(_wrapped(opening)), "\n".join(lines), example]
    return "\n\n".join(part for part in parts if part)


def _example(record: Record) -> str:
    text = _EXAMPLES.get(record.called, "")
    return f"```yaml\n{text.strip()}\n```" if text else ""


# -- keys ------------------------------------------------------------------------------------------------------------
def _key_lines(record: Record, depth: int = 0) -> Iterator[str]:
    for key, owners, is_verb in placed(record):
        name = f"**`{key.name}`**" if is_verb or not record.verbs else f"`{key.name}`"
        beside = f" beside {_listed(owners)}" if owners else ""
        yield from _bullet(f"{name}{beside}: {sentence(record, key)}", depth)
        if (inner := _nested(key.shape)) is not None:
            yield from _key_lines(inner, depth + 1)


def _nested(shape: Shape) -> Record | None:
    """Return the mapping whose keys are told right below the key that holds it."""
    match shape:
        case Record() | Either(mapping=Record()) | Fact(parts=Record()):
            record = mapping_in(shape)
            return None if record is None or _has_section(record) else record
        case ListOf(item=item) | Names(item=item):
            return _nested(item)
    return None


def mapping_in(shape: Shape) -> Record | None:
    """Return the mapping with keys of its own that may stand behind a key, at once or as an item."""
    match shape:
        case Record():
            return shape
        case Either(mapping=record) | Fact(parts=Record() as record):
            return record
        case ListOf(item=item) | Names(item=item):
            return mapping_in(item)
        case LawItem():
            return OFF
    return None


def sentence(record: Record, key: Key) -> str:
    """Return what is to be said of a key: what it takes, what it means, what holds without it, and an example."""
    needed = " Required." if key.required else f" Default: {key.default.rstrip('.')}." if key.default else ""
    lines = mapping_lines({key.name: Inline(sample_value(record, key))})
    example = f" Example: `{lines[0]}`." if len(lines) == 1 and "`" not in lines[0] else ""
    return f"{takes(key.shape)}. {key.says}{needed}{example}"


def takes(shape: Shape) -> str:
    """Say in a few words what a key of this shape takes."""
    match shape:
        case Record(called=called):
            return called if called.startswith(("a ", "an ", "the ")) else "a mapping"
        case Choice(words=words):
            return f"one of {_listed(words)}"
        case Span():
            return f"a duration{', or forever' * shape.forever}{', above zero' * (not shape.zero)}"
        case ListOf(item=item):
            return f"a list, each item {takes(item)}"
        case Names(item=item, name=name):
            return f"a mapping; each key is {name.called}, each value {takes(item)}"
        case Either(scalar=scalar, mapping=mapping):
            return f"{takes(scalar)}, or {mapping.called}"
        case Fact(of=of):
            compared = "" if shape.op or isinstance(of, Flag) else ", or a comparison"
            alone = f" (its {shape.main})" if shape.main else ""
            parts = f", or {shape.parts.called}" if shape.parts is not None else ""
            return f"{takes(of)}{alone}{compared}{parts}"
    return shape.called


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


# -- what is no key --------------------------------------------------------------------------------------------------
def _operator(operator: Operator) -> str:
    return "\n".join(_bullet(f"**`{operator.name}`**: {operator_sentence(operator)}", 0))


def operator_sentence(operator: Operator) -> str:
    """Return what is to be said of an operator, with an example."""
    fits = ["numbers", "durations"] * operator.numbers + ["texts"] * operator.texts
    return f"for {joined(fits)}. {operator.says} Example: `{operator_example(operator)}`."


def operator_example(operator: Operator) -> str:
    """Return a fact of ``expect`` that is compared so, on one line."""
    several = {"two": "[1, 5]", "some": "[finished, incomplete]", "pattern": "'^Done'"}
    plain = "5" if operator.numbers else "index.html"
    fact = "outcome" if operator.operand == "some" else "requests" if operator.numbers else "last_message"
    return f"{fact}: {{{operator.name}: {several.get(operator.operand, plain)}}}"


def _law(law: Law) -> str:
    return "\n".join(_bullet(f"**`{law.name}`**{_of_law(law)}: {law.says}", 0))


def _of_law(law: Law) -> str:
    by_default = "" if law.on_by_default else "not on by default"
    value = f"a {law.parameter}, default {law_value(law)}" if law.parameter else ""
    told = "; ".join(filter(None, (value, by_default)))
    return f" ({told})" if told else ""


def law_value(law: Law) -> str:
    """Return the value that a law has where a scenario gives none."""
    return (
        format_duration(law.default)
        if law.parameter == "duration" and isinstance(law.default, int)
        else f"{law.default}"
    )


def _settings(settings: Mapping[str, Setting]) -> Iterator[str]:
    for name, setting in settings.items():
        yield from _bullet(f"**`{name}`**: {setting_sentence(setting)}", 0)


def setting_sentence(setting: Setting) -> str:
    """Return what is to be said of a setting."""
    words = [word for word in setting.choices if word]
    # The flaws are choices too, and have a page of their own.
    kind = f"one of {_listed(words)}" if 0 < len(words) <= 8 else f"a {setting.kind}"
    default = f" Default: {str(setting.default).lower()}." if setting.default not in ("", None) else ""
    return f"{kind}. {setting.says[:1].upper()}{setting.says[1:]}.{default}"


def _sentences(table: Mapping[str, str]) -> Iterator[str]:
    for name, says in table.items():
        yield from _bullet(f"**`{name}`**: {says}", 0)


# -- Markdown --------------------------------------------------------------------------------------------------------
def _bullet(text: str, depth: int) -> Iterator[str]:
    indent = "  " * depth
    yield from _wrapped(text, first=f"{indent}- ", then=f"{indent}  ")


def _wrapped(text: str, first: str = "", then: str = "") -> list[str]:
    """Return a text as lines, none of which breaks inside a span of code."""
    whole = re.sub(r"`[^`]+`", lambda span: span[0].replace(" ", "\0").replace("-", "\1"), text)
    lines = textwrap.wrap(
        whole, _WIDTH, initial_indent=first, subsequent_indent=then, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace("\0", " ").replace("\1", "-") for line in lines]


def find_topics(name: str) -> list[Topic]:
    """Return the keys that a name can mean: a path, or the end of one; names of the author's choice may be left out."""
    return _from_home(topic for topic in topics() if _ends_with(topic.path, name))


def _from_home(found: Iterable[Topic]) -> list[Topic]:
    """Return topics in order, but first on the plainest path, and last in ``defaults``, where none is at home."""
    return sorted(found, key=lambda topic: (topic.path.startswith("defaults."), topic.path.count(ANY)))


def _ends_with(path: str, name: str) -> bool:
    parts = path.split(".")
    tails = (".".join(parts[start:]) for start in range(len(parts)))
    return any(tail == name or (ANY in tail and _fits(tail, name)) for tail in tails)


def _fits(tail: str, name: str) -> bool:
    # A name of the author's choice stands in its place, or is left out.
    pattern = re.escape(tail).replace(rf"\.{ANY}", r"(?:\.[^.]+)?").replace(ANY, "[^.]+")
    return re.fullmatch(pattern, name) is not None
