"""The Messages API through the official anthropic SDK, streamed and whole.

The idea: one reader turns raw events into neutral pieces, block by block; a block that has to go back unchanged (a
signed thought, a tool that ran at the provider) is put together here and kept as ``Opaque`` once it is whole. The
constraint it protects: a thought goes back with its own signature or not at all, for the API refuses any other, and
with it every later request of the session. The SDK's stream helper was refused: it mends cut JSON, and takes a stream
without ``message_stop`` for a whole one.

=============================  =====================================================================================
event                          piece
=============================  =====================================================================================
``content_block_start``        of ``tool_use``: the ``CallPart`` that opens it
``content_block_delta``        ``Text``, ``Thought``, ``CallPart`` with more arguments, by the kind of the delta
``content_block_stop``         of every kind but text and ``tool_use``: the ``Opaque`` of the whole block
``message_delta``              ``Usage``, and ``Finish`` where there is a stop reason
``message_stop``               ``Finish``, for servers that give no reason; nothing is waited for behind it
``error``                      an error, by its type; the SDK raises it with the status of the stream, which is 200
=============================  =====================================================================================
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any, Final, cast

import anthropic
from anthropic.types import (
    ContentBlock,
    ContentBlockParam,
    Message,
    MessageParam,
    RawContentBlockDelta,
    RawMessageStreamEvent,
    ToolParam,
    ToolResultBlockParam,
)

from simkit.agent.attempts import (
    drain,
    settle,
    short,
    status_error,
    stream_error,
    tell_answered,
    tell_sent,
    text_of,
    watched,
)
from simkit.agent.clients import (
    BrokenStreamError,
    ClientOptions,
    ProviderError,
    Request,
    UnavailableError,
    Watch,
)
from simkit.agent.history import AssistantMessage, Call, Item, Opaque, ToolResult, UserMessage, fit
from simkit.agent.stream import CallPart, Finish, FinishReason, Piece, Text, Thought, Token, Usage, parse_arguments
from simkit.agent.tools import Tool

WIRE: Final = "anthropic"

# What the wire says -> what it means; words that are not known are an end like any other.
_FINISH: Final[dict[str, FinishReason]] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
}
_THOUGHTS: Final = ("thinking", "redacted_thinking")


class Anthropic:
    """One model behind one Messages endpoint."""

    def __init__(self, options: ClientOptions) -> None:
        self._options = options
        self._timeout = anthropic.Timeout(options.read_timeout_s, connect=5.0)  # 5 s: the SDK's own default
        self._sdk = anthropic.AsyncAnthropic(
            base_url=options.base_url,
            api_key=options.api_key,
            max_retries=options.max_retries,
            timeout=self._timeout,
            http_client=anthropic.DefaultAsyncHttpxClient(
                timeout=self._timeout, event_hooks={"request": [tell_sent], "response": [tell_answered]}
            ),
        )

    async def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Send the request and yield what comes; see ``clients.Client``."""
        if request.whole or not self._options.stream:
            for piece in pieces_of_message(await self._ask(request, watch)):
                yield piece
            return
        reader = EventReader()
        async with await self._open(request, watch) as events:
            try:
                async for event in events:
                    for piece in reader.read(event):
                        yield piece
                    if reader.over:
                        break
            except ProviderError:
                raise
            except Exception as error:
                raise broken(error) from error
            await drain(events)

    async def cancel(self, token: Token) -> None:
        """Do nothing: no answer over this wire runs on."""

    async def aclose(self) -> None:
        """Close every connection."""
        await self._sdk.close()
        await settle()

    async def _open(self, request: Request, watch: Watch) -> anthropic.AsyncStream[RawMessageStreamEvent]:
        with watched(watch), refusals():
            events: anthropic.AsyncStream[RawMessageStreamEvent] = await self._sdk.messages.create(
                **body_of(self._options, request), stream=True
            )
        return events

    async def _ask(self, request: Request, watch: Watch) -> Message:
        with watched(watch, whole=True), refusals():
            # A timeout of one's own: without it the SDK refuses what may take longer than its default.
            message: Message = await self._sdk.messages.create(**body_of(self._options, request), timeout=self._timeout)
        return message


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the SDK raises until an answer begins, or until it is there in one piece, into errors of ours."""
    try:
        yield
    except anthropic.APIStatusError as error:
        text = f"{type(error).__name__}: {error.status_code} {_words(error.body) or short(str(error))}"
        raise status_error(text, error.status_code, error.response.headers) from error
    except anthropic.APIConnectionError as error:
        raise UnavailableError(text_of(error)) from error
    except (anthropic.APIError, ValueError) as error:
        # An answer in one piece that is no JSON.
        raise broken(error) from error


def broken(error: Exception) -> ProviderError:
    """Return what an error is that came while an answer arrived; most are the HTTP library's own, or json's."""
    if isinstance(error, anthropic.APIStatusError):
        return _told(error.body, text_of(error))
    return BrokenStreamError(text_of(error))


def _told(body: object, text: str) -> ProviderError:
    """Return the error that an error body tells; ``text`` is said of what is none."""
    error = _error_in(body)
    return stream_error(_words(body), error.get("type")) if error else BrokenStreamError(text, over=True)


def _words(body: object) -> str:
    error = _error_in(body)
    return f"{error.get('type')}: {short(str(error.get('message')))}" if error else ""


def _error_in(body: object) -> Mapping[str, object]:
    error = body.get("error") if isinstance(body, Mapping) else None
    return error if isinstance(error, Mapping) else {}


# -- pieces ----------------------------------------------------------------------------------------
class EventReader:
    """Reads the events of one stream."""

    def __init__(self) -> None:
        self.over = False
        self._usage = Usage()
        # The blocks that are open and have to go back whole, and the JSON of their input as far as it has come.
        self._open: dict[int, dict[str, Any]] = {}
        self._input: dict[int, str] = {}

    def read(self, event: RawMessageStreamEvent) -> Iterator[Piece]:
        """Yield what an event carries: often one piece, none where it only marks something."""
        match event.type:
            case "message_start":
                yield self._count(event.message.usage)
            case "content_block_start":
                yield from self._start(event.index, event.content_block)
            case "content_block_delta":
                yield from self._grow(event.index, event.delta)
            case "content_block_stop":
                yield from self._stop(event.index)
            case "message_delta":
                yield self._count(event.usage)
                if event.delta.stop_reason:
                    yield _finish(event.delta.stop_reason)
            case "message_stop":
                self.over = True
                yield Finish("stop")

    def _start(self, index: int, block: ContentBlock) -> Iterator[Piece]:
        if block.type == "tool_use":
            # A few compatible servers send the whole input here.
            args = json.dumps(block.input) if block.input else ""
            yield CallPart(index=index, id=block.id, name=block.name, args=args)
        elif block.type == "text":
            yield Text(block.text or "")
        else:
            self._open[index] = block.to_dict()

    def _grow(self, index: int, delta: RawContentBlockDelta) -> Iterator[Piece]:
        block = self._open.get(index)
        match delta.type:
            case "text_delta":
                yield Text(delta.text)
            case "thinking_delta":
                if block is not None:
                    block["thinking"] = block.get("thinking", "") + delta.thinking
                yield Thought(delta.thinking)
            case "signature_delta" if block is not None:
                block["signature"] = delta.signature
            case "input_json_delta" if block is not None:
                self._input[index] = self._input.get(index, "") + delta.partial_json
            case "input_json_delta":
                yield CallPart(index=index, args=delta.partial_json)

    def _stop(self, index: int) -> Iterator[Piece]:
        block = self._open.pop(index, None)
        written = self._input.pop(index, "")
        if block is None:
            return
        if written:
            block["input"] = parse_arguments(written)
        if _is_fit(block):
            yield Opaque(WIRE, block)

    def _count(self, usage: anthropic.types.Usage | anthropic.types.MessageDeltaUsage | None) -> Usage:
        """Return the counts so far: those of the end overwrite those of the start, where they are there."""
        if usage is not None:
            read = (usage.input_tokens, usage.cache_creation_input_tokens, usage.cache_read_input_tokens)
            known = [count for count in read if count is not None]
            written = usage.output_tokens or self._usage.output_tokens
            self._usage = Usage(sum(known) if known else self._usage.input_tokens, written)
        return self._usage


def pieces_of_message(message: object) -> Iterator[Piece]:
    """Yield what an answer in one piece carries. Raises ``BrokenStreamError`` or ``RefusedError`` where it is none.

    The SDK makes an object of whatever JSON came with status 200, and returns a page as text.
    """
    if not isinstance(message, Message) or message.content is None:
        body = message.to_dict() if isinstance(message, Message) else None
        raise _told(body, f"the answer is no message: {short(message) if isinstance(message, str) else 'no content'}")
    reason = message.stop_reason or "end_turn"
    last = len(message.content) - 1
    for index, block in enumerate(message.content):
        # The input of a call that was cut off arrives as a whole object, with what was complete of it.
        yield from _pieces_of_block(index, block, cut=index == last and _finish(reason).reason == "length")
    yield EventReader()._count(message.usage)
    yield _finish(reason)


def _pieces_of_block(index: int, block: ContentBlock, *, cut: bool) -> Iterator[Piece]:
    match block.type:
        case "text":
            yield Text(block.text)
        case "tool_use":
            args = "" if cut else json.dumps(block.input)
            yield CallPart(index=index, id=block.id, name=block.name, args=args, whole=True)
        case _:
            if block.type == "thinking":
                yield Thought(block.thinking)
            value = block.to_dict()
            if _is_fit(value):
                yield Opaque(WIRE, value)


def _finish(reason: str) -> Finish:
    return Finish(_FINISH.get(reason, "stop"))


def _is_fit(block: Mapping[str, object]) -> bool:
    """Say whether a block can go back: a thought without its signature cannot, nor a tool without its input."""
    if block.get("type") == "thinking":
        return bool(block.get("signature"))
    return not isinstance(block.get("input"), str)


# -- requests --------------------------------------------------------------------------------------
def body_of(options: ClientOptions, request: Request) -> dict[str, Any]:  # the SDK's own overloads know no better type
    """Return what every request says, streamed or not."""
    body: dict[str, Any] = {
        "model": options.model,
        "max_tokens": options.max_tokens,
        "messages": messages_of(request),
    }
    if request.system:
        body["system"] = request.system
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools.values()]
    return body


def messages_of(request: Request) -> list[MessageParam]:
    """Return the request's history in the words of this wire.

    When it grows, what stands there already stays as it is: the API then reads it from its cache. So items of one role
    that follow each other are not joined, which the API does itself; only the results of one round stand together.
    """
    messages: list[MessageParam] = []
    results: list[ToolResultBlockParam] = []
    answered = _answered(request.items)
    for place, item in enumerate(request.items):
        if isinstance(item, ToolResult):
            if not results:
                messages.append({"role": "user", "content": results})
            results.append(_result(item))
            continue
        results = []
        content = _content(item, answered, last=place == len(request.items) - 1)
        # The API refuses a message without content, and with it every later request.
        if content and isinstance(item, UserMessage):
            messages.append({"role": "user", "content": content})
        elif content:
            messages.append({"role": "assistant", "content": content})
    return messages


def _content(
    item: UserMessage | AssistantMessage, answered: AbstractSet[object], *, last: bool
) -> list[ContentBlockParam]:
    if isinstance(item, UserMessage):
        return [{"type": "text", "text": item.text}] if item.text.strip() else []
    if last:
        # It was paused, and goes back as it is, but for the white space that the API does not take at the end.
        return [_block(part) for part in _stripped(item.parts(WIRE))]
    parts = [part for part in item.parts(WIRE) if not isinstance(part, Opaque) or _is_paired(part, answered)]
    while parts and isinstance(parts[-1], Opaque) and parts[-1].value.get("type") in _THOUGHTS:
        parts.pop()
    return [_block(part) for part in parts]


def _stripped(parts: Sequence[str | Call | Opaque]) -> list[str | Call | Opaque]:
    return [*parts[:-1], *(part.rstrip() if isinstance(part, str) else part for part in parts[-1:])]


def _answered(items: Iterable[Item]) -> AbstractSet[object]:
    """Return the ids of the provider's own tools that have a result somewhere."""
    opaque = (one for item in items if isinstance(item, AssistantMessage) for one in item.opaque)
    return {one.value.get("tool_use_id") for one in opaque}


def _is_paired(one: Opaque, answered: AbstractSet[object]) -> bool:
    return one.value.get("type") != "server_tool_use" or one.value.get("id") in answered


def _block(part: str | Call | Opaque) -> ContentBlockParam:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(part, Call):
        return {"type": "tool_use", "id": part.id, "name": fit(part.name) or "unnamed", "input": dict(part.arguments)}
    return cast(ContentBlockParam, dict(part.value))  # as it came from this wire


def _result(result: ToolResult) -> ToolResultBlockParam:
    block: ToolResultBlockParam = {"type": "tool_result", "tool_use_id": result.call_id, "content": result.text}
    if result.is_error:
        block["is_error"] = True
    return block


def _tool(tool: Tool) -> ToolParam:
    return {"name": tool.name, "description": tool.description, "input_schema": dict(tool.schema)}
