"""Chat Completions through the official openai SDK, streamed.

The idea: the SDK's raw chunks become neutral pieces here, and whatever is no content (role-only and empty
chunks) becomes none. The constraint it protects: the SDK does what it does for its users - its retries, its
back-off, its pool - and every stream that was opened is closed, because a dropped one keeps its socket until
the next garbage collection. The SDK's stream helper was refused: see ``stream``.

``[DONE]`` does not come through the SDK, so an answer without a finish reason counts as cut off: a truncated
body and a server that never sends finish reasons look the same from here.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextvars import ContextVar
from typing import Final, Protocol

import openai
from openai.types.chat import (
    ChatCompletionAssistantMessageParam,
    ChatCompletionChunk,
    ChatCompletionFunctionToolParam,
    ChatCompletionMessageFunctionToolCallParam,
    ChatCompletionMessageParam,
    ChatCompletionSystemMessageParam,
    ChatCompletionToolMessageParam,
    ChatCompletionUserMessageParam,
)
from openai.types.chat.chat_completion_chunk import ChoiceDelta

from simkit.agent.clients import (
    BrokenStreamError,
    ClientOptions,
    RefusedError,
    Request,
    UnavailableError,
    Watch,
)
from simkit.agent.history import AssistantMessage, Call, Item, UserMessage
from simkit.agent.stream import CallPart, Finish, FinishReason, Piece, Text, Thought, Usage
from simkit.agent.tools import Tool

# What the wire says -> what it means. Compatible servers invent words of their own, all of which mean "I am
# done".
_FINISH: Final[dict[str, FinishReason]] = {
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}

# Statuses that the SDK retries by itself; each other one below 500 is a refusal.
_RETRIED: Final = frozenset({408, 409, 429})

# The API refuses other names, also when it was the model that wrote them and they only stand in the history.
_NAME_BAD: Final = re.compile(r"[^a-zA-Z0-9_-]")
_NAME_MAX: Final = 64

# Who watches the request that this task has under way: HTTP hooks belong to the client, which many may share.
_WATCH: Final[ContextVar[Watch | None]] = ContextVar("watch", default=None)


class _Answered(Protocol):
    """An HTTP response of whichever library the SDK uses."""

    @property
    def status_code(self) -> int: ...


class OpenAIChat:
    """One model behind one Chat Completions endpoint."""

    def __init__(self, options: ClientOptions) -> None:
        self._model = options.model
        timeout = openai.Timeout(options.read_timeout_s, connect=5.0)  # 5 s to connect: the SDK's own default
        self._sdk = openai.AsyncOpenAI(
            base_url=options.base_url,
            api_key=options.api_key,
            max_retries=options.max_retries,
            timeout=timeout,
            http_client=openai.DefaultAsyncHttpxClient(
                timeout=timeout, event_hooks={"request": [_tell_sent], "response": [_tell_answered]}
            ),
        )

    async def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Send the request and yield what comes; see ``clients.Client``."""
        async with await self._open(request, watch) as chunks:
            try:
                async for chunk in chunks:
                    for piece in pieces_of(chunk):
                        yield piece
            except BrokenStreamError:
                raise
            # From here on SDK releases differ: some let their HTTP library's errors through, some json's.
            except Exception as error:
                raise BrokenStreamError(_text(error)) from error

    async def aclose(self) -> None:
        """Close every connection."""
        await self._sdk.close()

    async def _open(self, request: Request, watch: Watch) -> openai.AsyncStream[ChatCompletionChunk]:
        token = _WATCH.set(watch)
        try:
            return await self._sdk.chat.completions.create(
                model=self._model,
                messages=messages_of(request),
                tools=[_tool(tool) for tool in request.tools.values()] or openai.omit,
                stream=True,
                stream_options={"include_usage": True},
            )
        except openai.APIStatusError as error:
            retryable = error.status_code in _RETRIED or error.status_code >= 500
            raise (UnavailableError if retryable else RefusedError)(_text(error)) from error
        except openai.APIConnectionError as error:
            raise UnavailableError(_text(error)) from error
        finally:
            _WATCH.reset(token)


def pieces_of(chunk: ChatCompletionChunk) -> Iterator[Piece]:
    """Yield what a chunk carries: often one piece, none for a chunk without content.

    The SDK checks nothing that it reads from a stream, so whatever may be missing is asked for.
    """
    for choice in (chunk.choices or ())[:1]:  # only one is ever asked for
        if choice.delta:
            yield from _pieces_of_delta(choice.delta)
        if choice.finish_reason:
            yield _finish(choice.finish_reason)
    if chunk.usage:
        yield Usage(chunk.usage.prompt_tokens or 0, chunk.usage.completion_tokens or 0)


def messages_of(request: Request) -> list[ChatCompletionMessageParam]:
    """Return the request's system prompt and history in the words of this wire."""
    head: list[ChatCompletionMessageParam] = []
    if request.system:
        head.append(ChatCompletionSystemMessageParam(role="system", content=request.system))
    return [*head, *(_message(item) for item in request.items)]


def _pieces_of_delta(delta: ChoiceDelta) -> Iterator[Piece]:
    extra: Mapping[str, object] = delta.model_extra or {}
    # Not in OpenAI's own API: compatible servers stream their reasoning under one of these two names.
    thought = extra.get("reasoning_content") or extra.get("reasoning")
    if isinstance(thought, str):
        yield Thought(thought)
    for text in (delta.content, delta.refusal):
        if text:
            yield Text(text)
    for call in delta.tool_calls or ():
        name, args = (call.function.name, call.function.arguments) if call.function else (None, None)
        yield CallPart(index=call.index, id=call.id or None, name=name or "", args=args or "")


def _finish(reason: str) -> Finish:
    if reason == "error":
        # Gateways report that the provider behind them broke in this way.
        raise BrokenStreamError("the provider ended the stream with the finish reason 'error'")
    return Finish(_FINISH.get(reason, "stop"))


def _message(item: Item) -> ChatCompletionMessageParam:
    match item:
        case UserMessage(text=text):
            return ChatCompletionUserMessageParam(role="user", content=text)
        case AssistantMessage(text=text, calls=calls):
            message = ChatCompletionAssistantMessageParam(role="assistant", content=text or None)
            if calls:
                message["tool_calls"] = [_call(call) for call in calls]
            return message
    return ChatCompletionToolMessageParam(role="tool", tool_call_id=item.call_id, content=item.text)


def _call(call: Call) -> ChatCompletionMessageFunctionToolCallParam:
    name = _NAME_BAD.sub("_", call.name)[:_NAME_MAX] or "unnamed"
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _tool(tool: Tool) -> ChatCompletionFunctionToolParam:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.schema)},
    }


async def _tell_sent(_request: object) -> None:
    watch = _WATCH.get()
    if watch is not None:
        watch.sent()


async def _tell_answered(response: _Answered) -> None:
    watch = _WATCH.get()
    if watch is not None:
        watch.answered(response.status_code)


def _text(error: Exception) -> str:
    cause = f" ({type(error.__cause__).__name__}: {error.__cause__})" if error.__cause__ else ""
    return f"{type(error).__name__}: {error}{cause}"
