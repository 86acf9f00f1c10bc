"""What the model was told of the tool calls that were parked: read from the tool results in its requests.

The idea: a call that outlives its budget gets a result of the type ``background`` with an id, and all that follows
(lists, statuses, errors) names that id; so the whole story of a parked call stands in what the model reads, whoever's
registry it is. The constraint: a parked call is paired with a run of its tool only where no other run could be meant,
and what is not paired is accused of nothing. Reading the notes of our own registry was refused, but for one case: a
call that was parked and of which the model has not heard yet.

=========================================  =========================================================================
a tool result that is JSON with            tells
=========================================  =========================================================================
``type: background``, ``background_id``    a call is parked; ``evicted`` names those that had to go for it
``background_id``, ``status``              its status: completed, error, cancelled, evicted, still_running, cancelling
``tasks``                                  a list of ids
``type: error``, to a call that names it   that nobody knows the id, unless ``error`` says otherwise
=========================================  =========================================================================
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from simkit.checks.conversation import Message, PastCall, builds_on, read_messages, sent_messages
from simkit.checks.reading import Delivery, ToolRun, deliveries, read_args, same_call, tool_runs
from simkit.model.duration import NS_PER_S
from simkit.model.trace import Event, Trace

# A status with which a result is given out, and all after which nothing more is to come.
RESULTS: Final = frozenset({"completed", "error", "failed"})
FINALS: Final = RESULTS | {"cancelled", "evicted"}
UNKNOWN: Final = "unknown"
# An id of which one of these is said is known.
_OTHER_ERRORS: Final = frozenset({"already_delivered", "bad_argument", "missing_id"})


class Word(NamedTuple):
    """What a request told the model of a parked call, and the event at which the model had asked, if that is known."""

    request: Event
    status: str
    asked: Event | None


@dataclass(slots=True)
class Parked:
    """One parked call: when it was first told of, its run if it can be told, and what the model has heard of it."""

    id: str
    tool: str
    told: Event
    run: ToolRun | None = None
    words: list[Word] = field(default_factory=list)

    @property
    def finals(self) -> list[Word]:
        """Return the words after which nothing more is to come."""
        return [word for word in self.words if word.status in FINALS]


class Listing(NamedTuple):
    """A list that the model was given: the request that carried it, when it was asked for, and the ids in it."""

    request: Event
    asked: Event | None
    ids: frozenset[str]


@dataclass(slots=True)
class Parking:
    """The parked calls of a run by their ids, the lists, and which ids the history of each request holds."""

    tasks: dict[str, Parked] = field(default_factory=dict)
    listings: list[Listing] = field(default_factory=list)
    known: dict[int, frozenset[str]] = field(default_factory=dict)

    def known_in(self, request: Event) -> list[Parked]:
        """Return the parked calls of the conversation that this request belongs to, as far as it had come."""
        return [task for task in self.tasks.values() if task.id in self.known.get(request.n, ())]


def parked_tasks(trace: Trace) -> Parking:
    """Return what a trace tells of parked calls."""
    parking, reader = Parking(), _Reader(trace)
    for event in trace.of("request", "note"):
        if event.kind == "note":
            if event.get("name") == "parked" and isinstance(event.get("background_id"), str):
                reader.take_note(parking, event)
        else:
            reader.take_request(parking, event)
    return parking


class _Told(NamedTuple):
    """A tool result that speaks of parked calls, with the call that it answers."""

    body: Mapping[str, object]
    call: object
    past: PastCall | None
    before: bool


class _Reader:
    """Reads the requests of one run, in order."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._calls: list[Delivery] | None = None
        self._free: list[ToolRun] | None = None
        self._seen: set[tuple[object, str]] = set()

    def take_note(self, parking: Parking, note: Event) -> None:
        """Our own registry says that a call is parked, before the model can hear of it."""
        delivery = self._delivery(note.get("call"), note)
        key = delivery.key if delivery else same_call(note.get("tool"), note.get("args"))
        self._park(parking, str(note.get("background_id")), str(note.get("tool")), note, key, delivery)

    def take_request(self, parking: Parking, request: Event) -> None:
        """Take in what is new in a request, and which ids its history holds."""
        ids = set[str]()
        for told in self._told(request):
            if told.body.get("type") == "background":
                ids.add(str(told.body.get("background_id")))
            if not told.before:
                self._take(parking, request, told)
        # A request that goes on from a stored answer shows only its end: all that were parked may be meant.
        parking.known[request.n] = frozenset(parking.tasks if builds_on(request) else ids)

    def _told(self, request: Event) -> Iterator[_Told]:
        past: dict[object, PastCall] = {}
        for message in read_messages(request, sent_messages(request) or ()):
            past.update((call.id, call) for call in message.calls)
            body = _body(message)
            if body is not None:
                mark = (message.answers, message.text)
                yield _Told(body, message.answers, past.get(message.answers), mark in self._seen)
                self._seen.add(mark)

    def _take(self, parking: Parking, request: Event, told: _Told) -> None:
        body, delivery = told.body, self._delivery(told.call, request)
        asked = self._trace.events[delivery.n] if delivery else None
        named, status, tasks = body.get("background_id"), body.get("status"), body.get("tasks")
        if isinstance(named, str) and body.get("type") == "background":
            tool, key = _asked_for(told.past, delivery)
            self._park(parking, named, str(body.get("tool") or tool), request, key, delivery, body)
            for gone in _texts(body.get("evicted")):
                _say(parking, gone, Word(request, "evicted", asked))
        elif isinstance(named, str) and isinstance(status, str):
            _say(parking, named, Word(request, status, asked))
        elif isinstance(tasks, list | tuple):
            self._list(parking, Listing(request, asked, frozenset(_ids(tasks))), tasks)
        elif body.get("type") == "error" and body.get("error") not in _OTHER_ERRORS:
            _say(parking, _named_by(told.past, delivery), Word(request, UNKNOWN, asked))

    def _list(self, parking: Parking, listing: Listing, tasks: list[object] | tuple[object, ...]) -> None:
        parking.listings.append(listing)
        for task in tasks:
            # Of a result a list says that it is there; only that it is gone is a last word.
            if isinstance(task, Mapping) and task.get("status") == "evicted":
                _say(parking, str(task.get("background_id")), Word(listing.request, "evicted", listing.asked))

    def _park(
        self,
        parking: Parking,
        background_id: str,
        tool: str,
        told: Event,
        key: Hashable,
        delivery: Delivery | None,
        body: Mapping[str, object] | None = None,
    ) -> None:
        if background_id in parking.tasks:
            return
        budget_s = body.get("timeout_seconds") if body else None
        least_ns = int(budget_s * NS_PER_S) if isinstance(budget_s, int | float) else 0
        after = delivery.n if delivery else -1
        parking.tasks[background_id] = Parked(background_id, tool, told, self._run(key, after, told, least_ns))

    def _run(self, key: Hashable, after: int, told: Event, least_ns: int) -> ToolRun | None:
        """Take the one run that can be meant: of this call, begun behind its delivery, and as long as its budget."""
        if self._free is None:
            self._free = tool_runs(self._trace)
        fit = [
            run
            for run in self._free
            if after < run.start.n < told.n
            and run.key == key
            and (run.end is None or run.end.n > told.n or run.end.at_ns - run.start.at_ns >= least_ns)
        ]
        if len(fit) != 1:
            return None
        self._free.remove(fit[0])
        return fit[0]

    def _delivery(self, call: object, before: Event) -> Delivery | None:
        """Return the call of this id that was delivered last before an event."""
        if self._calls is None:
            self._calls = deliveries(self._trace)
        return next((d for d in reversed(self._calls) if d.id == call and d.n < before.n), None)


# -- one tool result -------------------------------------------------------------------------------
def _body(message: Message) -> Mapping[str, object] | None:
    """Return a tool result that may speak of parked calls."""
    if message.role != "tool" or not message.text.lstrip().startswith("{"):
        return None
    body = _object(message.text)
    if body is not None and len(body) == 1:
        # Some wires put the text of a result into an object.
        (inner,) = body.values()
        body = _object(inner) if isinstance(inner, str) else inner if isinstance(inner, Mapping) else body
    return body


def _object(text: str) -> Mapping[str, object] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _asked_for(past: PastCall | None, delivery: Delivery | None) -> tuple[object, Hashable]:
    if delivery is not None:
        return delivery.tool, delivery.key
    return (past.tool, same_call(past.tool, _arguments(past))) if past else ("", None)


def _named_by(past: PastCall | None, delivery: Delivery | None) -> str:
    """Return the id that a call asks for."""
    args = delivery.args if delivery else _arguments(past)
    return str(args.get("background_id")) if isinstance(args, Mapping) else ""


def _arguments(past: PastCall | None) -> object:
    try:
        return read_args(past.args) if past else None
    except (ValueError, RecursionError):
        return None


def _say(parking: Parking, background_id: str, word: Word) -> None:
    if background_id in parking.tasks:
        parking.tasks[background_id].words.append(word)


def _ids(tasks: list[object] | tuple[object, ...]) -> Iterator[str]:
    return (str(task.get("background_id")) for task in tasks if isinstance(task, Mapping))


def _texts(values: object) -> list[str]:
    return [v for v in values if isinstance(v, str)] if isinstance(values, list | tuple) else []
