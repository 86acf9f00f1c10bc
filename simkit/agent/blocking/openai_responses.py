"""The Responses API through the openai SDK's sync client; what its answers mean is in its asynchronous twin.

The idea: this page only asks and iterates: for a new answer, and for one that runs on at the provider. The constraint
it protects: a stream that was opened is closed, and read to its end first where it has said its last word, so that its
connection is used again. The SDK's stream helper was refused, for the reasons that the asynchronous twin has.
"""

from __future__ import annotations

from collections.abc import Generator

import openai

# Otherwise loaded by the first request.
import openai.resources.responses
from openai.types.responses import Response, ResponseStreamEvent

from simkit.agent.attempts import watched
from simkit.agent.blocking.line import drain
from simkit.agent.blocking.openai_sdk import on_their_way, sdk_of
from simkit.agent.clients import ClientOptions, ProviderError, Request, Watch
from simkit.agent.openai_responses import (
    EventReader,
    body_of,
    break_of,
    cursor_of,
    id_of,
    losses,
    pieces_of_response,
)
from simkit.agent.openai_sdk import refusals
from simkit.agent.stream import Piece, Token

_Events = openai.Stream[ResponseStreamEvent]


class BlockingOpenAIResponses:
    """One model behind one Responses endpoint."""

    def __init__(self, options: ClientOptions) -> None:
        self._options = options
        self._sdk = sdk_of(options)
        # Whoever polls repeats by itself, at an interval of its own.
        self._once = self._sdk.with_options(max_retries=0)

    def stream(self, request: Request, watch: Watch) -> Generator[Piece, None, None]:
        """Send the request and yield what comes; see ``clients.BlockingClient``."""
        background = self._options.background
        if request.whole or not self._options.stream:
            yield from pieces_of_response(self._ask(request, watch), background=background)
            return
        reader = EventReader(request.token, background=background)
        with self._open(request, watch) as events:
            on_their_way(events.response)
            try:
                for event in events:
                    yield from reader.read(event)
                    if reader.over:
                        break
            except ProviderError:
                raise
            except Exception as error:
                raise break_of(error, background=background) from error
            drain(events)

    def cancel(self, token: Token) -> None:
        """Stop the answer that runs under this token."""
        self._sdk.responses.cancel(id_of(token))

    def close(self) -> None:
        """Close every connection."""
        self._sdk.close()

    def _open(self, request: Request, watch: Watch) -> _Events:
        if request.token is None:
            with watched(watch), refusals():
                events: _Events = self._sdk.responses.create(**body_of(self._options, request), stream=True)
            return events
        with watched(watch), losses(resuming=True):
            return self._once.responses.retrieve(
                id_of(request.token), stream=True, starting_after=cursor_of(request.token)
            )

    def _ask(self, request: Request, watch: Watch) -> Response:
        if request.token is None:
            with watched(watch, whole=True), refusals():
                response: Response = self._sdk.responses.create(**body_of(self._options, request))
            return response
        # How an answer stands is told at once, so this is waited for like any first event.
        with watched(watch), losses(resuming=False):
            return self._once.responses.retrieve(id_of(request.token))
