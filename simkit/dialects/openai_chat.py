"""OpenAI Chat Completions: ``POST .../chat/completions``, streamed and whole.

A stream is a list of chunks, each one ``data:`` frame without an ``event:`` line, ended by ``data: [DONE]``.
All chunks of an answer carry the same id, date and model; only the delta differs:

==================  ==========================================================================
move                delta
==================  ==========================================================================
(before the first)  ``{"role": "assistant", "content": "", "refusal": null}``; content null
                    where a call comes first
say                 ``{"content": text}``
call                ``{"tool_calls": [{"index", "id", "type": "function", "function": {"name",
                    "arguments": ""}}]}``
args                ``{"tool_calls": [{"index", "function": {"arguments": piece}}]}``: only
                    the index says whose piece it is
finish              ``{}`` and the reason
usage               no delta: a chunk with ``choices: []`` and the totals, after the finish,
                    and only where ``stream_options.include_usage`` asked for it (then every
                    other chunk has ``usage: null``)
done                ``[DONE]`` instead of a chunk
==================  ==========================================================================

The constraint: these are the bytes of the real API, so the official SDK is the judge and not a parser of
ours. That includes ``obfuscation``, padding that the API adds unless the request declines it, so that the
lengths of frames do not give the text away (in recorded streams text and padding together fill multiples of
eight).

Decided here: the role chunk travels with the first move and never alone, so a script that begins with a
silence is silent from the first byte; put an empty ``say`` before it to have the role first. A usage step
without a finish sends nothing, as an interrupted stream of the real API never counts. A whole body always has
usage and a finish reason: a script without one gets ``tool_calls`` where it calls tools, else ``stop``,
because one body cannot be unfinished.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from simkit.contracts import CompletionRequest, Frame, Refusal
from simkit.dialects.jsontext import write_json
from simkit.dialects.openai_chat_requests import read_request
from simkit.dialects.openai_errors import error_reply
from simkit.dialects.sse import encode_event, encode_json
from simkit.dialects.turn import CallHeard, Move, Turn, about, moves, turn_of
from simkit.model.timeline import Args, Call, Done, Finish, Say, StatusReply, StreamReply, Usage

_FINGERPRINT: Final = "fp_simkit0001"
# Its first letters are the padding of a chunk; eight because that is what the real API fills up to.
_PADDING: Final = "obfuscat"
# The rule of thumb that tokenizers of English text are near to.
_CHARACTERS_PER_TOKEN: Final = 4


class OpenAIChat:
    """The dialect ``openai-chat``."""

    name = "openai-chat"
    base_url = "https://api.openai.com/v1"

    def claims(self, method: str, path: str) -> bool:
        """Say whether this is a chat completion request, under whatever base path the client was given."""
        return method == "POST" and path.rstrip("/").endswith("/chat/completions")

    def read(self, body: bytes) -> CompletionRequest | Refusal:
        """Understand a request body, or refuse it as the API does."""
        return read_request(body)

    def stream(self, reply: StreamReply, request: CompletionRequest, *, number: int, created: int) -> Sequence[Frame]:
        """Compile a timeline to frames."""
        return list(_frames(moves(reply.steps, number), _Chunks(request, number, created)))

    def whole(self, reply: StreamReply, request: CompletionRequest, *, number: int, created: int) -> bytes:
        """Compile a timeline to one ``chat.completion`` body."""
        script = moves(reply.steps, number)
        turn = turn_of(map(about, script))
        choice = {
            "index": 0,
            "message": _message(turn),
            "logprobs": None,
            "finish_reason": turn.finish or ("tool_calls" if turn.calls else "stop"),
        }
        head = _head(request, number, created, "chat.completion")
        return write_json({**head, "choices": [choice], "usage": _usage(script, request)})

    def error(self, reply: StatusReply) -> tuple[Mapping[str, str], bytes]:
        """Return headers and body that the API sends with this status."""
        return error_reply(reply)


OPENAI_CHAT: Final = OpenAIChat()


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

    def totals(self, usage: Mapping[str, object]) -> bytes:
        """Return the frame that counts the tokens."""
        return self._frame({**self._head, "choices": [], "usage": usage}, "")

    def _frame(self, chunk: dict[str, object], text: str) -> bytes:
        if self._padded:
            chunk["obfuscation"] = _PADDING[: -len(text) % len(_PADDING)]
        return encode_json(write_json(chunk))


def _frames(script: Sequence[Move], chunks: _Chunks) -> Iterator[Frame]:
    opened, count_at = False, _count_at(script) if chunks.request.include_usage else None
    for place, move in enumerate(script):
        if not opened and not isinstance(move.what, Usage | Done):
            opened = True
            yield _role_frame(move, chunks)
        if not isinstance(move.what, Usage):
            yield Frame(move.step, _data(move, chunks), about(move))
        if place == count_at:
            counted = Move(move.step, Usage(input_tokens=0, output_tokens=0))
            yield Frame(move.step, chunks.totals(_usage(script, chunks.request)), about(counted))


def _count_at(script: Sequence[Move]) -> int | None:
    """Return after which move the tokens are counted: the finish, or a usage step that comes later."""
    finished = next((n for n, m in enumerate(script) if isinstance(m.what, Finish)), None)
    if finished is None:
        return None
    return max([finished, *(n for n, m in enumerate(script) if isinstance(m.what, Usage))])


def _role_frame(first: Move, chunks: _Chunks) -> Frame:
    content = None if isinstance(first.what, Call | Args) else ""
    data = chunks.delta({"role": "assistant", "content": content, "refusal": None})
    return Frame(first.step, data, about(Move(first.step, Say(text=""))))


def _data(move: Move, chunks: _Chunks) -> bytes:
    match move.what:
        case Say(text=text):
            return chunks.delta({"content": text}, text)
        case Call() as call:
            function = {"name": call.name, "arguments": ""}
            opening = {"index": call.index, "id": call.id, "type": "function", "function": function}
            return chunks.delta({"tool_calls": [opening]}, call.name)
        case Args(text=text, index=index):
            piece = {"index": index, "function": {"arguments": text}}
            return chunks.delta({"tool_calls": [piece]}, text)
        case Finish(reason=reason):
            return chunks.delta({}, finish=reason)
        case Done():
            return encode_event("[DONE]")
    raise AssertionError(f"{move!r} is no move of the wire")


def _head(request: CompletionRequest, number: int, created: int, kind: str) -> dict[str, object]:
    return {
        "id": f"chatcmpl-sim-{number:06d}",
        "object": kind,
        "created": created,
        "model": request.model,
        "service_tier": "default",
        "system_fingerprint": _FINGERPRINT,
    }


def _message(turn: Turn) -> dict[str, object]:
    # A message of calls alone has no content, not an empty one; one without anything has an empty one.
    content = turn.text if turn.text or not turn.calls else None
    calls = {"tool_calls": [_tool_call(c) for c in turn.calls]} if turn.calls else {}
    return {"role": "assistant", "content": content, "refusal": None, "annotations": [], **calls}


def _tool_call(call: CallHeard) -> dict[str, object]:
    return {"id": call.id, "type": "function", "function": {"name": call.tool, "arguments": call.args}}


def _usage(script: Sequence[Move], request: CompletionRequest) -> dict[str, object]:
    counted = [m.what for m in script if isinstance(m.what, Usage)]
    usage = counted[-1] if counted else _estimate(script, request)
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _estimate(script: Sequence[Move], request: CompletionRequest) -> Usage:
    """Count tokens where the script does not: from the lengths of the texts, so the same in every run."""
    turn = turn_of(map(about, script))
    written = len(turn.text) + sum(len(c.tool) + len(c.args) for c in turn.calls)
    read = len(write_json(request.body["messages"]))
    return Usage(input_tokens=_tokens(read), output_tokens=_tokens(written))


def _tokens(characters: int) -> int:
    return 1 + characters // _CHARACTERS_PER_TOKEN
