"""Chat Completions through the official openai SDK, streamed and whole.

The idea: the SDK's raw chunks become neutral pieces here, and whatever is no content (role-only and empty
chunks) becomes none. The constraint it protects: the SDK does what it does for its users - its retries, its
back-off, its pool - and every stream that was opened is closed, because a dropped one keeps its socket until
the next garbage collection. The SDK's stream helper was refused: see ``stream``.

A provider that never sends a finish reason ends its answer with ``[DONE]`` alone, one that broke off ends it with
nothing. The SDK keeps that marker to itself, so it is looked for in the bytes on their way to the SDK.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any, Final

import openai

# Otherwise loaded by the first request.
import openai.resources.chat
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionAssistantMessageParam,
    ChatCompletionChunk,
    ChatCompletionFunctionToolParam,
    ChatCompletionMessage,
    ChatCompletionMessageFunctionToolCallParam,
    ChatCompletionMessageParam,
    ChatCompletionSystemMessageParam,
    ChatCompletionToolMessageParam,
    ChatCompletionUserMessageParam,
)
from openai.types.chat.chat_completion_chunk import ChoiceDelta

from simkit.agent.attempts import settle, watched
from simkit.agent.clients import BrokenStreamError, ClientOptions, ProviderError, Request, Watch
from simkit.agent.history import AssistantMessage, Call, Item, UserMessage, fit
from simkit.agent.openai_sdk import Bytes, broken, no_answer, refusals, sdk_of
from simkit.agent.stream import CallPart, Finish, FinishReason, Piece, Refusal, Text, Thought, Token, Usage
from simkit.agent.tools import Tool

# What the wire says -> what it means. Compatible servers invent words of their own, all of which mean "I am
# done".
_FINISH: Final[dict[str, FinishReason]] = {
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class OpenAIChat:
    """One model behind one Chat Completions endpoint."""

    def __init__(self, options: ClientOptions) -> None:
        self._options = options
        self._sdk = sdk_of(options)

    async def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Send the request and yield what comes; see ``clients.Client``."""
        if request.whole or not self._options.stream:
            for piece in pieces_of_completion(await self._ask(request, watch)):
                yield piece
            return
        async with await self._open(request, watch) as chunks:
            heard = Bytes.on_their_way(chunks.response)
            try:
                async for chunk in chunks:
                    for piece in pieces_of(chunk):
                        yield piece
            except ProviderError:
                raise
            except Exception as error:
                raise broken(error) from error
            if heard.done:
                yield Finish("stop")

    async def cancel(self, token: Token) -> None:
        """Do nothing: no answer over this wire runs on."""

    async def aclose(self) -> None:
        """Close every connection."""
        await self._sdk.close()
        await settle()

    async def _open(self, request: Request, watch: Watch) -> openai.AsyncStream[ChatCompletionChunk]:
        with watched(watch), refusals():
            chunks: openai.AsyncStream[ChatCompletionChunk] = await self._sdk.chat.completions.create(
                **body_of(self._options, request), stream=True, stream_options={"include_usage": True}
            )
        return chunks

    async def _ask(self, request: Request, watch: Watch) -> ChatCompletion:
        with watched(watch, whole=True), refusals():
            completion: ChatCompletion = await self._sdk.chat.completions.create(**body_of(self._options, request))
        return completion


# -- pieces ----------------------------------------------------------------------------------------
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


def pieces_of_completion(completion: object) -> Iterator[Piece]:
    """Yield what an answer in one piece carries. Raises ``BrokenStreamError`` where it is none.

    The SDK makes an object of whatever JSON came with status 200, and returns a page as text.
    """
    choices = completion.choices if isinstance(completion, ChatCompletion) else None
    if not isinstance(completion, ChatCompletion) or not choices:
        raise no_answer(completion)
    yield from _pieces_of_message(choices[0].message)
    if completion.usage:
        yield Usage(completion.usage.prompt_tokens or 0, completion.usage.completion_tokens or 0)
    reason: str | None = choices[0].finish_reason
    yield _finish(reason or "stop")


def body_of(options: ClientOptions, request: Request) -> dict[str, Any]:  # the SDK's own overloads know no better type
    """Return what every request says, streamed or not."""
    return {
        "model": options.model,
        "messages": messages_of(request),
        "tools": [_tool(tool) for tool in request.tools.values()] or openai.omit,
    }


def messages_of(request: Request) -> list[ChatCompletionMessageParam]:
    """Return the request's system prompt and history in the words of this wire."""
    head: list[ChatCompletionMessageParam] = []
    if request.system:
        head.append(ChatCompletionSystemMessageParam(role="system", content=request.system))
    return [*head, *(_message(item) for item in request.items)]


def _pieces_of_delta(delta: ChoiceDelta) -> Iterator[Piece]:
    yield from _words(delta)
    for call in delta.tool_calls or ():
        name, args = (call.function.name, call.function.arguments) if call.function else (None, None)
        yield CallPart(index=call.index, id=call.id or None, name=name or "", args=args or "")


def _pieces_of_message(message: ChatCompletionMessage) -> Iterator[Piece]:
    yield from _words(message)
    for index, call in enumerate(message.tool_calls or ()):
        if call.type == "function":
            yield CallPart(
                index=index, id=call.id or None, name=call.function.name, args=call.function.arguments, whole=True
            )


def _words(said: ChoiceDelta | ChatCompletionMessage) -> Iterator[Piece]:
    extra: Mapping[str, object] = said.model_extra or {}
    # Not in OpenAI's own API: compatible servers show their reasoning under one of these two names.
    thought = extra.get("reasoning_content") or extra.get("reasoning")
    if isinstance(thought, str):
        yield Thought(thought)
    if said.content:
        yield Text(said.content)
    if said.refusal:
        yield Refusal(said.refusal)


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
    # The API refuses strange names, also when it was the model that wrote them and they only stand in the history.
    name = fit(call.name) or "unnamed"
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _tool(tool: Tool) -> ChatCompletionFunctionToolParam:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.schema)},
    }
