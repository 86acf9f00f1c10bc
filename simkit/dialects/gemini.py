"""Gemini: ``POST .../models/{model}:generateContent`` and ``:streamGenerateContent``, streamed and whole.

An answer is a list of ``GenerateContentResponse`` objects, in one of two forms. With ``alt=sse``, which the official
SDK asks for, each is a frame ``data: {...}`` ended by two CRLF; without, they are the elements of one JSON array. Every
one has ``usageMetadata`` (cumulative), ``modelVersion`` and ``responseId``; only the candidate differs:

==================  =============================================================================
move                candidate (``index`` 0, ``content.role`` ``model``)
==================  =============================================================================
say, refuse         ``parts: [{"text"}]``
think               ``parts: [{"text", "thought": true, "thoughtSignature"?}]``
call and its args   ``parts: [{"functionCall": {"name", "args", "id"}}]``, whole, at the last piece
finish              ``finishReason``: ``STOP`` (stop, tool_calls, stop_sequence), ``MAX_TOKENS``
                    (length, context_window), ``SAFETY`` (content_filter, refusal), ``OTHER``
                    (error), or ``wire`` as it is
usage               none: the counts of the chunks lead to it
chunk               ``empty``: no candidate, only the counts; as events also ``blank``,
                    ``comment``, ``meta``
error               no chunk: a bare ``{"error": {...}}`` without ``data:``, over several lines
done                nothing as events (there is no closing marker), ``]`` in the array
==================  =============================================================================

The constraint: these are the bytes of the real API, so the official SDK is the judge and not a parser of ours. Pieces
of a call were refused, though newer types have ``partialArgs``: they say "not supported in Gemini API".

Where the facts come from. Field names, finish words and base64: ``google/genai/types.py`` of google-genai 3.4.0.
Paths, ``alt=sse`` and the header of the key: its ``models.py`` and ``_api_client.py``. What a client must be able to
read (lines, bare errors between frames, errors known by ``{"error":`` at their start): ``_api_client.py`` and
``errors.py``; what a chat sends back: ``chats.py``. CRLF, order of keys, blanks, the empty text at the finish, headers:
streams recorded in pydantic/pydantic-ai (``tests/models/cassettes/test_google``). Bare errors in mid-stream:
vercel/ai#5217 and diegosouzapw/OmniRoute#4177; clients that only look for ``data:`` miss them, and must be able to
here. ``[``, ``,`` CRLF and ``]`` of the array: notes and tests of several public clients, which do not agree on blanks.

Decided here: a call always has an id, as newer models send one; the SDK's own function calling sends results without.
No keep-alive of this API is on record and the SDK takes a comment for broken JSON, so ``keepalive`` is an empty line.
A whole body without a finish ends with ``STOP``, because one body cannot be unfinished.

What cannot be said: ``promptFeedback`` (a blocked prompt has no candidate, hence no finish; write it with ``raw``),
names in pieces, calls without index, ``chunk: null``, ``pause``, an error in one body, a second candidate, signatures
of parts that are no thoughts, and an error status as a list, which streams without ``alt=sse`` get (only the refusals
of ``read`` know the form).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from simkit.contracts import CompletionRequest, Frame, HttpRequest, Refusal
from simkit.dialects.framing import damaged, frames, whole_script
from simkit.dialects.gemini_chunks import Chunks, fault_of, gathered
from simkit.dialects.gemini_errors import MEDIA_TYPE, error_reply, pretty
from simkit.dialects.gemini_hear import hear_body
from simkit.dialects.gemini_requests import ARRAY, is_endpoint, read_request
from simkit.dialects.turn import Move, moves
from simkit.errors import UnplayableError
from simkit.model.timeline import Done, Fault, Finish, Garble, Refuse, Say, StatusReply, Step, StreamReply, Think, Usage

# What stands between two elements of the array form.
_BETWEEN: Final = b",\r\n"


class Gemini:
    """The dialect ``gemini``."""

    name = "gemini"
    base_url = "https://generativelanguage.googleapis.com"

    def claims(self, method: str, path: str) -> bool:
        """Say whether this asks a model for content, under whatever base path (Vertex's is longer)."""
        return method == "POST" and is_endpoint(path)

    def read(self, request: HttpRequest) -> CompletionRequest | Refusal:
        """Understand a request, or refuse it as the API does."""
        return read_request(request)

    def stream(self, reply: StreamReply, request: CompletionRequest, *, number: int, created: int) -> Iterator[Frame]:
        """Compile a timeline to frames."""
        script = list(gathered(moves(reply.steps, number)))
        played = frames(script, Chunks(request, script, number).write)
        return _as_array(script, played) if request.detail == ARRAY else played

    def whole(self, reply: StreamReply, request: CompletionRequest, *, number: int, created: int) -> bytes:
        """Compile a timeline to one ``GenerateContentResponse``; an error in it is all that comes, at status 200."""
        script, damage = whole_script(moves(reply.steps, number))
        body = next((fault_of(move).body() for move in script if isinstance(move.what, Fault)), None)
        if body is None:
            parts = _merged(list(gathered(script)))
            body = b"%b\n" % pretty(Chunks(request, script, number).response(*parts))
        return body if damage is None else damaged(body, damage)

    def hear(self, body: bytes, *, streamed: bool) -> tuple[Step, ...]:
        """Return the steps that a body was made of; the forms tell themselves apart."""
        return hear_body(body)

    def error(self, reply: StatusReply, *, number: int) -> tuple[Mapping[str, str], bytes]:
        """Return headers and body that the API sends with this status."""
        return error_reply(reply)

    def headers(self, number: int) -> Mapping[str, str]:
        """Return what the API adds to every response: no id of the request among it."""
        return {"vary": "Origin, X-Origin, Referer", "server-timing": "gfet4t7; dur=100"}

    def media_type(self, request: CompletionRequest) -> str:
        """Return the content type of a stream in the form that was asked for."""
        return MEDIA_TYPE if request.detail == ARRAY else "text/event-stream"

    def keepalive(self, request: CompletionRequest) -> bytes:
        """Return an empty line, which means nothing in either form."""
        return b"\r\n"


GEMINI: Final = Gemini()


def _as_array(script: Sequence[Move], played: Iterable[Frame]) -> Iterator[Frame]:
    """Put the elements into one array; its end is the closing marker, or comes with an error."""
    for move in script:
        if isinstance(move.what, Garble) and move.what.how == "unended":
            raise UnplayableError(move.step, "the elements of an array have no end of their own that could be missing")
    between = b"["
    for frame in played:
        kind = frame.about["is"]
        if kind == "raw":
            yield frame
            continue
        if kind == "done":
            yield frame._replace(data=b"]" if between == _BETWEEN else b"[]")
            continue
        yield frame._replace(data=between + frame.data + (b"]" if kind == "error" else b""))
        between = _BETWEEN


def _merged(script: Sequence[Move]) -> Iterator[Move]:
    """Yield the parts of one content, pieces of one text as one, and its end, which is there in any case."""
    held: Move | None = None
    finished = False
    for move in script:
        finished = finished or isinstance(move.what, Finish)
        if isinstance(move.what, Usage | Done):
            continue
        joined = _joined(held, move)
        if joined is None and held is not None:
            yield held
        held = joined or move
    if held is not None:
        yield held
    if not finished:
        yield Move(script[-1].step if script else 0, Finish(reason="stop"))


def _joined(before: Move | None, move: Move) -> Move | None:
    """Return two pieces of one text as one; None where they are none. A signature ends a thought."""
    match before and before.what, move.what:
        case (Say(text=begun), Say(text=text)) | (Refuse(text=begun), Refuse(text=text)):
            return move._replace(what=Say(text=begun + text))
        case Think(text=begun, signature=None), Think(text=text, signature=signature):
            return move._replace(what=Think(text=begun + text, signature=signature))
    return None
