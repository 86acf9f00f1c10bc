r"""Server-sent events: how a streamed body is cut into frames.

The idea: a frame is a few ``field: value`` lines and one empty line. An empty line ends it, so a frame
without one has not arrived; a line that begins with a colon is a comment, which keeps a connection warm and
means nothing. The constraint: line ends inside a value (CR, LF, CRLF) each begin a new ``data:`` line and
nothing else does, as the standard says (WHATWG HTML, 9.2 Server-sent events); ``str.splitlines`` was refused
because it also splits at characters such as U+2028 that travel unescaped inside JSON text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_KEEPALIVE: Final = "keep-alive"


class Message(NamedTuple):
    """One decoded event: its type (``message`` when the frame named none) and its data."""

    event: str
    data: str


def encode_event(data: str, event: str = "") -> bytes:
    """Return one whole frame with this data, and with an ``event:`` line where a type is given."""
    return _lead(event) + b"".join(b"data: %b\n" % line for line in _LINE_END.split(data.encode())) + b"\n"


def encode_json(json: bytes, event: str = "") -> bytes:
    """Return one whole frame around JSON text, which never holds a raw line end: the short way."""
    return b"%bdata: %b\n\n" % (_lead(event), json)


def encode_comment(text: str) -> bytes:
    """Return the text as comment lines: bytes on the wire that are no event."""
    return b"".join(b": %b\n" % line for line in _LINE_END.split(text.encode())) + b"\n"


def keepalive_bytes() -> bytes:
    """Return the comment that a provider sends to keep a silent connection open."""
    return encode_comment(_KEEPALIVE)


def decode(body: bytes) -> Iterator[Message]:
    """Yield the events of a body, as a client sees them: a frame without its empty line has not arrived.

    A frame that is no UTF-8 is left out, since no client makes anything of it.
    """
    event, data = b"", list[bytes]()
    # What stands after the last line end is no line yet.
    for line in _LINE_END.split(body)[:-1]:
        if line:
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            event = value if name == b"event" else event
            data += [value] if name == b"data" else []
            continue
        if data:
            yield from _message(event or b"message", b"\n".join(data))
        event, data = b"", []


def _message(event: bytes, data: bytes) -> Iterator[Message]:
    with suppress(UnicodeDecodeError):
        yield Message(event.decode(), data.decode())


def _lead(event: str) -> bytes:
    return b"event: %b\n" % event.encode() if event else b""
