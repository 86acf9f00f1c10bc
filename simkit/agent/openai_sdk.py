"""What both wires of the openai SDK share: how its client is made, and what its errors come to.

The idea: from here on an error of the SDK is one of ours, whichever method raised it. The constraint it protects: SDK
releases differ in what they let through - some raise their HTTP library's errors, some json's - and no adapter has to
know which one is installed. A base class of the two adapters was refused: they share these functions and no state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import openai

from simkit.agent.attempts import short, status_error, stream_error, tell_answered, tell_sent, text_of
from simkit.agent.clients import BrokenStreamError, ClientOptions, ProviderError, UnavailableError


def sdk_of(options: ClientOptions) -> openai.AsyncOpenAI:
    """Return the SDK's client, with the hooks that tell of its attempts."""
    timeout = openai.Timeout(options.read_timeout_s, connect=5.0)  # 5 s to connect: the SDK's own default
    return openai.AsyncOpenAI(
        base_url=options.base_url,
        api_key=options.api_key,
        max_retries=options.max_retries,
        timeout=timeout,
        http_client=openai.DefaultAsyncHttpxClient(
            timeout=timeout, event_hooks={"request": [tell_sent], "response": [tell_answered]}
        ),
    )


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the SDK raises until an answer begins, or until it is there in one piece, into errors of ours."""
    try:
        yield
    except openai.APIStatusError as error:
        raise status_error(text_of(error), error.status_code, error.response.headers, error.code) from error
    except openai.APIConnectionError as error:
        raise UnavailableError(text_of(error)) from error
    except (openai.APIError, ValueError) as error:
        # An answer in one piece that is no JSON; SDK releases differ in what they raise for it.
        raise broken(error) from error


def broken(error: Exception) -> ProviderError:
    """Return what an error is that came while an answer arrived.

    From here on SDK releases differ: some let their HTTP library's errors through, some json's. What the provider says
    itself comes as an ``APIError`` with the body of the error.
    """
    if isinstance(error, openai.APIError) and not isinstance(error, openai.APIConnectionError):
        return stream_error(text_of(error), error.code, error.type)
    return BrokenStreamError(text_of(error))


def no_answer(value: object) -> ProviderError:
    """Return what a whole answer with status 200 has come to that is none, from the error that it may hold."""
    told = value.to_dict() if isinstance(value, openai.BaseModel) else {}
    error = told.get("error")
    if isinstance(error, Mapping):
        text = f"{error.get('type')}: {short(str(error.get('message')))}"
        return stream_error(text, error.get("code"), error.get("type"))
    return BrokenStreamError(f"the answer is none: {short(value if isinstance(value, str) else str(told))}", over=True)
