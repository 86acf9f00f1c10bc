"""Every key of the language with its path, and an example of each: what the schema, the page and ``explain`` draw from.

The idea: the table is walked once, from the top down, and each key met on the way becomes a topic that knows where it
stands, what it stands beside, and what a scenario looks like that holds it. The constraint: an example is drawn from
the shape, so that a key which is new to the table has one at once; what a shape cannot know (a text that means
something, a step that needs another before it) stands in the two small tables below, by record and key. Examples inside
the table of the language were refused: it is read for what is allowed, and they would double its length.

A path says how keys nest, and skips the dashes of lists: ``provider.stream.stall``. ``NAME`` in it is a name that the
author chooses: ``tools.NAME.takes``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, assert_never

from simkit.language.shapes import (
    Choice,
    Count,
    Data,
    Either,
    Fact,
    File,
    Flag,
    Instant,
    Json,
    Key,
    LawItem,
    ListOf,
    Names,
    Nothing,
    Pattern,
    Plain,
    PlanText,
    Record,
    RetryAfter,
    Shape,
    Span,
    Text,
    Verb,
)
from simkit.language.spec import OFF, SCENARIO
from simkit.language.yamltext import Inline, Tree, as_text, mapping_lines

# What stands in a path for a name of the author's choice.
ANY: Final = "NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One key in its place.

    ``owners`` are the verbs beside which it stands; empty for a key that may always stand, and for a verb.
    """

    path: str
    record: Record
    key: Key
    is_verb: bool
    owners: tuple[str, ...]
    example: str


# -- what a shape cannot know ----------------------------------------------------------------------------------------
# What stands beside a status, in each of the mappings that have one.
_OF_A_STATUS: Final[Mapping[str, Tree]] = {
    "status": 429,
    "error": "Rate limit reached",
    "type": "rate_limit_error",
    "code": "rate_limit_exceeded",
    "headers": {"x-request-id": "abc"},
    "body": "<html>Try again later</html>",
}

# By the record and the key: a value that means more than the one that the shape would give.
_VALUES: Final[Mapping[tuple[str, str], Tree]] = {
    **{(of, key): v for of in ("an answer", "the answer to a poll", "a host") for key, v in _OF_A_STATUS.items()},
    ("a scenario", "scenario"): "Does the agent survive a stalled stream?",
    ("a scenario", "about"): "Seen with slow gateways.",
    ("a scenario", "refs"): ["failure-modes/1"],
    ("a scenario", "tags"): ["streams"],
    ("a scenario", "extends"): "../base.yaml",
    ("a scenario", "vars"): {"quiet": "181s"},
    ("a scenario", "subject"): "my_package.my_agent:agent",
    ("a scenario", "settings"): {"stale_after": "180s"},
    ("a scenario", "sometimes"): [{"tool.start": "write_file"}],
    ("a scenario", "matrix"): {"quiet": ["181s", "10m"]},
    ("a scenario", "skip"): "The gateway is being rebuilt.",
    ("a scenario", "xfail"): "The agent does not resume yet.",
    ("a scenario", "starts"): "2026-03-29T00:59:00Z",
    ("a scenario", "plan"): "seed=0,cut@answer1.frame2",
    ("a scenario", "catches"): ["unbounded_continuations"],
    ("a scenario", "hosts"): {"files.example": {"status": 503}},
    ("a scenario", "network"): {"*": {"latency": "40ms"}},
    ("a scenario", "always"): [{"bounded_requests": 6}],
    ("an answer", "stream"): [{"say": "Hello."}, {"finish": "stop"}],
    ("an answer", "times"): 3,
    ("an answer", "after"): "2s",
    ("the defaults of an answer", "times"): 3,
    ("the defaults of an answer", "after"): "2s",
    ("the defaults of an answer", "capture"): {"job": r"id (\w+)"},
    ("the defaults of an answer", "headers"): {"x-request-id": "abc"},
    ("a size such as {bytes: 7}", "bytes"): 7,
    ("a reason for some rows", "when"): {"quiet": "10m"},
    ("a reason for some rows", "because"): "The agent gives up after 5m.",
    ("limits", "time"): "1h",
    ("limits", "requests"): 50,
    ("limits", "steps"): 100_000,
    ("an answer", "capture"): {"job": r"id (\w+)"},
    ("a step", "say"): "I will write the page now.",
    ("a step", "think"): "The page needs a title first.",
    ("a step", "refuse"): "I cannot help with that.",
    ("a step", "call"): "write_file",
    ("a step", "args"): {"path": "index.html"},
    ("a step", "id"): "call_1",
    ("a step", "pieces"): 4,
    ("a step", "signature"): "c2lnbmVk",
    ("a step", "name"): "_file",
    ("a step", "wait"): "2s",
    ("a step", "pace"): "200ms",
    ("a step", "finish"): "tool_calls",
    ("a step", "wire"): "end_turn",
    ("a step", "error"): "Overloaded",
    ("a step", "type"): "overloaded_error",
    ("a step", "code"): "server_error",
    ("a step", "raw"): ": a comment\n\n",
    ("a keepalive", "every"): "15s",
    ("a keepalive", "for"): "30m",
    ("a usage", "input"): 120,
    ("a usage", "output"): 30,
    ("a usage", "cached"): 100,
    ("a usage", "thinking"): 20,
    ("bytes in hex or base64", "hex"): "ff fe",
    ("bytes in hex or base64", "base64"): "/w==",
    ("a background job", "queued"): "5s",
    ("a background job", "in_progress"): "20s",
    ("a background job", "error"): "The model is overloaded.",
    ("a background job", "expires"): "10m",
    ("a background job", "window"): "5m",
    ("a background job", "polls"): {"2": {"status": 502}},
    ("the conditions of when", "host"): "api.openai.com",
    ("the conditions of when", "path"): "*/chat/completions",
    ("the conditions of when", "model"): "gpt-*",
    ("the conditions of when", "dialect"): "openai-*",
    ("the conditions of when", "contains"): "landing page",
    ("the conditions of when", "conversation"): "landing page",
    ("the conditions of when", "turn"): 2,
    ("something the user does", "says"): "Write the landing page.",
    ("something the user does", "at"): "5s",
    ("something the user does", "note"): "from here on it is silent",
    ("a tool", "takes"): "20ms",
    ("a tool", "returns"): {"status": "written"},
    ("a tool", "raises"): "disk full",
    ("a tool", "fails"): "no such folder",
    ("a tool", "cancel_takes"): "3s",
    ("a tool", "side_effect"): "index.html is written",
    ("a host", "cassette"): "files.yaml",
    ("a link", "latency"): "40ms",
    ("a link", "faults"): [{"at": "5s", "hold": "30s"}],
    ("expect", "last_message"): {"contains": "index.html"},
    ("expect", "outcome"): "finished",
    ("expect", "ends_within"): "15m",
    ("expect", "requests"): {"at_most": 6},
    ("expect", "tool_calls"): {"write_file": 1},
    ("expect", "tool_effects"): {"write_file": 1},
    ("expect", "waits"): ["7s", {"between": ["700ms", "1s"]}],
    ("expect", "events"): ["silence", {"tool.start": "write_file"}],
    ("explore", "runs"): 200,
    ("explore", "heal"): "60s",
    ("explore", "sweep"): "single",
    ("a law that is switched off", "off"): "no_orphans",
    ("a law that is switched off", "because"): "The session outlives this turn.",
}

# By the name of the key alone: the values of events, which have the same names in many of them.
_WORDS: Final[Mapping[str, Tree]] = {
    "text": "Hello.",
    "tool": "write_file",
    "error": "TimeoutError",
    "where": "agent.py:42",
    "created": "agent.py:42",
    "name": "poller",
    "method": "POST",
    "host": "api.openai.com",
    "port": 443,
    "path": "/v1/chat/completions",
    "dialect": "openai-chat",
    "model": "gpt-5-mini",
    "job": "resp_1",
    "op": "retrieve",
    "state": "completed",
    "status": 429,
    "retry_after": "7",
    "is": "call",
    "call": "call_1",
    "index": 0,
    "finish": "stop",
    "outcome": "ok",
    "what": "task",
    "waits": "sleep",
    "how": "reset",
    "by": "client",
    "fault": "cut",
    "site": "answer1.frame2",
    "reason": "returned",
}

# By the record and the key: where a key needs more around it than its own record, the whole example as it is written.
_EXAMPLES: Final[Mapping[tuple[str, str], str]] = {
    ("a scenario", "vars"): (
        "vars:\n  quiet: 181s\nprovider:\n  - stream:\n      - say: One moment.\n      - stall: ${quiet}\n"
    ),
    ("a scenario", "matrix"): (
        'matrix:\n  quiet: ["181s", "10m"]\nprovider:\n  - stream:\n      - say: One moment.\n      - stall: ${quiet}\n'
    ),
    ("an answer", "capture"): (
        "provider:\n  - capture: {page: 'page (\\d+)'}\n    stream:\n      - say: I am at page ${page}.\n"
        "      - finish: stop\n"
    ),
    ("a step", "args"): (
        "provider:\n  - stream:\n      - call: write_file\n        args: '{\"path\": '\n      - wait: 2s\n"
        "      - args: '\"index.html\"}'\n      - finish: tool_calls\n"
    ),
    ("a step", "name"): (
        "provider:\n  - stream:\n      - call: write_\n      - name: file\n      - finish: tool_calls\n"
    ),
    ("a step", "index"): (
        "provider:\n  - stream:\n      - {call: read_file, index: 0}\n      - {call: list_files, index: 1}\n"
        '      - {args: "{}", index: 0}\n      - finish: tool_calls\n'
    ),
    ("a step", "garble"): "provider:\n  - stream:\n      - garble: json\n      - say: This arrives damaged.\n",
    ("a step", "repeat"): "provider:\n  - stream:\n      - say: This arrives three times.\n      - repeat: 2\n",
    ("a background job", "error"): (
        "provider:\n  - background:\n      in_progress: 20s\n      ends: failed\n"
        "      error: The model is overloaded.\n"
    ),
    ("a scenario", "defaults"): (
        "defaults:\n  provider: {after: 200ms}\n  tools: {takes: 1s}\ntools:\n  read_file: {returns: hello}\n"
    ),
    ("a reason for some rows", "when"): (
        'matrix:\n  quiet: ["181s", "10m"]\nxfail: {when: {quiet: 10m}, because: The agent gives up after 5m.}\n'
    ),
    ("a reason for some rows", "because"): (
        'matrix:\n  quiet: ["181s", "10m"]\nxfail: {when: {quiet: 10m}, because: The agent gives up after 5m.}\n'
    ),
}


# -- the walk --------------------------------------------------------------------------------------------------------
_Around = Callable[[Tree], Tree]


@cache  # the table does not change, and every question about a key asks for all of it
def topics() -> tuple[Topic, ...]:
    """Return every key of the language in the order of the table, on every path that leads to it."""
    return tuple(_walk(SCENARIO, "", lambda value: value, ()))


def _walk(record: Record, path: str, around: _Around, above: tuple[Record, ...]) -> Iterator[Topic]:
    if record in above:  # a record that holds itself is met once on each path
        return
    for key, owners, is_verb in placed(record):
        here = f"{path}.{key.name}" if path else key.name
        beside = _beside(record, key, owners, is_verb=is_verb)
        yield Topic(
            path=here,
            record=record,
            key=key,
            is_verb=is_verb,
            owners=owners,
            example=_written(record, key, around({**beside, key.name: Inline(sample_value(record, key))})),
        )
        yield from _inside(key.shape, here, _within(around, beside, key.name), (*above, record))


def _within(around: _Around, beside: Mapping[str, Tree], name: str) -> _Around:
    return lambda value: around({**beside, name: value})


def _inside(shape: Shape, path: str, around: _Around, above: tuple[Record, ...]) -> Iterator[Topic]:
    match shape:
        case ListOf(item=item):
            yield from _inside(item, path, lambda value: around([value]), above)
        case Names(item=item, name=name):
            yield from _inside(item, f"{path}.{ANY}", lambda value: around({_name(name): value}), above)
        case Record():
            yield from _walk(shape, path, around, above)
        case Either(mapping=record) | Fact(parts=Record() as record):
            yield from _walk(record, path, around, above)
        case LawItem():
            yield from _walk(OFF, path, around, above)


def placed(record: Record) -> Iterator[tuple[Key, tuple[str, ...], bool]]:
    """Yield the keys of a record: each verb, what stands beside it, and what may always stand there.

    With each key come the verbs that it stands beside, and whether it is one itself. What several verbs share comes
    once, after the last of them.
    """
    owners: dict[Key, tuple[str, ...]] = {}
    for verb in record.verbs:
        for extra in verb.extras:
            owners[extra] = (*owners.get(extra, ()), verb.key.name)
    for verb in record.verbs:
        yield verb.key, (), True
        yield from ((extra, owners[extra], False) for extra in verb.extras if owners[extra][-1] == verb.key.name)
    yield from ((key, (), False) for key in record.keys)


# -- examples --------------------------------------------------------------------------------------------------------
def _written(record: Record, key: Key, example: Tree) -> str:
    known = _EXAMPLES.get((record.called, key.name))
    assert isinstance(example, Mapping)  # the top of a scenario
    return as_text(mapping_lines(example)) if known is None else known


def _beside(record: Record, key: Key, owners: tuple[str, ...], *, is_verb: bool) -> dict[str, Tree]:
    """Return what a record needs beside a key: what is required, and a verb."""
    needed = {
        other.name: sample_value(record, other) for other in record.keys if other.required and record is not SCENARIO
    }
    verb = _verb(record, owners)
    return needed if is_verb or verb is None else {**needed, verb.key.name: Inline(sample_value(record, verb.key))}


def _verb(record: Record, owners: tuple[str, ...]) -> Verb | None:
    return next((verb for verb in record.verbs if not owners or verb.key.name in owners), None)


def sample_value(record: Record, key: Key) -> Tree:
    """Return a value for a key of this record."""
    main = key.shape.main if isinstance(key.shape, Fact) else ""
    if (record.called, key.name) in _VALUES:
        return _VALUES[record.called, key.name]
    if record.called.startswith("the values of ") and key.name in _WORDS:
        return _WORDS[key.name]
    return _WORDS.get(main) or sample(key.shape)


def sample(shape: Shape) -> Tree:
    """Return a value that the shape lets through."""
    match shape:
        case Text() | Choice() | Count() | Span() | RetryAfter() | Pattern() | File() | Instant() | PlanText():
            return _scalar(shape)
        case Flag() | Nothing():
            return True
        case Plain():
            return "text"
        case Data() | Json():
            return {"path": "index.html"}
        case ListOf(item=item, least=least):
            return [sample(item)] * max(1, least)
        case Names(item=item, name=name):
            return {_name(name): sample(item)}
        case Record():
            return sample_record(shape)
        case Either(scalar=scalar):
            return sample(scalar)
        case Fact(of=of):
            return sample(of)
        case LawItem():
            return sample_record(OFF)
    assert_never(shape)


def sample_record(record: Record) -> dict[str, Tree]:
    """Return a record with what it needs; where it needs nothing, with its first key."""
    key = record.verbs[0].key if record.verbs else next((k for k in record.keys if k.required), record.keys[0])
    needed = {other.name: sample_value(record, other) for other in record.keys if other.required}
    return {**needed, key.name: sample_value(record, key)}


def _scalar(shape: Text | Choice | Count | Span | RetryAfter | Pattern | File | Instant | PlanText) -> Tree:
    match shape:
        case Text():
            return _name(shape)
        case Choice(words=words):
            return words[0]
        case Count(least=least, most=most):
            return max(least, 2) if most is None or most >= 2 else least
        case Span():
            return "90s"
        case RetryAfter():
            return "7s"
        case Pattern():
            return r"\w+"
        case File():
            return "file.yaml"
        case Instant():
            return "2026-01-01T00:00:00Z"
        case PlanText():
            return "seed=0"
    assert_never(shape)


# By a word of what a name is called.
_NAMES: Final = {
    "host": "files.example",
    "header": "x-request-id",
    "tool": "write_file",
    "variable": "quiet",
    "captured": "job",
    "poll": "2",
}


def _name(text: Text) -> str:
    """Return a text that fits the pattern."""
    meant = (name for word, name in _NAMES.items() if word in text.called)
    fitting = (word for word in (*meant, "text", "1") if not text.pattern or re.fullmatch(text.pattern, word))
    return next(fitting, "text")
