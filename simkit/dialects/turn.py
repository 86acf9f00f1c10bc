"""The logical side of an answer: what every dialect shares, and what a client can have understood so far.

The idea: ``moves`` turns the steps of a timeline into the moves that put something on the wire, with every
question answered that is not about bytes (which call does this piece belong to, what is its id, when does the
closing marker come), so that a dialect only looks up how to write each one. ``turn_of`` reads frames back, as
far as they were delivered. The constraint: both sides are logical, so a law means the same on every wire.
Parsing the bytes that were sent was refused: it would judge a dialect by itself.

What is decided here, for all dialects:

================================  ==========================================================
a call's id                       the step's own, else ``call_{number}_{n}``, where n counts
                                  the calls of the answer from 0
a call's index                    the step's own, else n
``args`` of a call                one piece, right after the call is opened
``pieces`` of a text              that many moves; never more than it has characters
a piece of arguments or name      goes to the call opened last, or last on its ``index``
a call that gets no arguments     ``{}`` where the model finished (``stop``, ``tool_calls``),
                                  as real models write it; nothing where the stream broke
                                  off or the model ran out of tokens
the closing marker                after the last move of an answer that finishes, unless the
                                  script says where (``done``) or how else it ends
                                  (``disconnect``)
a mid-stream error                no closing marker follows it by itself
``garble raw repeat``             moves of their own, which ``framing`` plays for every dialect
``wait stall pace keepalive``     no move: they only pass time
``disconnect``                    no move: it is not the model's
================================  ==========================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from typing import Final, NamedTuple

from simkit.dialects.jsontext import read_json
from simkit.model.timeline import (
    NO_INDEX,
    Args,
    Call,
    Chunk,
    Disconnect,
    Done,
    Fault,
    Finish,
    Garble,
    Name,
    Raw,
    Refuse,
    Repeat,
    Say,
    Step,
    Think,
    Usage,
)

# The reasons with which a model says that it wrote all it meant to write.
_MEANT: Final = frozenset({"stop", "tool_calls"})
_IS: Final[dict[type, str]] = {
    Say: "say",
    Think: "think",
    Refuse: "refuse",
    Call: "call",
    Name: "name",
    Args: "args",
    Usage: "usage",
    Finish: "finish",
    Done: "done",
    Fault: "error",
    Chunk: "empty",
    Raw: "raw",
}
# A frame that belongs to the structure of the wire and carries nothing of the answer.
MARK: Final[Mapping[str, object]] = {
    "is": "mark",
    "text": "",
    "tool": None,
    "call": None,
    "index": None,
    "progress": False,
}


class Move(NamedTuple):
    """One thing that goes on the wire: the index of its step, what it is, and the call it is part of.

    A ``Call`` here always has its id and index, and no arguments: they follow as ``Args`` with their index.
    ``call`` is None for pieces that belong to no open call. A named tuple: a long answer makes tens of
    thousands.
    """

    step: int
    what: Step
    call: Call | None = None


@dataclass(frozen=True, slots=True)
class CallHeard:
    """A tool call as far as it was delivered: ``args`` is JSON text, perhaps only its beginning."""

    id: str
    tool: str
    index: int | None
    args: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a client can have understood: the text, the calls, how it finished, whether it was closed.

    ``error`` is the text of a mid-stream error.
    """

    text: str = ""
    calls: tuple[CallHeard, ...] = ()
    finish: str | None = None
    done: bool = False
    thoughts: str = ""
    refusal: str = ""
    error: str | None = None

    def whole_calls(self) -> list[dict[str, object]]:
        """Return the calls whose arguments are whole: ``{id, tool, args}``, with ``args`` read.

        Whole means: a JSON object. No text at all is an object without keys where the model finished, since
        some providers leave out what is empty.
        """
        read = [(call, self._read(call.args)) for call in self.calls]
        return [{"id": c.id, "tool": c.tool, "args": args} for c, args in read if args is not None]

    def _read(self, args: str) -> dict[str, object] | None:
        try:
            value = read_json(args if args or self.finish not in _MEANT else "{}")
        except ValueError:
            return None
        return value if isinstance(value, dict) else None


def moves(steps: Sequence[Step], number: int) -> list[Move]:
    """Return what the steps put on the wire, in step order; the request's ``number`` makes ids of calls."""
    script = _give_empty_arguments(_resolve(steps, number), steps)
    if script and _closes_by_itself(steps):
        script.append(Move(script[-1].step, Done(place=script[-1].what.place)))
    return script


def about(move: Move) -> Mapping[str, object]:
    """Return the values of the trace's ``frame`` event for a frame that carries this move.

    ``text`` is the text, the piece of arguments, or the finish reason. ``progress`` says that the frame takes
    the answer further: an empty piece, a usage count and the closing marker do not.
    """
    text = _text(move.what)
    index = move.call.index if move.call else getattr(move.what, "index", None)
    return {
        "is": _IS[type(move.what)],
        "text": text,
        "tool": move.call.name if move.call else None,
        "call": move.call.id if move.call else None,
        "index": None if index == NO_INDEX else index,
        # Of raw bytes nobody knows what they carry; to call them silence would be a false alarm.
        "progress": bool(text) or isinstance(move.what, Call | Raw),
    }


def turn_of(abouts: Iterable[Mapping[str, object]]) -> Turn:
    """Return what was understood from frames: pass the ``about`` of those that were delivered, in order."""
    said: dict[str, list[str]] = {"say": [], "think": [], "refuse": []}
    finish, error, done = None, None, False
    calls = dict[tuple[object, object], _Hearing]()
    heard = list[_Hearing]()
    for frame in abouts:
        kind, key, text = str(frame["is"]), (frame["call"], frame["index"]), str(frame["text"])
        if kind in said:
            said[kind].append(text * _times(frame))
        elif kind == "call":
            # The same id and index again is another call: its pieces go to it, and the first keeps what it has. Where
            # nothing came between, it is the same opening once more.
            if key not in calls or not calls[key].is_opened_by(frame):
                # A wire that sends calls whole has the arguments here, and each repetition is another call.
                calls[key] = _Hearing(frame, [], [text] if text else [])
                heard += [calls[key]] * (_times(frame) if text else 1)
        elif key in calls:
            calls[key].take(kind, text * _times(frame))
        finish = text if kind == "finish" else finish
        error = text if kind == "error" else error
        done = done or kind == "done"
    told = {name: "".join(texts) for name, texts in said.items()}
    whole = tuple(one.call() for one in heard)
    return Turn(told["say"], whole, finish, done, told["think"], told["refuse"], error)


def told(script: Iterable[Move]) -> Turn:
    """Return what a script says when it arrives as written: damage and repetition are the wire's, and left out."""
    return turn_of(about(move) for move in script if type(move.what) in _IS)


def _times(frame: Mapping[str, object]) -> int:
    times = frame.get("times", 1)
    assert isinstance(times, int), frame
    return times


class _Hearing(NamedTuple):
    """A call while its pieces come in."""

    opening: Mapping[str, object]
    names: list[str]
    args: list[str]

    def is_opened_by(self, frame: Mapping[str, object]) -> bool:
        return frame["tool"] == self.opening["tool"] and not self.names and not self.args

    def take(self, kind: str, text: str) -> None:
        if kind == "name":
            self.names.append(text)
        elif kind == "args":
            self.args.append(text)

    def call(self) -> CallHeard:
        index = self.opening["index"]
        assert index is None or isinstance(index, int), self.opening
        name = reduce(_joined, self.names, str(self.opening["tool"]))
        return CallHeard(str(self.opening["call"]), name, index, "".join(self.args))


def _joined(name: str, piece: str) -> str:
    """Return the name with a further piece of it; one that is sent again from its beginning is none."""
    return piece if piece.startswith(name) else name + piece


def _resolve(steps: Sequence[Step], number: int) -> list[Move]:
    script, opened = list[Move](), list[Call]()
    for place, step in enumerate(steps):
        match step:
            case Call():
                opened.append(_identify(step, number, len(opened)))
                script.append(Move(place, opened[-1], opened[-1]))
                if step.args is not None:
                    piece = Args(text=step.args, index=opened[-1].index, place=step.place)
                    script.append(Move(place, piece, opened[-1]))
            case Args() | Name():
                call = _owner(step, opened)
                index = call.index if call and step.index is None else step.index or 0
                placed = replace(step, index=index)
                script += [Move(place, piece, call) for piece in _pieces(placed)]
            case Say() | Think():
                script += [Move(place, piece) for piece in _pieces(step)]
            case Refuse() | Usage() | Finish() | Done() | Fault() | Chunk() | Garble() | Raw() | Repeat():
                script.append(Move(place, step))
    return script


def _pieces(step: Say | Think | Args | Name) -> list[Say | Think | Args | Name]:
    """Cut the text of a step into as many pieces of about equal length as it asks for."""
    count = 1 if isinstance(step, Name) else min(step.pieces, len(step.text) or 1)
    if count == 1:
        return [step]
    assert not isinstance(step, Name)
    cuts = [len(step.text) * n // count for n in range(count + 1)]
    pieces: list[Say | Think | Args | Name] = []
    for start, end in pairwise(cuts):
        piece = replace(step, text=step.text[start:end], pieces=1)
        # The signature belongs to the whole thought, and comes when it is over.
        last = end == len(step.text)
        pieces.append(replace(piece, signature=None) if isinstance(piece, Think) and not last else piece)
    return pieces


def _identify(step: Call, number: int, count: int) -> Call:
    index = count if step.index is None else step.index
    return replace(step, id=step.id or f"call_{number}_{count}", index=index, args=None)


def _owner(piece: Args | Name, opened: list[Call]) -> Call | None:
    # A piece without an index on the wire belongs to whatever is open.
    return next((c for c in reversed(opened) if piece.index in (None, NO_INDEX, c.index)), None)


def _give_empty_arguments(script: list[Move], steps: Sequence[Step]) -> list[Move]:
    if not any(isinstance(s, Finish) and s.reason in _MEANT for s in steps):
        return script
    # By identity: two calls may be equal in everything.
    opened = [m.call for m in script if m.call is not None and m.what is m.call]
    for call in opened:
        own = [n for n, m in enumerate(script) if m.call is call]
        if not any(isinstance(script[n].what, Args) for n in own):
            last = script[own[-1]]
            piece = Args(text="{}", index=call.index, place=last.what.place)
            script.insert(own[-1] + 1, Move(last.step, piece, call))
    return script


def _closes_by_itself(steps: Sequence[Step]) -> bool:
    kinds = {type(s) for s in steps}
    return Finish in kinds and not kinds & {Done, Disconnect, Fault}


def _text(step: Step) -> str:
    match step:
        case Say() | Think() | Refuse() | Args() | Name() | Fault():
            return step.text
        case Finish():
            return step.reason
    return ""
