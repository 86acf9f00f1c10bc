"""A scenario as text: the way back from the model's values to the YAML that a person would have written.

The idea: each value becomes the tree that the reader takes it from, with everything left out that is a default, and
``yamltext`` puts the tree on lines. The constraint: reading the text gives the same scenario; what cannot be written so
that it comes back is refused by name, and never written almost right. Keeping the text that a scenario was read from
was refused: what is imported, recorded or shrunk never had one.

What a scenario does not hold cannot come back: the matrix and the variables were filled in when it was read, and bases
and defaults stand in what they were given to.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import PurePath
from typing import Final, TypeVar, assert_never, cast

from simkit.errors import UsageError
from simkit.language.events import MAIN_VALUES
from simkit.language.instants import format_start
from simkit.language.nodes import DEPTH_MAX
from simkit.language.shapes import Fact, ListOf, Names, Shape, Span, Text
from simkit.language.spec import EXPECT, FORMAT
from simkit.language.yamltext import (
    KEY_MAX,
    MARKS,
    NULL,
    NUMBER_DIGITS_MAX,
    Commented,
    Inline,
    Noted,
    Tree,
    as_text,
    comment_lines,
    filled,
    list_lines,
    mapping_lines,
    refuse,
)
from simkit.model.duration import FOREVER, NS_PER_S, format_duration, parse_duration
from simkit.model.scenario import (
    STARTS_NS,
    EventPattern,
    Expectation,
    Exploring,
    LawUse,
    Limits,
    Link,
    LinkDown,
    LinkFault,
    LinkHeld,
    LinkReset,
    Matcher,
    Scenario,
    ToolSpec,
    UserAct,
    UserCancels,
    UserLeaves,
    UserNote,
    UserSays,
)
from simkit.model.timeline import (
    ANYTIME,
    NO_INDEX,
    Answer,
    Args,
    BackgroundReply,
    Call,
    CassetteReply,
    Chunk,
    Disconnect,
    Done,
    Fault,
    Finish,
    Garble,
    KeepAlive,
    Name,
    Pace,
    Raw,
    Refuse,
    Repeat,
    Say,
    Stall,
    StatusReply,
    Step,
    StreamReply,
    Think,
    UnreachableReply,
    Usage,
    Wait,
    When,
    holes,
    job_end,
)

# Arguments may stand deep inside a file; below this they are written as text.
_ARGS_DEPTH_MAX: Final = DEPTH_MAX - 15
_HEX_BYTES_PER_LINE: Final = 32

T = TypeVar("T")


def write(
    scenario: Scenario,
    *,
    laws: Mapping[str, str | None] | None = None,
    head: str = "",
    notes: Mapping[int, str] | None = None,
    plan_note: str = "",
) -> str:
    """Return the text of a scenario file.

    ``laws`` maps each law to its parameter's kind, as the reader is told it; a scenario that gives a law no value
    needs none. ``head`` is a comment above everything, ``notes`` are comments above answers, by their index,
    and ``plan_note`` is one above the plan. Paths of
    cassettes are written from the folder of ``scenario.file``. Raises ``UsageError`` for what no text stands for.
    """
    answers = Noted([_answer(answer) for answer in scenario.provider], notes or {})
    keys: dict[str, Tree] = {
        "simkit": FORMAT,
        "scenario": scenario.title,
        "about": scenario.about or _LEFT_OUT,
        "refs": _line(scenario.refs),
        "tags": _line(scenario.tags),
        "subject": _but(scenario.subject, "agent"),
        "settings": dict(scenario.settings) or _LEFT_OUT,
        "user": [_user(act) for act in scenario.user] or _LEFT_OUT,
        "provider": answers,
        "tools": {name: _tool(tool) for name, tool in scenario.tools.items()} or _LEFT_OUT,
        "hosts": {name: Inline(_host(reply, scenario.file)) for name, reply in scenario.hosts.items()} or _LEFT_OUT,
        "network": {host: _link(link) for host, link in scenario.network.items()} or _LEFT_OUT,
        "expect": _expect(scenario.expect) or _LEFT_OUT,
        "always": [_law(use, laws or {}) for use in scenario.always] or _LEFT_OUT,
        "sometimes": [_event(event) for event in scenario.sometimes] or _LEFT_OUT,
        "explore": _line(_exploring(scenario.explore)),
        "plan": Commented(scenario.plan, plan_note) if scenario.plan else _LEFT_OUT,
        "skip": scenario.skip or _LEFT_OUT,
        "xfail": scenario.xfail or _LEFT_OUT,
        "limits": _line(_limits(scenario.limits)),
        "starts": _LEFT_OUT if scenario.starts_ns == STARTS_NS else format_start(scenario.starts_ns),
        "catches": _line(scenario.catches),
    }
    return as_text([*comment_lines(head), *mapping_lines(_kept(keys))])


def write_answers(answers: Iterable[Answer]) -> str:
    """Return answers as the YAML list that stands under ``provider:``. Raises ``UsageError`` as ``write`` does."""
    items = [_answer(answer) for answer in answers]
    return as_text(list_lines(items) if items else ["[]"])


# -- trees ---------------------------------------------------------------------------------------------------------
class _LeftOut:
    """The type of ``_LEFT_OUT``: a key that says nothing that does not hold without it."""


_LEFT_OUT: Final = _LeftOut()


def _kept(keys: Mapping[str, Tree]) -> dict[str, Tree]:
    return {key: value for key, value in keys.items() if value is not _LEFT_OUT}


def _but(value: T, default: object) -> T | _LeftOut:
    return _LEFT_OUT if value == default else value


def _given(value: T | None) -> T | _LeftOut:
    return _LEFT_OUT if value is None else value


def _line(values: Sequence[object] | Mapping[str, object]) -> Tree:
    return Inline(values) if values else _LEFT_OUT


def _span(ns: int, default: int | None = None) -> Tree:
    return _LEFT_OUT if ns == default else format_duration(ns)


# -- steps ---------------------------------------------------------------------------------------------------------
def _index(index: int | None) -> Tree:
    return "none" if index == NO_INDEX else _given(index)


def _call(step: Call) -> dict[str, Tree]:
    args = _LEFT_OUT if step.args is None else _json(step.args)
    return {"call": step.name, "args": args, "id": _given(step.id), "index": _index(step.index)}


def _think(step: Think) -> dict[str, Tree]:
    return {"think": step.text, "pieces": _but(step.pieces, 1), "signature": _given(step.signature)}


def _args(step: Args) -> dict[str, Tree]:
    return {"args": _json(step.text), "index": _index(step.index), "pieces": _but(step.pieces, 1)}


def _fault(step: Fault) -> dict[str, Tree]:
    form = _but(step.form, "event")
    return {"error": step.text, "type": _given(step.type), "code": _given(step.code), "form": form}


def _keepalive(step: KeepAlive) -> dict[str, Tree]:
    return {"keepalive": Inline({"every": _span(step.every_ns), "for": _span(step.for_ns)})}


def _usage(step: Usage) -> dict[str, Tree]:
    tokens = {
        "input": step.input_tokens,
        "output": step.output_tokens,
        "cached": _but(step.cached_tokens, 0),
        "thinking": _but(step.thinking_tokens, 0),
    }
    return {"usage": Inline(_kept(tokens))}


def _raw(step: Raw) -> dict[str, Tree]:
    try:
        text = step.data.decode()
    except UnicodeDecodeError:
        return {"raw": {"hex": _hex(step.data)}}
    return {"raw": {"hex": _hex(step.data)} if MARKS.search(text) else text}


def _hex(data: bytes) -> str:
    lines = (data[n : n + _HEX_BYTES_PER_LINE] for n in range(0, len(data), _HEX_BYTES_PER_LINE))
    return "\n".join(line.hex(" ") for line in lines)


# Each step with its verb first.
_STEPS: Final[Mapping[type[Step], Callable[..., dict[str, Tree]]]] = {
    Say: lambda s: {"say": s.text, "pieces": _but(s.pieces, 1)},
    Think: _think,
    Refuse: lambda s: {"refuse": s.text},
    Call: _call,
    Args: _args,
    Name: lambda s: {"name": s.text, "index": _index(s.index)},
    Chunk: lambda s: {"chunk": NULL if s.kind == "null" else s.kind},
    Wait: lambda s: {"wait": _span(s.ns)},
    Stall: lambda s: {"stall": _span(s.ns)},
    Pace: lambda s: {"pace": _span(s.ns)},
    KeepAlive: _keepalive,
    Usage: _usage,
    Finish: lambda s: {"finish": s.reason, "wire": _given(s.wire)},
    Fault: _fault,
    Disconnect: lambda s: {"disconnect": s.how},
    Garble: lambda s: {"garble": s.how},
    Raw: _raw,
    Repeat: lambda s: {"repeat": s.times},
}


def _steps(steps: Iterable[Step]) -> list[Tree]:
    return ["done" if isinstance(step, Done) else _kept(_STEPS[type(step)](step)) for step in steps]


def _json(text: str) -> Tree:
    """Return JSON text as a mapping where reading that gives this very text; else as the text."""
    try:
        value = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError, UsageError):
        return text
    whole = isinstance(value, dict) and json.dumps(value, ensure_ascii=False) == text
    return Inline(value) if whole and _is_tree(value, _ARGS_DEPTH_MAX) else text


def _is_tree(value: object, depth: int) -> bool:
    """Say whether the language can hold this JSON value as a tree."""
    match value:
        case dict():
            keys = all(_is_plain_key(key) for key in value)
            return depth > 0 and keys and all(_is_tree(item, depth - 1) for item in value.values())
        case list():
            return depth > 0 and all(_is_tree(item, depth - 1) for item in value)
        case str():
            return _is_text(value)
        case int() | float():
            return math.isfinite(value) and len(str(value)) <= NUMBER_DIGITS_MAX
    return True


def _is_plain_key(key: str) -> bool:
    # A captured value cannot stand in a key, and merge keys are not part of the language.
    return key != "<<" and len(key) < KEY_MAX and not holes(key) and _is_text(key)


def _is_text(text: str) -> bool:
    try:
        filled(text)
    except UsageError:
        return False
    return True


# -- answers -------------------------------------------------------------------------------------------------------
def _answer(answer: Answer) -> dict[str, Tree]:
    return _kept(
        {
            "times": "any" if answer.times is None else _but(answer.times, 1),
            "when": _LEFT_OUT if answer.when == ANYTIME else Inline(_when(answer.when)),
            "capture": dict(answer.capture) or _LEFT_OUT,
            "after": _span(answer.after_ns, 0),
            "chunks": Inline({"bytes": answer.chunks})
            if isinstance(answer.chunks, int)
            else _but(answer.chunks, "frame"),
            **_reply(answer.reply),
        }
    )


def _when(when: When) -> dict[str, Tree]:
    return _kept({one.name: _given(getattr(when, one.name)) for one in fields(when)})


def _reply(reply: StreamReply | BackgroundReply | StatusReply | UnreachableReply | CassetteReply) -> dict[str, Tree]:
    match reply:
        case StreamReply():
            headers = _headers(reply.headers)
            return {"headers": headers, "gzip": _but(reply.gzip, False), "stream": _steps(reply.steps)}
        case BackgroundReply():
            return {"background": _background(reply)}
        case StatusReply():
            return _status(reply)
        case UnreachableReply():
            return {"connection": reply.how}
        case CassetteReply():
            return {"cassette": reply.path}


def _headers(headers: Mapping[str, str]) -> Tree:
    return _line(dict(headers))


def _status(reply: StatusReply) -> dict[str, Tree]:
    return {
        "status": reply.status,
        "error": _given(reply.error),
        "type": _given(reply.type),
        "code": _given(reply.code),
        "retry_after": _LEFT_OUT if reply.retry_after is None else _retry_after(reply.retry_after),
        "headers": _headers(reply.headers),
        "body": _given(reply.body),
    }


def _retry_after(text: str) -> str:
    """Return what the reader makes this header's text of: a duration where it is a number of seconds."""
    if re.fullmatch(r"0|[1-9][0-9]{0,8}", text):
        return format_duration(int(text) * NS_PER_S)
    try:
        parse_duration(text)
    except ValueError:
        return text
    return refuse(f"a retry-after of {text!r}, which is read as a duration; write it as a header")


def _background(reply: BackgroundReply) -> dict[str, Tree]:
    default = BackgroundReply()
    keys: dict[str, Tree] = {
        "queued": _span(reply.queued_ns, default.queued_ns),
        "in_progress": _span(reply.in_progress_ns, default.in_progress_ns),
        "ends": _but(reply.ends, job_end(reply.steps)),
        "error": _given(reply.error),
        "expires": _span(reply.expires_ns, default.expires_ns),
        "window": _span(reply.window_ns, default.window_ns),
        "polls": {number: Inline(_kept(_reply(poll))) for number, poll in reply.polls.items()} or _LEFT_OUT,
        "stream": _steps(reply.steps) or _LEFT_OUT,
    }
    return _kept(keys)


# -- the rest of the world -----------------------------------------------------------------------------------------
def _user(act: UserAct) -> dict[str, Tree]:
    # The instant may be a default, but a list of what happens when reads better with all its times.
    at = _span(act.at_ns)
    match act:
        case UserSays():
            return {"at": at, "says": act.text}
        case UserNote():
            return {"at": at, "note": act.text}
        case UserCancels():
            return {"at": at, "cancels": True}
        case UserLeaves():
            return {"at": at, "leaves": True}
    assert_never(act)


def _tool(tool: ToolSpec) -> Tree:
    keys: dict[str, Tree] = {
        "takes": _span(tool.takes_ns, 0),
        "returns": _but(tool.returns, "ok"),
        "raises": _given(tool.raises),
        "raises_as": _given(tool.raises_as),
        "fails": _given(tool.fails),
        "ignores_cancel": _but(tool.ignores_cancel, False),
        "cancel_takes": _span(tool.cancel_takes_ns, 0),
        "blocks": _but(tool.blocks, False),
        "side_effect": _given(tool.side_effect),
    }
    return Inline(_kept(keys) or {"returns": "ok"})


def _host(reply: StatusReply | UnreachableReply | CassetteReply, file: str) -> dict[str, Tree]:
    if isinstance(reply, CassetteReply):
        path = os.path.relpath(reply.path, os.path.dirname(file) or ".")
        return {"cassette": PurePath(path).as_posix()}
    return _kept(_reply(reply))


def _link(link: Link) -> Tree:
    faults = [Inline(_link_fault(fault)) for fault in link.faults]
    keys = _kept({"latency": _span(link.latency_ns, 0), "faults": faults or _LEFT_OUT})
    return keys if faults else Inline(keys)


def _link_fault(fault: LinkFault) -> dict[str, Tree]:
    at = _span(fault.at_ns)
    match fault:
        case LinkReset():
            return {"at": at, "reset": True}
        case LinkHeld():
            return {"at": at, "hold": _span(fault.for_ns)}
        case LinkDown():
            return _kept({"at": at, "connection": fault.how, "for": _span(fault.for_ns, FOREVER)})
    assert_never(fault)


def _exploring(explore: Exploring) -> dict[str, Tree]:
    default = Exploring()
    return _kept(
        {
            "runs": _but(explore.runs, default.runs),
            "faults": _line(explore.faults),
            "where": _line(explore.where),
            "shift": _span(explore.shift_ns, default.shift_ns),
            "jitter": _span(explore.jitter_ns, default.jitter_ns),
            "order": _but(explore.order, default.order),
            "sweep": _but(explore.sweep, default.sweep),
            "heal": _LEFT_OUT if explore.heal_ns is None else _span(explore.heal_ns),
        }
    )


def _limits(limits: Limits) -> dict[str, Tree]:
    default = Limits()
    return _kept(
        {
            "time": _span(limits.time_ns, default.time_ns),
            "requests": _but(limits.requests, default.requests),
            "steps": _but(limits.steps, default.steps),
        }
    )


def _law(use: LawUse, laws: Mapping[str, str | None]) -> Tree:
    if use.off:
        return Inline({"off": use.law, "because": use.because})
    if use.value is None:
        return use.law
    if use.law not in laws:
        refuse(f"the value of the law {use.law!r}, whose kind only the law knows; pass the table of laws")
    value = format_duration(cast(int, use.value)) if laws[use.law] == "duration" else use.value
    return {use.law: value}


# -- facts ---------------------------------------------------------------------------------------------------------
def _expect(expected: Iterable[Expectation]) -> dict[str, Tree]:
    shapes: dict[str, Shape] = {key.name: key.shape for key in EXPECT.keys}
    tree: dict[str, Tree] = {}
    for one in expected:
        shape = shapes[one.fact]
        if one.key is not None:
            inner = shape.item if isinstance(shape, Names) else shape
            named = cast("Inline[dict[str, Tree]]", tree.setdefault(one.fact, Inline({})))
            named.value[one.key] = _matched(one.matchers[0], inner)
        elif one.fact == "events":
            tree[one.fact] = [_event(cast(EventPattern, matcher.value)) for matcher in one.matchers]
        elif isinstance(shape, ListOf):
            tree[one.fact] = Inline([_matched(matcher, shape.item) for matcher in one.matchers])
        else:
            tree[one.fact] = _matched(one.matchers[0], shape)
    return tree


def _event(pattern: EventPattern) -> Tree:
    main, values = MAIN_VALUES.get(pattern.kind), pattern.values
    if not values and pattern.at is None:
        return pattern.kind
    said: Tree = Inline({name: _held(matcher) for name, matcher in values.items()}) if values else None
    if main is not None and list(values) == [main]:
        said = _held(values[main])
    if pattern.at is None:
        return {pattern.kind: said}
    return Inline({pattern.kind: said, "at": _matched(pattern.at, Fact(of=Span()))})


def _held(matcher: Matcher) -> Tree:
    return matcher.value if matcher.op == "holds" else _matched(matcher, Fact(of=Text()))


def _matched(matcher: Matcher, shape: Shape) -> Tree:
    fact = shape if isinstance(shape, Fact) else None
    timed = fact is not None and isinstance(fact.of, Span) and matcher.op != "matches"
    operand = _operand(matcher.value, timed=timed)
    if matcher.op == "exactly" or (fact is not None and fact.op == matcher.op):
        return operand
    return Inline({matcher.op: operand})


def _operand(value: object, *, timed: bool) -> Tree:
    if isinstance(value, tuple):
        return Inline([_operand(item, timed=timed) for item in value])
    return format_duration(value) if timed and isinstance(value, int) else value
