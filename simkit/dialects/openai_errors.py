"""Errors as api.openai.com sends them: one JSON shape and one table, for every dialect of that host.

The idea: the body is ``{"error": {"message", "type", "param", "code"}}`` and clients decide by type and code,
so those come from the real thing while the messages are only close in meaning. The constraint: a status that
the table does not hold still gets an honest body, made from its class. Texts of provider errors in scenarios
were refused: every author would have to know them.

Where the rows come from: bodies quoted in public issues (wording shortened here) for 401, 404, 429, 500, 502, 503 and
the quota row. For 403, 408, 409, 413, 422 and 504 no quoted body was found: type and code follow their neighbours.

520 to 527 never reach the API: they are the edge's own, and what it sends is a page of HTML with the host, the number
and the name of the fault in its title, as quoted in public issues for 520 (the page is much shortened here). A script
that gives such a status an ``error`` gets JSON, since a page has no place for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from simkit.contracts import HttpRequest, Refusal
from simkit.dialects.jsontext import write_json
from simkit.model.timeline import StatusReply

INVALID: Final = "invalid_request_error"


class Row(NamedTuple):
    """What an error body says: its type, its code, and its message."""

    type: str
    code: str | int | None
    message: str


# Clients read the wait out of this text, so it says what the header says.
_WAIT: Final = "{wait}"
_LEARN_MORE: Final = (
    f"Please try again in {_WAIT}. Visit https://platform.openai.com/account/rate-limits to learn more."
)
_WAIT_USUAL: Final = "20s"
_TOKENS: Final = Row(
    "tokens",
    "rate_limit_exceeded",
    f"Rate limit reached on tokens per min (TPM): Limit 30000, Used 30000, Requested 10000. {_LEARN_MORE}",
)
_REQUESTS: Final = Row(
    "requests",
    "rate_limit_exceeded",
    f"Rate limit reached on requests per min (RPM): Limit 3, Used 3, Requested 1. {_LEARN_MORE}",
)
_BY_STATUS: Final[dict[int, Row]] = {
    400: Row(INVALID, None, "The request could not be understood."),
    401: Row(INVALID, "invalid_api_key", "Incorrect API key provided."),
    403: Row("request_forbidden", "unsupported_country_region_territory", "This region is not supported."),
    404: Row(INVALID, "model_not_found", "The model does not exist or you do not have access to it."),
    408: Row("server_error", None, "The request timed out."),
    409: Row(INVALID, None, "The resource was changed by another request."),
    413: Row(INVALID, None, "The request body is too large."),
    422: Row(INVALID, None, "The request could not be processed."),
    429: _TOKENS,
    500: Row("server_error", None, "The server had an error while processing your request."),
    502: Row("cf_bad_gateway", 502, "Bad gateway."),
    503: Row("cf_service_unavailable", 503, "Service Unavailable."),
    504: Row("cf_gateway_timeout", 504, "Gateway timeout."),
}
# Errors that are known by one word, whatever the status; ``tokens`` and ``requests`` are types, the others are codes.
_BY_WORD: Final[dict[str, Row]] = {
    "tokens": _TOKENS,
    "rate_limit_exceeded": _TOKENS,
    "requests": _REQUESTS,
    "insufficient_quota": Row(
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "context_length_exceeded": Row(
        INVALID, "context_length_exceeded", "The messages exceed this model's maximum context length."
    ),
    "invalid_api_key": _BY_STATUS[401],
    "model_not_found": _BY_STATUS[404],
}
# The names that the edge gives to the faults between it and the API.
_EDGE: Final[dict[int, str]] = {
    520: "Web server is returning an unknown error",
    521: "Web server is down",
    522: "Connection timed out",
    523: "Origin is unreachable",
    524: "A timeout occurred",
    525: "SSL handshake failed",
    526: "Invalid SSL certificate",
    527: "Railgun Error",
}
_PAGE: Final = (
    '<!DOCTYPE html>\n<html lang="en-US">\n<head>\n<title>api.openai.com | {status}: {name}</title>\n</head>\n'
    "<body>\n<h1>{name} <span>Error code {status}</span></h1>\n</body>\n</html>\n"
)
_NO_KEY: Final = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the "
    "API from your browser and are prompted for a username and password. You can obtain an API key from "
    "https://platform.openai.com/account/api-keys."
)


def error_body(row: Row, param: str | None = None) -> bytes:
    """Return the JSON body for this error."""
    return write_json({"error": error_value(row, param)})


def error_value(row: Row, param: str | None = None) -> dict[str, object]:
    """Return what stands under ``error``, in a body and in the middle of a stream."""
    return {"message": row.message, "type": row.type, "param": param, "code": row.code}


def refusal(message: str, param: str | None = None, code: str | None = None) -> Refusal:
    """Return the 400 that the API answers to a malformed request."""
    return Refusal(status=400, text=message, body=error_body(Row(INVALID, code, message), param))


def key_refusal(request: HttpRequest, text: str = _NO_KEY) -> Refusal | None:
    """Return the 401 of a request that names no key at all; None for every other, whatever the key is.

    ``api-key`` is the header of the same API in another cloud. ``text`` is the message: endpoints differ in it.
    """
    scheme, _, key = (request.header("authorization") or "").partition(" ")
    if request.header("api-key") or key.strip() or scheme.lower() not in ("", "bearer"):
        return None
    return Refusal(status=401, text=text, body=error_body(Row(INVALID, None, text)))


def error_reply(reply: StatusReply) -> tuple[Mapping[str, str], bytes]:
    """Return headers (names in lower case) and body for a status that the script asks for.

    ``reply.code`` or ``reply.type`` picks an error that is known by that word (``insufficient_quota``).
    ``reply.headers`` win over what is given here, ``reply.body`` replaces the body.
    """
    edge = reply.status in _EDGE and reply.error is None
    headers = {"content-type": "text/html; charset=UTF-8" if edge else "application/json"}
    if reply.retry_after is not None:
        headers["retry-after"] = reply.retry_after
    headers.update((name.lower(), value) for name, value in reply.headers.items())
    if reply.body is not None:
        return headers, reply.body.encode()
    return headers, _page(reply.status) if edge else error_body(_row(reply))


def _page(status: int) -> bytes:
    return _PAGE.format(status=status, name=_EDGE[status]).encode()


def _row(reply: StatusReply) -> Row:
    row = _BY_STATUS.get(reply.status, _BY_STATUS[500 if reply.status >= 500 else 400])
    row = _BY_WORD.get(reply.code or reply.type or "", row)
    row = Row(reply.type or row.type, reply.code or row.code, reply.error or row.message)
    return row._replace(message=row.message.replace(_WAIT, _wait(reply.retry_after)))


def _wait(retry_after: str | None) -> str:
    """Say the header's wait as the text does; what is no number of seconds is said nowhere but in the header."""
    seconds = (retry_after or "").strip()
    return f"{seconds}s" if seconds.replace(".", "", 1).isdecimal() else _WAIT_USUAL
