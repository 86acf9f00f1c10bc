"""Chat Completions through the openai SDK's sync client; what its answers mean is in ``simkit.agent.openai_chat``.

The idea: this page only asks and iterates. The constraint it protects: a stream that was opened is closed, and its
connection goes back to the pool where the provider has said its last word: the sync SDK, unlike the asynchronous one,
closes the connection of every stream. Draining behind the SDK was refused: by then it has closed it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Protocol

import openai

# Otherwise loaded by the first request.
import openai.resources.chat
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from simkit.agent.attempts import watched
from simkit.agent.blocking.line import drain
from simkit.agent.blocking.openai_sdk import sdk_of
from simkit.agent.clients import ClientOptions, ProviderError, Request, Watch
from simkit.agent.openai_chat import Marker, body_of, pieces_of, pieces_of_completion
from simkit.agent.openai_sdk import broken, refusals
from simkit.agent.stream import Finish, Piece, Token


class BlockingOpenAIChat:
    """One model behind one Chat Completions endpoint."""

    def __init__(self, options: ClientOptions) -> None:
        self._options = options
        self._sdk = sdk_of(options)

    def stream(self, request: Request, watch: Watch) -> Generator[Piece, None, None]:
        """Send the request and yield what comes; see ``clients.BlockingClient``."""
        if request.whole or not self._options.stream:
            yield from pieces_of_completion(self._ask(request, watch))
            return
        with self._open(request, watch) as chunks:
            marker = listen(chunks.response)
            try:
                for chunk in chunks:
                    yield from pieces_of(chunk)
            except ProviderError:
                raise
            except Exception as error:
                raise broken(error) from error
            if marker.came:
                yield Finish("stop")

    def cancel(self, token: Token) -> None:
        """Do nothing: no answer over this wire runs on."""

    def close(self) -> None:
        """Close every connection."""
        self._sdk.close()

    def _open(self, request: Request, watch: Watch) -> openai.Stream[ChatCompletionChunk]:
        with watched(watch), refusals():
            chunks: openai.Stream[ChatCompletionChunk] = self._sdk.chat.completions.create(
                **body_of(self._options, request), stream=True, stream_options={"include_usage": True}
            )
        return chunks

    def _ask(self, request: Request, watch: Watch) -> ChatCompletion:
        with watched(watch, whole=True), refusals():
            completion: ChatCompletion = self._sdk.chat.completions.create(**body_of(self._options, request))
        return completion


class _Response(Protocol):
    """An HTTP response of whichever library the SDK uses."""

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]: ...


def listen(response: _Response) -> Marker:
    """Put a listener for the closing marker between a response and whoever reads its bytes.

    Behind the marker it reads on itself: the SDK would not, and close the connection.
    """
    marker, iter_bytes = Marker(), response.iter_bytes

    def tapped(chunk_size: int | None = None) -> Iterator[bytes]:
        # Asked for once: were it to stay, the response would hold whoever reads it.
        del response.iter_bytes
        chunks = iter_bytes(chunk_size)
        for chunk in chunks:
            marker.hear(chunk)
            if marker.came:
                drain(chunks)
            yield chunk

    response.iter_bytes = tapped  # type: ignore[method-assign]  # the only place where it passes by, decompressed
    return marker
