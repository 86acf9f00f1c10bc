"""Errors as generativelanguage.googleapis.com sends them, and the two layouts of its JSON.

The idea: the body is ``{"error": {"code", "message", "status", "details"?}}``, where ``status`` is a name of
``google.rpc.Code`` and ``details`` holds typed values such as ``RetryInfo``; clients decide by code, status and
details, so those come from the real thing while the messages may be shorter. The constraint: a status that the table
does not hold still gets an honest body, made from its class. A request id was refused, because this API sends none.

Where the rows come from: bodies quoted in public issues for 400, 403, 404, 429 (with ``RetryInfo``), 499, 500 and 503;
401, 409, 501 and 504 follow the mapping in ``google/rpc/code.proto``. A stream that was not asked for as ``alt=sse``
gets its error as a list of one (seen in the same issues). Recorded frames hold JSON on one line with a blank after
each colon and none after a comma (``compact``); whole bodies and errors have an indent of two (``pretty``).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from simkit.model.timeline import Fault, StatusReply

MEDIA_TYPE: Final = "application/json; charset=UTF-8"
_SERVICE: Final = "generativelanguage.googleapis.com"
# google.rpc.Code by the HTTP status that code.proto gives each; the first of a status is the usual one.
_CODES: Final[dict[str, int]] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_MESSAGES: Final[dict[str, str]] = {
    "INVALID_ARGUMENT": "Request contains an invalid argument.",
    "FAILED_PRECONDITION": "User location is not supported for the API use.",
    "UNAUTHENTICATED": "Request had invalid authentication credentials.",
    "PERMISSION_DENIED": "The caller does not have permission",
    "NOT_FOUND": "Requested entity was not found.",
    "ABORTED": "The operation was aborted.",
    "RESOURCE_EXHAUSTED": "You exceeded your current quota, please check your plan and billing details.",
    "CANCELLED": "The operation was cancelled.",
    "INTERNAL": "An internal error has occurred.",
    "UNIMPLEMENTED": "Operation is not implemented, or supported, or enabled.",
    "UNAVAILABLE": "The model is overloaded. Please try again later.",
    "DEADLINE_EXCEEDED": "Deadline expired before operation could complete.",
}
# Reasons (``google.rpc.ErrorInfo``) whose message differs from that of their status.
_REASONS: Final[dict[str, str]] = {"API_KEY_INVALID": "API key not valid. Please pass a valid API key."}
_USUAL_FAULT: Final = "UNAVAILABLE"


class ApiError(NamedTuple):
    """What an error body says."""

    code: int
    status: str
    message: str
    details: Sequence[Mapping[str, object]] = ()

    def value(self) -> dict[str, object]:
        """Return the error as the value that goes on the wire."""
        details = {"details": list(self.details)} if self.details else {}
        return {"error": {"code": self.code, "message": self.message, "status": self.status, **details}}

    def body(self, *, listed: bool = False) -> bytes:
        """Return the error as a body of its own; ``listed`` for a stream that is a JSON array."""
        return (b"[%b\n]\n" if listed else b"%b\n") % pretty(self.value())


def compact(value: object) -> bytes:
    """Return JSON on one line, as the frames of a stream hold it. Raises ``ValueError`` for a number that is none."""
    return _json(value, indent=None)


def pretty(value: object) -> bytes:
    """Return JSON with an indent of two, as whole bodies, errors and the array form of a stream hold it."""
    return _json(value, indent=2)


def invalid(message: str) -> ApiError:
    """Return the 400 of the API for a request that it could read."""
    return ApiError(400, "INVALID_ARGUMENT", message)


def unreadable(*descriptions: str, field: str | None = None) -> ApiError:
    """Return the 400 of the JSON reader, which tells all that it found; ``field`` is where it was found."""
    where = {"field": field} if field else {}
    found = [{**where, "description": text} for text in descriptions]
    detail = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": found}
    return ApiError(400, "INVALID_ARGUMENT", "\n".join(descriptions), (detail,))


def error_reply(reply: StatusReply) -> tuple[Mapping[str, str], bytes]:
    """Return headers (names in lower case) and body for a status that the script asks for.

    ``reply.type`` is a name of ``google.rpc.Code`` (``FAILED_PRECONDITION``), ``reply.code`` a reason
    (``API_KEY_INVALID``). ``reply.headers`` win over what is given here, ``reply.body`` replaces the body.
    """
    headers = {"content-type": MEDIA_TYPE}
    if reply.retry_after is not None:
        headers["retry-after"] = reply.retry_after
    headers.update((name.lower(), value) for name, value in reply.headers.items())
    body = _told(reply).body() if reply.body is None else reply.body.encode()
    return headers, body


def fault_error(fault: Fault) -> ApiError:
    """Return the error of a stream that had begun: ``type`` is a status name, ``code`` a number or a status name."""
    named = fault.type or (fault.code if fault.code in _CODES else None)
    number = int(fault.code) if fault.code is not None and fault.code.isdecimal() else None
    if named is None:
        named = _USUAL_FAULT if number is None else _usual_name(number)
    return ApiError(_CODES.get(named, _CODES[_USUAL_FAULT]) if number is None else number, named, fault.text)


def _told(reply: StatusReply) -> ApiError:
    name = reply.type or _usual_name(reply.status)
    usual = _REASONS.get(reply.code or "", _MESSAGES.get(name, name))
    details = (_error_info(reply.code),) if reply.code else ()
    told = ApiError(reply.status, name, reply.error or usual, details)
    return _with_delay(told, reply.retry_after)


def _with_delay(error: ApiError, retry_after: str | None) -> ApiError:
    """Return the error with the delay in its details, where the API gives one."""
    if error.code != 429 or retry_after is None or not _is_number(retry_after):
        return error
    delay = f"{retry_after.strip()}s"
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    return error._replace(message=f"{error.message}\nPlease retry in {delay}.", details=(*error.details, detail))


def _error_info(reason: str) -> dict[str, object]:
    kind = "type.googleapis.com/google.rpc.ErrorInfo"
    return {"@type": kind, "reason": reason, "domain": "googleapis.com", "metadata": {"service": _SERVICE}}


def _usual_name(code: int) -> str:
    names = (name for name, number in _CODES.items() if number == code)
    return next(names, "INTERNAL" if code >= 500 else "INVALID_ARGUMENT")


def _is_number(text: str) -> bool:
    whole, _, fraction = text.strip().partition(".")
    return whole.isdecimal() and (fraction.isdecimal() or "." not in text)


def _json(value: object, *, indent: int | None) -> bytes:
    write = functools.partial(json.dumps, value, allow_nan=False, separators=(",", ": "), indent=indent)
    try:
        return write(ensure_ascii=False).encode()
    except UnicodeEncodeError:
        # Half a surrogate pair has no UTF-8 form; escaped it is still the same JSON text.
        return write().encode()
