"""The way back: from what a provider was recorded to have sent, to the answer of a script.

The idea: the dialect hears the body, and what it heard is compiled again; where that gives back the same steps and the
same kinds of frames, the steps stand for the body, and where it does not, the body stands for itself, as raw bytes.
The constraint: nothing that was recorded is lost or made nicer, so a comment says why where an answer could not be
told in steps. Keeping everything raw was refused: nobody can read that, and it fits one wire only.

How the pieces of a body become steps in time:

===================================  ==============================================================================
a piece                              bytes that came together, on the clock of the recording, rounded to 1 ms
every piece whole frames             steps, with ``wait`` between the pieces and ``chunks: burst``
a frame cut by a piece               raw steps, one for each piece
a piece of nothing but keep-alives   ``keepalive``, once
a piece of nothing but structure     (a role, a block that opens) travels with the step that follows it, as a script
                                     plays it; a comment says so where that moves it by more than 10 ms
no clock (a cassette)                frame by frame, at the pace that the caller states
===================================  ==============================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, cast

from simkit.contracts import CompletionRequest, Dialect, HttpRequest, Refusal
from simkit.errors import UnplayableError
from simkit.extensions import find, names
from simkit.model.duration import FOREVER, NS_PER_MS, format_duration, parse_duration
from simkit.model.timeline import (
    Answer,
    Args,
    Call,
    Chunking,
    Disconnect,
    Done,
    Fault,
    Finish,
    HangUp,
    Name,
    Pace,
    Raw,
    Stall,
    StatusReply,
    Step,
    StreamReply,
    UnreachableReply,
)
from simkit.provider.frames import cut_frames, ends_inside, new_in_whole, new_words, read_or_none
from simkit.provider.masking import Masking
from simkit.provider.timing import by_instant, in_time, place_steps, rounded, until
from simkit.provider.vcrfiles import Interaction, Piece, plain

# How far a frame that carries nothing may move without a word.
_SLACK_NS: Final = 10 * NS_PER_MS
# Dialects refuse requests without a key, and a recording has none left.
_KEYS: Final = (("authorization", "Bearer none"), ("x-api-key", "none"), ("x-goog-api-key", "none"))
# What a header of an answer must be called to be worth keeping: clients act on these.
_TELLING_HEADERS: Final = re.compile(r"retry-after-ms|x-should-retry|location|(?:[a-z]+-)*ratelimit-.*")
_STATUS_OK: Final = 200


class Spoken(NamedTuple):
    """A completion request that was recorded: whose wire it speaks, and what it says there."""

    dialect: Dialect
    request: CompletionRequest | Refusal


class Told(NamedTuple):
    """The answer of a script, and what a reader should know of how it came about (empty: nothing)."""

    answer: Answer
    note: str = ""


def dialects() -> list[Dialect]:
    """Return every dialect there is."""
    return [cast(Dialect, find("dialects", name)) for name in names("dialects")]


def spoken(one: Interaction, known: Sequence[Dialect]) -> Spoken | None:
    """Return the completion request that this was; None when no dialect claims it."""
    dialect = next((d for d in known if d.claims(one.request.method, one.request.path)), None)
    if dialect is None:
        return None
    headers = (*((name, value) for name, value in one.request.headers if name not in dict(_KEYS)), *_KEYS)
    return Spoken(dialect, dialect.read(HttpRequest(one.request.method, one.request.target, headers, one.request.body)))


def answer_of(one: Interaction, said: Spoken, pace_ns: int = 0) -> Told:
    """Return the answer that was given; ``pace_ns`` passes before each frame where the recording has no clock."""
    if one.unreachable is not None:
        return Told(Answer(reply=UnreachableReply(how=one.unreachable)))
    if not one.status:
        return _without_headers(one)
    told = _stream(one, said, pace_ns) if _is_streamed(one, said) else _whole(one, said)
    if isinstance(said.request, CompletionRequest) and said.request.background:
        note = "a background job: what its polls got is not told here, write it under `background:`"
        told = told._replace(note="; ".join(filter(None, (note, told.note))))
    answer = told.answer
    return told._replace(answer=replace(answer, after_ns=rounded(one.after_ns)) if one.timed else answer)


def _without_headers(one: Interaction) -> Told:
    if one.end == "open":
        # The client gave up first, or the recording did.
        return Told(Answer(reply=StreamReply(steps=()), after_ns=FOREVER), "nothing came while somebody listened")
    note = "the connection broke after the request, before any header came"
    return Told(Answer(reply=UnreachableReply(how="reset")), note)


def _is_streamed(one: Interaction, said: Spoken) -> bool:
    if one.status != _STATUS_OK:
        return False
    kind = _media_type(one.header("content-type"))
    if isinstance(said.request, Refusal):
        return kind == "text/event-stream"
    return said.request.stream and kind == _media_type(said.dialect.media_type(said.request))


def _media_type(header: str) -> str:
    return header.partition(";")[0].strip().lower()


# -- masking -------------------------------------------------------------------------------------------------------
def masked(one: Interaction, masking: Masking) -> Interaction:
    """Return the interaction without what must not be written, also where a stream says it piece by piece."""
    return masking.clean(_respoken(one, masking))


def _respoken(one: Interaction, masking: Masking) -> Interaction:
    """Return a stream put together anew where its pieces together say a secret; else the interaction itself."""
    said = spoken(one, dialects())
    pieces = plain(one)
    if said is None or pieces is None or not _is_streamed(one, said) or isinstance(said.request, Refusal):
        return one
    steps = said.dialect.hear(b"".join(piece.data for piece in pieces), streamed=True)
    new = masking.unspoken(steps, one)
    if new == steps:
        return one
    bursts = by_instant(pieces)
    home = [place for place, own in enumerate(place_steps(bursts, said.dialect, steps)) for _ in own]
    frames = [bytearray() for _ in bursts]
    for frame in said.dialect.stream(StreamReply(steps=new), said.request, number=1, created=0):
        frames[home[frame.step]] += frame.data * frame.times
    spoken_anew = (Piece(burst.at_ns, bytes(data)) for burst, data in zip(bursts, frames, strict=True) if data)
    headers = tuple(pair for pair in one.headers if pair[0] not in ("content-encoding", "content-length"))
    return replace(one, pieces=tuple(spoken_anew), headers=headers)


# -- streams -------------------------------------------------------------------------------------------------------
def _stream(one: Interaction, said: Spoken, pace_ns: int) -> Told:
    pieces, kept = _readable(one)
    reply = StreamReply(steps=(), headers=kept, gzip=_is_gzip(one) and not kept)
    heard, why = _heard(one, said, pieces)
    if heard is None:
        raw = tuple(_raw_steps(one, pieces, pace_ns))
        return Told(Answer(reply=replace(reply, steps=raw)), f"raw bytes: {why}")
    if not one.timed:
        pace = (Pace(ns=pace_ns),) if pace_ns else ()
        return Told(Answer(reply=replace(reply, steps=(*pace, *heard))))
    steps, moved_ns = in_time(one, pieces, said.dialect, heard)
    chunks: Chunking = "burst"
    note = f"the first frames came {format_duration(moved_ns)} before the first step" if moved_ns > _SLACK_NS else ""
    return Told(Answer(reply=replace(reply, steps=tuple(steps)), chunks=chunks), note)


def _readable(one: Interaction) -> tuple[tuple[Piece, ...], dict[str, str]]:
    """Return the pieces without compression, and the header that a body needs which nobody here can decompress."""
    pieces = plain(one)
    if pieces is not None:
        return tuple(piece for piece in pieces if piece.data), {}
    return one.pieces, {"content-encoding": one.header("content-encoding")}


def _is_gzip(one: Interaction) -> bool:
    # A body that was recorded decompressed still names its coding.
    return one.timed and one.header("content-encoding").strip().lower() in ("gzip", "x-gzip")


def _heard(one: Interaction, said: Spoken, pieces: Sequence[Piece]) -> tuple[tuple[Step, ...] | None, str]:
    """Return the steps that stand for a body; or None, and why there are none."""
    if isinstance(said.request, Refusal):
        return None, f"simkit would refuse this request: {said.request.text}"
    body = b"".join(piece.data for piece in pieces)
    if one.timed and any(ends_inside(piece.data) for piece in pieces):
        return None, "frames were cut where the pieces of the body began"
    heard = said.dialect.hear(body, streamed=True)
    if not heard:
        return None, f"{said.dialect.name} understands nothing of it"
    unknown = ""
    for steps in _candidates(one, heard):
        again = _compiled(said, steps)
        if again is not None and _alike(said.dialect.hear(again, streamed=True), heard):
            unknown = new_words(body, again)
            if not unknown:
                return steps, ""
    return None, f"{said.dialect.name} does not know {unknown}" if unknown else "steps do not give it back"


def _candidates(one: Interaction, heard: Sequence[Step]) -> Iterator[tuple[Step, ...]]:
    """Yield the timelines that may stand for what was heard, the plainest first."""
    steps = [step for step in _plainer(heard) if not isinstance(step, Disconnect)]
    if one.end in ("cut", "reset"):
        yield (*steps, Disconnect(how=cast(HangUp, one.end)))
        return
    if steps and isinstance(steps[-1], Done) and not one.timed:
        # The closing marker follows a finish by itself.
        yield tuple(steps[:-1])
    if any(isinstance(step, Finish | Fault | Done) for step in steps):
        # Also where the client did not stay for the end of the body: with a closing marker there is one.
        yield tuple(steps)
    yield (*steps, Stall(ns=FOREVER) if one.end == "open" else Disconnect(how="eof"))


def _plainer(heard: Iterable[Step]) -> Iterator[Step]:
    """Yield the steps without the indexes that are the usual ones."""
    opened: list[int | None] = []
    for step in heard:
        match step:
            case Call():
                usual = step.index == len(opened)
                opened.append(step.index)
                yield replace(step, index=None) if usual else step
            case Args() | Name() if opened and step.index == opened[-1]:
                yield replace(step, index=None)
            case _:
                yield step


def _compiled(said: Spoken, steps: tuple[Step, ...]) -> bytes | None:
    assert isinstance(said.request, CompletionRequest), said
    try:
        frames = said.dialect.stream(StreamReply(steps=steps), said.request, number=1, created=0)
        return b"".join(frame.data * frame.times for frame in frames)
    except UnplayableError:
        return None


def _alike(again: Iterable[Step], heard: Sequence[Step]) -> bool:
    """Compare steps; an id that the recording did not hold is made by the dialect."""
    again = list(again)
    if len(again) != len(heard):
        return False
    pairs = zip(again, heard, strict=True)
    return all(
        (replace(a, id=None) if isinstance(a, Call) and isinstance(b, Call) and b.id is None else a) == b
        for a, b in pairs
    )


def _raw_steps(one: Interaction, pieces: Sequence[Piece], pace_ns: int) -> Iterator[Step]:
    if one.timed:
        now_ns = 0
        for piece in pieces:
            yield from until(now_ns, piece.at_ns)
            now_ns = max(now_ns, rounded(piece.at_ns))
            yield Raw(data=piece.data)
        yield from _end(one, now_ns)
        return
    if pace_ns:
        yield Pace(ns=pace_ns)
    yield from (Raw(data=frame) for frame in cut_frames(b"".join(piece.data for piece in pieces)))
    yield Disconnect(how="eof")


def _end(one: Interaction, now_ns: int) -> Iterator[Step]:
    if one.end == "open":
        yield Stall(ns=FOREVER)
        return
    yield from until(now_ns, one.end_ns)
    yield Disconnect(how="eof" if one.end == "complete" else one.end)


# -- whole answers -------------------------------------------------------------------------------------------------
def _whole(one: Interaction, said: Spoken) -> Told:
    pieces, _ = _readable(one)
    body = b"".join(piece.data for piece in pieces)
    if one.end in ("cut", "reset"):
        wait = tuple(until(0, one.end_ns))
        note = f"{len(body)} bytes of a body came before its connection broke, and are left out"
        return Told(Answer(reply=StreamReply(steps=(*wait, Disconnect(how=one.end)))), note)
    if one.end == "open":
        return Told(Answer(reply=StreamReply(steps=(Stall(ns=FOREVER),))), "the body was never complete")
    if one.status != _STATUS_OK:
        return _status(one, said.dialect, body)
    steps = _heard_whole(said, body)
    if steps is not None:
        wait = tuple(until(0, one.end_ns)) if one.timed else ()
        return Told(Answer(reply=StreamReply(steps=(*wait, *steps))))
    kind = _media_type(one.header("content-type"))
    note = f"the body as it came: {said.dialect.name} cannot tell it in steps"
    return _status(one, said.dialect, body, kind, note)


def _heard_whole(said: Spoken, body: bytes) -> tuple[Step, ...] | None:
    if isinstance(said.request, Refusal) or said.request.stream or said.request.background:
        return None
    heard = said.dialect.hear(body, streamed=False)
    steps = tuple(_plainer(heard))
    try:
        again = said.dialect.whole(StreamReply(steps=steps), said.request, number=1, created=0)
    except UnplayableError:
        return None
    same = bool(steps) and _alike(said.dialect.hear(again, streamed=False), heard)
    return steps if same and not new_in_whole(body, again) else None


# -- statuses ------------------------------------------------------------------------------------------------------
def _status(one: Interaction, dialect: Dialect, body: bytes, kind: str = "", note: str = "") -> Told:
    headers = {name: value for name, value in one.headers if _TELLING_HEADERS.fullmatch(name)}
    retry_after = one.header("retry-after") or None
    if retry_after is not None and _is_duration(retry_after):
        # The language would read a duration where the header held none.
        headers, retry_after = {"retry-after": retry_after, **headers}, None
    reply = StatusReply(status=max(one.status, _STATUS_OK), retry_after=retry_after, headers=headers)
    own = None if one.status == _STATUS_OK else _own_error(reply, dialect, body)
    if own is not None:
        return Told(Answer(reply=own), note)
    sent = kind or _media_type(one.header("content-type"))
    if sent and sent != "application/json":
        headers = {"content-type": one.header("content-type"), **headers}
    text = body.decode("utf-8", "replace")
    if text.encode("utf-8", "surrogatepass") != body:
        note = "; ".join(filter(None, (note, "bytes of the body that are no UTF-8 are lost")))
    return Told(Answer(reply=replace(reply, headers=headers, body=text)), note)


def _own_error(reply: StatusReply, dialect: Dialect, body: bytes) -> StatusReply | None:
    """Return the reply without a body where the dialect's own body for it is the one that came."""
    came = read_or_none(body)
    error = came.get("error") if isinstance(came, dict) else None
    if not isinstance(error, dict):
        return None
    message, kind, code = (_text_or_none(error.get(key)) for key in ("message", "type", "code"))
    # The shortest that gives this very body.
    for words in ((None, None, None), (message, None, None), (message, kind, None), (message, kind, code)):
        tried = replace(reply, error=words[0], type=words[1], code=words[2])
        if _without_ids(read_or_none(dialect.error(tried, number=1)[1])) == _without_ids(came):
            return tried
    return None


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _without_ids(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: item for key, item in value.items() if key != "request_id"}
    return value


def _is_duration(text: str) -> bool:
    try:
        parse_duration(text)
    except ValueError:
        return False
    return True


def merged(told: Iterable[Told]) -> list[Told]:
    """Return the answers with those that come several times in a row made one."""
    out = list[Told]()
    for one in told:
        last = out[-1] if out else None
        same = last is not None and replace(last.answer, times=1) == one.answer and last.note == one.note
        # A stream that is the same twice is a coincidence worth seeing; a failure that is, is one failure.
        if last is not None and same and not isinstance(one.answer.reply, StreamReply):
            out[-1] = last._replace(answer=replace(last.answer, times=(last.answer.times or 1) + 1))
        else:
            out.append(one)
    return out
