"""The events of one streamed answer of the Responses API: which move writes which, in which order.

Every event is a frame with ``event:`` and ``data:``, and every event has a ``sequence_number`` that counts from 0.
The first move that is a model's is led in by ``response.created``, ``response.queued`` (background only) and
``response.in_progress``. Then:

==========  ====================================================================================
move        events
==========  ====================================================================================
say         ``response.output_text.delta``, in the open message or a new one
refuse      ``response.refusal.delta``, as a further content part of the message
think       ``response.reasoning_summary_text.delta``; a signed thought ends its item, and one without
            words is an item without a summary
call        ``response.output_item.added`` with empty arguments
args        ``response.function_call_arguments.delta``, to the item of its call
finish      the ``done`` events of every open item
done        ``response.completed``, ``response.incomplete`` or ``response.failed``, with the whole
            response and its usage
usage       none: it is told by the last event
error       ``error`` (flat), ``error`` with an object in it (nested), or ``response.failed``
==========  ====================================================================================

What an item or part needs around its deltas (``added`` before, ``done`` after) comes with the move that makes it
necessary. A new item ends the ones before it, as this API writes one after the other, except calls that the script
goes on with: their pieces interleave.

Decided here: the reason of a finish is on this wire only in its last event, so that one carries the trace's
``finish``; the events that the finish move itself writes are structure. A script that has a ``finish`` and no ``done``
(a ``disconnect`` follows it) is therefore closed before ``response.completed``, with every item whole, and a script
with ``done`` alone is completed with items that were never closed. The index of a call pairs its pieces with it and
is no ``output_index``, which simply counts items; but a second call on the index of an earlier one takes over its
``output_index`` too, the fault that such a script asks for. ``obfuscation`` fills up text and padding to multiples of
16, as in recorded streams, unless the request declines it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from simkit.contracts import Frame
from simkit.dialects.framing import frames, hollow
from simkit.dialects.jsontext import write_json
from simkit.dialects.openai_responses_object import (
    ENCRYPTED,
    Head,
    Item,
    Part,
    State,
    asked_for,
    response_object,
    usage_object,
)
from simkit.dialects.sse import encode_json
from simkit.dialects.turn import MARK, Move, about, turn_of
from simkit.errors import UnplayableError
from simkit.model.timeline import (
    NO_INDEX,
    Args,
    Call,
    Chunk,
    ChunkKind,
    Done,
    Fault,
    Finish,
    Garble,
    Name,
    Raw,
    Refuse,
    Repeat,
    Say,
    Think,
    Usage,
)

# Its first letters are the padding of a delta; sixteen because recorded text and padding together fill that up.
_PADDING: Final = "obfuscatedstream"
# What the API says where the script gives an error no words of its own.
_SORRY: Final = "The server had an error while processing your request. Sorry about that!"
_CODE: Final = "server_error"

# The neutral reason -> the last word of the terminal event, which is the response's status too.
_ENDS: Final[Mapping[str, str]] = {
    "stop": "completed",
    "tool_calls": "completed",
    "refusal": "completed",
    "stop_sequence": "completed",
    "length": "incomplete",
    "context_window": "incomplete",
    "content_filter": "incomplete",
    "error": "failed",
}
# Why a response is incomplete, in this API's words.
_WHY: Final[Mapping[str, str]] = {
    "length": "max_output_tokens",
    "context_window": "max_output_tokens",
    "content_filter": "content_filter",
}


class _Way(NamedTuple):
    """How a kind of part is written: its events, the name of its text and of its place."""

    item: str
    added: str
    delta: str
    said: str
    done: str
    text: str
    place: str
    more: Mapping[str, object]


def _way(item: str, part: str, name: str, place: str, **more: object) -> _Way:
    text = "refusal" if name == "refusal" else "text"
    said = (f"response.{name}.delta", f"response.{name}.done")
    return _Way(item, f"response.{part}.added", said[0], said[1], f"response.{part}.done", text, place, more)


_WAYS: Final[Mapping[str, _Way]] = {
    "output_text": _way("message", "content_part", "output_text", "content_index", logprobs=[]),
    "refusal": _way("message", "content_part", "refusal", "content_index"),
    "summary_text": _way("reasoning", "reasoning_summary_part", "reasoning_summary_text", "summary_index"),
}
_PREFIXES: Final[Mapping[str, str]] = {"message": "msg", "reasoning": "rs", "function_call": "fc"}
_UNHEARD: Final = "fc_sim_unheard"

# Why a step cannot be played.
_NO_NAMES: Final = "the Responses API sends the name of a call whole: give it to the call, or use another dialect"
_NO_INDEX: Final = "every event of the Responses API has an output_index: leave the index out, or use another dialect"
_NO_CHOICES: Final = (
    "the Responses API has no list of choices that could be {}: expected blank, comment or meta, or use another dialect"
)
_NO_PAUSE: Final = "the Responses API has no end like {!r}: expected another reason, such as 'stop' or 'length'"
_NO_WORD: Final = "a completed response names no reason, so {!r} has no place in it: leave out the word"
_STREAM_ONLY: Final = "a whole body has no frames that could be damaged, repeated or raw: ask for a stream"


def play(head: Head, script: Sequence[Move], lead: tuple[int, int] | None = None) -> Iterator[Frame]:
    """Yield the frames of a script; ``lead`` gives creation and start steps of their own, before every move.

    Raises ``UnplayableError`` for a move that this wire cannot carry.
    """
    answer = _Answer(head, script)
    if lead:
        yield from answer.leading(*lead)
    yield from frames(script, answer.write)


def finished(head: Head, script: Sequence[Move]) -> dict[str, object]:
    """Return the Response object that a script ends in. Raises ``UnplayableError`` for what only a stream can hold."""
    answer = _Answer(head, script)
    for move in script:
        if isinstance(move.what, Garble | Raw | Repeat):
            raise UnplayableError(move.step, _STREAM_ONLY)
        deque(answer.write(move), maxlen=0)  # for what it leaves behind
    return answer.final


def error_alone(fault: Fault) -> dict[str, object]:
    """Return the error that a gateway sends as a whole body, under a status that says nothing of it."""
    code = fault.code or fault.type or _CODE
    return {"error": {"message": fault.text, "type": fault.type or _CODE, "param": None, "code": code}}


class _Answer:
    """One answer while it is written: its items so far, and the number of the next event."""

    def __init__(self, head: Head, script: Sequence[Move]) -> None:
        self.final = dict[str, object]()
        self._head, self._script = head, script
        self._events = 0
        self._items = list[Item]()
        self._calls = dict[Call, Item]()
        self._pieces_left = Counter(move.call for move in script if isinstance(move.what, Args))
        self._finish: Finish | None = None
        options = head.request.body.get("stream_options")
        self._padded = not isinstance(options, dict) or options.get("include_obfuscation") is not False
        self._encrypted = asked_for(head.request, ENCRYPTED)

    def leading(self, creation: int, start: int) -> Iterator[Frame]:
        """Yield the events that come before everything else, as frames of these steps."""
        waits = self._head.background
        yield self._state(creation, "response.created", State(status="queued" if waits else "in_progress"))
        if waits:
            yield self._state(creation, "response.queued", State(status="queued"))
        yield self._state(start, "response.in_progress", State(status="in_progress"))

    def write(self, move: Move) -> Iterator[Frame]:
        """Yield the frames of one move. The moves are to come in the order of the script."""
        if isinstance(move.what, Chunk):
            yield _hollow(move, move.what.kind)
        elif not isinstance(move.what, Usage):
            if not self._events:
                yield from self.leading(move.step, move.step)
            yield from self._of(move)

    def _of(self, move: Move) -> Iterable[Frame]:
        match move.what:
            case Say(text=text):
                return self._speak(move, "output_text", text)
            case Refuse(text=text):
                return self._speak(move, "refusal", text)
            case Think() as thought:
                return self._think(move, thought)
            case Call() as call:
                return self._call(move, call)
            case Args() as piece:
                return self._args(move, piece)
            case Finish() as finish:
                return self._close_all(move, finish)
            case Done():
                return (self._end(move),)
            case Fault() as fault:
                return (self._fault(move, fault),)
            case Name():
                raise UnplayableError(move.step, _NO_NAMES)
        raise AssertionError(f"{move!r} is no move of the wire")

    # -- content --
    def _speak(self, move: Move, kind: str, text: str) -> Iterator[Frame]:
        way = _WAYS[kind]
        if not self._is_open(way.item):
            yield from self._open(move, self._new(way.item), MARK)
        item = self._items[-1]
        if not item.parts or item.parts[-1].kind != kind:
            yield from self._close_part(move, item)
            item.parts.append(Part(kind))
            yield self._told(move, way.added, item, MARK, part=item.parts[-1].shown())
        item.parts[-1].texts.append(text)
        yield self._told(move, way.delta, item, about(move), delta=text, **way.more, **self._padding(text))

    def _think(self, move: Move, thought: Think) -> Iterator[Frame]:
        if thought.text:
            yield from self._speak(move, "summary_text", thought.text)
        elif not self._is_open("reasoning"):
            yield from self._open(move, self._new("reasoning"), about(move))
        item = self._items[-1]
        if self._encrypted:
            item.secret = thought.signature or f"encrypted_{item.id}"
        if thought.signature is not None:
            yield from self._close(move, item, "completed")

    def _call(self, move: Move, call: Call) -> Iterator[Frame]:
        if call.index == NO_INDEX:
            raise UnplayableError(move.step, _NO_INDEX)
        self._calls[call] = self._new("function_call", call)
        yield from self._open(move, self._calls[call], about(move))

    def _args(self, move: Move, piece: Args) -> Iterator[Frame]:
        if piece.index == NO_INDEX:
            raise UnplayableError(move.step, _NO_INDEX)
        self._pieces_left[move.call] -= 1
        # A piece of no call goes to an item that nobody has heard of: the fault that such a script asks for.
        item = self._calls[move.call] if move.call else Item("function_call", _UNHEARD, piece.index or 0)
        item.args.append(piece.text)
        event = "response.function_call_arguments.delta"
        where = {"item_id": item.id, "output_index": item.index}
        yield self._event(move.step, event, about(move), **where, delta=piece.text, **self._padding(piece.text))

    # -- items --
    def _is_open(self, kind: str) -> bool:
        """Say whether the newest item is one of this kind that can be gone on with."""
        return bool(self._items) and self._items[-1].is_open and self._items[-1].kind == kind

    def _new(self, kind: str, call: Call | None = None) -> Item:
        place = len(self._items)
        taken = (i.index for i in self._items if call and i.call and i.call.index == call.index)
        return Item(kind, f"{_PREFIXES[kind]}_sim_{self._head.number:06d}_{place}", next(taken, place), call)

    def _open(self, move: Move, item: Item, values: Mapping[str, object]) -> Iterator[Frame]:
        for older in self._items:
            if older.is_open and not (older.call and self._pieces_left[older.call] > 0):
                yield from self._close(move, older, "completed")
        self._items.append(item)
        shown = {"output_index": item.index, "item": item.shown()}
        yield self._event(move.step, "response.output_item.added", values, **shown)

    def _close(self, move: Move, item: Item, status: str) -> Iterator[Frame]:
        yield from self._close_part(move, item)
        if item.kind == "function_call":
            whole = {"item_id": item.id, "output_index": item.index, "arguments": "".join(item.args)}
            yield self._event(move.step, "response.function_call_arguments.done", MARK, **whole)
        item.status = status
        shown = {"output_index": item.index, "item": item.shown()}
        yield self._event(move.step, "response.output_item.done", MARK, **shown)

    def _close_part(self, move: Move, item: Item) -> Iterator[Frame]:
        if item.parts:
            part, way = item.parts[-1], _WAYS[item.parts[-1].kind]
            yield self._told(move, way.said, item, MARK, **{way.text: part.text}, **way.more)
            yield self._told(move, way.done, item, MARK, part=part.shown())

    # -- ends --
    def _close_all(self, move: Move, finish: Finish) -> Iterator[Frame]:
        _check(move, finish)
        self._finish = finish
        status = "completed" if _ENDS[finish.reason] == "completed" else "incomplete"
        for item in self._items:
            if item.is_open:
                yield from self._close(move, item, status)

    def _end(self, move: Move) -> Frame:
        finish = self._finish
        if finish is None:
            return self._last(move, State(status="completed"), about(move))
        values = about(Move(move.step, finish))
        match _ENDS[finish.reason]:
            case "failed":
                return self._failed(move, {"code": finish.wire or _CODE, "message": _SORRY}, values)
            case "incomplete":
                why = finish.wire or _WHY[finish.reason]
                return self._last(move, State(status="incomplete", incomplete=why), values)
        return self._last(move, State(status="completed"), values)

    def _fault(self, move: Move, fault: Fault) -> Frame:
        code = fault.code or fault.type or _CODE
        error = {"code": code, "message": fault.text}
        match fault.form:
            case "event":
                return self._event(move.step, "error", about(move), **error, param=None)
            case "nested":
                nested = {"type": fault.type or _CODE, **error, "param": None}
                return self._event(move.step, "error", about(move), error=nested)
        return self._failed(move, {**error, "type": fault.type} if fault.type else error, about(move))

    def _failed(self, move: Move, error: Mapping[str, object], values: Mapping[str, object]) -> Frame:
        # What was cut off by the failure is not shown.
        output = [item.shown() for item in self._items if not item.is_open]
        return self._state(move.step, "response.failed", State(status="failed", output=output, error=error), values)

    def _last(self, move: Move, state: State, values: Mapping[str, object]) -> Frame:
        output = [item.shown() for item in self._items]
        at = self._head.completed if state.status == "completed" else None
        whole = replace(state, output=output, usage=self._usage(), completed_at=at)
        return self._state(move.step, f"response.{state.status}", whole, values)

    def _usage(self) -> dict[str, object]:
        counted = [move.what for move in self._script if isinstance(move.what, Usage)]
        turn = turn_of(about(move) for move in self._script if not isinstance(move.what, Garble | Repeat))
        return usage_object(counted[-1] if counted else None, turn, self._head.request)

    # -- frames --
    def _state(self, step: int, event: str, state: State, values: Mapping[str, object] = MARK) -> Frame:
        self.final = response_object(self._head, state)
        return self._event(step, event, values, response=self.final)

    def _told(self, move: Move, event: str, item: Item, values: Mapping[str, object], **told: object) -> Frame:
        """Write an event about the newest part of an item."""
        place = {_WAYS[item.parts[-1].kind].place: len(item.parts) - 1}
        return self._event(move.step, event, values, item_id=item.id, output_index=item.index, **place, **told)

    def _event(self, step: int, event: str, values: Mapping[str, object], **told: object) -> Frame:
        data = {"type": event, "sequence_number": self._events, **told}
        self._events += 1
        return Frame(step, encode_json(write_json(data), event), values)

    def _padding(self, text: str) -> dict[str, object]:
        return {"obfuscation": _PADDING[: -len(text) % len(_PADDING)]} if self._padded else {}


def _check(move: Move, finish: Finish) -> None:
    if finish.reason not in _ENDS:
        raise UnplayableError(move.step, _NO_PAUSE.format(finish.reason))
    if finish.wire is not None and _ENDS[finish.reason] == "completed":
        raise UnplayableError(move.step, _NO_WORD.format(finish.wire))


def _hollow(move: Move, kind: ChunkKind) -> Frame:
    data = hollow(kind)
    if data is None:
        raise UnplayableError(move.step, _NO_CHOICES.format(kind))
    return Frame(move.step, data, about(move))
