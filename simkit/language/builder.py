"""What was read becomes a ``Scenario``: where the language's words turn into the model's values.

The idea: by now every value has its right shape, so building is a lookup for each verb and cannot fail; what
no table of shapes can say, ``rules`` has checked. The constraint: each value of the model carries the place it
came from, for reports to point at. Building while walking was refused:
half-built scenarios would need a meaning.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from simkit.language.entry import Entry
from simkit.language.events import MAIN_VALUES
from simkit.language.rules import same_cell
from simkit.model.duration import FOREVER
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
    RaisedType,
    Scenario,
    StrikePlace,
    Sweep,
    ToolSpec,
    UserAct,
    UserCancels,
    UserLeaves,
    UserNote,
    UserSays,
)
from simkit.model.timeline import (
    NO_INDEX,
    Answer,
    Args,
    BackgroundReply,
    Call,
    CassetteReply,
    Chunk,
    Chunking,
    ChunkKind,
    Damage,
    Disconnect,
    Done,
    ErrorForm,
    Fault,
    Finish,
    FinishReason,
    Garble,
    HangUp,
    HostReply,
    JobEnd,
    KeepAlive,
    Name,
    Pace,
    Raw,
    Refuse,
    Repeat,
    Reply,
    Say,
    Stall,
    StatusReply,
    Step,
    StreamReply,
    Think,
    Unreachable,
    UnreachableReply,
    Usage,
    Wait,
    When,
    job_end,
)


# -- the timeline ----------------------------------------------------------------------------------
def _say(e: Entry) -> Step:
    return Say(text=e.text("say"), pieces=e.whole("pieces", 1), place=e.place)


def _think(e: Entry) -> Step:
    return Think(text=e.text("think"), signature=e.maybe_text("signature"), pieces=e.whole("pieces", 1), place=e.place)


def _refuse(e: Entry) -> Step:
    return Refuse(text=e.text("refuse"), place=e.place)


def _call(e: Entry) -> Step:
    return Call(
        name=e.text("call"),
        args=e.maybe_text("args"),
        id=e.maybe_text("id"),
        index=_index(e),
        place=e.place,
    )


def _args(e: Entry) -> Step:
    return Args(text=e.text("args"), index=_index(e), pieces=e.whole("pieces", 1), place=e.place)


def _name(e: Entry) -> Step:
    return Name(text=e.text("name"), index=_index(e), place=e.place)


def _index(e: Entry) -> int | None:
    return NO_INDEX if e.values.get("index") == "none" else e.maybe_whole("index")


def _chunk(e: Entry) -> Step:
    return Chunk(kind=cast(ChunkKind, e.text("chunk")), place=e.place)


def _wait(e: Entry) -> Step:
    return Wait(ns=e.whole("wait"), place=e.place)


def _stall(e: Entry) -> Step:
    return Stall(ns=e.whole("stall"), place=e.place)


def _pace(e: Entry) -> Step:
    return Pace(ns=e.whole("pace"), place=e.place)


def _keepalive(e: Entry) -> Step:
    spans = e.inner("keepalive")
    return KeepAlive(every_ns=spans.whole("every"), for_ns=spans.whole("for"), place=e.place)


def _usage(e: Entry) -> Step:
    tokens = e.inner("usage")
    return Usage(
        input_tokens=tokens.whole("input"),
        output_tokens=tokens.whole("output"),
        cached_tokens=tokens.whole("cached"),
        thinking_tokens=tokens.whole("thinking"),
        place=e.place,
    )


def _finish(e: Entry) -> Step:
    return Finish(reason=cast(FinishReason, e.text("finish")), wire=e.maybe_text("wire"), place=e.place)


def _done(e: Entry) -> Step:
    return Done(place=e.place)


def _error(e: Entry) -> Step:
    return Fault(
        text=e.text("error"),
        type=e.maybe_text("type"),
        code=e.maybe_text("code"),
        form=cast(ErrorForm, e.text("form", "event")),
        place=e.place,
    )


def _disconnect(e: Entry) -> Step:
    return Disconnect(how=cast(HangUp, e.text("disconnect")), place=e.place)


def _garble(e: Entry) -> Step:
    return Garble(how=cast(Damage, e.text("garble")), place=e.place)


def _raw(e: Entry) -> Step:
    if isinstance(e.values["raw"], str):
        return Raw(data=e.text("raw").encode(), place=e.place)
    written = e.inner("raw")
    read = bytes.fromhex if written.verb == "hex" else base64.b64decode
    return Raw(data=read(written.text(written.verb)), place=e.place)


def _repeat(e: Entry) -> Step:
    return Repeat(times=e.whole("repeat"), place=e.place)


STEPS: Final[Mapping[str, Callable[[Entry], Step]]] = {
    "say": _say,
    "think": _think,
    "refuse": _refuse,
    "call": _call,
    "args": _args,
    "name": _name,
    "chunk": _chunk,
    "wait": _wait,
    "stall": _stall,
    "pace": _pace,
    "keepalive": _keepalive,
    "usage": _usage,
    "finish": _finish,
    "done": _done,
    "error": _error,
    "disconnect": _disconnect,
    "garble": _garble,
    "raw": _raw,
    "repeat": _repeat,
}


# -- answers ---------------------------------------------------------------------------------------
def _steps(e: Entry) -> tuple[Step, ...]:
    return tuple(STEPS[step.verb](step) for step in e.entries("stream"))


def _stream(e: Entry) -> StreamReply:
    return StreamReply(steps=_steps(e), headers=e.named_texts("headers"), gzip=e.maybe_flag("gzip") or False)


def _background(e: Entry) -> BackgroundReply:
    job, default = e.inner("background"), BackgroundReply()
    polls, steps = job.inner("polls"), _steps(job)
    return BackgroundReply(
        steps=steps,
        queued_ns=job.whole("queued"),
        in_progress_ns=job.whole("in_progress"),
        ends=cast(JobEnd, job.text("ends", job_end(steps))),
        error=job.maybe_text("error"),
        polls={int(number): POLL_REPLIES[poll.verb](poll) for number in polls.values for poll in [polls.inner(number)]},
        window_ns=job.whole("window", default.window_ns),
        expires_ns=job.whole("expires", default.expires_ns),
    )


def _status(e: Entry) -> StatusReply:
    return StatusReply(
        status=e.whole("status"),
        error=e.maybe_text("error"),
        type=e.maybe_text("type"),
        code=e.maybe_text("code"),
        retry_after=e.maybe_text("retry_after"),
        headers=e.named_texts("headers"),
        body=e.maybe_text("body"),
    )


def _connection(e: Entry) -> UnreachableReply:
    return UnreachableReply(how=cast(Unreachable, e.text("connection")))


def _cassette(e: Entry) -> CassetteReply:
    return CassetteReply(path=e.text("cassette"))


POLL_REPLIES: Final[Mapping[str, Callable[[Entry], StatusReply | UnreachableReply]]] = {
    "status": _status,
    "connection": _connection,
}
REPLIES: Final[Mapping[str, Callable[[Entry], Reply]]] = {
    "stream": _stream,
    "background": _background,
    **POLL_REPLIES,
}
HOST_REPLIES: Final[Mapping[str, Callable[[Entry], HostReply]]] = {"cassette": _cassette, **POLL_REPLIES}


def _answer(e: Entry) -> Answer:
    return Answer(
        reply=REPLIES[e.verb](e),
        times=None if e.values.get("times") == "any" else e.whole("times", 1),
        when=_when(e.inner("when")),
        after_ns=e.whole("after"),
        capture=e.named_texts("capture"),
        chunks=_chunks(e),
        place=e.place,
    )


def _chunks(e: Entry) -> Chunking | int:
    if isinstance(e.values.get("chunks"), Entry):
        return e.inner("chunks").whole("bytes")
    return cast(Chunking, e.text("chunks", "frame"))


def _when(e: Entry) -> When:
    return When(
        host=e.maybe_text("host"),
        path=e.maybe_text("path"),
        model=e.maybe_text("model"),
        dialect=e.maybe_text("dialect"),
        stream=e.maybe_flag("stream"),
        turn=e.maybe_whole("turn"),
        contains=e.maybe_text("contains"),
        conversation=e.maybe_text("conversation"),
        has_tool_result=e.maybe_flag("has_tool_result"),
        connection=e.maybe_whole("connection"),
        retry=e.maybe_whole("retry"),
    )


# -- the scenario ----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a scenario comes from: its file as shown, the texts of it and its bases, and the row of its matrix."""

    file: str
    source: str
    row: str
    bases: Mapping[str, str] = field(default_factory=dict)
    cells: Mapping[str, object] = field(default_factory=dict)


def build(e: Entry, origin: Origin) -> Scenario:
    """Return the scenario of an entry in which nothing is wrong."""
    settings = e.inner("settings")
    return Scenario(
        title=e.text("scenario"),
        provider=tuple(_answer(answer) for answer in e.entries("provider")),
        file=origin.file,
        source=origin.source,
        bases=origin.bases,
        row=origin.row,
        about=e.text("about"),
        refs=e.texts("refs"),
        tags=e.texts("tags"),
        subject=e.text("subject", "agent"),
        settings=settings.values,
        settings_places=settings.places,
        # By time, as the world meets them; messages of one instant keep the order of the file.
        user=tuple(sorted((_user(act) for act in e.entries("user")), key=lambda act: act.at_ns)),
        tools=_tools(e.inner("tools")),
        hosts=_hosts(e.inner("hosts")),
        expect=tuple(_expectations(e.inner("expect"))),
        always=tuple(_law(law) for law in e.entries("always")),
        sometimes=tuple(_event(event) for event in e.entries("sometimes")),
        explore=_exploring(e.inner("explore")) if "explore" in e.values else Exploring(),
        plan=e.text("plan"),
        network=_network(e.inner("network")),
        skip=_excuse(e, "skip", origin.cells),
        xfail=_excuse(e, "xfail", origin.cells),
        starts_ns=e.whole("starts", STARTS_NS),
        limits=_limits(e.inner("limits")),
        catches=e.texts("catches"),
        subject_place=e.places.get("subject"),
    )


def _user(e: Entry) -> UserAct:
    at_ns = e.whole("at")
    match e.verb:
        case "cancels":
            return UserCancels(at_ns=at_ns, place=e.place)
        case "leaves":
            return UserLeaves(at_ns=at_ns, place=e.place)
        case "note":
            return UserNote(at_ns=at_ns, text=e.text("note"), place=e.place)
    return UserSays(at_ns=at_ns, text=e.text("says"), place=e.place)


def _hosts(e: Entry) -> dict[str, HostReply]:
    return {name: HOST_REPLIES[host.verb](host) for name in e.values for host in [e.inner(name)]}


def _network(e: Entry) -> dict[str, Link]:
    return {host: _link(e.inner(host)) for host in e.values}


def _link(e: Entry) -> Link:
    faults = tuple(_link_fault(fault) for fault in e.entries("faults"))
    return Link(latency_ns=e.whole("latency"), faults=faults, place=e.place)


def _link_fault(e: Entry) -> LinkFault:
    at_ns = e.whole("at")
    match e.verb:
        case "reset":
            return LinkReset(at_ns=at_ns, place=e.place)
        case "hold":
            return LinkHeld(at_ns=at_ns, for_ns=e.whole("hold"), place=e.place)
    how = cast(Unreachable, e.text("connection"))
    return LinkDown(at_ns=at_ns, for_ns=e.whole("for", FOREVER), how=how, place=e.place)


def _tools(e: Entry) -> dict[str, ToolSpec]:
    return {name: _tool(name, e.inner(name)) for name in e.values}


def _tool(name: str, e: Entry) -> ToolSpec:
    return ToolSpec(
        name=name,
        takes_ns=e.whole("takes"),
        returns=e.values.get("returns", "ok"),
        raises=e.maybe_text("raises"),
        raises_as=cast(RaisedType | None, e.maybe_text("raises_as")),
        fails=e.maybe_text("fails"),
        ignores_cancel=bool(e.maybe_flag("ignores_cancel")),
        cancel_takes_ns=e.whole("cancel_takes"),
        blocks=bool(e.maybe_flag("blocks")),
        side_effect=e.maybe_text("side_effect"),
        place=e.place,
    )


def _expectations(e: Entry) -> Iterator[Expectation]:
    for fact, value in e.values.items():
        place = e.places[fact]
        match value:
            case Matcher():
                yield Expectation(fact=fact, matchers=(value,), place=place)
            case tuple() if fact == "events":
                occurs = tuple(Matcher(op="occurs", value=_event(event)) for event in e.entries(fact))
                yield Expectation(fact=fact, matchers=occurs, place=place)
            case tuple():
                yield Expectation(fact=fact, matchers=cast("tuple[Matcher, ...]", value), place=place)
            case Entry():
                for key, matcher in value.values.items():
                    one = cast(Matcher, matcher)
                    yield Expectation(fact=fact, key=key, matchers=(one,), place=value.places[key])


def _event(e: Entry) -> EventPattern:
    """Return the pattern of an event: of its main value alone, of several values by name, or of its kind alone."""
    value = e.values[e.verb]
    if isinstance(value, Entry):
        values = {name: _held(one) for name, one in value.values.items()}
    else:
        values = {MAIN_VALUES[e.verb]: value} if isinstance(value, Matcher) else {}
    return EventPattern(kind=e.verb, values=values, at=cast("Matcher | None", e.values.get("at")), place=e.place)


def _held(value: object) -> Matcher:
    """Return the matcher of a value that was written without one: of a mapping, the keys that are there must be."""
    if isinstance(value, Matcher):
        return value
    return Matcher(op="holds" if isinstance(value, dict) else "exactly", value=value)


def _law(e: Entry) -> LawUse:
    return LawUse(
        law=e.verb,
        value=e.values.get("value"),
        off="off" in e.values,
        because=e.text("because"),
        place=e.place,
    )


def _limits(e: Entry) -> Limits:
    default = Limits()
    return Limits(
        time_ns=e.whole("time", default.time_ns),
        requests=e.whole("requests", default.requests),
        steps=e.whole("steps", default.steps),
    )


def _exploring(e: Entry) -> Exploring:
    return Exploring(
        runs=e.whole("runs"),
        faults=e.texts("faults"),
        where=cast("tuple[StrikePlace, ...]", e.texts("where")),
        shift_ns=e.whole("shift"),
        jitter_ns=e.whole("jitter"),
        order=e.text("order", "timing"),
        sweep=cast(Sweep, e.text("sweep", "none")),
        heal_ns=e.maybe_whole("heal"),
        place=e.place,
    )


def _excuse(e: Entry, key: str, cells: Mapping[str, object]) -> str:
    """Return why this row is skipped or must fail; empty where it need not."""
    if not isinstance(e.values.get(key), Entry):
        return e.text(key)
    excuse = e.inner(key)
    wanted = excuse.inner("when").values
    return excuse.text("because") if all(same_cell(cells[name], value) for name, value in wanted.items()) else ""
