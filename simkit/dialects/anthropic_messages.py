"""Anthropic Messages: ``POST .../v1/messages``, streamed and whole.

A stream is a list of events, each a frame with an ``event:`` line that repeats the ``type`` of its data; the SDK drops
a frame without it. The content is a list of blocks with an index, and every block opens, grows and closes:

==================  ==================================================================================================
move                events
==================  ==================================================================================================
(before the first)  ``message_start``: the message without content, what was read, and 1 token written
say, refuse         ``content_block_delta`` with ``text_delta``, in a ``text`` block
think               ``content_block_delta`` with ``thinking_delta``, in a ``thinking`` block
call                ``content_block_start`` of a ``tool_use`` block with ``input: {}``; the id and the name are whole
args                ``content_block_delta`` with ``input_json_delta``; an empty one comes before the first
finish              ``message_delta`` with the stop reason and all tokens, which overwrite those of the start
done                ``message_stop``
error               ``error`` with ``details``, ``type``, ``message`` and ``request_id``; blocks stay open
chunk: empty        a delta of the open block that holds nothing
usage               no event: its figures stand in ``message_start`` and in the ``message_delta`` of the finish
==================  ==================================================================================================

A block opens when a move needs one of its kind and none is open, and the first to open is followed by a ``ping``. It
closes (``content_block_stop``) when another opens, or at the finish, always with the move that makes it necessary. A
thinking block gets its ``signature_delta`` just before: the script's own right after its text, else one that ``sign``
makes, because the API never sends a thought without.

The constraint: these are the bytes of the real API, so the official SDK is the judge and not a parser of ours.
Sending an index of the script as the index of a block was refused: on this wire an index counts all blocks, texts
too, so ``index`` only says which call a piece belongs to.

Decided here:

- ``message_start`` travels with the first move and never alone, so a script that begins with a silence is silent from
  the first byte; put an empty ``say`` before it to have an open block first. An error as the first move comes alone.
- The API ends each call before it begins the next. Where a script interleaves the pieces of two calls, a block to
  which pieces are still to come stays open, and they go to its index, which the wire allows.
- ``refuse`` is text like any other: models that decline in words end as usual. The reasons ``refusal`` and
  ``content_filter`` are both ``refusal``, with ``stop_details`` that name no category.
- ``stop_sequence`` names the first sequence of the request; null where it has none.
- Tokens read are the script's less those that came from a cache, which this API counts apart.
- A mid-stream error without a type is ``api_error``; its code goes to ``details.error_code``. In a whole body it is the
  whole body, at status 200, as gateways send it: what was said before is not in it.
- A whole body always has a stop reason: ``tool_use`` where the script has none and calls tools, else ``end_turn``. The
  ``input`` of a call is an object there, so of arguments that break off only the members that were complete are in it,
  as the API itself sends no value before it is complete; arguments that are no object cannot be played whole.
- The spaces with which newer models fill up a frame are left out: they mean nothing, and differ every time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from simkit.contracts import CompletionRequest, Frame, HttpRequest, Refusal
from simkit.dialects.anthropic_errors import error_reply, response_headers
from simkit.dialects.anthropic_hearing import hear_stream, hear_whole
from simkit.dialects.anthropic_requests import read_request
from simkit.dialects.anthropic_writer import PING, Writer
from simkit.dialects.framing import damaged, frames, hollow, whole_script
from simkit.dialects.jsontext import write_json
from simkit.dialects.sse import encode_json
from simkit.dialects.turn import Move, about, moves
from simkit.model.timeline import Chunk, StatusReply, Step, StreamReply


class Anthropic:
    """The dialect ``anthropic``."""

    name = "anthropic"
    base_url = "https://api.anthropic.com"

    def claims(self, method: str, path: str) -> bool:
        """Say whether this is a request for a message, under whatever base path the client was given."""
        return method == "POST" and path.rstrip("/").endswith("/v1/messages")

    def read(self, request: HttpRequest) -> CompletionRequest | Refusal:
        """Understand a request, or refuse it as the API does."""
        return read_request(request)

    def stream(self, reply: StreamReply, request: CompletionRequest, *, number: int, created: int) -> Iterator[Frame]:
        """Compile a timeline to frames."""
        script = moves(reply.steps, number)
        writer = Writer(script, request, number)
        return frames(script, lambda move: _frames(writer, move))

    def whole(self, reply: StreamReply, request: CompletionRequest, *, number: int, created: int) -> bytes:
        """Compile a timeline to one message."""
        script, damage = whole_script(moves(reply.steps, number))
        writer = Writer(script, request, number)
        events = [event.data for move in script for event in writer.write(move)]
        error = next((event for event in events if event["type"] == "error"), None)
        body = write_json(error or writer.message())
        return body if damage is None else damaged(body, damage)

    def hear(self, body: bytes, *, streamed: bool) -> tuple[Step, ...]:
        """Return the steps that a body was made of."""
        return hear_stream(body) if streamed else hear_whole(body)

    def error(self, reply: StatusReply, *, number: int) -> tuple[Mapping[str, str], bytes]:
        """Return headers and body that the API sends with this status."""
        return error_reply(reply, number)

    def headers(self, number: int) -> Mapping[str, str]:
        """Return what the API adds to every response."""
        return response_headers(number)

    def media_type(self, request: CompletionRequest) -> str:
        """Return the content type of a stream."""
        return "text/event-stream; charset=utf-8"

    def keepalive(self, request: CompletionRequest) -> bytes:
        """Return the event that this API has for it."""
        return PING


ANTHROPIC: Final = Anthropic()


def _frames(writer: Writer, move: Move) -> Iterator[Frame]:
    if isinstance(move.what, Chunk) and (nothing := hollow(move.what.kind)) is not None:
        yield Frame(move.step, nothing, about(move))
        return
    for event in writer.write(move):
        kind = str(event.data["type"])
        data = PING if kind == "ping" else encode_json(write_json(event.data), kind)
        yield Frame(move.step, data, event.about)
