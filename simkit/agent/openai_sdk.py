"""What both wires of the openai SDK share: how its client is made, and what its errors come to.

The idea: from here on an error of the SDK is one of ours, whichever method raised it. The constraint it protects: SDK
releases differ in what they let through - some raise their HTTP library's errors, some json's - and no adapter has to
know which one is installed. A base class of the two adapters was refused: they share these functions and no state.

The bytes of a stream pass by here as well. Gateways put frames without data into it, which the standard has every
reader leave out, and the SDK takes for JSON.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Final, Protocol

import openai

from simkit.agent.attempts import short, status_error, stream_error, tell_answered, tell_sent, text_of
from simkit.agent.clients import BrokenStreamError, ClientOptions, ProviderError, UnavailableError

# The closing marker; no line within JSON begins like this.
_DONE: Final = re.compile(rb"[\r\n]data: ?\[DONE\]")
# Longer than the marker, which may be cut anywhere.
_TAIL: Final = 32

# Where a frame ends, for the SDK as well, and what it has where it carries something.
_FRAME_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_DATA: Final = re.compile(rb"(?:^|[\r\n])data:[^\r\n]*[^ \r\n]")


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


# -- bytes ---------------------------------------------------------------------------------------------------------
class _Response(Protocol):
    """An HTTP response of whichever library the SDK uses."""

    def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]: ...


class Bytes:
    """The bytes of a stream on their way to the SDK: frames without data stay behind, the closing marker is noticed.

    An iterator and not a generator: nothing of it is left open when its reader goes.
    """

    def __init__(self) -> None:
        self.done = False
        self._tail = b"\n"
        # Of a frame that has not ended yet.
        self._held = b""
        self._chunks: AsyncIterator[bytes] | None = None

    @classmethod
    def on_their_way(cls, response: _Response) -> Bytes:
        """Put oneself between a response and whoever reads its bytes."""
        heard, aiter_bytes = cls(), response.aiter_bytes

        def tapped(chunk_size: int | None = None) -> AsyncIterator[bytes]:
            # Asked for once: were it to stay, the response would hold whoever reads it, and be closed by the collector.
            del response.aiter_bytes
            heard._chunks = aiter_bytes(chunk_size)
            return heard

        response.aiter_bytes = tapped  # type: ignore[method-assign]  # the only place where it passes by, decompressed
        return heard

    def __aiter__(self) -> Bytes:
        return self

    async def __anext__(self) -> bytes:
        assert self._chunks is not None, "read before it listens"
        try:
            return self.hear(await anext(self._chunks))
        except StopAsyncIteration:
            if not self._held:
                raise
            return self.rest()

    def hear(self, chunk: bytes) -> bytes:
        """Take more of the bytes in, and return the frames that end with them, without those that have no data."""
        heard = self._tail + chunk
        self.done = self.done or _DONE.search(heard) is not None
        self._tail = heard[-_TAIL:]
        held = self._held + chunk
        ends = [0, *(end.end() for end in _FRAME_END.finditer(held))]
        self._held = held[ends[-1] :]
        frames = (held[start:end] for start, end in pairwise(ends))
        return b"".join(frame for frame in frames if _DATA.search(frame))

    def rest(self) -> bytes:
        """Return what the stream has ended in the middle of."""
        rest, self._held = self._held, b""
        return rest
