"""Errors and headers as api.anthropic.com sends them: one JSON shape, one table, one way to count limits.

The idea: the body is ``{"type": "error", "error": {"type", "message"}, "request_id"}``; clients decide by status and
type, and newer ones by ``error.details.error_code``, so those come from the real thing while most messages are only
close in meaning. The constraint: a status that the table does not hold still gets an honest body, as the API's guide
says: ``invalid_request_error`` stands for every other 4xx, ``api_error`` for every other 5xx. Texts of provider
errors in scenarios were refused: every author would have to know them.

What is not here: the instants at which rate limits reset. The API gives them as dates (RFC 3339), and a dialect has
no clock; a scenario that needs one gives it in ``headers``. A refusal of ``read`` has no ``request_id`` in its body,
because the request has no number yet; the header has it all the same.

Where the rows come from: the types from the API's guide to errors; the messages of 401, 413, 429, 500 and 529, and
``x-should-retry``, from bodies and headers that public issues quote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from simkit.contracts import Refusal
from simkit.dialects.jsontext import write_json
from simkit.model.timeline import StatusReply

INVALID: Final = "invalid_request_error"
# What an error is that its scenario does not name; the API's own word for a fault inside it.
API_ERROR: Final = "api_error"


class Row(NamedTuple):
    """What an error body says: its type, its message, and the code that names its cause where there is one."""

    type: str
    message: str
    code: str | None = None


_BY_STATUS: Final[dict[int, Row]] = {
    400: Row(INVALID, "The request could not be understood."),
    401: Row("authentication_error", "invalid x-api-key"),
    402: Row("billing_error", "There is a problem with the payment of this account."),
    403: Row("permission_error", "This API key may not use the resource."),
    404: Row("not_found_error", "The resource was not found."),
    409: Row("conflict_error", "The resource was changed by another request."),
    413: Row("request_too_large", "Request exceeds the maximum size"),
    429: Row("rate_limit_error", "This request would exceed your account's rate limit. Please try again later."),
    500: Row(API_ERROR, "Internal server error"),
    504: Row("timeout_error", "The request took too long to process."),
    529: Row("overloaded_error", "Overloaded"),
}
_BY_TYPE: Final[dict[str, Row]] = {row.type: row for row in _BY_STATUS.values()}
# Below 500, these alone are worth another attempt.
_RETRIED: Final = frozenset({408, 409, 429})

_ORGANIZATION: Final = "00000000-0000-4000-8000-000000000000"
# The limits of a small account, and what one request is taken to use of each.
_LIMITS: Final[tuple[tuple[str, int, int], ...]] = (
    ("requests", 50, 1),
    ("input-tokens", 30_000, 16),
    ("output-tokens", 8_000, 16),
    ("tokens", 38_000, 32),
)


def request_id(number: int) -> str:
    """Return the id of a request, which the SDK tells too (``error.request_id``)."""
    return f"req_sim_{number:06d}"


def response_headers(number: int) -> dict[str, str]:
    """Return what every response carries, for the request with this number in the run (names in lower case)."""
    headers = {"request-id": request_id(number), "anthropic-organization-id": _ORGANIZATION}
    for name, limit, used in _LIMITS:
        headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
        headers[f"anthropic-ratelimit-{name}-remaining"] = str(max(0, limit - used * number))
    return headers


def refusal(message: str, status: int = 400) -> Refusal:
    """Return what the API answers to a request that it does not take."""
    error = {"type": _BY_STATUS[status].type, "message": message}
    return Refusal(status=status, text=message, body=write_json({"type": "error", "error": error}))


def error_reply(reply: StatusReply, number: int) -> tuple[Mapping[str, str], bytes]:
    """Return headers (names in lower case) and body for a status that the script asks for.

    ``reply.type`` picks the error that is known by it (``overloaded_error``), ``reply.code`` is that of the details.
    ``reply.headers`` win over what is given here, ``reply.body`` replaces the body.
    """
    retried = reply.status >= 500 or reply.status in _RETRIED
    headers = {"content-type": "application/json", "x-should-retry": "true" if retried else "false"}
    if reply.retry_after is not None:
        headers["retry-after"] = reply.retry_after
    headers.update((name.lower(), value) for name, value in reply.headers.items())
    return headers, _body(_row(reply), number) if reply.body is None else reply.body.encode()


def _body(row: Row, number: int) -> bytes:
    details = {} if row.code is None else {"details": {"error_code": row.code}}
    error = {"type": row.type, "message": row.message, **details}
    return write_json({"type": "error", "error": error, "request_id": request_id(number)})


def _row(reply: StatusReply) -> Row:
    usual = Row(API_ERROR, "Internal server error") if reply.status >= 500 else _BY_STATUS[400]
    row = _BY_STATUS.get(reply.status, usual)
    row = _BY_TYPE.get(reply.type or "", row)
    return Row(reply.type or row.type, reply.error or row.message, reply.code)
