"""What the loop asks of a provider's client, what may go wrong with it, and which adapter speaks which wire.

The idea: an adapter turns one request into an async stream of neutral pieces, and everything that its SDK
raises into a few errors that say what the loop can do. The constraint it protects: the loop never sees an
SDK's exception, whose class and moment change with every release. A common base class was refused: what adapters
share is this page and the functions of ``attempts``, and the rest is different on every wire.

An answer may run on at the provider without its client (``ClientOptions.background``). Then every piece of it comes
with a token (``stream.Running``), and a request that carries the token asks for that answer instead of a new one.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from simkit.agent.history import Item
from simkit.agent.stream import Piece, Token
from simkit.agent.tools import Tool

# dialect -> "module:class". A further wire is a line here and a file beside this one.
DIALECTS: Final[dict[str, str]] = {
    "openai-chat": "simkit.agent.openai_chat:OpenAIChat",
    "openai-responses": "simkit.agent.openai_responses:OpenAIResponses",
    "anthropic": "simkit.agent.anthropic_messages:Anthropic",
}

# The wires on which an answer can run on without its client.
IN_BACKGROUND: Final = frozenset({"openai-responses"})


class ProviderError(Exception):
    """Something went wrong between us and the provider."""


class RefusedError(ProviderError):
    """The provider will not have this request: sending it again is of no use."""


class UnavailableError(ProviderError):
    """No answer came, and the SDK's own retries are used up: the same request may succeed later.

    ``wait_s`` is how long the provider asked to be left alone, or None.
    """

    def __init__(self, text: str, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class BrokenStreamError(ProviderError):
    """The answer began and broke off. SDKs retry nothing from here on.

    ``over`` says that it was the provider who ended it, so that nothing of it goes on anywhere.
    """

    def __init__(self, text: str, *, over: bool = False) -> None:
        super().__init__(text)
        self.over = over


class LostAnswerError(ProviderError):
    """An answer that ran at the provider cannot be had. Asking anew would generate, and cost, it a second time."""


class NoResumeError(ProviderError):
    """The provider does not stream this answer again, but it may still be polled."""


class Watch(Protocol):
    """Whoever watches a request for silence, and must not count the SDK's own waiting as the provider's."""

    def sent(self, *, whole: bool = False) -> None:
        """An attempt goes out: the SDK's first, or a retry of its own. ``whole``: the answer comes in one piece."""
        ...

    def answered(self, status: int) -> None:
        """Headers came. After an error status the SDK may now wait before it tries again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One completion request. It holds no model: a client speaks to one.

    With a ``token`` it asks for the answer that runs under it: by resuming its stream, or, with ``whole``, for how it
    stands now. Without one, ``whole`` asks for an answer in one piece also where the client streams.
    """

    items: tuple[Item, ...]
    tools: Mapping[str, Tool]
    system: str = ""
    token: Token | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """How a client is made.

    ``max_retries`` are the SDK's own, before headers. ``read_timeout_s`` is the SDK's too, and any byte
    resets it, so it is only a last resort: keep it above the loop's idle deadline.

    Without ``stream`` answers come in one piece. With ``background`` they run on at the provider when the connection
    breaks. Without ``store`` the provider keeps nothing, and reasoning comes and goes in cipher; an answer in the
    background has to be stored. ``max_tokens`` is the length of an answer on wires that have to be told one.
    """

    base_url: str
    api_key: str
    model: str
    max_retries: int = 2
    read_timeout_s: float = 600.0
    stream: bool = True
    background: bool = False
    store: bool = True
    # Room for a long file, and below the 21,333 from which on the anthropic SDK sends nothing without a stream.
    max_tokens: int = 16_384


class Client(Protocol):
    """One model of one provider over one wire."""

    def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Send the request and yield what comes. Closing the generator closes the connection's stream.

        Raises ``RefusedError`` or ``BrokenStreamError`` at any time, ``UnavailableError`` before the first piece; of
        a request with a token also ``LostAnswerError`` and ``NoResumeError``, before the first piece.
        """
        ...

    async def cancel(self, token: Token) -> None:
        """Stop the answer that runs under this token; one that is over stays as it is. Raises what its SDK raises."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


def connect(dialect: str, options: ClientOptions) -> Client:
    """Return a client for this dialect.

    Raises ``ValueError`` for a dialect that no client speaks, and for options that its provider does not have;
    ``ImportError`` when its SDK is missing.
    """
    check_options(dialect, options)
    module, _, name = DIALECTS[dialect].partition(":")
    # Imported only now: each SDK is an extra that may not be installed, and costs 0.6 s and more.
    client: Client = getattr(importlib.import_module(module), name)(options)
    return client


def check_options(dialect: str, options: ClientOptions) -> None:
    """Raise ``ValueError`` for a dialect that no client speaks, and for options that its provider does not have."""
    if dialect not in DIALECTS:
        raise ValueError(f"no client speaks {dialect!r} - known: {', '.join(DIALECTS)}")
    if options.background and dialect not in IN_BACKGROUND:
        known = ", ".join(sorted(IN_BACKGROUND))
        raise ValueError(f"answers over {dialect!r} cannot run in the background, only over: {known}")
    if options.background and not options.store:
        raise ValueError("an answer in the background has to be stored at the provider: expected store=True")
