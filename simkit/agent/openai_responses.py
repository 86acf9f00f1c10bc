"""The Responses API through the official openai SDK: streamed, whole, and in the background.

The idea: one reader turns raw events into neutral pieces, one function does the same for a whole response, and an
answer that runs in the background is asked for with either of them. The constraint it protects: only
``response.completed`` is a success; an ``error`` event, which the SDK yields like any other, ``response.failed`` and a
stream that just ends are none. The SDK's stream helper was refused: it takes ``response.incomplete`` for an error of
its own, and resumes by reading everything from the start.

===========================================  =======================================================================
event                                        piece
===========================================  =======================================================================
``output_text.delta``, ``refusal.delta``     ``Text``, ``Refusal``
``reasoning_*.delta``                        ``Thought``
``output_item.added`` of a function call     ``CallPart`` that opens it, under its ``call_id``
``function_call_arguments.delta``            ``CallPart`` with more arguments
``output_item.done``                         ``CallPart`` with all arguments; of reasoning an ``Opaque``, which goes
                                             back unchanged
``completed``, ``incomplete``                ``Usage``, ``Finish``
``failed``, ``error``                        an error
every event before those, in background      ``Running`` with the token
===========================================  =======================================================================

The token is ``{"response_id", "sequence_number"}``: the number of the last event that was read is the cursor from which
a stream is resumed, so nothing is lost and nothing comes twice.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import openai

# Otherwise loaded by the first request.
import openai.resources.responses
from openai.types.responses import (
    FunctionToolParam,
    Response,
    ResponseErrorEvent,
    ResponseFunctionToolCall,
    ResponseInputItemParam,
    ResponseOutputItem,
    ResponseStreamEvent,
)

from simkit.agent.attempts import drain, settle, short, stream_error, text_of, watched
from simkit.agent.clients import (
    BrokenStreamError,
    ClientOptions,
    LostAnswerError,
    NoResumeError,
    ProviderError,
    RefusedError,
    Request,
    Watch,
)
from simkit.agent.history import AssistantMessage, Call, Item, Opaque, UserMessage, fit
from simkit.agent.openai_sdk import Bytes, broken, no_answer, refusals, sdk_of
from simkit.agent.stream import (
    CallPart,
    Finish,
    FinishReason,
    Piece,
    Refusal,
    Running,
    Text,
    Thought,
    Token,
    Usage,
)
from simkit.agent.tools import Tool

WIRE: Final = "openai-responses"

# Why a response is incomplete -> what that means; words that are not known are a limit of some kind.
_FINISH: Final[dict[str, FinishReason]] = {"content_filter": "content_filter"}
_Events = openai.AsyncStream[ResponseStreamEvent]
_RUNNING: Final = ("queued", "in_progress")


class OpenAIResponses:
    """One model behind one Responses endpoint."""

    def __init__(self, options: ClientOptions) -> None:
        self._options = options
        self._sdk = sdk_of(options)
        # Whoever polls repeats by itself, at an interval of its own.
        self._once = self._sdk.with_options(max_retries=0)

    async def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Send the request and yield what comes; see ``clients.Client``."""
        if request.whole or not self._options.stream:
            for piece in pieces_of_response(await self._ask(request, watch), background=self._options.background):
                yield piece
            return
        reader = EventReader(request.token, background=self._options.background)
        async with await self._open(request, watch) as events:
            Bytes.on_their_way(events.response)
            try:
                async for event in events:
                    for piece in reader.read(event):
                        yield piece
                    if reader.over:
                        break
            except ProviderError:
                raise
            except Exception as error:
                raise break_of(error, background=self._options.background) from error
            await drain(events)

    async def cancel(self, token: Token) -> None:
        """Stop the answer that runs under this token."""
        await self._sdk.responses.cancel(id_of(token))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._sdk.close()
        await settle()

    async def _open(self, request: Request, watch: Watch) -> _Events:
        if request.token is None:
            with watched(watch), refusals():
                events: _Events = await self._sdk.responses.create(**body_of(self._options, request), stream=True)
            return events
        with watched(watch), losses(resuming=True):
            return await self._once.responses.retrieve(
                id_of(request.token), stream=True, starting_after=cursor_of(request.token)
            )

    async def _ask(self, request: Request, watch: Watch) -> Response:
        if request.token is None:
            with watched(watch, whole=True), refusals():
                response: Response = await self._sdk.responses.create(**body_of(self._options, request))
            return response
        # How an answer stands is told at once, so this is waited for like any first event.
        with watched(watch), losses(resuming=False):
            return await self._once.responses.retrieve(id_of(request.token))


@contextmanager
def losses(*, resuming: bool) -> Iterator[None]:
    """Turn what the SDK raises for a request about a running answer into errors of ours."""
    try:
        with refusals():
            yield
    except RefusedError as error:
        # A 400 says that it is too old to be streamed. It is known all the same, unlike after a 404.
        closed = resuming and isinstance(error.__cause__, openai.BadRequestError)
        raise (NoResumeError if closed else LostAnswerError)(str(error)) from error.__cause__


def break_of(error: Exception, *, background: bool) -> ProviderError:
    """Return what an error is that came while an answer arrived."""
    # In the background it is only the stream that broke, whatever the provider says of it.
    return BrokenStreamError(text_of(error)) if background else broken(error)


# -- pieces ----------------------------------------------------------------------------------------
class EventReader:
    """Reads the events of one stream; ``token`` is where it was taken up, for a stream that is resumed."""

    def __init__(self, token: Token | None = None, *, background: bool = False) -> None:
        self.over = False
        self._background = background
        self._id = None if token is None else id_of(token)
        cursor = None if token is None else _cursor(token)
        self._last = -1 if cursor is None else cursor
        self._calls: dict[str, str] = {}

    def read(self, event: ResponseStreamEvent) -> Iterator[Piece]:
        """Yield what an event carries. Raises ``BrokenStreamError`` or ``RefusedError`` for one that tells an error.

        The SDK checks nothing that it reads from a stream, so whatever may be missing is asked for.
        """
        if not self._is_new(event):
            return
        response = getattr(event, "response", None)
        if isinstance(response, Response):
            self._id = self._id or response.id
        if event.type in ("response.completed", "response.incomplete", "response.failed"):
            self.over = True
            yield from _end(event.response)
            return
        yield from self._pieces(event)
        if self._background and self._id:
            yield Running(self._token(self._id), resumable=True)
        if event.type == "error":
            raise self._told(event)

    def _pieces(self, event: ResponseStreamEvent) -> Iterator[Piece]:
        match event.type:
            case "response.output_text.delta":
                yield Text(event.delta or "")
            case "response.refusal.delta":
                yield Refusal(event.delta or "")
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                yield Thought(event.delta or "")
            case "response.function_call_arguments.delta":
                yield CallPart(index=event.output_index, id=self._calls.get(event.item_id), args=event.delta or "")
            case "response.output_item.added" | "response.output_item.done":
                yield from self._item(event.item, event.output_index, whole=event.type.endswith("done"))

    def _told(self, error: ResponseErrorEvent) -> ProviderError:
        # The SDK raises an error that stands under the name ``error``, and yields one that is an event itself.
        text = f"{error.code}: {short(error.message or '')}"
        return BrokenStreamError(text) if self._background else stream_error(text, error.code)

    def _item(self, item: ResponseOutputItem, index: int | None, *, whole: bool) -> Iterator[Piece]:
        if item.type == "function_call":
            # Deltas name the item, results the call: two calls may stand at one index, but never in one item.
            self._calls[item.id or ""] = item.call_id
            yield _call_part(item, index, whole=whole)
        elif item.type == "reasoning" and whole:
            yield Opaque(WIRE, item.to_dict())

    def _is_new(self, event: ResponseStreamEvent) -> bool:
        """Say whether an event was not read before; take notice of its number.

        Servers that number nothing, or everything alike, never get beyond 0, so nothing of theirs is dropped.
        """
        number = getattr(event, "sequence_number", None)
        if not isinstance(number, int):
            return True
        if 0 < self._last >= number:
            return False
        # In the foreground nothing can be asked for again, so nothing is gained by being strict.
        if self._background and 0 <= self._last < number - 1:
            raise BrokenStreamError(f"events {self._last + 1} to {number - 1} did not come")
        self._last = number
        return True

    def _token(self, response_id: str) -> Token:
        cursor = {} if self._last < 0 else {"sequence_number": self._last}
        return {"response_id": response_id, **cursor}


def pieces_of_response(response: object, *, background: bool = False) -> Iterator[Piece]:
    """Yield what a whole response carries, or that it is still running.

    Raises ``BrokenStreamError`` or ``RefusedError`` for one that failed, and for what is no response: the SDK makes an
    object of whatever JSON came with status 200, and returns a page as text.
    """
    if not isinstance(response, Response) or not isinstance(response.output, list):
        error = no_answer(response)
        # Of an answer in the background it only says that this question about it failed.
        raise BrokenStreamError(str(error)) if background else error
    if response.status in _RUNNING and background:
        yield Running({"response_id": response.id})
        return
    for index, item in enumerate(response.output):
        yield from _pieces_of_item(item, index)
    yield from _end(response)


def _pieces_of_item(item: ResponseOutputItem, index: int) -> Iterator[Piece]:
    match item.type:
        case "message":
            for part in item.content:
                yield Refusal(part.refusal) if part.type == "refusal" else Text(part.text)
        case "reasoning":
            yield from (Thought(part.text) for part in item.summary)
            yield Opaque(WIRE, item.to_dict())
        case "function_call":
            yield _call_part(item, index, whole=True)


def _call_part(item: ResponseFunctionToolCall, index: int | None, *, whole: bool) -> CallPart:
    # Of an item that only begins the arguments may be there, or still to come.
    return CallPart(index=index, id=item.call_id, name=item.name, args=item.arguments or "", whole=whole)


def _end(response: Response) -> Iterator[Piece]:
    status = response.status or "completed"
    if status not in ("completed", "incomplete"):
        raise _failure(response, status)
    if response.usage:
        yield Usage(response.usage.input_tokens or 0, response.usage.output_tokens or 0)
    if status == "completed":
        yield Finish("stop")
    else:
        reason = response.incomplete_details.reason if response.incomplete_details else None
        yield Finish(_FINISH.get(reason or "", "length"))


def _failure(response: Response, status: str) -> ProviderError:
    if response.error is not None:
        code = response.error.code
        return stream_error(f"the response failed: {code}: {short(response.error.message)}", code)
    if status == "cancelled":
        return RefusedError("the response was cancelled at the provider")
    return BrokenStreamError(f"the response is {status!r}, without a word of why", over=True)


# -- tokens ----------------------------------------------------------------------------------------
def id_of(token: Token) -> str:
    """Return the id of the answer that runs under this token. Raises ``LostAnswerError`` where there is none."""
    response_id = token.get("response_id")
    if not isinstance(response_id, str) or not response_id:
        raise LostAnswerError(f"the token {dict(token)!r} is of another provider: it has no 'response_id'")
    return response_id


def cursor_of(token: Token) -> int | openai.Omit:
    """Return from where a stream is taken up, as the SDK wants to be told."""
    cursor = _cursor(token)
    return openai.omit if cursor is None else cursor


def _cursor(token: Token) -> int | None:
    cursor = token.get("sequence_number")
    return cursor if isinstance(cursor, int) else None


# -- requests --------------------------------------------------------------------------------------
def body_of(options: ClientOptions, request: Request) -> dict[str, Any]:  # the SDK's own overloads know no better type
    """Return what every request for a new answer says."""
    body: dict[str, Any] = {"model": options.model, "input": input_of(request)}
    if request.system:
        body["instructions"] = request.system
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools.values()]
    if options.background:
        body["background"] = True
    if not options.store:
        body |= {"store": False, "include": ["reasoning.encrypted_content"]}
    return body


def input_of(request: Request) -> list[ResponseInputItemParam]:
    """Return the request's history in the words of this wire."""
    return [item for said in request.items for item in _items(said)]


def _items(item: Item) -> Iterator[ResponseInputItemParam]:
    match item:
        case UserMessage(text=text):
            yield {"role": "user", "content": text}
        case AssistantMessage():
            parts = item.parts(WIRE)
            # Reasoning that nothing follows is refused.
            while parts and isinstance(parts[-1], Opaque):
                parts.pop()
            yield from map(_part, parts)
        case _:
            yield {"type": "function_call_output", "call_id": item.call_id, "output": item.text}


def _part(part: str | Call | Opaque) -> ResponseInputItemParam:
    if isinstance(part, str):
        return {"role": "assistant", "content": part}
    if isinstance(part, Call):
        arguments = json.dumps(part.arguments, ensure_ascii=False)
        return {
            "type": "function_call",
            "call_id": part.id,
            "name": fit(part.name) or "unnamed",
            "arguments": arguments,
        }
    return cast(ResponseInputItemParam, dict(part.value))  # as it came from this wire


def _tool(tool: Tool) -> FunctionToolParam:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.schema),
        # What this API takes for granted, most schemas are not fit for.
        "strict": False,
    }
