"""What a blocking session asks of a provider's client, which adapter speaks which wire, and how one is made.

The idea: as in ``simkit.agent.clients``, but an answer is a plain generator, read by a thread of its own. The
constraint it protects: a client knows nothing of threads; whoever reads it may be hung up on in the middle, and it has
only to close what it opened. Wrapping the asynchronous adapters was refused: what is to run is the SDK that blocking
programs use, which has other code for its connections, retries and streams.
"""

from __future__ import annotations

import importlib
from collections.abc import Generator
from typing import Final, Protocol

from simkit.agent.clients import ClientOptions, Request, Watch, check_options
from simkit.agent.stream import Piece, Token

# dialect -> "module:class", for the same dialects as the asynchronous clients.
DIALECTS: Final[dict[str, str]] = {
    "openai-chat": "simkit.agent.blocking.openai_chat:BlockingOpenAIChat",
    "openai-responses": "simkit.agent.blocking.openai_responses:BlockingOpenAIResponses",
    "anthropic": "simkit.agent.blocking.anthropic_messages:BlockingAnthropic",
}


class BlockingClient(Protocol):
    """One model of one provider over one wire. Its methods are called by several threads."""

    def stream(self, request: Request, watch: Watch) -> Generator[Piece, None, None]:
        """Send the request and yield what comes; raises what ``clients.Client.stream`` does."""
        ...

    def cancel(self, token: Token) -> None:
        """Stop the answer that runs under this token; one that is over stays as it is. Raises what its SDK raises."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...


def connect(dialect: str, options: ClientOptions) -> BlockingClient:
    """Return a client for this dialect; raises what ``clients.connect`` does."""
    check_options(dialect, options)
    module, _, name = DIALECTS[dialect].partition(":")
    # Imported only now: each SDK is an extra that may not be installed, and costs 0.6 s and more.
    client: BlockingClient = getattr(importlib.import_module(module), name)(options)
    return client
