"""What was read becomes a ``Scenario``: where the language's words turn into the model's values.

The idea: by now every value has its right shape, so building is a lookup for each verb and cannot fail; the
few rules that no table of shapes can say (what may follow what) are checked first. The constraint: each value
of the model carries the place it came from, for reports to point at. Building while walking was refused:
half-built scenarios would need a meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, cast

from simkit.language.problems import Problems
from simkit.language.walker import Entry
from simkit.model.duration import FOREVER
from simkit.model.scenario import Expectation, LawUse, Limits, Matcher, Scenario, ToolSpec, UserSays
from simkit.model.timeline import (
    Answer,
    Args,
    Call,
    Disconnect,
    Done,
    Finish,
    FinishReason,
    HangUp,
    KeepAlive,
    Pace,
    Reply,
    Say,
    Stall,
    StatusReply,
    Step,
    StreamReply,
    Unreachable,
    UnreachableReply,
    Usage,
    Wait,
)


# -- reading an entry: the walker has checked the types, so a wrong one here is a fault of the table
def _text(entry: Entry, key: str, default: str = "") -> str:
    value = entry.values.get(key, default)
    assert isinstance(value, str), key
    return value


def _maybe_text(entry: Entry, key: str) -> str | None:
    return _text(entry, key) if key in entry.values else None


def _whole(entry: Entry, key: str, default: int = 0) -> int:
    value = entry.values.get(key, default)
    assert isinstance(value, int), key
    return value


def _maybe_whole(entry: Entry, key: str) -> int | None:
    return _whole(entry, key) if key in entry.values else None


def _inner(entry: Entry, key: str) -> Entry:
    value = entry.values.get(key, Entry(entry.place, {}))
    assert isinstance(value, Entry), key
    return value


def _entries(entry: Entry, key: str) -> Iterator[Entry]:
    items = entry.values.get(key, ())
    assert isinstance(items, tuple), key
    for item in items:
        assert isinstance(item, Entry), key
        yield item


def _texts(entry: Entry, key: str) -> tuple[str, ...]:
    items = entry.values.get(key, ())
    assert isinstance(items, tuple), key
    return tuple(str(item) for item in items)


# -- rules between values --------------------------------------------------------------------------
def check(scenario: Entry, problems: Problems) -> None:
    """Note what no shape can say. Copes with values that are missing because they were wrong."""
    for answer in _entries(scenario, "provider"):
        if answer.verb == "stream":
            _check_timeline(list(_entries(answer, "stream")), problems)
    _check_laws(list(_entries(scenario, "always")), problems)


def _check_timeline(steps: list[Entry], problems: Problems) -> None:
    called, end = False, None
    for step in steps:
        if end is not None:
            text = f"this step is never played: the stream is over after {end.verb!r} on line {end.place.line}"
            problems.add(step.place, text, "move it up or take it out")
            return
        if step.verb == "args" and not called and "index" not in step.values:
            problems.add(step.place, "no call is open that these arguments could belong to", "write a call above them")
        called = called or step.verb == "call"
        end = step if _is_end(step) else None


def _is_end(step: Entry) -> bool:
    return step.verb == "disconnect" or (step.verb == "stall" and step.values.get("stall") == FOREVER)


def _check_laws(laws: list[Entry], problems: Problems) -> None:
    first: dict[str, Entry] = {}
    for law in laws:
        if law.verb in first:
            line = first[law.verb].place.line
            problems.add(law.place, f"the law {law.verb!r} stands twice", f"the first is on line {line}")
        first.setdefault(law.verb, law)


# -- the timeline ----------------------------------------------------------------------------------
def _say(e: Entry) -> Step:
    return Say(text=_text(e, "say"), place=e.place)


def _call(e: Entry) -> Step:
    return Call(
        name=_text(e, "call"),
        args=_maybe_text(e, "args"),
        id=_maybe_text(e, "id"),
        index=_maybe_whole(e, "index"),
        place=e.place,
    )


def _args(e: Entry) -> Step:
    return Args(text=_text(e, "args"), index=_maybe_whole(e, "index"), place=e.place)


def _wait(e: Entry) -> Step:
    return Wait(ns=_whole(e, "wait"), place=e.place)


def _stall(e: Entry) -> Step:
    return Stall(ns=_whole(e, "stall"), place=e.place)


def _pace(e: Entry) -> Step:
    return Pace(ns=_whole(e, "pace"), place=e.place)


def _keepalive(e: Entry) -> Step:
    spans = _inner(e, "keepalive")
    return KeepAlive(every_ns=_whole(spans, "every"), for_ns=_whole(spans, "for"), place=e.place)


def _usage(e: Entry) -> Step:
    tokens = _inner(e, "usage")
    return Usage(input_tokens=_whole(tokens, "input"), output_tokens=_whole(tokens, "output"), place=e.place)


def _finish(e: Entry) -> Step:
    return Finish(reason=cast(FinishReason, _text(e, "finish")), place=e.place)


def _done(e: Entry) -> Step:
    return Done(place=e.place)


def _disconnect(e: Entry) -> Step:
    return Disconnect(how=cast(HangUp, _text(e, "disconnect")), place=e.place)


STEPS: Final[Mapping[str, Callable[[Entry], Step]]] = {
    "say": _say,
    "call": _call,
    "args": _args,
    "wait": _wait,
    "stall": _stall,
    "pace": _pace,
    "keepalive": _keepalive,
    "usage": _usage,
    "finish": _finish,
    "done": _done,
    "disconnect": _disconnect,
}


def _stream(e: Entry) -> Reply:
    return StreamReply(steps=tuple(STEPS[step.verb](step) for step in _entries(e, "stream")))


def _status(e: Entry) -> Reply:
    return StatusReply(
        status=_whole(e, "status"),
        error=_maybe_text(e, "error"),
        retry_after=_maybe_text(e, "retry_after"),
        headers={name: str(value) for name, value in _inner(e, "headers").values.items()},
        body=_maybe_text(e, "body"),
    )


def _connection(e: Entry) -> Reply:
    return UnreachableReply(how=cast(Unreachable, _text(e, "connection")))


REPLIES: Final[Mapping[str, Callable[[Entry], Reply]]] = {
    "stream": _stream,
    "status": _status,
    "connection": _connection,
}


# -- the scenario ----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a scenario comes from: its file as shown, the text of the file, and the row of its matrix."""

    file: str
    source: str
    row: str


def build(e: Entry, origin: Origin) -> Scenario:
    """Return the scenario of an entry in which nothing is wrong."""
    settings = _inner(e, "settings")
    return Scenario(
        title=_text(e, "scenario"),
        provider=tuple(_answer(answer) for answer in _entries(e, "provider")),
        file=origin.file,
        source=origin.source,
        row=origin.row,
        about=_text(e, "about"),
        refs=_texts(e, "refs"),
        tags=_texts(e, "tags"),
        subject=_text(e, "subject", "agent"),
        settings=settings.values,
        settings_places=settings.places,
        # By time, as the world meets them; messages of one instant keep the order of the file.
        user=tuple(sorted((_user(says) for says in _entries(e, "user")), key=lambda says: says.at_ns)),
        tools={name: _tool(name, _inner(_inner(e, "tools"), name)) for name in _inner(e, "tools").values},
        hosts={name: _host(_inner(_inner(e, "hosts"), name)) for name in _inner(e, "hosts").values},
        expect=tuple(_expectations(_inner(e, "expect"))),
        always=tuple(_law(law) for law in _entries(e, "always")),
        limits=_limits(_inner(e, "limits")),
        catches=_texts(e, "catches"),
        subject_place=e.places.get("subject"),
    )


def _answer(e: Entry) -> Answer:
    return Answer(reply=REPLIES[e.verb](e), times=_whole(e, "times", 1), place=e.place)


def _host(e: Entry) -> Reply:
    return REPLIES[e.verb](e)


def _user(e: Entry) -> UserSays:
    return UserSays(at_ns=_whole(e, "at"), text=_text(e, "says"), place=e.place)


def _tool(name: str, e: Entry) -> ToolSpec:
    return ToolSpec(
        name=name,
        takes_ns=_whole(e, "takes"),
        returns=e.values.get("returns", "ok"),
        raises=_maybe_text(e, "raises"),
        place=e.place,
    )


def _expectations(e: Entry) -> Iterator[Expectation]:
    for fact, value in e.values.items():
        place = e.places[fact]
        match value:
            case Matcher():
                yield Expectation(fact=fact, matchers=(value,), place=place)
            case tuple():
                yield Expectation(fact=fact, matchers=cast("tuple[Matcher, ...]", value), place=place)
            case Entry():
                for key, matcher in value.values.items():
                    one = cast(Matcher, matcher)
                    yield Expectation(fact=fact, key=key, matchers=(one,), place=value.places[key])


def _law(e: Entry) -> LawUse:
    return LawUse(
        law=e.verb,
        value=e.values.get("value"),
        off="off" in e.values,
        because=_text(e, "because"),
        place=e.place,
    )


def _limits(e: Entry) -> Limits:
    default = Limits()
    return Limits(
        time_ns=_whole(e, "time", default.time_ns),
        requests=_whole(e, "requests", default.requests),
        steps=_whole(e, "steps", default.steps),
    )
