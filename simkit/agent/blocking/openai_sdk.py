"""The openai SDK's sync client, with what both of its wires need under it.

The idea: the hooks that tell of attempts, and the tap by which its sockets can be reached, are put on where the client
is made. The constraint it protects: it stays the SDK's own client with its own retries, pool and timeouts. A transport
of our own was refused: the SDK's default one is what its users run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import openai

from simkit.agent.blocking.hooks import tell_answered, tell_sent
from simkit.agent.blocking.line import drain, tap
from simkit.agent.clients import ClientOptions
from simkit.agent.openai_sdk import Bytes


def sdk_of(options: ClientOptions) -> openai.OpenAI:
    """Return the SDK's client."""
    timeout = openai.Timeout(options.read_timeout_s, connect=5.0)  # 5 s to connect: the SDK's own default
    http = openai.DefaultHttpxClient(timeout=timeout, event_hooks={"request": [tell_sent], "response": [tell_answered]})
    tap(http)
    return openai.OpenAI(
        base_url=options.base_url,
        api_key=options.api_key,
        max_retries=options.max_retries,
        timeout=timeout,
        http_client=http,
    )


class _Response(Protocol):
    """An HTTP response of whichever library the SDK uses."""

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]: ...


def on_their_way(response: _Response) -> Bytes:
    """Put a listener between a response and whoever reads its bytes, as its asynchronous twin does.

    Behind the closing marker it reads on itself: the SDK would not, and close the connection.
    """
    heard, iter_bytes = Bytes(), response.iter_bytes

    def tapped(chunk_size: int | None = None) -> Iterator[bytes]:
        # Asked for once: were it to stay, the response would hold whoever reads it.
        del response.iter_bytes
        chunks = iter_bytes(chunk_size)
        for chunk in chunks:
            frames = heard.hear(chunk)
            if heard.done:
                drain(chunks)
            yield frames
        yield heard.rest()

    response.iter_bytes = tapped  # type: ignore[method-assign]  # the only place where it passes by, decompressed
    return heard
