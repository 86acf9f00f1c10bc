"""The Messages API through the anthropic SDK's sync client; what its answers mean is in its asynchronous twin.

The idea: this page only asks and iterates. The constraint it protects: a stream that was opened is closed, and read to
its end first where it has said its last word, so that its connection is used again. The SDK's stream helper was
refused, for the reasons that ``simkit.agent.anthropic_messages`` has.
"""

from __future__ import annotations

from collections.abc import Generator

import anthropic
from anthropic.types import Message, RawMessageStreamEvent

from simkit.agent.anthropic_messages import EventReader, body_of, broken, pieces_of_message, refusals
from simkit.agent.attempts import watched
from simkit.agent.blocking.hooks import tell_answered, tell_sent
from simkit.agent.blocking.line import drain, tap
from simkit.agent.clients import ClientOptions, ProviderError, Request, Watch
from simkit.agent.stream import Piece, Token


class BlockingAnthropic:
    """One model behind one Messages endpoint."""

    def __init__(self, options: ClientOptions) -> None:
        self._options = options
        self._timeout = anthropic.Timeout(options.read_timeout_s, connect=5.0)  # 5 s: the SDK's own default
        http = anthropic.DefaultHttpxClient(
            timeout=self._timeout, event_hooks={"request": [tell_sent], "response": [tell_answered]}
        )
        tap(http)
        self._sdk = anthropic.Anthropic(
            base_url=options.base_url,
            api_key=options.api_key,
            max_retries=options.max_retries,
            timeout=self._timeout,
            http_client=http,
        )

    def stream(self, request: Request, watch: Watch) -> Generator[Piece, None, None]:
        """Send the request and yield what comes; see ``clients.BlockingClient``."""
        if request.whole or not self._options.stream:
            yield from pieces_of_message(self._ask(request, watch))
            return
        reader = EventReader()
        with self._open(request, watch) as events:
            try:
                for event in events:
                    yield from reader.read(event)
                    if reader.over:
                        break
            except ProviderError:
                raise
            except Exception as error:
                raise broken(error) from error
            drain(events)

    def cancel(self, token: Token) -> None:
        """Do nothing: no answer over this wire runs on."""

    def close(self) -> None:
        """Close every connection."""
        self._sdk.close()

    def _open(self, request: Request, watch: Watch) -> anthropic.Stream[RawMessageStreamEvent]:
        with watched(watch), refusals():
            events: anthropic.Stream[RawMessageStreamEvent] = self._sdk.messages.create(
                **body_of(self._options, request), stream=True
            )
        return events

    def _ask(self, request: Request, watch: Watch) -> Message:
        with watched(watch, whole=True), refusals():
            # A timeout of one's own: without it the SDK refuses what may take longer than its default.
            message: Message = self._sdk.messages.create(**body_of(self._options, request), timeout=self._timeout)
        return message
