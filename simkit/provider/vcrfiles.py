"""Cassette files: what vcrpy recorded, as values with their instants, and back.

The idea: an interaction is one request and what came of it, piece by piece; a cassette knows the pieces only as one
body, and a recording of simkit's own knows them all. The constraint: a file that is no cassette is told with its
place, and nothing of its content, which may hold secrets; and what is written here is read by vcrpy itself. Reading
through vcrpy's ``Cassette`` was refused for the way in: it gives back a request only to whom makes it again.

A cassette has no word for a connection that failed, nor for a body that broke off, so these are in no cassette.
"""

from __future__ import annotations

import base64
import io
import json
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final, Literal, NamedTuple, NoReturn
from urllib.parse import urlsplit

from simkit.contracts import HttpRequest
from simkit.errors import Problem, ScenarioError, UsageError
from simkit.model.timeline import Unreachable

# How an answer ended: properly, inside its body, by an RST, or not at all while somebody listened.
End = Literal["complete", "cut", "reset", "open"]

# A hundred times the longest recorded session that anyone keeps in a repository.
_FILE_BYTES_MAX: Final = 256 * 2**20
# zlib's word for "gzip or zlib, whichever the header says".
_ANY_WINDOW: Final = 32 + zlib.MAX_WBITS


class Piece(NamedTuple):
    """Bytes of a body that came together, and when: nanoseconds since the headers came."""

    at_ns: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One request and what came of it.

    ``at_ns`` is when it was sent, counted from the first one; ``after_ns`` passed before the headers of the answer
    came, and ``end_ns`` between them and the end. ``timed`` says whether anybody knows these, and where the pieces
    began. ``status`` 0 means that no answer came; ``unreachable`` says why, where the connection itself failed. Header
    names are in lower case.
    """

    url: str
    request: HttpRequest
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    pieces: tuple[Piece, ...] = ()
    end: End = "complete"
    unreachable: Unreachable | None = None
    timed: bool = False
    at_ns: int = 0
    after_ns: int = 0
    end_ns: int = 0

    @property
    def host(self) -> str:
        """The host that was asked, with its port where that is not the scheme's own."""
        url = urlsplit(self.url)
        usual = {"https": 443, "http": 80}.get(url.scheme)
        return str(url.hostname) if url.port in (None, usual) else f"{url.hostname}:{url.port}"

    @property
    def body(self) -> bytes:
        """The whole body, as it was sent."""
        return b"".join(piece.data for piece in self.pieces)

    def header(self, name: str) -> str:
        """Return the first header of the answer with this name; empty when there is none."""
        return next((value for key, value in self.headers if key == name), "")


# -- in ------------------------------------------------------------------------------------------------------------
def read_cassette(path: str) -> tuple[Interaction, ...]:
    """Return what a cassette holds, in its order; a file that ends with ``.json`` or holds JSON is read as such.

    Raises ``UsageError`` when there is no such file, ``ScenarioError`` with a place when it is no cassette.
    """
    text = _read_text(path)
    data = _parse(text, path)
    interactions = data.get("interactions") if isinstance(data, dict) else None
    file = _File(path, text)
    if not isinstance(interactions, list):
        file.wrong((), "expected a cassette: a mapping with the key 'interactions', which holds a list")
    return tuple(_interaction(one, ("interactions", place), file) for place, one in enumerate(interactions))


def _read_text(path: str) -> str:
    if Path(path).is_dir():
        raise UsageError(f"{path!r} is a directory, expected a cassette that vcrpy recorded")
    try:
        with open(path, "rb") as file:
            data = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"the cassette {path!r} cannot be read: {error.strerror or error}") from error
    if len(data) > _FILE_BYTES_MAX:
        raise UsageError(f"the cassette {path!r} is larger than {_FILE_BYTES_MAX // 2**20} MiB, split it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _wrong(path, data[: error.start].count(b"\n") + 1, 1, f"the byte 0x{data[error.start]:02x} is not UTF-8")


def _parse(text: str, path: str) -> object:
    if path.endswith(".json") or text.lstrip().startswith("{"):
        try:
            value: object = json.loads(text)
        except json.JSONDecodeError as error:
            _wrong(path, error.lineno, error.colno, f"this is not JSON: {error.msg}")
        except (RecursionError, ValueError) as error:
            _wrong(path, 1, 1, f"this cannot be read as JSON: {error}")
        return value
    import yaml  # lazy: scenarios of other origin are recorded and served without reading a cassette
    from vcr.serializers import yamlserializer  # lazy: vcrpy looks for every HTTP library there is, half a second

    try:
        value = yamlserializer.deserialize(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        _wrong(path, line, column, f"this is not the YAML of a cassette: {error.problem or error.context}")
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError, TypeError) as error:
        # What is wrong with single characters, numbers and dates is said by Python and has no place.
        _wrong(path, 1, 1, f"this cannot be read as YAML: {type(error).__name__}")
    return value


def _wrong(path: str, line: int, column: int, text: str) -> NoReturn:
    raise ScenarioError([Problem(path, line, column, text, help="give a cassette that vcrpy can load")])


@dataclass(frozen=True, slots=True)
class _File:
    """The file, to find places in: a mistake is told by where it stands."""

    path: str
    text: str

    def wrong(self, way: Sequence[str | int], text: str) -> NoReturn:
        """Raise ``ScenarioError`` for what stands at the end of this way from the root."""
        import yaml  # lazy: only a bad file has places to be told

        name = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in way).lstrip(".")
        # JSON is YAML; text that is not (tabs) has its mistake told without a line.
        try:
            line, column = _find(yaml.compose(self.text, yaml.SafeLoader), way)
        except yaml.YAMLError:
            line, column = 1, 1
        _wrong(self.path, line, column, f"{name}: {text}" if name else text)


def _find(node: object, way: Sequence[str | int]) -> tuple[int, int]:
    """Return line and column of the deepest node on the way that is there."""
    import yaml  # lazy: as above

    for step in way:
        match node:
            case yaml.SequenceNode(value=items) if isinstance(step, int):
                node = items[step]
            case yaml.MappingNode(value=pairs):
                node = next((value for key, value in pairs if key.value == step), node)
    mark = getattr(node, "start_mark", None)
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _interaction(value: object, way: tuple[str | int, ...], file: _File) -> Interaction:
    one = _mapping(value, way, file)
    request, response = (_mapping(one.get(name), (*way, name), file) for name in ("request", "response"))
    uri, method = request.get("uri"), request.get("method")
    if not isinstance(uri, str) or not isinstance(method, str):
        file.wrong((*way, "request"), "expected a 'method' and a 'uri', both text")
    if not _is_url(uri):
        file.wrong((*way, "request", "uri"), "expected an address such as https://api.openai.com/v1/chat/completions")
    sent = tuple(_headers(request.get("headers"), (*way, "request", "headers"), file))
    url = urlsplit(uri)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    came = _body(request.get("body"), (*way, "request", "body"), file)
    headers = tuple(_headers(response.get("headers"), (*way, "response", "headers"), file))
    body = _response_body(response, (*way, "response"), file)
    return Interaction(
        url=uri,
        request=HttpRequest(method.upper(), target, sent, came),
        status=_status(response, (*way, "response"), file),
        headers=headers,
        pieces=(Piece(0, body),) if body else (),
    )


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:  # a port that is no number, or brackets around no address
        return False


def _mapping(value: object, way: tuple[str | int, ...], file: _File) -> Mapping[str, object]:
    if not isinstance(value, dict):
        file.wrong(way, "expected a mapping")
    return value


def _status(response: Mapping[str, object], way: tuple[str | int, ...], file: _File) -> int:
    status = response.get("status")
    # As vcrpy recorded httpx before its version 6, the number stands alone.
    code = status.get("code") if isinstance(status, dict) else response.get("status_code")
    if not isinstance(code, int) or not 100 <= code <= 599:
        file.wrong((*way, "status"), "expected a 'code' from 100 to 599")
    return code


def _headers(value: object, way: tuple[str | int, ...], file: _File) -> Iterator[tuple[str, str]]:
    if value is not None and not isinstance(value, dict):
        file.wrong(way, "expected a mapping from names to lists of text")
    for name, texts in (value or {}).items():
        for text in texts if isinstance(texts, list | tuple) else [texts]:
            yield str(name).lower(), text.decode("latin-1") if isinstance(text, bytes) else str(text)


def _response_body(response: Mapping[str, object], way: tuple[str | int, ...], file: _File) -> bytes:
    body = response.get("body", response.get("content"))
    if not isinstance(body, dict):
        return _body(body, (*way, "body"), file)
    if "base64_string" in body:
        return _from_base64(body["base64_string"], (*way, "body", "base64_string"), file)
    if body.get("encoding") == "base64":
        return _from_base64(body.get("string"), (*way, "body", "string"), file)
    return _body(body.get("string"), (*way, "body", "string"), file)


def _from_base64(value: object, way: tuple[str | int, ...], file: _File) -> bytes:
    if not isinstance(value, str | bytes):
        file.wrong(way, "expected text in base64")
    try:
        text = value.encode() if isinstance(value, str) else value
        # It may be broken into lines.
        return base64.b64decode(b"".join(text.split()), validate=True)
    except ValueError:  # characters that are no letters of it, or one too few
        file.wrong(way, "expected text in base64")


def _body(value: object, way: tuple[str | int, ...], file: _File) -> bytes:
    match value:
        case None:
            return b""
        case bytes():
            return value
        case str():
            return value.encode("utf-8", "surrogatepass")
        case io.BytesIO():
            return value.getvalue()
        case dict() | list():
            # Written by hand, or by a serializer that shows bodies as what they mean.
            return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
        case _:
            return file.wrong(way, "expected a body: text, bytes, or nothing")


# -- compressed bodies ---------------------------------------------------------------------------------------------
def plain(one: Interaction) -> tuple[Piece, ...] | None:
    """Return the pieces of a body as they read once decompressed, each at its instant; None where nobody can tell.

    Some clients recorded what they had decompressed, under the header of what they had received: that is taken as it
    is. Of a body that breaks off, what came is decompressed.
    """
    coding = one.header("content-encoding").strip().lower()
    if coding in ("", "identity"):
        return one.pieces
    if coding not in ("gzip", "x-gzip", "deflate"):
        return one.pieces if _is_text(one.body) else None
    unpack = zlib.decompressobj(_ANY_WINDOW)
    try:
        return tuple(Piece(at_ns, unpack.decompress(data)) for at_ns, data in one.pieces)
    except zlib.error:
        return one.pieces if _is_text(one.body) else None


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


# -- out -----------------------------------------------------------------------------------------------------------
def write_cassette(interactions: Iterable[Interaction]) -> str:
    """Return the text of a cassette, in YAML, that vcrpy loads; without what a cassette has no words for."""
    import yaml  # lazy: only who writes a cassette needs it

    whole = [_record(one) for one in interactions if one.status and one.end == "complete"]
    # The same writer everywhere: libyaml folds lines otherwise.
    text: str = yaml.dump({"interactions": whole, "version": 1}, Dumper=yaml.SafeDumper, allow_unicode=True)
    return text


def _record(one: Interaction) -> dict[str, object]:
    return {
        "request": {
            "method": one.request.method,
            "uri": one.url,
            "body": _shown(one.request.body) if one.request.body else None,
            "headers": _grouped(one.request.headers),
        },
        "response": {
            "status": {"code": one.status, "message": _phrase(one.status)},
            "headers": _grouped(one.headers),
            "body": {"string": _shown(one.body)},
        },
    }


def _grouped(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    grouped = dict[str, list[str]]()
    for name, value in headers:
        grouped.setdefault(name, []).append(value)
    return grouped


def _shown(data: bytes) -> str | bytes:
    return data.decode() if _is_text(data) else data


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # 524 and 529 are sent by real servers and in no table
        return "Unknown"


def write_atomically(path: str, text: str) -> None:
    """Write a whole file, or leave what stood there. Raises ``OSError``."""
    folder = os.path.dirname(path) or "."
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="\n", dir=folder, prefix=".simkit-", delete=False
    ) as new:
        try:
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
            # As any other new file, which a temporary one is not.
            os.chmod(new.name, 0o666 & ~_umask())
            os.replace(new.name, path)
        except BaseException:
            os.unlink(new.name)
            raise


def _umask() -> int:
    # It can only be read by setting it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
