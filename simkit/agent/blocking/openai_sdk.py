"""The openai SDK's sync client, with what both of its wires need under it.

The idea: the hooks that tell of attempts, and the tap by which its sockets can be reached, are put on where the client
is made. The constraint it protects: it stays the SDK's own client with its own retries, pool and timeouts. A transport
of our own was refused: the SDK's default one is what its users run.
"""

from __future__ import annotations

import openai

from simkit.agent.blocking.hooks import tell_answered, tell_sent
from simkit.agent.blocking.line import tap
from simkit.agent.clients import ClientOptions


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
