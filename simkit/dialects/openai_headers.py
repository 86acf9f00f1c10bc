"""The headers that api.openai.com adds to every response, for every dialect of that host.

The idea: an id of the request, how long it took, the version of the API, and what is left of the two rate limits.
The constraint: all of it follows from the request's number alone, so two runs send the same bytes; the limits are
those of a small account, and what remains goes down with every request and never below zero. Real limits recover
with time, but a dialect has no clock. A scenario that wants other figures gives ``headers``, which replace these one
by one. Names, forms and order are those that the API's guide to rate limits lists: counts, and durations such as
``1s`` or ``6m0s``.
"""

from __future__ import annotations

from typing import Final

_REQUESTS_PER_MINUTE: Final = 60
_TOKENS_PER_MINUTE: Final = 150_000
# What one request is taken to use: the guide's own example has 16 of 150,000 tokens used by one.
_TOKENS_PER_REQUEST: Final = 16
# The version that the API has named since 2020.
_VERSION: Final = "2020-10-01"


def request_id(number: int) -> str:
    """Return the id of a request, which is also told by the SDK (``error.request_id``)."""
    return f"req_sim_{number:06d}"


def response_headers(number: int) -> dict[str, str]:
    """Return what every response carries, for the request with this number in the run (names in lower case)."""
    used = min(number, _REQUESTS_PER_MINUTE)
    return {
        "x-request-id": request_id(number),
        "openai-processing-ms": "100",
        "openai-version": _VERSION,
        "x-ratelimit-limit-requests": str(_REQUESTS_PER_MINUTE),
        "x-ratelimit-limit-tokens": str(_TOKENS_PER_MINUTE),
        "x-ratelimit-remaining-requests": str(_REQUESTS_PER_MINUTE - used),
        "x-ratelimit-remaining-tokens": str(_TOKENS_PER_MINUTE - used * _TOKENS_PER_REQUEST),
        "x-ratelimit-reset-requests": f"{used}s",
        "x-ratelimit-reset-tokens": "6m0s",
    }
