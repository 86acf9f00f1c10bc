"""The clients: each way in which an official SDK shows an answer, blocking and asynchronous.

The idea: an SDK has the same method names on both of its clients, so a face is one call that opens the answer and one
function that hears what comes out of it. The constraint: a face only says what the user of the SDK sees. Reading the
SDK's private state was refused: it is no reaction.

What is seen is written so (a piece is one thing that the SDK handed over):

===============  ==========================================================================================
``"text"``       text
``0:f({})``      a call at index 0: its name, then in brackets what came of its arguments with this piece
``=stop``        the word with which the answer finished
``<error>``      an event or a value that is none of these, by its type; ``[]`` and ``null`` for choices
===============  ==========================================================================================
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from textwrap import shorten
from typing import Any, Final, Literal

import anthropic
import openai
from google import genai
from google.genai import types

MODEL: Final = "a-model"
_CHAT: Final[Any] = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
_RESPONSES: Final[Any] = {"model": MODEL, "input": "hello"}
_MESSAGES: Final[Any] = {**_CHAT, "max_tokens": 64}
_GEMINI: Final[Any] = {"model": MODEL, "contents": "hello"}

Kind = Literal["raw", "helper", "whole"]
# The two clients of an SDK.
Way = Literal["async", "blocking"]
# The same method of a blocking client returns what an asynchronous one makes awaitable.
Client = Any


@dataclass(frozen=True, slots=True)
class Asked:
    """Where a client asks, and how many seconds it waits for more."""

    base_url: str
    timeout_s: float


@dataclass(slots=True)
class Seen:
    """What a client saw of one answer: pieces as they came, the helper's own result, and the chain of errors."""

    pieces: list[str] = field(default_factory=list)
    final: list[str] | None = None
    raised: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One way in which an SDK shows an answer; ``final`` names the helper's method for its own result.

    ``ways`` are the clients that show it alike, so that one line stands for both. ``random_waits`` says that the pauses
    of this SDK are any number of seconds from 1 to 10.
    """

    name: str
    dialect: str
    kind: Kind
    start: Callable[[Client], Any]
    hear: Callable[[Any], Iterator[str]]
    final: str = ""
    hear_final: Callable[[Any], Iterator[str]] = iter
    ways: tuple[Way, ...] = ("async", "blocking")
    random_waits: bool = False

    def ask(self, asked: Asked, seen: Seen) -> None:
        """Ask with the blocking client."""
        try:
            with _BLOCKING[self.dialect](asked) as sdk:
                self._read(sdk, seen)
        except Exception as error:  # noqa: BLE001  # whatever an SDK lets out is what is measured
            seen.raised = _chain(error)

    async def ask_async(self, asked: Asked, seen: Seen) -> None:
        """Ask with the asynchronous client."""
        try:
            async with _ASYNCHRONOUS[self.dialect](asked) as sdk:
                await self._read_async(sdk, seen)
        except Exception as error:  # noqa: BLE001  # as above
            seen.raised = _chain(error)

    def _read(self, sdk: Client, seen: Seen) -> None:
        opened = self.start(sdk)
        match self.kind:
            case "whole":
                seen.pieces += self.hear(opened)
            case "raw":
                for item in opened:
                    seen.pieces += self.hear(item)
            case "helper":
                with opened as stream:
                    for item in stream:
                        seen.pieces += self.hear(item)
                    seen.final = list(self.hear_final(getattr(stream, self.final)()))

    async def _read_async(self, sdk: Client, seen: Seen) -> None:
        opened = self.start(sdk)
        match self.kind:
            case "whole":
                seen.pieces += self.hear(await opened)
            case "raw":
                async for item in await opened:
                    seen.pieces += self.hear(item)
            case "helper":
                async with opened as stream:
                    async for item in stream:
                        seen.pieces += self.hear(item)
                    seen.final = list(self.hear_final(await getattr(stream, self.final)()))


# -- the clients ------------------------------------------------------------------------------------------------------
def _gemini(asked: Asked) -> genai.Client:
    options = types.HttpOptions(base_url=asked.base_url, timeout=int(asked.timeout_s * 1000))
    return genai.Client(api_key="none", http_options=options)


def _with(client: Callable[..., Client]) -> Callable[[Asked], Client]:
    return lambda asked: client(api_key="none", base_url=asked.base_url, timeout=asked.timeout_s)


_BLOCKING: Final[dict[str, Callable[[Asked], Client]]] = {
    "openai-chat": _with(openai.OpenAI),
    "openai-responses": _with(openai.OpenAI),
    "anthropic": _with(anthropic.Anthropic),
    "gemini": _gemini,
}
_ASYNCHRONOUS: Final[dict[str, Callable[[Asked], Client]]] = {
    "openai-chat": _with(openai.AsyncOpenAI),
    "openai-responses": _with(openai.AsyncOpenAI),
    "anthropic": _with(anthropic.AsyncAnthropic),
    "gemini": lambda asked: _gemini(asked).aio,
}


# -- what is heard ----------------------------------------------------------------------------------------------------
def _text(text: str | None) -> Iterator[str]:
    """A piece of text; an empty one carries nothing, and every wire sends some."""
    if text:
        yield f'"{text}"'


def _call(index: object, name: str | None, args: str | None) -> str:
    return f"{index}:{name or ''}({args or ''})"


def _finish(word: object) -> Iterator[str]:
    if word is not None:
        yield f"={word}"


def _type(item: object) -> str:
    return f"<{getattr(item, 'type', None) or type(item).__name__}>"


def _hear_chunk(chunk: Any) -> Iterator[str]:
    if not chunk.choices:
        yield "null" if chunk.choices is None else "[]"
        return
    (choice,) = chunk.choices
    yield from _text(choice.delta.content)
    for call in choice.delta.tool_calls or ():
        yield _call(call.index, call.function.name, call.function.arguments)
    yield from _finish(choice.finish_reason)


def _hear_chat_event(event: Any) -> Iterator[str]:
    if event.type == "content.delta":
        yield from _text(event.delta)


def _hear_completion(completion: Any) -> Iterator[str]:
    if isinstance(completion, str):
        yield f"str {completion!r}"
    elif not completion.choices:
        yield f"choices={completion.choices}"
    else:
        (choice,) = completion.choices
        yield from _text(choice.message.content)
        for place, call in enumerate(choice.message.tool_calls or ()):
            yield _call(place, call.function.name, call.function.arguments)
        yield f"={choice.finish_reason}"


# What belongs to the structure of a Responses stream and carries nothing of the answer.
_STRUCTURE: Final = ("created", "queued", "in_progress", "added", "done")


def _hear_response_event(event: Any) -> Iterator[str]:
    match event.type:
        case "response.output_text.delta":
            yield from _text(event.delta)
        case "response.output_item.added" if event.item.type == "function_call":
            yield _call(event.output_index, event.item.name, event.item.arguments)
        case "response.function_call_arguments.delta":
            yield _call(event.output_index, None, event.delta)
        case "response.completed" | "response.failed" | "response.incomplete":
            yield f"={event.response.status}"
        case kind if not kind.endswith(_STRUCTURE):
            yield _type(event)


def _hear_response(response: Any) -> Iterator[str]:
    if isinstance(response, str):
        yield f"str {response!r}"
    elif response.output is None:
        yield "output=None"
    else:
        yield from _text(response.output_text)
        for place, item in enumerate(response.output):
            if item.type == "function_call":
                yield _call(place, item.name, item.arguments)
        yield f"={response.status}"


# The same of a stream of messages; the last two are what the helper makes of deltas.
_MESSAGE_STRUCTURE: Final = (
    "message_start",
    "message_stop",
    "content_block_start",
    "content_block_stop",
    "text",
    "input_json",
)


def _hear_message_event(event: Any) -> Iterator[str]:
    match event.type:
        case "content_block_delta" if event.delta.type == "text_delta":
            yield from _text(event.delta.text)
        case "content_block_delta" if event.delta.type == "input_json_delta":
            yield _call(event.index, None, event.delta.partial_json)
        case "content_block_start" if event.content_block.type == "tool_use":
            yield _call(event.index, event.content_block.name, "")
        case "message_delta":
            yield from _finish(event.delta.stop_reason)
        case kind if kind not in _MESSAGE_STRUCTURE:
            yield _type(event)


def _hear_message(message: Any) -> Iterator[str]:
    if isinstance(message, str):
        yield f"str {message!r}"
    elif message.content is None:
        yield "content=None"
    else:
        for place, block in enumerate(message.content):
            if block.type == "tool_use":
                yield _call(place, block.name, str(block.input))
            else:
                yield from _text(block.text)
        yield f"={message.stop_reason}"


def _hear_generated(response: Any) -> Iterator[str]:
    for candidate in response.candidates or ():
        for place, part in enumerate(candidate.content.parts or () if candidate.content else ()):
            yield from _text(part.text)
            if part.function_call:
                yield _call(place, part.function_call.name, str(part.function_call.args))
        yield from _finish(candidate.finish_reason and candidate.finish_reason.value)


def _hear_whole_generated(response: Any) -> Iterator[str]:
    if not response.candidates:
        yield f"candidates={response.candidates}"
    yield from _hear_generated(response)


# -- what went wrong --------------------------------------------------------------------------------------------------
# The SDKs' own errors go by their bare names, since a line of the table says which SDK it is about.
_OWN: Final = ("openai", "anthropic", "google", "builtins")


def _chain(error: BaseException | None) -> list[str]:
    """Return the error and what it came from, outermost first; a cancellation is how some wait, and no error."""
    names = list[str]()
    while isinstance(error, Exception):
        names.append(_called(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return names


def _called(error: BaseException) -> str:
    root = type(error).__module__.partition(".")[0]
    name = type(error).__name__ if root in _OWN else f"{root}.{type(error).__name__}"
    told = [str(value) for value in _details(error)]
    name += f"({', '.join(told)})" if told else ""
    # The SDKs raise this one for a dozen reasons.
    return f"{name}: {shorten(str(error), 80)}" if type(error) is RuntimeError else name


def _details(error: BaseException) -> Iterator[object]:
    """What an SDK's own error says about the answer: its status, and the type of the error in it."""
    if isinstance(error, (openai.OpenAIError, anthropic.AnthropicError)):
        yield from (v for v in (getattr(error, n, None) for n in ("status_code", "type")) if v is not None)
    elif isinstance(error, genai.errors.APIError):
        yield from (v for v in (error.code, error.status) if v is not None)


# -- the faces --------------------------------------------------------------------------------------------------------
_chat: Final = functools.partial(Face, dialect="openai-chat")
_responses: Final = functools.partial(Face, dialect="openai-responses")
_anthropic: Final = functools.partial(Face, dialect="anthropic")


def _google(name: str, **fields: Any) -> tuple[Face, Face]:
    """The two clients of this SDK stand on two HTTP libraries, and do not see the same."""
    face = functools.partial(Face, dialect="gemini", **fields)
    return (
        face(name=f"{name}, aiohttp", ways=("async",), random_waits=True),
        face(name=f"{name}, httpx2", ways=("blocking",)),
    )


STREAMED: Final[tuple[Face, ...]] = (
    _chat(
        name="chat raw",
        kind="raw",
        start=lambda sdk: sdk.chat.completions.create(**_CHAT, stream=True),
        hear=_hear_chunk,
    ),
    _chat(
        name="chat helper",
        kind="helper",
        start=lambda sdk: sdk.chat.completions.stream(**_CHAT),
        hear=_hear_chat_event,
        final="get_final_completion",
        hear_final=_hear_completion,
    ),
    _responses(
        name="responses raw",
        kind="raw",
        start=lambda sdk: sdk.responses.create(**_RESPONSES, stream=True),
        hear=_hear_response_event,
    ),
    _responses(
        name="responses helper",
        kind="helper",
        start=lambda sdk: sdk.responses.stream(**_RESPONSES),
        hear=_hear_response_event,
        final="get_final_response",
        hear_final=_hear_response,
    ),
    _anthropic(
        name="anthropic raw",
        kind="raw",
        start=lambda sdk: sdk.messages.create(**_MESSAGES, stream=True),
        hear=_hear_message_event,
    ),
    _anthropic(
        name="anthropic helper",
        kind="helper",
        start=lambda sdk: sdk.messages.stream(**_MESSAGES),
        hear=_hear_message_event,
        final="get_final_message",
        hear_final=_hear_message,
    ),
    *_google(
        name="gemini stream",
        kind="raw",
        start=lambda sdk: sdk.models.generate_content_stream(**_GEMINI),
        hear=_hear_generated,
    ),
)
WHOLE: Final[tuple[Face, ...]] = (
    _chat(
        name="chat whole",
        kind="whole",
        start=lambda sdk: sdk.chat.completions.create(**_CHAT),
        hear=_hear_completion,
    ),
    _responses(
        name="responses whole",
        kind="whole",
        start=lambda sdk: sdk.responses.create(**_RESPONSES),
        hear=_hear_response,
    ),
    _anthropic(
        name="anthropic whole",
        kind="whole",
        start=lambda sdk: sdk.messages.create(**_MESSAGES),
        hear=_hear_message,
    ),
    *_google(
        name="gemini whole",
        kind="whole",
        start=lambda sdk: sdk.models.generate_content(**_GEMINI),
        hear=_hear_whole_generated,
    ),
)
