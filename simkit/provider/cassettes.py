"""Cassettes: a host that answers from what vcrpy recorded of it.

The idea: the file is read, and a request is compared, by vcrpy itself: record mode ``none``, its default ``match_on``
(method, scheme, host, port, path, query), each interaction played once. The constraint: a request that the cassette
does not hold ends the run with the nearest recorded ones, and nothing is ever asked of the real host. Running vcrpy's
own patches in a world was refused: they replace the transport of each HTTP library, so the client's pool, timeouts and
retries would not be under test.

What a cassette cannot say: the scheme of a request to another port than 80 and 443, as TLS is transparent here, so
both are looked for (https first); when its parts came, so an answer comes at once and whole. Its texts, which may hold
secrets, go to the client alone: of a query that differs, only the names are told.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import vcr.cassette
from vcr import matchers
from vcr.record_mode import RecordMode
from vcr.request import Request
from vcr.serializers import jsonserializer, yamlserializer

from simkit.contracts import HttpRequest
from simkit.errors import UsageError

# vcrpy's default ``match_on``.
_MATCH_ON: Final = (
    matchers.method,
    matchers.scheme,
    matchers.host,
    matchers.port,
    matchers.path,
    matchers.query,
)

_SCHEMES: Final = {443: ("https",), 80: ("http",)}
_DEFAULT_PORT: Final = {"https": 443, "http": 80}
# They say how the body was sent, which is done anew.
_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})
_GZIP_MAGIC: Final = b"\x1f\x8b"
# More near misses than this would be a list and no help.
_NEAREST: Final = 3


class Recorded(NamedTuple):
    """A whole answer as it was recorded; a header that came several times has a line for each."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Cassette:
    """One cassette while it is played."""

    def __init__(self, path: str) -> None:
        if not Path(path).is_file():
            raise UsageError(f"cassette {path!r} is no file - expected one that vcrpy recorded")
        try:
            self._vcr = vcr.cassette.Cassette.load(
                path=path,
                serializer=jsonserializer if path.endswith(".json") else yamlserializer,
                record_mode=RecordMode.NONE,
                match_on=_MATCH_ON,
            )
        except Exception as error:  # whatever is in the file, it is no cassette
            raise UsageError(f"cassette {path!r} cannot be read: {type(error).__name__}: {error}") from error
        self._path = path

    def play(self, host: str, port: int, request: HttpRequest) -> Recorded | str:
        """Return the recorded answer and use it up; or, where there is none, say what the nearest ones are."""
        asked = list(_as_vcr(host, port, request))
        for one in asked:
            if self._vcr.can_play_response_for(one):
                return _answer(self._vcr.play_response(one))
        return self._missing(asked[0], request)

    def _missing(self, asked: Request, request: HttpRequest) -> str:
        near = self._vcr.find_requests_with_most_matches(asked)
        told = "; ".join(_difference(asked, *one) for one in near[:_NEAREST]) or "none has anything in common with it"
        played, held = self._vcr.play_count, len(self._vcr)
        return (
            f"{request.method} {asked.scheme}://{asked.host}:{asked.port}{request.path} came, and cassette "
            f"{self._path!r} holds no answer to it that was not played before ({held} recorded, {played} played). "
            f"Nearest: {told}. Record it, or look for why the agent asks this"
        )


def _as_vcr(host: str, port: int, request: HttpRequest) -> Iterator[Request]:
    query = request.target.partition("?")[2]
    for scheme in _SCHEMES.get(port, ("https", "http")):
        place = host if port == _DEFAULT_PORT[scheme] else f"{host}:{port}"
        uri = f"{scheme}://{place}{request.path}{'?' if query else ''}{query}"
        yield Request(request.method, uri, request.body, dict(request.headers))


def _difference(asked: Request, recorded: Request, _: object, missed: list[tuple[str, str | None]]) -> str:
    """Say how a recorded request differs from the one that came, without the values of its query."""
    words = []
    for name, text in missed:
        if name == "query":
            names = sorted({key for key, value in set(asked.query) ^ set(recorded.query)})
            text = f"differs in {', '.join(map(repr, names)) or 'the number of its values'}"
        words.append(f"{name}: {text}")
    return (
        f"{recorded.method} {recorded.scheme}://{recorded.host}{recorded.path} ({', '.join(words) or 'played already'})"
    )


def _answer(response: dict[str, Any]) -> Recorded:
    if "status_code" in response:
        # As vcrpy recorded httpx before version 6.
        response = {**response, "status": {"code": response["status_code"]}, "body": {"string": response["content"]}}
    body = response["body"].get("string") or b""
    body = body.encode() if isinstance(body, str) else body
    headers = dict[str, str]()
    for name, values in response["headers"].items():
        if name.lower() not in _FRAMING:
            headers[name.lower()] = values if isinstance(values, str) else "\n".join(values)
    if headers.get("content-encoding") in ("gzip", "deflate") and not _is_compressed(body):
        # Some clients recorded what they had decompressed, under the header of what they had received.
        del headers["content-encoding"]
    return Recorded(response["status"]["code"], headers, body)


def _is_compressed(body: bytes) -> bool:
    if body.startswith(_GZIP_MAGIC):
        return True
    for window in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        try:
            zlib.decompress(body, window)
        except zlib.error:
            continue
        return True
    return False
