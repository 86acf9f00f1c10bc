"""OpenAI Chat Completions: ``POST .../chat/completions``, streamed and whole.

A stream is a list of chunks, each one ``data:`` frame without an ``event:`` line, ended by ``data: [DONE]``.
All chunks of an answer carry the same id, date and model; only the delta differs:

==================  ==========================================================================
move                delta
==================  ==========================================================================
(before the first)  ``{"role": "assistant", "content": "", "refusal": null}``; content null
                    where something else than text comes first
say                 ``{"content": text}``
think               ``{"reasoning_content": text}``
refuse              ``{"refusal": text}``
call                ``{"tool_calls": [{"index", "id", "type": "function", "function": {"name",
                    "arguments": ""}}]}``
name                ``{"tool_calls": [{"index", "function": {"name": piece}}]}``
args                ``{"tool_calls": [{"index", "function": {"arguments": piece}}]}``: only
                    the index says whose piece it is
finish              ``{}`` and the reason
usage               no delta: a chunk with ``choices: []`` and the totals, after the finish,
                    and only where ``stream_options.include_usage`` asked for it (then every
                    other chunk has ``usage: null``)
empty frames        ``choices: []`` or ``choices: null``; the others as on every wire
error               ``{"error": {"message", "type", "param", "code"}}`` instead of a chunk, and
                    no ``[DONE]`` after it
done                ``[DONE]`` instead of a chunk
==================  ==========================================================================

Each reason to finish has its word here, unless the script gives the word itself (``wire``):

==================  ==========================================================================
stop                ``stop``, and so for ``refusal`` and ``stop_sequence``, which this wire does
                    not tell apart
length              ``length``, and so for ``context_window``
tool_calls          ``tool_calls``
content_filter      ``content_filter``
error               ``error``: no word of this API, but OpenRouter sends it
pause               none: the wire cannot say it
==================  ==========================================================================

The constraint: these are the bytes of the real API, so the official SDK is the judge and not a parser of
ours. That includes ``obfuscation``, padding that the API adds unless the request declines it, so that the
lengths of frames do not give the text away (in recorded streams text and padding together fill multiples of
eight). Four things are not OpenAI's own but what compatible servers send, because agents meet them behind the same
SDK: ``reasoning_content`` (on this wire the real API counts its reasoning and never shows it), names in pieces, calls
without an ``index``, and ``finish_reason: error``.

Decided here: the role chunk travels with the first move and never alone, so a script that begins with a
silence is silent from the first byte; put an empty ``say`` before it to have the role first. A usage step
without a finish sends nothing, as an interrupted stream of the real API never counts. A whole body always has
usage and a finish reason: a script without one gets ``tool_calls`` where it calls tools, else ``stop``,
because one body cannot be unfinished. An error in a whole body is the whole body, at status 200, as gateways send it:
what was said before is not in it. The signature of a thought belongs to other wires and is left out.

Not simulated, and refused by name: several choices (``n``), ``logprobs``, and answers in sound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from simkit.contracts import CompletionRequest, Frame, HttpRequest, Refusal
from simkit.dialects.framing import damaged, frames, hollow, whole_script
from simkit.dialects.jsontext import write_json
from simkit.dialects.openai_chat_hearing import hear_chunks, hear_completion
from simkit.dialects.openai_chat_requests import read_request
from simkit.dialects.openai_errors import Row, error_reply, error_value
from simkit.dialects.openai_headers import response_headers
from simkit.dialects.sse import encode_event, encode_json, keepalive_bytes
from simkit.dialects.tokens import estimate, thought, tokens
from simkit.dialects.turn import MARK, CallHeard, Move, Turn, about, moves, told
from simkit.errors import UnplayableError
from simkit.model.timeline import (
    NO_INDEX,
    Args,
    Call,
    Chunk,
    Done,
    Fault,
    Finish,
    Name,
    Refuse,
    Say,
    StatusReply,
    Step,
    StreamReply,
    Think,
    Usage,
)

_FINGERPRINT: Final = "fp_simkit0001"
# Its first letters are the padding of a chunk; eight because that is what the real API fills up to.
_PADDING: Final = "obfuscat"
_FINISH: Final = {
    "stop": "stop",
    "refusal": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "context_window": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "error": "error",
}
# What needs no role before it: it says nothing in the name of the assistant.
_ROLELESS: Final = Usage | Done | Chunk | Fault
# The tiers that a response names as they were asked for; every other request is served by the default one.
_TIERS: Final = ("flex", "priority", "scale", "fast")


class OpenAIChat:
    """The dialect ``openai-chat``."""

    name = "openai-chat"
    base_url = "https://api.openai.com/v1"

    def claims(self, method: str, path: str) -> bool:
        """Say whether this is a chat completion request, under whatever base path the client was given."""
        return method == "POST" and path.rstrip("/").endswith("/chat/completions")

    def read(self, request: HttpRequest) -> CompletionRequest | Refusal:
        """Understand a request, or refuse it as the API does."""
        return read_request(request)

    def stream(self, reply: StreamReply, request: CompletionRequest, *, number: int, created: int) -> Iterator[Frame]:
        """Compile a timeline to frames."""
        _guard(request)
        script = moves(reply.steps, number)
        return frames(script, _Writer(script, _Chunks(request, number, created)).write)

    def whole(self, reply: StreamReply, request: CompletionRequest, *, number: int, created: int) -> bytes:
        """Compile a timeline to one ``chat.completion`` body."""
        _guard(request)
        script, damage = whole_script(moves(reply.steps, number))
        head = _head(request, number, created, "chat.completion")
        body = write_json(_fault(script) or _completion(script, head, request))
        return body if damage is None else damaged(body, damage)

    def hear(self, body: bytes, *, streamed: bool) -> tuple[Step, ...]:
        """Return the steps that a body was made of."""
        return tuple(hear_chunks(body) if streamed else hear_completion(body))

    def error(self, reply: StatusReply, *, number: int) -> tuple[Mapping[str, str], bytes]:
        """Return headers and body that the API sends with this status."""
        return error_reply(reply)

    def headers(self, number: int) -> Mapping[str, str]:
        """Return what the API adds to every response."""
        return response_headers(number)

    def media_type(self, request: CompletionRequest) -> str:
        """Return the content type of a stream."""
        return "text/event-stream; charset=utf-8"

    def keepalive(self, request: CompletionRequest) -> bytes:
        """Return a comment: this API has no event for it."""
        return keepalive_bytes()


OPENAI_CHAT: Final = OpenAIChat()


# -- streamed -----------------------------------------------------------------------------------------------------
class _Chunks:
    """The chunks of one answer: the same head around each delta."""

    def __init__(self, request: CompletionRequest, number: int, created: int) -> None:
        options = request.body.get("stream_options")
        self.request = request
        self._head = _head(request, number, created, "chat.completion.chunk")
        self._tail = {"usage": None} if request.include_usage else {}
        self._padded = not isinstance(options, dict) or options.get("include_obfuscation") is not False

    def delta(self, delta: Mapping[str, object], text: str = "", finish: str | None = None) -> bytes:
        """Return the frame of a delta; ``text`` is what its length must not give away."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._frame({**self._head, "choices": [choice], **self._tail}, text)

    def bare(self, choices: list[object] | None) -> bytes:
        """Return a frame that has no choice."""
        return self._frame({**self._head, "choices": choices, **self._tail}, "")

    def totals(self, usage: Mapping[str, object]) -> bytes:
        """Return the frame that counts the tokens."""
        return self._frame({**self._head, "choices": [], "usage": usage}, "")

    def _frame(self, chunk: dict[str, object], text: str) -> bytes:
        if self._padded:
            chunk["obfuscation"] = _PADDING[: -len(text) % len(_PADDING)]
        return encode_json(write_json(chunk))


class _Writer:
    """Writes the moves of one answer in order: the role before the first, the totals after the last that counts."""

    def __init__(self, script: Sequence[Move], chunks: _Chunks) -> None:
        self._script = script
        self._chunks = chunks
        self._opened = False
        self._counts_after = _counts_after(script) if chunks.request.include_usage else None

    def write(self, move: Move) -> Iterator[Frame]:
        """Yield the frames of a move."""
        if not self._opened and not isinstance(move.what, _ROLELESS):
            self._opened = True
            yield Frame(move.step, self._chunks.delta(_role(move)), MARK)
        if not isinstance(move.what, Usage):
            yield Frame(move.step, _data(move, self._chunks), about(move))
        if move is self._counts_after:
            counted = Move(move.step, Usage(input_tokens=0, output_tokens=0))
            usage = _usage(self._script, self._chunks.request)
            yield Frame(move.step, self._chunks.totals(usage), about(counted))


def _counts_after(script: Sequence[Move]) -> Move | None:
    """Return after which move the tokens are counted: the finish, or a usage step that comes later."""
    places = [n for n, m in enumerate(script) if isinstance(m.what, Finish)]
    if not places:
        return None
    return script[max([places[0], *(n for n, m in enumerate(script) if isinstance(m.what, Usage))])]


def _role(first: Move) -> dict[str, object]:
    content = "" if isinstance(first.what, Say | Finish) else None
    return {"role": "assistant", "content": content, "refusal": None}


def _data(move: Move, chunks: _Chunks) -> bytes:
    match move.what:
        case Say(text=text):
            return chunks.delta({"content": text}, text)
        case Think(text=text):
            return chunks.delta({"reasoning_content": text}, text)
        case Refuse(text=text):
            return chunks.delta({"refusal": text}, text)
        case Call() as call:
            return _called(chunks, call.index, {"name": call.name, "arguments": ""}, call.name, call.id)
        case Name(text=text, index=index):
            return _called(chunks, index, {"name": text}, text)
        case Args(text=text, index=index):
            return _called(chunks, index, {"arguments": text}, text)
        case Finish():
            return chunks.delta({}, finish=_word(move))
        case Chunk(kind=kind):
            return hollow(kind) or chunks.bare([] if kind == "empty" else None)
        case Fault():
            return encode_json(write_json(_error(move)))
        case Done():
            return encode_event("[DONE]")
    raise AssertionError(f"{move!r} is no move of the wire")


def _called(
    chunks: _Chunks, index: int | None, function: Mapping[str, object], text: str, call: str | None = None
) -> bytes:
    """Return the frame of a call's opening, which has its id, or of a piece of it, which has none."""
    place = {} if index == NO_INDEX else {"index": index}
    opening = {} if call is None else {"id": call, "type": "function"}
    return chunks.delta({"tool_calls": [{**place, **opening, "function": function}]}, text)


# -- whole --------------------------------------------------------------------------------------------------------
def _completion(script: Sequence[Move], head: Mapping[str, object], request: CompletionRequest) -> dict[str, object]:
    turn = told(script)
    words = [_word(move) for move in script if isinstance(move.what, Finish)]
    choice = {
        "index": 0,
        "message": _message(turn),
        "logprobs": None,
        "finish_reason": words[-1] if words else "tool_calls" if turn.calls else "stop",
    }
    return {**head, "choices": [choice], "usage": _usage(script, request)}


def _message(turn: Turn) -> dict[str, object]:
    # A message of calls or a refusal has no content, not an empty one; one without anything has an empty one.
    content = turn.text if turn.text or not (turn.calls or turn.refusal) else None
    thoughts = {"reasoning_content": turn.thoughts} if turn.thoughts else {}
    calls = {"tool_calls": [_tool_call(c) for c in turn.calls]} if turn.calls else {}
    message = {"role": "assistant", "content": content, **thoughts, "refusal": turn.refusal or None}
    return {**message, "annotations": [], **calls}


def _tool_call(call: CallHeard) -> dict[str, object]:
    return {"id": call.id, "type": "function", "function": {"name": call.tool, "arguments": call.args}}


def _fault(script: Sequence[Move]) -> dict[str, object] | None:
    return next((_error(move) for move in script if isinstance(move.what, Fault)), None)


# -- both ---------------------------------------------------------------------------------------------------------
def _guard(request: CompletionRequest) -> None:
    """Refuse what an answer would need that is not simulated."""
    body, modalities = request.body, request.body.get("modalities")
    wanted = {
        "`n` above 1": body.get("n") not in (None, 1),
        "`logprobs`": body.get("logprobs") is True,
        "`modalities` with audio": isinstance(modalities, list) and "audio" in modalities,
    }
    for name, asked in wanted.items():
        if asked:
            raise UnplayableError(0, f"the request asks for {name}, which is not simulated on this wire")


def _word(move: Move) -> str:
    """Return the word of this wire for a reason to finish."""
    assert isinstance(move.what, Finish), move
    word = move.what.wire or _FINISH.get(move.what.reason)
    if word is None:
        known = ", ".join(_FINISH)
        text = f"no `finish_reason` of this wire means {move.what.reason!r} - use one of {known}, or give the word"
        raise UnplayableError(move.step, text)
    return word


def _error(move: Move) -> dict[str, object]:
    """Return the error that comes instead of more of the answer."""
    assert isinstance(move.what, Fault), move
    fault = move.what
    if fault.form != "event":
        text = f"an error of the form {fault.form!r} belongs to the Responses API - this wire has only 'event'"
        raise UnplayableError(move.step, text)
    return {"error": error_value(Row(fault.type or "server_error", fault.code, fault.text))}


def _head(request: CompletionRequest, number: int, created: int, kind: str) -> dict[str, object]:
    tier = request.body.get("service_tier")
    return {
        "id": f"chatcmpl-sim-{number:06d}",
        "object": kind,
        "created": created,
        "model": request.model,
        "service_tier": tier if tier in _TIERS else "default",
        "system_fingerprint": _FINGERPRINT,
    }


def _usage(script: Sequence[Move], request: CompletionRequest) -> dict[str, object]:
    counted = [m.what for m in script if isinstance(m.what, Usage)]
    usage = counted[-1] if counted else _estimate(script, request)
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.thinking_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _estimate(script: Sequence[Move], request: CompletionRequest) -> Usage:
    """Count tokens where the script does not: from the lengths of the texts, so the same in every run."""
    turn, read = told(script), len(write_json(request.body["messages"]))
    return Usage(input_tokens=tokens(read), output_tokens=estimate(turn), thinking_tokens=thought(turn))
