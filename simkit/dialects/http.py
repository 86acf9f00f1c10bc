"""The server's side of one HTTP/1.1 connection, on h11: bytes in, requests out; an answer in, bytes out.

The idea: whoever owns the connection feeds what arrived, takes the complete requests, and writes out what
each answer encodes to; h11 keeps the state of both directions, so a keep-alive, a pipelined request or a body
of the wrong length is handled as the standard says. The constraint: nothing here sends, waits or closes. A
cut stream is simply one whose ``end`` was never written, and a client sees it as it sees a real one. A server
framework was refused, because every one of them ends a response properly when its handler fails.

How it is driven::

    requests = connection.feed(data)         # b"" when the client closed its side
    write(connection.take_output())          # "100 Continue", or the refusal of something that is no HTTP
    write(connection.head(200, headers)); write(connection.chunk(b"...")); write(connection.end())
    write(connection.whole(429, headers, body))
    if connection.must_close: close()        # else: requests = connection.next_requests(), the pipelined ones
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final

import h11

from simkit.contracts import HttpRequest

# A request line and its headers: four times what the usual servers allow, and far from endless.
_HEAD_BYTES_MAX: Final = 64 * 1024
# A long conversation with images in it is some megabytes; what is longer than this never ends.
_BODY_BYTES_MAX: Final = 64 * 1024 * 1024
_BODILESS: Final = frozenset({204, 304})


class HttpConnection:
    """One connection, seen from the server. Bytes to values and back, and the state between them."""

    def __init__(self) -> None:
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES_MAX)
        self._output = bytearray()
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._refused = False

    @property
    def must_close(self) -> bool:
        """True when no further request can come: the owner closes as soon as everything is written."""
        return self._refused or self._h11.our_state in (h11.MUST_CLOSE, h11.CLOSED, h11.ERROR)

    def feed(self, data: bytes) -> list[HttpRequest]:
        """Take what arrived (``b""``: the client closed its side) and return the requests that are complete.

        Never raises: what is not HTTP is refused (see ``take_output``), and what follows it is not read.
        """
        if self._refused:
            return []
        self._h11.receive_data(data)
        return self._advance(client_is_there=bool(data))

    def next_requests(self) -> list[HttpRequest]:
        """Return the request that was pipelined behind the one just answered, if it is complete."""
        return self._advance(client_is_there=True)

    def take_output(self) -> bytes:
        """Return, once, the bytes that reading made necessary."""
        output = bytes(self._output)
        self._output.clear()
        return output

    def head(self, status: int, headers: Mapping[str, str]) -> bytes:
        """Begin an answer. Without a ``content-length`` its body goes in chunks.

        Each line of a value is a header of its own: cookies are set by several of one name.
        """
        lines = [(name, line) for name, value in headers.items() for line in value.split("\n")]
        raw = [(name.encode("latin-1"), line.encode("latin-1")) for name, line in lines]
        return self._send(h11.Response(status_code=status, headers=raw, reason=_phrase(status)))

    def chunk(self, data: bytes) -> bytes:
        """Return the data as one chunk of the body; nothing for no data, since an empty chunk ends a body."""
        return self._send(h11.Data(data=data))

    def end(self) -> bytes:
        """End the body properly."""
        return self._send(h11.EndOfMessage())

    def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> bytes:
        """Return a whole answer with its ``content-length``."""
        if status in _BODILESS:
            return self.head(status, headers) + self.end()
        head = self.head(status, {**headers, "content-length": str(len(body))})
        # The answer to a HEAD gives the length of a body that is not sent.
        sent = self._request is not None and self._request.method == b"HEAD"
        return head + (b"" if sent else self.chunk(body)) + self.end()

    def _advance(self, *, client_is_there: bool) -> list[HttpRequest]:
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
        try:
            return list(self._read())
        except h11.RemoteProtocolError as error:
            # Half a request and then the end of file is a client that gave up: nobody is there to be told.
            self._refuse(error.error_status_hint if client_is_there else None)
            return []

    def _read(self) -> Iterable[HttpRequest]:
        while True:
            match self._h11.next_event():
                case h11.Request() as request:
                    self._request = request
                    self._body.clear()
                case h11.Data(data=data):
                    self._body += data
                    self._guard()
                case h11.EndOfMessage():
                    yield self._complete()
                case _:  # NEED_DATA, PAUSED until the answer is out, or the client closed its side
                    break
        if self._h11.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
            self._output += self._send(go_on)

    def _guard(self) -> None:
        if len(self._body) > _BODY_BYTES_MAX:
            raise h11.RemoteProtocolError(f"body over {_BODY_BYTES_MAX} bytes", error_status_hint=413)

    def _complete(self) -> HttpRequest:
        assert self._request is not None
        headers = tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in self._request.headers)
        method, target = self._request.method.decode("ascii"), self._request.target.decode("latin-1")
        return HttpRequest(method, target, headers, bytes(self._body))

    def _refuse(self, status: int | None) -> None:
        self._refused = True
        if status is None or self._h11.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        text = f"{status} {_phrase(status).decode()}\n".encode()
        self._output += self.whole(status, {"content-type": "text/plain", "connection": "close"}, text)

    def _send(self, event: h11.Event) -> bytes:
        sent = self._h11.send(event)
        assert sent is not None
        return sent


def _phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:  # 524 and 529 are sent by real servers and in no table
        return b"Unknown"
