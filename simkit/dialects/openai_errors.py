"""Errors as api.openai.com sends them: one JSON shape and one table, for every dialect of that host.

The idea: the body is ``{"error": {"message", "type", "param", "code"}}`` and clients decide by type and code,
so those come from the real thing while the messages are only close in meaning. The constraint: a status that
the table does not hold still gets an honest body, made from its class. Texts of provider errors in scenarios
were refused: every author would have to know them.

Where the rows come from: bodies quoted in public issues (wording shortened here) for 401, 404, 429, 500, 503 and the
quota row. For 403, 408, 409, 413, 422, 502 and 504 no quoted body was found: type and code follow their neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from simkit.contracts import Refusal
from simkit.dialects.jsontext import write_json
from simkit.model.timeline import StatusReply

INVALID: Final = "invalid_request_error"


class Row(NamedTuple):
    """What an error body says: its type, its code, and its message."""

    type: str
    code: str | int | None
    message: str


_BY_STATUS: Final[dict[int, Row]] = {
    400: Row(INVALID, None, "The request could not be understood."),
    401: Row(INVALID, "invalid_api_key", "Incorrect API key provided."),
    403: Row("request_forbidden", "unsupported_country_region_territory", "This region is not supported."),
    404: Row(INVALID, "model_not_found", "The model does not exist or you do not have access to it."),
    408: Row("server_error", None, "The request timed out."),
    409: Row(INVALID, None, "The resource was changed by another request."),
    413: Row(INVALID, None, "The request body is too large."),
    422: Row(INVALID, None, "The request could not be processed."),
    429: Row("tokens", "rate_limit_exceeded", "Rate limit reached on tokens per min (TPM). Please try again later."),
    500: Row("server_error", None, "The server had an error while processing your request."),
    502: Row("cf_bad_gateway", 502, "Bad gateway."),
    503: Row("cf_service_unavailable", 503, "Service Unavailable."),
    504: Row("cf_gateway_timeout", 504, "Gateway timeout."),
}
# Errors that are known by their code, whatever the status.
_BY_CODE: Final[dict[str, Row]] = {
    "insufficient_quota": Row("insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
    "context_length_exceeded": Row(
        INVALID, "context_length_exceeded", "The messages exceed this model's maximum context length."
    ),
}


def error_body(row: Row, param: str | None = None) -> bytes:
    """Return the JSON body for this error."""
    error = {"message": row.message, "type": row.type, "param": param, "code": row.code}
    return write_json({"error": error})


def refusal(message: str, param: str | None = None, code: str | None = None) -> Refusal:
    """Return the 400 that the API answers to a malformed request."""
    return Refusal(status=400, text=message, body=error_body(Row(INVALID, code, message), param))


def error_reply(reply: StatusReply) -> tuple[Mapping[str, str], bytes]:
    """Return headers (names in lower case) and body for a status that the script asks for.

    ``reply.error`` is a code where it is one word (``insufficient_quota``), else the message.
    ``reply.headers`` win over what is given here, ``reply.body`` replaces the body.
    """
    headers = {"content-type": "application/json"}
    if reply.retry_after is not None:
        headers["retry-after"] = reply.retry_after
    headers.update((name.lower(), value) for name, value in reply.headers.items())
    body = error_body(_row(reply)) if reply.body is None else reply.body.encode()
    return headers, body


def _row(reply: StatusReply) -> Row:
    row = _BY_STATUS.get(reply.status, _BY_STATUS[500 if reply.status >= 500 else 400])
    if not reply.error:
        return row
    if not reply.error.isidentifier():
        return row._replace(message=reply.error)
    return _BY_CODE.get(reply.error, row._replace(code=reply.error))
