"""Chat Completions through the openai SDK's sync client; what its answers mean is in ``simkit.agent.openai_chat``.

The idea: this page only asks and iterates. The constraint it protects: a stream that was opened is closed, and its
connection goes back to the pool where the provider has said its last word: the sync SDK, unlike the asynchronous one,
closes the connection of every stream. Draining behind the SDK was refused: by then it has closed it.
"""

from __future__ import annotations

from collections.abc import Generator

import openai

# Otherwise loaded by the first request.
import openai.resources.chat
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from simkit.agent.attempts import watched
from simkit.agent.blocking.openai_sdk import on_their_way, sdk_of
from simkit.agent.clients import ClientOptions, ProviderError, Request, Watch
from simkit.agent.openai_chat import body_of, pieces_of, pieces_of_completion
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
            heard = on_their_way(chunks.response)
            try:
                for chunk in chunks:
                    yield from pieces_of(chunk)
            except ProviderError:
                raise
            except Exception as error:
                raise broken(error) from error
            if heard.done:
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
