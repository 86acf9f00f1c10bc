"""The SDKs under their own names, and a provider of a few lines that speaks to each in its own dialect.

The idea: the four clients (openai and anthropic, blocking and not) differ in a few words only; those words are here,
so a test is written once. The constraint: the frames are written out by hand, and owe nothing to simkit's own
dialects: a slip there cannot hide here.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anthropic
import openai

from simkit.contracts import HttpRequest
from simkit.kernel.world import World
from simkit.model.duration import NS_PER_S
from tests.kernel.wire import Http, serve_http

OPENAI, ANTHROPIC = "api.openai.com", "api.anthropic.com"
HOSTS = {"openai": OPENAI, "anthropic": ANTHROPIC}
_SAID: Any = [{"role": "user", "content": "hello"}]


def blocking(sdk: str, **options: Any) -> Any:
    """Return the blocking client, as its users make it, at the SDK's own address."""
    make = openai.OpenAI if sdk == "openai" else anthropic.Anthropic
    return make(api_key="none", **options)


def on_asyncio(sdk: str, **options: Any) -> Any:
    """Return the client of asyncio."""
    make = openai.AsyncOpenAI if sdk == "openai" else anthropic.AsyncAnthropic
    return make(api_key="none", **options)


def create(client: Any, stream: bool = True) -> Any:
    """Ask for a stream, or for a whole answer."""
    if isinstance(client, (openai.OpenAI, openai.AsyncOpenAI)):
        return client.chat.completions.create(model="m", messages=_SAID, stream=stream)
    return client.messages.create(model="m", messages=_SAID, stream=stream, max_tokens=10)


def texts(stream: Any) -> Iterator[str]:
    """Yield what a blocking stream says."""
    return filter(None, map(text, stream))


async def texts_async(stream: Any) -> AsyncIterator[str]:
    """Yield what a stream says."""
    async for event in stream:
        if said := text(event):
            yield said


def text(event: Any) -> str:
    """Return what one event of either dialect says."""
    if hasattr(event, "choices"):
        return event.choices[0].delta.content or ""
    return event.delta.text if event.type == "content_block_delta" else ""


def whole_text(answer: Any) -> str:
    """Return what a whole answer of either dialect says."""
    said: str = answer.choices[0].message.content if hasattr(answer, "choices") else answer.content[0].text
    return said


# -- the provider ---------------------------------------------------------------------------------------------------
def frames(sdk: str, *pieces: str) -> list[bytes]:
    """Return the frames of a stream that says these pieces: one frame each, between an opening and a closing."""
    if sdk == "openai":
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m"}
        said = [[{"index": 0, "delta": {"content": piece}, "finish_reason": None}] for piece in pieces]
        over: list[Any] = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
        opening: list[Any] = [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]
        chunks = [b"data: %s\n\n" % json.dumps({**chunk, "choices": c}).encode() for c in (opening, *said, over)]
        return [*chunks[:-1], chunks[-1] + b"data: [DONE]\n\n"]
    start = _event(type="message_start", message=_message("", None)) + _event(
        type="content_block_start", index=0, content_block={"type": "text", "text": ""}
    )
    end = (
        _event(type="content_block_stop", index=0)
        + _event(type="message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 1})
        + _event(type="message_stop")
    )
    deltas = [
        _event(type="content_block_delta", index=0, delta={"type": "text_delta", "text": piece}) for piece in pieces
    ]
    return [start, *deltas, end]


def _event(**data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (data["type"].encode(), json.dumps(data).encode())


def _message(said: str, reason: str | None) -> dict[str, object]:
    content = [{"type": "text", "text": said}] if said else []
    usage = {"input_tokens": 1, "output_tokens": 1}
    return {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": reason,
            "stop_sequence": None, "usage": usage}  # fmt: skip


def whole(sdk: str, said: str) -> bytes:
    """Return a whole answer."""
    if sdk == "anthropic":
        return json.dumps(_message(said, "end_turn")).encode()
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
    return json.dumps(
        {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    ).encode()


Answer = Callable[[Http], None]


def streams(world: World, sdk: str, *pieces: str, every_s: float = 1.0) -> Answer:
    """Answer with a stream: a frame at once, and each further one after this time."""

    def answer(http: Http) -> None:
        def play(left: list[bytes]) -> None:
            http.endpoint.send(http.connection.chunk(left[0]))
            if left[1:]:
                world.call_later_ns(round(every_s * NS_PER_S), lambda: play(left[1:]))
            else:
                http.endpoint.send(http.connection.end())

        http.endpoint.send(http.connection.head(200, {"content-type": "text/event-stream"}))
        play(frames(sdk, *pieces))

    return answer


def says(sdk: str, said: str) -> Answer:
    """Answer at once and whole."""
    body = whole(sdk, said)
    return lambda http: http.endpoint.send(http.connection.whole(200, {"content-type": "application/json"}, body))


def fails(status: int, **headers: str) -> Answer:
    """Answer with an error."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda http: http.endpoint.send(http.connection.whole(status, named, b"{}"))


def silent(http: Http) -> None:
    """Answer nothing, ever."""


def provide(world: World, sdk: str, *answers: Answer) -> list[float]:
    """Serve the SDK's host with these answers, the last of them for ever; return the list of the requests' times."""
    asked: list[float] = []

    def answer(http: Http, request: HttpRequest) -> None:
        asked.append(world.now)
        answers[min(len(asked), len(answers)) - 1](http)

    serve_http(world, HOSTS[sdk], answer)
    return asked
