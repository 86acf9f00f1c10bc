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
a piece of arguments              goes to the call opened last, or last on its ``index``
a call that gets no arguments     ``{}`` where the model finished (``stop``, ``tool_calls``),
                                  as real models write it; nothing where the stream broke
                                  off or the model ran out of tokens
the closing marker                after the last move of an answer that finishes, unless the
                                  script says where (``done``) or how else it ends
                                  (``disconnect``)
``wait stall pace keepalive``     no move: they only pass time
``disconnect``                    no move: it is not the model's
================================  ==========================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from simkit.dialects.jsontext import read_json
from simkit.model.timeline import Args, Call, Disconnect, Done, Finish, Say, Step, Usage

# The reasons with which a model says that it wrote all it meant to write.
_MEANT: Final = frozenset({"stop", "tool_calls"})
_IS: Final[dict[type, str]] = {
    Say: "say",
    Call: "call",
    Args: "args",
    Usage: "usage",
    Finish: "finish",
    Done: "done",
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
    index: int
    args: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a client can have understood: the text, the calls, how it finished, whether it was closed."""

    text: str = ""
    calls: tuple[CallHeard, ...] = ()
    finish: str | None = None
    done: bool = False

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
    return {
        "is": _IS[type(move.what)],
        "text": text,
        "tool": move.call.name if move.call else None,
        "call": move.call.id if move.call else None,
        "index": move.call.index if move.call else getattr(move.what, "index", None),
        "progress": bool(text) or isinstance(move.what, Call),
    }


def turn_of(abouts: Iterable[Mapping[str, object]]) -> Turn:
    """Return what was understood from frames: pass the ``about`` of those that were delivered, in order."""
    texts, finish, done = list[str](), None, False
    calls = dict[tuple[object, object], tuple[Mapping[str, object], list[str]]]()
    repeats = list[tuple[Mapping[str, object], list[str]]]()
    for frame in abouts:
        kind, text, key = frame["is"], str(frame["text"]), (frame["call"], frame["index"])
        if kind == "say":
            texts.append(text)
        elif kind == "call":
            # The same id and index again is another call: its pieces go to it, and the first keeps what it
            # has.
            calls[key] = (frame, [])
            repeats.append(calls[key])
        elif kind == "args" and key in calls:
            calls[key][1].append(text)
        finish = text if kind == "finish" else finish
        done = done or kind == "done"
    heard = (_heard(frame, pieces) for frame, pieces in repeats)
    return Turn("".join(texts), tuple(heard), finish, done)


def _heard(frame: Mapping[str, object], pieces: list[str]) -> CallHeard:
    index = frame["index"]
    assert isinstance(index, int), frame
    return CallHeard(str(frame["call"]), str(frame["tool"]), index, "".join(pieces))


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
            case Args():
                call = _owner(step, opened)
                index = call.index if call else step.index or 0
                script.append(Move(place, replace(step, index=index), call))
            case Say() | Usage() | Finish() | Done():
                script.append(Move(place, step))
    return script


def _identify(step: Call, number: int, count: int) -> Call:
    index = count if step.index is None else step.index
    return replace(step, id=step.id or f"call_{number}_{count}", index=index, args=None)


def _owner(piece: Args, opened: list[Call]) -> Call | None:
    return next((c for c in reversed(opened) if piece.index in (None, c.index)), None)


def _give_empty_arguments(script: list[Move], steps: Sequence[Step]) -> list[Move]:
    if not any(isinstance(s, Finish) and s.reason in _MEANT for s in steps):
        return script
    filled = list[Move]()
    for place, move in enumerate(script):
        filled.append(move)
        if isinstance(move.what, Call) and not any(m.call is move.call for m in script[place + 1 :]):
            piece = Args(text="{}", index=move.what.index, place=move.what.place)
            filled.append(Move(move.step, piece, move.call))
    return filled


def _closes_by_itself(steps: Sequence[Step]) -> bool:
    kinds = {type(s) for s in steps}
    return Finish in kinds and not kinds & {Done, Disconnect}


def _text(step: Step) -> str:
    match step:
        case Say() | Args():
            return step.text
        case Finish():
            return step.reason
    return ""
