"""What the loop asks of a provider's client, what may go wrong with it, and which adapter speaks which wire.

The idea: an adapter turns one request into an async stream of neutral pieces, and everything that its SDK
raises into three errors that say what the loop can do. The constraint it protects: the loop never sees an
SDK's exception, whose class and moment change with every release. A common base class was refused: adapters
share no code, only this page.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from simkit.agent.history import Item
from simkit.agent.stream import Piece
from simkit.agent.tools import Tool

# dialect -> "module:class". A further wire is a line here and a file beside this one.
DIALECTS: Final[dict[str, str]] = {
    "openai-chat": "simkit.agent.openai_chat:OpenAIChat",
}


class ProviderError(Exception):
    """Something went wrong between us and the provider."""


class RefusedError(ProviderError):
    """The provider will not have this request: sending it again is of no use."""


class UnavailableError(ProviderError):
    """No answer came, and the SDK's own retries are used up: the same request may succeed later."""


class BrokenStreamError(ProviderError):
    """The answer began and broke off. SDKs retry nothing from here on."""


class Watch(Protocol):
    """Whoever watches a request for silence, and must not count the SDK's own waiting as the provider's."""

    def sent(self) -> None:
        """An attempt goes out: the SDK's first, or a retry of its own."""
        ...

    def answered(self, status: int) -> None:
        """Headers came. After an error status the SDK may now wait before it tries again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One completion request. It holds no model: a client speaks to one."""

    items: tuple[Item, ...]
    tools: Mapping[str, Tool]
    system: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """How a client is made.

    ``max_retries`` are the SDK's own, before headers. ``read_timeout_s`` is the SDK's too, and any byte
    resets it, so it is only a last resort: keep it above the loop's idle deadline.
    """

    base_url: str
    api_key: str
    model: str
    max_retries: int = 2
    read_timeout_s: float = 600.0


class Client(Protocol):
    """One model of one provider over one wire."""

    def stream(self, request: Request, watch: Watch) -> AsyncGenerator[Piece, None]:
        """Send the request and yield what comes. Closing the generator closes the connection's stream.

        Raises ``RefusedError`` or ``UnavailableError`` before the first piece, ``BrokenStreamError`` at any
        time.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


def connect(dialect: str, options: ClientOptions) -> Client:
    """Return a client for this dialect.

    Raises ``ValueError`` for a dialect that no client speaks, and ``ImportError`` when its SDK is missing.
    """
    if dialect not in DIALECTS:
        raise ValueError(f"no client speaks {dialect!r} - known: {', '.join(DIALECTS)}")
    module, _, name = DIALECTS[dialect].partition(":")
    # Imported only now: each SDK is an extra that may not be installed, and costs 0.6 s.
    client: Client = getattr(importlib.import_module(module), name)(options)
    return client
