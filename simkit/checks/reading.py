"""How laws read a trace: requests with their answers, turns with their requests, calls with their delivery.

The idea: the same three groupings serve most laws, so they are made here, each in one pass over the events.
The constraint: nothing is guessed. An event that lacks what its kind promises raises, and the law that asked
becomes UNKNOWN instead of silent. One index built once for all laws was refused: it would have to be passed
outside the contract that a stranger's law is written against.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from simkit.model.duration import NS_PER_US, format_instant
from simkit.model.scenario import Scenario
from simkit.model.timeline import BackgroundReply, Disconnect, KeepAlive, Pace, Place, Step, StreamReply, Wait
from simkit.model.trace import Event, Trace

# Instants pass through floats at asyncio's door; what differs by less than this was meant to be equal.
ROUNDING_NS: Final = NS_PER_US

# The frames that carry something of the answer; nobody knows what raw bytes carry.
_CONTENT: Final = frozenset({"say", "think", "refuse", "call", "name", "args", "raw"})

# A sentence stays readable with this much of somebody's text in it.
_QUOTE_MAX: Final = 120


def limit(parameter: object) -> int:
    """Return the parameter of a law that takes a count or a duration."""
    if not isinstance(parameter, int) or isinstance(parameter, bool):
        raise TypeError(f"the law's parameter is {parameter!r}, expected a whole number")
    return parameter


def number(event: Event, name: str) -> int:
    """Return a value that must be a whole number. Raises ``ValueError`` naming the event when it is not."""
    value = event.get(name)
    if not isinstance(value, int):
        raise ValueError(f"event {event.n} ({event.kind}) has {value!r} as its {name}, expected a number")
    return value


def at(event: Event) -> str:
    """Return when it happened, as people read it."""
    return format_instant(event.at_ns)


def quoted(value: object) -> str:
    """Return a value as JSON text for a sentence, cut to a readable length."""
    text = json.dumps(value, ensure_ascii=False, default=lambda odd: type(odd).__name__)
    return text if len(text) <= _QUOTE_MAX else f"{text[: _QUOTE_MAX - 3]}..."


def times(count: int) -> str:
    """Return ``once``, ``twice`` or ``7 times``."""
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


# -- requests --------------------------------------------------------------------------------------
@dataclass(slots=True)
class Exchange:
    """One completion request and what became of it.

    ``piece`` is its last frame of content, ``step`` its last event that stands for a line of the script.
    """

    request: Event
    response: Event | None = None
    call: Event | None = None
    piece: Event | None = None
    step: Event | None = None
    end: Event | None = None

    @property
    def number(self) -> int:
        """The request's number in the run."""
        return number(self.request, "request")


def exchanges(trace: Trace) -> dict[int, Exchange]:
    """Return every completion request by its number, in order."""
    found: dict[int, Exchange] = {}
    for event in trace:
        if event.kind == "request":
            found[number(event, "request")] = Exchange(event)
        elif event.kind in ("response", "frame", "silence", "stream.end"):
            _add(found[number(event, "request")], event)
    return found


def _add(exchange: Exchange, event: Event) -> None:
    if event.kind == "response":
        exchange.response = event
    elif event.kind == "stream.end":
        exchange.end = event
    else:
        exchange.step = event
        if event.get("is") == "call":
            exchange.call = event
        if event.get("is") in _CONTENT:
            exchange.piece = event


def answer_place(scenario: Scenario, exchange: Exchange) -> Place | None:
    """Return where the scenario wrote what happened to this request: its last step, or else its answer."""
    index = exchange.response.get("answer") if exchange.response else None
    if not isinstance(index, int) or not 0 <= index < len(scenario.provider):
        return None
    answer = scenario.provider[index]
    step = exchange.step.get("step") if exchange.step else None
    if not isinstance(answer.reply, StreamReply | BackgroundReply) or not isinstance(step, int):
        return answer.place
    steps = answer.reply.steps
    ended = _hung_up(steps[step + 1 :], exchange.end)
    if ended is not None:
        return ended.place or answer.place
    return (steps[step].place if 0 <= step < len(steps) else None) or answer.place


def _hung_up(steps: Sequence[Step], end: Event | None) -> Step | None:
    """Return the step that ended a stream, where nothing that leaves an event of its own stands before it."""
    after = next((step for step in steps if not isinstance(step, Wait | Pace | KeepAlive)), None)
    same = isinstance(after, Disconnect) and end is not None and end.get("how") == after.how
    return after if same else None


# -- tools -----------------------------------------------------------------------------------------
@dataclass(slots=True)
class ToolRun:
    """One run of a tool. ``end`` is None where it had not ended when the run was over."""

    start: Event
    effects: list[Event] = field(default_factory=list)
    end: Event | None = None

    @property
    def tool(self) -> object:
        """The tool's name."""
        return self.start.get("tool")

    @property
    def key(self) -> Hashable:
        """What two runs of the same call have in common."""
        return same_call(self.tool, self.start.get("args"))

    def is_alive_at(self, n: int) -> bool:
        """Say whether it had begun and not ended when event ``n`` happened."""
        return self.start.n < n and (self.end is None or self.end.n > n)


def tool_runs(trace: Trace) -> list[ToolRun]:
    """Return every run of a tool, in order."""
    found: dict[object, ToolRun] = {}
    for event in trace.of("tool.start", "tool.effect", "tool.end"):
        run = event.get("run")
        if event.kind == "tool.start":
            found[run] = ToolRun(event)
        elif event.kind == "tool.effect":
            found[run].effects.append(event)
        else:
            found[run].end = event
    return list(found.values())


# -- turns -----------------------------------------------------------------------------------------
@dataclass(slots=True)
class Turn:
    """One message of the user and the work that it caused. ``end`` is None while the turn is open."""

    name: object
    requests: list[Event] = field(default_factory=list)
    end: Event | None = None


def turns(trace: Trace) -> tuple[list[Turn], list[Event]]:
    """Return the turns that the subject reported, and the requests that belong to none of them.

    A request belongs to the turn that was opened last. A subject that only says when a turn ended is read as
    if the turn had begun where the one before it ended.
    """
    found: list[Turn] = []
    opened: list[Turn] = []
    loose: list[Event] = []
    for event in trace.of("turn.start", "turn.end", "request"):
        if event.kind == "request":
            (opened[-1].requests if opened else loose).append(event)
        elif event.kind == "turn.start":
            opened.append(Turn(event.get("turn")))
            found.append(opened[-1])
        else:
            turn = next((t for t in opened if t.name == event.get("turn")), None)
            if turn is None:
                turn, loose = Turn(event.get("turn"), loose), []
                found.append(turn)
            else:
                opened.remove(turn)
            turn.end = event
    return found, loose


# -- calls -----------------------------------------------------------------------------------------
class Delivery(NamedTuple):
    """A whole tool call as the model delivered it.

    It counts from event ``n``: the first terminal marker of its stream, or the end of a stream that had none
    (``finished`` is then false).
    """

    n: int
    request: int
    id: object
    tool: str
    args: object
    finished: bool

    @property
    def key(self) -> Hashable:
        """What two runs of the same call have in common."""
        return same_call(self.tool, self.args)


def deliveries(trace: Trace) -> list[Delivery]:
    """Return the whole calls in the order in which they counted as delivered.

    The marker and not the end of the stream decides, because a server may hold the connection open long
    after it.
    """
    marked: dict[int, int] = {}
    found: list[Delivery] = []
    # A stream that was resumed ends more than once, and each of its ends tells all its calls.
    before: dict[int, set[object]] = {}
    for event in trace.of("frame", "stream.end"):
        if event.kind == "frame":
            if event.get("is") in ("finish", "done"):
                marked.setdefault(number(event, "request"), event.n)
            continue
        request = number(event, "request")
        finished = request in marked or is_whole(event)
        calls = [c for c in _mappings(event.get("calls")) if c.get("id") not in before.get(request, ())]
        before.setdefault(request, set()).update(c.get("id") for c in calls)
        for call in calls:
            n = marked.get(request, event.n)
            found.append(Delivery(n, request, call.get("id"), str(call["tool"]), read_args(call["args"]), finished))
    return sorted(found, key=lambda d: d.n)


def is_whole(end: Event) -> bool:
    """Say whether the stream that ended here carried a finish reason or its closing marker."""
    return end.get("finish") is not None or bool(end.get("done"))


def read_args(args: object) -> object:
    """Return arguments as a value: JSON text is read, and no text at all means no arguments."""
    if not isinstance(args, str):
        return args
    return json.loads(args) if args.strip() else {}


def same_call(tool: object, args: object) -> Hashable:
    """Return a key that is equal for runs of one tool with equal JSON arguments, in whatever order.

    Values are frozen instead of printed, so that 1 and 1.0 stay equal: a schema that asks for a float turns
    one into the other on the way to the tool.
    """
    return (tool, frozen(args))


def frozen(value: object) -> Hashable:
    """Return a key that is equal for equal JSON values, 1 and 1.0 being such."""
    if isinstance(value, Mapping):
        return frozenset((str(k), frozen(v)) for k, v in value.items())
    if isinstance(value, list | tuple):
        return tuple(frozen(v) for v in value)
    return value if isinstance(value, int | float | str | None) else str(value)


def _mappings(values: object) -> Iterable[Mapping[str, object]]:
    if not isinstance(values, Sequence):
        raise ValueError(f"expected a list of calls, found {values!r}")
    return values
