"""From moves to frames: what is the same on every wire that streams, and what no whole body can carry.

The idea: a dialect says how one move is written, and ``frames`` adds what no dialect needs to know: bytes as they
are, a frame once more, a frame that arrives damaged. The constraint: a damaged frame is made from the one that would
have been sent, so it is wrong exactly where the scenario says and right everywhere else. Damage written by each
dialect was refused: four dialects would break in four ways.

What is decided here, for all dialects:

=============  ===============================================================================================
damage         hits the first frame after the step that carries something of the answer, not the marks of structure
               that a dialect sends before it; a client understands nothing of a damaged frame
``unended``    the frame lacks its end, so what follows on the wire runs into it: the frame after it is lost as well
``repeat``     the last frame once more, as it was sent
a whole body   can arrive damaged as well (``json``, ``text``, ``utf8``); ``unended``, ``raw``, ``repeat`` and the
               empty frames mean nothing there, and are refused by name
=============  ===============================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from simkit.contracts import Frame
from simkit.dialects.sse import encode_comment
from simkit.dialects.turn import MARK, Move, about
from simkit.errors import UnplayableError
from simkit.model.timeline import Chunk, ChunkKind, Damage, Garble, Raw, Repeat

# What an overloaded server writes where JSON was expected.
_NO_JSON: Final = b"overloaded"
# A byte that is never part of UTF-8.
_BAD_BYTE: Final = b"\xff"
_DATA: Final = b"data: "
# How a frame of server-sent events begins that may hold data; other streams are JSON throughout.
_FIELDS: Final = (b"data:", b"event:", b"id:", b":")
_GARBLED: Final = {**MARK, "is": "garbled"}


def frames(script: Iterable[Move], write: Callable[[Move], Iterable[Frame]]) -> Iterator[Frame]:
    """Yield the frames of a script; ``write`` gives those of each move that is a dialect's own.

    Raises ``UnplayableError`` for a repetition of nothing and a damage to nothing.
    """
    playing = _Playing()
    for move in script:
        match move.what:
            case Garble():
                playing.damage = move
            case Repeat(times=times):
                yield playing.again(move, times)
            case Raw(data=data):
                yield playing.played(Frame(move.step, data, about(move)))
            case _:
                yield from map(playing.played, write(move))
    if playing.damage is not None:
        raise UnplayableError(playing.damage.step, "no frame follows this step that could arrive damaged")


def hollow(kind: ChunkKind) -> bytes | None:
    """Return a frame of server-sent events that carries nothing; None where the kind is the dialect's to write."""
    return {"blank": b"data:\n\n", "comment": encode_comment("ping"), "meta": b"event: ping\n\n"}.get(kind)


def whole_script(script: Sequence[Move]) -> tuple[list[Move], Damage | None]:
    """Return the moves of a whole body, and how it arrives damaged (see ``damaged``).

    Raises ``UnplayableError`` for what only a stream can carry.
    """
    damage: Damage | None = None
    for move in script:
        match move.what:
            case Garble(how="unended") | Raw() | Repeat() | Chunk():
                text = "this step is about one frame of a stream, and the request asked for an answer in one piece"
                raise UnplayableError(move.step, f"{text}: ask for a stream")
            case Garble(how=how):
                damage = how
    return [move for move in script if not isinstance(move.what, Garble)], damage


def damaged(data: bytes, how: Damage) -> bytes:
    """Return a frame or a whole body as it arrives damaged. Raises ``ValueError`` where it holds no data."""
    lead, text, end = _parts(data)
    match how:
        case "unended":
            return lead + text
        case "text":
            return lead + _NO_JSON + end
        case "json":
            # Never the whole: half of an empty text, or of one brace, is still no JSON.
            return lead + text[: max(1, len(text) // 2)] + end
        case "utf8":
            # In the middle, where some text or name stands, and never in place of a line end.
            middle = len(text) // 2
            return lead + text[:middle] + _BAD_BYTE + text[middle:] + end


class _Playing:
    """What was sent last, and what is still to happen to the next frame."""

    def __init__(self) -> None:
        self.damage: Move | None = None
        self._last: Frame | None = None
        self._open = False

    def played(self, frame: Frame) -> Frame:
        """Return the frame as it goes on the wire."""
        ran_into, self._open, self._last = self._open, False, frame
        if self.damage is not None and frame.about["is"] not in ("mark", "raw"):
            self._last = self._spoil(frame, self.damage)
            return self._last
        if ran_into and frame.about["is"] != "raw":
            return frame._replace(about=_GARBLED)
        return frame

    def again(self, move: Move, times: int) -> Frame:
        """Return the last frame, sent so many times more."""
        if self._last is None:
            raise UnplayableError(move.step, "there is no frame before this step that could be repeated")
        return self._last._replace(step=move.step, times=times)

    def _spoil(self, frame: Frame, move: Move) -> Frame:
        assert isinstance(move.what, Garble), move
        self.damage, self._open = None, move.what.how == "unended"
        try:
            data = damaged(frame.data, move.what.how)
        except ValueError:
            text = "the frame after this step carries no data that could arrive damaged"
            raise UnplayableError(move.step, text) from None
        return Frame(frame.step, data, _GARBLED)


def _parts(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Cut a frame into what stands before its text, the text, and the line ends after it."""
    lead, found, rest = data.partition(_DATA) if data.startswith(_FIELDS) else (b"", b"", data)
    text = rest.rstrip(b"\r\n")
    if not text:
        raise ValueError(f"no data in {data!r}")
    return lead + found, text, rest[len(text) :]
